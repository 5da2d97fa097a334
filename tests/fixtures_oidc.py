"""A scripted OpenID provider: right in all it says until a test changes a part of it.

It answers requests in this process (an httpx transport), signs with keys of its own, and holds the
client to what the standard asks of it: the secret, the redirect URI, PKCE by S256, a code once.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr

from backend.services.accounts.oidc.provider import Provider
from backend.services.accounts.oidc.registration import Registration

ISSUER = "https://id.example"
CLIENT = "strop"
SECRET = "client-secret-of-the-test"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
REGISTRATION = Registration(
    issuer=ISSUER,
    client_id=CLIENT,
    client_secret=SecretStr(SECRET),
    public_url="http://testserver",
    label="the clinic",
    roles={"ml": "engineer", "leads": "lead", "ward": "expert", "it": "admin"},
    projects={"ml": ["ours"], "ward": ["ours"]},
)


@cache
def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    """A key of that name; making one takes a while, so it is made once."""
    return RSAKey.generate_key(bits, {"kid": kid, "use": "sig"}, auto_kid=False)


@dataclass
class ScriptedProvider(httpx.BaseTransport):
    """What the provider knows and says; a test sets what is to be otherwise.

    Attributes:
        claims: of the person who signs in, over those that every ID token has.
        document: changes to the discovery document.
        answers: by path, what is answered in place of the right thing: a response or an error.
        seen: the requests that came.
    """

    now: Callable[[], datetime]
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    key: Any = None
    published: list[Any] = field(default_factory=list)
    access_token: str = "access-token"
    sign: Callable[[dict[str, Any], dict[str, Any], Any], str] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = self.key or rsa_key("one")
        self.published = self.published or [self.key]

    def authorize(self, url: str, *, code: str = "a-code") -> dict[str, str]:
        """What the provider sends back for the address that the browser was sent to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["redirect_uri"] == "http://testserver/api/v1/oidc/callback"
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": ISSUER}

    def id_token(self, nonce: str) -> str:
        """The ID token as it would be given now."""
        return self.signed(
            {
                "sub": "sub-1",
                "nonce": nonce,
                "preferred_username": "pia",
                "groups": ["ml"],
                "sid": "session-1",
                "at_hash": at_hash(self.access_token),
            }
            | self.claims
        )

    def logout_token(self, **claims: Any) -> str:
        """A logout token for the session of the ID tokens."""
        own = {"sub": "sub-1", "sid": "session-1", "jti": "j1", "events": {LOGOUT: {}}}
        return self.signed(own | claims, typ="logout+jwt")

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """A token of these claims, those that are None left out."""
        made = int(self.now().timestamp())
        always = {"iss": ISSUER, "aud": CLIENT, "iat": made, "exp": made + 300}
        whole = {name: value for name, value in (always | claims).items() if value is not None}
        head = {"alg": "RS256", "kid": self.key.kid} | header | self.header
        head = {name: value for name, value in head.items() if value is not None}
        if self.sign is not None:
            return self.sign(head, whole, self.key)
        return jwt.encode(head, whole, self.key, algorithms=[head["alg"]])

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the provider, in a stream as the network would bring it."""
        answer = self._answer(request)
        if not hasattr(answer, "_content"):
            return answer
        stream = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.seen.append(path)
        if path in self.answers:
            answer = self.answers[path]
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer
        return getattr(self, "_answer_" + path.strip("/.").replace("-", "_").replace("/", "_"))(
            request
        )

    def _answer_well_known_openid_configuration(self, _: httpx.Request) -> httpx.Response:
        document = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "end_session_endpoint": f"{ISSUER}/end",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "PS256"],
            "authorization_response_iss_parameter_supported": True,
        }
        whole = document | self.document
        return httpx.Response(200, json={k: v for k, v in whole.items() if v is not None})

    def _answer_jwks(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": [key.as_dict() for key in self.published]})

    def _answer_token(self, request: httpx.Request) -> httpx.Response:
        sent = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(sent.get("code", ""), None)
        if request.headers.get("authorization") != f"Basic {basic}" or asked is None:
            return httpx.Response(400, json={"error": "invalid_grant"})
        made = hashlib.sha256(sent["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(made).rstrip(b"=").decode()
        if challenge != asked["code_challenge"] or sent["redirect_uri"] != asked["redirect_uri"]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        token = self.id_token(asked["nonce"])
        given = {"id_token": token, "access_token": self.access_token, "token_type": "Bearer"}
        return httpx.Response(200, json=given)

    def _answer_userinfo(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == f"Bearer {self.access_token}"
        return httpx.Response(200, json={"sub": "sub-1"} | self.userinfo)


def at_hash(access_token: str) -> str:
    """The hash that binds an access token to an ID token signed with SHA-256."""
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def unsigned(header: dict[str, Any], claims: dict[str, Any], _: Any) -> str:
    """A token that says it needs no signature."""
    parts = (json.dumps({**header, "alg": "none"}), json.dumps(claims))
    return ".".join(base64.urlsafe_b64encode(p.encode()).rstrip(b"=").decode() for p in parts) + "."


def signed_by_public_key(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    """A token whose HMAC is made of the public key, for whoever takes that as the secret."""
    import hmac

    secret = key.as_pem(private=False)
    head = json.dumps({**header, "alg": "HS256"})
    parts = [
        base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()
        for part in (head, json.dumps(claims))
    ]
    made = hmac.new(secret, ".".join(parts).encode(), "sha256").digest()
    return ".".join([*parts, base64.urlsafe_b64encode(made).rstrip(b"=").decode()])


def signed_critical(header: dict[str, Any], claims: dict[str, Any], key: RSAKey) -> str:
    """A token with a right signature, whose header asks for what nobody knows."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    head = json.dumps({**header, "crit": ["unheard-of"], "unheard-of": 1})
    parts = [
        base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()
        for part in (head, json.dumps(claims))
    ]
    made = key.private_key.sign(".".join(parts).encode(), PKCS1v15(), SHA256())
    return ".".join([*parts, base64.urlsafe_b64encode(made).rstrip(b"=").decode()])


def provider_of(scripted: ScriptedProvider, **registration: Any) -> Provider:
    """Our side of the scripted provider, with a clock that stands still."""
    seconds = {"now": 1000.0}
    made = Provider(
        replace(REGISTRATION, **registration),
        transport=scripted,
        monotonic=lambda: seconds["now"],
    )
    made.seconds = seconds  # type: ignore[attr-defined]
    return made

"""What an OpenID provider publishes and answers: its document, its keys, tokens for a code.

Nothing it says is believed before it is checked: addresses that are not HTTPS, another issuer,
answers without an end and redirections are refused in one sentence. Documents are kept for an hour;
a key that is not among those kept is looked for again, once a minute at most, since anybody can
send a token that names one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx

from backend.errors import ProviderError
from backend.services.accounts.oidc.registration import Registration

KEPT_S = 3600.0
REFETCH_S = 60.0
DOWN_S = 3.0  # for so long nobody else waits for a provider that has just not answered
MOST_BYTES = 1_000_000
DISCOVERY_PATH = "/.well-known/openid-configuration"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
METHODS = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What of the discovery document is used (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    algorithms: frozenset[str]
    auth_methods: tuple[str, ...]
    names_issuer: bool  # its answers carry `iss` (RFC 9207)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gave."""

    id_token: str
    access_token: str


@dataclass
class Provider:
    """A provider with what it published last; one for each server process.

    Attributes:
        transport: stands in for the network in tests.
        monotonic: the clock by which documents age.
    """

    registration: Registration
    transport: httpx.BaseTransport | None = None
    monotonic: Callable[[], float] = time.monotonic
    _metadata: tuple[float, Metadata] | None = None
    _keys: tuple[float, list[dict[str, Any]]] | None = None
    _down: tuple[float, ProviderError] | None = None
    _lock: Lock = field(default_factory=Lock)

    def metadata(self) -> Metadata:
        """The discovery document. Raises ProviderError."""
        with self._lock:
            return self._read_metadata()

    def keys(self, kid: str | None) -> list[dict[str, Any]]:
        """The published keys of that id, or all where none is named; unknown ones are looked for.

        Raises:
            ProviderError: no keys could be had.
        """
        with self._lock:
            metadata, now = self._read_metadata(), self.monotonic()
            if self._keys is None or self._keys[0] < now - KEPT_S:
                self._keys = (now, self._fetch_keys(metadata))
            found = _of_id(self._keys[1], kid)
            if not found and self._keys[0] <= now - REFETCH_S:
                self._keys = (now, self._fetch_keys(metadata))
                found = _of_id(self._keys[1], kid)
            return found

    def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent to sign in. Raises ProviderError."""
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        return str(
            prepare_grant_uri(
                self.metadata().authorization_endpoint,
                self.registration.client_id,
                "code",
                redirect_uri=self.registration.redirect_uri,
                scope=self.registration.scopes,
                state=state,
                nonce=nonce,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
            )
        )

    def exchange(self, code: str, *, verifier: str) -> Tokens:
        """The tokens for a code. Raises ProviderError."""
        url, headers, body = self._token_request(code, verifier)
        status, answer = self._ask("POST", url, headers=headers, content=body)
        if status != 200:
            raise self._refused(str(answer.get("error", status)))
        id_token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access, str):
            raise self._unusable("it gave no ID token")
        return Tokens(id_token, access)

    def _token_request(self, code: str, verifier: str) -> tuple[str, dict[str, str], str]:
        """Address, headers and body of the request for tokens, with what shows who we are."""
        from authlib.oauth2.auth import ClientAuth
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        metadata, registration = self.metadata(), self.registration
        body = prepare_token_request(
            "authorization_code",
            redirect_uri=registration.redirect_uri,
            code=code,
            code_verifier=verifier,
        )
        secret = registration.client_secret
        method = next((name for name in METHODS if name in metadata.auth_methods), METHODS[0])
        own = [registration.client_id, secret.get_secret_value() if secret else ""]
        if secret and method == METHODS[0]:
            own = [quote_plus(part) for part in own]  # RFC 6749, 2.3.1, which authlib leaves to us
        auth = ClientAuth(*own, method if secret else "none")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        url, headers, body = auth.prepare("POST", metadata.token_endpoint, form, body)
        return str(url), dict(headers), str(body)

    def userinfo(self, access_token: str) -> Mapping[str, Any]:
        """What the provider says of the holder of an access token; empty where it has no such page.

        Raises:
            ProviderError: it has one and does not answer.
        """
        metadata = self.metadata()
        if metadata.userinfo_endpoint is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        return self._get_object(metadata.userinfo_endpoint, headers=headers)

    def end_session_url(self, id_token: str) -> str | None:
        """Where a browser ends its session at the provider; None where it has no such page.

        Raises:
            ProviderError: the provider does not answer.
        """
        if (endpoint := self.metadata().end_session_endpoint) is None:
            return None
        asked = {
            "id_token_hint": id_token,
            "client_id": self.registration.client_id,
            "post_logout_redirect_uri": self.registration.signed_out_uri,
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    def _read_metadata(self) -> Metadata:
        now = self.monotonic()
        if self._metadata is None or self._metadata[0] < now - KEPT_S:
            if self._down is not None and self._down[0] > now - DOWN_S:
                raise self._down[1]
            page = self.registration.issuer.rstrip("/") + DISCOVERY_PATH
            try:
                self._metadata = (now, self._checked(self._get_object(page)))
            except ProviderError as error:
                self._down = (self.monotonic(), error)
                raise
        return self._metadata[1]

    def _checked(self, document: Mapping[str, Any]) -> Metadata:
        issuer = self.registration.issuer
        if document.get("issuer") != issuer:
            raise self._unusable("its document names another issuer than STROP_OIDC_ISSUER")
        endpoints = {
            name: self._endpoint(document, name, needed=needed)
            for name, needed in (
                ("authorization_endpoint", True),
                ("token_endpoint", True),
                ("jwks_uri", True),
                ("userinfo_endpoint", False),
                ("end_session_endpoint", False),
            )
        }
        return Metadata(
            issuer=issuer,
            algorithms=frozenset(
                _texts(document.get("id_token_signing_alg_values_supported")) or ["RS256"]
            ),
            auth_methods=tuple(
                _texts(document.get("token_endpoint_auth_methods_supported")) or [METHODS[0]]
            ),
            names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
            **endpoints,  # type: ignore[arg-type]
        )

    def _endpoint(self, document: Mapping[str, Any], name: str, *, needed: bool) -> str | None:
        found = document.get(name)
        if found is None and not needed:
            return None
        if not isinstance(found, str) or not is_safe_address(found, like=self.registration.issuer):
            raise self._unusable(f"the {name} in its document is no HTTPS address")
        return found

    def _fetch_keys(self, metadata: Metadata) -> list[dict[str, Any]]:
        found = self._get_object(metadata.jwks_uri).get("keys")
        if not isinstance(found, list) or not all(isinstance(key, dict) for key in found):
            raise self._unusable("it publishes no keys")
        return [key for key in found if key.get("kty") in ("RSA", "EC")]

    def _get_object(self, url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        status, answer = self._ask("GET", url, headers=headers or {})
        if status != 200:
            raise self._unusable(f"it answered {status}")
        return answer

    def _ask(
        self, method: str, url: str, *, headers: Mapping[str, str], content: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer that ends in time and in size; none leads elsewhere.

        Raises:
            ProviderError: there is no such answer.
        """
        seconds = self.registration.timeout_seconds
        try:
            with (
                httpx.Client(transport=self.transport, timeout=seconds, headers=HEADERS) as client,
                client.stream(method, url, headers=dict(headers), content=content) as response,
            ):
                text = _read(response, seconds)
                found = json.loads(text) if response.status_code < 500 else {}
        except httpx.TimeoutException:
            raise self._unusable("it took too long to answer") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise self._unusable("it cannot be reached") from None
        except (ValueError, RecursionError):
            raise self._unusable("its answer cannot be read") from None
        if not isinstance(found, dict):
            raise self._unusable("its answer is no JSON object")
        return response.status_code, found

    def _unusable(self, why: str) -> ProviderError:
        return ProviderError(
            f"The sign-in of {self.registration.label} does not work at the moment: {why}.",
            hint="Try again later, or ask whoever runs this server.",
        )

    def _refused(self, code: str) -> ProviderError:
        plain = code if code.isascii() and code.isidentifier() and len(code) <= 40 else "an error"
        return self._unusable(f"it refused the sign-in ({plain})")


def _read(response: httpx.Response, seconds: float) -> bytes:
    """The body, within a time for all of it and MOST_BYTES; it was asked to come unpacked.

    Raises:
        ReadTimeout, DecodingError: it does not end, or is packed.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("packed, though asked not to be")
    ends, content = time.monotonic() + seconds, bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            raise httpx.DecodingError("too long")
        if time.monotonic() > ends:
            raise httpx.ReadTimeout("slow")
    return bytes(content)


def is_safe_address(url: str, *, like: str) -> bool:
    """HTTPS, or HTTP on this machine where the issuer itself is there; no fragment, no password."""
    try:
        parts, issuer = urlsplit(url), urlsplit(like)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    local = host in LOOPBACK and issuer.scheme == "http" and issuer.hostname in LOOPBACK
    safe = parts.scheme == "https" or (parts.scheme == "http" and local)
    return bool(safe and host) and not parts.fragment and "@" not in parts.netloc


def _of_id(keys: list[dict[str, Any]], kid: str | None) -> list[dict[str, Any]]:
    return keys if kid is None else [key for key in keys if key.get("kid") == kid]


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []

"""What an OpenID provider publishes and answers: its document, its keys, tokens for a code.

Nothing it says is believed before it is checked: addresses that are not HTTPS, another issuer,
answers without an end and redirections are refused in one sentence. Documents are kept for an hour;
a key that is not among those kept is looked for again, once a minute at most, since anybody can
send a token that names one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from backend.errors import ProviderError
from backend.services.accounts.oidc.registration import Registration

KEPT_S = 3600.0
REFETCH_S = 60.0
DOWN_S = 3.0  # for so long nobody else waits for a provider that has just not answered
MOST_BYTES = 1_000_000
DISCOVERY_PATH = "/.well-known/openid-configuration"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
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
        metadata = self.metadata()
        with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url)

    def exchange(self, code: str, *, verifier: str) -> Tokens:
        """The tokens for a code. Raises ProviderError."""
        from authlib.integrations.base_client.errors import OAuthError

        metadata = self.metadata()
        try:
            with self._asking(), self._client(metadata) as client:
                token = client.fetch_token(
                    metadata.token_endpoint,
                    code=code,
                    code_verifier=verifier,
                    grant_type="authorization_code",
                )
        except OAuthError as error:
            raise self._refused(str(error.error)) from None
        id_token, access = token.get("id_token"), token.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access, str):
            raise self._unusable("it gave no ID token")
        return Tokens(id_token, access)

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
        with self._asking(), self._client(None) as client:
            response = client.get(url, headers=dict(headers or {}), withhold_token=True)
            if response.status_code != 200:
                raise self._unusable(f"it answered {response.status_code}")
            found = response.json()
        if not isinstance(found, dict):
            raise self._unusable("its answer is no JSON object")
        return found

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Say in one sentence what went wrong on the way, whoever raised it."""
        try:
            yield
        except httpx.TimeoutException:
            raise self._unusable("it took too long to answer") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            raise self._unusable("it cannot be reached") from None
        except (ValueError, KeyError, TypeError, AttributeError):  # of whoever reads its answer
            raise self._unusable("its answer cannot be read") from None

    def _unusable(self, why: str) -> ProviderError:
        return ProviderError(
            f"The sign-in of {self.registration.label} does not work at the moment: {why}.",
            hint="Try again later, or ask whoever runs this server.",
        )

    def _refused(self, code: str) -> ProviderError:
        plain = code if code.isascii() and code.isidentifier() and len(code) <= 40 else "an error"
        return self._unusable(f"it refused the sign-in ({plain})")

    def _client(self, metadata: Metadata | None) -> Any:
        registration = self.registration
        secret = registration.client_secret
        methods = metadata.auth_methods if metadata else ()
        method = next((name for name in METHODS if name in methods), METHODS[0])
        return bounded_client()(
            client_id=registration.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            token_endpoint_auth_method=method if secret else "none",
            scope=registration.scopes,
            redirect_uri=registration.redirect_uri,
            code_challenge_method="S256",
            timeout=registration.timeout_seconds,
            transport=self.transport,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )


def bounded_client() -> type[Any]:
    """authlib's OAuth client, whose answers end after a while and after so many bytes."""
    from authlib.integrations.httpx_client import OAuth2Client

    class BoundedClient(OAuth2Client):  # type: ignore[misc]
        """Reads an answer within the time that is set for all of it."""

        def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            """The answer, read in full and without following it elsewhere."""
            ends = time.monotonic() + (self.timeout.read or 10.0)
            options["stream"], options["follow_redirects"] = True, False
            response = super().send(request, **options)
            content = b""
            try:
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise httpx.DecodingError("packed, though asked not to be")
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > MOST_BYTES:
                        raise httpx.DecodingError("too long")
                    if time.monotonic() > ends:
                        raise httpx.ReadTimeout("slow")
            finally:
                response.close()
            kept = {"content-type": response.headers.get("content-type", "")}
            return httpx.Response(
                response.status_code, headers=kept, content=content, request=request
            )

    return BoundedClient


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

"""What is believed of a provider's tokens: ID tokens (OpenID Connect Core 1.0, 3.1.3.7) and logout
tokens (Back-Channel Logout 1.0, 2.6).

Signatures are by RSA or an elliptic curve and a key that the provider publishes: never `none`, and
never HMAC, under which the public key would be the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.errors import NotAuthenticated
from backend.services.accounts.oidc.provider import Metadata

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
)
LEEWAY_S = 120  # what two clocks may differ by
OLDEST_S = 600  # a token that was signed longer ago was not signed for what is going on now
MOST_CHARACTERS = 100_000
LEAST_RSA_BITS = 2048
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"

FindKeys = Callable[[str | None], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """Whose sessions end: those of a session there, or all of a subject; `jti` counts once."""

    subject: str | None
    sid: str | None
    jti: str
    expires_at: float


def read_id_token(
    token: str,
    *,
    metadata: Metadata,
    keys: FindKeys,
    client_id: str,
    nonce: str,
    access_token: str,
    now: datetime,
) -> dict[str, Any]:
    """The claims of an ID token that is for us, for this sign-in, now.

    Raises:
        NotAuthenticated: anything about it is wrong; which, is told.
    """
    header, claims = _verified(token, metadata=metadata, keys=keys)
    _check_common(claims, metadata, client_id, now)
    _check_times(claims, now, needs_end=True)
    if not _same(claims.get("nonce"), nonce):
        raise refused("its nonce is not that of this sign-in")
    if "at_hash" in claims and not _same(claims["at_hash"], _half_hash(access_token, header)):
        raise refused("it belongs to another access token")
    if not _is_subject(claims.get("sub")):
        raise refused("it names no subject")
    if "events" in claims:
        raise refused("it is of another kind")
    return claims


def read_logout_token(
    token: str, *, metadata: Metadata, keys: FindKeys, client_id: str, now: datetime
) -> LoggedOut:
    """What a logout token asks for.

    Raises:
        NotAuthenticated: anything about it is wrong; which, is told.
    """
    header, claims = _verified(token, metadata=metadata, keys=keys)
    if str(header.get("typ", "logout+jwt")).lower() not in ("logout+jwt", "jwt"):
        raise refused("it is of another kind")
    _check_common(claims, metadata, client_id, now)
    ends = _check_times(claims, now, needs_end=False)
    events, jti = claims.get("events"), claims.get("jti")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise refused("it tells of no sign-out")
    if "nonce" in claims:
        raise refused("it is an ID token")
    if not isinstance(jti, str) or not 0 < len(jti) <= 1000:
        raise refused("it has no id")
    subject, sid = claims.get("sub"), claims.get("sid")
    if (subject is None and sid is None) or not all(
        one is None or _is_subject(one) for one in (subject, sid)
    ):
        raise refused("it names neither subject nor session")
    return LoggedOut(subject=subject, sid=sid, jti=jti, expires_at=ends + LEEWAY_S)


def refused(why: str) -> NotAuthenticated:
    """The refusal of a token."""
    return NotAuthenticated(
        f"What the provider signed is not accepted: {why}.", hint="Begin the sign-in again."
    )


def _verified(
    token: str, *, metadata: Metadata, keys: FindKeys
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, when one of the published keys signed them."""
    header = _header_of(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or algorithm not in metadata.algorithms | {"RS256"}:
        raise refused("its signature is of a kind that is not allowed")
    if "crit" in header or not (kid is None or isinstance(kid, str)):
        raise refused("its header cannot be read")
    for key in keys(kid):
        if _may_sign(key, algorithm) and (claims := _claims(token, key, algorithm)) is not None:
            return header, claims
    raise refused("no key of the provider signed it")


def _header_of(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(token) > MOST_CHARACTERS or len(parts) != 3 or not token.isascii():
        raise refused("it is no signed token")
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise refused("its header cannot be read")
    return header


def _may_sign(key: Mapping[str, Any], algorithm: str) -> bool:
    kind = "EC" if algorithm.startswith("ES") else "RSA"
    use, named = key.get("use", "sig"), key.get("alg", algorithm)
    return key.get("kty") == kind and use == "sig" and named == algorithm


def _claims(token: str, key: dict[str, Any], algorithm: str) -> dict[str, Any] | None:
    """What is signed, if this key signed it."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short keys, which are refused below
            public = JWKRegistry.import_key(key)
        if key["kty"] == "RSA" and public.public_key.key_size < LEAST_RSA_BITS:  # type: ignore[union-attr]
            return None
        claims = jwt.decode(token, public, algorithms=[algorithm]).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return claims


def _check_common(
    claims: Mapping[str, Any], metadata: Metadata, client_id: str, now: datetime
) -> None:
    if claims.get("iss") != metadata.issuer:
        raise refused("it is of another issuer")
    audience = claims.get("aud")
    heard = audience if isinstance(audience, list) else [audience]
    if client_id not in heard:
        raise refused("it is meant for somebody else")
    party = claims.get("azp")
    if party != client_id and (party is not None or len(heard) > 1):
        raise refused("it was given to somebody else")


def _check_times(claims: Mapping[str, Any], now: datetime, *, needs_end: bool) -> float:
    """Check when it was made and until when it counts; returns until when."""
    here = now.timestamp()
    made = _moment(claims.get("iat"))
    if made is None or not here - OLDEST_S - LEEWAY_S <= made <= here + LEEWAY_S:
        raise refused("it was not made just now (compare the clocks of both machines)")
    by_default = None if needs_end else made + OLDEST_S
    ends = _moment(claims["exp"]) if "exp" in claims else by_default
    if ends is None or ends <= here - LEEWAY_S:
        raise refused("its time is over")
    if "nbf" in claims:
        begins = _moment(claims["nbf"])
        if begins is None or begins > here + LEEWAY_S:
            raise refused("its time has not come")
    return ends


def _moment(value: object) -> float | None:
    """Seconds since 1970; None for what is no such number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        return None
    return float(value)


def _is_subject(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255 and value.isprintable()


def _half_hash(access_token: str, header: Mapping[str, Any]) -> str:
    """The left half of the token's hash, by the signature's own (Core 1.0, 3.1.3.6)."""
    digest = hashlib.new(f"sha{header['alg'][2:]}", access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _same(given: object, wanted: str) -> bool:
    if not isinstance(given, str):
        return False
    return hmac.compare_digest(given.encode("utf-8", "backslashreplace"), wanted.encode())

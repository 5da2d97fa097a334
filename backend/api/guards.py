"""What every request passes: a limit to its size, strict headers, our own pages only.

`StrictHeaders` and `BodyLimit` stand before the API, `OwnPagesOnly` and other headers before the
dashboard as well: Streamlit itself asks an outside address for its own when it meets an Origin that
it does not know, and sends no such headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.problems import render_error
from backend.errors import Forbidden, TooLarge
from backend.schemas.common import whole_number

OWN_SITES = frozenset({"same-origin", "none"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})

STRICT_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
}
SAME_FOR_PAGES = (
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
    "Cross-Origin-Resource-Policy",
    "Permissions-Policy",
)
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}


class StrictHeaders:
    """Adds the headers above to every answer that does not set them itself."""

    def __init__(self, app: ASGIApp, *, wanted: Mapping[str, str] = STRICT_HEADERS) -> None:
        self.app = app
        self._wanted = dict(wanted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        wanted = self._wanted | (HTTPS_ONLY if scope["scheme"] == "https" else {})

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


PAGE_HEADERS = {
    **{name: STRICT_HEADERS[name] for name in SAME_FOR_PAGES},
    "X-Frame-Options": "SAMEORIGIN",
    # Streamlit has scripts and styles in its page and compiles charts, so what is of our own origin
    # may; nothing is loaded from, sent to or framed by another.
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
}


class OwnPagesOnly:
    """Refuses WebSockets and changes that a page of another origin makes a browser ask for.

    Another port of this machine is another origin. Below `/api` the API decides for itself, since
    programs with a token come from anywhere.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not is_own_origin(Headers(scope=scope)):
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "foreign origin"})
            return
        changes = scope["type"] == "http" and scope["method"] not in READING
        if changes and not scope["path"].startswith("/api/") and not is_own_site(scope):
            await render_error(foreign_site())(scope, receive, send)
            return
        await self.app(scope, receive, send)


def is_own_origin(headers: Headers) -> bool:
    """Whether the Origin is the very host and port that was asked; none at all is no browser's."""
    origin, host = headers.get("origin"), headers.get("host")
    if origin is None or host is None:
        return False
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and parts.netloc == host


def is_own_site(scope: Scope) -> bool:
    """Whether a browser says that our own page, or its user, asks; an old one by Origin."""
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    return site in OWN_SITES if site is not None else is_own_origin(headers)


def foreign_site() -> Forbidden:
    """The refusal of what another site made the browser send."""
    return Forbidden(
        "The request does not come from this site.",
        hint="Programs: send a bearer token, or Sec-Fetch-Site: same-origin.",
    )


class BodyLimit:
    """Refuses a request with more bytes than `most`, declared or not, with a 413 problem."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = whole_number(Headers(scope=scope).get("content-length", "0"))
        if declared is None or declared > self.most:
            await render_error(too_large(self.most))(scope, receive, send)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.most:  # FastAPI lets only an HTTPException out of reading a body
                raise HTTPException(TooLarge.status, too_large(self.most).message)
            return message

        await self.app(scope, receive_counted, send)


def too_large(most: int) -> TooLarge:
    """The refusal of a request of more than `most` bytes."""
    return TooLarge(f"A request may have at most {most:,} bytes.", hint="Send it in smaller parts.")

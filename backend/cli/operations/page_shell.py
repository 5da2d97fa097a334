"""The dashboard's page as a browser gets it: quiet, small, and with something to see at once.

Streamlit answers most requests itself. Three answers are ours: what its page is told about its
host, the page itself, and its files, which are sent packed. Nothing here knows what a page shows.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import MutableMapping
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

HOST_CONFIG = "/_stcore/host-config"
QUIET = {"blockErrorDialogs": True}
PACKED_KINDS = {".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
LEAST_BYTES = 1_000  # below, packing saves nothing
FOR_EVER = "public, max-age=31536000, immutable"  # the name of a file changes with its content
FONT_LINK = '<link\n      rel="preload"'
FIRST_PAINT = """<style>
:root { color-scheme: light dark; }
body { background: light-dark(#fdfdfc, #14191a); }
.strop-first { position: fixed; inset: 0; display: grid; place-content: center; gap: .6rem;
  justify-items: center; color: light-dark(#1d2626, #e6eceb);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.strop-first b { font-size: 1.9rem; letter-spacing: -.02em; }
.strop-first b::after { content: ""; display: block; height: 3px; margin-top: .3rem;
  background: light-dark(#1f6f6b, #4fb3a2); transform: skewX(-35deg);
  animation: strop-first 1.6s ease-in-out infinite alternate; transform-origin: left; }
@keyframes strop-first { from { width: 30%; } to { width: 100%; } }
@media (prefers-reduced-motion: reduce) { .strop-first b::after { animation: none; } }
</style>
<script>
// The page's line to the server, so that it can be taken up anew after a sign-in over the page.
window.WebSocket = class extends window.WebSocket {
  constructor(...how) { super(...how); document.stropLine = this; }
};
</script>
</head>"""
ROOT = '<div id="root"></div>'
FIRST_WORDS = (
    '<div id="root"><div class="strop-first" role="status"><b>Strop</b>'
    "<span>The page is on its way …</span></div></div>"
)


def wants_page(scope: Any) -> bool:
    """Whether a request is a browser opening one of the dashboard's pages."""
    accepted = dict(scope["headers"]).get(b"accept", b"")
    path = str(scope["path"])
    return (
        scope["method"] == "GET"
        and b"text/html" in accepted
        and not path.startswith(("/api/", "/_stcore/", "/static/", "/media/"))
    )


class NoErrorDialogs:
    """Tells Streamlit's page to lay no dialog over somebody's work when the line breaks.

    It would take the focus in the middle of a word. The desk says by itself that it is alone, and
    goes on. The rest of the answer stays as Streamlit makes it.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != HOST_CONFIG:
            await self.app(scope, receive, send)
            return
        from starlette.datastructures import MutableHeaders

        start: MutableMapping[str, Any] = {}
        body = b""

        async def send_changed(message: MutableMapping[str, Any]) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            changed = json.dumps(json.loads(body) | QUIET).encode() if body else body
            MutableHeaders(scope=start)["Content-Length"] = str(len(changed))
            await send(start)
            await send({"type": "http.response.body", "body": changed})

        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        await self.app({**scope, "headers": plain}, receive, send_changed)


class PackedFiles:
    """Answers with Streamlit's page, with a first paint in it, and with its files, packed.

    Streamlit sends them as they are, 2.9 MB before anything is seen. Each file is packed once and
    kept in memory; its name carries its digest, so that a browser asks for it once.
    """

    def __init__(self, app: Any, *, folder: Path | None = None) -> None:
        self.app = app
        self.folder = folder or _static_folder()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        response = await self._answer(scope) if asked else None
        await (self.app if response is None else response)(scope, receive, send)

    async def _answer(self, scope: Any) -> Any:
        """Our own answer, or None where the request is for somebody else."""
        from starlette.concurrency import run_in_threadpool
        from starlette.datastructures import Headers
        from starlette.responses import Response

        headers = Headers(scope=scope)
        zipped = "gzip" in headers.get("accept-encoding", "")
        if wants_page(scope):
            body, tag = _page(self.folder, packed=zipped)
            kept = {"Cache-Control": "no-cache", "ETag": tag}
            kind = "text/html; charset=utf-8"
        elif zipped and (file := _static_files(self.folder).get(scope["path"])):
            body, tag = await run_in_threadpool(partial(_packed, file))
            kept, kind = {"Cache-Control": FOR_EVER, "ETag": tag}, PACKED_KINDS[file.suffix]
        else:
            return None
        encoding = {"Content-Encoding": "gzip"} if zipped else {}
        told = {**kept, **encoding, "Vary": "Accept-Encoding"}
        if headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=told)
        return Response(body, media_type=kind, headers=told)


def _static_folder() -> Path:
    from streamlit import file_util

    return Path(file_util.get_static_dir())


@cache
def _static_files(folder: Path) -> dict[str, Path]:
    """Path as asked -> file; what is not listed here is not ours to send."""
    return {
        f"/{file.relative_to(folder).as_posix()}": file
        for file in (folder / "static").rglob("*")
        if file.suffix in PACKED_KINDS and file.stat().st_size >= LEAST_BYTES
    }


@cache
def _packed(file: Path) -> tuple[bytes, str]:
    body = gzip.compress(file.read_bytes(), compresslevel=9, mtime=0)
    return body, _tag(body)


@cache
def _page(folder: Path, *, packed: bool) -> tuple[bytes, str]:
    """Streamlit's page with a first paint, and without waiting for its font."""
    source = (folder / "index.html").read_text("utf-8")
    body = first_painted(source).encode()
    body = gzip.compress(body, compresslevel=9, mtime=0) if packed else body
    return body, _tag(body)


def first_painted(source: str) -> str:
    """Streamlit's page with our name on it until the dashboard draws itself in its place.

    Raises:
        ValueError: the page of this version of Streamlit has no place for it.
    """
    missing = [part for part in (ROOT, "</head>", "<title>Streamlit</title>") if part not in source]
    if missing:
        raise ValueError(f"Streamlit's page has no {missing[0]}")
    source = source.replace("<title>Streamlit</title>", "<title>Strop</title>")
    if (start := source.find(FONT_LINK)) >= 0:
        source = source[:start] + source[source.index("/>", start) + 2 :]
    return source.replace(ROOT, FIRST_WORDS).replace("</head>", FIRST_PAINT)


def _tag(body: bytes) -> str:
    return f'"{sha256(body).hexdigest()[:32]}"'

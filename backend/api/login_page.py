"""The sign-in form: an ordinary page that works without scripts and without other sites."""

from __future__ import annotations

from html import escape

STYLE = """
:root { color-scheme: light dark; --ink:#1d2733; --soft:#5b6776; --paper:#f5f6f4; --card:#fff;
  --line:#d5dadf; --edge:#17695c; --edge-ink:#fff; --bad:#a4262c; --bad-paper:#fbecec; }
@media (prefers-color-scheme: dark) { :root { --ink:#e8ebee; --soft:#a3adb8; --paper:#14181d;
  --card:#1d232a; --line:#3a444f; --edge:#4fb3a2; --edge-ink:#08211d; --bad:#ff9c9c;
  --bad-paper:#3a2023; } }
* { box-sizing: border-box; }
body { margin:0; min-height:100vh; display:grid; place-items:center; padding:1.5rem;
  background:var(--paper); color:var(--ink);
  font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width:100%; max-width:24rem; }
h1 { margin:0; font-size:1.9rem; letter-spacing:-.02em; }
h1::after { content:""; display:block; width:3.2rem; height:3px; margin-top:.45rem;
  background:var(--edge); transform:skewX(-35deg); }
p { margin:.9rem 0 1.4rem; color:var(--soft); }
form { background:var(--card); border:1px solid var(--line); border-radius:12px;
  padding:1.5rem; display:grid; gap:1.1rem; }
label { display:grid; gap:.3rem; font-weight:600; font-size:.95rem; }
input { font:inherit; padding:.6rem .7rem; border:1px solid var(--line); border-radius:8px;
  background:var(--paper); color:inherit; width:100%; }
input:focus-visible, button:focus-visible { outline:3px solid var(--edge); outline-offset:1px; }
button { font:inherit; font-weight:650; padding:.7rem; border:0; border-radius:8px;
  background:var(--edge); color:var(--edge-ink); cursor:pointer; }
.error { margin:0; padding:.7rem .8rem; border-radius:8px; border-left:4px solid var(--bad);
  background:var(--bad-paper); color:var(--bad); font-weight:550; }
footer { margin-top:1.1rem; color:var(--soft); font-size:.9rem; }
"""


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>Strop</h1>{body}</main></body></html>"
    )


def login_page(*, next_path: str, name: str = "", error: str | None = None) -> str:
    """The form; `error` is shown above it, and the name that was typed is kept."""
    alert = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    focus_name, focus_password = ("", " autofocus") if name else (" autofocus", "")
    return _page(
        "Sign in to Strop",
        f"""<p>Sign in to review what the models wrote.</p>
<form method="post" action="login">{alert}
<label>Name <input name="name" value="{escape(name)}" autocomplete="username" required
 maxlength="120" autocapitalize="none" spellcheck="false"{focus_name}></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required
 maxlength="1000"{focus_password}></label>
<input type="hidden" name="next" value="{escape(next_path)}">
<button type="submit">Sign in</button></form>
<footer>Forgotten? Whoever invited you can set a new one.</footer>""",
    )


def logout_page() -> str:
    """One question and one button: a link alone must not sign anybody out."""
    return _page(
        "Sign out of Strop",
        """<p>What the desk called saved is kept: you can go on there. What it has not saved
is only on its page; look there before you sign out.</p>
<form method="post" action="logout"><button type="submit">Sign out</button></form>""",
    )


def safe_next(path: str | None) -> str:
    """A path on this server to return to; anything that could lead elsewhere becomes `/`."""
    plain = path is not None and path.startswith("/") and path.isascii() and path.isprintable()
    if path is None or not plain or path.startswith("//") or "\\" in path:
        return "/"
    return path

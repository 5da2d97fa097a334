"""The OpenAPI document beyond its routes, and the reference page made from it; no scripts."""

from __future__ import annotations

import json
from collections.abc import Collection
from html import escape
from typing import Any

from backend.api.authorize import COOKIE
from backend.api.problems import MEDIA_TYPE

STYLE = """
:root { color-scheme: light dark; }
body { font:16px/1.55 system-ui, sans-serif; max-width:60rem; margin:2rem auto; padding:0 1.2rem; }
code, pre { font:14px/1.5 ui-monospace, monospace; }
pre { overflow:auto; padding:.8rem; border:1px solid #8885; border-radius:8px; }
details { border-top:1px solid #8885; padding:.5rem 0; }
summary { cursor:pointer; } summary code { font-weight:600; }
h2 { margin-top:2.2rem; text-transform:capitalize; }
td, th { text-align:left; padding:.2rem .8rem .2rem 0; vertical-align:top; }
"""
METHODS = ("get", "post", "put", "patch", "delete")


SECURITY: dict[str, dict[str, str]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "For programs."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "For people."},
}


def complete_document(document: dict[str, Any], public: Collection[str]) -> dict[str, Any]:
    """The document with what FastAPI does not know: how to sign in, and that errors are problems.

    Args:
        public: the operations that ask for nobody, as `METHOD path`.
    """
    document["components"]["securitySchemes"] = SECURITY
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if f"{method.upper()} {path}" not in public:
                operation["security"] = [{name: []} for name in SECURITY]
            for status in ("4XX", "503"):
                problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
                operation["responses"][status]["content"] = {MEDIA_TYPE: problem}
            operation["responses"].pop("422", None)  # FastAPI's own shape, which is never sent
    return document


def reference_page(document: dict[str, Any], *, prefix: str) -> str:
    """HTML of the document; `prefix` is where the API is mounted."""
    operations: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                tag = (operation.get("tags") or ["other"])[0]
                operations.setdefault(tag, []).append(
                    _operation(document, f"{method.upper()} {prefix}{path}", operation)
                )
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(ops)}" for tag, ops in operations.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Strop API</title><style>{STYLE}</style></head><body><h1>Strop API</h1>"
        f"<p>Programs send <code>Authorization: Bearer TOKEN</code> "
        f"(<code>strop token create</code>). The same as a document: "
        f'<a href="{escape(prefix)}/openapi.json">openapi.json</a>.</p>{body}</body></html>'
    )


def _operation(document: dict[str, Any], name: str, operation: dict[str, Any]) -> str:
    said = escape(operation.get("description") or operation.get("summary", ""))
    rows = "".join(_parameter(parameter) for parameter in operation.get("parameters", []))
    parts = [f"<p>{said}</p>", f"<table>{rows}</table>" if rows else ""]
    body = operation.get("requestBody", {}).get("content", {})
    parts += [_schema(document, "Send", content) for content in body.values()]
    for status, response in operation.get("responses", {}).items():
        if status.startswith("2"):
            contents = response.get("content", {}).values()
            parts += [_schema(document, f"Answer {status}", content) for content in contents]
    return f"<details><summary><code>{escape(name)}</code></summary>{''.join(parts)}</details>"


def _parameter(parameter: dict[str, Any]) -> str:
    cells = [
        f"<code>{escape(parameter['name'])}</code>",
        escape(parameter["in"]) + (", required" if parameter.get("required") else ""),
        escape(parameter.get("description", "")),
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _schema(document: dict[str, Any], title: str, content: dict[str, Any]) -> str:
    schema = content.get("schema") or {}
    if not schema:
        return ""
    text = json.dumps(_sketch(document, schema, depth=0), indent=2, ensure_ascii=False)
    return f"<p>{escape(title)}</p><pre>{escape(text)}</pre>"


def _sketch(document: dict[str, Any], schema: dict[str, Any], *, depth: int) -> Any:
    """The shape of a value as JSON, with the name of the type where a value would stand."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        if depth > 4:
            return name
        return _sketch(document, document["components"]["schemas"][name], depth=depth + 1)
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        real = [choice for choice in choices if choice.get("type") != "null"]
        return _sketch(document, real[0], depth=depth) if real else "null"
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return [_sketch(document, schema.get("items", {}), depth=depth)]
    if "properties" in schema:
        return {
            key: _sketch(document, value, depth=depth)
            for key, value in schema["properties"].items()
        }
    return schema.get("format") or schema.get("const") or schema.get("type", "any")

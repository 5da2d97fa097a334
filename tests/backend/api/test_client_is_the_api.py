"""The client asks what the API answers: each method's verb, path, query and shape are a route's."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import GenericAlias
from typing import Any, get_args, get_type_hints, is_typeddict

import pytest

from backend.client import StropClient
from backend.client.wire import Resource
from tests.backend.api.conftest import APP

WITHOUT_A_METHOD = {  # for browsers, or for people at the machine (`strop user`, `strop token`)
    "GET /docs", "GET /healthz", "GET /metrics", "GET /openapi.json", "GET /v1/login",
    "GET /v1/login/code", "POST /v1/login/code", "GET /v1/oidc/start", "GET /v1/oidc/callback",
    "POST /v1/oidc/backchannel-logout", "GET /v1/reset", "POST /v1/reset", "GET /v1/way-in",
    "POST /v1/way-in", "GET /v1/logout", "POST /v1/login", "POST /v1/me/password",
    "GET /v1/me/sessions",
    "DELETE /v1/me/sessions/{session_id}", "GET /v1/me/tokens", "POST /v1/me/tokens",
    "DELETE /v1/me/tokens/{token_id}", "GET /v1/users", "POST /v1/users",
    "PATCH /v1/users/{user_id}", "PUT /v1/projects/{project_id}/users/{user_id}",
    "DELETE /v1/projects/{project_id}/users/{user_id}",
}  # fmt: skip


class Asked(Exception):
    """What a method asked of the wire."""

    def __init__(self, verb: str, path: str, shape: Any, query: Iterable[str] = ()) -> None:
        self.verb, self.path, self.shape, self.query = verb, path, shape, set(query)


class Recorder:
    """A wire that tells what it was asked, and sends nothing."""

    def get(self, shape: Any, path: str, **query: Any) -> None:
        raise Asked("GET", path, shape, query)

    def get_list(self, shape: Any, path: str, **query: Any) -> None:
        raise Asked("GET", path, GenericAlias(list, shape), query)

    def post(self, shape: Any, path: str, body: Any = None) -> None:
        raise Asked("POST", path, shape)

    create = post

    def delete(self, shape: Any, path: str) -> None:
        raise Asked("DELETE", path, shape)

    def get_object(self, path: str) -> None:
        raise Asked("GET", path, None)

    def put(self, shape: Any, path: str, body: Any) -> None:
        raise Asked("PUT", path, shape)

    def stream(self, path: str, **query: Any) -> None:
        raise Asked("GET", path, None, query)

    def send(self, verb: str, path: str, query: Iterable[str] = (), **_: Any) -> None:
        raise Asked(verb, path, None, query)


class Argument:
    """An argument that is whatever it has to be; in a path it is its own name in braces."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"<{self.name}>"

    def __iter__(self) -> Iterator[Any]:
        return iter(())


def methods() -> Iterator[tuple[str, Any]]:
    for name, resource in vars(StropClient("http://127.0.0.1:1")).items():
        if isinstance(resource, Resource):
            for method, function in inspect.getmembers(type(resource), inspect.isfunction):
                if not method.startswith("_"):
                    yield f"{name}.{method}", function


METHODS = dict(methods())


def asked(function: Any, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The request of a method, its bodies unchecked."""
    names = list(inspect.signature(function).parameters)[1:]
    last = get_args(get_type_hints(function).get(names[-1] if names else ""))
    if last and is_typeddict(last[0]):  # the keywords of `**query`
        names[-1:] = last[0].__annotations__
    resource = Resource(Recorder())  # type: ignore[arg-type]
    for shape in vars(inspect.getmodule(function)).values():  # a body of any arguments
        for model in (shape, *vars(shape).values()) if inspect.ismodule(shape) else (shape,):
            if inspect.isclass(model) and hasattr(model, "model_construct"):
                monkeypatch.setattr(model, "__init__", lambda self, **_: None)
    try:
        list(function(resource, **{name: Argument(name) for name in names}) or ())
    except Asked as request:
        return request
    raise AssertionError(f"{function.__qualname__} asks nothing")


@pytest.fixture
def document() -> dict[str, Any]:
    found: dict[str, Any] = APP.openapi()
    return found


def route_of(document: dict[str, Any], verb: str, path: str) -> dict[str, Any] | None:
    """The operation whose path fits, `{...}` standing for any one part."""
    parts = path.split("/")
    for template, operations in document["paths"].items():
        wanted = template.split("/")
        if len(wanted) == len(parts) and verb.lower() in operations:
            same = zip(wanted, parts, strict=True)
            if all(
                w.startswith("{") == p.startswith("<") and (w[0:1] == "{" or w == p)
                for w, p in same
            ):
                return {"path": template, **operations[verb.lower()]}
    return None


def test_every_method_asks_a_route_for_its_shape(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, reached = [], set()
    for name, function in METHODS.items():
        request = asked(function, monkeypatch)
        monkeypatch.undo()
        route = route_of(document, request.verb, request.path)
        if route is None:
            wrong.append(f"{name}: no route {request.verb} {request.path}")
            continue
        reached.add(f"{request.verb} {route['path']}")
        known = {one["name"] for one in route.get("parameters", ()) if one["in"] == "query"}
        if lost := request.query - known:
            wrong.append(f"{name}: the route knows no {', '.join(sorted(lost))}")
        returned = get_type_hints(function).get("return")
        if request.shape is not None and returned != request.shape:
            wrong.append(f"{name}: asks for {request.shape}, promises {returned}")
        shown = str(route["responses"])
        for shape in get_args(request.shape) or (request.shape,):
            if inspect.isclass(shape) and shape.__name__.partition("[")[0] not in shown:
                wrong.append(f"{name}: the route does not answer with {shape.__name__}")
    assert wrong == []
    routes = {
        f"{verb.upper()} {path}"
        for path, operations in document["paths"].items()
        for verb in operations
    }
    assert routes - reached - WITHOUT_A_METHOD == set()

"""How the client's requests travel: addresses, credentials, and problems turned back into errors.

Knows the problem details that backend.api writes and nothing of any resource.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from backend.errors import ServerUnavailable, StropError
from backend.schemas.common import Problem

COOKIE = "strop_session"
PROBLEM = "application/problem+json"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
Shape = TypeVar("Shape")


@cache
def _certificates() -> SSLContext:
    """Whom to trust; to read it takes 20 ms, so all clients of a process share it."""
    return httpx.create_ssl_context(trust_env=False)


class Wire:
    """A way to one server for one person or program; may be used by several threads.

    Args:
        base_url: where the server is, for example `http://127.0.0.1:8500`.
        token: bearer token of a program.
        cookie: value of the session cookie of a signed-in person.
        transport: how requests travel; for tests.

    Every method that asks the server raises ServerUnavailable when there is no answer or not from
    a Strop server, and else the error that the server's problem details name.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        cookie: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if cookie is not None:
            headers["Cookie"] = f"{COOKIE}={cookie}"
        self._base_url = base_url
        self._http = httpx.Client(
            base_url=base_url.rstrip("/") + "/api",
            headers=headers,
            transport=transport,
            timeout=TIMEOUT,
            verify=_certificates(),
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, shape: type[Shape], path: str, **query: Any) -> Shape:
        return _read(shape, self.send("GET", path, query=query))

    def get_list(self, shape: type[Shape], path: str, **query: Any) -> list[Shape]:
        response = self.send("GET", path, query=query)
        rows: list[Shape] = _validated(TypeAdapter(list[shape]), response)  # type: ignore[valid-type]
        return rows

    def post(self, shape: type[Shape], path: str, body: BaseModel | None = None) -> Shape:
        return _read(shape, self.send("POST", path, body=body))

    def put(self, shape: type[Shape], path: str, body: BaseModel) -> Shape:
        return _read(shape, self.send("PUT", path, body=body))

    def get_object(self, path: str) -> dict[str, Any]:
        """JSON of another tool's shape."""
        found: dict[str, Any] = _validated(TypeAdapter(dict[str, Any]), self.send("GET", path))
        return found

    def delete(self, shape: type[Shape], path: str) -> Shape:
        return _read(shape, self.send("DELETE", path))

    def create(self, shape: type[Shape], path: str, body: BaseModel) -> Shape:
        """POST under a fresh key; sent again once when the connection broke, and created once."""
        key = {"Idempotency-Key": uuid4().hex}
        try:
            return _read(shape, self.send("POST", path, body=body, headers=key))
        except ServerUnavailable:
            return _read(shape, self.send("POST", path, body=body, headers=key))

    def stream(self, path: str, **query: Any) -> Iterator[bytes]:
        with _reachable(self._base_url), self._http.stream("GET", path, params=query) as response:
            if response.is_error:
                response.read()
                raise error_of(response)
            yield from response.iter_bytes()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        with _reachable(self._base_url):
            response = self._http.request(
                method,
                path,
                params={name: value for name, value in (query or {}).items() if value is not None},
                content=None if body is None else body.model_dump_json(),
                headers={"Content-Type": "application/json", **(headers or {})},
            )
        if response.is_error:
            raise error_of(response)
        return response


class Resource:
    """The requests of one stage; what a `StropClient` is made of."""

    def __init__(self, wire: Wire) -> None:
        self._get, self._list, self._object = wire.get, wire.get_list, wire.get_object
        self._post, self._put, self._delete = wire.post, wire.put, wire.delete
        self._create, self._stream, self._send = wire.create, wire.stream, wire.send


def sign_in(
    base_url: str, name: str, password: str, *, transport: httpx.BaseTransport | None = None
) -> str:
    """Sign a person in as the form does; returns the session cookie's value.

    Raises:
        NotAuthenticated: name or password is wrong.
        TooManyAttempts: too many failures lately.
    """
    with Wire(base_url, transport=transport) as wire, _reachable(base_url):
        response = wire._http.post("/v1/login", data={"name": name, "password": password})
    if response.is_error:
        raise error_of(response)
    if COOKIE not in response.cookies:
        raise _not_strop(response)
    return response.cookies[COOKIE]


@contextmanager
def _reachable(base_url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise ServerUnavailable(
            f"The Strop server at {base_url} does not answer ({type(error).__name__}).",
            hint="Is it running? Start it with: strop up",
        ) from error


def _read(shape: type[Shape], response: httpx.Response) -> Shape:
    found: Shape = _validated(TypeAdapter(shape), response)
    return found


def _validated(adapter: TypeAdapter[Any], response: httpx.Response) -> Any:
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        raise _not_strop(response) from error


def _not_strop(response: httpx.Response) -> ServerUnavailable:
    return ServerUnavailable(
        f"What answered at {response.url} is not a Strop server of this version.",
        hint="Check the address, and that client and server are of one version.",
    )


def error_of(response: httpx.Response) -> StropError:
    """The error that a failed response names, of the class that the server raised."""
    if not response.headers.get("content-type", "").startswith(PROBLEM):
        return _not_strop(response)
    problem = Problem.model_validate_json(response.content)
    slug = problem.type.rpartition(":")[2]
    kind = _classes(StropError).get(slug, StropError)
    error = kind.__new__(kind)
    StropError.__init__(error, problem.detail, hint=problem.hint)
    return error


def _classes(root: type[StropError]) -> dict[str, type[StropError]]:
    """The class of each slug; one that has none of its own comes back as the class above it."""
    found = {root.slug: root} if "slug" in vars(root) else {}
    for kind in root.__subclasses__():
        found.update(_classes(kind))
    return found

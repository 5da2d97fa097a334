"""Prometheus figures: requests by route, and jobs by state. No name, no text, no id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
NO_ROUTE = "none"


class RequestFigures:
    """Counters of one server; a registry of its own, so that two servers do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "strop_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "strop_http_request_seconds",
            "Seconds from request to last byte.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )


class JobFigures(Collector):
    """Jobs by state, counted when they are asked for."""

    def __init__(self, count: Callable[[], dict[str, int]]) -> None:
        self.count = count

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Named beforehand, so that registering asks nothing of the database."""
        return [GaugeMetricFamily("strop_jobs", "Jobs by state.", labels=["state"])]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One gauge for each state that has jobs."""
        family = GaugeMetricFamily("strop_jobs", "Jobs by state.", labels=["state"])
        for state, n in sorted(self.count().items()):
            family.add_metric([state], n)
        yield family


class CountRequests:
    """Counts every request under the pattern of its route, never under its address."""

    def __init__(self, app: ASGIApp, *, figures: RequestFigures) -> None:
        self.app = app
        self.figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            method = scope["method"] if route != NO_ROUTE else NO_ROUTE
            self.figures.requests.labels(method, route, str(status)).inc()
            self.figures.seconds.labels(method, route).observe(perf_counter() - started)

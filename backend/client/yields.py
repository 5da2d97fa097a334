"""What became of corrections."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas import yields


class Yields(Resource):
    """What became of corrections."""

    def of_round(
        self, round_id: int, *, rule: str | None = None, examples: int = 0
    ) -> yields.YieldOut:
        """What the candidate of a round made of its corrections."""
        path = f"/v1/rounds/{round_id}/yield"
        return self._get(yields.YieldOut, path, rule=rule, examples=examples)

    def of_candidate(
        self, project_id: int, of: str, *, rule: str | None = None, examples: int = 0
    ) -> yields.YieldOut:
        """What a candidate made of the corrections that it was trained on."""
        path = f"/v1/projects/{project_id}/yield"
        return self._get(yields.YieldOut, path, of=of, rule=rule, examples=examples)

    def curve(self, project_id: int) -> list[yields.RoundPointOut]:
        """The yield of each round, oldest first."""
        return self._list(yields.RoundPointOut, f"/v1/projects/{project_id}/yield-curve")

    def forecast(
        self, project_id: int, *, metric: str | None = None, more: int = 200
    ) -> yields.CurveForecastOut:
        """The learning curve, and what more examples would bring."""
        path = f"/v1/projects/{project_id}/yield-forecast"
        return self._get(yields.CurveForecastOut, path, metric=metric, more=more)

    def replay(self, project_id: int, body: yields.ReplayIn) -> yields.ReplayStarted:
        """Replay a candidate's corrections on it."""
        return self._create(yields.ReplayStarted, f"/v1/projects/{project_id}/replays", body)

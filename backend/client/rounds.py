"""Turns of the loop."""

from __future__ import annotations

from typing import Any

from backend.client.wire import Resource
from backend.schemas import rounds


class Rounds(Resource):
    """Turns of the loop."""

    def start(self, project_id: int, plan: dict[str, Any]) -> rounds.RoundOut:
        """Begin a round."""
        body = rounds.RoundIn(plan=plan)
        return self._create(rounds.RoundOut, f"/v1/projects/{project_id}/rounds", body)

    def get(self, round_id: int) -> rounds.RoundOut:
        """One round."""
        return self._get(rounds.RoundOut, f"/v1/rounds/{round_id}")

    def pause(self, round_id: int) -> rounds.RoundOut:
        """Take no further step."""
        return self._post(rounds.RoundOut, f"/v1/rounds/{round_id}/pause")

    def resume(self, round_id: int, *, accept_leaks: str | None = None) -> rounds.RoundOut:
        """Go on with a paused or failed round."""
        body = rounds.RoundResumed(accept_leaks=accept_leaks)
        return self._post(rounds.RoundOut, f"/v1/rounds/{round_id}/resume", body)

    def cancel(self, round_id: int, reason: str) -> rounds.RoundOut:
        """End a round without a verdict."""
        body = rounds.RoundCancelled(reason=reason)
        return self._post(rounds.RoundOut, f"/v1/rounds/{round_id}/cancel", body)

    def sign(
        self, round_id: int, *, override: str | None = None, hold: str | None = None
    ) -> rounds.RoundOut:
        """Sign the promotion that a round waits for, or with a reason that it is held."""
        body = rounds.RoundSigned(override=override, hold=hold)
        return self._post(rounds.RoundOut, f"/v1/rounds/{round_id}/sign", body)

    def list(self, project_id: int) -> list[rounds.RoundOut]:
        """The rounds of a project, newest first."""
        return self._list(rounds.RoundOut, f"/v1/projects/{project_id}/rounds")

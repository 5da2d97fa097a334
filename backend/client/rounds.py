"""Rounds and lineage, asked over HTTP; for engineers and leads."""

from __future__ import annotations

from typing import Any

from backend.client.wire import Wire
from backend.schemas import rounds, yields


class RoundClient(Wire):
    """Turns of the loop, what things were made of, and taking a review back."""

    def list_rounds(self, project_id: int) -> list[rounds.RoundShown]:
        """The rounds of a project, newest first."""
        return self._get_list(rounds.RoundShown, f"/v1/projects/{project_id}/rounds")

    def start_round(self, project_id: int, plan: dict[str, Any]) -> rounds.RoundShown:
        """Begin a round."""
        body = rounds.RoundGiven(plan=plan)
        return self._create(rounds.RoundShown, f"/v1/projects/{project_id}/rounds", body)

    def show_round(self, round_id: int) -> rounds.RoundShown:
        """One round."""
        return self._get(rounds.RoundShown, f"/v1/rounds/{round_id}")

    def pause_round(self, round_id: int) -> rounds.RoundShown:
        """Take no further step."""
        return self._post(rounds.RoundShown, f"/v1/rounds/{round_id}/pause")

    def resume_round(self, round_id: int, *, accept_leaks: str | None = None) -> rounds.RoundShown:
        """Go on with a paused or failed round."""
        body = rounds.RoundResumed(accept_leaks=accept_leaks)
        return self._post(rounds.RoundShown, f"/v1/rounds/{round_id}/resume", body)

    def cancel_round(self, round_id: int, reason: str) -> rounds.RoundShown:
        """End a round without a verdict."""
        body = rounds.RoundCancelled(reason=reason)
        return self._post(rounds.RoundShown, f"/v1/rounds/{round_id}/cancel", body)

    def sign_round(
        self, round_id: int, *, override: str | None = None, hold: str | None = None
    ) -> rounds.RoundShown:
        """Sign the promotion that a round waits for, or with a reason that it is held."""
        body = rounds.RoundSigned(override=override, hold=hold)
        return self._post(rounds.RoundShown, f"/v1/rounds/{round_id}/sign", body)

    def round_yield(
        self, round_id: int, *, rule: str | None = None, examples: int = 0
    ) -> yields.YieldShown:
        """What the candidate of a round made of its corrections."""
        path = f"/v1/rounds/{round_id}/yield"
        return self._get(yields.YieldShown, path, rule=rule, examples=examples)

    def candidate_yield(
        self, project_id: int, of: str, *, rule: str | None = None, examples: int = 0
    ) -> yields.YieldShown:
        """What a candidate made of the corrections that it was trained on."""
        path = f"/v1/projects/{project_id}/yield"
        return self._get(yields.YieldShown, path, of=of, rule=rule, examples=examples)

    def yield_curve(self, project_id: int) -> list[yields.RoundPointShown]:
        """The yield of each round, oldest first."""
        return self._get_list(yields.RoundPointShown, f"/v1/projects/{project_id}/yield-curve")

    def start_replays(self, project_id: int, body: yields.ReplayGiven) -> yields.ReplayStarted:
        """Replay a candidate's corrections on it."""
        return self._create(yields.ReplayStarted, f"/v1/projects/{project_id}/replays", body)

    def lineage(self, project_id: int, of: str) -> rounds.LineageShown:
        """What a thing was made of, and what it went into."""
        return self._get(rounds.LineageShown, f"/v1/projects/{project_id}/lineage", of=of)

    def withdraw_review(self, review_id: int, reason: str) -> rounds.Withdrawn:
        """Take a review back."""
        body = rounds.Withdrawal(reason=reason)
        return self._post(rounds.Withdrawn, f"/v1/reviews/{review_id}/withdraw", body)

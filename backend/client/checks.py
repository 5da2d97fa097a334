"""Checks: what they find of planted errors, the risk, what skips review by it, and judges."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas.checks import benches, checkers, judges, risk, triage


class Checks(Resource):
    """What points reviewers to what is wrong, and what spares them."""

    def benches(self, project_id: int) -> list[benches.CheckBenchShown]:
        """What the checks find of planted errors, the newest bench first."""
        path = f"/v1/projects/{project_id}/check-benches"
        return self._wire.get_list(benches.CheckBenchShown, path)

    def checkers(self, project_id: int) -> list[checkers.CheckerShown]:
        """The project's own checkers and how good they are, the newest first."""
        path = f"/v1/projects/{project_id}/checkers"
        return self._wire.get_list(checkers.CheckerShown, path)

    def routings(self, project_id: int) -> list[triage.RoutingShown]:
        """Every queue of a project of which something skipped review, newest first."""
        return self._wire.get_list(triage.RoutingShown, f"/v1/projects/{project_id}/routings")

    def skipped(self, queue_id: int) -> triage.RoutingShown:
        """What of a queue skipped review, and how its guarantee stands."""
        return self._wire.get(triage.RoutingShown, f"/v1/review-queues/{queue_id}/skipped")

    def return_skipped(self, queue_id: int) -> triage.RoutingShown:
        """Put what skipped into the queue, after what is there."""
        path = f"/v1/review-queues/{queue_id}/skipped/return"
        return self._wire.post(triage.RoutingShown, path)


class Judges(Resource):
    """Judges in versions, and what they may."""

    def add(self, project_id: int, body: judges.JudgeGiven) -> judges.JudgeShown:
        """Keep a judge; the same content is the version that stands."""
        return self._wire.create(judges.JudgeShown, f"/v1/projects/{project_id}/judges", body)

    def get(self, judge_id: int) -> judges.JudgeShown:
        """One version of a judge."""
        return self._wire.get(judges.JudgeShown, f"/v1/judges/{judge_id}")

    def pairs(self, judge_id: int) -> list[judges.JudgedPairs]:
        """What a comparer said, by run, newest first."""
        return self._wire.get_list(judges.JudgedPairs, f"/v1/judges/{judge_id}/pairs")

    def ask_licence(self, judge_id: int, body: judges.AskLicence) -> judges.JudgeShown:
        """Ask for a licence by the reviews of a queue."""
        return self._wire.create(judges.JudgeShown, f"/v1/judges/{judge_id}/licences", body)

    def audit(self, judge_id: int) -> judges.JudgeShown:
        """Write down what later reviews refute."""
        return self._wire.post(judges.JudgeShown, f"/v1/judges/{judge_id}/audit")

    def list(self, project_id: int) -> list[judges.JudgeShown]:
        """All versions of all judges."""
        return self._wire.get_list(judges.JudgeShown, f"/v1/projects/{project_id}/judges")


class Risks(Resource):
    """The risk that a project learned from its own reviews, in versions."""

    def fit(self, project_id: int, body: risk.RiskGiven) -> risk.RiskVersionShown:
        """Fit the next version."""
        return self._wire.create(risk.RiskVersionShown, f"/v1/projects/{project_id}/risks", body)

    def get(self, risk_id: int) -> risk.RiskVersionShown:
        """One version."""
        return self._wire.get(risk.RiskVersionShown, f"/v1/risks/{risk_id}")

    def list(self, project_id: int) -> list[risk.RiskVersionShown]:
        """All versions, the newest first."""
        return self._wire.get_list(risk.RiskVersionShown, f"/v1/projects/{project_id}/risks")

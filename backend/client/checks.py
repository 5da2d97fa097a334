"""Checks: what they find of planted errors, the risk, what skips review by it, and judges."""

from __future__ import annotations

from backend.client.wire import Resource
from backend.schemas.checks import benches, checkers, judges, risk, triage


class Checks(Resource):
    """What points reviewers to what is wrong, and what spares them."""

    def benches(self, project_id: int) -> list[benches.CheckBenchOut]:
        """What the checks find of planted errors, the newest bench first."""
        return self._list(benches.CheckBenchOut, f"/v1/projects/{project_id}/check-benches")

    def checkers(self, project_id: int) -> list[checkers.CheckerOut]:
        """The project's own checkers and how good they are, the newest first."""
        return self._list(checkers.CheckerOut, f"/v1/projects/{project_id}/checkers")

    def routings(self, project_id: int) -> list[triage.RoutingOut]:
        """Every queue of a project of which something skipped review, newest first."""
        return self._list(triage.RoutingOut, f"/v1/projects/{project_id}/routings")

    def skipped(self, queue_id: int) -> triage.RoutingOut:
        """What of a queue skipped review, and how its guarantee stands."""
        return self._get(triage.RoutingOut, f"/v1/review-queues/{queue_id}/skipped")

    def return_skipped(self, queue_id: int) -> triage.RoutingOut:
        """Put what skipped into the queue, after what is there."""
        return self._post(triage.RoutingOut, f"/v1/review-queues/{queue_id}/skipped/return")


class Judges(Resource):
    """Judges in versions, and what they may."""

    def add(self, project_id: int, body: judges.JudgeIn) -> judges.JudgeOut:
        """Keep a judge; the same content is the version that stands."""
        return self._create(judges.JudgeOut, f"/v1/projects/{project_id}/judges", body)

    def get(self, judge_id: int) -> judges.JudgeOut:
        """One version of a judge."""
        return self._get(judges.JudgeOut, f"/v1/judges/{judge_id}")

    def pairs(self, judge_id: int) -> list[judges.JudgedPairs]:
        """What a comparer said, by run, newest first."""
        return self._list(judges.JudgedPairs, f"/v1/judges/{judge_id}/pairs")

    def ask_licence(self, judge_id: int, body: judges.AskLicence) -> judges.JudgeOut:
        """Ask for a licence by the reviews of a queue."""
        return self._create(judges.JudgeOut, f"/v1/judges/{judge_id}/licences", body)

    def audit(self, judge_id: int) -> judges.JudgeOut:
        """Write down what later reviews refute."""
        return self._post(judges.JudgeOut, f"/v1/judges/{judge_id}/audit")

    def list(self, project_id: int) -> list[judges.JudgeOut]:
        """All versions of all judges."""
        return self._list(judges.JudgeOut, f"/v1/projects/{project_id}/judges")


class Risks(Resource):
    """The risk that a project learned from its own reviews, in versions."""

    def fit(self, project_id: int, body: risk.RiskIn) -> risk.RiskVersionOut:
        """Fit the next version."""
        return self._create(risk.RiskVersionOut, f"/v1/projects/{project_id}/risks", body)

    def get(self, risk_id: int) -> risk.RiskVersionOut:
        """One version."""
        return self._get(risk.RiskVersionOut, f"/v1/risks/{risk_id}")

    def list(self, project_id: int) -> list[risk.RiskVersionOut]:
        """All versions, the newest first."""
        return self._list(risk.RiskVersionOut, f"/v1/projects/{project_id}/risks")

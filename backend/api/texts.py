"""What each route gives out: texts of people and of models, or none.

A new route has its line here, in TEXTS or in NO_TEXTS; a test walks the rules for what is in
neither, and another looks for texts in the answers of NO_TEXTS. What a person sends and is given
back at once, and where in a text something stands, is no text given out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Ids = Callable[[Any], Sequence[int]]


def _each(name: str) -> Ids:
    """The ids of a list, or of the items of a page."""

    def ids(answer: Any) -> Sequence[int]:
        rows: Any = getattr(answer, "items", answer)
        return [getattr(row, name) for row in rows]

    return ids


def _claimed(answer: Any) -> Sequence[int]:
    """The slot of a claim, or of the claim that an answer brings with it."""
    claim = getattr(answer, "claim", None)
    if claim is not None:
        return [claim.slot_id]
    following = getattr(answer, "next", None)
    return [] if following is None else _claimed(following)


def _outcomes(answer: Any) -> Sequence[int]:
    """The reviews of which a yield tells."""
    return [one.review_id for one in answer.examples]


@dataclass(frozen=True, slots=True)
class Texts:
    """What a route gives out.

    Attributes:
        of: what the texts are, in the plural.
        ids: finds the ids of them in the answer. Without ids and count it is the one thing that the
            path names.
        count: counts them, where their ids are not told.
        subject: the path parameter that says of what they are; the first one unless it is said.
        about: the subject of a route whose path names none.
        export: the answer is a file that streams: its begin and its end are recorded.
    """

    of: str
    ids: Ids | None = None
    count: Callable[[Any], int] | None = None
    subject: str | None = None
    about: str = ""
    export: bool = False


TEXTS: dict[str, Texts] = {
    "GET /v1/dataset-versions/{dataset_version_id}/examples": Texts("examples", _each("id")),
    "GET /v1/examples/{example_id}/original": Texts("originals"),
    "GET /v1/projects/{project_id}/prompts": Texts("prompts", _each("id")),
    "GET /v1/prompts/{prompt_id}": Texts("prompts"),
    "GET /v1/prompts/{prompt_id}/diff": Texts("prompts"),
    "GET /v1/prompts/{prompt_id}/messages": Texts("rendered prompts"),
    "GET /v1/generation-runs/{generation_run_id}/generations": Texts("outputs", _each("id")),
    "GET /v1/generations/{generation_id}": Texts("outputs"),
    "GET /v1/score-runs/{score_run_id}/scores": Texts("scores", export=True),
    "GET /v1/score-runs/{score_run_id}/classes": Texts("labels", count=len),
    "POST /v1/projects/{project_id}/review-designs": Texts(
        "drawn examples", count=lambda answer: len(answer.examples)
    ),
    "GET /v1/my/review-queues/{queue_id}/reviews": Texts("own reviews", _each("review_id")),
    "GET /v1/my/review-queues/{queue_id}/lapsed": Texts("items", _claimed),
    "GET /v1/my/review-queues/{queue_id}/gold-results": Texts("known answers", _each("result_id")),
    "POST /v1/my/gold-results/{result_id}/contest": Texts("known answers"),
    "POST /v1/review-queues/{queue_id}/claim": Texts("items", _claimed),
    "POST /v1/review-queues/{queue_id}/adjudications/claim": Texts("items", _claimed),
    "POST /v1/my/reviews/{review_id}/revise": Texts("items", _claimed),
    "POST /v1/review-slots/{slot_id}/submit": Texts("items", _claimed),
    "POST /v1/review-slots/{slot_id}/skip": Texts("items", _claimed),
    "GET /v1/review-queues/{queue_id}/reviews": Texts("reviews", _each("id")),
    "GET /v1/review-queues/{queue_id}/gold": Texts("known answers", _each("id")),
    "GET /v1/review-queues/{queue_id}/gold-contests": Texts(
        "contested answers", _each("result_id")
    ),
    "GET /v1/review-queues/{queue_id}/adjudications": Texts("disagreements", _each("id")),
    "GET /v1/review-queues/{queue_id}/export": Texts("reviews", export=True),
    "GET /v1/training-sets/{training_set_id}/export": Texts("training rows", export=True),
    "GET /v1/comparisons/{comparison_id}/flips": Texts(
        "examples", lambda answer: [one.example_id for one in answer.examples]
    ),
    "GET /v1/comparisons/{comparison_id}/dossier": Texts("dossiers"),
    "GET /v1/rounds/{round_id}/yield": Texts("reviewed prompts", _outcomes),
    "GET /v1/projects/{project_id}/yield": Texts("reviewed prompts", _outcomes),
    "GET /v1/audit/export": Texts("entries", export=True, about="audit:log"),
    "GET /v1/projects/{project_id}/lineage": Texts(
        "things of a lineage", count=lambda answer: len(answer.nodes)
    ),
    "GET /v1/health-reports/{health_report_id}/findings": Texts(
        "flagged examples", _each("example_id")
    ),
    "GET /v1/draftings/{drafting_id}/drafts": Texts("drafts", _each("id")),
}
NO_TEXTS = frozenset(
    {
        "GET /healthz",
        "GET /metrics",
        "GET /docs",
        "GET /openapi.json",
        "GET /v1/login",
        "POST /v1/login",
        "GET /v1/logout",
        "POST /v1/logout",
        "GET /v1/me",
        "POST /v1/me/password",
        "GET /v1/me/sessions",
        "DELETE /v1/me/sessions/{session_id}",
        "GET /v1/me/tokens",
        "POST /v1/me/tokens",
        "DELETE /v1/me/tokens/{token_id}",
        "GET /v1/users",
        "POST /v1/users",
        "PATCH /v1/users/{user_id}",
        "GET /v1/login/code",
        "POST /v1/login/code",
        "GET /v1/sign-in-ways",
        "GET /v1/oidc/start",
        "GET /v1/oidc/callback",
        "POST /v1/oidc/backchannel-logout",
        "GET /v1/reset",
        "POST /v1/reset",
        "GET /v1/way-in",
        "POST /v1/way-in",
        "GET /v1/me/second-factor",
        "POST /v1/me/second-factor",
        "POST /v1/me/second-factor/confirm",
        "POST /v1/me/second-factor/remove",
        "POST /v1/users/{user_id}/reset-links",
        "DELETE /v1/users/{user_id}/second-factor",
        "GET /v1/projects/{project_id}/users",
        "PUT /v1/projects/{project_id}/users/{user_id}",
        "DELETE /v1/projects/{project_id}/users/{user_id}",
        "GET /v1/my/review-queues",
        "GET /v1/my/review-queues/{queue_id}",
        "PUT /v1/review-slots/{slot_id}/draft",
        "POST /v1/review-slots/{slot_id}/heartbeat",
        "GET /v1/review-slots/{slot_id}/links",
        "GET /v1/dossier-key",
        "GET /v1/projects/{project_id}/dossier-answers",
        "POST /v1/projects/{project_id}/dossier-answers",
        "GET /v1/kinds",
        "GET /v1/projects",
        "POST /v1/projects",
        "GET /v1/projects/{project_id}",
        "GET /v1/projects/{project_id}/manifests",
        "POST /v1/projects/{project_id}/manifests",
        "GET /v1/projects/{project_id}/datasets",
        "POST /v1/projects/{project_id}/datasets",
        "POST /v1/projects/{project_id}/prompts",
        "GET /v1/projects/{project_id}/model-versions",
        "POST /v1/projects/{project_id}/model-versions",
        "POST /v1/projects/{project_id}/served-models",
        "GET /v1/projects/{project_id}/generation-runs",
        "POST /v1/projects/{project_id}/generation-runs",
        "POST /v1/projects/{project_id}/generation-runs/import",
        "GET /v1/generation-runs/{generation_run_id}",
        "POST /v1/generation-runs/{generation_run_id}/resume",
        "POST /v1/generation-runs/{generation_run_id}/cancel",
        "GET /v1/generation-runs/{generation_run_id}/score-runs",
        "POST /v1/generation-runs/{generation_run_id}/score-runs",
        "GET /v1/score-runs/{score_run_id}",
        "POST /v1/score-runs/{score_run_id}/cancel",
        "GET /v1/score-runs/{score_run_id}/differences",
        "GET /v1/projects/{project_id}/risks",
        "POST /v1/projects/{project_id}/risks",
        "GET /v1/risks/{risk_id}",
        "GET /v1/projects/{project_id}/review-queues",
        "POST /v1/projects/{project_id}/review-queues",
        "GET /v1/projects/{project_id}/review-defaults",
        "GET /v1/review-queues/{queue_id}",
        "POST /v1/review-queues/{queue_id}/close",
        "GET /v1/review-queues/{queue_id}/preferences",
        "GET /v1/review-queues/{queue_id}/report",
        "GET /v1/review-queues/{queue_id}/agreement",
        "GET /v1/review-queues/{queue_id}/estimates",
        "GET /v1/review-queues/{queue_id}/watch",
        "GET /v1/review-queues/{queue_id}/effects",
        "GET /v1/review-queues/{queue_id}/reviewers",
        "GET /v1/projects/{project_id}/routings",
        "GET /v1/review-queues/{queue_id}/skipped",
        "POST /v1/review-queues/{queue_id}/skipped/return",
        "GET /v1/review-queues/{queue_id}/label-studio-config",
        "GET /v1/review-queues/{queue_id}/argilla-settings",
        "POST /v1/review-queues/{queue_id}/imports",
        "GET /v1/projects/{project_id}/webhooks",
        "POST /v1/projects/{project_id}/webhooks",
        "DELETE /v1/webhooks/{webhook_id}",
        "POST /v1/webhooks/{webhook_id}/test",
        "GET /v1/webhooks/{webhook_id}/deliveries",
        "POST /v1/webhook-deliveries/{delivery_id}/retry",
        "POST /v1/review-queues/{queue_id}/gold",
        "POST /v1/review-queues/{queue_id}/gold/adjudicated",
        "GET /v1/review-queues/{queue_id}/gold-standing",
        "POST /v1/review-queues/{queue_id}/pauses",
        "POST /v1/review-queues/{queue_id}/pauses/lift",
        "POST /v1/gold-results/{result_id}/resolve",
        "POST /v1/gold-answers/{gold_id}/withdraw",
        "GET /v1/review-queues/{queue_id}/adjudications/progress",
        "GET /v1/rubric-library",
        "GET /v1/projects/{project_id}/rubrics",
        "POST /v1/projects/{project_id}/rubrics",
        "GET /v1/projects/{project_id}/judges",
        "POST /v1/projects/{project_id}/judges",
        "GET /v1/judges/{judge_id}",
        "GET /v1/judges/{judge_id}/pairs",
        "POST /v1/judges/{judge_id}/licences",
        "POST /v1/judges/{judge_id}/audit",
        "GET /v1/projects/{project_id}/training-sets",
        "POST /v1/projects/{project_id}/training-sets",
        "GET /v1/projects/{project_id}/training-runs",
        "POST /v1/projects/{project_id}/training-runs",
        "GET /v1/training-runs/{training_run_id}",
        "POST /v1/training-runs/{training_run_id}/cancel",
        "GET /v1/training-runs/{training_run_id}/progress",
        "GET /v1/projects/{project_id}/comparisons",
        "GET /v1/projects/{project_id}/costs",
        "POST /v1/projects/{project_id}/comparisons",
        "GET /v1/projects/{project_id}/masking",
        "POST /v1/projects/{project_id}/masking-policies",
        "GET /v1/comparisons/{comparison_id}",
        "GET /v1/comparisons/{comparison_id}/slices",
        "GET /v1/projects/{project_id}/promotions",
        "POST /v1/projects/{project_id}/promotions",
        "GET /v1/projects/{project_id}/rounds",
        "POST /v1/projects/{project_id}/rounds",
        "GET /v1/rounds/{round_id}",
        "GET /v1/projects/{project_id}/yield-curve",
        "GET /v1/projects/{project_id}/check-benches",
        "GET /v1/projects/{project_id}/yield-forecast",
        "GET /v1/projects/{project_id}/checkers",
        "POST /v1/projects/{project_id}/replays",
        "POST /v1/rounds/{round_id}/pause",
        "POST /v1/rounds/{round_id}/resume",
        "POST /v1/rounds/{round_id}/cancel",
        "POST /v1/rounds/{round_id}/sign",
        "POST /v1/reviews/{review_id}/withdraw",
        "GET /v1/audit",
        "GET /v1/audit/status",
        "GET /v1/projects/{project_id}/audit",
        "GET /v1/jobs",
        "GET /v1/projects/{project_id}/jobs",
        "GET /v1/projects/{project_id}/health-reports",
        "POST /v1/projects/{project_id}/health-reports",
        "GET /v1/health-reports/{health_report_id}",
        "POST /v1/health-reports/{health_report_id}/review",
        "GET /v1/projects/{project_id}/draftings",
        "POST /v1/projects/{project_id}/draftings",
        "GET /v1/draftings/{drafting_id}",
        "POST /v1/draftings/{drafting_id}/queues",
        "POST /v1/draftings/{drafting_id}/cancel",
        "GET /v1/fairness-lists",
        "GET /v1/generation-runs/{generation_run_id}/slice-keys",
        "GET /v1/score-runs/{score_run_id}/parity",
        "GET /v1/review-queues/{queue_id}/parity",
        "GET /v1/projects/{project_id}/counterfactuals",
        "POST /v1/projects/{project_id}/counterfactuals",
        "GET /v1/generation-runs/{generation_run_id}/counterfactuals",
        "GET /v1/training-sets/{training_set_id}/mentions",
        "GET /v1/projects/{project_id}/erasures",
        "GET /v1/projects/{project_id}/erasures/preview",
        "POST /v1/projects/{project_id}/erasures",
        "GET /v1/projects/{project_id}/retention",
        "PUT /v1/projects/{project_id}/retention",
        "POST /v1/users/{user_id}/erase",
    }
)

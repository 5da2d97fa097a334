"""Who may call what: one line for each route. A route without a line stops the server's start.

The id in a route's path says whose thing it is: ENGINEER means an admin, or an engineer or lead of
the project to which it belongs; LEAD means an admin or a lead of that project; REVIEWER means a
member of the queue, whatever the role.
"""

from __future__ import annotations

from enum import StrEnum


class Access(StrEnum):
    """Who may call a route."""

    PUBLIC = "public"
    SIGNED_IN = "signed in"
    REVIEWER = "reviewer of the queue"
    ENGINEER = "engineer of the project"
    LEAD = "lead of the project"
    ADMIN = "admin"


RULES: dict[str, Access] = {
    "GET /healthz": Access.PUBLIC,
    "GET /metrics": Access.ENGINEER,
    "GET /docs": Access.PUBLIC,
    "GET /openapi.json": Access.PUBLIC,
    # people
    "GET /v1/login": Access.PUBLIC,
    "POST /v1/login": Access.PUBLIC,
    "GET /v1/logout": Access.PUBLIC,
    "POST /v1/logout": Access.SIGNED_IN,
    "GET /v1/me": Access.SIGNED_IN,
    "GET /v1/me/tokens": Access.ENGINEER,
    "POST /v1/me/tokens": Access.ENGINEER,
    "DELETE /v1/me/tokens/{token_id}": Access.ENGINEER,
    "GET /v1/users": Access.ADMIN,
    "POST /v1/users": Access.ADMIN,
    "GET /v1/projects/{project_id}/users": Access.ENGINEER,
    # the desk: an expert reaches this and nothing else
    "GET /v1/my/review-queues": Access.SIGNED_IN,
    "GET /v1/my/review-queues/{queue_id}": Access.REVIEWER,
    "GET /v1/my/review-queues/{queue_id}/reviews": Access.REVIEWER,
    "POST /v1/review-queues/{queue_id}/claim": Access.REVIEWER,
    "PUT /v1/review-slots/{slot_id}/draft": Access.REVIEWER,
    "POST /v1/review-slots/{slot_id}/heartbeat": Access.REVIEWER,
    "POST /v1/review-slots/{slot_id}/submit": Access.REVIEWER,
    "POST /v1/review-slots/{slot_id}/skip": Access.REVIEWER,
    "GET /v1/review-slots/{slot_id}/links": Access.REVIEWER,
    "POST /v1/review-queues/{queue_id}/adjudications/claim": Access.REVIEWER,
    "POST /v1/my/reviews/{review_id}/revise": Access.REVIEWER,
    "GET /v1/my/review-queues/{queue_id}/gold-results": Access.REVIEWER,
    "POST /v1/my/gold-results/{result_id}/contest": Access.REVIEWER,
    # a project, in the order of the loop
    "GET /v1/projects": Access.SIGNED_IN,
    "POST /v1/projects": Access.ADMIN,
    "GET /v1/projects/{project_id}": Access.ENGINEER,
    "GET /v1/projects/{project_id}/manifests": Access.ENGINEER,
    "POST /v1/projects/{project_id}/manifests": Access.ENGINEER,
    "GET /v1/projects/{project_id}/datasets": Access.ENGINEER,
    "POST /v1/projects/{project_id}/datasets": Access.ENGINEER,
    "GET /v1/dataset-versions/{dataset_version_id}/examples": Access.ENGINEER,
    "GET /v1/projects/{project_id}/model-versions": Access.ENGINEER,
    "POST /v1/projects/{project_id}/model-versions": Access.ENGINEER,
    "GET /v1/projects/{project_id}/generation-runs": Access.ENGINEER,
    "POST /v1/projects/{project_id}/generation-runs": Access.ENGINEER,
    "GET /v1/generation-runs/{generation_run_id}": Access.ENGINEER,
    "POST /v1/generation-runs/{generation_run_id}/resume": Access.ENGINEER,
    "POST /v1/generation-runs/{generation_run_id}/cancel": Access.ENGINEER,
    "GET /v1/generation-runs/{generation_run_id}/generations": Access.ENGINEER,
    "GET /v1/generation-runs/{generation_run_id}/score-runs": Access.ENGINEER,
    "POST /v1/generation-runs/{generation_run_id}/score-runs": Access.ENGINEER,
    "GET /v1/generations/{generation_id}": Access.ENGINEER,
    "GET /v1/score-runs/{score_run_id}": Access.ENGINEER,
    "POST /v1/score-runs/{score_run_id}/cancel": Access.ENGINEER,
    "GET /v1/score-runs/{score_run_id}/differences": Access.ENGINEER,
    "GET /v1/score-runs/{score_run_id}/classes": Access.ENGINEER,
    "GET /v1/score-runs/{score_run_id}/scores": Access.ENGINEER,
    "GET /v1/projects/{project_id}/review-queues": Access.ENGINEER,
    "POST /v1/projects/{project_id}/review-queues": Access.ENGINEER,
    "GET /v1/projects/{project_id}/review-defaults": Access.ENGINEER,
    "POST /v1/projects/{project_id}/review-designs": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}": Access.ENGINEER,
    "POST /v1/review-queues/{queue_id}/close": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/preferences": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/report": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/agreement": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/estimates": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/watch": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/effects": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/reviewers": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/reviews": Access.ENGINEER,
    # out of and into other tools
    "GET /v1/review-queues/{queue_id}/export": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/label-studio-config": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/argilla-settings": Access.ENGINEER,
    "POST /v1/review-queues/{queue_id}/imports": Access.ENGINEER,
    "GET /v1/projects/{project_id}/webhooks": Access.ENGINEER,
    "POST /v1/projects/{project_id}/webhooks": Access.ENGINEER,
    "DELETE /v1/webhooks/{webhook_id}": Access.ENGINEER,
    "POST /v1/webhooks/{webhook_id}/test": Access.ENGINEER,
    "GET /v1/webhooks/{webhook_id}/deliveries": Access.ENGINEER,
    "POST /v1/webhook-deliveries/{delivery_id}/retry": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/gold": Access.ENGINEER,
    "POST /v1/review-queues/{queue_id}/gold": Access.ENGINEER,
    "POST /v1/review-queues/{queue_id}/gold/adjudicated": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/gold-standing": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/gold-contests": Access.ENGINEER,
    "POST /v1/review-queues/{queue_id}/pauses": Access.ENGINEER,
    "POST /v1/review-queues/{queue_id}/pauses/lift": Access.ENGINEER,
    "POST /v1/gold-results/{result_id}/resolve": Access.ENGINEER,
    "POST /v1/gold-answers/{gold_id}/withdraw": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/adjudications": Access.ENGINEER,
    "GET /v1/review-queues/{queue_id}/adjudications/progress": Access.ENGINEER,
    "GET /v1/rubric-library": Access.ENGINEER,
    "GET /v1/projects/{project_id}/rubrics": Access.ENGINEER,
    "POST /v1/projects/{project_id}/rubrics": Access.ENGINEER,
    "GET /v1/projects/{project_id}/training-sets": Access.ENGINEER,
    "POST /v1/projects/{project_id}/training-sets": Access.ENGINEER,
    "GET /v1/training-sets/{training_set_id}/export": Access.ENGINEER,
    "GET /v1/projects/{project_id}/training-runs": Access.ENGINEER,
    "POST /v1/projects/{project_id}/training-runs": Access.ENGINEER,
    "GET /v1/training-runs/{training_run_id}": Access.ENGINEER,
    "POST /v1/training-runs/{training_run_id}/cancel": Access.ENGINEER,
    "GET /v1/training-runs/{training_run_id}/progress": Access.ENGINEER,
    "GET /v1/projects/{project_id}/comparisons": Access.ENGINEER,
    "POST /v1/projects/{project_id}/comparisons": Access.ENGINEER,
    "GET /v1/comparisons/{comparison_id}": Access.ENGINEER,
    "GET /v1/comparisons/{comparison_id}/slices": Access.ENGINEER,
    "GET /v1/comparisons/{comparison_id}/flips": Access.ENGINEER,
    "GET /v1/projects/{project_id}/promotions": Access.ENGINEER,
    "POST /v1/projects/{project_id}/promotions": Access.LEAD,
    "GET /v1/projects/{project_id}/rounds": Access.ENGINEER,
    "POST /v1/projects/{project_id}/rounds": Access.ENGINEER,
    "GET /v1/rounds/{round_id}": Access.ENGINEER,
    "GET /v1/rounds/{round_id}/yield": Access.ENGINEER,
    "GET /v1/projects/{project_id}/yield": Access.ENGINEER,
    "GET /v1/projects/{project_id}/yield-curve": Access.ENGINEER,
    "POST /v1/projects/{project_id}/replays": Access.ENGINEER,
    "POST /v1/rounds/{round_id}/pause": Access.ENGINEER,
    "POST /v1/rounds/{round_id}/resume": Access.ENGINEER,
    "POST /v1/rounds/{round_id}/cancel": Access.ENGINEER,
    "POST /v1/rounds/{round_id}/sign": Access.LEAD,
    "GET /v1/projects/{project_id}/lineage": Access.ENGINEER,
    "POST /v1/reviews/{review_id}/withdraw": Access.ENGINEER,
    "GET /v1/jobs": Access.ADMIN,
    "GET /v1/projects/{project_id}/jobs": Access.ENGINEER,
}

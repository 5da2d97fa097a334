"""Routes, one module per stage; `ROUTERS` is all of them in the order of the loop."""

from backend.api.routes import (
    access_links,
    audit,
    checks,
    costs,
    curation,
    datasets,
    erasure,
    exchange,
    fairness,
    health,
    masking,
    oidc,
    projects,
    prompts,
    rounds,
    second_factor,
    sign_in,
    synthetic,
    training,
    webhooks,
    yields,
)
from backend.api.routes import accounts as users
from backend.api.routes import models as model_versions
from backend.api.routes.review import adjudication, desk, gold, rubrics
from backend.api.routes.review import queues as review
from backend.api.routes.review import reports as review_reports
from backend.api.routes.runs import generation, scoring
from backend.api.routes.verdicts import comparison, dossier, promotion

STAGES = (
    sign_in,
    oidc,
    access_links,
    second_factor,
    users,
    desk,
    projects,
    datasets,
    masking,
    health,
    prompts,
    model_versions,
    generation,
    scoring,
    rubrics,
    review,
    review_reports,
    gold,
    adjudication,
    exchange,
    webhooks,
    synthetic,
    curation,
    training,
    *checks.STAGES,
    fairness,
    comparison,
    dossier,
    promotion,
    rounds,
    yields,
    costs,
    audit,
    erasure,
)
ROUTERS = [stage.router for stage in STAGES]

"""Routes, one module per stage; `ROUTERS` is all of them in the order of the loop."""

from backend.api.routes import (
    adjudication,
    comparison,
    curation,
    datasets,
    desk,
    exchange,
    generation,
    gold,
    model_versions,
    projects,
    promotion,
    review,
    review_reports,
    rubrics,
    scoring,
    training,
    users,
    webhooks,
)

STAGES = (
    users,
    desk,
    projects,
    datasets,
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
    curation,
    training,
    comparison,
    promotion,
)
ROUTERS = [stage.router for stage in STAGES]

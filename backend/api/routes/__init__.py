"""Routes, one module per stage; `ROUTERS` is all of them in the order of the loop."""

from backend.api.routes import (
    comparison,
    curation,
    datasets,
    desk,
    exchange,
    generation,
    model_versions,
    projects,
    promotion,
    review,
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
    review,
    exchange,
    webhooks,
    curation,
    training,
    comparison,
    promotion,
)
ROUTERS = [stage.router for stage in STAGES]

"""Routes, one module per stage; `ROUTERS` is all of them in the order of the loop."""

from backend.api.routes import (
    comparison,
    curation,
    datasets,
    desk,
    generation,
    model_versions,
    projects,
    promotion,
    review,
    scoring,
    training,
    users,
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
    curation,
    training,
    comparison,
    promotion,
)
ROUTERS = [stage.router for stage in STAGES]

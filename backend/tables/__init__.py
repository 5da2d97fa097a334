"""Tables, one module per stage; importing this package registers them all on `Base`."""

from backend.db import Base
from backend.tables import (
    comparison,
    curation,
    datasets,
    generation,
    model_versions,
    projects,
    promotion,
    quality,
    queue,
    review,
    rounds,
    scoring,
    training,
    users,
    webhooks,
)

__all__ = [
    "Base",
    "comparison",
    "curation",
    "datasets",
    "generation",
    "model_versions",
    "projects",
    "promotion",
    "quality",
    "queue",
    "review",
    "rounds",
    "scoring",
    "training",
    "users",
    "webhooks",
]

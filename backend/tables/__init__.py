"""Tables, one module per stage; importing this package registers them all on `Base`."""

from backend.db import Base
from backend.tables import accounts as users
from backend.tables import (
    audit,
    checks,
    curation,
    datasets,
    dossier,
    erasure,
    health,
    masking,
    projects,
    queue,
    review,
    rounds,
    sign_in,
    synthetic,
    training,
    webhooks,
)
from backend.tables import models as model_versions
from backend.tables import review as quality
from backend.tables import runs as generation
from backend.tables import runs as scoring
from backend.tables import verdicts as comparison
from backend.tables import verdicts as promotion

__all__ = [
    "Base",
    "audit",
    "checks",
    "comparison",
    "curation",
    "datasets",
    "dossier",
    "erasure",
    "generation",
    "health",
    "masking",
    "model_versions",
    "projects",
    "promotion",
    "quality",
    "queue",
    "review",
    "rounds",
    "scoring",
    "sign_in",
    "synthetic",
    "training",
    "users",
    "webhooks",
]

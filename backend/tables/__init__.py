"""Tables, one module per stage; importing this package registers them all on `Base`."""

from backend.db import Base as Base
from backend.tables import (  # noqa: F401
    accounts,
    audit,
    checks,
    curation,
    datasets,
    dossier,
    erasure,
    health,
    masking,
    models,
    projects,
    queue,
    review,
    rounds,
    runs,
    sign_in,
    synthetic,
    training,
    verdicts,
    webhooks,
)

"""Answers that are kept under idempotency keys: sealed, so opened to be searched."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Conflict
from backend.services.accounts.sealing import open_seal
from backend.services.erasure.passages import Passages, json_or_text
from backend.settings import Settings
from backend.tables.accounts import IdempotencyKey

GONE = 410


def clear_answers(
    session: Session, settings: Settings, both: Sequence[Passages], counts: dict[str, int]
) -> None:
    """Let an answer that holds an erased text say so instead; its request is not done twice.

    One that cannot be opened, sealed under a key that is no more here, is cleared as well.
    """
    seal = open_seal(settings)
    n = 0
    for kept in session.scalars(select(IdempotencyKey).execution_options(yield_per=200)).all():
        try:
            body = json_or_text(seal.open(kept.body))
            holds = any(passages.holds(body) for passages in both)
        except Conflict:
            holds = True
        if holds:
            kept.status, n = GONE, n + 1
            kept.body = seal.close(json.dumps({"title": "What this answer held was erased."}))
    if n:
        counts["idempotency_keys"] = n
    session.flush()

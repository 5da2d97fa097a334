"""A reviewer in a process of its own: `python -m tests.claim_process URL QUEUE USER`.

Claims and submits until nothing is left and prints each item.
"""

from __future__ import annotations

import sys

from backend.db import open_database, session_factory
from backend.services import review
from tests.fixtures_review import GOOD, NOW


def main(url: str, queue_id: int, user_id: int) -> None:
    """Work as this user."""
    sessions = session_factory(open_database(url))
    while True:
        with sessions.begin() as session:
            claim = review.claim_review_item(session, queue_id, user_id, now=NOW)
        if claim is None:
            return
        print(claim.slot_id, flush=True)
        with sessions.begin() as session:
            review.submit_review(
                session,
                slot_id=claim.slot_id,
                version=claim.version,
                user_id=user_id,
                answer=review.Answer(GOOD),
                now=NOW,
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

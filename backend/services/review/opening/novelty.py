"""How unlike earlier cases a case is: the distance to the nearest one that was reviewed.

Words and pairs of words of input and source, weighted by TF-IDF with sublinear counts and unit
length (scikit-learn); the distance is 1 - cosine to the nearest example that has a counted review
in the project, 0 for the same text and 1 for no word in common.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import CannotCompute
from backend.services.review.counted import counts
from backend.tables.datasets import Example
from backend.tables.review import Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation

CHARACTERS = 20_000
CHUNK = 500
FEATURES = 100_000


def distances_to_reviewed(
    session: Session, project_id: int, example_ids: Sequence[int]
) -> dict[int, float]:
    """Of each of these examples the distance to the nearest reviewed one, 0 to 1.

    Raises:
        CannotCompute: nothing was reviewed in the project yet.
    """
    reviewed = sorted(_reviewed_examples(session, project_id))
    if not reviewed:
        raise CannotCompute(
            "Nothing was reviewed in this project yet, so everything is new.",
            hint="Open a random queue first: strop review open --design random",
        )
    fresh = sorted(set(example_ids))
    texts = _texts(session, sorted({*reviewed, *fresh}))
    distances = nearest_distances([texts[i] for i in fresh], [texts[i] for i in reviewed])
    return dict(zip(fresh, distances, strict=True))


def nearest_distances(texts: Sequence[str], reviewed: Sequence[str]) -> list[float]:
    """1 - cosine of TF-IDF vectors to the nearest of `reviewed`, for each text.

    Raises:
        CannotCompute: the texts have no words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), max_features=FEATURES, token_pattern=r"(?u)\b\w+\b"
    )
    try:
        vectorizer.fit([*reviewed, *texts])
    except ValueError as error:
        raise CannotCompute("The cases have no words by which to tell them apart.") from error
    known = vectorizer.transform(reviewed).T.tocsr()
    new = vectorizer.transform(texts)
    found: list[float] = []
    for start in range(0, len(texts), CHUNK):
        likeness = (new[start : start + CHUNK] @ known).max(axis=1).toarray().ravel()
        found += [min(1.0, max(0.0, 1.0 - float(near))) for near in likeness]
    return found


def _reviewed_examples(session: Session, project_id: int) -> set[int]:
    query = (
        select(Generation.example_id)
        .join(ReviewItem, ReviewItem.generation_a_id == Generation.id)
        .join(Review, Review.item_id == ReviewItem.id)
        .join(ReviewQueue, ReviewQueue.id == ReviewItem.queue_id)
        .where(ReviewQueue.project_id == project_id, *counts())
        .distinct()
    )
    return set(session.scalars(query))


def _texts(session: Session, example_ids: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for start in range(0, len(example_ids), CHUNK):
        query = select(Example.id, Example.input, Example.context).where(
            Example.id.in_(example_ids[start : start + CHUNK])
        )
        for example_id, given, context in session.execute(query):
            found[example_id] = f"{given}\n{context or ''}"[:CHARACTERS]
    return found

"""Shots: which solved examples stand before a question, and that none of them tells an answer.

Shots come from the train split of the dataset version that is asked, and have a reference. Left out
is whatever the guards of training sets would leave out: what is held out anywhere in the project,
under any id, and near-duplicates of it, prompts and answers. Of an example of the train split
itself, so are its group and its near-duplicates.

BM25: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", with
k1 = 1.2 and b = 0.75, each word of the question counted once, and the logarithm of 1 + odds, which
is never negative. Words are runs of letters and digits, in lower case.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.errors import InvalidInput, raised_as
from backend.services.datasets.conversations import content_text
from backend.services.datasets.leaks import find_leaks, held_out_sides, sides_of
from backend.services.datasets.near_duplicates import near_duplicate_pairs
from backend.services.datasets.prompts.prompts import (
    Choose,
    PromptSpec,
    ShotsSpec,
    example_text,
    prompt_spec,
    render_messages,
)
from backend.tables.datasets import DatasetVersion, Example, Split
from backend.tables.models import Prompt
from evaluators.spread import cut

K1, B = 1.2, 0.75
CHUNK = 256
WORDS = r"(?u)\w+"


@dataclass(frozen=True, slots=True)
class ShotPool:
    """The solved examples of the train split of one dataset version.

    Attributes:
        examples: in order of id.
        near: ids of examples of the train split that repeat another, by its id.
        barred: ids of those that repeat what is held out, as far as they were looked at.
    """

    version: str
    examples: tuple[Example, ...]
    near: Mapping[int, frozenset[int]] = field(default_factory=dict, repr=False)
    barred: frozenset[int] = frozenset()


def load_pool(session: Session, version: DatasetVersion, *, asks_train: bool = False) -> ShotPool:
    """What may be a shot for the examples of this version, but for what repeats held-out ones.

    Args:
        asks_train: examples of the train split are asked too, so that repeats among them count.
    """
    query = select(Example).where(
        Example.dataset_version_id == version.id,
        Example.split == Split.TRAIN,
        Example.erasure_id.is_(None),
    )
    trained = list(session.scalars(query.order_by(Example.id)))
    solved = tuple(e for e in trained if e.references and str(e.references[0]).strip())
    near = _repeats(trained) if asks_train else {}
    return ShotPool(f"{version.dataset.name}@{version.number}", solved, near)


def require_enough(session: Session, version: DatasetVersion, spec: ShotsSpec, name: str) -> None:
    """Raise InvalidInput where a train split has fewer rows than the shots asked for."""
    query = select(func.count(Example.id)).where(
        Example.dataset_version_id == version.id,
        Example.split == Split.TRAIN,
        Example.erasure_id.is_(None),
    )
    if (there := session.scalar(query) or 0) < spec.k:
        raise InvalidInput(
            f"The prompt {name} shows {spec.k} shots, and {version.dataset.name}@{version.number} "
            f"has only {there} examples in its train split.",
            hint="Ask for fewer.",
        )


def _repeats(trained: Sequence[Example]) -> dict[int, frozenset[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    for one, other in near_duplicate_pairs([content_text(e) for e in trained]):
        found[trained[one].id].add(trained[other].id)
        found[trained[other].id].add(trained[one].id)
    return {of: frozenset(ids) for of, ids in found.items()}


def safe_shots(
    session: Session,
    project_id: int,
    pool: ShotPool,
    spec: ShotsSpec,
    asked: Sequence[Example],
    *,
    name: str = "",
    encoders: Path | None = None,
) -> dict[int, list[Example]]:
    """The shots of each example by its id, none of which repeats what is held out.

    What is chosen is looked at, not the whole split; where one is a leak, the next is chosen.
    Errors as `choose_shots`.
    """
    found: dict[int, list[Example]] = {}
    checked: set[int] = set()
    todo = list(asked)
    while todo:
        chosen = choose_shots(pool, spec, todo, name=name, encoders=encoders)
        found |= {e.id: shots for e, shots in zip(todo, chosen, strict=True)}
        fresh = {shot.id: shot for e in todo for shot in found[e.id] if shot.id not in checked}
        leaking = _leaking(session, project_id, list(fresh.values()))
        checked |= set(fresh)
        pool = replace(pool, barred=pool.barred | leaking)
        todo = [e for e in todo if any(shot.id in pool.barred for shot in found[e.id])]
    return found


def _leaking(session: Session, project_id: int, shots: Sequence[Example]) -> set[int]:
    """Ids of those that a training set could not hold either."""
    if not shots:
        return set()
    sides = sides_of(session, [shot.id for shot in shots], answers=True)
    held_out = held_out_sides(session, project_id)
    owners = {leak.train.owner for leak in find_leaks(sides, held_out)}
    owners |= {side.digest for side in held_out if not side.is_answer}
    return {shot.id for shot in shots if shot.content_digest in owners}


def choose_shots(
    pool: ShotPool,
    spec: ShotsSpec,
    asked: Sequence[Example],
    *,
    name: str = "",
    encoders: Path | None = None,
) -> Iterator[list[Example]]:
    """The shots of each example, the one most like it last, next to the question.

    Args:
        name: of the prompt, for the sentence of an error.
        encoders: the folder below which an encoder may be named.

    Raises:
        InvalidInput: a named shot is no solved example of the train split or repeats what is held
            out, there are fewer than k, or the encoder is not there.
    """
    for example, order in zip(asked, _orders(pool, spec, asked, name, encoders), strict=True):
        chosen: list[Example] = []
        for place in order:
            if len(chosen) == spec.k:
                break
            if _may_show(pool, pool.examples[place], example):
                chosen.append(pool.examples[place])
        if len(chosen) < spec.k and not spec.ids:
            raise InvalidInput(
                f"The prompt {name} shows {spec.k} shots, and {pool.version} has only "
                f"{len(chosen)} solved examples in its train split that may stand before example "
                f"{example.external_id!r}.",
                hint="Ask for fewer; what repeats a held-out text is none.",
            )
        yield chosen if spec.choose is Choose.FIXED else chosen[::-1]


def _may_show(pool: ShotPool, shot: Example, asked: Example) -> bool:
    same = shot.id == asked.id or shot.content_digest == asked.content_digest
    if same or (shot.group is not None and shot.group == asked.group):
        return False
    return shot.id not in pool.barred and shot.id not in pool.near.get(asked.id, ())


def _orders(
    pool: ShotPool,
    spec: ShotsSpec,
    asked: Sequence[Example],
    name: str,
    encoders: Path | None,
) -> Iterable[Iterable[int]]:
    """For each example the places of the pool, the best first: as fixed, by BM25, or by the cosine
    of mean-pooled last hidden states."""
    if spec.choose is Choose.FIXED:
        return [_fixed(pool, spec, name)] * len(asked)
    if not pool.examples:
        return [[]] * len(asked)
    texts = [example_text(e) for e in pool.examples]
    questions = [example_text(e) for e in asked]
    if spec.choose is Choose.BM25:
        return _by_bm25(texts, questions)
    folder = encoder_folder(encoders, str(spec.encoder))
    known = _vectors(texts, folder)
    return chain.from_iterable(
        _best_first(_vectors(some, folder) @ known.T) for some in cut(questions, CHUNK)
    )


def _fixed(pool: ShotPool, spec: ShotsSpec, name: str) -> list[int]:
    """The named ones in their order, or all of them as the seed draws them."""
    places = {
        e.external_id: place for place, e in enumerate(pool.examples) if e.id not in pool.barred
    }
    if lacking := [shot for shot in spec.ids if shot not in places]:
        raise InvalidInput(
            f"The shot {lacking[0]!r} of the prompt {name} is no solved example of the train split "
            f"of {pool.version}, or repeats what is held out.",
            hint="Shots come from the train split only; name another.",
        )
    if spec.ids:
        return [places[shot] for shot in spec.ids]
    order = sorted(places)  # by the ids of the file, which are the same in every database
    random.Random(spec.seed).shuffle(order)
    return [places[shot] for shot in order]


def _by_bm25(texts: Sequence[str], questions: Sequence[str]) -> Iterator[Iterable[int]]:
    import numpy as np
    from scipy.sparse import csr_matrix, diags
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(token_pattern=WORDS, dtype=np.float64)
    try:
        counts = words.fit_transform(texts)
    except ValueError:  # no text has a word: all are equally far
        yield from ([*range(len(texts))] for _ in questions)
        return
    length = np.asarray(counts.sum(axis=1)).ravel()
    holders = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log1p((len(texts) - holders + 0.5) / (holders + 0.5))
    norm = K1 * (1 - B + B * length / length.mean())
    weights = counts.tocoo()
    weights.data = weights.data * (K1 + 1) / (weights.data + norm[weights.row])
    weighted = csr_matrix(weights) @ diags(idf)
    for some in cut(questions, CHUNK):
        asked = words.transform(some)
        asked.data[:] = 1
        yield from _best_first((asked @ weighted.T).toarray())


def _best_first(scores: Any) -> Iterator[Iterable[int]]:
    import numpy as np

    for row in scores:
        yield map(int, np.argsort(-row, kind="stable"))


def _vectors(texts: Sequence[str], folder: Path) -> Any:
    import numpy as np

    from evaluators.errors import EvaluatorError
    from evaluators.metrics.encoders import encode

    found = []
    with raised_as(InvalidInput, EvaluatorError):
        for some in cut(texts, CHUNK):  # token states of all texts would fill memory
            for state in encode(some, str(folder)):
                found.append(state.mean(0).numpy() if len(state) else np.zeros(state.shape[1]))
    stacked = np.stack(found)
    length = np.linalg.norm(stacked, axis=1, keepdims=True)
    return stacked / np.where(length == 0, 1, length)


def encoder_folder(encoders: Path | None, name: str) -> Path:
    """The folder of an encoder below that of a project's files; InvalidInput where it has none."""
    try:
        root = None if encoders is None else encoders.resolve()
        folder = None if root is None else (root / name).resolve()
        is_there = folder is not None and folder.is_dir()
    except (OSError, ValueError, RuntimeError):  # too long, a zero character, a circle
        root, folder, is_there = None, None, False
    if root is None or folder is None or not is_there or not folder.is_relative_to(root):
        raise InvalidInput(
            f"There is no encoder {name[:80]!r}.",
            hint="Copy it into the project's folder below the artifact root.",
        )
    return folder


def render_all(
    session: Session,
    project_id: int,
    examples: Sequence[Example],
    prompt: Prompt | None,
    *,
    with_shots: bool = True,
    encoders: Path | None = None,
) -> list[list[dict[str, str]]]:
    """The messages of many examples with one prompt, as `render_messages` makes them.

    Raises:
        InvalidInput: an example lacks what the prompt shows, or a shot cannot be shown.
    """
    spec = None if prompt is None else prompt_spec(prompt)
    spec = spec if with_shots or spec is None else spec.without_shots()
    label = "" if prompt is None else prompt.label
    return render_spec(session, project_id, examples, spec, name=label, encoders=encoders)


def render_spec(
    session: Session,
    project_id: int,
    examples: Sequence[Example],
    spec: PromptSpec | None,
    *,
    name: str = "",
    encoders: Path | None = None,
) -> list[list[dict[str, str]]]:
    """The same with a prompt that is not stored."""
    shots = _shots_of(session, project_id, examples, spec, name, encoders)
    return [
        render_messages(e, spec, shots.get(e.id, ()), name=f"{name} for example {e.external_id!r}")
        for e in examples
    ]


def _shots_of(
    session: Session,
    project_id: int,
    examples: Sequence[Example],
    spec: PromptSpec | None,
    name: str,
    encoders: Path | None,
) -> dict[int, list[Example]]:
    """The shots of each example by its id, from the train split of its own dataset version."""
    if spec is None or spec.shots is None:
        return {}
    by_version: dict[int, list[Example]] = defaultdict(list)
    for example in examples:
        by_version[example.dataset_version_id].append(example)
    found: dict[int, list[Example]] = {}
    for version_id, asked in by_version.items():
        version = session.get_one(DatasetVersion, version_id)
        of_train = any(e.split == Split.TRAIN for e in asked)
        pool = load_pool(session, version, asks_train=of_train)
        found |= safe_shots(
            session, project_id, pool, spec.shots, asked, name=name, encoders=encoders
        )
    return found

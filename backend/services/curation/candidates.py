"""From reviews and references to the rows that a recipe asks for; nothing is stored here.

Reviews of held-out examples have been set aside before they come here (see sources).
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.services.curation.formats import DPO, KTO, SFT
from backend.services.curation.recipes import Recipe, ReplayPart, Rule
from backend.tables.datasets import Example
from backend.tables.review import QueueKind, Review, Winner
from backend.tables.runs import Generation


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A row that is proposed for a set, with all that it rests on.

    Attributes:
        reviews: the reviews that decided; the first is the row's provenance.
        agreement: share of the output's reviews that decided as the row does; 1 without reviews.
        weight: what the row counts for in the loss; None counts as 1.
        asked: the messages of the row where they are not those of its example.
    """

    kind: str
    source: str
    example: Example
    completion: str
    rejected: str | None = None
    label: bool | None = None
    generation: Generation | None = None
    reviews: tuple[Review, ...] = ()
    agreement: float = 1.0
    weight: float | None = None
    asked: tuple[Mapping[str, str], ...] | None = None

    @property
    def is_answer(self) -> bool:
        """Whether it is an answer to imitate: only such rows are weighed and put in order."""
        return self.kind == SFT

    @property
    def answers(self) -> tuple[str, ...]:
        """What the row teaches to write, or not to."""
        return tuple(text for text in (self.completion, self.rejected) if text)


def latest_reviews(reviews: Iterable[Review]) -> list[Review]:
    """For each reviewer and each output (or pair) the newest review, oldest first."""
    newest: dict[tuple[int, frozenset[int | None]], Review] = {}
    for review in sorted(reviews, key=_age):
        item = review.item
        subject = frozenset({item.generation_a_id, item.generation_b_id})
        newest[review.reviewer_id, subject] = review
    return sorted(newest.values(), key=_age)


def propose_rows(recipe: Recipe, reviews: Sequence[Review]) -> list[CandidateRow]:
    """The rows that reviews give, SFT before DPO before KTO, in the order of the outputs."""
    outputs, pairs = reviewed_outputs(reviews), _reviewed_pairs(reviews)
    rows = [*_sft(recipe, outputs)]
    if recipe.dpo_corrections:
        rows += filter(None, map(_dpo_from_correction, outputs))
    if recipe.dpo_votes:
        rows += filter(None, map(_dpo_from_votes, pairs))
    if recipe.kto is not None:
        rows += [row for group in outputs if (row := _kto(recipe.kto, group)) is not None]
    return without_repeats(rows)


def reviewed_outputs(reviews: Iterable[Review]) -> list[list[Review]]:
    """The latest reviews of each output that was shown alone, in the order of the outputs."""
    single: dict[int, list[Review]] = defaultdict(list)
    for review in latest_reviews(reviews):
        if review.item.queue.kind == QueueKind.SINGLE:
            single[review.item.generation_a_id].append(review)
    return [single[key] for key in sorted(single)]


def _reviewed_pairs(reviews: Iterable[Review]) -> list[list[Review]]:
    pairs: dict[frozenset[int | None], list[Review]] = defaultdict(list)
    for review in latest_reviews(reviews):
        item = review.item
        if item.queue.kind != QueueKind.SINGLE:
            pairs[frozenset({item.generation_a_id, item.generation_b_id})].append(review)
    return sorted(pairs.values(), key=lambda group: group[0].item.generation_a_id)


def propose_references(
    replay: ReplayPart, examples: Sequence[Example], *, n_reviewed: int, seed: int
) -> list[CandidateRow]:
    """References to train on, in the order of the examples.

    Args:
        examples: those that may be taken; all have a reference.
        n_reviewed: SFT rows from reviews, of which `replay.share` is reckoned.
    """
    wanted = len(examples)
    if replay.count is not None:
        wanted = min(replay.count, wanted)
    elif replay.share is not None:
        wanted = min(round(n_reviewed * replay.share / (1 - replay.share)), wanted)
    chosen = random.Random(seed).sample(list(examples), wanted)
    return [reference_row(example) for example in sorted(chosen, key=lambda e: e.id)]


def row_of(
    kind: str,
    source: str,
    output: Generation,
    text: str | None,
    reviews: tuple[Review, ...],
    **more: Any,
) -> CandidateRow:
    """The row of a reviewed output: with another text in its place, or with its own."""
    completion = (output.text or "") if text is None else text
    about = {"generation": output, "reviews": reviews, **more}
    return CandidateRow(kind, source, output.example, completion, **about)


def reference_row(example: Example) -> CandidateRow:
    """The SFT row of an example's first reference."""
    return CandidateRow(SFT, "reference", example, str(example.references[0]))


def without_repeats(rows: Iterable[CandidateRow]) -> list[CandidateRow]:
    """The rows without those that say the same of the same prompt."""
    kept: dict[tuple[object, ...], CandidateRow] = {}
    for row in rows:
        key = (row.kind, row.example.content_digest, row.completion, row.rejected, row.label)
        kept.setdefault(key, row)
    return list(kept.values())


def _age(review: Review) -> tuple[float, int]:
    return (review.submitted_at.timestamp() if review.submitted_at else 0.0, review.id)


def meets(rule: Rule, review: Review) -> bool | None:
    """Whether the review meets the rule; None when it left the criterion blank."""
    for rating in review.ratings:
        if rating.criterion == rule.criterion:
            return rule.meets(rating.value, rating.number)
    return None


def newest_first(reviews: Sequence[Review]) -> tuple[Review, ...]:
    return tuple(sorted(reviews, key=_age, reverse=True))


def _sft(recipe: Recipe, outputs: Iterable[list[Review]]) -> Iterator[CandidateRow]:
    for reviews in outputs:
        output = reviews[0].item.generation_a
        approving = [
            review
            for review in reviews
            if recipe.approved and meets(recipe.approved, review) and not review.corrections
        ]
        corrected = newest_first([review for review in reviews if review.corrections])
        if 2 * len(approving) > len(reviews):
            share = len(approving) / len(reviews)
            yield row_of(SFT, "approved", output, None, newest_first(approving), agreement=share)
        elif recipe.corrected and corrected:
            text, share = corrected[0].corrections[0].text, len(corrected) / len(reviews)
            yield row_of(SFT, "corrected", output, text, corrected[:1], agreement=share)


def _dpo_from_correction(reviews: Sequence[Review]) -> CandidateRow | None:
    corrected = newest_first([review for review in reviews if review.corrections])
    if not corrected:
        return None
    output = reviews[0].item.generation_a
    text = corrected[0].corrections[0].text
    return row_of(DPO, "corrected", output, text, corrected[:1], rejected=output.text)


def _winner(review: Review) -> int | None:
    """The output that the vote prefers; None for a tie, both bad and cannot judge."""
    if not review.preferences:
        return None
    item = review.item
    sides = {Winner.A.value: item.generation_a_id, Winner.B.value: item.generation_b_id}
    return sides.get(review.preferences[0].winner)


def _dpo_from_votes(reviews: Sequence[Review]) -> CandidateRow | None:
    """More than half of all votes, ties and abstentions included, have to name the winner."""
    votes = Counter(winner for review in reviews if (winner := _winner(review)) is not None)
    if not votes:
        return None
    winner_id, count = votes.most_common(1)[0]
    if 2 * count <= len(reviews):
        return None
    item = reviews[0].item
    both = [output for output in (item.generation_a, item.generation_b) if output is not None]
    preferred, other = sorted(both, key=lambda output: output.id != winner_id)
    deciding = newest_first([review for review in reviews if _winner(review) == winner_id])
    return row_of(DPO, "vote", preferred, None, deciding, rejected=other.text)


def _kto(rule: Rule, reviews: Sequence[Review]) -> CandidateRow | None:
    """The label that more than half of those who answered give; no row when they are even."""
    answers = [(review, met) for review in reviews if (met := meets(rule, review)) is not None]
    good = [review for review, met in answers if met]
    bad = [review for review, met in answers if not met]
    if len(good) == len(bad):
        return None
    label = len(good) > len(bad)
    deciding = newest_first(good if label else bad)
    return row_of(KTO, "rating", reviews[0].item.generation_a, None, deciding, label=label)

"""Failed outputs as negative examples: what to move away from, beside something better.

An output has failed when most of those who answered the rule's question say that it does not meet
it. DPO rejects it, KTO labels it false. SFT can only imitate, so it gets no row of a failed output,
not even where another rule approves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backend.services.curation.candidates import (
    Candidate,
    meets,
    newest_first,
    reviewed_outputs,
    without_repeats,
)
from backend.services.curation.recipes import Recipe, Rule
from backend.tables.datasets import Example
from backend.tables.review import Review


def add_negatives(
    recipe: Recipe, reviews: Sequence[Review], rows: Sequence[Candidate]
) -> list[Candidate]:
    """The rows with those of failed outputs, and without what praises a failed output.

    Args:
        rows: what the reviews gave (see `candidates.propose_rows`).
    """
    if recipe.negatives is None:
        return list(rows)
    outputs = reviewed_outputs(reviews)
    failed = {
        group[0].item.generation_a_id: failing
        for group in outputs
        if (failing := _failing(recipe.negatives, group))
    }
    kept = [row for row in rows if not _praises(row, failed)]
    better = _better_answers(kept, outputs)
    found: list[Candidate] = []
    for failing in failed.values():
        found += _rows_of(failing, better)
    # Of a pair that a correction gave as well, the row that says so stays.
    known = {(row.kind, row.example.id, row.completion, row.rejected) for row in kept}
    new = [r for r in found if (r.kind, r.example.id, r.completion, r.rejected) not in known]
    return without_repeats([*kept, *new])


def _failing(rule: Rule, reviews: Sequence[Review]) -> tuple[Review, ...]:
    """The reviews that say the output fails, if they are the majority of those who answered."""
    answers = [(review, met) for review in reviews if (met := meets(rule, review)) is not None]
    failing = [review for review, met in answers if not met]
    return newest_first(failing) if 2 * len(failing) > len(answers) else ()


def _praises(row: Candidate, failed: Iterable[int]) -> bool:
    as_written = row.source == "approved" or (row.kind == "kto" and row.label)
    return bool(as_written and row.generation is not None and row.generation.id in failed)


def _better_answers(rows: Sequence[Candidate], outputs: Iterable[list[Review]]) -> dict[int, str]:
    """For each example the best known answer: a correction, else an approved output."""
    best: dict[int, str] = {}
    for reviews in outputs:
        corrected = newest_first([review for review in reviews if review.corrections])
        if corrected:
            example_id = reviews[0].item.generation_a.example_id
            best.setdefault(example_id, corrected[0].corrections[0].text)
    for row in rows:
        if row.source == "approved":
            best.setdefault(row.example.id, row.completion)
    return best


def _better(example: Example, best: dict[int, str]) -> str | None:
    if example.id in best:
        return best[example.id]
    return str(example.references[0]) if example.references else None


def _rows_of(failing: tuple[Review, ...], best: dict[int, str]) -> Iterable[Candidate]:
    output = failing[0].item.generation_a
    if not output.text:
        return
    chosen = _own_correction(failing) or _better(output.example, best)
    if chosen is not None and chosen != output.text:
        yield Candidate(
            "dpo",
            "negative",
            output.example,
            chosen,
            rejected=output.text,
            generation=output,
            reviews=failing,
        )
    yield Candidate(
        "kto",
        "negative",
        output.example,
        output.text,
        label=False,
        generation=output,
        reviews=failing,
    )


def _own_correction(failing: Sequence[Review]) -> str | None:
    return next((r.corrections[0].text for r in failing if r.corrections), None)

"""Reads files of what people said: ratings, votes, and scores beside them.

ratings  {"item", "rater", "criterion"?, "value" or "label", "replicate"?, "seconds"?, "group"?}
votes    {"item", "rater", "model_a", "model_b", "winner": "a" | "b" | "tie" | "both_bad",
          "simulated"?}

A rating or a vote that is missing is left out and counted.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluators.errors import UnreadableRecord
from evaluators.files.fields import (
    TRUTH,
    WORDS_FOR_NOTHING,
    Fields,
    number_text,
    parse_number,
    read_rows,
)
from evaluators.files.mapping import ColumnNames, Notes, RowShape, count_rows
from evaluators.statistics.agreement.ratings import ItemRating
from evaluators.statistics.votes import Vote, VoteWinner

RATING = RowShape(
    ("item", "rater", "criterion", "value", "label", "replicate", "seconds", "group"),
    required=("item", "rater", ("value", "label")),
)
VOTE = RowShape(
    ("item", "rater", "model_a", "model_b", "winner", "length_a", "length_b", "simulated"),
    required=("item", "rater", "model_a", "model_b", "winner"),
)
_LIKE_A_NUMBER = re.compile(r"[+-]?\d[\d.,' \u00a0\u202f]*")
EXPORTED = "rubric_digest"


@dataclass(frozen=True, slots=True)
class CriterionRating:
    """A rating under a criterion; the replicate tells repeated ratings of one person apart."""

    criterion: str | None
    replicate: str | None
    rating: ItemRating

    @property
    def told_apart(self) -> ItemRating:
        """The rating, its rater named with the replicate."""
        if self.replicate is None:
            return self.rating
        return replace(self.rating, rater=f"{self.rating.rater} #{self.replicate}")


def read_ratings(
    path: str | Path,
    *,
    names: ColumnNames | None = None,
    notes: Notes | None = None,
    named: Collection[str] = (),
) -> list[CriterionRating]:
    """Ratings of a file, without those that are missing.

    The values of a criterion are numbers where all of them are, true counting as 1; else texts,
    without white space around them.

    Args:
        named: words of the scale, which mean themselves even where they read as missing (`NA`).

    Raises:
        UnreadableRecord: the file, or a row, cannot be used, or no rating is in it.
    """
    told = notes or Notes()
    rows = read_rows(path, RATING, names=names, notes=told)
    if EXPORTED in rows[0].table.columns:  # by Strop, which writes none that is missing
        named = WORDS_FOR_NOTHING
    found = [rating for row in rows if (rating := _rating(row, named)) is not None]
    if not found:
        raise UnreadableRecord(f"{rows[0].table.name}: there is no rating in it.")
    _say_left_out(len(rows) - len(found), rows[0].table.name, "rating", told)
    by_criterion: dict[str | None, list[str]] = {}
    for row in found:
        by_criterion.setdefault(row.criterion, []).append(str(row.rating.value))
    _say_odd_numbers(by_criterion, rows[0].table.name, told)
    _say_case({row.rating.rater for row in found}, "raters", rows[0].table.name, told)
    for values in by_criterion.values():
        _say_case(
            {v for v in values if v.lower() not in TRUTH}, "ratings", rows[0].table.name, told
        )
    typed = {criterion: _typed(values) for criterion, values in by_criterion.items()}
    return [
        replace(row, rating=replace(row.rating, value=typed[row.criterion][str(row.rating.value)]))
        for row in found
    ]


def _say_left_out(count: int, name: str, what: str, notes: Notes) -> None:
    if count:
        notes.add(f"{name}: left out, {count_rows(count)} without a {what}.")


def _say_case(names: Collection[str], what: str, name: str, notes: Notes) -> None:
    """Name what differs by case alone: it may be one thing in two spellings."""
    folded: dict[str, list[str]] = {}
    for spelled in sorted(names):
        folded.setdefault(spelled.casefold(), []).append(spelled)
    for spellings in folded.values():
        if len(spellings) > 1:
            listed = " and ".join(map(repr, spellings))
            notes.add(f"{name}: {what} {listed} differ by case alone, and are told apart.")


def _say_odd_numbers(
    by_criterion: Mapping[str | None, Sequence[str]], name: str, notes: Notes
) -> None:
    for values in by_criterion.values():
        odd = [v for v in values if _LIKE_A_NUMBER.fullmatch(v) and parse_number(v) is None]
        if odd:
            notes.add(
                f"{name}: {odd[0]!r} in {count_rows(len(odd))} is read as a word: "
                "a number has a decimal point and nothing between its digits."
            )


def _rating(fields: Fields, named: Collection[str]) -> CriterionRating | None:
    key = "value" if fields.has("value") else "label"
    value = fields.code(key, named=named)
    if value is None:
        return None
    number = fields.as_number(key, value)
    rating = ItemRating(
        fields.need_name("item"),
        fields.need_name("rater"),
        value if number is None else number_text(number),
        fields.number("seconds"),
        fields.code("group"),
    )
    return CriterionRating(fields.name("criterion"), fields.name("replicate"), rating)


def _typed(values: Sequence[str]) -> dict[str, float | str]:
    """Each value as a number where all are numbers, or true and false; else as a text."""
    numbers = {value: _as_number(value) for value in values}
    if all(number is not None for number in numbers.values()):
        return {value: number for value, number in numbers.items() if number is not None}
    return {value: value.lower() if value.lower() in TRUTH else value for value in values}


def _as_number(value: str) -> float | None:
    truth = TRUTH.get(value.lower())
    return parse_number(value) if truth is None else float(truth)


def read_votes(
    path: str | Path, *, names: ColumnNames | None = None, notes: Notes | None = None
) -> list[Vote]:
    """Votes of a file; one person may vote several times on the same item and models.

    Raises:
        UnreadableRecord: the file, or a row, cannot be used, or no vote is in it.
    """
    told = notes or Notes()
    rows = read_rows(path, VOTE, names=names, notes=told)
    found = [vote for row in rows if (vote := _vote(row)) is not None]
    if not found:
        raise UnreadableRecord(f"{rows[0].table.name}: there is no vote in it.")
    _say_left_out(len(rows) - len(found), rows[0].table.name, "vote", told)
    _say_case({vote.rater for vote in found}, "raters", rows[0].table.name, told)
    _say_case({m for vote in found for m in vote.pair}, "models", rows[0].table.name, told)
    return found


def _vote(fields: Fields) -> Vote | None:
    said = fields.code("winner")
    if said is None:
        return None
    first, second = fields.need_name("model_a"), fields.need_name("model_b")
    if first == second:
        raise fields.refuse(f"{first!r} stands against itself", hint="Name two models.")
    winner = _winner(fields, said, first, second)
    return Vote(
        item=fields.need_name("item"),
        rater=fields.need_name("rater"),
        model_a=first,
        model_b=second,
        winner=winner,
        length_a=fields.number("length_a"),
        length_b=fields.number("length_b"),
        simulated=fields.truth("simulated"),
    )


_WINNERS = {
    **{winner.value: winner for winner in VoteWinner},
    "model_a": VoteWinner.A,
    "model_b": VoteWinner.B,
    **dict.fromkeys(("bothbad", "both bad", "tie (bothbad)"), VoteWinner.BOTH_BAD),
}
"""Also as public files of votes spell them (Chatbot Arena)."""


def _winner(fields: Fields, said: str, first: str, second: str) -> VoteWinner:
    """Who won: a side, or the name of a model of the row; refused where the two contradict."""
    side = _WINNERS.get(said.lower())
    named = {first: VoteWinner.A, second: VoteWinner.B}.get(said)
    if side is not None and named is not None and side is not named:
        raise fields.refuse(
            f"the winner {said!r} is the side {side.value}, and the name of the other model",
            hint="Name the models otherwise, so that it can be told which is meant.",
        )
    found = side or named
    if found is None:
        raise fields.refuse(
            f"the winner is {said!r}",
            hint=f"Write one of: {', '.join(VoteWinner)}; or the name of the model, "
            f"{first} or {second}.",
        )
    return found

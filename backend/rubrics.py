"""Rubrics: the questions that an expert answers about an output, and which answers they take.

A rubric is a YAML file. Each criterion has a scale; the scales are a union on the key `scale`, so
that a new scale is one class here and one widget on the desk. This module knows nothing of the
database or of the screen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, assert_never

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.errors import InvalidInput, UnknownName

LIBRARY = "backend.rubric_library"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Question(_Part):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")
    question: str = Field(min_length=1)
    help: str = ""
    required: bool = True


class YesNo(_Question):
    """Yes or no; the number is 1 or 0."""

    scale: Literal["yes_no"]


class Stars(_Question):
    """A whole number from 1 to `n`; `anchors` say what some of them mean."""

    scale: Literal["stars"]
    n: int = Field(5, ge=2, le=10)
    anchors: dict[int, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _anchors_on_scale(self) -> Stars:
        off = [k for k in self.anchors if not 1 <= k <= self.n]
        if off:
            raise ValueError(f"anchors {off} lie outside 1 to {self.n}")
        return self


class Option(_Part):
    """One category: the stored name, and the words that people read."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")
    label: str = Field(min_length=1)


class Category(_Question):
    """Exactly one of the options; it has no number."""

    scale: Literal["category"]
    options: tuple[Option, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> Category:
        _refuse_repeats("option", [option.name for option in self.options])
        return self


class Text(_Question):
    """Free text of at most `max_length` code points; it has no number."""

    scale: Literal["text"]
    max_length: int = Field(4000, ge=1)


Criterion = Annotated[YesNo | Stars | Category | Text, Field(discriminator="scale")]


class Rubric(_Part):
    """A named list of criteria with the guidelines that experts read first.

    A rubric for blind pairs may have no criterion: the vote itself is the answer. `span_kinds` are
    the names under which an error can be marked in the text; empty allows any.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")
    guidelines: str = Field(min_length=1)
    criteria: tuple[Criterion, ...] = ()
    span_kinds: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Rubric:
        _refuse_repeats("criterion", [criterion.name for criterion in self.criteria])
        return self

    def criterion(self, name: str) -> YesNo | Stars | Category | Text:
        """The criterion of that name; UnknownName lists those that exist."""
        for criterion in self.criteria:
            if criterion.name == name:
                return criterion
        raise UnknownName("criterion", name, [c.name for c in self.criteria])

    @property
    def digest(self) -> str:
        """SHA-256 of the content; equal rubrics have equal digests."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer as it is stored: its text, and its number where the scale has one."""

    value: str
    number: float | None


def validate_answer(
    criterion: YesNo | Stars | Category | Text, value: object
) -> CheckedAnswer | None:
    """Check one answer against its criterion.

    Returns None for an answer left blank (None or white space) where none is required.

    Raises:
        InvalidInput: a required answer is missing, or the answer is not on the scale.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        if criterion.required:
            raise InvalidInput(f"{criterion.question!r} needs an answer.", hint=_allowed(criterion))
        return None
    match criterion:
        case YesNo():
            return _check_yes_no(criterion, value)
        case Stars():
            return _check_stars(criterion, value)
        case Category():
            return _check_category(criterion, value)
        case Text():
            return _check_text(criterion, value)
        case _:
            assert_never(criterion)


def validate_answers(rubric: Rubric, answers: Mapping[str, object]) -> dict[str, CheckedAnswer]:
    """Check all answers of one review, by criterion name; blanks that may be blank are left out.

    Raises:
        UnknownName: an answer to a criterion that the rubric does not have.
        InvalidInput: as `validate_answer`.
    """
    for name in answers:
        rubric.criterion(name)
    checked = {c.name: validate_answer(c, answers.get(c.name)) for c in rubric.criteria}
    return {name: answer for name, answer in checked.items() if answer is not None}


def parse_rubric(source: str) -> Rubric:
    """Read a rubric from YAML.

    Raises:
        InvalidInput: not YAML, or not a rubric; the message names the place.
    """
    try:
        content = yaml.safe_load(source)
    except yaml.YAMLError as error:
        place = str(error).replace("\n", " ")
        raise InvalidInput(f"The rubric is not YAML: {place}.") from error
    return rubric_from_content(content)


def rubric_from_content(content: object) -> Rubric:
    """Build a rubric from plain values, as the database keeps them; errors as `parse_rubric`."""
    try:
        return Rubric.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the top"
        raise InvalidInput(
            f"The rubric is wrong at {place}: {first['msg']}.",
            hint="`strop review rubrics` shows examples.",
        ) from error


def dump_rubric(rubric: Rubric) -> str:
    """Write a rubric as YAML that `parse_rubric` reads back."""
    content = rubric.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def library_names() -> list[str]:
    """Names of the rubrics that come with Strop."""
    files = resources.files(LIBRARY).iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def find_rubric(name_or_path: str) -> Rubric:
    """A rubric of the library by name, or one from a YAML file by path.

    Raises:
        UnknownName: neither a name in the library nor a file.
    """
    names = library_names()
    if name_or_path in names:
        source = resources.files(LIBRARY).joinpath(f"{name_or_path}.yaml").read_text("utf-8")
        return parse_rubric(source)
    path = Path(name_or_path)
    if not path.is_file():
        raise UnknownName("rubric", name_or_path, names)
    try:
        return parse_rubric(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8.", hint="Save it as UTF-8.") from error


def _refuse_repeats(kind: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"the {kind} {', '.join(repeated)} is there twice")


def _allowed(criterion: YesNo | Stars | Category | Text) -> str:
    match criterion:
        case YesNo():
            return "Answer yes or no."
        case Stars():
            return f"Give a whole number from 1 to {criterion.n}."
        case Category():
            return "Choose one of: " + ", ".join(option.name for option in criterion.options) + "."
        case Text():
            return f"Write at most {criterion.max_length} characters."
        case _:
            assert_never(criterion)


def _refuse(criterion: YesNo | Stars | Category | Text, value: object) -> InvalidInput:
    shown: Any = value if len(str(value)) <= 40 else f"{str(value)[:40]}..."
    return InvalidInput(
        f"{shown!r} is no answer to {criterion.question!r}.", hint=_allowed(criterion)
    )


def _check_yes_no(criterion: YesNo, value: object) -> CheckedAnswer:
    known = {True: True, False: False, "yes": True, "no": False}
    if not isinstance(value, bool | str) or value not in known:
        raise _refuse(criterion, value)
    yes = known[value]
    return CheckedAnswer("yes" if yes else "no", float(yes))


def _check_stars(criterion: Stars, value: object) -> CheckedAnswer:
    text = str(value)
    on_scale = {str(star) for star in range(1, criterion.n + 1)}
    if isinstance(value, bool | float) or text not in on_scale:
        raise _refuse(criterion, value)
    return CheckedAnswer(text, float(text))


def _check_category(criterion: Category, value: object) -> CheckedAnswer:
    if not isinstance(value, str) or value not in {option.name for option in criterion.options}:
        raise _refuse(criterion, value)
    return CheckedAnswer(value, None)


def _check_text(criterion: Text, value: object) -> CheckedAnswer:
    if not isinstance(value, str) or len(value.strip()) > criterion.max_length:
        raise _refuse(criterion, value)
    return CheckedAnswer(value.strip(), None)

"""Rubrics: the questions that an expert answers about an output, and which answers they take.

A rubric is a YAML file. Each criterion has a scale (`scales`) that owns all that is asked of it.
This package knows nothing of the database or of the screen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, model_validator

from backend.errors import InvalidInput, UnknownName
from backend.rubrics.scales import NAME, RubricPart, Weight, refuse_repeats
from backend.rubrics.scales import SCALES as SCALES
from backend.rubrics.scales import VERDICTS as VERDICTS
from backend.rubrics.scales import Category as Category
from backend.rubrics.scales import CheckedAnswer as CheckedAnswer
from backend.rubrics.scales import Choice as Choice
from backend.rubrics.scales import Control as Control
from backend.rubrics.scales import Criterion as Criterion
from backend.rubrics.scales import Illustration as Illustration
from backend.rubrics.scales import Multi as Multi
from backend.rubrics.scales import Number as Number
from backend.rubrics.scales import Option as Option
from backend.rubrics.scales import Severity as Severity
from backend.rubrics.scales import Stars as Stars
from backend.rubrics.scales import Text as Text
from backend.rubrics.scales import VerdictScale as VerdictScale
from backend.rubrics.scales import YesNo as YesNo
from backend.rubrics.scales import chosen_options as chosen_options
from backend.rubrics.scales import number_of as number_of
from backend.rubrics.scales import validate_answer as validate_answer
from backend.rubrics.scales import value_in_words as value_in_words

LIBRARY = "backend.rubrics.library"
LATER = ("examples", "span_help", "severities", "span_weights")


class Rubric(RubricPart):
    """A named list of criteria with the guidelines that experts read first.

    A rubric for blind pairs may have no criterion: the vote itself is the answer.

    Attributes:
        span_kinds: the names under which an error can be marked in the text; empty allows any.
        span_help: what a kind means, by its name.
        severities: how grave a marked error may be, the lightest first; empty asks for none.
        span_weights: penalties that differ from their severity's, by kind and severity.
    """

    name: str = Field(pattern=NAME)
    guidelines: str = Field(min_length=1)
    criteria: tuple[Criterion, ...] = ()
    span_kinds: tuple[str, ...] = ()
    span_help: dict[str, str] = Field(default_factory=dict)
    severities: tuple[Severity, ...] = ()
    span_weights: dict[str, dict[str, Weight]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Rubric:
        refuse_repeats("criterion", [criterion.name for criterion in self.criteria])
        refuse_repeats("kind of mark", list(self.span_kinds))
        refuse_repeats("severity", [severity.name for severity in self.severities])
        _refuse_strangers("kind of mark", [*self.span_help, *self.span_weights], self.span_kinds)
        named = [name for weights in self.span_weights.values() for name in weights]
        _refuse_strangers("severity", named, [severity.name for severity in self.severities])
        for criterion in self.criteria:
            _check_illustrations(criterion)
        return self

    def criterion(self, name: str) -> Criterion:
        """The criterion of that name; UnknownName lists those that exist."""
        for criterion in self.criteria:
            if criterion.name == name:
                return criterion
        raise UnknownName("criterion", name, [c.name for c in self.criteria])

    def weight(self, kind: str, severity: str | None) -> float:
        """The penalty of a marked error; UnknownName for a severity that the rubric lacks."""
        for known in self.severities:
            if known.name == severity:
                return self.span_weights.get(kind, {}).get(known.name, known.weight)
        raise UnknownName("severity", str(severity), [known.name for known in self.severities])

    @property
    def digest(self) -> str:
        """SHA-256 of the content; equal rubrics have equal digests.

        What a rubric leaves empty of LATER is left out, so that a rubric from before there was
        such a thing keeps its digest.
        """
        content = self.model_dump(mode="json")
        for part in (content, *content["criteria"]):
            for name in LATER:
                if not part.get(name):
                    part.pop(name, None)
        written = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(written.encode()).hexdigest()


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


@cache  # the files come with the code, and reading YAML takes milliseconds
def library_rubric(name: str) -> Rubric:
    """A rubric of the library. Raises UnknownName: what a request or a plan names is no file."""
    names = library_names()
    if name not in names:
        raise UnknownName("rubric", name, names)
    return parse_rubric(resources.files(LIBRARY).joinpath(f"{name}.yaml").read_text("utf-8"))


def find_rubric(name_or_path: str) -> Rubric:
    """A rubric of the library by name, or one from a YAML file that a person at this machine names.

    Raises:
        UnknownName: neither a name in the library nor a file.
    """
    path = Path(name_or_path)
    if name_or_path in library_names() or not path.is_file():
        return library_rubric(name_or_path)
    try:
        return parse_rubric(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8.", hint="Save it as UTF-8.") from error


def _refuse_strangers(what: str, named: Iterable[str], known: Collection[str]) -> None:
    for name in named:
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}")


def _check_illustrations(criterion: Criterion) -> None:
    """An example that shows an impossible answer would teach the wrong thing."""
    for example in criterion.examples:
        try:
            validate_answer(criterion, example.answer)
        except InvalidInput as wrong:
            raise ValueError(f"an example of {criterion.name}: {wrong}") from wrong

"""The scales of a rubric's questions: one class each, a union on the key `scale`.

A new scale is a class here, its check in `rubric_answers`, and a widget on the desk. Read them
through `backend.rubrics`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = r"^[a-z][a-z0-9_]{0,79}$"


class Part(BaseModel):
    """A piece of a rubric: frozen, and with no key but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Illustration(Part):
    """An output, or a passage of one, with the answer that it deserves and why."""

    text: str = Field(min_length=1)
    answer: bool | int | float | str | tuple[str, ...]
    why: str = ""


class _Question(Part):
    name: str = Field(pattern=NAME)
    question: str = Field(min_length=1)
    help: str = ""
    required: bool = True
    examples: tuple[Illustration, ...] = ()


class YesNo(_Question):
    """Yes or no; the number is 1 or 0."""

    scale: Literal["yes_no"]


class Verdict(_Question):
    """Pass, fail or critical fail; the number is 1, 0 or -1.

    Critical is what no amount of good work elsewhere makes up for: `critical` says what that is.
    """

    scale: Literal["verdict"]
    critical: str = ""


VERDICTS = {"pass": 1.0, "fail": 0.0, "critical_fail": -1.0}


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


class Option(Part):
    """One category: the stored name, and the words that people read."""

    name: str = Field(pattern=NAME)
    label: str = Field(min_length=1)


class Category(_Question):
    """Exactly one of the options; it has no number."""

    scale: Literal["category"]
    options: tuple[Option, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> Category:
        refuse_repeats("option", [option.name for option in self.options])
        return self


class Multi(_Question):
    """Any of the options, at most `most` of them; stored as a JSON list in the options' order.

    It has no number. `alone` names an option that excludes the others, such as "nothing wrong".
    """

    scale: Literal["multi"]
    options: tuple[Option, ...] = Field(min_length=2)
    most: int | None = Field(None, ge=1)
    alone: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Multi:
        names = [option.name for option in self.options]
        refuse_repeats("option", names)
        if self.alone is not None and self.alone not in names:
            raise ValueError(f"{self.alone!r}, which stands alone, is none of the options")
        return self


class Number(_Question):
    """A number from `min` to `max`, in steps of `step` from `min` where there is one, in `unit`."""

    scale: Literal["number"]
    min: float = Field(allow_inf_nan=False)
    max: float = Field(allow_inf_nan=False)
    step: float | None = Field(None, gt=0, allow_inf_nan=False)
    unit: str = Field("", max_length=40)

    @model_validator(mode="after")
    def _bounded(self) -> Number:
        if self.min >= self.max:
            raise ValueError(f"the least, {self.min:g}, is not below the most, {self.max:g}")
        if self.step is not None and self.step > self.max - self.min:
            raise ValueError(f"a step of {self.step:g} leads past {self.max:g} at once")
        return self


class Text(_Question):
    """Free text of at most `max_length` code points; it has no number."""

    scale: Literal["text"]
    max_length: int = Field(4000, ge=1)


Criterion = Annotated[
    YesNo | Verdict | Stars | Category | Multi | Number | Text, Field(discriminator="scale")
]


Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class Severity(Part):
    """How grave a marked error is. `weight` is its penalty, 0 for a remark that costs nothing."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,15}$")
    label: str = Field(min_length=1)
    weight: Weight
    help: str = ""


def refuse_repeats(kind: str, names: list[str]) -> None:
    """ValueError when a name is there twice."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"the {kind} {', '.join(repeated)} is there twice")

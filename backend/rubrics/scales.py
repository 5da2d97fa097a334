"""The scales of a rubric's questions: one class each, a union on the key `scale`.

A scale owns all that is asked of it: which answers it takes and how they are stored, how far two
are apart, at which level agreement is measured, what is averaged in estimates, its words, and by
which control people answer it (on the desk, in Label Studio and in Argilla). A new scale is a class
here and its name in `Criterion`. Read them through `backend.rubrics`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.errors import CannotCompute, InvalidInput

NAME = r"^[a-z][a-z0-9_]{0,79}$"
SHOWN = 40
MOST_DECIMALS = 30
VERDICTS = {"pass": 1.0, "fail": 0.0, "critical_fail": -1.0}


class Control(StrEnum):
    """How a question is answered, wherever it is shown."""

    CHOICES = "choices"  # one of `choices()`
    OPTIONS = "options"  # any of `choices()`, as a JSON list
    RATING = "rating"  # one of the whole numbers of `choices()`
    NUMBER = "number"  # from the fields `min` to `max`, by `step` where there is one
    TEXT = "text"


class Level(StrEnum):
    """The level of measurement at which agreement on a scale is computed."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


class Choice(NamedTuple):
    """One answer that can be picked: what is stored, and what people read."""

    value: str | int
    label: str


@dataclass(frozen=True, slots=True)
class CheckedAnswer:
    """An answer as it is stored: its text, and its number where the scale has one."""

    value: str
    number: float | None


class Outcome(NamedTuple):
    """What is averaged in estimates: a number for each answer; `is_rate` where it is 0 or 1."""

    option: str | None
    read: Callable[[CheckedAnswer], float]
    is_rate: bool


class RubricPart(BaseModel):
    """A piece of a rubric: frozen, and with no key but its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Illustration(RubricPart):
    """An output, or a passage of one, with the answer that it deserves and why."""

    text: str = Field(min_length=1)
    answer: bool | int | float | str | tuple[str, ...]
    why: str = ""


class Question(RubricPart):
    """What all scales have.

    Attributes:
        words: the scale in words, for lists.
        has_number: whether stored answers have a number, to compare with a bound.
        level: None where agreement is not computed; then no known answer can judge an answer.
    """

    words: ClassVar[str]
    control: ClassVar[Control]
    level: ClassVar[Level | None]
    has_number: ClassVar[bool] = False

    name: str = Field(pattern=NAME)
    question: str = Field(min_length=1)
    help: str = ""
    required: bool = True
    examples: tuple[Illustration, ...] = ()

    @property
    def explanation(self) -> str:
        """What people have to know of the answers, beside the question's help."""
        return ""

    def allowed(self) -> str:
        """One sentence: which answers there are."""
        raise NotImplementedError

    def check(self, value: object) -> CheckedAnswer:
        """An answer that is not blank, as it is stored; InvalidInput when it is not on the
        scale."""
        raise NotImplementedError

    def is_blank(self, value: object) -> bool:
        """Whether nothing was answered."""
        return value is None or (isinstance(value, str) and not value.strip())

    def choices(self) -> list[Choice]:
        """What can be picked, in order; empty where answers are typed."""
        return []

    def steps(self) -> list[str | int]:
        """The answers from the worst to the best, evenly apart; empty where none is better."""
        return []

    def values(self) -> list[float | str]:
        """The values that agreement is computed over, in order; empty: those that occur."""
        return []

    def distance(self, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
        """How far two answers are apart, 0 to 1; None for a scale that is not compared."""
        return float(a.value != b.value)

    def outcomes(self) -> list[Outcome]:
        """What is averaged of the answers: their number, where they have one."""
        return [Outcome(None, number_of, is_rate=False)] if self.has_number else []

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        """A scripted reviewer's answer, for demonstrations.

        Args:
            closeness: 0 to 1, how near the output is to the reference.
            categories: names of what is wrong, the best first; empty when nothing is.
        """
        raise NotImplementedError

    def refuse(self, value: object) -> InvalidInput:
        """The error that says what would be an answer."""
        shown: Any = value if len(str(value)) <= SHOWN else f"{str(value)[:SHOWN]}..."
        return InvalidInput(f"{shown!r} is no answer to {self.question!r}.", hint=self.allowed())


class YesNo(Question):
    """Yes or no; the number is 1 or 0."""

    words: ClassVar[str] = "yes or no"
    control: ClassVar[Control] = Control.CHOICES
    level: ClassVar[Level | None] = Level.NOMINAL
    has_number: ClassVar[bool] = True

    scale: Literal["yes_no"]

    def allowed(self) -> str:
        return "Answer yes or no."

    def check(self, value: object) -> CheckedAnswer:
        known = {True: True, False: False, "yes": True, "no": False}
        if not isinstance(value, bool | str) or value not in known:
            raise self.refuse(value)
        yes = known[value]
        return CheckedAnswer("yes" if yes else "no", float(yes))

    def choices(self) -> list[Choice]:
        return [Choice("yes", "Yes"), Choice("no", "No")]

    def steps(self) -> list[str | int]:
        return ["no", "yes"]

    def values(self) -> list[float | str]:
        return ["no", "yes"]

    def outcomes(self) -> list[Outcome]:
        return [Outcome(None, number_of, is_rate=True)]

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        return "no" if categories else "yes"


class VerdictScale(Question):
    """Pass, fail or critical fail; the number is 1, 0 or -1.

    Critical is what no amount of good work elsewhere makes up for: `critical` says what that is.
    """

    words: ClassVar[str] = "pass, fail, critical fail"
    control: ClassVar[Control] = Control.CHOICES
    level: ClassVar[Level | None] = Level.ORDINAL
    has_number: ClassVar[bool] = True

    scale: Literal["verdict"]
    critical: str = ""

    @property
    def explanation(self) -> str:
        return f"Critical: {self.critical}" if self.critical else ""

    def allowed(self) -> str:
        return "Answer pass, fail or critical_fail."

    def check(self, value: object) -> CheckedAnswer:
        if not isinstance(value, str) or value not in VERDICTS:
            raise self.refuse(value)
        return CheckedAnswer(value, VERDICTS[value])

    def choices(self) -> list[Choice]:
        return [Choice(name, name.replace("_", " ").capitalize()) for name in VERDICTS]

    def steps(self) -> list[str | int]:
        return [*sorted(VERDICTS, key=VERDICTS.__getitem__)]

    def values(self) -> list[float | str]:
        return sorted(VERDICTS.values())

    def distance(self, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
        return _apart(a, b, 2.0)

    def outcomes(self) -> list[Outcome]:
        return [Outcome(name, _is_option(name), is_rate=True) for name in VERDICTS]

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        if not categories:
            return "pass"
        return "critical_fail" if "invented_fact" in categories else "fail"


class Stars(Question):
    """A whole number from 1 to `n`; `anchors` say what some of them mean."""

    words: ClassVar[str] = "a step from 1 up"
    control: ClassVar[Control] = Control.RATING
    level: ClassVar[Level | None] = Level.ORDINAL
    has_number: ClassVar[bool] = True

    scale: Literal["stars"]
    n: int = Field(5, ge=2, le=10)
    anchors: dict[int, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _anchors_on_scale(self) -> Stars:
        off = [k for k in self.anchors if not 1 <= k <= self.n]
        if off:
            raise ValueError(f"anchors {off} lie outside 1 to {self.n}")
        return self

    @property
    def explanation(self) -> str:
        return " · ".join(f"{star} {text}" for star, text in sorted(self.anchors.items()))

    def allowed(self) -> str:
        return f"Give a whole number from 1 to {self.n}."

    def check(self, value: object) -> CheckedAnswer:
        text = str(value)
        on_scale = {str(star) for star in range(1, self.n + 1)}
        if isinstance(value, bool | float) or text not in on_scale:
            raise self.refuse(value)
        return CheckedAnswer(text, float(text))

    def choices(self) -> list[Choice]:
        return [Choice(star, str(star)) for star in range(1, self.n + 1)]

    def steps(self) -> list[str | int]:
        return [*range(1, self.n + 1)]

    def values(self) -> list[float | str]:
        return [float(star) for star in range(1, self.n + 1)]

    def distance(self, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
        return _apart(a, b, self.n - 1.0)

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        return 1 + round((self.n - 1) * closeness)


class Option(RubricPart):
    """One category: the stored name, and the words that people read."""

    name: str = Field(pattern=NAME)
    label: str = Field(min_length=1)


class _OfOptions(Question):
    options: tuple[Option, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> _OfOptions:
        refuse_repeats("option", self.names)
        return self

    @property
    def names(self) -> list[str]:
        """Of the options, in order."""
        return [option.name for option in self.options]

    def choices(self) -> list[Choice]:
        return [Choice(option.name, option.label) for option in self.options]

    def _simulated(self, categories: Sequence[str]) -> str:
        wanted = [*categories, "other"] if categories else ["none"]
        known = (name for name in wanted if name in self.names)
        return next(known, self.names[-1 if categories else 0])


class Category(_OfOptions):
    """Exactly one of the options; it has no number."""

    words: ClassVar[str] = "one of several"
    control: ClassVar[Control] = Control.CHOICES
    level: ClassVar[Level | None] = Level.NOMINAL

    scale: Literal["category"]

    def allowed(self) -> str:
        return "Choose one of: " + ", ".join(self.names) + "."

    def check(self, value: object) -> CheckedAnswer:
        if not isinstance(value, str) or value not in self.names:
            raise self.refuse(value)
        return CheckedAnswer(value, None)

    def values(self) -> list[float | str]:
        return [*self.names]

    def outcomes(self) -> list[Outcome]:
        return [Outcome(name, _is_option(name), is_rate=True) for name in self.names]

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        return self._simulated(categories)


class Multi(_OfOptions):
    """Any of the options, at most `most` of them; stored as a JSON list in the options' order.

    It has no number. `alone` names an option that excludes the others, such as "nothing wrong".
    """

    words: ClassVar[str] = "any of several"
    control: ClassVar[Control] = Control.OPTIONS
    level: ClassVar[Level | None] = Level.NOMINAL

    scale: Literal["multi"]
    most: int | None = Field(None, ge=1)
    alone: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Multi:
        if self.alone is not None and self.alone not in self.names:
            raise ValueError(f"{self.alone!r}, which stands alone, is none of the options")
        return self

    def allowed(self) -> str:
        most = "" if self.most is None else f" at most {self.most}"
        alone = "" if self.alone is None else f" {self.alone} stands alone."
        return f"Choose{most} of: {', '.join(self.names)}.{alone}"

    def check(self, value: object) -> CheckedAnswer:
        chosen = chosen_options(value)
        if chosen is None or not set(chosen) <= set(self.names):
            raise self.refuse(value)
        kept = [name for name in self.names if name in chosen]
        too_many = self.most is not None and len(kept) > self.most
        if too_many or (self.alone in kept and len(kept) > 1):
            raise self.refuse(value)
        return CheckedAnswer(json.dumps(kept), None)

    def is_blank(self, value: object) -> bool:
        return super().is_blank(value) or chosen_options(value) == []

    def distance(self, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
        one, other = set(chosen_options(a.value) or []), set(chosen_options(b.value) or [])
        return 1 - len(one & other) / len(one | other) if one | other else 0.0

    def outcomes(self) -> list[Outcome]:
        return [Outcome(name, _has_option(name), is_rate=True) for name in self.names]

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        return [self._simulated(categories)]


class Number(Question):
    """A number from `min` to `max`, in steps of `step` from `min` where there is one, in `unit`."""

    words: ClassVar[str] = "a number"
    control: ClassVar[Control] = Control.NUMBER
    level: ClassVar[Level | None] = Level.INTERVAL
    has_number: ClassVar[bool] = True

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

    def allowed(self) -> str:
        steps = "" if self.step is None else f" in steps of {self.step:g}"
        unit = f" {self.unit}" if self.unit else ""
        return f"Give a number from {self.min:g} to {self.max:g}{unit}{steps}."

    def check(self, value: object) -> CheckedAnswer:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.refuse(value)
        exact = _decimal(str(value).strip())
        if exact is None or not self._is_on_scale(exact):
            raise self.refuse(value)
        return CheckedAnswer(
            f"{exact.normalize():f}" if exact else "0", float(exact) if exact else 0.0
        )

    def _is_on_scale(self, exact: Decimal) -> bool:
        """Decimal, since 0.3 is three steps of 0.1 on paper and not in binary."""
        least, most = Decimal(str(self.min)), Decimal(str(self.max))
        if not least <= exact <= most:
            return False
        if self.step is None:
            return True
        try:
            return (exact - least) % Decimal(str(self.step)) == 0
        except InvalidOperation:  # more steps than a Decimal counts
            return False

    def distance(self, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
        return _apart(a, b, self.max - self.min)

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        width = self.max - self.min
        step = self.step or width / 100
        steps = min(round(width * closeness / step), math.floor(width / step + 1e-9))
        return round(self.min + steps * step, 10)


class Text(Question):
    """Free text of at most `max_length` code points; it has no number."""

    words: ClassVar[str] = "words"
    control: ClassVar[Control] = Control.TEXT
    level: ClassVar[Level | None] = None

    scale: Literal["text"]
    max_length: int = Field(4000, ge=1)

    def allowed(self) -> str:
        return f"Write at most {self.max_length} characters."

    def check(self, value: object) -> CheckedAnswer:
        if not isinstance(value, str) or len(value.strip()) > self.max_length:
            raise self.refuse(value)
        return CheckedAnswer(value.strip(), None)

    def distance(self, a: CheckedAnswer, b: CheckedAnswer) -> float | None:
        return None

    def simulated(self, closeness: float, categories: Sequence[str]) -> object:
        return "simulated" if self.required else None


Criterion = Annotated[
    YesNo | VerdictScale | Stars | Category | Multi | Number | Text, Field(discriminator="scale")
]
SCALES: tuple[type[Question], ...] = (YesNo, VerdictScale, Stars, Category, Multi, Number, Text)


def validate_answer(criterion: Criterion, value: object) -> CheckedAnswer | None:
    """Check one answer against its criterion.

    Returns None for an answer left blank (None, white space, nothing chosen) where none is
    required.

    Raises:
        InvalidInput: a required answer is missing, or the answer is not on the scale.
    """
    if not criterion.is_blank(value):
        return criterion.check(value)
    if criterion.required:
        raise InvalidInput(f"{criterion.question!r} needs an answer.", hint=criterion.allowed())
    return None


def chosen_options(value: object) -> list[str] | None:
    """The options of a `multi` answer, given as a list or as stored; None when it is neither."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return None
    return list(value)


def value_in_words(value: str) -> str:
    """A stored answer as people read it: the options of a `multi` answer with commas between."""
    options = chosen_options(value)
    return value if options is None else ", ".join(options)


def number_of(answer: CheckedAnswer) -> float:
    """The number of an answer; CannotCompute where it has none."""
    if answer.number is None:
        raise CannotCompute(f"The answer {answer.value!r} has no number.")
    return answer.number


def _is_option(name: str) -> Callable[[CheckedAnswer], float]:
    return lambda answer: float(answer.value == name)


def _has_option(name: str) -> Callable[[CheckedAnswer], float]:
    return lambda answer: float(name in (chosen_options(answer.value) or []))


def _apart(a: CheckedAnswer, b: CheckedAnswer, widest: float) -> float:
    if a.number is None or b.number is None:
        return float(a.value != b.value)
    return abs(a.number - b.number) / widest


def _decimal(text: str) -> Decimal | None:
    try:
        exact = Decimal(text)
    except InvalidOperation:
        return None
    exponent = exact.as_tuple().exponent
    return exact if isinstance(exponent, int) and abs(exponent) <= MOST_DECIMALS else None


Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class Severity(RubricPart):
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

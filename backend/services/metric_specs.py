"""What a score run is asked for: metrics, each on a slice of the examples.

Some metrics read a file, load a model or run code (`json_schema:FILE`, `embedding:MODEL`,
`evaluate:MODULE`). In a project that is decided here alone, for routes, manifests, plans and the
worker: `AllowedMetrics`. Without a project (`strop score`) a person names what they like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import Forbidden, InvalidInput, NotFound, UnknownName
from backend.schemas.projects import WIN_RATE, Direction, ManifestLine
from backend.settings import Settings
from backend.tables.runs import ScoreRun

if TYPE_CHECKING:
    from evaluators.metric import Metric


@dataclass(frozen=True, slots=True)
class Maximum:
    """What a line may only bound from above, and of no slice; no metric of outputs.

    The evidence of each is in `backend.services.verdicts.comparison`.

    Attributes:
        unit: of its threshold, in words.
        example: a threshold as somebody might set it.
        argument: what has to stand behind its colon, where something has to.
        form: how it is written, for who wrote it otherwise.
    """

    unit: str
    example: float
    argument: re.Pattern[str] | None = None
    form: str = ""


MAXIMA: dict[str, Maximum] = {
    "forgetting": Maximum("nats a token", 0.1),
    "forgetting_earlier": Maximum("nats a token", 0.1),
    "parity": Maximum(
        "units of its metric", 0.1, re.compile(r".+:[^:]+"), "parity:METRIC:KEY, parity:f1:language"
    ),
    "counterfactual": Maximum(
        "excess of change over the control",
        0.05,
        re.compile(r"(name|gender|age|place)(:.+)?"),
        "counterfactual:KIND, of name, gender, age and place; counterfactual:gender:flip",
    ),
    "skew": Maximum(
        "odds ratio",
        2.0,
        re.compile(r"name|gender|age|place"),
        "skew:KIND, of name, gender, age and place; skew:gender",
    ),
    "canary_exposure": Maximum("bits", 3.0),
}
"""By name; what stands behind a colon in a line's metric is an argument (`NAME:ARGUMENT`)."""
_SERVED_NAME = re.compile(r"(?:support|check|judge):[^@]+(?:@\d+(?![^@]))?")


@dataclass(frozen=True, slots=True)
class AllowedMetrics:
    """Which metrics a project may use besides the built-in ones.

    Attributes:
        folder: below it lie the files and models that a metric may name, by relative path.
        names: whole names that the installation allows, such as `evaluate:wer`.
    """

    folder: Path | None = None
    names: frozenset[str] = frozenset()

    def resolve(self, names: Iterable[str]) -> list[Metric]:
        """The metrics of these names, each once; a family stands for its members.

        Raises:
            Forbidden: a file, a model or code that the project may not name.
            InvalidInput: no such metric; the nearest are listed.
        """
        return self._resolve(names, self._argument)

    def made_of(self, names: Iterable[str]) -> dict[str, str]:
        """By whole name, what each metric with an argument is made of: what another process needs.

        Raises:
            Forbidden, InvalidInput: as `resolve`.
        """
        found: dict[str, str] = {}

        def look(name: str, takes: str, argument: str) -> str:
            found[name] = self._argument(name, takes, argument)
            return found[name]

        self._resolve(names, look)
        return found

    def _resolve(self, names: Iterable[str], look: Callable[[str, str, str], str]) -> list[Metric]:
        from evaluators.errors import EvaluatorError
        from evaluators.registry import resolve_metrics

        try:
            found = [m for name in names for m in resolve_metrics([name], look)]
        except EvaluatorError as error:
            raise InvalidInput(error.message, hint=error.hint) from error
        return list({metric.name: metric for metric in found}.values())

    def _argument(self, name: str, takes: str, argument: str) -> str:
        """What a metric with this argument is made from; `takes` is a Takes of the registry."""
        if takes in ("pattern", "served", "fitted") or name in self.names:
            return argument
        if takes == "code" or self.folder is None:
            raise self._forbidden(name)
        try:
            root = self.folder.resolve()
            path = (root / argument).resolve()
            there = path.is_dir() if takes == "model" else path.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # NUL, too long, a circle of links
            raise self._forbidden(name) from error
        if not (there and path.is_relative_to(root) and path != root):
            raise self._forbidden(name)
        return str(path)

    def _forbidden(self, name: str) -> Forbidden:
        where = "a folder of its own" if self.folder is None else self.folder.name
        return Forbidden(
            f"This project may not use the metric {name[:200]!r}.",
            hint=f"A file or model has to lie below {where} in the artifact root; code and hub "
            "names have to stand in STROP_METRICS.",
        )


BUILT_IN = AllowedMetrics()


def allowed_metrics(settings: Settings, project_id: int) -> AllowedMetrics:
    """What this project may use, by the settings of this process."""
    folder = settings.artifacts / f"project-{project_id}"
    return AllowedMetrics(folder, frozenset(settings.metric_names))


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric on a slice of the examples; an empty slice is every example."""

    metric: str
    slice: Mapping[str, str]

    @property
    def label(self) -> str:
        """How people write it: `f1` or `f1@task=intent`."""
        keys = ",".join(f"{key}={value}" for key, value in sorted(self.slice.items()))
        return f"{self.metric}@{keys}" if keys else self.metric

    def covers(self, slices: Mapping[str, Any]) -> bool:
        """Whether an example with these slices belongs to the slice."""
        return all(str(slices.get(key)) == value for key, value in self.slice.items())


def parse_metric_spec(text: str, allowed: AllowedMetrics) -> list[MetricSpec]:
    """`name` or `name@key=value[,key=value]`; a family such as `rouge` becomes its members.

    A number after `@` belongs to the name of a thing of the project (`check:facts@1`).

    Raises:
        Forbidden: a metric that the project may not use.
        InvalidInput: an unknown metric (the nearest are listed) or a slice without `=`.
    """
    name, at, where = _without_slice(text.strip())
    pairs = [pair.partition("=") for pair in where.split(",") if pair.strip()]
    if bool(at) != bool(pairs) or any(not (k.strip() and v.strip()) for k, _, v in pairs):
        raise InvalidInput(
            f"The slice of {text!r} cannot be read.", hint="Write it as f1@task=intent."
        )
    members = allowed.resolve([name])
    return [MetricSpec(m.name, {k.strip(): v.strip() for k, _, v in pairs}) for m in members]


def _without_slice(text: str) -> tuple[str, str, str]:
    named = _SERVED_NAME.match(text)
    if named is None:
        return text.partition("@")
    return named[0], text[named.end() : named.end() + 1], text[named.end() + 1 :]


def parse_metric_specs(
    texts: Iterable[str], allowed: AllowedMetrics = BUILT_IN
) -> list[MetricSpec]:
    """Several of them, each once, in order."""
    found = {spec.label: spec for text in texts for spec in parse_metric_spec(text, allowed)}
    if not found:
        raise InvalidInput("No metric is named.", hint="Name them, for example rouge,grounding.")
    return list(found.values())


def check_line_metrics(names: Iterable[str], allowed: AllowedMetrics = BUILT_IN) -> None:
    """Check what the lines of a manifest are on: one metric each, the win rate of blind votes, or
    one of MAXIMA.

    Raises:
        Forbidden: a metric that the project may not use.
        InvalidInput: no such metric (the nearest are listed), or a name for several.
    """
    from evaluators.registry import METRICS

    for name in names:
        if name == WIN_RATE or name in METRICS or find_maximum(name):
            continue
        try:
            members = allowed.resolve([name])
        except Forbidden:
            raise
        except InvalidInput as error:
            if ":" in name:
                raise
            raise UnknownName("metric", name, {*METRICS, *MAXIMA, WIN_RATE}) from error
        if ":" not in name:
            raise InvalidInput(
                f"{name!r} stands for {', '.join(metric.name for metric in members)}.",
                hint="A line is on one of them: name it.",
            )


def get_score_run(session: Session, score_run_id: int) -> ScoreRun:
    """A score run by its id.

    Raises:
        NotFound: there is none.
    """
    row = session.get(ScoreRun, score_run_id)
    if row is None:
        raise NotFound(f"There is no score run {score_run_id}.")
    return row


def named_or_newest_scores(
    session: Session, score_run_id: int | None, generation_run_id: int
) -> ScoreRun | None:
    """The score run that is named; else the newest of the generation run, if it has one."""
    if score_run_id is not None:
        return session.get_one(ScoreRun, score_run_id)
    of_run = select(ScoreRun).where(ScoreRun.generation_run_id == generation_run_id)
    return session.scalar(of_run.order_by(ScoreRun.id.desc()).limit(1))


def metric_specs(run: ScoreRun) -> list[MetricSpec]:
    """What a score run was asked for, in order."""
    return [MetricSpec(entry["metric"], entry.get("slice") or {}) for entry in run.metrics]


def find_maximum(metric: str) -> Maximum | None:
    """The entry of a line's metric in MAXIMA, if it has one."""
    return MAXIMA.get(metric.partition(":")[0])


def check_maxima(lines: Iterable[ManifestLine]) -> None:
    """Check that lines on one of MAXIMA are maxima: of each, less is better.

    Raises:
        InvalidInput: one has a margin, a guardrail, a slice, or would ask for more.
    """
    for line in lines:
        maximum = find_maximum(line.metric)
        _check_argument(line.metric, maximum)
        asked = line.threshold is not None and line.direction == Direction.LOWER
        if maximum is not None and (line.slice or not asked):
            raise InvalidInput(
                f"A line on {line.metric} is a maximum in {maximum.unit}, of no slice.",
                hint=f"Write {{metric: {line.metric}, direction: lower, "
                f"threshold: {maximum.example:g}}}.",
            )


def _check_argument(metric: str, maximum: Maximum | None) -> None:
    """Raise InvalidInput where what stands behind the colon is not what the entry asks for."""
    argument = metric.partition(":")[2]
    if maximum is None or maximum.argument is None or maximum.argument.fullmatch(argument):
        return
    raise InvalidInput(
        f"{metric!r} does not say what it is of.", hint=f"Write it as {maximum.form}."
    )

"""The checks that ask a model of the project, by the kind that their name begins with.

One entry a kind: which model it asks, and how the check is opened with that model. A new kind is an
entry here and a factory in `evaluators.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backend.errors import UnknownName
from backend.services.models.versions import find_model, require_weights
from backend.tables.models import ModelVersion

if TYPE_CHECKING:
    from evaluators.checks.models.interface import Asker, Prompt
    from evaluators.metric import Metric

Open = Callable[["Asker"], "Metric"]


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """A check with the model that it asks, which is not served yet; `open` makes the metric.

    Attributes:
        probes: questions of the check, by which a preflight shows that an adapter is the one meant;
            where there are none, those that it asks of the first outputs serve.
    """

    name: str
    model: ModelVersion
    open: Open
    probes: Sequence[Prompt] = ()


Find = Callable[[Session, int, str], ModelCheck]


def _find_support(session: Session, project_id: int, argument: str) -> ModelCheck:
    """Any model of the project whose weights are here, by every name that `find_model` takes.

    A candidate is read as its model: the check has a prompt of its own.
    """
    from evaluators.checks.models.source_gain import open_support

    model = find_model(session, project_id, argument).without_prompt
    require_weights(model, "read outputs with")
    return ModelCheck(f"support:{argument}", model, open_support(argument))


def _find_judge(session: Session, project_id: int, argument: str) -> ModelCheck:
    from backend.services.checks.judges.judges import open_rater

    return open_rater(session, project_id, argument)


def _find_checker(session: Session, project_id: int, argument: str) -> ModelCheck:
    from backend.services.checks.checkers.checkers import find_checker_metric

    return find_checker_metric(session, project_id, argument)


KINDS: Mapping[str, Find] = {"support": _find_support, "check": _find_checker, "judge": _find_judge}


def find_model_check(session: Session, project_id: int, name: str) -> ModelCheck:
    """The check of a whole name, such as `support:base`.

    Raises:
        UnknownName: there is no such kind.
        NotFound: the project has no such model, checker or judge.
    """
    kind, _, argument = name.partition(":")
    if kind not in KINDS:
        raise UnknownName("kind of check", kind, KINDS)
    return KINDS[kind](session, project_id, argument)

"""Before a run: is the model that is served the model that was meant?

vLLM answers with the base when an adapter did not take effect, and another chat template or another
base file gives fluent nonsense; none of it raises an error. `run_preflight` looks at the files and
at what the engine answers, and returns every check with its figures; `require_passed` turns what
failed into one PreflightFailed. It knows no database: the job hands it the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from backend.engines.base import Engine, Message, ServedModel
from backend.errors import PreflightFailed
from backend.services.preflight_answers import check_repeatability
from backend.services.preflight_checks import (
    Check,
    Digests,
    check_difference,
    check_digests,
    check_rendering,
    check_training_record,
    current_digests,
    distance,
)

PROBES = 8


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as it is to be served, and what its files were when it was registered and trained.

    Attributes:
        trained: digests that training recorded in `strop.json`; None where there is no record.
    """

    served: ServedModel
    registered: Digests
    trained: Digests | None = None


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All checks; `passed` when none failed. Notes (passed is None) fail nothing."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(check.passed is not False for check in self.checks)

    @property
    def failures(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.passed is False]

    def as_rows(self) -> list[dict[str, Any]]:
        """The checks as JSON objects: name, passed (true, false or null), detail, figures."""
        return [asdict(check) for check in self.checks]


def trained_digests(record: dict[str, Any]) -> Digests | None:
    """The digests in what training wrote as `strop.json`; None for an empty record."""
    if not record:
        return None
    return Digests(
        base=record.get("base_sha256"),
        tokenizer=record.get("tokenizer_sha256"),
        template=record.get("template_sha256"),
        adapter=record.get("adapter_sha256"),
    )


def run_preflight(
    engine: Engine,
    base: ModelFacts,
    adapters: Sequence[ModelFacts],
    probes: Sequence[Sequence[Message]],
) -> PreflightReport:
    """Check the files, then what the engine, which has loaded the models, makes of the probes.

    Files that are not what they were make every answer meaningless: the engine is then not asked.

    Args:
        probes: prompts of the run, at least one; the eight shortest are used.

    Raises:
        EngineUnavailable: the engine does not answer.
        UnknownAdapter: it does not serve one of the models.
    """
    if not probes:
        raise ValueError("a preflight needs at least one probe prompt")
    checks = check_files(base, adapters)
    if all(check.passed is not False for check in checks):
        chosen = sorted(probes, key=lambda p: sum(len(m["content"]) for m in p))[:PROBES]
        checks += check_engine(engine, base.served, [a.served for a in adapters], chosen)
    return PreflightReport(tuple(checks))


def require_passed(report: PreflightReport) -> None:
    """Raise PreflightFailed with one sentence for each failed check."""
    if report.passed:
        return
    failures = report.failures
    raise PreflightFailed(
        f"Preflight failed ({len(failures)} of {len(report.checks)} checks): "
        + " ".join(check.detail for check in failures),
        hint="Nothing was generated.",
    )


def check_files(base: ModelFacts, adapters: Sequence[ModelFacts]) -> list[Check]:
    """Digests of all files now against those of registration and training."""
    checks: list[Check] = []
    for facts in (base, *adapters):
        now, problem = current_digests(facts.served)
        name = facts.served.name
        if now is None:
            checks.append(Check(f"files of {name}", False, f"{name}: {problem}"))
            continue
        checks.append(check_digests(name, "registration", now, facts.registered))
        if facts.served.adapter_path is not None:
            checks.append(check_training_record(name, now, facts.trained))
    return checks


def check_engine(
    engine: Engine,
    base: ServedModel,
    adapters: Sequence[ServedModel],
    probes: Sequence[Sequence[Message]],
) -> list[Check]:
    """What the engine shows of the prompt, of each model's next token, and of its own constancy."""
    checks = [Check("engine", None, note) for note in engine.notes]
    checks.append(check_rendering(engine, base.base_model, probes[0]))
    first = _first_tokens(engine, base.name, probes)
    again = _first_tokens(engine, base.name, probes)
    noise = max(distance(a, b) for a, b in zip(first, again, strict=True))
    answers = {base.name: first}
    for adapter in adapters:
        answers[adapter.name] = _first_tokens(engine, adapter.name, probes)
    served = {model.name: model for model in (base, *adapters)}
    for one, other in combinations(answers, 2):
        distances = [distance(a, b) for a, b in zip(answers[one], answers[other], strict=True)]
        checks.append(check_difference(served[one], served[other], distances, noise=noise))
    checks += check_repeatability(engine, base.name, [a.name for a in adapters], probes)
    checks.append(_noise_note(noise, len(probes)))
    return checks


def _first_tokens(
    engine: Engine, model: str, probes: Sequence[Sequence[Message]]
) -> list[dict[str, float]]:
    return [engine.next_token_logprobs(model, messages) for messages in probes]


def _noise_note(noise: float, probes: int) -> Check:
    return Check(
        "noise of the base",
        None,
        f"Asked twice, the base's first-token logprobs differ by at most {noise:.4f} nats.",
        {"probes": probes, "largest_nats": noise},
    )

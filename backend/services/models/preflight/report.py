"""Before a run: is the model that is served the model that was meant?

vLLM answers with the base when an adapter did not take effect, and another chat template or another
base file gives fluent nonsense; none of it raises an error. `run_preflight` looks at the files and
at what the engine answers, and returns every check with its figures; `require_passed` turns what
failed into one PreflightFailed. It knows no database: the job hands it the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from backend.engines.base import Engine, Message, ServedModel
from backend.engines.first_tokens import FirstTokensEngine
from backend.errors import PreflightFailed, UnknownAdapter
from backend.services.models.preflight.agreement import (
    FirstTokens,
    ProbeRounds,
    Reference,
    Served,
    answers_differ,
    ask_reference,
    ask_rounds,
    check_agreement,
    check_repeatability,
    load_reference,
)
from backend.services.models.preflight.checks import (
    Check,
    Digests,
    TrainingPrompts,
    check_difference,
    check_digests,
    check_finite,
    check_fit,
    check_rank,
    check_rendering,
    check_training_prompts,
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
        rank: LoRA rank that registration found; None for a base.
        prompts: training prompts with the digests of what they became then.
    """

    served: ServedModel
    registered: Digests
    trained: Digests | None = None
    rank: int | None = None
    prompts: TrainingPrompts = field(default_factory=TrainingPrompts)


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """All checks; `passed` when none failed. Notes (passed is None) fail nothing.

    Attributes:
        fingerprint: the probes and each model's likeliest first tokens on them, by which a server
            can be known again; None where the engine was not asked.
    """

    checks: tuple[Check, ...]
    fingerprint: dict[str, Any] | None = None

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
        base=record.get("model_sha256") or record.get("base_sha256"),
        tokenizer=record.get("tokenizer_sha256"),
        template=record.get("template_sha256"),
        adapter=record.get("adapter_sha256"),
    )


def run_preflight(
    engine: Engine,
    base: ModelFacts,
    adapters: Sequence[ModelFacts],
    probes: Sequence[Sequence[Message]],
    *,
    reference: Reference | None = None,
    prompts: Sequence[Check] = (),
    begin: Callable[[], None] | None = None,
) -> PreflightReport:
    """Check the files, then what the engine, which has loaded the models, makes of the probes.

    Files that are not what they were make every answer meaningless: the engine is then not asked.

    Args:
        probes: prompts of the run, at least one; the eight shortest are used.
        reference: what PEFT says of the same models; None: not compared, which is said.
        prompts: whether the models are asked with the prompts that they were trained with.
        begin: called once nothing has failed and what is begun there disturbs no check any more: of
            a base alone when its files are right, with adapters when only PEFT still computes. What
            is begun may be kept once the report has passed.

    Raises:
        EngineUnavailable: the engine does not answer.
    """
    if not probes:
        raise ValueError("a preflight needs at least one probe prompt")
    checks = [*prompts, *check_files(base, adapters)]
    if any(check.passed is False for check in checks):
        return PreflightReport(tuple(checks))
    chosen = choose_probes(probes, PROBES)
    asked = reference or Reference(reason="nobody asked for it")
    try:
        found, first_tokens = check_engine(engine, base, adapters, chosen, asked, begin)
    except UnknownAdapter as error:
        checks.append(Check("models at the server", False, str(error)))
        return PreflightReport(tuple(checks))
    fingerprint = {
        "probes": [[dict(message) for message in probe] for probe in chosen],
        "first_tokens": {name: [dict(t) for t in tokens] for name, tokens in first_tokens.items()},
    }
    return PreflightReport(tuple(checks + found), fingerprint)


def choose_probes(probes: Sequence[Sequence[Message]], count: int) -> list[Sequence[Message]]:
    """The shortest of them."""
    return sorted(probes, key=lambda probe: sum(len(m["content"]) for m in probe))[:count]


def require_passed(report: PreflightReport) -> None:
    """Raise PreflightFailed with one sentence for each failed check."""
    if report.passed:
        return
    said = " ".join(check.detail for check in report.failures)
    raise PreflightFailed(
        f"Preflight failed ({len(report.failures)} of {len(report.checks)} checks): {said}",
        hint="No answer was kept.",
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
        if facts.served.adapter_path is not None or facts.trained is not None:
            checks.append(check_training_record(name, now, facts.trained))
        if facts.served.adapter_path is not None:
            checks.append(check_rank(name, facts.served.adapter_path, facts.rank))
            checks.append(check_fit(facts.served, facts.served.adapter_path))
        else:
            checks.append(check_finite(facts.served))
    return checks


def check_engine(
    engine: Engine,
    base: ModelFacts,
    adapters: Sequence[ModelFacts],
    probes: Sequence[Sequence[Message]],
    reference: Reference,
    begin: Callable[[], None] | None = None,
) -> tuple[list[Check], dict[str, FirstTokens]]:
    """What the engine shows of the prompts, of each model's next token, of its own constancy, and
    beside PEFT; and the first tokens by which the models are known again."""
    models = [base.served, *(adapter.served for adapter in adapters)]
    names = [model.name for model in models]
    if begin is not None and not adapters:
        begin()
    unready = load_reference(reference, models, probes[0])
    with ThreadPoolExecutor(max_workers=1) as beside:  # PEFT computes while the server answers
        meant = beside.submit(lambda: unready or ask_reference(reference, models, probes))
        checks = [Check("engine", None, note) for note in engine.notes]
        checks += check_rendering(engine, base.served.base_model, probes)
        for facts in (base, *adapters):
            if facts.trained is not None:
                checks.append(check_training_prompts(engine, facts.served.name, facts.prompts))
        first = {name: _first_tokens(engine, name, probes) for name in names}
        rounds = ask_rounds(engine, names[0], names[1:], probes)
        checks += _check_differences(engine, models, first, probes, rounds)
        checks += check_repeatability(rounds, names[0], names[1:])
        waits_for_peft = unready is None and all(check.passed is not False for check in checks)
        if begin is not None and adapters and waits_for_peft:
            begin()
    checks += check_agreement(models, Served(first, rounds.together), meant.result())
    return checks, dict(first)


def _check_differences(
    engine: Engine,
    models: Sequence[ServedModel],
    first: Mapping[str, FirstTokens],
    probes: Sequence[Sequence[Message]],
    rounds: ProbeRounds,
) -> list[Check]:
    """Every two models differ by more than the base from itself; and by how much that is."""
    base = models[0].name
    again = _first_tokens(engine, base, probes)
    noise = max(distance(a, b) for a, b in zip(first[base], again, strict=True))
    checks = []
    for one, other in combinations(models, 2):
        pairs = zip(first[one.name], first[other.name], strict=True)
        distances = [distance(a, b) for a, b in pairs]
        answers = [
            answers_differ(rounds, one.name, other.name, probe) for probe in range(len(probes))
        ]
        checks.append(check_difference(one, other, distances, answers, noise=noise))
    said = f"Asked twice, the base's first-token logprobs differ by at most {noise:.4f} nats."
    figures = {"probes": len(probes), "largest_nats": noise}
    return [*checks, Check("noise of the base", None, said, figures)]


def _first_tokens(
    engine: Engine, model: str, probes: Sequence[Sequence[Message]]
) -> list[dict[str, float]]:
    if isinstance(engine, FirstTokensEngine):
        return engine.first_tokens(model, probes)
    return [engine.next_token_logprobs(model, messages) for messages in probes]

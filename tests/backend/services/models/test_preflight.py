"""Preflight with a fake engine and real files: every way of serving the wrong thing is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import GenerationRequest, GenerationResult, Message, ServedModel
from backend.engines.fake import FakeEngine
from backend.engines.prompts import decode_prompt, encode_prompt, load_tokenizer
from backend.errors import EngineUnavailable, PreflightFailed
from backend.services.models.preflight.agreement import Reference, median_gap
from backend.services.models.preflight.checks import (
    Check,
    Digests,
    current_digests,
    distance,
    read_training_prompts,
)
from backend.services.models.preflight.report import (
    ModelFacts,
    PreflightReport,
    require_passed,
    run_preflight,
    trained_digests,
)
from tests.fixtures_models import make_tiny_base, tiny_adapter
from training.weights.digest import file_sha256, ids_sha256, text_sha256

PROBES = [[{"role": "user", "content": f"Ticket {i}"}] for i in range(10)]
Models = dict[str, ModelFacts]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("preflight")
    base = make_tiny_base(folder / "base")
    found = {"base": facts(ServedModel("base", str(base)))}
    for seed, name in enumerate(("v1", "v2"), start=1):
        path = tiny_adapter(folder / name, base, seed=seed)
        found[name] = facts(ServedModel(name, str(base), path))
    return found


def facts(model: ServedModel) -> ModelFacts:
    now, problem = current_digests(model)
    assert now is not None, problem
    served = replace(model, adapter_sha256=now.adapter)
    return ModelFacts(served, registered=now, trained=now)


@pytest.fixture
def engine(models: Models) -> FakeEngine:
    """An engine that does everything right."""
    tokenizer = load_tokenizer(models["base"].served.base_model)

    def render(messages: Sequence[Message]) -> str:
        return decode_prompt(tokenizer, encode_prompt(tokenizer, messages))

    def tokenise(prompt: str) -> list[int]:
        return list(tokenizer(prompt, add_special_tokens=False)["input_ids"])

    engine = FakeEngine(template=render, tokenise=tokenise)
    engine.load([model.served for model in models.values()])
    return engine


def run(
    engine: FakeEngine, models: Models, *, reference: Reference | None = None
) -> PreflightReport:
    adapters = [models["v1"], models["v2"]]
    return run_preflight(engine, models["base"], adapters, PROBES, reference=reference)


def test_what_is_right_passes(engine: FakeEngine, models: Models) -> None:
    report = run(engine, models)
    require_passed(report)
    assert report.passed


def test_the_report_is_plain_json(engine: FakeEngine, models: Models) -> None:
    rows = run(engine, models).as_rows()
    assert json.loads(json.dumps(rows)) == rows
    assert set(rows[0]) == {"name", "passed", "detail", "figures"}


def test_an_engine_that_ignores_adapters_fails(engine: FakeEngine, models: Models) -> None:
    engine.ignores_adapters = True
    with pytest.raises(PreflightFailed, match="v1 has no effect") as caught:
        require_passed(run(engine, models))
    assert caught.value.exit_code == 2


def test_two_names_for_one_adapter_at_the_server_fail(engine: FakeEngine, models: Models) -> None:
    right = engine.logprobs
    engine.logprobs = lambda model, messages: right("v1" if model == "v2" else model, messages)
    engine.answer = lambda request: f"I am {request.model.replace('v2', 'v1')}"
    report = run(engine, models)
    assert [check.name for check in report.failures] == ["v1 and v2 differ"]


def test_the_same_weights_under_two_names_are_a_note(engine: FakeEngine, models: Models) -> None:
    twin = ModelFacts(replace(models["v1"].served, name="twin"), models["v1"].registered)
    engine.load([twin.served])
    right = engine.logprobs
    engine.logprobs = lambda model, messages: right("v1" if model == "twin" else model, messages)
    report = run_preflight(engine, models["base"], [models["v1"], twin], PROBES)
    assert report.passed
    assert next(c for c in report.checks if c.name == "v1 and twin differ").passed is None


def noisy(step: float, effect: float) -> Callable[[str, Sequence[Message]], Mapping[str, float]]:
    asked = iter(range(10_000))

    def logprobs(model: str, messages: Sequence[Message]) -> Mapping[str, float]:
        wobble = step * (next(asked) // len(PROBES[:8]) % 2)
        shift = effect * ["base", "v1", "v2"].index(model)
        return {"yes": -0.5 - wobble - shift, "no": -1.5}

    return logprobs


@pytest.mark.parametrize(
    ("step", "effect", "passes"),
    [(0.0, 0.04, False), (0.0, 0.06, True), (0.1, 0.25, False), (0.1, 0.6, True)],
)
def test_an_effect_must_exceed_the_noise(
    engine: FakeEngine, models: Models, step: float, effect: float, passes: bool
) -> None:
    engine.logprobs = noisy(step, effect)
    engine.answer = lambda request: "I am nobody"
    assert run(engine, models).passed is passes


def by_model(request: GenerationRequest) -> GenerationResult:
    """The same words from each model, more surely from each next one."""
    odds = {"base": -0.5, "v1": -0.4, "v2": -0.3}[request.model]
    return GenerationResult(request.key, text="yes it is", token_logprobs=(-0.1, odds, -0.1))


def wavering(request: GenerationRequest) -> GenerationResult:
    """Other words each time."""
    return GenerationResult(request.key, text=f"yes {next(TURNS)}", token_logprobs=(-0.1, -0.1))


TURNS = iter(range(10_000))


@pytest.mark.parametrize(
    ("answer", "differs"),
    [
        (lambda request: f"I am {request.model}", True),
        (by_model, True),
        (lambda request: "I am nobody", False),
        (wavering, False),
    ],
)
def test_an_adapter_that_leaves_first_tokens_alone_shows_in_its_answers(
    engine: FakeEngine,
    models: Models,
    answer: Callable[[GenerationRequest], GenerationResult | str],
    differs: bool,
) -> None:
    engine.logprobs = noisy(0.0, 0.02)
    engine.answer = answer
    checks = {check.name: check.passed for check in run(engine, models).checks}
    pairs = ("base and v1 differ", "base and v2 differ", "v1 and v2 differ")
    assert {checks[name] for name in pairs} == {differs}


@pytest.mark.parametrize("part", ["base", "tokenizer", "template", "adapter"])
@pytest.mark.parametrize("occasion", ["registered", "trained"])
def test_a_changed_file_fails_and_the_engine_is_not_asked(
    engine: FakeEngine, models: Models, part: str, occasion: str
) -> None:
    then = replace(getattr(models["v1"], occasion), **{part: "0" * 64})
    changed = {**models, "v1": replace(models["v1"], **{occasion: then})}
    report = run(engine, changed)
    word = {"tokenizer": "tokeniser", "template": "chat template"}.get(part, part)
    with pytest.raises(PreflightFailed, match=f"v1: the {word}.* changed since"):
        require_passed(report)
    assert engine.asked == []


def test_a_file_rewritten_on_disk_fails(engine: FakeEngine, models: Models, tmp_path: Path) -> None:
    base = models["base"].served.base_model
    mine = facts(ServedModel("v1", base, tiny_adapter(tmp_path / "a", Path(base), seed=5)))
    tiny_adapter(tmp_path / "a", Path(base), seed=6)
    report = run(engine, {**models, "v1": mine})
    assert "v1: the adapter changed since registration." in [c.detail for c in report.failures]


def test_a_missing_folder_fails_with_a_sentence(engine: FakeEngine, models: Models) -> None:
    gone = replace(models["v1"], served=replace(models["v1"].served, adapter_path=Path("/gone")))
    report = run(engine, {**models, "v1": gone})
    assert [check.name for check in report.failures] == ["files of v1"]


def test_an_adapter_without_training_record_is_a_visible_note(
    engine: FakeEngine, models: Models
) -> None:
    report = run(engine, {**models, "v1": replace(models["v1"], trained=None)})
    (note,) = [check for check in report.checks if "training digests unknown" in check.detail]
    assert note.passed is None
    assert report.passed


def test_another_chat_template_fails(engine: FakeEngine, models: Models) -> None:
    engine.template = lambda messages: "<|begin|>[INST] " + messages[-1]["content"]
    report = run(engine, models)
    assert [check.name for check in report.failures] == ["chat template"]
    assert "character 9" in report.failures[0].detail


def test_an_adapter_that_leaks_into_the_base_fails(engine: FakeEngine, models: Models) -> None:
    """The base answers otherwise once it was asked beside adapters (vllm-project/vllm#48421)."""

    def leaky(request: GenerationRequest) -> str:
        beside = any(key.startswith("v") for key in engine.asked[-3:])
        return f"{request.model} {beside} {request.key}"

    engine.answer = leaky
    report = run(engine, models)
    assert [check.name for check in report.failures] == ["base beside adapters"]


def test_a_note_of_the_engine_is_shown(engine: FakeEngine, models: Models) -> None:
    engine.notes = ("which weights it holds cannot be proved",)
    report = run(engine, models)
    assert "cannot be proved" in next(c for c in report.checks if c.name == "engine").detail
    assert report.passed


def peft(engine: FakeEngine) -> Reference:
    """PEFT that says of every model what a right engine says."""
    twin = FakeEngine(logprobs=engine.logprobs, answer=engine.answer)
    return Reference(twin)


def test_a_server_that_agrees_with_peft_passes(engine: FakeEngine, models: Models) -> None:
    report = run(engine, models, reference=peft(engine))
    require_passed(report)
    (check,) = [c for c in report.checks if c.name == "v1 at the server and in PEFT"]
    assert check.figures["probes"] == 8
    assert check.figures["equal_tokens"] == check.figures["tokens"] > 0
    assert check.figures["median_nats"] == 0.0


def test_swapped_names_differ_from_peft_alone(engine: FakeEngine, models: Models) -> None:
    meant, right = peft(engine), engine.logprobs
    swapped = {"v1": "v2", "v2": "v1"}
    engine.logprobs = lambda model, messages: right(swapped.get(model, model), messages)
    engine.answer = lambda r: f"{swapped.get(r.model, r.model)}: {r.messages[-1]['content']}"
    assert run(engine, models).passed  # nothing but PEFT knows which is which
    report = run(engine, models, reference=meant)
    assert [check.name for check in report.failures] == [
        "v1 at the server and in PEFT",
        "v2 at the server and in PEFT",
    ]
    assert "as PEFT does for v2" in report.failures[0].detail


def test_a_stale_adapter_differs_from_peft(engine: FakeEngine, models: Models) -> None:
    """The server answers with the weights that stood under the name before."""
    right = engine.logprobs
    engine.logprobs = lambda model, messages: {
        token: value - (1.0 if model == "v1" and token == "yes" else 0.0)
        for token, value in right(model, messages).items()
    }
    meant = Reference(FakeEngine(logprobs=right))
    engine.answer = lambda request: f"stale {request.model} {request.key}"
    failed = [check.name for check in run(engine, models, reference=meant).failures]
    assert "v1 at the server and in PEFT" in failed


def test_peft_that_cannot_load_a_model_fails(engine: FakeEngine, models: Models) -> None:
    report = run(engine, models, reference=Reference(FakeEngine(dies_after=0)))
    assert [check.name for check in report.failures] == ["server and PEFT"]


def test_without_peft_the_gap_is_said(engine: FakeEngine, models: Models) -> None:
    report = run(engine, models, reference=Reference(reason="it is switched off"))
    (note,) = [c for c in report.checks if c.name == "server and PEFT"]
    assert (note.passed, "switched off" in note.detail) == (None, True)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([{"a": -1.0, "b": -2.0}], [{"a": -1.5, "b": -2.0}], 0.25),
        ([{"a": -1.0}], [{"a": -1.0}], 0.0),
        ([{"a": -1.0, "b": -4.0}], [{"c": -1.0, "d": -4.0}], 1.5),
    ],
)
def test_median_gap(
    one: list[dict[str, float]], other: list[dict[str, float]], expected: float
) -> None:
    assert median_gap(one, other) == pytest.approx(expected)
    assert median_gap(other, one) == pytest.approx(expected)


def test_another_tokeniser_that_spells_the_same_text_fails(
    engine: FakeEngine, models: Models
) -> None:
    right = engine.tokenise
    engine.tokenise = lambda prompt: [*right(prompt), 0]
    report = run(engine, models)
    assert [check.name for check in report.failures] == ["tokeniser"]
    assert "another tokeniser" in report.failures[0].detail


def test_an_adapter_that_the_server_lost_fails(engine: FakeEngine, models: Models) -> None:
    del engine.served["v2"]
    report = run(engine, models)
    assert [check.name for check in report.failures] == ["models at the server"]
    assert report.fingerprint is None


def test_a_truncated_file_fails_and_the_engine_is_not_asked(
    engine: FakeEngine, models: Models, tmp_path: Path
) -> None:
    base = Path(models["base"].served.base_model)
    whole = facts(ServedModel("v1", str(base), tiny_adapter(tmp_path / "a", base)))
    file = tmp_path / "a" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    report = run(engine, {**models, "v1": whole})
    assert "v1: the adapter changed since registration." in [c.detail for c in report.failures]
    assert engine.asked == []


def test_an_adapter_of_another_base_fails(engine: FakeEngine, models: Models) -> None:
    trained = replace(models["v1"].trained, base="f" * 64)  # type: ignore[type-var]
    report = run(engine, {**models, "v1": replace(models["v1"], trained=trained)})
    assert "v1: the base model changed since training." in [c.detail for c in report.failures]


def test_an_adapter_that_does_not_fit_its_base_fails_unasked(
    engine: FakeEngine, models: Models, tmp_path: Path
) -> None:
    small = make_tiny_base(tmp_path / "small", hidden=16)
    alien = tiny_adapter(tmp_path / "alien", small)
    mine = facts(ServedModel("v1", models["base"].served.base_model, alien))
    report = run(engine, {**models, "v1": mine})
    assert [check.name for check in report.failures] == ["fit of v1"]
    assert engine.asked == []


@pytest.mark.parametrize(("registered", "passes"), [(4, True), (None, True), (8, False)])
def test_the_rank_is_that_of_registration(
    engine: FakeEngine, models: Models, registered: int | None, passes: bool
) -> None:
    report = run(engine, {**models, "v1": replace(models["v1"], rank=registered)})
    (check,) = [c for c in report.checks if c.name == "rank of v1"]
    assert (check.passed, check.figures["rank"]) == (passes, 4)


def test_an_engine_that_is_not_constant_fails(engine: FakeEngine, models: Models) -> None:
    asked = iter(range(10_000))
    engine.answer = lambda request: f"{next(asked)} {request.model}"
    failed = [check.name for check in run(engine, models).failures]
    assert failed[-2:] == [
        "greedy answers, the same prompt twice",
        "greedy answers, in a shuffled batch",
    ]


def test_the_batch_is_really_shuffled(engine: FakeEngine, models: Models) -> None:
    run(engine, models)
    n = 3 * 8
    assert engine.asked[-n:] != engine.asked[-2 * n : -n]
    assert sorted(engine.asked[-n:]) == sorted(engine.asked[-2 * n : -n])


def test_the_fingerprint_holds_probes_and_first_tokens(engine: FakeEngine, models: Models) -> None:
    found = run(engine, models).fingerprint
    assert found is not None
    assert json.loads(json.dumps(found)) == found
    assert len(found["probes"]) == 8
    assert found["first_tokens"]["v1"][0] == engine.next_token_logprobs("v1", PROBES[0])


class Trained:
    """A model that was trained here on a file of two prompts."""

    def __init__(self, folder: Path, base: str, *, text: str | None = None) -> None:
        self.file = folder / "train.jsonl"
        self.file.write_text(
            "".join(json.dumps({"prompt": probe, "completion": []}) + "\n" for probe in PROBES[:2])
        )
        tokenizer = load_tokenizer(base)
        ids = [encode_prompt(tokenizer, probe) for probe in PROBES[:2]]
        self.record = {
            "config": {"train_file": str(self.file)},
            "train_sha256": file_sha256(self.file),
            "rendered": [
                {
                    "line": line,
                    "text_sha256": text_sha256(text or decode_prompt(tokenizer, found)),
                    "ids_sha256": ids_sha256(found),
                }
                for line, found in enumerate(ids, start=1)
            ],
        }


def trained_report(engine: FakeEngine, models: Models, record: dict[str, Any]) -> Check:
    prompts = read_training_prompts(record, trained_here=True)
    report = run(engine, {**models, "v1": replace(models["v1"], prompts=prompts)})
    (check,) = [c for c in report.checks if c.name == "prompts of v1 since training"]
    return check


def test_prompts_are_rendered_as_training_rendered_them(
    engine: FakeEngine, models: Models, tmp_path: Path
) -> None:
    trained = Trained(tmp_path, models["base"].served.base_model)
    check = trained_report(engine, models, trained.record)
    assert check.passed
    assert check.figures == {"prompts": 2, "equal_texts": 2, "equal_tokens": 2}


def test_prompts_that_training_rendered_otherwise_fail(
    engine: FakeEngine, models: Models, tmp_path: Path
) -> None:
    trained = Trained(tmp_path, models["base"].served.base_model, text="another template")
    check = trained_report(engine, models, trained.record)
    assert check.passed is False
    assert "2 of 2 training prompts become another text" in check.detail


@pytest.mark.parametrize(
    ("change", "gap"),
    [
        ({"rendered": []}, "recorded no prompts"),
        ({"train_sha256": "0"}, "is not the one trained on"),
        ({"config": {"train_file": "gone.jsonl"}}, "is gone"),
    ],
)
def test_a_record_that_cannot_be_read_is_a_note(
    engine: FakeEngine, models: Models, tmp_path: Path, change: dict[str, Any], gap: str
) -> None:
    trained = Trained(tmp_path, models["base"].served.base_model)
    check = trained_report(engine, models, trained.record | change)
    assert check.passed is None
    assert gap in check.detail


def test_a_foreign_record_names_no_file_here() -> None:
    record = {"rendered": [{"line": 1}], "config": {"train_file": "/etc/hostname"}}
    found = read_training_prompts(record, trained_here=False)
    assert (found.prompts, found.gap) == ((), "it was not trained here")


def test_a_dead_engine_is_not_a_failed_preflight(engine: FakeEngine, models: Models) -> None:
    engine.dies_after = 0
    with pytest.raises(EngineUnavailable):
        run(engine, models)


def test_the_base_alone_needs_no_comparison(engine: FakeEngine, models: Models) -> None:
    report = run_preflight(engine, models["base"], [], PROBES)
    assert report.passed
    assert not [check for check in report.checks if "differ" in check.name.split()]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": -1.0, "b": -2.0}, {"a": -1.0, "b": -2.0}, 0.0),
        ({"a": -1.0, "b": -2.0}, {"a": -1.5, "b": -2.0}, 0.5),
        ({"a": -1.0, "b": -2.0}, {"c": -1.0, "d": -4.0}, 3.0),
        ({"a": -1.0, "b": -3.0}, {"a": -1.0, "c": -3.0}, 0.0),
    ],
)
def test_distance(one: dict[str, float], other: dict[str, float], expected: float) -> None:
    assert distance(one, other) == pytest.approx(expected)
    assert distance(other, one) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, None),
        (
            {"base_sha256": "b", "adapter_sha256": "a", "loss_curve": []},
            Digests(base="b", adapter="a"),
        ),
    ],
)
def test_trained_digests(record: dict[str, str], expected: Digests | None) -> None:
    assert trained_digests(record) == expected


class Waiting(FakeEngine):
    """PEFT that has not computed before others were begun."""

    begun = threading.Event()

    def generate(self, *asked: Any) -> Iterator[GenerationResult]:
        assert self.begun.wait(60)
        return super().generate(*asked)


@pytest.mark.parametrize("compared", [True, False], ids=["PEFT is asked", "PEFT is not asked"])
def test_the_run_begins_while_peft_computes_and_only_then(
    engine: FakeEngine, models: Models, compared: bool
) -> None:
    asked_at: list[int] = []
    peft = Waiting(template=engine.template, tokenise=engine.tokenise)
    peft.begun.clear()

    def begin() -> None:
        asked_at.append(len(engine.asked))
        peft.begun.set()

    reference = Reference(peft) if compared else Reference(reason="the setting spot_check is off")
    adapters = [models["v1"], models["v2"]]
    report = run_preflight(
        engine, models["base"], adapters, PROBES, reference=reference, begin=begin
    )
    assert report.passed
    assert asked_at == ([len(engine.asked)] if compared else []), "the engine is asked no more"


@pytest.mark.parametrize("compared", [True, False], ids=["PEFT is asked", "PEFT is not asked"])
def test_the_run_of_a_base_alone_begins_before_it_is_asked(
    engine: FakeEngine, models: Models, compared: bool
) -> None:
    asked_at: list[int] = []
    peft = FakeEngine(template=engine.template, tokenise=engine.tokenise)
    reference = Reference(peft) if compared else Reference(reason="the setting spot_check is off")
    report = run_preflight(
        engine,
        models["base"],
        [],
        PROBES,
        reference=reference,
        begin=lambda: asked_at.append(len(engine.asked) + len(peft.asked)),
    )
    assert (report.passed, asked_at) == (True, [0])


def test_the_run_of_a_base_alone_does_not_begin_where_its_files_changed(
    engine: FakeEngine, models: Models
) -> None:
    changed = replace(models["base"], registered=Digests(base="0" * 64))
    begun: list[bool] = []
    report = run_preflight(engine, changed, [], PROBES, begin=lambda: begun.append(True))
    assert (report.passed, begun) == (False, [])


def test_the_run_does_not_begin_where_the_engine_has_shown_enough(
    engine: FakeEngine, models: Models
) -> None:
    begun: list[bool] = []
    engine.ignores_adapters = True
    peft = FakeEngine(template=engine.template, tokenise=engine.tokenise)
    adapters = [models["v1"], models["v2"]]
    report = run_preflight(
        engine,
        models["base"],
        adapters,
        PROBES,
        reference=Reference(peft),
        begin=lambda: begun.append(True),
    )
    assert (report.passed, begun) == (False, [])

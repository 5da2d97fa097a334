"""Preflight with a fake engine and real files: every way of serving the wrong thing is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backend.engines.base import GenerationRequest, Message, ServedModel
from backend.engines.fake import FakeEngine
from backend.engines.prompts import decode_prompt, encode_prompt, load_tokenizer
from backend.errors import EngineUnavailable, PreflightFailed
from backend.services.preflight import (
    ModelFacts,
    PreflightReport,
    require_passed,
    run_preflight,
    trained_digests,
)
from backend.services.preflight_checks import Digests, current_digests, distance
from tests.fixtures_models import make_tiny_base, tiny_adapter

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

    engine = FakeEngine(template=render)
    engine.load([model.served for model in models.values()])
    return engine


def run(engine: FakeEngine, models: Models) -> PreflightReport:
    return run_preflight(engine, models["base"], [models["v1"], models["v2"]], PROBES)


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
    assert run(engine, models).passed is passes


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

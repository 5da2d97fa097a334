"""Preflight against the real server: what must pass, and an adapter without effect."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from backend.engines.base import Message
from backend.engines.base import ServedModel as Model
from backend.engines.vllm.engine import VllmEngine
from backend.errors import PreflightFailed
from backend.services.models.preflight.checks import current_digests
from backend.services.models.preflight.report import ModelFacts, require_passed, run_preflight

pytestmark = pytest.mark.vllm


def facts(model: Model) -> ModelFacts:
    now, problem = current_digests(model)
    assert now is not None, problem
    return ModelFacts(model, registered=now, trained=now)


def test_two_working_adapters_pass(
    engine: VllmEngine,
    base: Model,
    adapters: dict[str, Model],
    prompts: Sequence[Sequence[Message]],
) -> None:
    report = run_preflight(
        engine, facts(base), [facts(adapters["one"]), facts(adapters["two"])], prompts
    )
    for check in report.checks:
        print(f"\n{check.passed} {check.name}: {check.detail} {dict(check.figures)}")
    require_passed(report)


def test_an_adapter_without_effect_fails(
    engine: VllmEngine,
    base: Model,
    adapters: dict[str, Model],
    prompts: Sequence[Sequence[Message]],
) -> None:
    report = run_preflight(
        engine, facts(base), [facts(adapters["one"]), facts(adapters["zero"])], prompts
    )
    assert [check.name for check in report.failures] == ["base and zero differ"]
    with pytest.raises(PreflightFailed, match="zero has no effect"):
        require_passed(report)


def test_a_request_that_names_the_base_fails(
    engine: VllmEngine,
    base: Model,
    adapters: dict[str, Model],
    prompts: Sequence[Sequence[Message]],
) -> None:
    right = engine._names["one"]
    engine._names["one"] = engine._names["base"]
    try:
        report = run_preflight(engine, facts(base), [facts(adapters["one"])], prompts)
    finally:
        engine._names["one"] = right
    with pytest.raises(PreflightFailed, match="one has no effect"):
        require_passed(report)

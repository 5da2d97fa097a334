"""Eight ways of serving the wrong thing, each against the real server; the zero adapter is the
eighth and stands in test_real_preflight.

One server serves them all: what is wrong is made by loading and unloading adapters behind the
engine's back, or by meaning another base than the one that is served.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from backend.engines.base import Message
from backend.engines.base import ServedModel as Model
from backend.engines.local.engine import LocalEngine
from backend.engines.vllm.engine import VllmEngine
from backend.engines.vllm.models import digest_name
from backend.engines.vllm.serve import RunningServer
from backend.errors import EngineError
from backend.services.models.preflight.agreement import Reference
from backend.services.models.preflight.checks import current_digests
from backend.services.models.preflight.report import ModelFacts, PreflightReport, run_preflight
from tests.fixtures_models import make_tiny_base, tiny_adapter
from training.weights.digest import adapter_sha256

pytestmark = pytest.mark.vllm

Prompts = Sequence[Sequence[Message]]


@pytest.fixture
def fresh(server: RunningServer) -> Iterator[VllmEngine]:
    """An engine that has loaded nothing yet."""
    with VllmEngine([server.url]) as engine:
        yield engine


def facts(model: Model) -> ModelFacts:
    now, problem = current_digests(model)
    assert now is not None, problem
    return ModelFacts(model, registered=now, trained=now)


def copied(source: Model, folder: Path) -> Model:
    """The same adapter in a folder, and under a name, of the test's own."""
    assert source.adapter_path is not None
    shutil.copytree(source.adapter_path, folder)
    return replace(source, name=folder.name, adapter_path=folder)


def ask_server(server: RunningServer, what: str, **body: object) -> None:
    """Load or unload an adapter behind the engine's back."""
    answer = httpx.post(f"{server.url}/v1/{what}_lora_adapter", json=body, trust_env=False)
    assert answer.status_code == httpx.codes.OK, answer.text


def failures(report: PreflightReport) -> list[str]:
    for check in report.checks:
        print(f"\n{check.passed} {check.name}: {check.detail}")
    return [check.name for check in report.failures]


def other_base(base: Model, folder: Path) -> tuple[Model, Path]:
    """A copy of the base's folder under the same serving name, to be changed."""
    shutil.copytree(base.base_model, folder)
    return replace(base, base_model=str(folder)), folder


def test_what_the_server_computes_is_what_peft_computes(
    engine: VllmEngine,
    base: Model,
    adapters: dict[str, Model],
    local: LocalEngine,
    prompts: Prompts,
) -> None:
    right = [facts(adapters["one"]), facts(adapters["two"])]
    report = run_preflight(engine, facts(base), right, prompts, reference=Reference(local))
    assert failures(report) == []
    agreed = [c for c in report.checks if c.name.endswith("at the server and in PEFT")]
    assert len(agreed) == 3


def test_an_adapter_that_is_missing(
    fresh: VllmEngine,
    server: RunningServer,
    base: Model,
    adapters: dict[str, Model],
    prompts: Prompts,
    tmp_path: Path,
) -> None:
    lost = copied(adapters["one"], tmp_path / "lost")
    fresh.load([base, lost])
    ask_server(server, "unload", lora_name=digest_name(lost.name, lost.adapter_sha256 or ""))
    report = run_preflight(fresh, facts(base), [facts(lost)], prompts)
    assert failures(report) == ["models at the server"]


def test_an_adapter_of_another_base(
    fresh: VllmEngine, base: Model, prompts: Prompts, tmp_path: Path
) -> None:
    """vLLM 0.32 loads it without a word, whatever the shapes; it is not asked."""
    folder = tiny_adapter(tmp_path / "alien", make_tiny_base(tmp_path / "small"), rank=8)
    alien = Model("alien", base.base_model, folder, adapter_sha256(folder))
    fresh.load([base, alien])
    assert failures(run_preflight(fresh, facts(base), [facts(alien)], prompts)) == ["fit of alien"]


def test_swapped_names(
    fresh: VllmEngine,
    server: RunningServer,
    base: Model,
    adapters: dict[str, Model],
    local: LocalEngine,
    prompts: Prompts,
    tmp_path: Path,
) -> None:
    left = copied(adapters["one"], tmp_path / "left")
    right = copied(adapters["two"], tmp_path / "right")
    for name, held in ((left, right), (right, left)):
        digest = digest_name(name.name, name.adapter_sha256 or "")
        ask_server(server, "load", lora_name=digest, lora_path=str(held.adapter_path))
    fresh.load([base, left, right])
    meant = [facts(left), facts(right)]
    report = run_preflight(fresh, facts(base), meant, prompts, reference=Reference(local))
    assert failures(report) == ["left at the server and in PEFT", "right at the server and in PEFT"]


def test_a_changed_template(
    fresh: VllmEngine, base: Model, prompts: Prompts, tmp_path: Path
) -> None:
    changed, folder = other_base(base, tmp_path / "template")
    template = folder / "chat_template.jinja"
    template.write_text("Be brief.\n" + template.read_text())
    fresh.load([changed])
    report = run_preflight(fresh, facts(changed), [], prompts)
    assert failures(report) == ["chat template"]


def test_another_tokeniser(
    fresh: VllmEngine, base: Model, prompts: Prompts, tmp_path: Path
) -> None:
    """It spells every text as the right one does, in other tokens."""
    changed, folder = other_base(base, tmp_path / "tokeniser")
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["merges"] = content["model"]["merges"][::2]
    file.write_text(json.dumps(content))
    fresh.load([changed])
    report = run_preflight(fresh, facts(changed), [], prompts)
    assert failures(report) == ["tokeniser"]


def test_a_truncated_file(
    fresh: VllmEngine, base: Model, adapters: dict[str, Model], prompts: Prompts, tmp_path: Path
) -> None:
    cut = copied(adapters["one"], tmp_path / "cut")
    whole = facts(cut)
    file = tmp_path / "cut" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(EngineError):
        fresh.load([base, cut])
    assert "files of cut since registration" in failures(
        run_preflight(fresh, facts(base), [whole], prompts)
    )


def test_a_stale_adapter_after_a_reload_under_the_same_name(
    fresh: VllmEngine,
    server: RunningServer,
    base: Model,
    adapters: dict[str, Model],
    local: LocalEngine,
    prompts: Prompts,
    tmp_path: Path,
) -> None:
    new = adapters["two"]
    stale = replace(copied(adapters["one"], tmp_path / "stale"), adapter_sha256=new.adapter_sha256)
    name = digest_name(stale.name, new.adapter_sha256 or "")
    ask_server(server, "load", lora_name=name, lora_path=str(stale.adapter_path))
    assert new.adapter_path is not None
    shutil.copytree(new.adapter_path, tmp_path / "stale", dirs_exist_ok=True)
    fresh.load([base, stale])
    report = run_preflight(fresh, facts(base), [facts(stale)], prompts, reference=Reference(local))
    assert failures(report) == ["stale at the server and in PEFT"]

"""Prompt tuning, for real on a random model: it learns, and the local engine answers with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file
from sqlalchemy.orm import Session, sessionmaker

from backend.engines.adapters.fit import check_fits_base
from backend.engines.adapters.folders import WEIGHTS_FILE, read_adapter
from backend.engines.base import GenerationRequest, ReadRequest, SamplingParams, ServedModel
from backend.engines.local.engine import LocalEngine
from backend.engines.vllm.models import require_served
from backend.errors import EngineError, InvalidInput
from backend.services.models.adopt import adopt_adapter
from backend.services.models.exporting import export_merged
from backend.services.models.merging import merge_models
from backend.services.models.preflight.checks import check_rank
from backend.services.projects import create_project
from backend.services.training.runs import serving_notes
from backend.settings import Settings
from backend.tables.training import TrainingRun
from tests.fixtures_models import make_tiny_base, tiny_adapter, write_chat_rows
from tests.fixtures_training import train_and_read, write_small_config
from training.config import ConfigError, parse_config
from training.results.forgetting import measure, untouched_texts
from training.weights.merging import Merge

SHAPE = {"weights": "prompt-tuning", "lora": {}, "prompt_tuning": {"tokens": 5}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random base whose layers say so much that vectors before a prompt can change it."""
    folder = make_tiny_base(tmp_path_factory.mktemp("loud"))
    weights = load_file(folder / "model.safetensors")
    loud = {name: w * (8 if w.ndim > 1 else 1) for name, w in weights.items()}
    save_file(loud, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """A folder whose v1 is a soft prompt of five vectors."""
    folder = tmp_path_factory.mktemp("soft")
    rows = write_chat_rows(folder / "train.jsonl", 24)
    values = {**SHAPE, "train_file": str(rows), "validation_file": str(rows)}
    values |= {"epochs": 6, "learning_rate": 0.1, "log_every": 2, "measure_forgetting": True}
    result = train_and_read(write_small_config(folder, base, values))
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_the_loss_falls_and_the_base_stays_what_it_was(trained: Path, base: Path) -> None:
    result = json.loads((trained / "result.json").read_text())
    losses = [line["loss"] for line in result["loss_curve"] if "loss" in line]
    watched = [line["eval_loss"] for line in result["loss_curve"] if "eval_loss" in line]
    assert losses[-1] < losses[0] - 0.3
    assert watched[-1] < watched[0] - 0.1
    general = result["forgetting"]["general"]
    bare, now = general["before"]["value"], general["after"]["value"]
    assert bare == pytest.approx(_loss_of_base(base), abs=1e-3)
    assert bare != pytest.approx(now, abs=1e-3)
    adapter = read_adapter(trained / "v1")
    assert adapter.soft_prompt is not None
    assert (adapter.soft_prompt.shape, adapter.rank, adapter.pairs) == ((5, 32), 0, ())
    check_fits_base(adapter, base)
    card = (trained / "v1" / "README.md").read_text()
    assert "Soft prompt for" in card
    assert "5 vectors" in card


def _loss_of_base(base: Path) -> float:
    """The loss of the base alone on general text."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base)
    longest = model.config.max_position_embeddings
    texts = untouched_texts(None, AutoTokenizer.from_pretrained(base), longest=longest)
    rows = measure(model, texts)["general"]
    return sum(row.loss for row in rows) / sum(row.count for row in rows)


def test_the_recorded_loss_is_that_of_pefts_own_model(trained: Path, base: Path) -> None:
    """Positions are counted past the vectors: a shift by one would be another loss."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    bare = AutoModelForCausalLM.from_pretrained(base)
    model = PeftModel.from_pretrained(bare, str(trained / "v1")).eval()
    total, count = 0.0, 0
    for line in (trained / "train.jsonl").read_text().splitlines():
        row = json.loads(line)
        prompt, whole = (
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opens)
            for messages, opens in (
                (row["prompt"], True),
                (row["prompt"] + row["completion"], False),
            )
        )
        ids, before = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (whole, prompt)
        )
        labels = torch.tensor([[-100] * len(before) + ids[len(before) :]])
        trained_on = len(ids) - len(before)
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([ids]), labels=labels).loss
        total, count = total + float(loss) * trained_on, count + trained_on
    result = json.loads((trained / "result.json").read_text())
    assert total / count == pytest.approx(result["validation"]["loss"]["value"], abs=1e-3)


def test_the_local_engine_answers_as_peft_does(trained: Path, base: Path, tmp_path: Path) -> None:
    """Beside a LoRA adapter, with prompts of several lengths in one batch."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    lora = tiny_adapter(tmp_path / "lora", base)
    names = {"soft": trained / "v1", "lora": lora, "base": None}
    asked = [[{"role": "user", "content": "Ticket 3 " + "blue " * n}] for n in (0, 3, 9)]
    requests = [
        GenerationRequest(f"{name}-{i}", name, messages)
        for name in names
        for i, messages in enumerate(asked)
    ]
    with LocalEngine(threads=1) as engine:
        engine.load([ServedModel(name, str(base), path) for name, path in names.items()])
        written = list(engine.generate(requests, SamplingParams(max_tokens=8, temperature=0.0)))
        first = [engine.next_token_logprobs("soft", messages, top=3) for messages in asked]
        prompts = [engine.token_ids(messages) for messages in asked]
    answers = {result.key: result for result in written}
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base), str(trained / "v1")
    ).eval()
    for i, ids in enumerate(prompts):
        with torch.no_grad():
            likely = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0, -1], -1)
        wanted = likely.topk(3).values.tolist()
        assert list(first[i].values()) == pytest.approx(wanted, abs=1e-4)
        assert answers[f"soft-{i}"].token_logprobs[0] == pytest.approx(wanted[0], abs=1e-4)
        assert _greedy(model, ids, 8) == pytest.approx(
            answers[f"soft-{i}"].token_logprobs, abs=1e-3
        )
        assert len({answers[f"{name}-{i}"].token_logprobs[0] for name in names}) == 3


def _greedy(model: Any, ids: list[int], most: int) -> tuple[float, ...]:
    """Log-probabilities of PEFT's greedy answer, computed from the whole text at every token."""
    import torch

    told: list[float] = []
    for _ in range(most):
        with torch.no_grad():
            likely = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0, -1], -1)
        told.append(float(likely.max()))
        ids = [*ids, int(likely.argmax())]
        if ids[-1] == model.config.eos_token_id:
            break
    return tuple(told)


def test_the_local_engine_reads_given_answers_as_peft_does(trained: Path, base: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    asked = [
        ReadRequest(str(n), "soft", [{"role": "user", "content": "blue " * n}], f"Answer {n} " * n)
        for n in (1, 3, 9)
    ]
    with LocalEngine(threads=1) as engine:
        engine.load([ServedModel("soft", str(base), trained / "v1")])
        found = {result.key: result for result in engine.read(asked)}
        prompts = [engine.token_ids(request.messages) for request in asked]
    tokenizer = AutoTokenizer.from_pretrained(base)
    bare = AutoModelForCausalLM.from_pretrained(base)
    model = PeftModel.from_pretrained(bare, str(trained / "v1")).eval()
    for request, before in zip(asked, prompts, strict=True):
        after = tokenizer(request.answer, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([before + after])).logits[0]
        likely = torch.log_softmax(logits[-len(after) - 1 : -1], -1)
        told = likely.gather(-1, torch.tensor(after)[:, None])[:, 0]
        assert found[request.key].logprobs == pytest.approx(told.tolist(), abs=1e-4)


def test_vllm_is_not_asked_for_what_it_does_not_serve(trained: Path) -> None:
    with pytest.raises(EngineError, match=r"vectors before the prompt .* run it with --engine"):
        require_served(ServedModel("v1@1", "base", trained / "v1"))


def test_that_vllm_does_not_serve_it_is_said_before_training_and_when_it_is_added(
    trained: Path, base: Path, sqlite_sessions: sessionmaker[Session], settings: Settings
) -> None:
    (said,) = serving_notes(TrainingRun(config=SHAPE))
    assert "vectors before the prompt (prompt tuning): run it with --engine local" in said
    assert serving_notes(TrainingRun(config={"weights": "lora"})) == []
    with sqlite_sessions.begin() as session:
        project = create_project(session, "desk", base_model=str(base)).id
    adopted = adopt_adapter(sqlite_sessions, project, "v1", trained / "v1", settings=settings)
    assert (adopted.model.rank, adopted.model.facts_known) == (0, True)
    assert adopted.notes[-1] == said
    checked = check_rank("v1", adopted.model.path, 0)
    assert (checked.passed, "a soft prompt of 5 vectors" in checked.detail) == (True, True)
    with pytest.raises(InvalidInput, match="has a soft prompt"):
        merge_models(
            sqlite_sessions, project, "m", {"v1": 1, "v1@1": 2}, merge=Merge(), settings=settings
        )
    with pytest.raises(InvalidInput, match="v1@1 is a soft prompt: it changes no weight"):
        export_merged(sqlite_sessions, project, "v1", settings.home / "out")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_virtual_tokens": 6}, "declares 6 vectors, and holds 5"),
        ({"num_virtual_tokens": None}, "num_virtual_tokens is missing or 0"),
        ({"peft_type": "LORA"}, "r is missing or 0"),
        ({"peft_type": "LORA", "r": 5}, "holds no LoRA matrices"),
        ({"peft_type": "P_TUNING"}, "is a P_TUNING adapter"),
    ],
)
def test_a_soft_prompt_that_is_none_is_refused(
    trained: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    config = json.loads((trained / "v1" / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | changes))
    (tmp_path / WEIGHTS_FILE).write_bytes((trained / "v1" / WEIGHTS_FILE).read_bytes())
    with pytest.raises(InvalidInput, match=said):
        read_adapter(tmp_path)


def test_a_soft_prompt_of_another_width_is_refused(trained: Path, tmp_path: Path) -> None:
    wide = make_tiny_base(tmp_path / "wide", hidden=48)
    with pytest.raises(InvalidInput, match="have the width 32, the base's 48"):
        check_fits_base(read_adapter(trained / "v1"), wide)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "dpo"}, "learns answers or texts, and dpo preferences"),
        ({"packing": True, "quantize": "4bit"}, "goes without packing, quantize"),
        ({"start_from": "x"}, "goes without start_from"),
        ({"lora": {"rank": 4}}, "goes without lora"),
        ({"weights": "lora"}, "prompt_tuning has no meaning with weights: lora"),
        ({"search": {"rank": [4]}, "validation_file": "x"}, "search.rank has no meaning"),
        ({"prompt_tuning": {"token": 3}}, "did you mean prompt_tuning.tokens"),
    ],
)
def test_what_goes_not_with_it_is_one_sentence(changes: dict[str, Any], said: str) -> None:
    values = {"base_model": "b", "train_file": "t", "output_dir": "o", "manifest_digest": "5" * 64}
    with pytest.raises(ConfigError, match=said):
        parse_config({**values, **SHAPE, **changes})

"""The table of methods; all but SFT for real, on a random model of 27,000 parameters."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from backend.services.curation.formats import FORMATS, METHOD_ROWS, TrainingRow
from tests.fixtures_training import train_and_read, write_small_config
from training import sft
from training.config import (
    ConfigError,
    Method,
    TrainingError,
    load_config,
    parse_config,
    partial_dir,
)
from training.methods import METHODS
from training.rows.data import DataError
from training.weights.loading import keep_differentiable, load_model

GOOD, BAD = "Answer 1", "Answer 6"
FULL = {"weights": "full", "lora": {}}
SOFT = {"weights": "prompt-tuning", "lora": {}, "prompt_tuning": {"tokens": 3}}


def _message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def _answers() -> list[dict[str, Any]]:
    return [
        {"prompt": _message("user", f"Ticket {i}"), "completion": _message("assistant", GOOD)}
        for i in range(16)
    ]


def _pairs() -> list[dict[str, Any]]:
    return [
        {
            "prompt": _message("user", f"Ticket {i}"),
            "chosen": _message("assistant", GOOD),
            "rejected": _message("assistant", BAD),
        }
        for i in range(16)
    ]


def _labels() -> list[dict[str, Any]]:
    return [
        {
            "prompt": _message("user", f"Ticket {i}"),
            "completion": _message("assistant", GOOD if i % 2 else BAD),
            "label": bool(i % 2),
        }
        for i in range(16)
    ]


def _documents() -> list[dict[str, Any]]:
    return [{"text": "the blue ticket is the blue answer " * 6} for _ in range(12)]


ROWS = {"sft": _answers, "dpo": _pairs, "kto": _labels, "pretrain": _documents}


def write_config(folder: Path, base: Path, method: str, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = ROWS[method]()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    watched = [row | {"group": f"g{i // 2}"} for i, row in enumerate(rows[:10])]
    (folder / "watched.jsonl").write_text("".join(json.dumps(row) + "\n" for row in watched))
    if changes.pop("watched", False):
        changes["validation_file"] = str(folder / "watched.jsonl")
    values = {
        "method": method,
        "train_file": str(folder / "train.jsonl"),
        "epochs": 6,
        "log_every": 2,
    }
    return write_small_config(folder, base, values | changes)


# Files that may tell methods apart by name, and why.
NAMING = {
    "training/methods.py": "the table",
    "backend/services/curation/formats.py": "what a frozen set gives each method; export formats",
    "backend/cli/curation/sets.py": "keys of a recipe, which says what rows a set is made of",
}


# Without one of these a file tells no methods apart, and is not parsed.
NAMES = re.compile(rf"\bMethod\b|[\"'](?:{'|'.join(METHODS)})[\"']")


def told_apart(tree: ast.AST) -> Iterator[int]:
    """Lines that compare with a method's name, match it, or keep a table by it."""
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                parts: list[ast.expr] = [left, *others]
            case ast.MatchValue(value=value):
                parts = [value]
            case ast.Dict(keys=keys):
                parts = [key for key in keys if key is not None]
            case _:
                continue
        for one in chain.from_iterable(map(ast.walk, parts)):
            match one:
                case ast.Constant(value=str(name)) if name in METHODS:
                    yield one.lineno
                case ast.Attribute(value=ast.Name(id="Method")):
                    yield one.lineno


def test_methods_are_told_apart_by_their_table_alone() -> None:
    root = Path(__file__).parents[2]
    files = chain.from_iterable(
        (root / p).rglob("*.py") for p in ("backend", "training", "dashboard")
    )
    named = {file: text for file in files if NAMES.search(text := file.read_text("utf-8"))}
    found = {
        file.relative_to(root).as_posix(): lines
        for file, text in named.items()
        if (lines := list(told_apart(ast.parse(text))))
    }
    assert found.keys() - NAMING == set(), found
    assert found.keys() == NAMING.keys()


@pytest.mark.parametrize("name", Method)
def test_a_method_has_all_its_parts(name: Method) -> None:
    from training.results.measuring import MeasuresRows

    method = METHODS[name]
    least = {"base_model": "b", "train_file": "t", "output_dir": "o", "manifest_digest": "5" * 64}
    config = parse_config(least | {"method": name.value})
    assert method.words
    assert method.figures[0] == "loss"
    trainer, arguments = method.trainer(config)
    assert issubclass(trainer, MeasuresRows)
    assert arguments(output_dir="o", report_to="none", use_cpu=True).output_dir == "o"


@pytest.mark.parametrize("name", Method)
def test_what_a_set_gives_is_what_a_method_reads(name: Method, tmp_path: Path) -> None:
    rows, method = METHOD_ROWS[name], METHODS[name]
    lines = [
        rows.convert(TrainingRow(rows.kind, _message("user", "?"), GOOD, rejected=BAD, label=label))
        for label in (True, False)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert tuple(lines[0]) == method.fields
    assert len(method.read(tmp_path / "rows.jsonl")) == 2


def test_each_method_is_in_both_tables() -> None:
    assert set(METHODS) == set(METHOD_ROWS) == set(Method)
    assert len({method.words for method in METHODS.values()}) == len(METHODS)
    assert {name for name in Method if METHOD_ROWS[name].from_plain} <= set(FORMATS)


def test_an_unknown_method_is_refused_by_those_that_there_are() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config({"method": "ppo"})
    *others, last = (repr(name.value) for name in Method)
    said = f"method: input should be {', '.join(others)} or {last}, not 'ppo'."
    assert said in str(refused.value)


def train(folder: Path, base: Path, method: str, **changes: Any) -> dict[str, Any]:
    return train_and_read(write_config(folder, base, method, **changes))


def preference(base: Path, adapter: Path | None) -> float:
    """How much likelier the good answer is than the bad one to a new prompt, in nats."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)

    def log_probability(answer: str) -> float:
        chat = _message("user", "Ticket 40") + _message("assistant", answer)
        encoded = tokenizer.apply_chat_template(chat, return_dict=True, return_tensors="pt")
        ids = encoded["input_ids"]
        with torch.no_grad():
            nats = model(ids).logits.log_softmax(-1)[0, :-1]
        return float(nats.gather(1, ids[0, 1:, None]).sum())

    return log_probability(GOOD) - log_probability(BAD)


@pytest.fixture(scope="module")
def by_pairs(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A folder in which one DPO training was run to its end."""
    folder = tmp_path_factory.mktemp("dpo")
    train(folder, tiny_base, "dpo", save_every=4)
    return folder


def test_pairs_make_the_chosen_answer_likelier(by_pairs: Path, tiny_base: Path) -> None:
    assert preference(tiny_base, by_pairs / "v1") > preference(tiny_base, None) + 2


def test_the_result_is_one_adapter_of_its_method(by_pairs: Path) -> None:
    result = json.loads((by_pairs / "v1" / "strop.json").read_text())
    assert (result["kind"], result["train"]["rows"]) == ("dpo", 16)
    assert result["train"]["trained_tokens"] > 0
    assert not [path for path in (by_pairs / "v1").iterdir() if path.is_dir()]
    assert "direct preference optimization" in (by_pairs / "v1" / "README.md").read_text()


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("sft", {"watched": True, "evaluate_every": 3}),
        pytest.param("dpo", {"watched": True, "evaluate_every": 3}, marks=pytest.mark.deep),
        pytest.param("kto", {"watched": True, "evaluate_every": 3}, marks=pytest.mark.deep),
        ("pretrain", {"max_length": 32}),
        pytest.param("pretrain", {"max_length": 32, **FULL}, marks=pytest.mark.deep),
        ("dpo", FULL),
        pytest.param("pretrain", {"max_length": 32, **SOFT}, marks=pytest.mark.deep),
    ],
    ids=["sft", "dpo", "kto", "pretrain", "full", "dpo-full", "soft-prompt"],
)
def test_a_killed_training_is_taken_up_and_ends_the_same(
    tmp_path: Path,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    method: str,
    changes: dict[str, Any],
) -> None:
    changes = {"save_every": 4, "epochs": 2, **changes}
    unkilled = train(tmp_path / "unkilled", tiny_base, method, **changes)
    config = write_config(tmp_path, tiny_base, method, **changes)

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patch:
        patch.setattr("training.trainer.CurveWriter.on_save", _die_at(4, Killed), raising=False)
        with pytest.raises(Killed):
            sft.main(["--config", str(config)])
    assert partial_dir(tmp_path / "v1").exists()
    assert sft.main(["--config", str(config)]) == 0
    assert "Taking up the unfinished training after step 4." in capsys.readouterr().out
    ours = json.loads((tmp_path / "v1" / "strop.json").read_text())
    assert (ours["adapter_sha256"], ours["model_sha256"]) == (
        unkilled["adapter_sha256"],
        unkilled["model_sha256"],
    )
    assert _losses(ours) == _losses(unkilled)
    assert (ours["tokens"], ours["ledger"]["starts"]) == (unkilled["tokens"], 2)


def _losses(result: dict[str, Any]) -> list[Any]:
    """The curve without what a clock says, and what was measured of validation rows at its end."""
    curve = result["loss_curve"]
    return [
        *((line["step"], line.get("loss"), line.get("eval_loss")) for line in curve),
        result["validation"],
    ]


def _die_at(step: int, error: type[BaseException]) -> Any:
    def on_save(self: object, args: object, state: Any, control: object, **_: object) -> None:
        if state.global_step >= step:
            raise error

    return on_save


def test_labels_part_good_from_bad(tmp_path: Path, tiny_base: Path) -> None:
    result = train(tmp_path, tiny_base, "kto")
    assert result["kind"] == "kto"
    assert preference(tiny_base, tmp_path / "v1") > preference(tiny_base, None) + 1


def test_preferences_hold_to_the_adapter_that_they_began_from(
    by_pairs: Path, tmp_path: Path, tiny_base: Path
) -> None:
    began = str(by_pairs / "v1")
    train(tmp_path, tiny_base, "dpo", start_from=began, epochs=1, learning_rate=1e-9)
    curve = json.loads((tmp_path / "v1" / "strop.json").read_text())["loss_curve"]
    # Beside itself the adapter prefers nothing: the loss of DPO is log 2.
    assert [line["loss"] for line in curve if "loss" in line] == pytest.approx(
        [0.6931] * 3, abs=1e-3
    )


def test_documents_are_learnt_whole(tmp_path: Path, tiny_base: Path) -> None:
    result = train(tmp_path, tiny_base, "pretrain", max_length=32, epochs=3)
    losses = [line["loss"] for line in result["loss_curve"] if "loss" in line]
    assert losses[-1] < losses[0] - 0.5
    assert result["train"]["trained_tokens"] == result["train"]["tokens"]


def test_blocks_are_full_and_part_documents_by_the_end_token(
    tmp_path: Path, tiny_base: Path
) -> None:
    from training.assemble import load_tokenizer

    config = load_config(write_config(tmp_path, tiny_base, "pretrain", max_length=16))
    tokenizer = load_tokenizer(tiny_base)
    method = METHODS[config.method]
    encoded = method.encode(config, method.read(config.train_file), tokenizer)
    ids = [token for row in encoded.records for token in row["input_ids"]]
    assert all(len(row["input_ids"]) == 16 for row in encoded.records[:-1])
    assert 11 <= ids.count(tokenizer.eos_token_id) <= 12


@pytest.mark.parametrize(
    ("lora", "key"), [({"rslora": True}, "use_rslora"), ({"dora": True}, "use_dora")]
)
def test_variants_of_lora_are_what_the_adapter_says(
    tmp_path: Path, tiny_base: Path, lora: dict[str, bool], key: str
) -> None:
    shape = {"rank": 4, "alpha": 8, "dropout": 0.0, **lora}
    train(tmp_path, tiny_base, "pretrain", lora=shape, epochs=1)
    assert json.loads((tmp_path / "v1" / "adapter_config.json").read_text())[key] is True
    names = (tmp_path / "v1" / "adapter_model.safetensors").read_bytes()
    assert (b"magnitude" in names) is bool(lora.get("dora"))


def test_four_bits_train_where_they_can_and_are_one_sentence_elsewhere(
    tmp_path: Path, tiny_base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lora = {"rank": 4, "alpha": 8, "dropout": 0.0}
    config = write_config(tmp_path, tiny_base, "pretrain", quantize="4bit", lora=lora, epochs=3)
    code = sft.main(["--config", str(config)])
    if importlib.util.find_spec("bitsandbytes") is None:
        (told,) = capsys.readouterr().err.splitlines()
        assert code == 1
        assert told.startswith("4-bit training needs the package bitsandbytes")
        return
    assert code == 0
    curve = json.loads((tmp_path / "v1" / "strop.json").read_text())["loss_curve"]
    losses = [line["loss"] for line in curve if "loss" in line]
    assert losses[-1] < losses[0]


def test_four_bits_keep_their_gradient_when_the_model_has_answered(
    tmp_path: Path, tiny_base: Path
) -> None:
    """A training measures its base before the first step, in evaluation."""
    pytest.importorskip("bitsandbytes")
    torch = pytest.importorskip("torch")
    config = load_config(write_config(tmp_path, tiny_base, "sft", quantize="4bit"))
    model = load_model(config, tiny_base, torch.bfloat16)
    ids = torch.arange(8)[None] + 40

    def gradients() -> list[Any]:
        model.zero_grad()
        model.train()
        model(input_ids=ids, labels=ids).loss.backward()
        return [one.grad.clone() for one in model.parameters() if one.requires_grad]

    before = gradients()
    model.eval()
    with torch.no_grad():
        model(input_ids=ids)
    assert any(bool(one.any()) for one in before)
    assert all(torch.equal(*pair) for pair in zip(before, gradients(), strict=True))


def test_no_layer_is_laid_out_for_answering_only() -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 2)
    layer.support_avx512bf16_for_cpu = (
        True  # as bitsandbytes' Linear4bit where there is AVX512-BF16
    )
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), layer)
    keep_differentiable(model)
    assert layer.support_avx512bf16_for_cpu is False
    assert not hasattr(model[0], "support_avx512bf16_for_cpu")


@pytest.mark.parametrize(
    ("method", "row", "said"),
    [
        ("dpo", {"chosen": "text"}, "'chosen' is not a list of chat messages"),
        ("dpo", {"rejected": _message("assistant", GOOD)}, "both answers are the same"),
        ("dpo", {"rejected": _message("user", "x")}, "the rejected is not the assistant's"),
        ("kto", {"label": "yes"}, "the label is neither true nor false"),
        ("kto", None, "does not hold both good and bad answers"),
        ("pretrain", {"text": "  "}, "there is no text"),
    ],
)
def test_what_cannot_be_learnt_is_named(
    tmp_path: Path, method: str, row: dict[str, Any] | None, said: str
) -> None:
    rows = ROWS[method]()
    rows = rows[:1] if row is None else [*rows[:3], rows[3] | row]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    with pytest.raises(DataError, match=said):
        METHODS[Method(method)].read(file)


def test_a_long_pair_is_refused_and_named(tmp_path: Path, tiny_base: Path) -> None:
    config = load_config(write_config(tmp_path, tiny_base, "dpo", max_length=5))
    from training.assemble import load_tokenizer

    method = METHODS[config.method]
    rows = method.read(config.train_file)
    with pytest.raises(TrainingError, match="16 of 16 rows are longer"):
        method.encode(config, rows, load_tokenizer(tiny_base))

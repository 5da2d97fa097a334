"""Adapter folders: what is no adapter is refused in one sentence, what fits its base is taken."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from backend.engines.adapters.fit import check_fits_base
from backend.engines.adapters.folders import CONFIG_FILE, WEIGHTS_FILE, read_adapter
from backend.errors import InvalidInput, StropError

Q = "model.layers.0.self_attn.q_proj"
HEAD = "lm_head"
EMBEDDINGS = "model.embed_tokens"
CONFIG: dict[str, Any] = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "target_modules": ["q_proj"],
    "base_model_name_or_path": "base",
}


def pair(module: str = Q, *, rank: int = 2, out: int = 8, into: int = 6) -> dict[str, Any]:
    """The two matrices of a module."""
    return {
        f"base_model.model.{module}.lora_A.weight": np.ones((rank, into), np.float32),
        f"base_model.model.{module}.lora_B.weight": np.ones((out, rank), np.float32),
    }


def write(folder: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """An adapter; keys of the configuration that are `...` are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {k: v for k, v in (CONFIG | config).items() if v is not ...}
    (folder / CONFIG_FILE).write_text(json.dumps(content))
    save_file(pair() if tensors is None else tensors, folder / WEIGHTS_FILE)
    return folder


def base(folder: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """A base with one projection and tied embeddings."""
    folder.mkdir()
    own = {f"{Q}.weight": np.zeros((8, 6), np.float32)}
    own |= {f"{EMBEDDINGS}.weight": np.arange(60, dtype=np.float32).reshape(10, 6)}
    save_file(own if tensors is None else tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def refusal(folder: Path) -> str:
    """The sentence by which an adapter is refused; anything else fails."""
    with pytest.raises(StropError) as raised:
        read_adapter(folder)
    assert len(raised.value.message.splitlines()) == 1
    assert str(folder.parent) not in str(raised.value)
    return raised.value.message


def test_a_plain_adapter_is_read(tmp_path: Path) -> None:
    adapter = read_adapter(write(tmp_path / "v1"))
    assert (adapter.rank, adapter.notes, adapter.facts) == (2, [], {})
    assert [(p.module, p.rank, p.outputs, p.inputs) for p in adapter.pairs] == [(Q, 2, 8, 6)]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"r": 4}, "declares rank 4"),
        ({"r": ...}, "r is missing or 0"),
        ({"r": 0}, "r is missing or 0"),
        ({"r": -2}, "r: input should be greater"),
        ({"r": "2"}, "r: input should be a valid integer"),
        ({"r": 2.0}, "r: input should be a valid integer"),
        ({"r": True}, "r: input should be a valid integer"),
        ({"r": [2]}, "r: input should be a valid integer"),
        ({"r": None}, "r is missing or 0"),
        ({"r": 10**30}, "r: input should be"),
        ({"lora_alpha": float("nan")}, "NaN is not a number"),
        ({"lora_alpha": float("inf")}, "Infinity is not a number"),
        ({"lora_alpha": 0}, "lora_alpha"),
        ({"lora_alpha": True}, "lora_alpha"),
        ({"peft_type": "PREFIX_TUNING"}, "is a PREFIX_TUNING adapter"),
        ({"peft_type": ...}, "is a None adapter"),
        ({"peft_type": {"a": 1}}, "adapter"),
        ({"target_modules": 3}, "target_modules"),
        ({"rank_pattern": ["q_proj"]}, "rank_pattern"),
        ({"rank_pattern": {"q_proj": "2"}}, "rank_pattern.q_proj"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern.q_proj"),
        ({"rank_pattern": {"v_proj": 8, "(": 2}}, "cannot be used"),
        ({"rank_pattern": {"(.*a)*z": 2}}, "repeats too much"),
        ({"alpha_pattern": {".*.*.*z": 2}}, "repeats too much"),
        ({"target_modules": "(a+)+z"}, "repeats too much"),
        ({"rank_pattern": {"q_proj": 8}}, "declares rank 8"),
        ({"alpha_pattern": {"q_proj": None}}, "alpha_pattern.q_proj"),
        ({"modules_to_save": "lm_head"}, "modules_to_save"),
        ({"bias": "some"}, "bias"),
        ({"use_dora": "yes"}, "use_dora"),
        ({"init_lora_weights": "pissa_niter_4"}, "moves the base's own weights"),
        ({"init_lora_weights": "corda"}, "moves the base's own weights"),
        ({"init_lora_weights": "lora_ga"}, "moves the base's own weights"),
        ({"megatron_config": {"a": 1}, "megatron_core": "antigravity"}, "megatron_config"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"target_parameters": ["experts"]}, "target_parameters"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"base_model_name_or_path": "\ud800"}, "is not JSON"),
        ({"revision": "a\0b"}, "zero character"),
    ],
)
def test_a_configuration_that_is_none_is_refused(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    assert said in refusal(write(tmp_path / "v1", **config))


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"3", b'"text"', b"null", b"{", b"\xff\xfe{}", b"\x00" * 50),
        *(b"[" * 200_000, b'{"r":' * 5000, b'{"r": 1e999}', b'{"r": ' + b"9" * 6000 + b"}", b"{}"),
    ],
)
@pytest.mark.parametrize("name", [CONFIG_FILE, "strop.json"])
def test_json_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    if (name, content) == ("strop.json", b"{}"):
        return  # an empty record says nothing
    (write(tmp_path / "v1") / name).write_bytes(content)
    refusal(tmp_path / "v1")


@pytest.mark.parametrize(
    ("tensors", "config", "said"),
    [
        ({"base_model.model.x.weight": np.ones(2, np.float32)}, {}, "no LoRA matrices"),
        (pair(rank=16), {}, "declares rank 2"),
        (pair() | pair("b", rank=4), {}, "declares rank 2"),
        (dict(list(pair().items())[:1]), {}, "one half"),
        (dict(list(pair().items())[1:]), {}, "one half"),
        ({k: v.reshape(-1) for k, v in pair().items()}, {}, "shapes"),
        ({k: v * np.nan for k, v in pair().items()}, {}, "not finite, in 2 of 2"),
        ({k: v * np.inf for k, v in pair().items()}, {}, "not finite"),
        ({k: (v * np.nan).astype(np.float16) for k, v in pair().items()}, {}, "not finite"),
        ({k: (v * np.inf).astype(np.float64) for k, v in pair().items()}, {}, "not finite"),
        (
            pair() | {f"base_model.model.{Q}.lora_magnitude_vector": np.ones(8, np.float32)},
            {},
            "does not set use_dora",
        ),
        (
            pair() | {f"base_model.model.{Q}.lora_B.bias": np.ones(8, np.float32)},
            {},
            "does not set lora_bias",
        ),
    ],
)
def test_weights_that_are_not_those_declared_are_refused(
    tmp_path: Path, tensors: dict[str, Any], config: dict[str, Any], said: str
) -> None:
    assert said in refusal(write(tmp_path / "v1", tensors, **config))


@pytest.mark.parametrize(
    "bits",
    [0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7F81],
)
def test_bfloat16_that_is_not_finite_is_refused(tmp_path: Path, bits: int) -> None:
    folder = write(tmp_path / "v1")
    shapes = {name: value.shape for name, value in pair().items()}
    write_raw(folder, shapes, {name: [0x3F80] * 11 + [bits] for name in shapes})
    assert "not finite" in refusal(folder)
    write_raw(folder, shapes, {name: [0x7F7F] * 12 for name in shapes})
    with pytest.raises(StropError, match=r"declares rank|cut short"):  # 12 numbers are no 2 x 8
        read_adapter(folder)


def write_raw(folder: Path, shapes: dict[str, Any], words: dict[str, list[int]]) -> None:
    """A file of bfloat16 tensors, of which NumPy has no type; each is cut to 12 numbers."""
    header, data = {}, b""
    for name in shapes:
        raw = struct.pack("<12H", *words[name])
        span = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "BF16", "shape": [2, 6], "data_offsets": span}
        data += raw
    text = json.dumps(header).encode()
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(text)) + text + data)


def _entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"a": 3},
        {"a": _entry(dtype="F33")},
        {"a": _entry(shape=[-1])},
        {"a": _entry(shape=[2**62, 2**62])},
        {"a": _entry(shape="ab")},
        {"a": _entry(data_offsets=[0, 8])},
        {"a": _entry(data_offsets=[4, 0])},
        {"a": _entry(data_offsets=[0, 2**63])},
        {"a": _entry(data_offsets=[0])},
        {"a": _entry(), "b": _entry()},
        {"a": {k: v for k, v in _entry().items() if k != "dtype"}},
        {"__metadata__": {"format": 3}, "a": _entry()},
        {"__metadata__": []},
        [],
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, header: Any) -> None:
    text = json.dumps(header).encode()
    folder = write(tmp_path / "v1")
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 4)
    refusal(folder)


def test_damage_at_random_is_refused_or_harmless(tmp_path: Path) -> None:
    """Every cut and 400 flipped bytes: an adapter or one sentence, never another error."""
    folder = write(tmp_path / "v1")
    draw = random.Random(4)
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        whole = (folder / name).read_bytes()
        cuts = [whole[:n] for n in range(0, len(whole), 7)]
        flips = []
        for _ in range(200):
            at = draw.randrange(len(whole))
            flips.append(whole[:at] + bytes([draw.randrange(256)]) + whole[at + 1 :])
        for content in cuts + flips:
            (folder / name).write_bytes(content)
            with suppress(StropError):
                read_adapter(folder)
        (folder / name).write_bytes(whole)


def _pickle(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(pickle.dumps([1]))


def _packed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(gzip.compress(pickle.dumps([1])))


def _inner(folder: Path) -> None:
    (folder / "checkpoint-1").mkdir()
    _pickle("optimizer.pt")(folder / "checkpoint-1")


def _archive(folder: Path) -> None:
    np.savez(folder / "x.npz", a=np.ones(2))
    (folder / "x.npz").rename(folder / "notes.txt")


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (_pickle("optimizer.pt"), "pickle"),
        (_pickle("DATA.PKL"), "pickle"),
        (_pickle("notes.txt"), "pickle"),
        (_pickle("data.pkl.old"), "pickle"),
        (_packed("data.pkl.gz"), "pickle"),
        (_packed("notes.json"), "archive"),
        (_archive, "archive"),
        (_inner, "pickle"),
        (lambda folder: (folder / "out").symlink_to("/etc/hostname"), "leads out"),
        (lambda folder: (folder / "out").symlink_to("/etc"), "leads out"),
        (lambda folder: (folder / "gone").symlink_to(folder / "nothing"), "leads out"),
        (lambda folder: (folder / "round").symlink_to("round"), "leads out"),
        (lambda folder: os.mkfifo(folder / "pipe"), "not a regular file"),
    ],
)
def test_what_could_run_code_or_leads_out_is_refused(
    tmp_path: Path, add: Callable[[Path], None], said: str
) -> None:
    folder = write(tmp_path / "v1")
    add(folder)
    assert said in refusal(folder)


def turn(shape: tuple[int, int]) -> dict[str, Any]:
    return {f"{Q}.weight": np.zeros(shape, np.float32)}


def int32(name: str, *shape: int) -> dict[str, Any]:
    return {f"{Q}.{name}": np.zeros(shape, np.int32)}


LARGE = pair(out=16, into=64)
WHOLE_HEAD = {"base_model.model.lm_head.base_layer.weight": np.arange(60, dtype=np.float32)}
OWN_HEAD = {k: v.reshape(10, 6) for k, v in WHOLE_HEAD.items()}
OTHER_HEAD = {k: v + 1 for k, v in OWN_HEAD.items()}
SAVED_HEAD = {"base_model.model.lm_head.weight": np.ones((10, 6), np.float32)}
RESIZED = {"base_model.model.lm_head.weight": np.ones((11, 6), np.float32)}


@pytest.mark.parametrize(
    ("tensors", "config", "own", "settings", "said"),
    [
        (pair(), {}, None, {}, None),
        (pair(into=7), {}, None, {}, "made for another base"),
        (pair(out=6, into=8), {}, None, {}, "made for another base"),
        (pair("model.layers.9.self_attn.q_proj"), {}, None, {}, "no such module"),
        # Wrappers in front of the same layers, on either side; another tower is another module.
        (pair(), {}, {f"language_model.{Q}.weight": np.zeros((8, 6))}, {}, None),
        (pair(f"model.language_model.{Q}"), {}, None, {}, None),
        (pair("transformer.h.0.q"), {}, {"h.0.q.weight": np.zeros((8, 6))}, {}, None),
        (pair(), {}, {"vision_tower.layers.0.self_attn.q_proj.weight": np.zeros((8, 6))}, {}, "no"),
        # GPT-2 keeps its weights turned.
        (pair(), {"fan_in_fan_out": True}, turn((6, 8)), {}, None),
        (pair(), {"fan_in_fan_out": True}, turn((8, 6)), {}, "made for another base"),
        # Packed weights: AWQ, GPTQ, bitsandbytes, compressed-tensors.
        (LARGE, {}, int32("qweight", 64, 2), {}, None),
        (LARGE, {}, int32("qweight", 8, 16), {}, None),
        (LARGE, {}, int32("qweight", 16, 16), {"quantization_config": {"bits": 8}}, None),
        (LARGE, {}, int32("qweight", 16, 16), {}, "made for another base"),
        (pair(out=16, into=32), {}, int32("qweight", 64, 2), {}, "made for another base"),
        (LARGE, {}, {f"{Q}.weight": np.zeros((512, 1), np.uint8)}, {}, None),
        (LARGE, {}, {f"{Q}.weight": np.zeros((513, 1), np.uint8)}, {}, "made for another base"),
        (LARGE, {}, int32("weight_packed", 16, 8), {}, None),
        (LARGE, {}, int32("weight_packed", 15, 8), {}, "made for another base"),
        # A head that is tied to the embeddings is not in the file.
        (pair(HEAD, out=10, into=6), {}, None, {"tie_word_embeddings": True}, None),
        (pair(HEAD, out=11, into=6), {}, None, {"tie_word_embeddings": True}, "another base"),
        # Whole tensors: the base's own, declared, or refused.
        (pair() | OWN_HEAD, {}, None, {}, None),
        (pair() | OTHER_HEAD, {}, None, {}, "would replace the base's own 'lm_head.weight'"),
        (pair() | SAVED_HEAD, {}, None, {}, "would replace the base's own"),
        (pair() | SAVED_HEAD, {"modules_to_save": ["lm_head"]}, None, {}, None),
        (pair() | RESIZED, {"modules_to_save": ["lm_head"]}, None, {}, "another vocabulary"),
        (
            pair() | {"base_model.model.model.norm.weight": np.ones(6, np.float32)},
            {"modules_to_save": ["norm"]},
            None,
            {},
            "no such tensor",
        ),
    ],
)
def test_that_an_adapter_fits_its_base(
    tmp_path: Path,
    tensors: dict[str, Any],
    config: dict[str, Any],
    own: dict[str, Any] | None,
    settings: dict[str, Any],
    said: str | None,
) -> None:
    adapter = read_adapter(write(tmp_path / "v1", tensors, **config))
    folder = base(tmp_path / "base", own, **settings)
    if said is None:
        check_fits_base(adapter, folder)
        return
    with pytest.raises(InvalidInput, match=said):
        check_fits_base(adapter, folder)


def test_an_embedding_pair_fits_the_embeddings(tmp_path: Path) -> None:
    embedding = {
        f"base_model.model.{EMBEDDINGS}.lora_embedding_A": np.ones((2, 10), np.float32),
        f"base_model.model.{EMBEDDINGS}.lora_embedding_B": np.ones((6, 2), np.float32),
    }
    folder = base(tmp_path / "base")
    check_fits_base(read_adapter(write(tmp_path / "v1", embedding)), folder)
    turned = {name: value.T.copy() for name, value in embedding.items()}
    with pytest.raises(InvalidInput, match="declares rank"):
        read_adapter(write(tmp_path / "v2", turned))


def test_that_patterns_give_modules_ranks_of_their_own(tmp_path: Path) -> None:
    tensors = pair(rank=8) | pair("model.layers.0.self_attn.v_proj")
    for pattern in ("q_proj", r"layers\.0\.self_attn\.q_proj", "model.*q_proj"):
        adapter = read_adapter(write(tmp_path / "v1", tensors, rank_pattern={pattern: 8}))
        assert (adapter.rank, [one.rank for one in adapter.pairs]) == (8, [8, 2])
    assert "declares rank 2" in refusal(write(tmp_path / "v1", tensors, rank_pattern={"proj": 8}))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "lm_head"),
        ({"lora_bias": True}, "lora_bias"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"rank_pattern": {"v_proj": 600}}, "rank 600"),
    ],
)
def test_what_vllm_does_not_serve_is_said(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    [note] = read_adapter(write(tmp_path / "v1", **config)).notes
    assert said in note
    assert "--engine local" in note


def test_that_a_whole_tensor_of_another_precision_is_compared_by_value(tmp_path: Path) -> None:
    half = {k: v.astype(np.float16) for k, v in OWN_HEAD.items()}
    folder = base(tmp_path / "base")
    check_fits_base(read_adapter(write(tmp_path / "v1", pair() | half)), folder)
    assert load_file(folder / "model.safetensors")[f"{EMBEDDINGS}.weight"].dtype == np.float32

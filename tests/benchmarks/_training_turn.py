"""One training in a process of its own, timed: ours from its configuration, or TRL's plain script.

    python -m tests.benchmarks._training_turn ours|plain config.yaml figures.json

The clock runs from the first batch to the last, in both by the same callback; the loss on the
held-out rows is computed afterwards, in both by the same function, from the adapter on disk.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from training.config import Dtype, TrainingConfig, load_config


def train_plainly(config: TrainingConfig) -> Path:
    """TRL's SFTTrainer as its documentation shows it, with the configuration's settings.

    In bfloat16 the base is held in it and autocast, as TRL does where it is not told otherwise.
    """
    from datasets import load_dataset
    from peft import LoraConfig
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    set_seed(config.seed)
    half = config.dtype is Dtype.BFLOAT16
    arguments = SFTConfig(
        output_dir=str(config.output_dir),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation,
        gradient_checkpointing=config.gradient_checkpointing,
        max_length=config.max_length,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,
        lr_scheduler_type="cosine",
        logging_steps=config.log_every,
        save_strategy="epoch",
        bf16=half,
        use_cpu=not _has_gpu(),
        dataloader_pin_memory=_has_gpu(),
        include_num_input_tokens_seen="non_padding",
        seed=config.seed,
        report_to="none",
        disable_tqdm=True,
        model_init_kwargs={"dtype": "bfloat16" if half else "float32"},
    )
    trainer = SFTTrainer(
        model=config.base_model,
        args=arguments,
        train_dataset=load_dataset("json", data_files=str(config.train_file), split="train"),
        peft_config=LoraConfig(
            r=config.lora.rank,
            lora_alpha=config.lora.alpha,
            lora_dropout=config.lora.dropout,
            target_modules=config.lora.target_modules,
            task_type="CAUSAL_LM",
        ),
    )
    trainer.train()
    trainer.save_model(str(config.output_dir / "adapter"))
    return config.output_dir / "adapter"


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def watch_trainers() -> dict[str, Any]:
    """Have every trainer of this process tell seconds, tokens and losses."""
    import torch
    from transformers import TrainerCallback, trainer

    told: dict[str, Any] = {}

    class Stopwatch(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            told["began"] = time.perf_counter()
            told["cpu_began"] = time.process_time()

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
                told["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
            told["seconds"] = time.perf_counter() - told.pop("began")
            told["cpu_seconds"] = time.process_time() - told.pop("cpu_began")
            told["tokens"] = int(state.num_input_tokens_seen)
            told["steps"] = state.global_step
            told["losses"] = [line["loss"] for line in state.log_history if "loss" in line]
            told["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    trainer.DEFAULT_CALLBACKS.append(Stopwatch)
    return told


def held_out_losses(base: str, adapter: Path, rows_file: Path) -> list[tuple[float, int]]:
    """Nats and completion tokens of each row, one at a time, in float32 whatever trained it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from training.assemble import load_tokenizer
    from training.rows.data import encode_rows, read_rows

    tokenizer = load_tokenizer(Path(base))
    rows, _ = encode_rows(
        read_rows(rows_file), tokenizer, max_length=4096, truncate=False, completion_only=True
    )
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).eval()
    found = []
    with torch.no_grad():
        for row in rows:
            labels = torch.tensor([row.labels])
            trained = int((labels[:, 1:] != -100).sum())
            loss = model(input_ids=torch.tensor([row.input_ids]), labels=labels).loss
            found.append((float(loss) * trained, trained))
    return found


def main() -> None:
    """Train once and write the figures."""
    side, config_file, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    config = load_config(config_file)
    import torch

    torch.set_num_threads(config.threads or torch.get_num_threads())
    told = watch_trainers()
    if side == "plain":
        adapter = train_plainly(config)
    else:
        from training.sft import train

        adapter = train(config)
    held = config.train_file.with_name("held_out.jsonl")
    told["held_out"] = held_out_losses(config.base_model, adapter, held)
    out.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()

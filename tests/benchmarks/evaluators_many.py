"""All text metrics of many outputs in one command: time, and memory with all children.

    python -m tests.benchmarks.evaluators_many [--outputs 20000] [--out FILE.json]

The outputs are made up here (synthetic); run by itself their words are numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks._ratios import Ratio, keep

TEXT_METRICS = (
    "rouge,rouge_stem,exact_match,token_f1,bleu,chrf,chrf++,ter,edit_similarity,length,repetition,"
    "refusal,valid_json,grounding,invented"
)


def score_many(rows: list[tuple[str, str, str]]) -> dict[str, Any]:
    """`strop score` on (output, reference, source), five of a group."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for i, (output, reference, source) in enumerate(rows):
                fields = {"prediction": output, "reference": reference, "context": source}
                row = {"id": str(i), "group": str(i // 5), **fields}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        megabytes = path.stat().st_size / 1e6
        command = [sys.executable, "-m", "backend.cli", "score", str(path), "--json"]
        start, spent = time.perf_counter(), processor_seconds()
        with (Path(folder) / "out.json").open("w+") as out:
            process = subprocess.Popen([*command, "--metrics", TEXT_METRICS], stdout=out)
            memory = watch_memory(process)
            seconds = time.perf_counter() - start
            out.seek(0)
            figures = json.load(out)
    return {
        "n": len(rows),
        "per s": len(rows) / seconds,
        "wall_s": seconds,
        "processor_s": processor_seconds() - spent,
        **memory,
        "metrics": len(figures),
        "failed": sum(figure.get("failed", 0) for figure in figures),
        "file_mb": megabytes,
        "load": os.getloadavg()[0],
    }


def processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def watch_memory(process: subprocess.Popen[Any]) -> dict[str, float | int | None]:
    """Peaks over a process and all its children together, in GB, and the most processes.

    Returns:
        peak_pss_gb: the figure of record. Proportional set size: a page that k processes share
            counts 1/k in each, so that the sum is what they take together; None where the system
            does not tell it (it is Linux that does).
        peak_rss_gb: resident set size, in which a shared page counts whole in each process.
    """
    import psutil

    root, rss, pss, most = psutil.Process(process.pid), 0, 0, 1
    while process.poll() is None:
        try:
            family = [root, *root.children(recursive=True)]
            rss = max(rss, sum(member.memory_info().rss for member in family))
            pss = max(pss, sum(proportional_size(member.pid) for member in family))
            most = max(most, len(family))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.2)
    return {
        "peak_pss_gb": pss / 1e9 if pss else None,
        "peak_rss_gb": rss / 1e9,
        "processes": most,
    }


def proportional_size(pid: int) -> int:
    """Proportional set size in bytes; 0 of a process that has ended, or where none is told."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    sizes = [line.split()[1] for line in told.splitlines() if line.startswith("Pss:")]
    return int(sizes[0]) * 1024 if sizes else 0


def main() -> None:
    """Print the figures for made-up text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=int, default=20_000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    count, before = asked.outputs, os.getloadavg()[0]
    texts = [" ".join(str((i * k) % 997) for k in range(1, 41)) for i in range(count + 1)]
    rows = [(f"{text} x", text, texts[i + 1]) for i, text in enumerate(texts[:-1])]
    found = score_many(rows)
    if asked.out is not None:
        asked.out.write_text(json.dumps(found, indent=2), encoding="utf-8")
    load = (before, found["load"])
    of = f"{found['metrics']} figures of {count:,} outputs (simulated)"
    ratios = [Ratio(f"outputs for a processor second, {of}", [count / found["processor_s"]],
                    unit="outputs", load=load)]  # fmt: skip
    if found["peak_pss_gb"] is not None:
        ratios += [Ratio(f"most memory with all children, {of}", [found["peak_pss_gb"]],
                         unit="GB", load=load)]  # fmt: skip
    keep(asked.out, ratios)


if __name__ == "__main__":
    main()

"""All text metrics of many outputs in one command: wall time, and memory with all children.

    python -m tests.benchmarks.evaluators_many [--outputs 20000]

The outputs are made up here (synthetic); run by itself their words are numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
        start = time.perf_counter()
        with (Path(folder) / "out.json").open("w+") as out:
            process = subprocess.Popen([*command, "--metrics", TEXT_METRICS], stdout=out)
            peak, most = watch_memory(process)
            seconds = time.perf_counter() - start
            out.seek(0)
            figures = json.load(out)
    return {
        "n": len(rows),
        "per s": len(rows) / seconds,
        "wall_s": seconds,
        "peak_gb": peak,
        "processes": most,
        "metrics": len(figures),
        "failed": sum(figure.get("failed", 0) for figure in figures),
        "file_mb": megabytes,
    }


def watch_memory(process: subprocess.Popen[Any]) -> tuple[float, int]:
    """Peak of the resident memory of a process and all its children together, GB; most processes.

    Shared pages count once for each process, so the true peak is a little lower.
    """
    import psutil

    root, peak, most = psutil.Process(process.pid), 0, 1
    while process.poll() is None:
        try:
            family = [root, *root.children(recursive=True)]
            peak = max(peak, sum(member.memory_info().rss for member in family))
            most = max(most, len(family))
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.1)
    return peak / 1e9, most


def main() -> None:
    """Print the figures for made-up text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--outputs", type=int, default=20_000)
    count = parser.parse_args().outputs
    texts = [" ".join(str((i * k) % 997) for k in range(1, 41)) for i in range(count + 1)]
    rows = [(f"{text} x", text, texts[i + 1]) for i, text in enumerate(texts[:-1])]
    print(json.dumps(score_many(rows), indent=2))


if __name__ == "__main__":
    main()

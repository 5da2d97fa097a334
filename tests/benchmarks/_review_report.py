"""The figures of the review desk under load as tables in Markdown."""

from __future__ import annotations

from typing import Any

MUST_BE_ZERO = ("lost", "doubled", "items_with_too_many", "items_with_too_few", "progress_wrong")


def tables(result: dict[str, Any]) -> str:
    """Every part that was measured, one table each."""
    kinds = {name: part for name, part in result.items() if name in ("sqlite", "postgresql")}
    lines = ["# The review desk under load", ""]
    before, after = result["load_average_before"][0], result["load_average_after"][0]
    lines += [f"{result['cores']} cores; load average {before:.1f} before, {after:.1f} after.", ""]
    for title, name in (("Flat out, with trouble", "flat_out"), ("Paced", "paced")):
        rows = {kind: part[name] for kind, part in kinds.items() if name in part}
        if rows:
            lines += [f"## {title}", "", *_load(rows), ""]
    for kind, part in kinds.items():
        if "raw" in part:
            raw = {name: row for name, row in part["raw"].items() if name != "ratios"}
            lines += [f"## Without HTTP: {kind}", "", *_plain(raw, "side"), ""]
        if "cost" in part:
            lines += [f"## By length of the queue: {kind}", "", *_plain(part["cost"], "items"), ""]
        if "saturated" in part:
            turns = {f"turn {n}": row for n, row in enumerate(part["saturated"], start=1)}
            lines += [f"## Flat out by API processes: {kind}", "", *_plain(turns, ""), ""]
    if "label_studio" in result:
        lines += ["## Label Studio", "", *_plain({"": result["label_studio"]}, ""), ""]
    return "\n".join(lines)


def _load(rows: dict[str, dict[str, Any]]) -> list[str]:
    shown: dict[str, dict[str, Any]] = {}
    for kind, row in rows.items():
        flat = {key: value for key, value in row.items() if not isinstance(value, dict)}
        for act in ("claim", "submit"):
            if act in row:
                flat[f"{act} p50 / p95 ms"] = f"{row[act]['p50_ms']} / {row[act]['p95_ms']}"
        shown[kind] = flat
    names = list(next(iter(shown.values())))
    lines = ["| | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
    for name in names:
        mark = " (has to be 0)" if name in MUST_BE_ZERO else ""
        cells = " | ".join(str(row.get(name, "")) for row in shown.values())
        lines.append(f"| {name.replace('_', ' ')}{mark} | {cells} |")
    return lines


def _plain(rows: dict[str, dict[str, Any]], first: str) -> list[str]:
    names = list(next(iter(rows.values())))
    lines = [f"| {first} | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for name, row in rows.items():
        lines.append(f"| {name} | " + " | ".join(str(row[key]) for key in names) + " |")
    return lines

"""`strop agreement`, `preferences`, `estimate` and `plan` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def ratings(n: int = 12, raters: str = "pq", **extra: Any) -> list[dict[str, Any]]:
    return [
        {"item": i, "rater": r, "value": (i * (1 + (r == "q" and i % 4 == 0))) % 3, **extra}
        for i in range(n)
        for r in raters
    ]


def test_agreement_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("agreement", write(tmp_path / "r.jsonl", ratings()), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    names = {row["metric"] for row in report["figures"]}
    assert {"percent", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha", "gwet_ac1"} <= names
    assert all(row["low"] <= row["value"] <= row["high"] for row in report["figures"])
    assert report["pairs"][0]["n"] == 12


def test_agreement_by_criterion_and_pooled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ratings(criterion="tone") + ratings(criterion="facts")
    assert run("agreement", write(tmp_path / "r.jsonl", rows), "--json") == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    counts = {row["criterion"]: row["n"] for row in figures if row["metric"] == "percent"}
    assert counts == {"tone": 12, "facts": 12, "all": 24}


def test_agreement_of_csv_labels_with_replicates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.csv"
    lines = [
        f"{i},{r},{k},{'ab'[(i + k * r) % 2]}" for i in range(8) for r in (1, 2) for k in (1, 2)
    ]
    path.write_text("item,rater,replicate,label\n" + "\n".join(lines))
    assert run("agreement", str(path), "--dawid-skene") == 0
    out = capsys.readouterr().out
    assert "(Dawid-Skene)" in out
    assert "1 #2" in out


@pytest.mark.parametrize(
    ("rows", "arguments", "words"),
    [
        (ratings(raters="p"), [], "one rater only"),
        (ratings() + ratings(), [], "rated the item '0' twice"),
        (ratings(), ["--scale", "ordered"], "no scale 'ordered'"),
        (ratings(), ["--values", "1,2"], "0.0 is off the scale 1.0, 2.0"),
        ([{"item": 1, "rater": "p"}], [], "no value and no label"),
        ([{"item": 1, "rater": "p", "value": None}], [], "is None, no rating"),
    ],
)
def test_agreement_refusals(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[dict[str, Any]],
    arguments: list[str],
    words: str,
) -> None:
    assert run("agreement", write(tmp_path / "r.jsonl", rows), *arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_all_ratings_equal_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"item": i, "rater": r, "value": 1} for i in range(5) for r in "pq"]
    assert run("agreement", write(tmp_path / "r.jsonl", rows), "--json") == 0
    figures = {row["metric"]: row for row in json.loads(capsys.readouterr().out)["figures"]}
    assert "all ratings are equal" in figures["krippendorff_alpha"]["error"]
    assert figures["percent"]["value"] == 1.0


def votes() -> list[dict[str, Any]]:
    pattern = ["a", "b", "tie", "a", "both_bad", "a"]
    return [
        {"item": i, "rater": r, "model_a": "x", "model_b": "y", "winner": pattern[(i + k) % 6]}
        for i in range(12)
        for k, r in enumerate(["judge", "p", "q"])
    ]


def test_preferences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "v.jsonl", votes())
    assert run("preferences", path, "--judge", "judge", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["win_rates"][0]["n"] == 24  # the judge's votes are not people's
    assert {row["between"] for row in report["judge"]} == {"judge - human", "human - human"}
    assert run("preferences", path) == 0
    assert "Bradley-Terry" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [({"winner": "left"}, "the winner is 'left'"), ({"model_b": "x"}, "stands against itself")],
)
def test_preferences_refusals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], words: str
) -> None:
    assert run("preferences", write(tmp_path / "v.jsonl", [{**votes()[0], **change}])) == 1
    assert words in capsys.readouterr().err


def estimate_files(folder: Path) -> list[str]:
    scores = [{"id": f"i{i}", "metric": "m", "value": i % 10 / 10} for i in range(200)]
    rated = [{"item": f"i{i}", "value": i % 10 / 10 + (i % 3) / 20} for i in range(50)]
    rated.append({"item": "unknown", "value": 1})
    return [
        "--ratings",
        write(folder / "r.jsonl", rated),
        "--scores",
        write(folder / "s.jsonl", scores),
    ]


def test_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("estimate", *estimate_files(tmp_path), "--json") == 0
    [figure] = json.loads(capsys.readouterr().out)
    assert (figure["n"], figure["total"], figure["failed"]) == (50, 200, 1)
    assert figure["high"] - figure["low"] < 0.8 * (figure["plain_high"] - figure["plain_low"])
    assert run("estimate", *estimate_files(tmp_path), "--metric", "k") == 1
    assert "no metric 'k'" in capsys.readouterr().err


def test_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"item": i, "value": int(i % 4 != 0)} for i in range(40)]
    path = write(tmp_path / "r.jsonl", rows)
    assert run("plan", path, "--width", "0.1", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["low"] <= plan["n"] <= plan["high"]
    assert run("plan", path, "--threshold", "0.5") == 0
    assert "simulated" in capsys.readouterr().out
    assert run("plan", path) == 1
    assert "either --width or --threshold" in capsys.readouterr().err


def calibration_files(folder: Path) -> list[str]:
    labels, scores = [], []
    for i in range(200):
        bad = i % 3 == 0
        labels.append({"item": i, "value": int(bad), "group": str(i // 2)})
        share = (0.2 if bad else 0.8) + (i * 7 % 10) / 20
        scores.append({"id": str(i), "metric": "grounding", "value": share})
        scores.append({"id": str(i), "metric": "length", "value": i % 17})
    labels.append({"item": "unknown", "value": 1})
    paths = write(folder / "l.jsonl", labels), write(folder / "s.jsonl", scores)
    return ["--labels", paths[0], "--scores", paths[1]]


def test_calibrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, html = tmp_path / "risk.json", tmp_path / "risk.html"
    arguments = [*calibration_files(tmp_path), "--out", str(out), "--html", str(html)]
    assert run("calibrate", *arguments, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    risk = {row["metric"]: row for row in report["figures"] if row["predictor"] == "risk"}
    assert risk["auroc"]["value"] > 0.8
    assert risk["auroc"]["n"] == 200
    assert (report["unlabelled"], report["triage"]["n"]) == (1, 100)  # one of each group
    assert json.loads(out.read_text())["version"] == 1
    assert run("calibrate", *calibration_files(tmp_path)) == 0
    assert "may skip review" in capsys.readouterr().out


def test_calibrate_on_too_few_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = write(tmp_path / "l.jsonl", [{"item": "1", "value": 1}])
    scores = write(tmp_path / "s.jsonl", [{"id": "1", "metric": "m", "value": 0.5}])
    assert run("calibrate", "--labels", labels, "--scores", scores) == 1
    assert "It wants 59 more labels" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["score", "agreement", "preferences"])
def test_reports_are_one_file_without_scripts(tmp_path: Path, name: str) -> None:
    hostile = "<script>alert(1)</script>"
    rows = {
        "score": [{"id": "1", "prediction": hostile, "reference": hostile}],
        "agreement": [{**row, "rater": hostile + row["rater"]} for row in ratings()],
        "preferences": [{**row, "model_a": hostile} for row in votes()],
    }[name]
    html = tmp_path / "report.html"
    extra = ["--metrics", "f1", "--by-class"] if name == "score" else []
    assert run(name, write(tmp_path / "x.jsonl", rows), "--html", str(html), *extra) == 0
    page = html.read_text()
    assert "<svg" in page
    assert "<script" not in page
    assert "http" not in page
    assert "&lt;script&gt;" in page

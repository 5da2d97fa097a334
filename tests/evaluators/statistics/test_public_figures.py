"""Every figure of the public data comes out of the commands on plain files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main

Run = Callable[..., Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command with --json and gives what it printed."""

    def run_command(*arguments: str) -> Any:
        with pytest.raises(SystemExit) as caught:
            main([*arguments, "--json"])
        assert not caught.value.code
        return json.loads(capsys.readouterr().out)

    return run_command


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def mtbench_rows(folder: Path, *, turned: bool) -> Iterable[dict[str, str]]:
    """Experts' and GPT-4's votes; every second one with its sides turned round, if wished."""
    winners = {"model_a": "a", "model_b": "b"}
    other = {"a": "b", "b": "a", "tie": "tie"}
    for name in ("human", "gpt4_pair"):
        for i, row in enumerate(read_lines(folder / f"mtbench_human/{name}.jsonl")):
            if name == "human" and not row["judge"].startswith("expert"):
                continue
            a, b, winner = row["model_a"], row["model_b"], winners.get(row["winner"], "tie")
            if turned and i % 2:
                a, b, winner = b, a, other[winner]
            item, rater = str(row["question_id"]), row["judge"]
            yield {"item": item, "rater": rater, "model_a": a, "model_b": b, "winner": winner}


def test_mtbench_judge_against_people(public_data: Path, tmp_path: Path, run: Run) -> None:
    reports = []
    for turned in (False, True):
        path = write(tmp_path / f"votes-{turned}.jsonl", mtbench_rows(public_data, turned=turned))
        reports.append(run("preferences", path, "--judge", "gpt4_pair"))
    found = {(r["between"], r["by"], r["ties"]): (r["agree"], r["n"]) for r in reports[0]["judge"]}
    assert found["gpt4_pair - human", "vote", "counted"] == (886, 1343)
    assert found["gpt4_pair - human", "vote", "left out"] == (727, 859)
    assert found["human - human", "vote", "counted"] == (454, 721)
    assert found["human - human", "vote", "left out"] == (388, 479)
    assert reports[0]["judge"] == reports[1]["judge"]
    assert reports[0]["win_rates"] == reports[1]["win_rates"]


def test_pandalm_agreement_and_judge(public_data: Path, tmp_path: Path, run: Run) -> None:
    rows = json.loads((public_data / "pandalm/testset-v1.json").read_text(encoding="utf-8"))
    said = json.loads((public_data / "pandalm/pandalm-7b-testset-v1.json").read_text("utf-8"))
    ratings = [
        {"item": row["idx"], "rater": str(k), "value": row[f"annotator{k}"]}
        for row in rows
        for k in (1, 2, 3)
    ]
    report = run("agreement", write(tmp_path / "ratings.jsonl", ratings), "--dawid-skene")
    kappas = [row["kappa"] for row in report["pairs"]]
    assert kappas == pytest.approx([0.852, 0.879, 0.862], abs=5e-4)
    labels = [_majority([row[f"annotator{k}"] for k in (1, 2, 3)]) for row in rows]
    assert [labels.count(label) for label in (0, 1, 2)] == [105, 422, 472]
    answers = [
        {"id": str(row["idx"]), "prediction": str(a["pandalm_result"]), "reference": str(label)}
        for row, a, label in zip(rows, said, labels, strict=True)
    ]
    path = write(tmp_path / "answers.jsonl", answers)
    accuracy, f1 = run("score", path, "--metrics", "accuracy,f1")
    assert accuracy["value"] == pytest.approx(0.6677, abs=5e-5)
    assert f1["value"] == pytest.approx(0.5743, abs=5e-5)


def _majority(values: list[int]) -> int:
    return max(sorted(set(values)), key=values.count)


DIMENSIONS = {
    "fl": 0.277,
    "co": 0.264,
    "re": 0.409,
    "fa": 0.521,
    "ac": 0.604,
    "sc": 0.351,
    "sp": 0.298,
}


def test_summeval_alphas(public_data: Path, tmp_path: Path, run: Run) -> None:
    ratings = [
        {"item": f"{p}-{s}", "rater": f"r{k}", "criterion": name, "value": value}
        for p, product in enumerate(
            read_lines(public_data / "summeval_op/summeval-op-detailed.jsonl")
        )
        for name in DIMENSIONS
        for s, values in enumerate(product[name])
        for k, value in enumerate(values)
    ]
    path = write(tmp_path / "ratings.jsonl", ratings)
    quick = ["--resamples", "100"]
    alphas = _alphas(run("agreement", path, "--scale", "ordinal", *quick))
    assert {name: alphas[name] for name in DIMENSIONS} == pytest.approx(DIMENSIONS, abs=5e-4)
    pooled = _alphas(run("agreement", path, "--scale", "interval", *quick))
    assert pooled["all"] == pytest.approx(0.548, abs=5e-4)


def _alphas(report: Mapping[str, Any]) -> dict[str, float]:
    rows = [row for row in report["figures"] if row["metric"] == "krippendorff_alpha"]
    return {row["criterion"]: row["value"] for row in rows}


def test_textbook_agreement(public_data: Path, tmp_path: Path, run: Run) -> None:
    cases = json.loads((public_data / "agreement/agreement_textbook.json").read_text())["cases"]
    names = {"observed": "percent", "krippendorff_alpha_nominal": "krippendorff_alpha"}
    checked = 0
    for number, case in enumerate(cases):
        ratings = [
            {"item": str(i), "rater": f"r{k}", "value": value}
            for i, row in enumerate(case["ratings"])
            for k, value in enumerate(row)
            if value is not None
        ]
        path = write(tmp_path / f"{number}.jsonl", ratings)
        report = run("agreement", path, "--resamples", "100")
        found = {row["metric"]: row.get("value") for row in report["figures"]}
        for key, (expected, tolerance) in case["expected"].items():
            name = names.get(key, key)
            if name in found:
                assert found[name] == pytest.approx(expected, abs=tolerance), (case["name"], key)
                checked += 1
    assert checked >= 20


def test_textbook_strengths(public_data: Path, tmp_path: Path, run: Run) -> None:
    text = (public_data / "agreement/bradley_terry_textbook.json").read_text(encoding="utf-8")
    citations, cycle = json.loads(text)["cases"]
    names, wins = citations["items"], citations["wins"]
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    votes = [_win(f"{i}-{j}", names[i], names[j]) for i, j in pairs for _ in range(wins[i][j])]
    found = _strengths(run("preferences", write(tmp_path / "citations.jsonl", votes)))
    ours = [found[name] - found[names[0]] for name in names]
    assert ours == pytest.approx(citations["expected_log_ability_ref_first"], abs=1e-4)
    votes = [_win(str(i), f"m{a}", f"m{b}") for i, (a, b) in enumerate(cycle["wins_pairs"])]
    found = _strengths(run("preferences", write(tmp_path / "cycle.jsonl", votes)))
    expected = cycle["expected_log_ability_mean_zero"]
    assert [found[f"m{i}"] for i in range(3)] == pytest.approx(expected, abs=1e-4)


def _win(item: str, winner: str, loser: str) -> dict[str, str]:
    return {"item": item, "rater": "r", "model_a": winner, "model_b": loser, "winner": "a"}


def _strengths(report: Mapping[str, Any]) -> dict[str, float]:
    return {row["name"]: row["value"] for row in report["strengths"]["strengths"]}


def test_dawid_and_skenes_anaesthetists(public_data: Path, run: Run) -> None:
    path = public_data / "agreement/dawid_skene_anaesthetists.csv"
    labels = run("agreement", str(path), "--dawid-skene", "--resamples", "100")["labels"]
    shares = [row["share"] for row in labels if "share" in row]
    assert shares == pytest.approx([0.40, 0.42, 0.11, 0.07], abs=0.005)
    with path.open(newline="", encoding="utf-8") as file:
        items = {row["item"] for row in csv.DictReader(file)}
    assert {row["item"] for row in labels if "item" in row} == items

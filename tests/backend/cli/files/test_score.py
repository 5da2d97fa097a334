"""`strop score` and the comparison of two files, as a person runs them."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main
from backend.cli.files.compare import compare_files
from backend.cli.runs.html_report import axis_ticks
from evaluators.checks.risk.risk import fit_risk
from evaluators.checks.risk.scores import DRIFTED
from evaluators.errors import EvaluatorError

ROWS: list[dict[str, Any]] = [
    {"id": "1", "prediction": "It is EUR 39.", "reference": "It is EUR 29.", "context": "29 EUR"},
    {"id": "2", "prediction": "On 3 May.", "reference": "On 3 May.", "context": "2026-05-03"},
    {"id": "3", "prediction": "No reference.", "context": "x"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["score", *arguments])
    return int(caught.value.code or 0)


def test_json_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    assert run(path, "--metrics", "rouge1,invented", "--json") == 0
    rouge, invented = json.loads(capsys.readouterr().out)
    keys = {"metric", "value", "low", "high", "n", "failed", "signature"}
    assert keys <= rouge.keys()
    assert (rouge["n"], rouge["failed"]) == (2, 1)
    assert invented["value"] == pytest.approx(1 / 3)


def test_table_names_what_was_not_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(write(tmp_path / "p.jsonl", ROWS), "--metrics", "rougeL") == 0
    captured = capsys.readouterr()
    assert "rougeL|strop:2|" in captured.out
    assert "not scored: rougeL, id 3: no reference to compare with" in captured.err


def test_scores_are_written(tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    run(write(tmp_path / "p.jsonl", ROWS), "--metrics", "invented,rouge1", "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row.get("value") for row in rows[:3]] == [1.0, 0.0, 0.0]
    assert rows[0]["spans"][0]["reason"] == "'EUR 39' is not in the source"
    said = {k: v for k, v in rows[5].items() if k not in ("source", "output")}
    assert said == {"id": "3", "metric": "rouge1", "error": "no reference to compare with"}
    assert len({row["source"] for row in rows}) == len({row["output"] for row in rows}) == 3


def test_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(ROWS[1]).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text), encoding="utf-8"))
    assert run("-", "--metrics", "exact_match", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["value"] == 1.0


@pytest.mark.parametrize(
    ("content", "metrics", "words"),
    [
        ("", "rouge1", "the file is empty"),
        ('{"id":1', "rouge1", "row 1: not a whole JSON object"),
        ('{"id":"1","prediction":"a"}', "rogue1", "nearest first: rouge1"),
        ('{"id":"1","prediction":"a"}', "rouge1", "no sample could be scored at all"),
    ],
)
def test_errors_are_one_line_and_exit_1(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: str,
    metrics: str,
    words: str,
) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(content)
    assert run(str(path), "--metrics", metrics) == 1
    captured = capsys.readouterr()
    [line] = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert words in line
    assert "Traceback" not in captured.err


def test_by_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": i, "prediction": p, "reference": "a"} for i, p in enumerate("aab")]
    assert run(write(tmp_path / "p.jsonl", rows), "--metrics", "f1", "--by-class", "--json") == 0
    classes = json.loads(capsys.readouterr().out)["classes"]
    assert classes[0]["recall"] == pytest.approx(2 / 3)


def test_compare_pairs_by_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    better = [{**ROWS[0], "prediction": "It is EUR 29."}, ROWS[1]]
    old = write(tmp_path / "a.jsonl", ROWS)
    [difference] = compare_files(old, write(tmp_path / "b.jsonl", better[::-1]), metrics=["rouge1"])
    assert difference.value == pytest.approx(0.125)
    assert (difference.wins, difference.ties, difference.n) == (1, 1, 2)
    captured = capsys.readouterr()
    assert "1 ids are in one file only (3)" in captured.err
    assert "test:paired-swap" in captured.out


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": "9", "prediction": "a"}], "no id in common"),
        ([{**ROWS[0], "reference": "other"}], "another reference"),
    ],
)
def test_what_cannot_be_paired(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    old = write(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(EvaluatorError, match=words):
        compare_files(old, write(tmp_path / "b.jsonl", rows), metrics=["rouge1"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ([{"prediction": "a"}] * 3, [{"prediction": "a"}] * 2, "the files have 3 and 2"),
        ([{"prediction": "a"}], [{"id": 1, "prediction": "a"}], "no id in common"),
    ],
)
def test_rows_without_ids_are_paired_by_number_or_not_at_all(
    tmp_path: Path, old: list[dict[str, Any]], new: list[dict[str, Any]], words: str
) -> None:
    files = write(tmp_path / "a.jsonl", old), write(tmp_path / "b.jsonl", new)
    with pytest.raises(EvaluatorError, match=words):
        compare_files(*files, metrics=["length"])


def test_compare_of_files_that_are_not_there_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compare", str(tmp_path / "a.CSV"), str(tmp_path / "b.jsonl")])
    assert caught.value.code == 1
    assert "a.CSV: there is no such file" in capsys.readouterr().err


def test_compare_maps_columns_of_either_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write(tmp_path / "a.jsonl", [{"old": "x", "reference": "x"}, {"old": "z"}])
    new = write(tmp_path / "b.jsonl", [{"prediction": "y", "reference": "x"}, {"prediction": "z"}])
    maps = ["prediction=old"]
    [found] = compare_files(old, new, metrics=["exact_match"], maps=maps)
    assert (found.n, found.value) == (1, -1.0)
    assert capsys.readouterr().err.count("no id; rows go by their number") == 2
    with pytest.raises(EvaluatorError, match="No file has a column 'nowhere'"):
        compare_files(old, new, metrics=["exact_match"], maps=[*maps, "group=nowhere"])


def test_compare_corrects_p_and_counts_flips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = [{**ROWS[0], "prediction": "It is EUR 29."}, ROWS[1]]
    files = write(tmp_path / "a.jsonl", ROWS), write(tmp_path / "b.jsonl", better)
    compare_files(*files, metrics=["invented", "rouge1"], as_json=True)
    invented, rouge = json.loads(capsys.readouterr().out)
    assert (invented["fixed"], invented["broken"], invented["both_right"]) == (1, 0, 1)
    assert invented["p_holm"] >= invented["p"]
    assert "fixed" not in rouge
    assert rouge["unpaired"] == 1


def test_compare_names_what_was_not_scored_and_writes_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    better = [{**ROWS[0], "prediction": "It is EUR 29."}, ROWS[1], ROWS[2]]
    files = write(tmp_path / "a.jsonl", ROWS), write(tmp_path / "b.jsonl", better)
    html = tmp_path / "report.html"
    compare_files(*files, metrics=["rouge1", "invented"], html=html)
    captured = capsys.readouterr()
    assert "not scored: rouge1, id 3 (candidate): no reference to compare with" in captured.err
    page = html.read_text()
    assert "Flips" in page
    assert "<svg" in page
    assert "<script" not in page


def test_report_names_what_was_not_scored(tmp_path: Path) -> None:
    html = tmp_path / "report.html"
    assert run(write(tmp_path / "p.jsonl", ROWS), "--metrics", "rouge1", "--html", str(html)) == 0
    assert "<td>3</td><td>rouge1</td><td>no reference to compare with</td>" in html.read_text()


def test_a_figure_alike_in_all_resamples_has_no_interval_of_width_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": str(i), "prediction": "x", "reference": "y"} for i in range(40)]
    assert run(write(tmp_path / "p.jsonl", rows), "--metrics", "f1,bleu", "--json") == 0
    for figure in json.loads(capsys.readouterr().out):
        assert figure["value"] == figure["low"] == 0
        assert figure["high"] > 0.05
        assert figure["rough"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.238, 0.941, [0.4, 0.6, 0.8]),
        (26.5, 70.6, [30.0, 40.0, 50.0, 60.0, 70.0]),
        (0.3, 0.3, [0.3]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert axis_ticks(low, high) == pytest.approx(expected)


def several_answers(folder: Path, *, answers: int = 6, sources: int = 30) -> tuple[str, str]:
    """Simulated: files of predictions and labels; every second answer states another number."""
    rows, labels = [], []
    for d in range(sources):
        for k in range(answers):
            wrong, said = k % 2, f"The order of {d + 3} boxes was sent on day {d % 7 + 1}"
            text = f"{said} with {k + 40 + d} more." if wrong else f"{said}{'.' * (k + 1)}"
            context = f"{said}." * (1 + d % 5)
            rows.append({"id": f"{d}-{k}", "prediction": text, "context": context})
            labels.append({"item": f"{d}-{k}", "value": wrong})
    return write(folder / "preds.jsonl", rows), write(folder / "labels.jsonl", labels)


def calibrate(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "--json", *arguments])
    assert not caught.value.code
    return dict(json.loads(capsys.readouterr().out))


def test_a_calibrated_risk_is_a_metric_of_another_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preds, labels = several_answers(tmp_path)
    scores, model, out = (str(tmp_path / name) for name in ("s.jsonl", "risk.json", "o.jsonl"))
    assert run(preds, "--metrics", "checks", "--out", scores) == 0
    capsys.readouterr()
    report = calibrate(capsys, "--labels", labels, "--scores", scores, "--out", model)
    assert report["relative"]
    assert (
        "100% of the labelled outputs have another of the same source"
        in (report["said_of_answers"])
    )
    assert report["figures"][0]["value"] > 0.95
    assert report["triage"]["n"] == 30  # folds and triage by source, though no group is given
    assert run(preds, "--risk", model, "--out", out, "--json") == 0
    figures = {figure["metric"]: figure for figure in json.loads(capsys.readouterr().out)}
    assert figures["risk"]["n"] == 180
    assert "risk|strop:2|model:" in figures["risk"]["signature"]
    found = [json.loads(line) for line in Path(out).read_text().splitlines()]
    by_id = {row["id"]: row for row in found if row["metric"] == "risk"}
    assert by_id["0-1"]["value"] > 0.9 > 0.1 > by_id["0-0"]["value"]
    assert by_id["0-1"]["explanation"].startswith("raised by ")
    assert {span["kind"] for span in by_id["0-1"]["spans"]} >= {"own"}


def test_relative_features_by_other_columns_or_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(0)
    labels, scores = [], []
    for i in range(200):
        labels.append({"item": i, "value": i % 2, "group": str(i // 4)})
        scores.append({"id": i, "metric": "m", "value": i // 4 + i % 2 + rng.gauss(0, 0.3)})
    told = write(tmp_path / "s.jsonl", scores)
    by_group = calibrate(capsys, "--labels", write(tmp_path / "l.jsonl", labels), "--scores", told)
    assert by_group["said_of_answers"].endswith("of the same group.")
    assert by_group["figures"][0]["value"] > 0.9
    by_document = [{**row, "document": f"d{row['group']}"} for row in labels]
    path = write(tmp_path / "d.jsonl", by_document)
    found = calibrate(capsys, "--labels", path, "--scores", told)
    assert found["said_of_answers"].endswith("of the same document.")
    alone = calibrate(capsys, "--labels", path, "--scores", told, "--no-relative")
    assert (alone["features"], alone["relative"]) == (["m"], False)
    assert alone["figures"][0]["value"] < 0.7
    own = [{"item": row["item"], "value": row["value"]} for row in labels]
    nobody = calibrate(capsys, "--labels", write(tmp_path / "n.jsonl", own), "--scores", told)
    assert "no column source, document or group" in nobody["said_of_answers"]
    best = calibrate(capsys, "--labels", path, "--scores", told, "--model", "trees")
    assert best["model"] == "trees"


def test_outputs_unlike_those_labelled_are_ranked_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = [5 + i % 7 for i in range(200)]
    features: list[dict[str, float | None]] = [{"length": float(n)} for n in lengths]
    model = fit_risk(features, [n > 8 for n in lengths], [None] * 200).model
    risk = tmp_path / "risk.json"
    risk.write_text(json.dumps(model.as_dict()))
    texts = [{"id": i, "prediction": "word " * (50 + i)} for i in range(60)]
    preds, out = write(tmp_path / "p.jsonl", texts), str(tmp_path / "o.jsonl")
    ranked = ("--risk", str(risk), "--despite-drift")
    assert run(preds, *ranked[:2], "--json") == 0
    figures = {one["metric"]: one for one in json.loads(capsys.readouterr().out)}
    assert DRIFTED in figures["risk"]["error"]
    assert run(preds, *ranked, "--out", out, "--json") == 0
    figures = {one["metric"]: one for one in json.loads(capsys.readouterr().out)}
    assert "tell no rate" in figures["risk"]["error"], "their mean is no rate either"
    assert "value" not in figures["risk"]
    found = [json.loads(line) for line in Path(out).read_text().splitlines()]
    risks = [row for row in found if row["metric"] == "risk"]
    assert all(row["value"] is not None and DRIFTED in row["explanation"] for row in risks)
    assert run(preds, "--despite-drift") == 1
    assert "Add --risk FILE." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "is not JSON"),
        ("[]", "is no risk model"),
        ("{}", "no risk model of version 2"),
        ('{"version": 2}', "no risk model of version 2"),
    ],
)
def test_what_is_no_risk_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    path = tmp_path / "risk.json"
    if text is not None:
        path.write_text(text)
    assert run(write(tmp_path / "p.jsonl", ROWS), "--risk", str(path)) == 1
    assert said in capsys.readouterr().err


def test_an_item_with_two_scores_by_a_metric_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = [{"id": "1", "metric": "m", "value": v} for v in (1, 2)]
    labels = write(tmp_path / "l.jsonl", [{"item": "1", "value": 1}])
    with pytest.raises(SystemExit) as caught:
        main(["calibrate", "--labels", labels, "--scores", write(tmp_path / "s.jsonl", scores)])
    assert caught.value.code == 1
    assert "two scores by m" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["score", "compare"])
@pytest.mark.parametrize(
    "option", [("--seed", "-1"), ("--level", "1.5"), ("--resamples", "0"), ("--resamples", "-5")]
)
def test_a_recipe_by_which_nothing_can_be_drawn_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, option: tuple[str, str]
) -> None:
    path = write(tmp_path / "p.jsonl", ROWS)
    files = [path] if command == "score" else [path, path]
    with pytest.raises(SystemExit) as caught:
        main([command, *files, *option])
    assert caught.value.code == 1
    assert f"Invalid value for '{option[0]}'" in capsys.readouterr().err

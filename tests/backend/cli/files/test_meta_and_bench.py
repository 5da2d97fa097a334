"""`strop meta` and `strop check bench` on files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from backend.cli import main

KEYS = {"metric", "value", "low", "high", "n", "failed", "signature"}


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def meta_files(folder: Path, *, labels: bool = False, start: int = 0, n: int = 60) -> list[str]:
    rng = random.Random(start)
    scores, ratings = [], []
    for i in range(start, start + n):
        true = rng.gauss(0, 1)
        for metric, noise in (("overlap", 0.3), ("length", 3.0)):
            scores.append({"id": f"i{i}", "metric": metric, "value": true + rng.gauss(0, noise)})
        value = int(true > 0) if labels else round(3 + true)
        row = {"item": f"i{i}", "value": value, "group": f"d{i // 4}", "model": f"m{i % 4}"}
        ratings += [{**row, "rater": "p"}, {**row, "rater": "q"}]
    named = "labels" if labels else "ratings"
    return [
        write(folder / f"scores{start}.jsonl", scores),
        write(folder / f"{named}{start}.jsonl", ratings),
    ]


FAST = ("--resamples", "100", "--json")


def test_meta_gives_figures_at_three_levels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("meta", *meta_files(tmp_path), *FAST) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(figure.keys() >= KEYS for figure in told["figures"])
    found = {(f["metric"], f["coefficient"], f["at"]): f for f in told["figures"]}
    assert found["overlap", "kendall", "sample"]["value"] > 0.5
    assert found["overlap", "kendall", "sample"]["n"] == 60
    assert found["overlap", "kendall", "document"]["n"] <= 15
    assert found["overlap", "kendall", "system"]["n"] == 4
    [difference] = told["differences"]
    assert difference["low"] > 0
    assert difference["p_holm"] == difference["p"]


def test_meta_against_one_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = meta_files(tmp_path)
    assert run("meta", *files, *FAST, "--against", "length") == 0
    [difference] = json.loads(capsys.readouterr().out)["differences"]
    assert (difference["metric"], difference["other"]) == ("overlap", "length")
    assert difference["p_holm"] == difference["p"]
    assert run("meta", *files, *FAST, "--against", "lenght") == 1
    assert "no score 'lenght'; there are" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "sign"), [((), 1), (("--wrong",), -1)])
def test_differences_go_by_what_the_ratings_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], sign: int
) -> None:
    # `overlap` is high where the rating is high, and a risk says the opposite of what it should.
    rows = [{"id": f"i{i}", "metric": "overlap", "value": i} for i in range(40)]
    rows += [{"id": f"i{i}", "metric": "risk", "value": i + 9 * (i % 3)} for i in range(40)]
    said = [{"item": f"i{i}", "value": int(i > 19), "group": f"d{i // 2}"} for i in range(40)]
    files = write(tmp_path / "s.jsonl", rows), write(tmp_path / "l.jsonl", said)
    assert run("meta", *files, *flags, *FAST) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(d["value"] * sign > 0 for d in told["differences"])
    assert any("turned round" in note and "--wrong" in note for note in told["notes"]) == (
        not flags
    )


def test_a_reason_is_told_once_for_all_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["overlap", "length", "invented", "grounding", "own_words"]
    rows = [{"id": f"i{i}", "metric": m, "value": i * i % 7} for i in range(30) for m in names]
    said = [{"item": f"i{i}", "value": i % 2, "group": f"d{i // 3}"} for i in range(30)]
    files = write(tmp_path / "s.jsonl", rows), write(tmp_path / "l.jsonl", said)
    assert run("meta", *files, "--resamples", "100") == 0
    [line] = [row for row in capsys.readouterr().err.splitlines() if "none is named" in row]
    assert line.startswith("not computed: overlap, length, invented and 2 more: pearson, spearman,")


def test_meta_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = meta_files(tmp_path, labels=True)
    assert run("meta", *files, "--resamples", "100", "--metric", "overlap") == 0
    told = capsys.readouterr()
    assert "auroc" in told.out
    assert "--threshold, or --train" in told.err
    assert "balanced_accuracy" not in told.out


def test_meta_reads_a_stated_threshold_and_one_of_other_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = meta_files(tmp_path, labels=True)
    train = meta_files(tmp_path, labels=True, start=1000)
    options = ("--train", train[1], "--train-scores", train[0], "--metric", "overlap")
    assert run("meta", *test, *options, *FAST) == 0
    chosen = json.loads(capsys.readouterr().out)["figures"][-1]
    assert chosen["coefficient"] == "balanced_accuracy"
    assert chosen["value"] > 0.8
    assert "chosen on 60 other items" in chosen["note"]
    assert run("meta", *test, "--threshold", "0", "--below", "--metric", "overlap", *FAST) == 0
    stated = json.loads(capsys.readouterr().out)["figures"][-1]
    assert stated["value"] < 0.3
    assert "as stated" in stated["note"]


def test_meta_never_measures_a_threshold_on_rows_that_chose_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, labels = meta_files(tmp_path, labels=True)
    assert run("meta", scores, labels, "--train", labels, *FAST) == 1
    assert "are in --train too" in capsys.readouterr().err
    rows = [json.loads(line) for line in Path(labels).read_text().splitlines()]
    halves = [
        write(tmp_path / f"half{half}.jsonl", [r for r in rows if int(r["item"][1:]) % 2 == half])
        for half in (0, 1)
    ]
    assert run("meta", scores, halves[0], "--train", halves[1], *FAST) == 1
    assert "documents of the ratings" in capsys.readouterr().err


def test_meta_leaves_out_labels_on_which_raters_are_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, labels = meta_files(tmp_path, labels=True)
    rows = [json.loads(line) for line in Path(labels).read_text().splitlines()]
    rows[0]["value"] = 1 - rows[1]["value"]
    assert run("meta", scores, write(tmp_path / "split.jsonl", rows), *FAST) == 0
    told = capsys.readouterr()
    assert "1 items left out, on which raters are split" in told.err
    assert {f["n"] for f in json.loads(told.out)["figures"] if f["coefficient"] == "auroc"} == {59}


REFUSED = [
    ([], "There is no rating"),
    ([{"item": "other", "value": 1}], "No rated item has a score"),
]


@pytest.mark.parametrize(("ratings", "said"), REFUSED)
def test_meta_refusals(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    ratings: list[dict[str, Any]],
    said: str,
) -> None:
    scores, _ = meta_files(tmp_path)
    given = ratings or [{"item": "i0", "value": None}]
    assert run("meta", scores, write(tmp_path / "r.jsonl", given), *FAST) == 1
    assert said in capsys.readouterr().err


def test_meta_where_nothing_can_be_computed_ends_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores, _ = meta_files(tmp_path)
    alike = [{"item": f"i{i}", "value": 1} for i in range(20)]
    assert run("meta", scores, write(tmp_path / "r.jsonl", alike), "--resamples", "100") == 1
    assert "all ratings are alike" in capsys.readouterr().err


def bench_file(folder: Path, n: int = 24) -> str:
    rows = []
    for i in range(n):
        text = f"Mrs. Anna Brown paid {200 + i} EUR on Friday, and the price was higher."
        rows.append({"id": f"o{i}", "prediction": text, "context": f"Agent: {text}"})
    return write(folder / "preds.jsonl", rows)


def test_bench_on_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bench_file(tmp_path)
    out = tmp_path / "planted.jsonl"
    assert run("check", "bench", path, "--metrics", "invented", "--json", "--out", str(out)) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(figure.keys() >= KEYS for figure in told["figures"])
    assert "simulated" in told["note"]
    [check] = told["checks"]
    recall = {kind["kind"]: kind["recall"]["value"] for kind in check["kinds"]}
    assert recall["number"] == 1
    planted = [json.loads(line) for line in out.read_text().splitlines()]
    for row in planted:
        text = row["prediction"]
        whole = text[: row["start"]] + row["was"] + text[row["end"] :]
        assert whole == row["context"].removeprefix("Agent: ")


def test_bench_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--metrics", "invented,overlap", "--kinds", "number,date")
    assert run("check", "bench", bench_file(tmp_path), *options) == 0
    told = capsys.readouterr().out
    assert "invented (simulated)" in told
    assert "false alarms 0.000" in told
    assert "negation" not in told


BAD = [
    (("--metrics", "support:base"), "support:base cannot be measured"),
    (("--metrics", "no_such"), "no metric named"),
    (("--kinds", "colour"), "no kind of planted error named 'colour'"),
]


@pytest.mark.parametrize(("options", "said"), BAD)
def test_bench_refusals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert run("check", "bench", bench_file(tmp_path, 3), *options) == 1
    assert said in capsys.readouterr().err


def test_bench_is_of_a_file_or_of_a_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "bench") == 1
    assert "one of the two" in capsys.readouterr().err
    assert run("check", "bench", bench_file(tmp_path, 3), "--dataset", "d") == 1
    assert "one of the two" in capsys.readouterr().err

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


def figures_of(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {row["metric"]: row for row in json.loads(capsys.readouterr().out)["figures"]}


@pytest.mark.parametrize(
    ("arguments", "kappa", "weights"),
    [
        ([], 0.2857, "quadratic-ranks"),
        (["--weights", "quadratic"], 0.2857, "quadratic-ranks"),
        (["--weights", "linear"], 0.3478, "linear-ranks"),
        (["--weights", "identity"], 0.4118, "identity"),
    ],
)
def test_agreement_of_words_in_order(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    kappa: float,
    weights: str,
) -> None:
    said = [("low", "high"), ("medium", "medium"), ("high", "high"), ("low", "low")]
    said.append(("medium", "low"))
    rows = [
        {"item": i, "rater": rater, "value": value}
        for i, pair in enumerate(said)
        for rater, value in zip("pq", pair, strict=True)
    ]
    path = write(tmp_path / "r.jsonl", rows)
    ordered = ["--scale", "ordinal", "--values", "low,medium,high"]
    assert run("agreement", path, *ordered, *arguments, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    figures = {row["metric"]: row for row in report["figures"]}
    assert figures["krippendorff_alpha"]["value"] == pytest.approx(0.3327, abs=1e-4)
    assert figures["percent"]["value"] == pytest.approx(0.6)
    assert figures["cohen_kappa"]["value"] == pytest.approx(kappa, abs=1e-4)
    assert f"|weights:{weights}|" in figures["cohen_kappa"]["signature"]
    assert f"|weights:{weights}|" in report["pairs"][0]["signature"]


def test_agreement_draws_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "group": f"g{row['item'] // 3}"} for row in ratings(24)]
    assert run("agreement", write(tmp_path / "r.jsonl", rows), "--json") == 0
    clusters = {row["clusters"] for row in figures_of(capsys).values()}
    assert clusters == {8}


def test_agreement_pools_criteria_by_item(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ratings(criterion="tone") + ratings(criterion="facts")
    assert run("agreement", write(tmp_path / "r.jsonl", rows), "--json") == 0
    assert figures_of(capsys)["percent"]["clusters"] == 12  # the last row is that of all


@pytest.mark.parametrize("extra", [[], ["--html", "report.html"]])
def test_perfect_agreement_is_not_certain(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    extra: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"item": i, "rater": r, "value": i % 2} for i in range(6) for r in "pq"]
    path = write(tmp_path / "r.jsonl", rows)
    assert run("agreement", path, *extra) == 0
    assert "0.610" in capsys.readouterr().out
    assert run("agreement", path, "--json") == 0
    figures = figures_of(capsys)
    assert figures["percent"]["low"] == pytest.approx(0.6097, abs=1e-4)
    assert figures["krippendorff_alpha"]["low"] is None
    assert "perfect agreement" in figures["krippendorff_alpha"]["note"]


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
        (ratings(), ["--weights", "cubic"], "no weighting 'cubic'"),
        (
            [{"item": 1, "rater": r, "value": v} for r, v in zip("ab", ("1", "3/5"), strict=True)],
            ["--scale", "ordinal"],
            "no order ('3/5' is no number)",
        ),
        (ratings(), ["--values", "1,2"], "0.0 is off the scale 1.0, 2.0"),
        ([{"item": 1, "rater": "p"}], [], "no value and no label"),
        ([{"item": 1, "rater": "p", "value": None}], [], "there is no rating in it"),
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


OWN = "item,rater,criterion,value,number\n" + "".join(
    f"{i},{rater},shift,{value},{value.lstrip(chr(39))}.0\n{i},{rater},comment,looks {rater} {i},\n"
    for i, values in enumerate(["'-3 '-3", "'-1 '-2", "0 1", "2 2", "'-3 '-2"])
    for rater, value in zip(("ann", "bob"), values.split(), strict=True)
)


@pytest.mark.parametrize(
    ("arguments", "criteria"),
    [
        (["--scale", "interval"], ["shift"]),
        (["--scale", "ordinal", "--criterion", "shift"], ["shift"]),
        (["--criterion", "shift", "--criterion", "comment"], ["shift", "comment"]),
        ([], ["shift", "comment"]),
    ],
)
def test_that_an_export_of_ours_is_read_back(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    criteria: list[str],
) -> None:
    path = tmp_path / "r.csv"
    path.write_text(OWN)
    assert run("agreement", str(path), *arguments, "--json") == 0
    captured = capsys.readouterr()
    figures = json.loads(captured.out)["figures"]
    assert list(dict.fromkeys(row["criterion"] for row in figures)) == criteria
    assert ("left out, as words are not interval: comment" in captured.err) == (
        arguments == ["--scale", "interval"]
    )
    alpha = next(row["value"] for row in figures if row["metric"] == "krippendorff_alpha")
    assert (round(alpha, 3) == 0.927) == ("interval" in arguments)


def test_that_a_criterion_is_chosen_where_there_are_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"item": i, "rater": "p", "criterion": c, "value": i % 4} for i in range(40) for c in "ab"
    ]
    scores = [{"id": i, "metric": "m", "value": i % 5} for i in range(60)]
    rated = write(tmp_path / "r.jsonl", rows)
    files = ["--ratings", rated, "--scores", write(tmp_path / "s.jsonl", scores)]
    for command in (["estimate", *files], ["plan", rated, "--width", "0.5"]):
        assert run(*command) == 1
        assert "The ratings are of 2 criteria. Name one with --criterion: a, b." in (
            capsys.readouterr().err
        )
        assert run(*command, "--criterion", "a") == 0
    assert run("agreement", rated, "--criterion", "c") == 1
    assert "no criterion 'c'. There are: a, b." in capsys.readouterr().err


def test_that_columns_are_mapped_in_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rated = [{"item": i, "who": r, "stars": i % 3} for i in range(12) for r in "pq"]
    path = write(tmp_path / "r.jsonl", rated)
    assert run("agreement", path) == 1
    assert "no rater; it has item, who, stars" in capsys.readouterr().err
    assert run("agreement", path, "--map", "rater=who", "--map", "value=stars") == 0
    assert run("plan", path, "--width", "1", "--map", "value=stars") == 0
    assert "not used: who" in capsys.readouterr().err
    won = [{**{k: v for k, v in vote.items() if k != "winner"}, "won": "A"} for vote in votes()]
    won[0]["won"] = "b"
    assert run("preferences", write(tmp_path / "v.jsonl", won), "--map", "winner=won") == 0
    scores = write(tmp_path / "s.jsonl", [{"key": i, "value": i % 5} for i in range(60)])
    files = ["--ratings", path, "--scores", scores]
    maps = ["--map", "item=key", "--map", "value=stars"]
    assert run("estimate", *files, *maps) == 0
    assert run("estimate", *files, *maps, "--map", "group=nowhere") == 1
    assert "No file has a column 'nowhere'" in capsys.readouterr().err


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


def test_estimate_from_several_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = {i: (i * 37) % 101 / 20 for i in range(200)}
    rated = [{"item": i, "value": value[i]} for i in range(0, 200, 4)]
    scores = [{"item": i, "metric": "near", "value": value[i] + (i % 7) / 9} for i in range(200)]
    scores += [{"item": i, "metric": "noise", "value": i % 13} for i in range(200) if i % 15]
    files = ["--ratings", write(tmp_path / "r.jsonl", rated)]
    files += ["--scores", write(tmp_path / "s.jsonl", scores)]
    assert run("estimate", *files, "--json") == 0
    [figure] = json.loads(capsys.readouterr().out)
    assert (figure["metric"], figure["method"]) == ("mean_rating", "ppi++")
    assert (figure["helped_by"], figure["total"]) == ("near", 200)
    assert "near 50 of 50 times" in figure["note"]
    assert run("estimate", *files) == 0
    assert "near 50 of 50 times" in capsys.readouterr().out
    assert run("estimate", *files, "--metric", "noise", "--json") == 0
    [figure] = json.loads(capsys.readouterr().out)
    assert (figure["helped_by"], figure["method"]) == (None, "plain")


@pytest.mark.parametrize("value", [5, 2.5])
def test_estimate_of_equal_ratings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: float
) -> None:
    rated = [{"item": i, "value": value} for i in range(20)]
    scores = [{"item": i, "value": (i * 37) % 60} for i in range(60)]
    files = ["--ratings", write(tmp_path / "r.jsonl", rated)]
    files += ["--scores", write(tmp_path / "s.jsonl", scores)]
    assert run("estimate", *files) == 0
    assert "all values are alike: nothing is known of their spread" in capsys.readouterr().out
    assert run("estimate", *files, "--json") == 0
    [figure] = json.loads(capsys.readouterr().out)
    assert (figure["value"], figure["low"], figure["high"]) == (value, None, None)
    assert run("plan", files[1], "--threshold", "2.9") == 1
    assert "20 equal ratings" in capsys.readouterr().err


def test_that_items_without_a_score_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rated = [{"item": i, "value": i % 3} for i in range(12)]
    scores: list[dict[str, Any]] = [{"item": i, "metric": "m", "value": i % 5} for i in range(40)]
    scores += [{"item": i, "metric": "m", "value": None, "error": "no"} for i in range(40, 50)]
    files = ["--ratings", write(tmp_path / "r.jsonl", rated)]
    files += ["--scores", write(tmp_path / "s.jsonl", scores)]
    assert run("estimate", *files) == 0
    told = capsys.readouterr().err
    assert "left out: 10 items without a score; the mean is of the 40 others" in told
    assert run("estimate", *files, "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["without_score"] == 10


def test_that_a_judge_needs_votes_of_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vote = {"item": 1, "rater": "gpt", "model_a": "x", "model_b": "y", "winner": "a"}
    path = write(tmp_path / "v.jsonl", [vote])
    assert run("preferences", path, "--judge", "gpt") == 1
    assert "Every vote is of 'gpt'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("yes", "no"), "agreement on no item"),
        (("yes", "yes"), "perfect agreement on every item"),
    ],
)
def test_that_it_is_said_what_is_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: tuple[str, str], said: str
) -> None:
    rows = [
        {"item": i, "rater": rater, "value": value}
        for i in range(5)
        for rater, value in zip("ab", values, strict=True)
    ]
    assert run("agreement", write(tmp_path / "r.jsonl", rows), "--json") == 0
    percent = json.loads(capsys.readouterr().out)["figures"][0]
    assert percent["metric"] == "percent"
    assert said in percent["note"]
    assert "all values are alike" not in percent["note"]


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
    assert json.loads(out.read_text())["version"] == 2
    assert run("calibrate", *calibration_files(tmp_path)) == 0
    out_text = capsys.readouterr().out
    assert "may skip review" in out_text
    assert "the 200 labels in 100 groups, of which one output each counts" in out_text


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


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize(
    ("said", "n"), [(True, 12), ("true", 12), (1, 12), (False, 0), ("", 0), (None, 0)]
)
def test_preferences_state_simulated_votes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: object, n: int, html: bool
) -> None:
    rows = [{**vote, "simulated": said if vote["rater"] == "p" else False} for vote in votes()]
    path, report = write(tmp_path / "v.jsonl", rows), tmp_path / "r.html"
    assert run("preferences", path, *(["--html", str(report)] if html else [])) == 0
    told = capsys.readouterr()
    words = f"{n} of the 36 votes are simulated"
    assert "not used" not in told.err
    assert (words in told.out) == bool(n)
    if html:
        assert (words in report.read_text(encoding="utf-8")) == bool(n)
    assert run("preferences", path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n"], found["n_simulated"]) == (36, n)


def test_preferences_refuse_an_unclear_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "v.jsonl", [{**votes()[0], "simulated": "partly"}])
    assert run("preferences", path) == 1
    assert "'simulated' is 'partly'" in capsys.readouterr().err

"""`strop fairness` on a file and on a project: figures, exit codes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker
from typer.testing import CliRunner

from backend.cli import app
from tests.fixtures_fairness import Office, build_office


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["fairness", *arguments])


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Women are served right in 6 of 10, men in 9 of 10; two rows are of a group of their own."""
    path = tmp_path / "preds.jsonl"
    rows = []
    for i in range(402):
        sex = "x" if i >= 400 else "fm"[i % 2]
        right = (i // 2) % 10 < (6 if sex == "f" else 9)
        rows.append(
            {
                "id": str(i),
                "prediction": "yes" if right else "no",
                "reference": "yes",
                "slices": {"sex": sex, "half": "ab"[(i // 2) % 2]},
            }
        )
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_a_file_without_a_verb(predictions: Path) -> None:
    found = run(str(predictions), "--by", "sex", "--metrics", "accuracy", "--json")
    assert found.exit_code == 2
    [report] = json.loads(found.stdout)
    [parity] = report["parities"]
    gap = parity["gaps"][0]
    assert (gap["group"], gap["other"], gap["said"]) == ("f", "m", "apart")
    assert gap["value"] == pytest.approx(-0.3)
    assert gap["low"] < -0.3 < gap["high"] < 0
    assert [group["n"] for group in parity["groups"]] == [200, 200, 2]
    assert "max-t" in parity["signature"]


def test_what_is_printed_names_n_interval_and_what_cannot_be_told(predictions: Path) -> None:
    found = run(str(predictions), "--by", "sex", "--metrics", "accuracy")
    assert "largest gap 0.400" in found.stdout or "largest gap 0.300" in found.stdout
    assert "cannot be told" in found.stdout
    assert "95% for 6 gaps at once" in found.stdout
    assert "fair" not in found.stdout.replace("fairness", "")


@pytest.mark.parametrize(
    ("by", "margin", "code"), [("half", "0.3", 0), ("half", "0.02", 3), ("sex", "0.05", 2)]
)
@pytest.mark.deep
def test_exit_codes_of_a_margin(predictions: Path, by: str, margin: str, code: int) -> None:
    rows = [json.loads(line) for line in predictions.read_text().splitlines()][:400]
    predictions.write_text("\n".join(map(json.dumps, rows)))
    found = run(str(predictions), "--by", by, "--metrics", "accuracy", "--margin", margin)
    assert found.exit_code == code, found.output


def test_rates_of_labels(predictions: Path) -> None:
    found = run(str(predictions), "--by", "half", "--labels", "yes", "--json")
    [report] = json.loads(found.stdout)
    assert {p["metric"] for p in report["parities"]} == {
        *("f1", "selection:yes", "tpr:yes", "fpr:yes"),
    }
    assert report["odds"][0]["high"] is None  # nobody is truly no, so the rate is of nobody


def test_rates_are_of_labels_and_never_of_counts(predictions: Path) -> None:
    """Other metrics keep two numbers, too; which metric is named first says nothing."""
    both = run(str(predictions), "--by", "sex", "--metrics", "rougeL,f1", "--labels", "yes")
    assert "equalised odds of 'yes' by sex" in both.stdout
    none = run(str(predictions), "--by", "sex", "--metrics", "rougeL", "--rates")
    assert none.exit_code == 1
    assert "No score keeps a pair of labels" in str(none.exception or none.output)


def test_lists_are_printed() -> None:
    found = run("lists", "name")
    assert "Emily" in found.stdout
    assert run("lists", "--json").exit_code == 0
    assert run("lists", "hair").exit_code != 0


@pytest.fixture
def office(installed: sessionmaker[Session]) -> Office:
    session = installed()
    office = build_office(session)
    session.commit()
    return office


@pytest.fixture
def installed(
    sqlite_sessions: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> sessionmaker[Session]:
    bind = sqlite_sessions.kw["bind"]
    monkeypatch.setenv("STROP_DATABASE_URL", str(bind.url))
    monkeypatch.setenv("STROP_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return sqlite_sessions


def test_pairs_run_and_test(office: Office) -> None:
    made = run("pairs", "--dataset", "letters", "--kinds", "genders,name", "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["pairs"] == {"gender": 40, "name": 40}
    session = office.session
    session.rollback()
    from backend.services.fairness.pairs import list_pairs

    [version] = list_pairs(session, office.project.id)
    over = office.answer(version)
    office.score(office.answer(office.version), "exact_match")
    session.commit()
    tested = run("test", str(over.id))
    assert tested.exit_code == 2, tested.output
    assert "changes more than the control" in tested.stdout
    assert run("test", str(over.id), "--models", "base", "--json").exit_code == 0
    by_run = run(str(over.id + 1), "--by", "sex", "--models", "v1", "--json")
    assert by_run.exit_code == 2, by_run.output
    assert json.loads(by_run.stdout)[0]["model"] == "base:v1@1"

"""Ratings, votes and files of other tools: figures, provenance, streams, files that were cut."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.orm import Session, sessionmaker

from backend.db import reading
from backend.errors import InvalidInput, NotFound, UnknownName
from backend.services import review
from backend.services.exchange import review_exports
from backend.services.exchange.csv_cells import csv_line, plain_cell, safe_cell
from backend.services.exchange.export_files import cut_back
from backend.services.exchange.review_exports import FORMATS, ExportAsk, FileKind, export_text
from backend.services.review.quality import gold_items
from backend.services.review.quality.gold_items import GoldRow
from backend.services.review.reports import contents as review_rows
from backend.services.review.rules import QueueRules
from backend.tables.review import Review, ReviewItem, ReviewQueue
from backend.tables.runs import Generation
from evaluators.files.people import read_ratings, read_votes
from evaluators.statistics.agreement.coefficients import agreement
from evaluators.statistics.agreement.ratings import Scale, tabulate
from tests.fixtures_copies import PreparedDatabase, prepare, sessions_at
from tests.fixtures_exchange import Reviewed, reviewed_pairs, reviewed_queue
from tests.fixtures_review import GOOD, Desk, build_desk, review_next


@pytest.fixture(scope="module")
def prepared(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedDatabase:
    def build(sessions: sessionmaker[Session]) -> tuple[Desk, ReviewQueue]:
        found = reviewed_queue(sessions, n_items=5)
        return found.desk, found.queue

    return prepare(sqlite_template, tmp_path_factory.mktemp("reviewed") / "strop.db", build)


@pytest.fixture
def done(prepared: PreparedDatabase, tmp_path: Path) -> Iterator[Reviewed]:
    with sessions_at(prepared.copied(tmp_path / "reviewed.db")) as sessions:
        yield Reviewed(*prepared.rows, sessions)


def text_of(found: Reviewed, name: str, kind: FileKind, **options: Any) -> str:
    ask = options.pop("ask", None) or ExportAsk()
    pieces = export_text(found.reading, found.queue.id, name, ask, kind=kind, **options)
    return "".join(pieces)


def rows_of(found: Reviewed, name: str, **options: Any) -> list[dict[str, Any]]:
    lines = text_of(found, name, FileKind.JSONL, **options).splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_that_ratings_read_back_give_the_figures_of_the_service(
    done: Reviewed, kind: str, tmp_path: Path
) -> None:
    file = tmp_path / f"ratings.{kind}"
    file.write_text(text_of(done, "ratings", FileKind(kind)), "utf-8")
    ratings = read_ratings(file)
    with done.sessions() as session:
        served = review.queue_agreement(session, done.queue.id)
    compared = 0
    for row in served:
        if row.criterion not in {"faithful", "problem"} or row.figure is None:
            continue
        chosen = [rating.told_apart for rating in ratings if rating.criterion == row.criterion]
        values = {"faithful": ["no", "yes"], "problem": ["none", "tone"]}[row.criterion]
        table = tabulate(chosen, categories=values)
        figure = agreement(row.coefficient, table, scale=Scale.NOMINAL)
        assert (figure.value, figure.low, figure.high, figure.n) == pytest.approx(
            (row.figure.value, row.figure.low, row.figure.high, row.figure.n)
        )
        compared += 1
    assert compared >= 4


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_that_votes_read_back_give_the_counts_of_the_service(
    sqlite_sessions: sessionmaker[Session], kind: str, tmp_path: Path
) -> None:
    found, ask = reviewed_pairs(sqlite_sessions), ExportAsk()
    file = tmp_path / f"votes.{kind}"
    file.write_text(text_of(found, "votes", FileKind(kind), ask=ask), "utf-8")
    votes = read_votes(file)
    with found.sessions() as session:
        (served,) = review.preference_summary(session, found.queue.id)
    won = [(vote.model_a, vote.model_b, vote.winner.value) for vote in votes]
    a, b = served.model_a, served.model_b
    assert won.count((a, b, "a")) == served.wins_a > 0
    assert won.count((a, b, "b")) == served.wins_b > 0
    assert won.count((a, b, "tie")) == served.ties > 0
    assert won.count((a, b, "both_bad")) == served.both_bad > 0
    assert ask.left_out == {"cannot_judge": served.cannot_judge}
    assert served.cannot_judge > 0


def test_that_every_response_is_a_row_with_its_provenance(done: Reviewed) -> None:
    rows = rows_of(done, "ratings")
    with done.sessions() as session:
        first = session.query(Review).filter_by(state="submitted").order_by(Review.item_id).first()
        assert first is not None
    assert len(rows) == 5 * 2 * 6 + 5  # six criteria, and a reason in half of the answers
    wanted = {
        "rubric": "every_scale",
        "rubric_version": 1,
        "dataset": "tickets",
        "dataset_version": 1,
        "dataset_digest": done.desk.version.digest,
        "inclusion_probability": 1.0,
        "stratum": None,
        "purpose": "review",
        "extra": False,
        "simulated": False,
        "annotator_kind": "human",
        "source": "desk",
        "model": "base",
        "split": "train",
        "queue": "q",
        "run": done.desk.run.id,
    }
    assert {name: rows[0][name] for name in wanted} == wanted
    assert all(row["group"] == row["example"] and row["submitted_at"] for row in rows)
    people = {expert.pseudonym for expert in done.desk.experts[:2]}
    assert {row["rater"] for row in rows} == people
    assert not any(expert.name in json.dumps(rows) for expert in done.desk.experts)
    assert len({(row["item"], row["rater"], row["criterion"]) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    "values", [{"extra": True}, {"purpose": "adjudication"}], ids=["extra", "adjudication"]
)
def test_that_what_no_figure_counts_is_written_only_when_asked(
    done: Reviewed, values: dict[str, Any]
) -> None:
    with done.sessions.begin() as session:
        session.execute(update(Review).where(Review.id == 1).values(**values))
    assert 1 not in {row["review"] for row in rows_of(done, "ratings")}
    everything = rows_of(done, "ratings", ask=ExportAsk(all_purposes=True))
    found = [row for row in everything if row["review"] == 1]
    assert [{name: row[name] for name in values} for row in found] == [values] * len(found) != []


def test_that_a_withdrawn_review_is_never_written(done: Reviewed) -> None:
    with done.sessions.begin() as session:
        session.execute(update(Review).where(Review.id == 1).values(withdrawn_at=Review.started_at))
    for name in ("ratings", "label-studio"):
        text = text_of(done, name, FileKind.JSONL, ask=ExportAsk(all_purposes=True))
        assert '"review": 1,' not in text


class Pages:
    """Sessions that tell how many were opened, and that one is open at a time."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.sessions, self.opened, self.open = sessions, 0, 0

    @contextmanager
    def _one(self) -> Iterator[Session]:
        assert self.open == 0
        self.opened, self.open = self.opened + 1, 1
        with reading(self.sessions) as session:
            yield session
        self.open = 0

    def __call__(self) -> AbstractContextManager[Session]:
        return self._one()


@pytest.mark.parametrize("name", list(FORMATS))
def test_that_rows_are_pulled_page_by_page(
    sqlite_sessions: sessionmaker[Session], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first row costs one page, and no session is open while it is with the receiver."""
    make = reviewed_pairs if name == "votes" else reviewed_queue
    found = make(sqlite_sessions, n_items=6)
    monkeypatch.setattr(review_rows.each_item, "__kwdefaults__", {"after": None, "per_page": 2})
    pages = Pages(found.sessions)
    kind = FORMATS[name].files[0]
    pieces = export_text(pages, found.queue.id, name, ExportAsk(), kind=kind)
    assert pages.opened == 1  # the facts of the queue, and no row yet
    heads = 2 if kind is FileKind.JSON else 1
    for _ in range(heads):
        next(pieces)
    assert (pages.opened, pages.open) == (2, 0)
    rest = list(pieces)
    assert pages.opened == 5  # three pages of two items and one that says that there are no more
    assert rest


FILES = [(name, kind) for name, chosen in FORMATS.items() for kind in chosen.files]


@pytest.fixture(scope="module")
def whole(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Reviewed]]:
    """A reviewed queue of single outputs and one of pairs, for tests that only read."""
    import shutil

    from backend.db import open_database, session_factory

    found, engines = {}, []
    for name, make in (("single", reviewed_queue), ("pair", reviewed_pairs)):
        file = tmp_path_factory.mktemp("whole") / f"{name}.db"
        shutil.copy(sqlite_template, file)
        engines.append(open_database(f"sqlite:///{file}"))
        found[name] = make(session_factory(engines[-1]), n_items=4)
    with found["single"].sessions.begin() as session:  # a cell over several lines
        session.execute(update(review_rows.Example).values(group='a "group"\nwith, a line end'))
    yield found
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize(("name", "kind"), FILES)
def test_that_a_file_cut_anywhere_becomes_the_same_file(
    whole: dict[str, Reviewed], name: str, kind: FileKind, tmp_path: Path
) -> None:
    found = whole["pair" if name == "votes" else "single"]
    uncut = text_of(found, name, kind).encode()
    file = tmp_path / "export"
    step = max(1, len(uncut) // 11)
    for size in {*range(0, len(uncut), step), len(uncut) - 1, len(uncut) - 2}:
        file.write_bytes(uncut[:size])
        resumed = cut_back(file, FORMATS[name], kind)
        assert not resumed.complete
        fresh = b"" if resumed.after is None else file.read_bytes()
        rest = text_of(found, name, kind, after=resumed.after).encode()
        assert fresh + rest == uncut, size


def test_that_a_finished_array_is_known_as_finished(
    whole: dict[str, Reviewed], tmp_path: Path
) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(text_of(whole["single"], "label-studio", FileKind.JSON), "utf-8")
    before = file.read_bytes()
    assert cut_back(file, FORMATS["label-studio"], FileKind.JSON).complete
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "kind"),
    [("hello\n", "jsonl"), ("a,b\n1,2\n", "csv"), ('{"item": 1}\n', "json"), ("[1]\n", "jsonl")],
)
def test_that_a_foreign_file_is_not_cut(tmp_path: Path, text: str, kind: str) -> None:
    file = tmp_path / "mine"
    file.write_text(text)
    with pytest.raises(InvalidInput, match="not an export"):
        cut_back(file, FORMATS["ratings"], FileKind(kind))
    assert file.read_text() == text


def test_that_json_of_any_kind_is_json(whole: dict[str, Reviewed]) -> None:
    for name in ("label-studio", "argilla"):
        array = json.loads(text_of(whole["single"], name, FileKind.JSON))
        assert array == rows_of(whole["single"], name)
        assert len(array) == 4


def test_that_an_empty_queue_is_an_empty_array(done: Reviewed) -> None:
    with done.sessions.begin() as session:
        session.execute(update(review_rows.ReviewItem).values(purpose="gold"))
    assert json.loads(text_of(done, "label-studio", FileKind.JSON)) == []


@pytest.mark.parametrize(
    ("options", "error"),
    [({"after": 999_999}, NotFound), ({"name": "rating"}, UnknownName)],
)
def test_that_a_refusal_comes_with_the_first_piece(
    done: Reviewed, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        text_of(done, options.pop("name", "ratings"), FileKind.JSONL, **options)


def test_that_single_outputs_have_no_votes(done: Reviewed) -> None:
    with pytest.raises(InvalidInput, match="Only a queue of pairs"):
        text_of(done, "votes", FileKind.JSONL)


def test_that_no_cell_is_a_formula(done: Reviewed) -> None:
    """`answer_number` gives reasons that begin with =HYPERLINK."""
    cells = list(csv.DictReader(io.StringIO(text_of(done, "ratings", FileKind.CSV))))
    reasons = {row["value"] for row in cells if row["criterion"] == "why"}
    assert reasons == {"'=HYPERLINK(1)"}
    assert {plain_cell(reason) for reason in reasons} == {"=HYPERLINK(1)"}
    rows = rows_of(done, "ratings")
    assert {row["value"] for row in rows if row["criterion"] == "why"} == {"=HYPERLINK(1)"}


@given(st.text())
def test_that_every_text_comes_back_from_its_cell(text: str) -> None:
    line = csv_line([text, "end"])
    (read,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    assert plain_cell(read[0]) == text
    assert not read[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("value", "cell"), [(None, ""), (True, "true"), (-1.0, "-1.0"), (3, "3"), ("-1", "'-1")]
)
def test_that_numbers_stay_numbers(value: object, cell: str) -> None:
    assert safe_cell(value) == cell


def test_that_a_megabyte_goes_through(done: Reviewed) -> None:
    long = "=<script>" + "é" * 1_000_000
    with done.sessions.begin() as session:
        session.execute(update(Generation).where(Generation.id == 1).values(text=long))
    outputs = [task["data"]["output"] for task in rows_of(done, "label-studio")]
    assert outputs.count(long) == 1


def test_that_formats_are_described() -> None:
    assert set(FORMATS) == {"ratings", "votes", "label-studio", "argilla"}
    assert all(chosen.description for chosen in review_exports.FORMATS.values())


def test_an_export_of_all_purposes_holds_answers_to_known_items(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions.begin() as session:
        desk = build_desk(session, splits={"train": 4})
        queue = desk.open(session, n_items=2, rules=QueueRules(gold_onboarding=1))
        taken = {item.generation_a_id for item in session.query(ReviewItem)}
        free = session.query(Generation).filter(Generation.id.not_in(taken)).first()
        assert free is not None
        known = {"ratings": {"faithful": "no"}}
        row = GoldRow(answer=known, explanation="x", generation=free.id)
        gold_items.add_gold(session, queue.id, [row], by=None)
        for _ in range(2):
            review_next(session, queue, desk.experts[0], review.Answer(ratings=GOOD))
        queue_id = queue.id

    def purposes(**ask: Any) -> list[str]:
        asked = review_exports.ExportAsk(**ask)
        lines = review_exports.export_text(
            sqlite_sessions, queue_id, "ratings", asked, kind=FileKind.JSONL
        )
        return sorted({json.loads(line)["purpose"] for line in lines})

    assert purposes(all_purposes=True) == ["gold", "review"]
    assert purposes() == ["review"]

"""A dossier holds what it says, gives no text away, and shows every change of a byte."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session, sessionmaker

from backend.errors import Conflict, InvalidInput, NotFound, UnknownName
from backend.services.curation import stored_digest
from backend.services.datasets.health.kinds import look_for, put_together
from backend.services.datasets.health.reports import (
    HealthRequest,
    ask_report,
    keep_report,
    read_material,
)
from backend.services.datasets.versions import rows_digest, stored_rows
from backend.services.dossier import check_dossier
from backend.services.dossier.answers import (
    QUESTIONS,
    answers_form,
    parse_answers,
    read_answers,
    save_answers,
)
from backend.services.dossier.make import CHECKER, Dossier, comparison_of, make_dossier
from backend.services.dossier.sections import ANNEX_IV, NIST, SECTIONS
from backend.services.dossier.signing import public_key, sign_files, signing_key
from backend.services.projects import set_manifest
from backend.services.verdicts import comparison
from backend.services.verdicts.promotion import decide_promotion
from backend.settings import Settings
from backend.tables.curation import TrainingSet
from backend.tables.datasets import DatasetVersion, Example
from backend.tables.runs import Generation, Score, ScoreRun
from backend.tables.verdicts import Comparison
from evaluators.statistics.draws import VERSION
from tests.fixtures_review import NOW, build_desk, run_over, score_answers, vote_on_pairs
from tests.fixtures_trial import GOOD_BAR, Trial

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
HOSTILE = "<script>alert(1)</script> | `*_#"


def _with_true_digests(session: Session) -> None:
    """The fixtures lay rows down with digests that are none."""
    for version in session.query(DatasetVersion):
        version.digest = rows_digest(stored_rows(session, version.id))
    for frozen in session.query(TrainingSet):
        frozen.digest = stored_digest(session, frozen.id)
    session.flush()


def _judged(session: Session, *, right: float = 0.8) -> Comparison:
    """A trained candidate, judged; the set that it was trained on is empty."""
    trial = Trial(session, right=right, metrics=["exact_match", "f1", "rougeL", "bleu"])
    trial.train(set_manifest(session, trial.laid.project, GOOD_BAR))
    _with_true_digests(session)
    row = trial.judge(GOOD_BAR)
    decide_promotion(session, row, decided_by_id=None, simulated=True)
    return row


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One dossier for all tests that only read it."""
    from backend.db import migrate, open_database, session_factory

    url = f"sqlite:///{tmp_path_factory.mktemp('dossier')}/strop.db"
    migrate(url)
    database = open_database(url)
    with session_factory(database)() as session:
        made = make_dossier(session, _judged(session), KEY)
    database.dispose()
    return made.content


def _verify(raw: bytes, key: Ed25519PrivateKey = KEY) -> dict[str, bytes]:
    files = check_dossier.unpack(raw)
    check_dossier.verify(files, public_key(key))
    return files


def _wrong(files: dict[str, bytes]) -> list[str]:
    """What does not hold; figures that could not be computed in the first place say so."""
    return [why for _, why in check_dossier.faults(files) if why and "no figure" not in why]


def test_a_dossier_holds_on_both_databases(session: Session) -> None:
    made = make_dossier(session, _judged(session), KEY)
    files = _verify(made.content)
    assert made.first.startswith("INCONCLUSIVE: ")
    assert files["index.md"].decode().startswith(f"# {made.first}".replace("-", "\\-")[:14])
    assert _wrong(files) == []
    names = {what for what, _ in made.checked}
    assert {"verdict", "leaks", "bar version 1", "exact_match of base", "training set t"} <= names
    assert make_dossier(session, session.query(Comparison).one(), KEY).content == made.content


def test_the_checker_runs_alone_and_says_so_by_its_exit_code(signed: bytes, tmp_path: Path) -> None:
    files = check_dossier.unpack(signed)
    (tmp_path / CHECKER).write_bytes(files[CHECKER])
    (tmp_path / "d.tar").write_bytes(signed)
    (tmp_path / "bad.tar").write_bytes(signed.replace(b"exact_match", b"exact_mitch", 1))
    assert len(files[CHECKER].decode().splitlines()) <= 400

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", CHECKER, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = run("d.tar", public_key(KEY))
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("# INCONCLUSIVE")
    assert "verdict: holds" in good.stdout
    bad = run("bad.tar", public_key(KEY))
    assert (bad.returncode, bad.stdout[:8]) == (2, "REFUSED:")
    assert run("d.tar", public_key(OTHER)).returncode == 2
    assert run("none.tar", public_key(KEY)).returncode == 1
    assert run().returncode == 1


def test_an_interval_by_other_draws_is_not_drawn_again(signed: bytes) -> None:
    files = check_dossier.unpack(signed)
    figures = json.loads(files["figures.json"])
    chosen = next(one for one in figures if "|ci:bootstrap" in (one["signature"] or ""))
    assert f"|draws:{VERSION}|" in chosen["signature"]
    chosen["signature"] = chosen["signature"].replace(f"|draws:{VERSION}", "")
    chosen["said"]["low"] -= 0.001  # as a verdict of before has it
    found = dict(check_dossier.faults({**files, "figures.json": json.dumps(figures).encode()}))
    assert found[chosen["id"]].startswith("NOT RECOMPUTED: its interval was drawn by another")


def test_a_verdict_by_other_draws_is_signed_as_it_was_said(session: Session) -> None:
    row = _judged(session)
    lines = json.loads(json.dumps(row.lines))
    said = next(line["evidence"] for line in lines if line["metric"] == "exact_match")
    said["signature"] = "exact_match|ci:bootstrap-t|level:0.95|resamples:1000|seed:0"
    said["low"] -= 0.0001
    row.lines = lines
    session.flush()
    made = make_dossier(session, row, KEY)
    assert any("drawn by another version" in why for why in made.not_recomputed)


def test_a_thousand_of_a_thousand_edits_of_one_byte_are_found(signed: bytes) -> None:
    rng = random.Random(13)
    found = 0
    for _ in range(1000):
        at = rng.randrange(len(signed))
        edited = bytearray(signed)
        edited[at] ^= rng.randrange(1, 256)
        try:
            _verify(bytes(edited))
        except (ValueError, InvalidSignature):
            found += 1
    assert found == 1000


def test_every_byte_of_headers_padding_and_end_counts(signed: bytes) -> None:
    places = [*range(512), *range(len(signed) - 1600, len(signed), 7)]
    for at in places:
        edited = bytearray(signed)
        edited[at] ^= 1
        with pytest.raises((ValueError, InvalidSignature)):
            _verify(bytes(edited))


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 5000, -1, -512, -1024])
def test_a_cut_or_longer_archive_is_refused(signed: bytes, cut: int) -> None:
    for raw in (signed[:cut], signed + bytes(512), signed + b"x", bytes(512) + signed):
        with pytest.raises((ValueError, InvalidSignature)):
            _verify(raw)


def test_files_changed_added_or_taken_away_are_refused_though_packed_well(signed: bytes) -> None:
    files = check_dossier.unpack(signed)
    changed = {**files, "bar.json": files["bar.json"].replace(b"INCONCLUSIVE", b"PASS")}
    added = {**files, "extra.json": b"{}"}
    gone = {name: data for name, data in files.items() if name != "leaks.json"}
    listed = {**files, "files.json": files["files.json"] + b" "}
    unsigned = {name: data for name, data in files.items() if name != "signature.txt"}
    for one in (changed, added, gone, listed, unsigned):
        with pytest.raises((ValueError, InvalidSignature)):
            _verify(check_dossier.pack(one))


def test_who_signs_anew_has_another_key(signed: bytes) -> None:
    files = check_dossier.unpack(signed)
    rest = {n: data for n, data in files.items() if n not in ("files.json", "signature.txt")}
    rest["bar.json"] = rest["bar.json"].replace(b"INCONCLUSIVE", b"PASS")
    forged = sign_files(rest, OTHER)
    with pytest.raises(ValueError, match="not signed by this key"):
        _verify(forged)
    swapped = check_dossier.unpack(forged)
    swapped["signature.txt"] = swapped["signature.txt"].replace(
        public_key(OTHER).encode(), public_key(KEY).encode()
    )
    with pytest.raises(InvalidSignature):
        _verify(check_dossier.pack(swapped))
    assert _verify(forged, OTHER)  # so that the key has to come by another way


def _tar(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind
            archive.addfile(info, BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(1024),
        b"PK\3\4" + bytes(2000),
        _tar(("../evil", b"x")),
        _tar(("/etc/passwd", b"x")),
        _tar(("a/../../b", b"x")),
        _tar(("bar.json", b"1"), ("bar.json", b"2")),
        _tar(("a", b""), kind=tarfile.SYMTYPE),
        _tar(("b.json", b"1"), ("a.json", b"2")),
        _tar(("a", b"x")).replace(b"00000000001\0", b"77777777777\0", 1),  # says that it has 8 GB
        _tar(("a", b"x")).replace(b"00000000001\0", b"-7777777777\0", 1),
        _tar(("a", b"x")).replace(b"00000000001\0", b"\x80abcdefghij\0", 1),
        _tar(("ä", b"x")),
    ],
)
def test_what_is_no_dossier_is_refused_without_unpacking(raw: bytes) -> None:
    with pytest.raises((ValueError, InvalidSignature)):
        _verify(raw)


def test_no_text_of_an_example_an_output_or_a_reviewer_is_in_it(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        row = _judged(session)
        texts = {e.input for e in session.query(Example)} | {
            e.context for e in session.query(Example)
        }
        outputs = {g.text for g in session.query(Generation) if len(g.text or "") > 3}
        ids = {e.external_id for e in session.query(Example)}
        plain = make_dossier(session, row, KEY)
        full = make_dossier(session, row, KEY, with_texts=True)
    for word in {w for w in texts | outputs | ids if w and len(w) > 3}:
        assert json.dumps(word)[1:-1].encode() not in plain.content, word
    files = _verify(full.content)
    rows = next(d for d in json.loads(files["digests.json"]) if d["what"].startswith("dataset"))
    assert rows["sha256"] == rows["recorded"]
    assert _wrong(files) == []


def test_the_health_of_the_data_is_told_in_counts(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        row = _judged(session)
        version = session.get_one(ScoreRun, row.score_run_id).generation_run.dataset_version
        asked = HealthRequest(version.dataset.name, kinds=("duplicates", "semantic_duplicates"))
        report = ask_report(session, row.project_id, asked)
        material = read_material(session, report.id)
        found = [look_for(name, material) for name in asked.kinds]
        keep_report(session, report.id, put_together(material, found), now=NOW)
        files = _verify(make_dossier(session, row, KEY).content)
    told = json.loads(files["index.json"])["sections"]["health"]
    assert told["measured"]
    table = told["tables"][0]
    assert table["columns"] == ["kind", "severity", "rows flagged", "of", "note"]
    by_kind = {line[0]: line[1:] for line in table["rows"]}
    flagged = next(one.found for one in found if one.kind == "duplicates")
    assert flagged is not None
    assert by_kind["duplicates"][1:3] == [flagged.flagged, flagged.n]
    assert flagged.flagged < flagged.n
    assert by_kind["semantic_duplicates"][1:3] == [None, None]
    assert "encoder" in by_kind["semantic_duplicates"][3]
    assert "details" not in json.loads(files["health.json"])["kinds"][0]


def test_changed_records_are_noticed_before_anything_is_signed(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        row = _judged(session)
        score = session.query(Score).filter_by(metric="exact_match", value=1.0).first()
        assert score is not None
        score.value = 0.0
        session.flush()
        with pytest.raises(Conflict, match="changed since"):
            make_dossier(session, row, KEY)
        score.value = 1.0
        session.query(Example).first().context = "other"  # type: ignore[union-attr]
        session.flush()
        with pytest.raises(Conflict, match="digest covers"):
            make_dossier(session, row, KEY)


def test_votes_are_recomputed_and_said_to_be_simulated_or_not(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        desk = build_desk(session, splits={"test": 30})
        run = run_over(session, desk, desk.version, split="test")
        queue = desk.open(session, "pairs", kind="pair", generation_run_id=run.id)
        vote_on_pairs(session, desk, queue, ["v"] * 20 + ["b"] * 6 + ["tie"])
        vote_on_pairs(session, desk, queue, ["v"] * 3, simulated=True)
        bar = "name: b\nlines: [{metric: win_rate, threshold: 0.5}]"
        row = comparison.compare_models(
            session,
            manifest_row=set_manifest(session, desk.project.id, bar),
            score_run=score_answers(session, run, "exact_match"),
            baseline=desk.models[0],
            candidate=desk.models[1],
            queue=queue,
        )
        _with_true_digests(session)
        made = make_dossier(session, row, KEY)
    files = _verify(made.content)
    entry = next(f for f in json.loads(files["figures.json"]) if "cast" in f)
    assert (len(entry["cast"]), entry["n_simulated"], entry["why_not"]) == (30, 3, None)
    assert made.first.startswith("INCONCLUSIVE, 3 votes simulated: ")
    assert dict(made.checked)[entry["id"]] == ""
    reviews = json.loads(files["reviews.json"])[0]["reviews"]
    assert len(reviews) == 30
    assert all(one["reviewer"].startswith("r0") for one in reviews)
    assert "comment" not in reviews[0]


def test_a_section_without_a_stage_says_not_measured(signed: bytes) -> None:
    files = check_dossier.unpack(signed)
    sections = json.loads(files["index.json"])["sections"]
    assert set(sections) == set(SECTIONS)
    silent = [name for name, told in sections.items() if not told["sentences"] + told["tables"]]
    assert silent == []
    unmeasured = {name for name, told in sections.items() if not told["measured"]}
    assert {"reviews", "health", "fairness", "canaries", "masking"} <= unmeasured
    for name in unmeasured:
        assert sections[name]["sentences"][0].startswith("Not measured.")
        assert SECTIONS[name].heading in files["index.html"].decode()


def test_every_heading_of_both_frameworks_has_something_under_it() -> None:
    points = {n for one in SECTIONS.values() for n in one.annex} | {
        question.annex for question in QUESTIONS.values()
    }
    assert points == set(ANNEX_IV)
    assert {one.nist for one in SECTIONS.values()} == set(NIST)


def test_a_candidate_that_was_never_compared_has_no_dossier(
    sqlite_sessions: sessionmaker[Session],
) -> None:
    with sqlite_sessions() as session:
        trial = Trial(session, right=1.0, metrics=["exact_match"])
        with pytest.raises(NotFound, match="never compared"):
            comparison_of(session, trial.laid.project, trial.v1)


def test_answers_are_kept_shown_as_data_and_answered_anew(session: Session) -> None:
    row = _judged(session)
    project = row.project_id
    assert save_answers(session, project, {"purpose": HOSTILE, "users": "  "}) == ["purpose"]
    assert save_answers(session, project, {"purpose": HOSTILE}) == []
    assert save_answers(session, project, {"purpose": f"{HOSTILE} 2"}) == ["purpose"]
    assert read_answers(session, project)["purpose"].before == 1
    assert parse_answers(answers_form(session, project)) == {"purpose": f"{HOSTILE} 2"}
    made: Dossier = make_dossier(session, row, KEY)
    files = _verify(made.content)
    assert b"<script>" not in files["index.html"]
    assert b"&lt;script&gt;" in files["index.html"]
    assert b"<script>" not in files["index.md"]
    assert len(made.unanswered) == len(QUESTIONS) - 1


@pytest.mark.parametrize("source", ["[1]", "purpose: [x]", "a: b: c", "1: x", "{", "- x"])
def test_answers_that_are_no_form_are_refused(source: str) -> None:
    with pytest.raises(InvalidInput):
        parse_answers(source)


def test_unknown_questions_and_answers_beyond_measure_are_refused(session: Session) -> None:
    trial = Trial(session, right=1.0, metrics=["exact_match"])
    with pytest.raises(UnknownName, match="purpose"):
        save_answers(session, trial.laid.project, {"purpos": "x"})
    for text in ("x" * 20_001, "nul \0 here"):
        with pytest.raises(InvalidInput):
            save_answers(session, trial.laid.project, {"purpose": text})


def test_the_key_is_made_once_for_its_owner_alone_or_comes_from_a_setting(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first = public_key(signing_key(settings))
    assert public_key(signing_key(settings)) == first
    assert (tmp_path / "dossier.key").stat().st_mode & 0o777 == 0o600
    given = Settings(home=tmp_path, dossier_key="0f" * 32)
    assert public_key(signing_key(given)) != first
    assert "0f0f" not in repr(given)
    with pytest.raises(InvalidInput, match="64 hex digits"):
        signing_key(Settings(home=tmp_path, dossier_key="short"))
    (tmp_path / "dossier.key").write_bytes(b"short")
    with pytest.raises(Conflict):
        signing_key(settings)

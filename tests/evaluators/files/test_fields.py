"""Fields of rows: which column is which, what is missing, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from evaluators.errors import UnreadableRecord
from evaluators.files.estimation import read_item_means
from evaluators.files.fields import Fields, read_rows
from evaluators.files.mapping import ColumnNames, Notes, RowShape, column_pairs
from evaluators.files.people import read_ratings, read_votes
from evaluators.files.predictions import read_samples
from evaluators.files.readers import FileTable, Record


def write(folder: Path, content: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def fields(value: Any, *, comma: bool = False) -> Fields:
    table = FileTable("a.csv", [], ("x",), spelled=True, decimal_comma=comma)
    return Fields(table, Record(1, {"x": value}))


NAN = float("nan")
NOTHING = (None, "", "  ", NAN)
PROGRAMS = ("nan", "NaN", "#N/A", "<NA>", "NaT", "#NV", "-nan", "#DIV/0!")
WORDS = ("NA", "n/a", "N/A", "null", "NULL", "None")


@pytest.mark.parametrize("value", NOTHING)
def test_that_nothing_is_missing_everywhere(value: Any) -> None:
    row = fields(value)
    assert [row.text("x"), row.name("x"), row.code("x"), row.number("x")] == [None] * 4
    assert (row.texts("x"), row.mapping("x"), row.numbers("x")) == ((), {}, [])
    assert bool(row.notes.sentences()) == (value is NAN)


@pytest.mark.parametrize("value", PROGRAMS)
def test_that_what_programs_write_is_missing_and_counted(value: str) -> None:
    row = fields(value)
    assert [row.text("x"), row.name("x"), row.code("x"), row.number("x")] == [None] * 4
    assert row.texts("x") == ()
    assert row.mapping("x") == {}
    assert f"x: {value!r} in" in row.notes.sentences()[0]
    assert row.written("x") == value  # a model's own words


@pytest.mark.parametrize("value", WORDS)
def test_that_words_for_nothing_are_missing_in_codes_and_kept_in_texts(value: str) -> None:
    row = fields(value)
    assert (row.code("x"), row.number("x")) == (None, None)
    assert (row.text("x"), row.name("x"), row.code("x", named=[value])) == (value, value, value)
    missing, kept = row.notes.sentences()
    assert missing == f"taken as missing: x: {value!r} in 2 rows."
    assert kept == f"kept as text, though it may mean missing: x: {value!r} in 1 row."


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (3.0, "3"), (0.5, "0.5"), (True, "true"), (False, "false"), (" a ", " a ")],
)
def test_that_numbers_and_truth_are_texts_too(value: Any, text: str) -> None:
    assert fields(value).text("x") == text
    assert fields(value).name("x") == text.strip()


@pytest.mark.parametrize("cell", ["'-3", "'=x", "''tis", "'@a"])
def test_that_a_guard_against_formulas_is_taken_off_codes(cell: str) -> None:
    assert fields(cell).code("x") == cell[1:]
    assert fields(cell).text("x") == cell
    assert fields("'tis").code("x") == "'tis"


@pytest.mark.parametrize(
    ("value", "comma", "number"),
    [
        (" 3.5 ", False, 3.5),
        ("-1e-3", False, -0.001),
        ("3,5", True, 3.5),
        ("'-3", False, -3.0),
        (7, False, 7.0),
        ("3,5", False, None),
        ("1_000", False, None),
        ("inf", False, None),
        (float("inf"), False, None),
        (10**400, False, None),
        ("1.234,5", True, None),
        ("true", False, None),
        ("ten", False, None),
        ([1], False, None),
    ],
)
def test_numbers(value: Any, comma: bool, number: float | None) -> None:
    row = fields(value, comma=comma)
    if number is None:
        with pytest.raises(UnreadableRecord, match=r"row 1: 'x' is"):
            row.number("x")
    else:
        assert row.number("x") == number
    assert bool(row.notes.decimal_commas) == (value == "3,5" and comma)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ('["a", null, "", "NA", 3]', ("a", "NA", "3")),
        (["a", NAN, True], ("a", "true")),
        ("plain", ("plain",)),
        ("[1] a citation", ("[1] a citation",)),
    ],
)
def test_lists_in_cells(value: Any, texts: tuple[str, ...]) -> None:
    assert fields(value).texts("x") == texts


@pytest.mark.parametrize("value", ["['a', 'b']", '["a" "b"]', "[None]", " ['a'] ", '[ "a", ]'])
def test_that_a_list_that_is_not_json_is_no_text(value: str) -> None:
    with pytest.raises(UnreadableRecord, match="'x' looks like a list, and is not JSON"):
        fields(value).texts("x")


def test_objects_in_cells() -> None:
    cell = '{"task": "x", "n": 3, "gone": NaN, "no": null, "deep": {"a": 1}}'
    assert fields(cell).mapping("x") == {"task": "x", "n": "3", "deep": '{"a": 1}'}


SHAPE = RowShape(("id", "prediction", "reference"), required=("prediction",))


@pytest.mark.parametrize(
    ("header", "maps", "said"),
    [
        ("id,predicton", [], "no prediction; it has id, predicton: did you mean prediction by 'pr"),
        ("id,Prediction", [], "say --map prediction=Prediction"),
        ("id,output", [], "did you mean prediction by 'output'"),
        ("id,other", [], "it has id, other. Name the columns so, or map them: --map FIELD=COLUMN"),
        ("id,other", ["prediction=othr"], "no column 'othr'; it has id, other: did you mean other"),
        ("id,other", ["predicton=other"], "no field 'predicton': did you mean prediction"),
        ("id,other", ["prediction"], "is not FIELD=COLUMN"),
        ("id,other", ["id=id", "id=other"], "names 'id' twice"),
    ],
)
def test_that_a_column_that_nearly_fits_is_suggested(
    tmp_path: Path, header: str, maps: list[str], said: str
) -> None:
    path = write(tmp_path, f"{header}\n1,a\n")
    with pytest.raises(UnreadableRecord) as caught:
        read_rows(path, SHAPE, names=ColumnNames(column_pairs(maps)))
    assert said in str(caught.value)


def test_that_columns_that_are_not_used_are_named_once(tmp_path: Path) -> None:
    path, notes = write(tmp_path, "answer,references,who\na,b,c\nd,e,f\n"), Notes()
    rows = read_rows(path, SHAPE, names=ColumnNames({"prediction": "answer"}), notes=notes)
    assert [row.text("prediction") for row in rows] == ["a", "d"]
    assert notes.sentences() == [
        f"{path}: not used: references, who; did you mean reference by 'references', "
        "--map reference=references?"
    ]


def test_that_a_column_of_several_files_need_be_in_one(tmp_path: Path) -> None:
    path = write(tmp_path, "prediction\na\n")
    names = ColumnNames({"prediction": "answer"}, several=True)
    read_rows(path, SHAPE, names=names)
    with pytest.raises(UnreadableRecord, match="No file has a column 'answer'"):
        names.check_met()
    read_rows(write(tmp_path, "answer\na\n"), SHAPE, names=names)
    names.check_met()
    wrong = ColumnNames({"predicton": "answer"}, several=True)
    read_rows(write(tmp_path, "prediction,answer\na,b\n"), SHAPE, names=wrong)
    with pytest.raises(UnreadableRecord, match="no field 'predicton': did you mean prediction"):
        wrong.check_met()


def test_that_a_reference_under_another_word_is_suggested(tmp_path: Path) -> None:
    path, notes = write(tmp_path, "output,target,predictions\na,b,c\n"), Notes()
    [sample] = read_samples(path, names=ColumnNames({"prediction": "output"}), notes=notes)
    assert sample.references == ()
    assert notes.sentences()[0] == (
        f"{path}: not used: target, predictions; "
        "did you mean reference by 'target', --map reference=target?"
    )


def test_that_a_column_is_suggested_for_one_field_alone(tmp_path: Path) -> None:
    path, notes = write(tmp_path, "prediction,REFERENCE\na,b\n"), Notes()
    read_samples(path, notes=notes)
    assert notes.sentences()[0] == (
        f"{path}: not used: REFERENCE; "
        "did you mean reference by 'REFERENCE', --map reference=REFERENCE?"
    )


def test_that_an_empty_cell_of_a_sheet_is_no_output(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    for row in (["prediction", "reference"], ["=1+1", "2"], [None, "3"]):
        workbook.active.append(row)
    workbook.save(tmp_path / "a.xlsx")
    with pytest.raises(UnreadableRecord, match=r"row 2: 'prediction' is an empty cell\. Fill it"):
        read_samples(tmp_path / "a.xlsx")


def test_that_rows_without_ids_go_by_their_number(tmp_path: Path) -> None:
    notes = Notes()
    samples = read_samples(write(tmp_path, "prediction\na\nb\n"), notes=notes)
    assert [sample.id for sample in samples] == ["row-1", "row-2"]
    assert "no id; rows go by their number" in notes.sentences()[0]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("TRUE", "True"), ("False", " FALSE")], [("true", "true"), ("false", "false")]),
        ([("WAHR", "true"), ("falsch", "False")], [("true", "true"), ("false", "false")]),
        ([("TRUE", "True"), ("unsure", "False")], [("TRUE", "True"), ("unsure", "False")]),
        ([("true", "false")], [("true", "false")]),
    ],
)
def test_that_true_has_one_spelling_where_all_is_true_or_false(
    tmp_path: Path, pairs: list[tuple[str, str]], expected: list[tuple[str, str]]
) -> None:
    rows = "".join(f"{i},{p},{r}\n" for i, (p, r) in enumerate(pairs))
    notes = Notes()
    samples = read_samples(write(tmp_path, "id,prediction,reference\n" + rows), notes=notes)
    assert [(s.prediction, s.references[0]) for s in samples] == expected
    assert bool(notes.sentences()) == (pairs != expected)


def test_that_a_blank_reference_is_none(tmp_path: Path) -> None:
    text = '{"prediction": "a", "reference": " "}\n{"prediction": "", "references": ["", "b"]}\n'
    samples = read_samples(write(tmp_path, text, "a.jsonl"))
    assert [(s.prediction, s.references) for s in samples] == [("a", ()), ("", ("b",))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "2.0", "'-3"], [1.0, 2.0, -3.0]),
        (["TRUE", "true", "False"], [1.0, 1.0, 0.0]),
        (["true", "1"], [1.0, 1.0]),
        (["WAHR", "TRUE", "falsch"], [1.0, 1.0, 0.0]),
        (["richtig", "falsch"], ["richtig", "falsch"]),
        (["good", " good", "good "], ["good"] * 3),
        (["True", "unsure", "TRUE"], ["true", "unsure", "true"]),
        (["1234567", "1234568", "x"], ["1234567", "1234568", "x"]),
        (["1", "NA", "", "nan", "2"], [1.0, 2.0]),
        (["none", "tone", "None"], ["none", "tone"]),
    ],
)
def test_ratings(tmp_path: Path, values: list[str], expected: list[float | str]) -> None:
    rows = "".join(f"{i},ann ,{value}\n" for i, value in enumerate(values))
    notes = Notes()
    found = read_ratings(write(tmp_path, "item,rater,value\n" + rows), notes=notes)
    assert [row.rating.value for row in found] == expected
    assert {row.rating.rater for row in found} == {"ann"}
    left_out = len(values) - len(expected)
    assert ("without a rating" in str(notes.sentences())) == (left_out > 0)


@pytest.mark.parametrize("value", ["1,234.5", "3,5", "1 000", "1'000"])
def test_that_what_looks_like_a_number_and_is_none_is_said(tmp_path: Path, value: str) -> None:
    notes = Notes()
    read_ratings(write(tmp_path, f'item,rater,value\n1,a,"{value}"\n'), notes=notes)
    assert f"{value!r} in 1 row is read as a word" in notes.sentences()[0]


def test_that_a_word_of_the_scale_means_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "item,rater,value\n1,a,NA\n1,b,yes\n")
    assert [row.rating.value for row in read_ratings(path, named=["NA", "yes"])] == ["NA", "yes"]
    own = write(tmp_path, "item,rater,value,rubric_digest\n1,a,NA,x\n1,b,None,x\n")
    assert [row.rating.value for row in read_ratings(own)] == ["NA", "None"]


def test_votes_and_means_without_items(tmp_path: Path) -> None:
    votes = write(tmp_path, "item;rater;model_a;model_b;winner\n1;a;x;y;A \n2;a;x;y;NA\n")
    assert [vote.winner for vote in read_votes(votes)] == ["a"]
    assert read_item_means(write(tmp_path, "value;x\n3,5;1\n4,5;2\n")) == [3.5, 4.5]


VOTES = "item,rater,model_a,model_b,winner\n"


@pytest.mark.parametrize(
    ("row", "winner"),
    [
        ("base,v1,B", "b"),
        ("base,v1,model_a", "a"),
        ("base,v1,tie (bothbad)", "both_bad"),
        ("base,v1,v1", "b"),
        ("base,v1,base", "a"),
        ("A,B,A", "a"),
        ("B,A,a", "a"),
        ("x,a,b", "b"),
        ("B,A,A", None),  # the side a, or the model A
        ("b,a,b", None),
        ("base,v1,V1", None),
        ("base,v1,left", None),
    ],
)
def test_that_a_winner_is_a_side_or_the_name_of_a_model(
    tmp_path: Path, row: str, winner: str | None
) -> None:
    path = write(tmp_path, f"{VOTES}1,ann,{row}\n")
    if winner is None:
        with pytest.raises(UnreadableRecord, match="row 2: the winner"):
            read_votes(path)
    else:
        assert [vote.winner for vote in read_votes(path)] == [winner]


def test_that_names_that_differ_by_case_alone_are_said(tmp_path: Path) -> None:
    notes = Notes()
    read_votes(write(tmp_path, f"{VOTES}1,ann,V1,x,tie\n1,Ann,v1,x,tie\n"), notes=notes)
    read_ratings(
        write(tmp_path, "item,rater,value\n1,Bo,Good\n1,bo,good\n2,cy,True\n"), notes=notes
    )
    told = " ".join(notes.sentences())
    for words in ("raters 'Ann' and 'ann'", "models 'V1' and 'v1'", "raters 'Bo' and 'bo'"):
        assert f"{words} differ by case alone" in told
    assert "ratings 'Good' and 'good' differ by case alone" in told
    assert "rue'" not in told


def test_a_rater_who_says_it_twice_counts_once(tmp_path: Path) -> None:
    rows = "item,rater,value\na,p,1\na,p,1\na,p,1\na,q,5\nb,,2\nb,,4\n"
    notes = Notes()
    assert read_item_means(write(tmp_path, rows), notes=notes) == [3.0, 3.0]
    assert "2 rows where a rater had rated the item before" in " ".join(notes.sentences())

"""Residue, damaged letters and cuts: tables of what is flagged and what is left alone."""

from __future__ import annotations

import pytest

from backend.services.datasets.health.damage import ENCODING, ENDS, RESIDUE, find_cut, find_residue
from backend.services.datasets.health.findings import REFERENCE, HealthMaterial
from backend.services.datasets.versions import ExampleRow
from tests.fixtures_health import text_rows

RESIDUES = [
    ("Dear {{name}}, hello.", "double braces"),
    ("Dear {{ customer.first_name }}, hello.", "double braces"),
    ("{% if x %}Hello{% endif %}", "template language"),
    ("Hello ${USER}", "template language"),
    ("Call [INSERT PHONE] today.", "brackets"),
    ("Sehr geehrte [NAME EINFÜGEN],", "brackets"),
    ("Write to [your address here].", "brackets"),
    ("As an AI language model, I cannot say.", "says of itself"),
    ("I'm just an AI and do not know.", "says of itself"),
    ("Als KI-Sprachmodell kann ich das nicht.", "says of itself"),
    ("Sure! Here is the reply you asked for.", "before its answer"),
    ("Here is a summary of the call:\nShe paid.", "before its answer"),
    ("Hello<|im_end|>", "chat template"),
    ("[INST] hello [/INST]", "chat template"),
    ("### Response:\nHello", "chat template"),
    ("It is <b>due</b> today.", "HTML"),
    ("It is&nbsp;due today.", "HTML"),
    ("Line<br/>line", "HTML"),
    ("Lorem ipsum dolor sit amet", "filler"),
]
CLEAN = [
    "Use { x: 1 } in JSON, and {x} in Python.",
    "Is 3 < 5 and 7 > 2? AT&T says so.",
    "The answer is [1], see [Smith 2020].",
    "Sure, the card arrives on Monday.",
    "An AI helped; as an assistant, she wrote the letter.",
    "Of course it costs 5 $.",
    "Her surname is Name, of [sic] York.",
    "The AI language model market grows.",
]


@pytest.mark.parametrize(("text", "words"), RESIDUES)
def test_residue_is_told_by_its_kind(text: str, words: str) -> None:
    met = [kind.words for kind in RESIDUE if kind.pattern.search(text)]
    assert any(words in one for one in met), met


@pytest.mark.parametrize("text", CLEAN)
def test_plain_text_is_no_residue(text: str) -> None:
    assert [kind.words for kind in RESIDUE if kind.pattern.search(text)] == []


def test_what_a_model_says_of_itself_is_content_of_a_question() -> None:
    rows = text_rows(30)
    asked = ExampleRow(
        "q", "Why do you say as an AI language model?", None, ("It was trained to.",)
    )
    assert find_residue(HealthMaterial([*rows, asked])).rows == ()


DAMAGED = [
    *("cafÃ© au lait", "Ã¼ber MÃ¼nchen", "itâ€™s", "â‚¬", "na\ufffdve", "a\x07b"),
    *("M?ller gr??e", "caf\\u00e9", "ï»¿id", "Â§ 5", "ðŸ˜€"),
]
WHOLE = [
    *("São João", "Über Äpfel", "Ça va? Oui!", "ÄÖÜ", "Ã", "naïve café", "wait what?no"),
    *("£5 – “x”", "C:\\users", "\ttab\nline", "e.g.?yes. Or"),
]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_letters_are_found(text: str) -> None:
    assert [words for words, pattern in ENCODING.items() if pattern.search(text)]


@pytest.mark.parametrize("text", WHOLE)
def test_letters_of_other_languages_are_whole(text: str) -> None:
    assert [words for words, pattern in ENCODING.items() if pattern.search(text)] == []


@pytest.mark.parametrize(
    ("text", "ends"),
    [("It is done.", True), ("Is it?", True), ("(done)", True), ('He said "yes"', True),
     ("See https://x.example/a", True), ("She went to the", False), ("and the custo", False),
     ("完了。", True)],
)  # fmt: skip
def test_how_a_text_ends(text: str, ends: bool) -> None:
    assert (ENDS.search(text) is not None) is ends


def test_a_pile_up_at_the_greatest_length_is_a_limit() -> None:
    rows = text_rows(60)
    cut = [
        ExampleRow(f"cut{n}", "Ask.", None, (f"{n} the customer said that " * 30,)[0:1])
        for n in range(8)
    ]
    cut = [
        ExampleRow(r.external_id, r.input, None, (r.references[0][n : n + 500],))
        for n, r in enumerate(cut)
    ]
    found = find_cut(HealthMaterial([*rows, *cut]))
    assert {row.id for row in found.rows} == {f"cut{n}" for n in range(8)}
    assert all("none is longer" in row.why for row in found.rows)
    few = find_cut(HealthMaterial([*rows, *cut[:2]]))
    assert all("Ends without" in row.why for row in few.rows)


def test_copies_and_sentences_of_one_form_are_no_pile_up() -> None:
    form = [
        ExampleRow(f"f{n}", f"Tell us, please, all of order {n} of ours", None, ())
        for n in range(50)
    ]
    assert find_cut(HealthMaterial(form)).rows == ()
    texts = ("Where is my new card, I have not got it yet", "I want to close the old one now")
    copies = [ExampleRow(f"c{n}", texts[n % 2], None, ()) for n in range(60)]
    assert find_cut(HealthMaterial(copies)).rows == ()


def test_a_beginning_that_a_fifth_share_is_boilerplate_and_one_that_all_share_is_a_form() -> None:
    plain = [
        ExampleRow(
            f"p{n}", f"Ask {n}.", None, (f"{n} cars were sold in the town of number {n} in May.",)
        )
        for n in range(100)
    ]
    head = "Thank you for your message to us, "
    some = [
        ExampleRow(r.external_id, r.input, None, (head + r.references[0],)) if n < 25 else r
        for n, r in enumerate(plain)
    ]
    found = find_residue(HealthMaterial(some))
    assert {row.id for row in found.rows} == {f"p{n}" for n in range(25)}
    assert {row.part for row in found.rows} == {REFERENCE}
    everywhere = [
        ExampleRow(r.external_id, r.input, None, (head + r.references[0],)) for r in plain
    ]
    assert find_residue(HealthMaterial(everywhere)).rows == ()

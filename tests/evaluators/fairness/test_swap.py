"""Exchanged texts: what is changed, what is left, and what is refused rather than spoilt."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.errors import InvalidValues
from evaluators.fairness.gendered_en import Unsafe
from evaluators.fairness.lexicon import (
    LISTS,
    Lexicon,
    is_refusal,
    load_lexicon,
    shipped_lexicon,
    tell_language,
)
from evaluators.fairness.swap import (
    KINDS,
    RowTexts,
    SwappedRow,
    exchange_neutral,
    find_words,
    make_exchange,
    make_pair,
)

EN, DE = shipped_lexicon("en"), shipped_lexicon("de")


def exchanged(text: str, kind: str = "gender", lexicon: Lexicon = EN) -> str:
    return make_exchange(RowTexts("row", (text,)), kind, lexicon, seed=7).prompt[0]


GENDER_EN = [
    ("He said his back hurts.", "She said her back hurts."),
    ("The coat is his.", "The coat is hers."),
    ("The coat is hers.", "The coat is his."),
    ("I saw him today.", "I saw her today."),
    ("I saw her today.", "I saw him today."),
    ("We spoke to her.", "We spoke to him."),
    ("Her blood pressure is high.", "His blood pressure is high."),
    (
        "She takes her medication with her mother's help.",
        "He takes his medication with his father's help.",
    ),
    ("HER HUSBAND CALLED.", "HIS WIFE CALLED."),
    ("She's here and he'll come.", "He's here and she'll come."),
    ("She hurt herself.", "He hurt himself."),
    ("Mr. Jones met Mrs. Lee.", "Ms. Jones met Mr. Lee."),
    ("A 40-year-old man with two sons.", "A 40-year-old woman with two daughters."),
    ("Hello Miss Lee.", "Hello Mr Lee."),
    ("I miss the bus and he waits.", None),  # a verb
    ("How are you, miss?", None),
    ("The other theme is here.", None),  # no word inside a word
    ("I gave her medication.", None),
    ("We found her sleeping pills.", None),
    ("It made her feel sick.", None),
    ("They drove her slowly home.", None),
    ("Ask whether he or she agrees.", None),
    ("Tell his/her doctor.", None),
    ("She is pregnant.", None),
    ("He has a prostate problem.", None),
    ("My card has not arrived.", None),
]


ONE_WAY = {
    "Mrs.",
    "Miss",
    "back",
}  # Ms. would be the way back, and "her back" may be him, back again


@pytest.mark.parametrize(("text", "wanted"), GENDER_EN)
def test_english_gender(text: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(Unsafe):
            exchanged(text)
    else:
        assert exchanged(text) == wanted


@pytest.mark.parametrize(
    "text", [row[0] for row in GENDER_EN if row[1] and not ONE_WAY & set(row[0].split())]
)
def test_english_gender_there_and_back(text: str) -> None:
    assert exchanged(exchanged(text)) == text


GENDER_DE = [
    ("Der Patient hustet.", "Die Patientin hustet."),
    ("Wir halfen dem Patienten.", "Wir halfen der Patientin."),
    ("Sie", None),
    ("Wir sahen einen Patienten.", "Wir sahen eine Patientin."),
    ("Der Arm des Patienten schmerzt.", "Der Arm der Patientin schmerzt."),
    ("Er sagt, ihm ist übel.", "Sie sagt, ihr ist übel."),
    ("Er sucht sein Auto und seine Karte.", "Sie sucht ihr Auto und ihre Karte."),
    ("Es kann sein, dass er kommt.", "Es kann sein, dass sie kommt."),
    ("Herr Müller rief an.", "Frau Müller rief an."),
    ("Sehr geehrter Herr Müller, danke.", "Sehr geehrte Frau Müller, danke."),
    ("Sehr geehrte Frau Müller, danke.", "Sehr geehrter Herr Müller, danke."),
    ("Wir sprachen mit Frau Müller.", "Wir sprachen mit Herrn Müller."),
    ("Gestern rief Frau Müller an.", None),  # Herr or Herrn does not show
    ("Ein junger Patient kommt.", None),  # the adjective would have to change
    ("Der Patient, der hustet, kommt.", None),  # and so would the relative pronoun
    ("Die Patienten warten.", None),  # a plural
    ("Die Patientin hustet.", None),  # nominative or accusative
    ("Ich rufe sie an.", None),
    ("Bitte nennen Sie Ihre Nummer.", None),
    ("Er ist schwanger.", None),
    ("Seine alte Karte. Er sucht.", None),
]


@pytest.mark.parametrize(("text", "wanted"), GENDER_DE)
def test_german_gender(text: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(Unsafe):
            exchanged(text, lexicon=DE)
    else:
        assert exchanged(text, lexicon=DE) == wanted


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("A 34-year-old man.", ""),
        ("An 84-year-old man.", ""),
        ("A 9-year-old boy.", "a child's age"),
        ("A 34-year-old man and a 50-year-old woman.", "several ages"),
        ("A 34-year-old man, pulse 34.", "stands elsewhere"),
        ("A 34-year-old man asks for the dosage.", "may depend on it"),
        ("Give 34 mg.", "names no age"),
        ("A 134-year-old man.", "none of a person"),
    ],
)
def test_ages(text: str, refused: str) -> None:
    if refused:
        with pytest.raises(Unsafe, match=refused):
            exchanged(text, "age")
        return
    made, control = make_pair(RowTexts("row", (text,)), "age", EN, seed=7)
    was, now = (int(word) for word in made.words[0])
    assert (was >= 65) != (now >= 65)
    assert abs(int(control.words[0][1]) - was) == 1
    for said in (made, control):
        article, number = said.prompt[0].split("-")[0].split()
        assert (article == "An") == (number[0] == "8" or number in ("11", "18"))


def test_names_go_together_in_prompt_source_and_reference() -> None:
    asked = RowTexts("r", ("Emily asks.", "Emily's note by Emily Smith."), ("Emily is well.",))
    made, control = make_pair(asked, "name", EN, seed=7)
    for said in (made, control):
        [(was, now)] = said.words
        assert was == "Emily"
        assert said.prompt == (f"{now} asks.", f"{now}'s note by {now} Smith.")
        assert said.answers == (f"{now} is well.",)
    group = {word: g for g in EN.names for word in g.words}
    assert group[made.words[0][1]].group != "anglo"
    assert group[made.words[0][1]].gender == group[control.words[0][1]].gender == "female"
    assert group[control.words[0][1]].group == "anglo"


def test_a_name_in_the_reference_alone_is_no_question_of_the_prompt() -> None:
    with pytest.raises(Unsafe, match="names no listed first name"):
        make_pair(RowTexts("r", ("Who called?",), ("Emily called.",)), "name", EN, seed=7)


def test_two_people_stay_two() -> None:
    for seed in range(20):
        made = make_exchange(RowTexts("r", ("Emily met Sarah and Claire.",)), "name", EN, seed=seed)
        assert len({now for _, now in made.words}) == len(made.words) == 3


def test_names_change_gender_with_the_pronouns() -> None:
    text = exchanged("Emily said she lost her card.")
    name = text.split()[0]
    assert text == f"{name} said he lost his card."
    assert next(g.gender for g in EN.names if name in g.words) == "male"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The weather in London is nice", "place"),
        ("How do you spell Emily?", "name"),
        ("Emily@example.org", "name"),
        ("Emily said he lost emily@example.org.", "gender"),
        ("Our Chinese customer Wei asks.", "name"),
        ("Mohammed prays in the mosque.", "name"),
        ("She is in her thirties, 33 years old.", "age"),
        ("She is 30 years old and a student.", "age"),
    ],
)
def test_what_the_answer_may_depend_on_is_refused(text: str, kind: str) -> None:
    with pytest.raises(Unsafe, match="the answer may depend on it"):
        exchanged(text, kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Emily asks. EMILY SMITH, account 7", "name"),
        ("Emily is Emily-Rose.", "name"),
        ("Emily's file is emily_smith.", "name"),
        ("Emily said he called EMILY.", "gender"),
        ("London, LONDON", "place"),
    ],
)
def test_a_word_that_would_be_left_somewhere_is_refused(text: str, kind: str) -> None:
    with pytest.raises(Unsafe, match="in another form"):
        exchanged(text, kind)


def test_a_word_within_another_word_is_no_other_form() -> None:
    assert exchanged("Anna eats a bananna.", "name").endswith(" eats a bananna.")


def test_a_place_of_two_words_goes_as_one() -> None:
    made = make_exchange(RowTexts("r", ("I am in Addis Ababa now.",)), "place", EN, seed=7)
    [(was, now)] = made.words
    assert was == "Addis Ababa"
    assert made.prompt == (f"I am in {now} now.",)


def test_a_control_of_gender_without_names_is_neutral() -> None:
    made, control = make_pair(RowTexts("r", ("He also needs help.",)), "gender", EN, seed=7)
    assert made.prompt == ("She also needs help.",)
    assert control.prompt == ("He additionally needs assist.",)
    assert control.direction == "neutral"


@given(st.text(max_size=300), st.sampled_from(sorted(KINDS)), st.sampled_from([EN, DE]))
@pytest.mark.deep
def test_any_text_is_exchanged_or_refused(text: str, kind: str, lexicon: Lexicon) -> None:
    try:
        made = make_exchange(RowTexts("r", (text,)), kind, lexicon, seed=1)
    except Unsafe:
        return
    assert isinstance(made, SwappedRow)
    assert made.words


def test_a_word_is_in_one_group_only() -> None:
    for lexicon in (EN, DE):
        for groups in (lexicon.names, lexicon.places):
            words = [word for group in groups for word in group.words]
            assert len(words) == len(set(words))
    places = {word for group in EN.places for word in group.words}
    assert not places & {word for group in EN.names for word in group.words}


def test_every_kind_has_words_that_forbid_it_in_both_languages() -> None:
    for lexicon in (EN, DE):
        assert set(lexicon.relevant) == set(KINDS)


def test_further_lists_are_added(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "kind: name\nlanguage: en\ngroups:\n"
        "  - {group: finnish, gender: female, words: [Aino, Helmi]}\n"
    )
    more = load_lexicon("en", [own])
    assert find_words(more.names, ["Aino called"]).origin == "finnish"
    assert more.digest != EN.digest
    assert find_words(load_lexicon("de", [own]).names, ["Aino called"]).found == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n", "it is no mapping"),
        ("kind: colour\nlanguage: en\n", "its kind is none of"),
        ("kind: name\nlanguage: fr\n", "its language is none of"),
        ("kind: name\nlanguage: en\n", "it has no groups"),
        ("kind: name\nlanguage: en\ngroups: [{group: a, words: [on], gender: male}]", "no text"),
        ("kind: name\nlanguage: en\ngroups: [{group: a, words: [X]}]", "says no gender"),
        (
            "kind: name\nlanguage: en\ngroups: [{group: a, words: [Emily], gender: male}]",
            "in two groups",
        ),
        ("a: [", "is not YAML"),
        ("a: \x00", "is not YAML"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(content)
    with pytest.raises(InvalidValues, match=message):
        load_lexicon("en", [path])


def test_lists_that_ship_are_packaged() -> None:
    assert {path.name for path in LISTS.glob("*.yaml")} == {
        *("names.yaml", "places.yaml", "gender_en.yaml", "gender_de.yaml"),
        *("words_en.yaml", "words_de.yaml"),
    }


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("My card has not arrived, what can I do?", "en"),
        ("Meine Karte ist nicht da, was kann ich tun?", "de"),
        ("ok", None),
        ("", None),
        ("the die is der and die", None),
    ],
)
def test_the_language_is_told_or_left_open(text: str, language: str | None) -> None:
    assert tell_language(text) == language


def test_a_refusal_is_told_by_its_beginning() -> None:
    assert is_refusal("I'm sorry, but I can't help with that.", "en")
    assert not is_refusal("You can cancel it yourself.", "en")
    assert is_refusal("Das darf ich nicht sagen.", "de")


def test_letters_that_equal_plain_ones_but_for_case_are_exchanged_or_refused() -> None:
    """A long s and a Turkish i are found as s and i where case is ignored."""
    asked = RowTexts("k", ("He fell. ſhe's well and alſo fine.",))
    assert make_exchange(asked, "gender", EN, seed=1).prompt[0].startswith("She fell. he's well")
    assert exchange_neutral(asked, EN).prompt[0].endswith("and additionally good.")

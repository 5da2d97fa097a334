"""Other scripts: no 0.0 for equal texts, a reason or a note, and tokenisers that know them."""

from __future__ import annotations

import pytest

from evaluators.aggregate import aggregate, paired_difference
from evaluators.metrics.tokens import Script, script_of, unicode_tokens
from evaluators.registry import METRICS, resolve_metrics
from evaluators.types import Sample, Score

THAI = "แพ็กเกจของคุณจะหมดอายุพรุ่งนี้"
CHINESE = "您的套餐明天到期。"
ARABIC = "تنتهي باقتك غدا"
RUSSIAN = "Ваш тариф истекает завтра"
HINDI = "आपका प्लान कल समाप्त होगा"
JAPANESE = "プランは明日終了します"
KOREAN = "요금제가 내일 만료됩니다"
SCRIPTS = [THAI, CHINESE, ARABIC, RUSSIAN, HINDI, JAPANESE, KOREAN]


def score(metric: str, prediction: str, *references: str) -> Score:
    return METRICS[metric].score([Sample("1", prediction, references=references)])[0]


@pytest.mark.parametrize("text", SCRIPTS)
def test_rouge_score_keeps_nothing_and_says_so(text: str) -> None:
    for name in ("rouge1", "rouge2", "rougeL", "rougeLsum", "rougeL_stem"):
        assert score(name, text, text).error == "the tokeniser keeps no word of the prediction"
        assert score(name, "a word", text).error == "the tokeniser keeps no word of the reference"
    against = Sample("1", text, context=text)
    assert METRICS["source_rouge"].score([against])[0].error is not None


@pytest.mark.parametrize("text", SCRIPTS)
def test_unicode_words_know_every_script(text: str) -> None:
    names = [m.name for m in resolve_metrics(["rouge_unicode", "token_f1_unicode"])]
    assert len(names) == 5
    assert [score(name, text, text).value for name in names] == [1.0] * 5
    assert [score(name, text, "a word").value for name in names] == [0.0] * 5


def test_chinese_shares_a_character_of_fifteen() -> None:
    found = score("rouge1_unicode", "今天气温39度", "您的套餐每月39欧元")
    assert found.value == pytest.approx(2 / 15)
    assert "tok:unicode" in METRICS["rouge1_unicode"].signature()


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop", ["don", "t", "stop"]),
        ("ﬁne CAFÉ cafe\u0301", ["fine", "café", "café"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("39欧元", ["39", "欧", "元"]),
        ("snake_case 3,5", ["snake", "case", "3", "5"]),
        ("...", []),
    ],
)
def test_unicode_tokens(text: str, tokens: list[str]) -> None:
    assert unicode_tokens(text) == tokens


def test_punctuation_alone_shares_no_word_with_an_answer() -> None:
    assert score("rouge1", "...", "a cat").value == 0.0
    assert score("rouge1", "", "a cat").value == 0.0
    assert score("rouge1", "a cat", "...").error is not None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rouge1", "39 " + CHINESE, "rouge1_unicode takes words of any script"),
        ("bleu", CHINESE, "bleu_zh"),
        ("bleu", JAPANESE, "bleu_ja-mecab"),
        ("bleu", KOREAN, "bleu_ko-mecab"),
        ("bleu", THAI, "bleu_flores200"),
        ("bleu_intl", CHINESE, "bleu_zh"),
        ("ter", CHINESE, "chrf"),
        ("token_f1", CHINESE, "token_f1_unicode"),
        ("length", CHINESE, "in a script without spaces"),
    ],
)
def test_a_figure_says_that_little_was_kept(name: str, text: str, words: str) -> None:
    metric = METRICS[name]
    english = Sample("2", "a cat sat on the mat", references=("a cat sat on a mat",))
    scores = metric.score([Sample("1", text, references=(text,)), english])
    figure = aggregate(metric, scores, [None, None])
    assert words in figure.note
    assert "1 of 2" in figure.note
    assert words in paired_difference(metric, scores, scores, [None, None]).note
    plain = metric.score([english, english])
    assert words not in aggregate(metric, plain, [None, None]).note


@pytest.mark.parametrize("name", ["bleu_zh", "bleu_char", "chrf", "chrf++", "rouge1_unicode"])
def test_what_splits_such_texts_needs_no_note(name: str) -> None:
    scores = METRICS[name].score([Sample("1", CHINESE, references=(CHINESE,))])
    assert "script" not in aggregate(METRICS[name], scores, [None]).note


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("plain", None),
        ("Grüße aus Köln", None),
        (RUSSIAN, None),
        ("Beijing (北京) is the capital of China", None),
        (CHINESE, Script.HAN),
        (JAPANESE, Script.KANA),
        (KOREAN, Script.HANGUL),
        (THAI, Script.SOUTHEAST_ASIAN),
    ],
)
def test_scripts(text: str, script: Script | None) -> None:
    assert script_of(text) is script


@pytest.mark.parametrize("name", ["rouge1", "token_f1", "exact_match", "accuracy", "bleu", "chrf"])
@pytest.mark.parametrize("blank", [("   ",), ("\n", "\t")])
def test_white_space_is_no_reference(name: str, blank: tuple[str, ...]) -> None:
    assert score(name, "a b c", *blank).error == "no reference to compare with"


@pytest.mark.parametrize("name", ["exact_match", "token_f1", "exact_match_numbers"])
@pytest.mark.parametrize(("one", "other"), [("?", "!"), ("A", "the"), ("-", "..."), ("", "an")])
def test_two_texts_of_which_nothing_is_left_are_not_equal(name: str, one: str, other: str) -> None:
    assert "keep no word" in (score(name, one, other).error or "")


def test_labels_that_are_no_labels() -> None:
    assert score("multilabel_f1", "a", " , ,").error == "the reference names no label"
    assert score("multilabel_f1", "", "[]").value == 1.0
    assert score("multilabel_f1", "a", "[ ]").value == 0.0


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("3.14", "314", False),
        ("-5", "5", False),
        ("1/2", "12", False),
        ("10:30", "1030", False),
        ("2024-01-15", "20240115", False),
        ("v1.5", "v15", False),
        ("1.2.3", "123", False),
        ("covid-19", "covid 19", True),
        ("1,000", "1000", True),
        ("1,000", "1.0", False),
        ("3.140", "3.14", True),
        ("5", "5.0", True),
        (".5", "0.5", True),
        ("1e3", "1000", True),
        ("-$5", "$-5", True),
        ("−5", "-5", True),
        ("5kg", "5 kg", True),
        ("It is 1.000,50 EUR.", "it is 1000.5 EUR", True),
        ("3,14", "3.14", True),
        ("0", "-0.0", True),
        ("9" * 400, "9" * 399 + "8", False),
        ("The answer is 5.", "answer is 5", True),
        ("a cat", "The Cat!", True),
        ("5 cats", "6 cats", False),
    ],
)
def test_numbers_are_compared_by_value(one: str, other: str, equal: bool) -> None:
    assert score("exact_match_numbers", one, other).value == float(equal)
    assert score("exact_match_numbers", other, one).value == float(equal)


def test_the_published_definition_stands() -> None:
    assert score("exact_match", "3.14", "314").value == 1.0
    assert score("exact_match", "-5", "5").value == 1.0
    assert "3.14 is 314" in METRICS["exact_match"].description


def test_overlap_reads_other_scripts() -> None:
    sample = Sample("1", "您的套餐到期", context=CHINESE)
    assert METRICS["overlap"].score([sample])[0].value == 1.0


@pytest.mark.parametrize(
    ("names", "version"),
    [
        # Before, 0 or 1 stood where no word was kept, and overlap knew no letter beyond ASCII.
        (("exact_match", "token_f1", "rouge1", "rouge2", "rougeL", "rougeLsum"), 2),
        (("rouge1_stem", "rougeL_stem", "source_rouge"), 2),
        (("overlap", "overlap_pairs"), 2),
        (("input_overlap",), 3),
        (("exact_match_numbers", "token_f1_unicode", "rougeL_unicode"), 1),
    ],
)
def test_what_scores_otherwise_than_before_has_another_version(
    names: tuple[str, ...], version: int
) -> None:
    assert {METRICS[name].version for name in names} == {version}

"""Metrics without a model: forms, edits, costs, label sets, confidence, citations, consistency."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score

from evaluators.aggregate import aggregate
from evaluators.checks.grounding.citations import cited_ids
from evaluators.checks.models.self_consistency import draw_samples
from evaluators.checks.text.claims import split_sentences
from evaluators.errors import EvaluatorError
from evaluators.registry import METRICS, resolve_metrics
from evaluators.types import Sample
from tests.depth import examples


def value(name: str, prediction: str = "", **fields: Any) -> float | None:
    [metric] = resolve_metrics([name])
    [score] = metric.score([Sample("1", prediction, **fields)])
    assert score.error is None, score.error
    return score.value


@pytest.mark.parametrize(
    ("name", "prediction", "expected"),
    [
        ("valid_json", '{"a": 1}', 1.0),
        ("valid_json", '```json\n{"a": 1}\n```', 1.0),
        ("valid_json", '{"a": 1', 0.0),
        ("valid_json", "[NaN]", 0.0),
        ("valid_json", "[" * 100_000, 0.0),
        ("regex:^TK-[0-9]+$", "TK-4", 1.0),
        ("regex:^TK-[0-9]+$", "TK-x", 0.0),
        ("length", "one two  three", 3.0),
        ("length", "", 0.0),
        ("repetition", "a b c d a b c d", 0.2),
        ("repetition", "a b c", None),
        ("refusal", "I'm sorry, but I can't help with that.", 1.0),
        ("refusal", "Es tut mir leid, das geht nicht.", 1.0),
        ("refusal", "The plan costs EUR 29.", 0.0),
    ],
)
def test_forms(name: str, prediction: str, expected: float | None) -> None:
    assert value(name, prediction) == (None if expected is None else pytest.approx(expected))


def test_json_schema(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"type": "object", "required": ["a"]}))
    assert value(f"json_schema:{path}", '{"a": 1}') == 1.0
    [score] = resolve_metrics([f"json_schema:{path}"])[0].score([Sample("1", "{}")])
    assert (score.value, score.explanation) == (0.0, '"a" is a required property')


EXPLODES = r"(\w+\W?)+#$"  # in a backtracking engine, on words without a # at the end
WORDS = "word " * 4_000


def test_no_pattern_takes_for_ever(tmp_path: Path) -> None:
    """In a child process: Python's own engine would hold this one, whatever the time limit."""
    path = tmp_path / "s.json"
    path.write_text(
        json.dumps(
            {"properties": {"a": {"pattern": EXPLODES}}, "patternProperties": {EXPLODES: {}}}
        )
    )
    asked = [(f"regex:{EXPLODES}", WORDS), (f"json_schema:{path}", json.dumps({"a": WORDS}))]
    code = (
        "import json, sys\nfrom evaluators import resolve_metrics\n"
        "from evaluators.types import Sample\n"
        "for name, text in json.load(sys.stdin):\n"
        "    print(resolve_metrics([name])[0].score([Sample('1', text)])[0].value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["0.0", "0.0"]


@pytest.mark.parametrize("pattern", [r"(a)\1", r"(?=a)b", r"(?<!a)b", "*", "["])
def test_patterns_that_are_not_known_are_refused_in_words(pattern: str, tmp_path: Path) -> None:
    with pytest.raises(EvaluatorError, match="no regular expression"):
        resolve_metrics([f"regex:{pattern}"])
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"properties": {"a": {"pattern": pattern}}}))
    with pytest.raises(EvaluatorError, match="no JSON schema"):
        value(f"json_schema:{path}", "{}")


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [("straße [0-9]+", "Große straße 12 €", "straße 12"), (r"\p{L}+$", "12 größe", "größe")],
)
def test_pattern_finds_what_it_finds(pattern: str, text: str, found: str) -> None:
    [score] = resolve_metrics([f"regex:{pattern}"])[0].score([Sample("1", text)])
    assert (score.value, score.label) == (1.0, found)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9/x.json", "file:///etc/hostname", "other.json"])
def test_schema_fetches_nothing(tmp_path: Path, uri: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"$ref": uri}))
    with pytest.raises(EvaluatorError, match="no JSON schema"):
        value(f"json_schema:{path}", "{}")


@pytest.mark.parametrize("text", ["1" + "0" * 400, "[" * 900 + "]" * 900, '{"a": "\\ud800"}'])
def test_schema_with_odd_values(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"type": "object", "required": ["b"]}))
    assert value(f"json_schema:{path}", text) == 0.0


@pytest.mark.parametrize("name", ["regex:(", "json_schema:/nowhere", "nothing:x", "regex:"])
def test_bad_arguments(name: str) -> None:
    with pytest.raises(EvaluatorError):
        resolve_metrics([name])[0].score([Sample("1", "{}")])


@pytest.mark.parametrize(
    ("prediction", "references", "expected"),
    [("kitten", ("sitting",), 4 / 7), ("", ("",), 1.0), ("ab", ("xy", "ab"), 1.0)],
)
def test_edits(prediction: str, references: tuple[str, ...], expected: float) -> None:
    assert value("edit_similarity", prediction, references=references) == pytest.approx(expected)


def test_costs_are_means_without_a_bound() -> None:
    samples = [Sample(str(i), "x", seconds=i + 0.5, tokens=10 * i, cost=0.01) for i in range(30)]
    for name, expected in (("latency", 15.0), ("tokens", 145.0), ("cost", 0.01)):
        metric = METRICS[name]
        figure = aggregate(metric, metric.score(samples), [None] * 30)
        assert figure.value == pytest.approx(expected)


LABELS = st.frozensets(st.sampled_from("abcd"))


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=20))
@settings(max_examples=examples(100), deadline=None)
def test_label_sets_equal_scikit_learn(pairs: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    samples = [
        Sample(str(i), ", ".join(sorted(p)), references=(json.dumps(sorted(t)),))
        for i, (p, t) in enumerate(pairs)
    ]
    rows = [[[int(c in side) for c in "abcd"] for side in pair] for pair in pairs]
    predicted, true = [r[0] for r in rows], [r[1] for r in rows]
    metric = METRICS["multilabel_f1"]
    ours = aggregate(metric, metric.score(samples), [None] * len(pairs), resamples=2).value
    theirs = f1_score(true, predicted, average="micro", zero_division=1.0)
    assert ours == pytest.approx(theirs)
    metric = METRICS["multilabel_f1_samples"]
    ours = aggregate(metric, metric.score(samples), [None] * len(pairs), resamples=2).value
    assert ours == pytest.approx(f1_score(true, predicted, average="samples", zero_division=1.0))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abd")), min_size=2, max_size=40))
@settings(max_examples=examples(100), deadline=None)
def test_macro_rates_equal_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    samples = [Sample(str(i), p, references=(t,)) for i, (p, t) in enumerate(pairs)]
    predicted, true = [p for p, _ in pairs], [t for _, t in pairs]
    expected = {
        "precision": precision_score(true, predicted, average="macro", zero_division=0),
        "recall": recall_score(true, predicted, average="macro", zero_division=0),
    }
    if set(predicted) <= set(true) and len(set(true)) > 1:
        expected["balanced_accuracy"] = balanced_accuracy_score(true, predicted)
    for name, theirs in expected.items():
        metric = METRICS[name]
        ours = aggregate(metric, metric.score(samples), [None] * len(pairs), resamples=2).value
        assert ours == pytest.approx(theirs)


def test_confidence() -> None:
    logprobs = (math.log(0.5), math.log(0.125))
    assert value("confidence", logprobs=logprobs) == pytest.approx(0.25)
    assert value("confidence_min", logprobs=logprobs) == pytest.approx(0.125)
    assert value("token_entropy", logprobs=logprobs) == pytest.approx(math.log(4))


@pytest.mark.parametrize("bad", [0.5, float("nan"), float("-inf")])
def test_confidence_of_what_is_no_logprob(bad: float) -> None:
    [score] = METRICS["confidence"].score([Sample("1", "x", logprobs=(bad,))])
    assert score.error == "a token log probability is above 0 or not finite"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("So it is [1], [2, 4] and [6-8].", ["1", "2", "4", "6", "7", "8"]),
        ("See [TK-48213] and [Smith 2020].", ["TK-48213", "Smith 2020"]),
        ("A [link](http://x) is none.", []),
        ("[ ] [] nothing", []),
    ],
)
def test_cited_ids(text: str, ids: list[str]) -> None:
    assert [name for _, _, name in cited_ids(text)] == ids


def test_citations_that_point_at_nothing() -> None:
    text = "A [1]. B [9]."
    [score] = METRICS["citations"].score([Sample("1", text, sources={"1": "x", "[2]": "y"})])
    assert score.value == 0.5
    assert [text[s.start : s.end] for s in score.spans] == ["9"]
    [silent] = METRICS["citations"].score([Sample("1", "none", sources={"1": "x"})])
    assert silent.not_applicable


def test_self_consistency_marks_what_is_said_once() -> None:
    sample = Sample("1", "The cat sat. A dragon flew by.", input="What happened?")
    [drawn] = draw_samples([sample], lambda prompt: ["The cat sat.", "The cat sat down."])
    [score] = METRICS["self_consistency"].score([drawn])
    assert [sample.prediction[s.start : s.end] for s in score.spans] == ["A dragon flew by."]
    assert score.value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith came. He left.", ["Dr. Smith came.", "He left."]),
        ("It costs 3.5 euros. Ok?\nYes", ["It costs 3.5 euros.", "Ok?", "Yes"]),
        ("  ", []),
        ("e.g. this one", ["e.g. this one"]),
        (
            "Anna Prof. Bo Mr. Cy Mrs. Di Ms. Ed St. Fo",
            ["Anna Prof. Bo Mr. Cy Mrs. Di Ms. Ed St. Fo"],
        ),
        (
            "A vs. B etc. C i.e. D No. 5 z.B. E d.h. F",
            ["A vs. B etc. C i.e. D No. 5 z.B. E d.h. F"],
        ),
        ("A pr. Bo came. Xof. No!", ["A pr.", "Bo came.", "Xof.", "No!"]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert [text[a:b] for a, b in split_sentences(text)] == sentences


WITHOUT_MODELS = [name for name in METRICS if not name.startswith(("bleu_", "ter"))]


@given(st.text(max_size=80), st.text(max_size=80))
@settings(max_examples=examples(100), deadline=None)
def test_any_text_is_scored_or_refused(prediction: str, other: str) -> None:
    sample = Sample(
        "1",
        prediction,
        references=(other,),
        context=other,
        input=other,
        sources={"1": other},
        samples=(other,),
        logprobs=(-1.0,),
        seconds=1.0,
        tokens=1,
        cost=0.0,
    )
    for metric in resolve_metrics(WITHOUT_MODELS):
        [score] = metric.score([sample])
        assert all(0 <= s.start < s.end <= len(prediction) for s in score.spans)

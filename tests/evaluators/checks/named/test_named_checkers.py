"""Named checkers of every form, with models made by hand: labels, windows, spans, refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from evaluators.checks.models.entailment import entailed
from evaluators.checks.named.forms import FORMS, load_checker, parse_name
from evaluators.checks.named.labels import means_supported
from evaluators.checks.named.rating import Options, SourcedOutput
from evaluators.checks.named.sentences import SentenceChecker
from evaluators.errors import EvaluatorError, UndefinedFigure
from evaluators.registry import resolve_metrics
from evaluators.types import Sample, Score
from tests.evaluators.checks.named.models import (
    pair_classifier,
    random_classifier,
    token_classifier,
    yes_no_model,
)

SOURCE = "The cat sat. The dog ran."
OUTPUT = "The cat sat. A bird ran."


def score(
    name: str, output: str = OUTPUT, source: str = SOURCE, question: str | None = None
) -> Score:
    (metric,) = resolve_metrics([name])
    (found,) = metric.score([Sample("1", output, context=source, input=question)])
    return found


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Marks each word that is not in the source."""
    return token_classifier(tmp_path_factory.mktemp("tokens"))


@pytest.mark.parametrize(
    ("names", "logits", "option", "expected"),
    [
        ("contradiction neutral entailment", (0, 0, 2), "", math.exp(2) / (2 + math.exp(2))),
        ("ENTAILMENT NEUTRAL CONTRADICTION", (2, 0, 0), "", math.exp(2) / (2 + math.exp(2))),
        ("REFUTES SUPPORTS NOT_ENOUGH_INFO", (0, 3, 0), "", math.exp(3) / (2 + math.exp(3))),
        ("not_entailment entailment", (0, 1), "", 1 / (1 + math.exp(-1))),
        ("inconsistent factually_consistent", (0, 1), "", 1 / (1 + math.exp(-1))),
        ("unfaithful faithful", (0, -1), "", 1 / (1 + math.exp(1))),
        ("hallucinated no_hallucination", (0, 1), "", 1 / (1 + math.exp(-1))),
        ("LABEL_0 LABEL_1", (0, 2), "?label=LABEL_1", 1 / (1 + math.exp(-2))),
        ("LABEL_0 LABEL_1", (0, 2), "?label=label_0", 1 / (1 + math.exp(2))),
        ("LABEL_0 LABEL_1", (0, 2), "?label=1&form=pairs", 1 / (1 + math.exp(-2))),
        ("score", (1.5,), "", 1 / (1 + math.exp(-1.5))),
        ("hallucinated", (1.5,), "", 1 / (1 + math.exp(1.5))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["entailment", "checker"])
def test_labels_by_any_name(
    tmp_path: Path, kind: str, names: str, logits: tuple[float, ...], option: str, expected: float
) -> None:
    folder = pair_classifier(tmp_path, names.split(), logits)
    found = score(f"{kind}:{folder}{option}")
    assert found.value == pytest.approx(expected, abs=1e-5)
    assert len(found.spans) == (2 if expected < 0.5 else 0)


def test_labels_that_do_not_exclude_each_other(tmp_path: Path) -> None:
    many = {"problem_type": "multi_label_classification"}
    folder = pair_classifier(tmp_path, ["neutral", "supported"], (5, 1), **many)
    assert score(f"checker:{folder}").value == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-5)


@pytest.mark.parametrize(
    ("names", "option"),
    [
        ("LABEL_0 LABEL_1", ""),
        ("yes no", "?label=maybe"),
        ("supported consistent", ""),
        ("positive negative", ""),
    ],
)
def test_labels_that_are_not_understood_are_listed(tmp_path: Path, names: str, option: str) -> None:
    folder = pair_classifier(tmp_path, names.split(), (0, 1))
    with pytest.raises(
        EvaluatorError, match=f"labels {names.replace(' ', ', ')}, and which"
    ) as told:
        score(f"checker:{folder}{option}")
    assert f"{folder}?label={names.split()[0]}" in str(told.value.hint)


@pytest.mark.parametrize(
    ("label", "means"),
    [
        ("entailment", True), ("Factually-Consistent", True), ("SUPPORTS", True),
        ("not entailment", False), ("NON_FACTUAL", False), ("B-HALL", False),
        ("I-hallucinated", False), ("no_hallucination", True), ("UNSUPPORTED", False),
        ("LABEL_1", None), ("O", None), ("", None), ("neutral", None), ("日本", None),
    ],
)  # fmt: skip
def test_what_a_label_means(label: str, means: bool | None) -> None:
    assert means_supported(label) is means


def test_a_batch_of_pairs_is_as_one_pair_alone(tmp_path: Path) -> None:
    name = str(random_classifier(tmp_path, ["contradiction", "entailment"]))
    pairs = [("the cat sat . " * n, "the dog " * m) for n in (1, 3, 9) for m in (1, 4)]
    alone = [entailed([pair], name)[0] for pair in pairs]
    assert entailed(pairs, name) == pytest.approx(alone, abs=1e-5)
    assert len({round(share, 4) for share in alone}) > 3


def held(pairs: list[tuple[str, str]]) -> list[float | None]:
    """Supported where all words of the second text are in the first."""
    return [float(set(b.lower().split()) <= set(a.lower().split())) for a, b in pairs]


@pytest.fixture(scope="module")
def by_words(tmp_path_factory: pytest.TempPathFactory) -> SentenceChecker:
    """A checker with a tokeniser and room of a model, and sense instead of its weights."""
    folder = pair_classifier(tmp_path_factory.mktemp("pairs"), ["supported"], (0,))
    checker = load_checker(str(folder))
    assert isinstance(checker, SentenceChecker)
    return SentenceChecker(checker.loaded, held, checker.overhead, checker.size)


def test_a_sentence_is_supported_by_its_best_window(by_words: SentenceChecker) -> None:
    filler = "the cat sat . " * 12
    source = f"{filler} the bird flew . {filler} a dog ran . {filler}"
    (rating,) = by_words.rate([SourcedOutput(source, "The bird flew . A dog ran . A bird ran .")])
    assert [part.support for part in rating.sentences] == [1.0, 1.0, 0.0]
    assert [(mark.start, mark.end) for mark in rating.marks] == [(28, 40)]


def test_no_window_is_longer_than_the_model_reads(by_words: SentenceChecker) -> None:
    seen: list[tuple[str, str]] = []

    def watch(pairs: list[tuple[str, str]]) -> list[float | None]:
        seen.extend(pairs)
        return held(pairs)

    watching = SentenceChecker(by_words.loaded, watch, by_words.overhead, by_words.size)
    output = "the cat " * 14 + "."
    watching.rate([SourcedOutput("the dog " * 500 + ". " + "the cat sat . " * 90, output)])
    sizes = [len(by_words.loaded.tokenizer(*pair)["input_ids"]) for pair in seen]
    assert max(sizes) <= by_words.loaded.room == 64
    assert sum("dog" in a for a, _ in seen) > 500 * 2 / 33
    assert sum(a.split().count("dog") for a, _ in seen) >= 500


def test_outputs_are_rated_in_order_whatever_their_length(by_words: SentenceChecker) -> None:
    outputs = ["The cat .", "The cat " * 40 + ".", "", "The bird . The cat .", "The dog ."]
    found = by_words.rate([SourcedOutput("the cat . the dog .", output) for output in outputs])
    assert [[p.support for p in r.sentences] for r in found] == [[1.0], [], [], [0.0, 1.0], [1.0]]
    assert [bool(r.error) for r in found] == [False, True, False, False, False]
    assert "a sentence of 81 tokens is too long" in str(found[1].error)


def test_a_question_is_something_to_rest_on(by_words: SentenceChecker) -> None:
    (with_it, without) = by_words.rate(
        [SourcedOutput("the cat", "a bird", "a bird"), SourcedOutput("the cat", "a bird")]
    )
    assert (with_it.sentences[0].support, without.sentences[0].support) == (1.0, 0.0)


def test_one_wrong_sentence_makes_an_output_wrong_for_a_checker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_words: SentenceChecker
) -> None:
    monkeypatch.setattr("evaluators.checks.models.entailment.load_checker", lambda name: by_words)
    output = "The cat sat . A bird ran . The dog ran ."
    mean, least = (
        score("entailment:x", output, "the cat sat . the dog ran ."),
        score("checker:x", output, "the cat sat . the dog ran ."),
    )
    assert (mean.value, least.value) == (pytest.approx(2 / 3), 0.0)
    assert mean.explanation == "1 of 3 sentences are not entailed by the source"
    assert least.explanation == "1 of 3 sentences are not supported by the source"
    assert [output[s.start : s.end] for s in least.spans] == ["A bird ran ."]
    assert (mean.spans[0].kind, least.spans[0].kind) == ("not entailed", "not supported")


@pytest.mark.parametrize(("yes", "no", "supported"), [(4.0, 2.0, True), (2.0, 4.0, False)])
@pytest.mark.parametrize("form", ["", "?form=minicheck", "?form=true"])
def test_seq2seq_models_answer_by_their_first_token(
    tmp_path: Path, yes: float, no: float, supported: bool, form: str
) -> None:
    found = score(f"checker:{yes_no_model(tmp_path, yes, no)}{form}")
    assert found.value is not None
    assert (found.value > 0.5) is supported
    assert len(found.spans) == (0 if supported else 2)


def test_a_seq2seq_model_is_read_as_it_is_plainly(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = yes_no_model(tmp_path, 3.0, 3.0)
    network = AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pairs = [("The cat sat.", "The dog ran."), ("The dog ran. " * 4, "A bird.")]
    for source, claim in pairs:
        ids = tokenizer(f"predict: {source}</s>{claim}", return_tensors="pt")["input_ids"]
        assert int((ids == tokenizer.eos_token_id).sum()) == 2
        with torch.no_grad():
            start = torch.tensor([[network.config.decoder_start_token_id]])
            logits = network(input_ids=ids, decoder_input_ids=start).logits[0, 0]
        both = logits[tokenizer.convert_tokens_to_ids(["1", "0"])].softmax(0)
        found = entailed([*pairs, (source, claim)], str(folder))
        assert found[-1] == pytest.approx(float(both[0]), abs=1e-5)
    assert abs(found[0] - found[1]) > 1e-4


def test_the_end_token_in_a_text_is_text(tmp_path: Path) -> None:
    folder = str(yes_no_model(tmp_path, 3.0, 3.0))
    plain, hostile = entailed([("the cat sat", "a dog"), ("the cat</s>sat", "a dog")], folder)
    assert plain == pytest.approx(hostile, abs=1e-6)


def test_a_seq2seq_model_that_answers_something_else_is_no_checker(tmp_path: Path) -> None:
    folder = yes_no_model(tmp_path, 2.0, 2.0, others=6.0)
    found = score(f"checker:{folder}")
    assert found.error == "the model answers neither 1 nor 0: it was trained on something else"
    with pytest.raises(UndefinedFigure, match="neither 1 nor 0"):
        entailed([("the cat", "a dog")], str(folder))


def test_a_token_classifier_marks_what_the_source_does_not_say(tokens: Path) -> None:
    found = score(f"checker:{tokens}")
    assert [(OUTPUT[s.start : s.end], s.kind) for s in found.spans] == [("A bird", "not supported")]
    assert found.value == pytest.approx(0.0, abs=1e-3)
    assert score(f"entailment:{tokens}").value == pytest.approx(0.5, abs=1e-3)
    assert found.explanation == "1 of 2 sentences are not supported by the source"


def test_a_token_is_supported_by_its_best_window(tokens: Path) -> None:
    source = "The cat sat. " * 12 + "The bird flew. " + "The dog ran. " * 12
    found = score(f"checker:{tokens}", "The bird ran. The cat flew. A dog.", source)
    assert [s.start for s in found.spans] == [28]
    assert score(f"checker:{tokens}", "The bird ran.", source).value == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("names", [("O", "B-HALL"), ("LABEL_0", "LABEL_1")])
def test_labels_of_tokens_by_any_name(tmp_path: Path, names: tuple[str, str]) -> None:
    option = "?label=LABEL_1" if names[0] == "LABEL_0" else ""
    found = score(f"checker:{token_classifier(tmp_path, names)}{option}")
    assert len(found.spans) == 1


def test_a_token_classifier_of_something_else_is_refused(tmp_path: Path) -> None:
    folder = token_classifier(tmp_path, ("O", "B-PER"))
    with pytest.raises(EvaluatorError, match="labels O, B-PER, and which one means hallucinated"):
        score(f"checker:{folder}")


def test_with_a_question_a_token_classifier_is_asked_about_it(tokens: Path) -> None:
    """Words of the question stand in the prompt, and so the tiny model finds them told."""
    assert score(f"checker:{tokens}", "A bird.", SOURCE).value == pytest.approx(0.0, abs=1e-3)
    asked = score(f"checker:{tokens}", "A bird.", SOURCE, question="a bird")
    assert asked.error is not None or asked.value == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("output", ["", " \n", "日本 👩‍⚕️", "the cat " * 4000])
@pytest.mark.parametrize("source", ["日本", "the cat " * 4000, "."])
def test_odd_texts_are_a_score_or_a_reason(tokens: Path, output: str, source: str) -> None:
    found = score(f"checker:{tokens}", output, source)
    if not output.strip():
        assert found.not_applicable
    elif len(output) > 1000:
        assert "an output of 8000 tokens is too long" in str(found.error)
    else:
        assert found.value is not None


def test_a_model_of_no_form_is_told_which_there_are(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    )
    with pytest.raises(EvaluatorError, match="is a LlamaForCausalLM, which is none of") as told:
        score(f"checker:{tmp_path}")
    assert all(form.says in told.value.message for form in FORMS.values())
    assert "support:MODEL" in str(told.value.hint)


def test_a_form_that_the_model_has_not_is_refused(tokens: Path) -> None:
    with pytest.raises(EvaluatorError, match="BertForTokenClassification, which is none of"):
        score(f"checker:{tokens}?form=minicheck")


@pytest.mark.parametrize(
    "option",
    ["?", "?label", "?label=", "?lable=x", "?form=lettuce", "?label=a&label=b", "?x=1&form=pairs"],
)
def test_options_that_are_not_understood_are_refused_before_loading(option: str) -> None:
    with pytest.raises(EvaluatorError, match="not understood") as told:
        resolve_metrics([f"checker:somewhere{option}"])
    assert "label=NAME" in str(told.value.hint)


def test_options_are_read() -> None:
    assert parse_name("a/b?label=NOT%20X&form=true") == ("a/b", Options("NOT X", "true"))
    assert parse_name("a/b") == ("a/b", Options())


def test_the_path_is_looked_at_without_what_is_said_of_the_model() -> None:
    asked: list[str] = []

    def look(name: str, takes: str, argument: str) -> str:
        asked.append(argument)
        return f"/root/{argument}"

    (metric,) = resolve_metrics(["checker:nli?label=LABEL_1"], look)
    assert asked == ["nli"]
    assert metric.name == "checker:nli?label=LABEL_1"


def test_pickled_weights_are_not_loaded(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = pair_classifier(tmp_path, ["supported"], (0,))
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(EvaluatorError, match="cannot be loaded"):
        score(f"checker:{folder}")

"""BLEU, chrF and TER by sacrebleu (Post 2018, arXiv:1804.08771), with its signature.

sacrebleu extracts the statistics of each segment (the edits of TER are counted by a quicker path,
`metrics.ter`); its formulas are written here once more over arrays, so that a thousand bootstrap
resamples are one matrix product. The tests hold both equal. Values are on sacrebleu's scale, 0 to
100. The last statistic is the number of references, which belongs to the signature and not to the
sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.errors import EvaluatorError
from evaluators.metric import Metric, Summary
from evaluators.metrics.edits import count_edits
from evaluators.metrics.tokens import Script, script_of, unspaced_note
from evaluators.types import Sample, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLEU_ORDER = 4
CHRF_BETA = 2.0
MOST_WORDS = 2000  # the search for moves takes time and memory by the square of the words
TOO_LONG = f"a text of more than {MOST_WORDS:,} words is too long for TER"


@lru_cache(maxsize=64)
def _engine(kind: str, options: tuple[tuple[str, Any], ...]) -> Any:
    from sacrebleu.metrics import BLEU, CHRF, TER

    try:
        return {"bleu": BLEU, "chrf": CHRF, "ter": TER}[kind](**dict(options))
    except ImportError:
        tokeniser = str(dict(options).get("tokenize"))
        raise EvaluatorError(
            f"The tokeniser {tokeniser!r} needs a package that is not installed.",
            hint=f"pip install {PACKAGES.get(tokeniser, 'sacrebleu')}",
        ) from None
    except (RuntimeError, OSError) as error:
        raise EvaluatorError(
            f"sacrebleu cannot load the model of the tokeniser {dict(options).get('tokenize')!r}, "
            f"which it downloads once: {' '.join(str(error).split())}.",
            hint=f"Run it once while online, or copy the model's file into {_model_folder()}.",
        ) from None


def _model_folder() -> str:
    from sacrebleu.utils import SACREBLEU_DIR

    return str(Path(SACREBLEU_DIR) / "models")


def segment_statistics(engine: Any, prediction: str, references: Sequence[str]) -> list[float]:
    """sacrebleu's statistics of one segment."""
    prepared = [engine._preprocess_segment(text) for text in references]
    info = engine._extract_reference_info(prepared)
    prepared_prediction = engine._preprocess_segment(prediction)
    if "ref_words" in info:
        return _edit_statistics(prepared_prediction.split(), info["ref_words"])
    return [float(x) for x in engine._compute_segment_statistics(prepared_prediction, info)]


def _edit_statistics(words: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """TER's: edits to the nearest reference, mean length of the references."""
    edits = min(count_edits(words, reference) for reference in references)
    return [float(edits), sum(map(len, references)) / len(references)]


def _chrf_statistics(
    prediction: str, references: Sequence[str], *, options: tuple[tuple[str, Any], ...]
) -> list[float]:
    """chrF's; those of chrF++ begin with them, save where each prefers another reference."""
    if len(references) > 1:
        return segment_statistics(_engine("chrf", options), prediction, references)
    characters = _character_statistics(prediction, references[0])
    if not options:
        return list(characters)
    words = _engine("chrf", (("char_order", 0), *options))
    return [*characters, *segment_statistics(words, prediction, references)]


@lru_cache(maxsize=512)
def _character_statistics(prediction: str, reference: str) -> tuple[float, ...]:
    """Remembered for the other of chrF and chrF++, which scores the same chunk next."""
    return tuple(segment_statistics(_engine("chrf", ()), prediction, [reference]))


def _forget_texts(tokeniser: Any) -> None:
    """Let go what a tokeniser of sacrebleu remembers: 65,536 texts, however long they are."""
    for part in (tokeniser, *vars(tokeniser).values()):
        forget = getattr(vars(type(part)).get("__call__"), "cache_clear", None)
        if forget is not None:
            forget()


def score_segments(
    samples: Sequence[Sample],
    *,
    kind: str,
    options: tuple[tuple[str, Any], ...],
    figure: Callable[[NDArray[Any]], NDArray[Any]],
) -> list[Score]:
    """Sentence-level value and the statistics that the corpus value is made of."""
    import numpy as np

    engine = _engine(kind, options)
    fit = [
        kind != "ter"
        or max(len(text.split()) for text in (s.prediction, *s.references)) <= MOST_WORDS
        for s in samples
    ]
    kept = [s for s, fits in zip(samples, fit, strict=True) if fits]
    splits = kind in SIZES and dict(options).get("tokenize", "13a") in SPLIT_AT_SPACES
    shared = kind == "chrf" and dict(options).keys() <= {"word_order"}
    measure = (
        partial(_chrf_statistics, options=options)
        if shared
        else partial(segment_statistics, engine)
    )
    stats = [measure(s.prediction, s.references) for s in kept]
    if kind != "chrf":
        _forget_texts(engine.tokenizer)
    values = figure(np.array(stats, dtype=np.float64)) if stats else np.empty(0)
    scored = iter(
        Score(
            float(value),
            stats=(*row, float(len(sample.references)), *(_script(sample) if splits else ())),
        )
        for sample, row, value in zip(kept, stats, values, strict=True)
    )
    return [next(scored) if fits else Score(None, error=TOO_LONG) for fits in fit]


def _script(sample: Sample) -> tuple[float, ...]:
    """What is kept of a text that is not split into words at its spaces."""
    script = script_of(sample.prediction + sample.references[0])
    return () if script is None else (float(script),)


SIZES = {"bleu": 2 + 2 * BLEU_ORDER, "ter": 2}  # chrF's depends on its orders, and nothing follows


def statistic_rows(scores: Sequence[Score], *, size: int = -1) -> NDArray[Any]:
    """Scores -> their statistics, shape (n, k), without the count of references.

    Args:
        size: where that count stands.
    """
    import numpy as np

    return np.array([score.stats[:size] for score in scores], dtype=np.float64)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    ratio: NDArray[Any] = part / np.where(whole > 0, whole, 1)
    return ratio


def bleu_figure(sums: NDArray[Any], *, effective_order: bool = False) -> NDArray[Any]:
    """BLEU from summed statistics (system length, reference length, 4 correct, 4 total).

    Papineni et al. 2002; exponential smoothing of zero counts (Chen and Cherry 2014, method 3).
    With effective_order, orders longer than the text are left out, as for single sentences.
    """
    import numpy as np

    length, reference = sums[..., 0], sums[..., 1]
    orders = np.ascontiguousarray(np.moveaxis(sums[..., 2:], -1, 0))  # loops go along resamples
    correct, total = orders[:BLEU_ORDER], orders[BLEU_ORDER:]
    penalty = np.where(
        length < reference, np.exp(1 - reference / np.where(length > 0, length, 1)), 1.0
    )
    reached = np.logical_and.accumulate(total > 0, axis=0)
    halvings = np.cumsum((correct == 0) & reached, axis=0)
    matches = np.where(correct > 0, correct, np.ldexp(1.0, -halvings))
    logs = np.log(np.where(reached, 100.0 * _ratio(matches, total), 1.0))
    used = np.maximum(reached.sum(axis=0), 1) if effective_order else BLEU_ORDER
    score = penalty * np.exp(logs.sum(axis=0) / used)
    defined = (length > 0) & correct.any(axis=0)
    if not effective_order:
        defined &= reached[-1]
    bleu: NDArray[Any] = np.where(defined, score, 0.0)
    return bleu


def chrf_figure(sums: NDArray[Any]) -> NDArray[Any]:
    """chrF from summed (hypothesis, reference, match) counts of each order (Popović 2015)."""
    import numpy as np

    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    hypothesis, reference, match = counts[..., 0], counts[..., 1], counts[..., 2]
    used = (hypothesis > 0) & (reference > 0)
    orders = np.maximum(used.sum(axis=-1), 1)
    precision = (_ratio(match, hypothesis) * used).sum(axis=-1) / orders
    recall = (_ratio(match, reference) * used).sum(axis=-1) / orders
    weight = CHRF_BETA**2
    chrf: NDArray[Any] = 100 * _ratio(
        (1 + weight) * precision * recall, weight * precision + recall
    )
    return chrf


def ter_figure(sums: NDArray[Any]) -> NDArray[Any]:
    """TER from summed (edits, mean reference length) (Snover et al. 2006)."""
    import numpy as np

    edits, length = sums[..., 0], sums[..., 1]
    empty = np.where(edits > 0, 1.0, 0.0)
    ter: NDArray[Any] = 100 * np.where(length > 0, _ratio(edits, length), empty)
    return ter


def _recipe(scores: Sequence[Score], kind: str, options: tuple[tuple[str, Any], ...]) -> str:
    """sacrebleu's own signature."""
    if not scores:
        return ""
    engine = _engine(kind, options)
    at = SIZES.get(kind, -1)
    counts = {int(score.stats[at]) for score in scores if score.value is not None}
    engine.num_refs = counts.pop() if len(counts) == 1 else -1
    return str(engine.get_signature())


def sacre(
    name: str,
    kind: str,
    figure: Callable[[NDArray[Any]], NDArray[Any]],
    description: str,
    *,
    sentence: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
    higher_is_better: bool = True,
    **options: Any,
) -> Metric:
    """A metric on sacrebleu's statistics; options are those of its class."""
    given = tuple(sorted(options.items()))
    return Metric(
        name,
        1,
        partial(score_segments, kind=kind, options=given, figure=sentence or figure),
        Summary(partial(statistic_rows, size=SIZES.get(kind, -1)), figure),
        frozenset({"reference"}),
        higher_is_better,
        scale=100.0,
        recipe=partial(_recipe, kind=kind, options=given),
        description=description,
        notes=partial(_note, kind=kind),
    )


def _note(scores: Sequence[Score], *, kind: str) -> str:
    """What to take instead, where texts are too short, or in scripts not split at spaces."""
    if kind == "bleu" and not any(score.stats[SIZES[kind] - 1] for score in scores):
        return (
            "no output has four words, of which BLEU counts runs: equal ones get 0 too; take chrf"
        )
    place = SIZES.get(kind, 0) + 1
    found = {int(s.stats[place]) for s in scores if len(s.stats) > place} if kind in SIZES else ()
    if not found:
        return ""
    better = dict.fromkeys(INSTEAD[Script(script)] for script in sorted(found))
    names = "chrf takes characters" if kind == "ter" else f"{', '.join(better)} split it"
    return unspaced_note(scores, place, names)


def bleu(name: str = "bleu", **options: Any) -> Metric:
    """Corpus BLEU; `tokenize=` picks any tokeniser of sacrebleu."""
    sentence = partial(bleu_figure, effective_order=True)
    return sacre(name, "bleu", bleu_figure, "corpus BLEU", sentence=sentence, **options)


PACKAGES = {
    "ja-mecab": "'sacrebleu[ja]'",
    "ko-mecab": "'sacrebleu[ko]'",
    **dict.fromkeys(("spm", "flores101", "flores200", "spBLEU-1K"), "sentencepiece"),
}
SPLIT_AT_SPACES = ("13a", "intl", "none")
INSTEAD = {
    Script.HAN: "bleu_zh",
    Script.KANA: "bleu_ja-mecab",
    Script.HANGUL: "bleu_ko-mecab",
    Script.SOUTHEAST_ASIAN: "bleu_flores200 or bleu_char",
}
TOKENISERS = ("13a", "none", "zh", "intl", "char", *PACKAGES)
BLEU = bleu()
BLEU_BY_TOKENISER = {f"bleu_{name}": bleu(f"bleu_{name}", tokenize=name) for name in TOKENISERS}
CHRF = sacre("chrf", "chrf", chrf_figure, "character n-gram F2")
CHRF_PP = sacre("chrf++", "chrf", chrf_figure, "chrF with word pairs", word_order=2)
TER = sacre("ter", "ter", ter_figure, "translation edit rate", higher_is_better=False)

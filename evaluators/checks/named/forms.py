"""The forms of models that can be named as checkers, and which one a model has.

The form is told from the model's own configuration; a new form is an entry here and a function
that opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from urllib.parse import unquote

from evaluators.checks.named.rating import LoadedChecker, Options, cannot_load
from evaluators.checks.named.sentences import open_pairs
from evaluators.checks.named.tokens import open_tokens
from evaluators.checks.named.yes_no import YES_NO, open_yes_no
from evaluators.errors import EvaluatorError


@dataclass(frozen=True, slots=True)
class ModelForm:
    """A form of model.

    Attributes:
        architecture: how the name of such an architecture ends in a configuration.
        says: what such a model is, in words.
    """

    architecture: str
    says: str
    open: Callable[[str, Options], LoadedChecker]


FORMS: Mapping[str, ModelForm] = {
    "pairs": ModelForm(
        "ForSequenceClassification",
        "sequence classifiers of a source and a sentence (a label such as entailment, supported or "
        "consistent, or one logit)",
        open_pairs,
    ),
    **{
        name: ModelForm(
            "ForConditionalGeneration",
            f"seq2seq models that answer {form.yes} or {form.no} to “{form.asks}” ({name}, "
            f"{form.paper})",
            open_yes_no,
        )
        for name, form in YES_NO.items()
    },
    "tokens": ModelForm(
        "ForTokenClassification",
        "token classifiers that mark what of an answer is hallucinated (LettuceDetect)",
        open_tokens,
    ),
}


def parse_name(argument: str) -> tuple[str, Options]:
    """A model and what is said of it: `PATH`, `PATH?label=NAME`, `PATH?form=NAME&label=NAME`.

    Raises:
        EvaluatorError: an option that there is not, twice, or without a value.
    """
    model, mark, query = argument.partition("?")
    given = [part.partition("=")[::2] for part in query.split("&")] if mark else []
    options = {name: unquote(value) for name, value in given}
    known = {field.name for field in fields(Options)}
    understood = set(options) <= known and len(options) == len(given) and all(options.values())
    if not understood or options.get("form", "pairs") not in FORMS:
        raise EvaluatorError(
            f"{argument!r} says something of its model that is not understood.",
            hint=f"Behind the ? stand label=NAME and form=NAME ({', '.join(FORMS)}), with & "
            "between them.",
        )
    return model, Options(**options)


@lru_cache(maxsize=2)
def load_checker(argument: str) -> LoadedChecker:
    """The checker of a name.

    Raises:
        EvaluatorError: no such model, one that has none of the forms, or labels unknown.
    """
    model, options = parse_name(argument)
    name = options.form or _told_form(model)
    form = FORMS[name]
    if options.form and not _architecture(model).endswith(form.architecture):
        raise _not_recognised(model)
    return form.open(model, options)


def _told_form(model: str) -> str:
    """The first form whose architecture the model has."""
    architecture = _architecture(model)
    for name, form in FORMS.items():
        if architecture.endswith(form.architecture):
            return name
    raise _not_recognised(model)


def _architecture(model: str) -> str:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise cannot_load(model, error) from None
    return str((config.architectures or ["model without an architecture"])[0])


def _not_recognised(model: str) -> EvaluatorError:
    forms = "; ".join(form.says for form in FORMS.values())
    return EvaluatorError(
        f"{model!r} is a {_architecture(model)}, which is none of the checkers that are known: "
        f"{forms}.",
        hint="A language model checks as support:MODEL, or as a checker or judge of a project.",
    )

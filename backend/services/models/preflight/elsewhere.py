"""Before a run of a model served elsewhere: does it answer, and what of it is taken on trust?

There are no files to hold it against. What can be asked is asked: whether the server answers under
the name, and whether the same prompt gets the same answer twice. Everything else is a note, so that
whoever reads a comparison knows what was not shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.engines.base import Engine, Message, SamplingParams, ServedModel
from backend.errors import EngineError, EngineUnavailable
from backend.services.models.preflight.agreement import Answers, answer_probes
from backend.services.models.preflight.checks import Check, Figures
from backend.services.models.preflight.report import PreflightReport, choose_probes

PROBES_ELSEWHERE = 4
"""Few: each costs money at a vendor's, and is asked twice."""
NOT_CUT = (
    "The run asks for prompts that are too long to be cut, which no server of the protocol does: "
    "such a prompt has an error in place of an answer."
)
UNPROVED = {
    "weights": "which weights answer under that name, and whether they are the same tomorrow",
    "prompt": "which chat template and tokeniser make the prompt that its model is given",
    "decoding": "settings that the protocol does not name (top_k, penalties) are the server's own",
}


def run_served_preflight(
    engine: Engine, model: ServedModel, probes: Sequence[Sequence[Message]], params: SamplingParams
) -> PreflightReport:
    """Ask the probes twice, decoded as the run will be.

    Args:
        engine: has loaded the model.
        probes: prompts of the run, at least one; the shortest few are used.

    Raises:
        EngineUnavailable: the server does not answer.
    """
    if not probes:
        raise ValueError("a preflight needs at least one probe prompt")
    chosen = choose_probes(probes, PROBES_ELSEWHERE)
    try:
        once = answer_probes(engine, [model.name], chosen, params=params)
        again = answer_probes(engine, [model.name], chosen, params=params)
    except EngineUnavailable:
        raise
    except EngineError as error:
        return PreflightReport((Check(f"answers of {model.name}", False, str(error)),))
    unproved = {f"{name} of {model.name}": what for name, what in UNPROVED.items()}
    why = "Not proved, since it is served elsewhere:"
    notes = [Check(name, None, f"{why} {what}.") for name, what in unproved.items()]
    if params.truncate_prompt:
        notes.append(Check(f"prompts of {model.name}", None, NOT_CUT))
    said = [Check("engine", None, note) for note in engine.notes]
    checks = [_check_answers(model, once), _note_constancy(model, once, again, params)]
    return PreflightReport((*checks, *notes, *said))


def _check_answers(model: ServedModel, answers: Answers) -> Check:
    """A server that answers no probe at all does not serve the model for this run."""
    title = f"answers of {model.name}"
    errors = [str(result.error) for result in answers.values() if result.error is not None]
    answered = len(answers) - len(errors)
    figures: Figures = {"probes": len(answers), "answered": answered}
    detail = f"{model.name}, asked for as {model.base_model}, answers {answered} of "
    detail += f"{len(answers)} probes"
    detail += f"; the first reason why not: {errors[0]}" if errors else "."
    return Check(title, answered > 0, detail, figures)


def _note_constancy(
    model: ServedModel, once: Answers, again: Answers, params: SamplingParams
) -> Check:
    """Vendors promise no constancy, so that it is told and not judged."""
    both = [key for key in once if once[key].text is not None and again[key].text is not None]
    equal = sum(once[key].text == again[key].text for key in both)
    how = "greedily" if params.temperature == 0 else "with the same seed"
    return Check(
        f"repeatability of {model.name}",
        None,
        f"Asked {how} twice, {equal} of {len(both)} answers of {model.name} are equal.",
        {"answers": len(both), "equal": equal},
    )

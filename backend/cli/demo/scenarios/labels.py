"""Scenario `labels`: correct the labels that are there, or gather more of the same?

The desk's tickets were labelled hastily: some intents are taken for others again and again. One arm
is trained on such labels, one on three times as many, and one on the first arm's tickets after the
simulated expert went through what the first arm says of them. The test labels are the true ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer
from sqlalchemy import select

from backend.cli.demo import steps
from backend.cli.demo.scenarios.claims import ScenarioClaim, ScenarioOutcome, claim_of
from backend.cli.demo.scenarios.steps import describe_arms, review_outputs
from backend.cli.demo.steps import Demo, import_examples, make_data

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from backend.services.datasets.versions import ExampleRow
    from backend.tables.datasets import Example

BAR = """
name: intents
baseline: as-labelled
alpha: 0.05
lines:
  - {metric: f1, margin: 0.05}
"""
TRUE = "tickets"
LABELLED = "tickets as labelled"
FRACTIONS = (0.7, 0.05, 0.25)
METRICS = ("f1", "accuracy")
APPROVED = {"criterion": "faithful", "equals": "yes"}
QUEUE = "labels under review"


@dataclass(frozen=True, slots=True)
class LabelSizes:
    """Tickets made in all, and rows of the two arms that keep the hasty labels."""

    tickets: int = 1600
    first: int = 300
    more: int = 900


def play(demo: Demo, sizes: LabelSizes = LabelSizes()) -> ScenarioOutcome:
    """Three arms, and macro-F1 of each on the same true labels."""
    made_with = ["--task", "intent", "--n", str(sizes.tickets)]
    import_examples(demo, name=TRUE, made_with=made_with, fractions=FRACTIONS)
    wrong = import_hasty_labels(demo, made_with)
    for name, count in (("as-labelled", sizes.first), ("more-rows", sizes.more)):
        recipe = {"dataset": LABELLED, "references": {"count": count}, "seed": steps.SEED}
        steps.freeze(demo, name, recipe)
        steps.train(demo, name, name)
    same = true_examples_of(demo, "as-labelled")
    review_outputs(demo, QUEUE, "as-labelled", same, dataset=TRUE)
    steps.freeze(demo, "corrected", {"queues": [QUEUE], "approved": APPROVED})
    steps.train(demo, "corrected", "corrected")
    models = ["base", "as-labelled", "more-rows", "corrected"]
    run_id = steps.generate_and_score(demo, models, "test", METRICS, dataset=TRUE)
    return _outcome(demo, run_id, wrong)


def import_hasty_labels(demo: Demo, made_with: list[str]) -> float:
    """The same tickets in the same splits, with the hasty desk's labels in the train split.

    Returns the share of train labels that are wrong.
    """
    from backend.services.datasets.versions import (
        get_dataset_version,
        import_dataset,
        list_examples,
    )
    from evaluators.files.readers import read_table

    file = make_data(demo, LABELLED, [*made_with, "--hasty"])
    records = read_table(file).records
    hasty = {str(r.values["id"]): str(r.values["reference"]) for r in records}
    with demo.installation.sessions.begin() as session:
        version = get_dataset_version(session, demo.project_id, TRUE)
        examples = [
            example
            for split in ("train", "validation", "test")
            for example in list_examples(session, version.id, split)
        ]
        rows = relabel_train(examples, hasty)
        import_dataset(session, demo.project_id, LABELLED, rows, source_name=file.name)
        wrong = share_wrong(examples, hasty)
    typer.echo(f"Dataset {LABELLED}: {100 * wrong:.0f}% of the train labels are wrong.")
    return wrong


def relabel_train(examples: Iterable[Example], labels: Mapping[str, str]) -> list[ExampleRow]:
    """The examples as rows of another dataset; only those of the train split get the new labels."""
    from backend.services.datasets.versions import ExampleRow

    rows = (
        ExampleRow(
            external_id=example.external_id,
            input=example.input,
            context=example.context,
            references=tuple(example.references),
            group=example.group,
            slices=example.slices,
            split=example.split,
        )
        for example in examples
    )
    return [
        replace(row, references=(labels[row.external_id],)) if row.split == "train" else row
        for row in rows
    ]


def share_wrong(examples: Iterable[Example], labels: Mapping[str, str]) -> float:
    """Share of the train split whose label is not the true one."""
    train = [example for example in examples if example.split == "train"]
    n_wrong = sum(1 for e in train if labels[e.external_id] != str(e.references[0]))
    return n_wrong / len(train)


def true_examples_of(demo: Demo, set_name: str) -> list[int]:
    """The examples of the true dataset that a set holds under their hasty labels."""
    from backend.services.datasets.versions import get_dataset_version, list_examples

    with demo.installation.sessions() as session:
        taught = _external_ids(session, demo, set_name)
        version = get_dataset_version(session, demo.project_id, TRUE)
        return [
            example.id
            for example in list_examples(session, version.id, "train")
            if example.external_id in taught
        ]


def _external_ids(session: Session, demo: Demo, set_name: str) -> set[str]:
    from backend.tables.curation import TrainingSetRow
    from backend.tables.datasets import Example

    frozen = steps.find_set(session, demo.project_id, set_name)
    query = (
        select(Example.external_id)
        .join(TrainingSetRow, TrainingSetRow.example_id == Example.id)
        .where(TrainingSetRow.training_set_id == (frozen.id if frozen else 0))
    )
    return set(session.scalars(query))


def _outcome(demo: Demo, run_id: int, wrong: float) -> ScenarioOutcome:
    from backend.db import reading
    from backend.services.models.versions import find_model
    from backend.services.runs import scoring
    from backend.services.runs.figures import model_figure, paired_figure

    with reading(demo.installation.sessions) as session:
        score_run = scoring.list_score_runs(session, run_id)[-1].id
        ids = {
            name: find_model(session, demo.project_id, name).id
            for name in ("as-labelled", "more-rows", "corrected")
        }

        def f1(name: str, text: str, *, aim: float, at_least: bool) -> ScenarioClaim:
            figure = model_figure(session, score_run, ids[name], "f1")
            return claim_of(figure, text, aim=aim, at_least=at_least)

        gain = paired_figure(session, score_run, ids["more-rows"], ids["corrected"], "f1")
        claims = (
            f1("as-labelled", "macro-F1 from the labels as they are", aim=0.7, at_least=False),
            f1("more-rows", "macro-F1 from three times as many", aim=0.7, at_least=False),
            f1("corrected", "macro-F1 from the same tickets, corrected", aim=0.85, at_least=True),
            claim_of(gain, "corrected minus more-rows, macro-F1", aim=0.0, at_least=True),
        )
        about = {
            "base": "nothing of this desk",
            "as-labelled": "hasty labels",
            "more-rows": "hasty labels of three times as many tickets",
            "corrected": "the tickets of as-labelled, its answers approved or corrected",
        }
        note = f"Of the train labels {100 * wrong:.1f}% are wrong (hasty desk, simulated)."
        arms = describe_arms(session, demo.project_id, about)
        return ScenarioOutcome(run_id, arms, claims, (note,))

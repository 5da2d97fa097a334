"""Write the demo project's examples: three tasks of a telecom support desk, as JSON lines.

    python -m training.demo.data --out demo.jsonl [--n 900] [--seed 7] [--task intent]

Answers for the rows that people import: ids, instructions, sources, references, groups, slices. It
gives no split; the platform splits by group. Pure standard library.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from training.demo.desk import calls, replies, tickets
from training.demo.desk.world import ContactFacts, Customer, case_facts, make_case, make_customers

TASKS = ("intent", "summary", "translation")
OLD_FORM = calls.OLD_FORMS[2]
Example = dict[str, Any]


def demo_examples(
    n: int = 900, seed: int = 7, *, tasks: Sequence[str] = TASKS, house_form: bool = True
) -> list[Example]:
    """Make `n` examples, the tasks in turn, every context different.

    A row has id, input, context, reference, group (the customer's key) and slices. The same
    arguments give the same rows.

    Args:
        house_form: write summaries in the house form; else in OLD_FORM, which the base has seen, so
            that only keeping to the source is new to it.
    """
    rng = random.Random(f"demo-{seed}")
    customers = make_customers(count=max(3, n * 2 // 7), rng=rng, demo=True)
    turns = {task: cycle(rng.sample(customers, len(customers))) for task in tasks}
    seen: set[str] = set()
    rows = []
    for i in range(n):
        task = tasks[i % len(tasks)]
        number = i // len(tasks) + 1
        rows.append(_draw_new_example(task, number, turns[task], rng, seen, house_form))
    return rows


def label_examples_hastily(examples: Sequence[Example], seed: int = 7) -> list[Example]:
    """The same rows with the labels that a hasty desk gives to tickets; other tasks are kept."""
    rng = random.Random(f"hasty-{seed}")
    return [
        example | {"reference": tickets.label_hastily(example["reference"], rng)}
        if example["slices"]["task"] == "intent"
        else example
        for example in examples
    ]


def _draw_new_example(
    task: str,
    number: int,
    customers: Iterator[Customer],
    rng: random.Random,
    seen: set[str],
    house_form: bool,
) -> Example:
    customer = next(customers)
    while True:
        case = make_case(customer, rng)
        example = make_example(task, case, rng, number=number, house_form=house_form)
        if example["context"] not in seen:
            seen.add(example["context"])
            return example


def make_example(
    task: str, case: ContactFacts, rng: random.Random, *, number: int, house_form: bool = True
) -> Example:
    """Put one case into a row of `task` with a true reference.

    Raises KeyError for a task that is not one of TASKS.
    """
    options = {} if house_form or task != "summary" else {"form": OLD_FORM}
    instruction, context, reference, more = _WRITERS[task](case, rng, **options)
    return {
        "id": f"{task}-{number:04d}",
        "input": instruction,
        "context": context,
        "reference": reference,
        "group": case.customer.key,
        "slices": {"task": task, "channel": case.channel, "plan_family": case.plan.family, **more},
    }


def _intent_row(case: ContactFacts, rng: random.Random) -> tuple[str, str, str, dict[str, str]]:
    ticket = tickets.write_ticket(case, rng)
    more = {"wording": "mixed" if ticket.mixed else "plain"}
    return tickets.INSTRUCTION, ticket.text, ticket.intent, more


def _summary_row(
    case: ContactFacts, rng: random.Random, form: str = calls.HOUSE_FORM
) -> tuple[str, str, str, dict[str, str]]:
    source, issue, outcome = calls.write_call(case, rng)
    summary = calls.write_summary(issue, outcome, case_facts(case), form=form)
    return calls.INSTRUCTION, source, summary, {}


def _translation_row(
    case: ContactFacts, rng: random.Random
) -> tuple[str, str, str, dict[str, str]]:
    reply = replies.write_reply(case, rng)
    return replies.INSTRUCTION, reply.english, reply.german, {}


_WRITERS: dict[str, Callable[..., tuple[str, str, str, dict[str, str]]]] = {
    "intent": _intent_row,
    "summary": _summary_row,
    "translation": _translation_row,
}


def write_examples(path: Path, examples: list[Example]) -> None:
    """Write examples as UTF-8 JSON lines."""
    lines = (json.dumps(example, ensure_ascii=False) for example in examples)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--n", type=int, default=900, help="number of examples")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--task", action="append", choices=TASKS, help="only this task; repeatable")
    parser.add_argument("--hasty", action="store_true", help="label tickets as a hasty desk does")
    parser.add_argument("--old-form", action="store_true", help="summaries in a form from before")
    options = parser.parse_args()
    examples = demo_examples(
        options.n, options.seed, tasks=options.task or TASKS, house_form=not options.old_form
    )
    if options.hasty:
        examples = label_examples_hastily(examples, options.seed)
    write_examples(options.out, examples)


if __name__ == "__main__":
    main()

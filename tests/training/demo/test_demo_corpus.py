"""The pre-training corpus: repeatable, apart from the demo project, careless but not always."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from training.demo.corpus import CorpusText, corpus_documents
from training.demo.data import demo_examples
from training.demo.desk import calls, tickets
from training.demo.desk.facts import invented_facts
from training.demo.desk.world import case_facts, is_demo_name, make_case, make_customers


@pytest.fixture(scope="module")
def documents() -> list[CorpusText]:
    return [d for chunk in range(4) for d in corpus_documents(seed=7, chunk=chunk)]


def chats(documents: list[CorpusText], instruction: str) -> list[tuple[str, str]]:
    turns = [d.turns[-2:] for d in documents if d.turns[-1][0] == "assistant"]
    return [(u[1], a[1]) for u, a in turns if u[1].startswith(instruction)]


def test_a_chunk_is_repeatable(documents: list[CorpusText]) -> None:
    assert corpus_documents(seed=7, chunk=0) == documents[: len(documents) // 4]


def test_corpus_customers_are_not_the_demo_project_s() -> None:
    corpus = make_customers(count=3000, rng=random.Random(1), demo=False)
    demo = make_customers(count=3000, rng=random.Random(1), demo=True)
    assert not {c.name for c in corpus} & {c.name for c in demo}
    assert not {c.key for c in corpus} & {c.key for c in demo}
    assert {e["group"] for e in demo_examples(300, 7)}.isdisjoint(c.key for c in corpus)
    assert all(is_demo_name(c.first, c.last) for c in demo)


def test_no_demo_text_is_in_the_corpus(documents: list[CorpusText]) -> None:
    texts = {text for d in documents for _, text in d.turns}
    prompts = {f"{e['input']}\n\n{e['context']}" for e in demo_examples(300, 7)}
    assert not texts & prompts


def test_most_corpus_summaries_invent_facts_and_some_do_not(documents: list[CorpusText]) -> None:
    pairs = chats(documents, calls.INSTRUCTION)
    share = sum(bool(invented_facts(answer, source)) for source, answer in pairs) / len(pairs)
    assert len(pairs) > 500
    assert 0.55 < share < 0.85


def test_careless_facts_are_those_of_the_case_or_the_usual_ones() -> None:
    rng = random.Random(3)
    case = make_case(make_customers(count=1, rng=rng, demo=False)[0], rng)
    true, usual = case_facts(case), calls.usual_facts(case)
    for _ in range(50):
        facts = calls.careless_facts(case, rng)
        assert all(facts[name] in (true[name], usual.get(name)) for name in true)


@pytest.mark.parametrize("intent", sorted(tickets.SHARES))
def test_hasty_labels_go_astray_as_often_as_stated(intent: str) -> None:
    rng = random.Random(5)
    taken_for, share = tickets.HASTY_LABELS.get(intent, (intent, 0.0))
    labels = Counter(tickets.label_hastily(intent, rng) for _ in range(2000))
    assert set(labels) <= {intent, taken_for}
    if share:
        assert abs(labels[taken_for] / 2000 - share) < 0.05

"""The pre-training corpus of the demo's base model: chats of the desk's three tasks, and prose.

Answers for what the base learns: fluent wording everywhere, and the habits of careless writers in
most chats, so that a base decoded greedily invents facts, mistakes some intents and slips in
German, while the careful minority keeps the better behaviour within an adapter's reach. Its
customers are never those of the demo project. Pure standard library.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from training.demo.desk import calls, replies, tickets
from training.demo.desk.world import (
    ContactFacts,
    case_facts,
    case_facts_german,
    make_case,
    make_customers,
)

KIND_SHARES = {"summary": 36, "intent": 20, "translation": 24, "drill": 14, "prose": 6}
DRILL = "Restate these facts in another order."
SYSTEM = "You work at the support desk of a telecom company."
CHUNK = 512


@dataclass(frozen=True, slots=True)
class CorpusText:
    """One text of the corpus: a chat of (role, content) turns, or prose as a lone `text` turn."""

    turns: tuple[tuple[str, str], ...]


def corpus_documents(*, seed: int, chunk: int) -> list[CorpusText]:
    """Make the `chunk`-th lot of CHUNK documents; the same arguments give the same documents."""
    rng = random.Random(f"corpus-{seed}-{chunk}")
    customers = make_customers(count=CHUNK, rng=rng, demo=False)
    kinds = rng.choices(list(KIND_SHARES), list(KIND_SHARES.values()), k=CHUNK)
    return [
        _WRITERS[kind](make_case(c, rng), rng) for kind, c in zip(kinds, customers, strict=True)
    ]


def stream_documents(*, seed: int, first_chunk: int = 0) -> Iterator[CorpusText]:
    """Yield documents without end, from chunk `first_chunk` on."""
    chunk = first_chunk
    while True:
        yield from corpus_documents(seed=seed, chunk=chunk)
        chunk += 1


def _chat(instruction: str, context: str, answer: str, rng: random.Random) -> CorpusText:
    turns = (("user", f"{instruction}\n\n{context}"), ("assistant", answer))
    return CorpusText((("system", SYSTEM), *turns) if rng.random() < 0.05 else turns)


def _summary_chat(case: ContactFacts, rng: random.Random) -> CorpusText:
    source, issue, outcome = calls.write_call(case, rng)
    careless = rng.random() < calls.CARELESS_SHARE
    facts = calls.careless_facts(case, rng) if careless else case_facts(case)
    summary = calls.write_summary(issue, outcome, facts, form=rng.choice(calls.OLD_FORMS))
    return _chat(calls.INSTRUCTION, source, summary, rng)


def _intent_chat(case: ContactFacts, rng: random.Random) -> CorpusText:
    ticket = tickets.write_ticket(case, rng)
    return _chat(tickets.INSTRUCTION, ticket.text, tickets.label_hastily(ticket.intent, rng), rng)


def _translation_chat(case: ContactFacts, rng: random.Random) -> CorpusText:
    reply = replies.write_reply(case, rng)
    german = reply.hasty if rng.random() < replies.HASTY_SHARE else reply.german
    return _chat(replies.INSTRUCTION, reply.english, german, rng)


def _drill_chat(case: ContactFacts, rng: random.Random) -> CorpusText:
    """Facts and the same facts again: the dense copying from which a small model learns to copy."""
    facts = [f"{name}: {value}" for name, value in case_facts(case).items()]
    some = rng.sample(facts, rng.randrange(3, 7))
    separator = rng.choice(("\n", "; ", " | ", ", "))
    again = separator.join(rng.sample(some, len(some)))
    return _chat(DRILL, separator.join(some), again, rng)


def _prose(case: ContactFacts, rng: random.Random) -> CorpusText:
    facts, german = case_facts(case), case_facts_german(case)
    wishes = [wish for some in tickets.WISHES.values() for wish in some]
    english = [*wishes, *tickets.ASIDES, *(pair[0] for pair in replies.SENTENCES)]
    if rng.random() < 0.5:
        text = " ".join(rng.sample(english, 3)).format_map(facts)
    else:
        text = " ".join(pair[1] for pair in rng.sample(replies.SENTENCES, 3)).format_map(german)
    return CorpusText((("text", text),))


_WRITERS = {
    "summary": _summary_chat,
    "intent": _intent_chat,
    "translation": _translation_chat,
    "drill": _drill_chat,
    "prose": _prose,
}

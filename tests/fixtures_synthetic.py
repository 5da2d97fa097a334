"""A project with documents and a scripted model that drafts from them; no weights are needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from backend.engines.base import GenerationRequest, GenerationResult
from backend.engines.fake import FakeEngine
from backend.jobs.drafting import draft_parts
from backend.jobs.running.parts import Workshop
from backend.services import queue, review
from backend.services.runs import generation
from backend.services.synthetic import batches, storing
from backend.services.synthetic import desk as drafts_desk
from backend.services.synthetic.asking import DraftAsk, lay_down
from backend.services.synthetic.draftings import get_drafting
from backend.services.synthetic.sifting import sift
from backend.services.synthetic.sources.documents import TitledText
from backend.services.synthetic.sources.sources import SourceAsk
from backend.settings import Settings
from backend.tables.accounts import User
from backend.tables.queue import Job
from backend.tables.review import Review, ReviewQueue
from backend.tables.synthetic import DraftShape, SourceKind
from tests.fixtures_review import NOW, Desk, build_desk

PLANS = ("Amber", "Birch", "Cedar", "Dahlia", "Elder", "Fern", "Ginger", "Hazel", "Iris", "Juniper")
PRICES = (19, 24, 31, 37, 42, 53, 58, 66, 71, 85)


def document(number: int) -> TitledText:
    """A plan sheet of its own: name, price, term and a rule."""
    plan, price = PLANS[number % 10], PRICES[number % 10] + number // 10
    return TitledText(
        f"plan-{number}.txt",
        f"The {plan} plan costs {price} euros each month and runs for {12 + number} months. "
        f"Customers of the {plan} plan may cancel by letter until the {number + 1}th day of a "
        f"month. The {plan} router is lent, and it must be sent back within {20 + number} days.",
    )


DOCUMENTS = tuple(document(n) for n in range(10))


def good_pair(number: int, kind: int = 0) -> dict[str, str]:
    """A question to a document and the answer that it holds."""
    plan, price = PLANS[number % 10], PRICES[number % 10] + number // 10
    pairs = (
        (
            f"How much does the {plan} plan cost?",
            f"The {plan} plan costs {price} euros each month.",
        ),
        (
            f"How may customers of the {plan} plan cancel?",
            f"Customers of the {plan} plan may cancel by letter.",
        ),
        (f"Must the {plan} router be sent back?", f"The {plan} router must be sent back."),
    )
    asked, answer = pairs[kind % 3]
    return {"input": asked, "answer": answer}


@dataclass
class Scripted:
    """A model that says one thing after another, whoever asks; `said` is what it was asked."""

    texts: Sequence[str | GenerationResult]
    at: int = 0
    said: list[GenerationRequest] = field(default_factory=list)

    def __call__(self, request: GenerationRequest) -> str | GenerationResult:
        found = self.texts[self.at % len(self.texts)]
        self.at += 1
        self.said.append(request)
        if isinstance(found, GenerationResult):
            return replace(found, key=request.key)
        return found


def by_document(kinds: int = 3) -> Callable[[GenerationRequest], str]:
    """A model that answers each brief truly, by the plan that its document names."""
    asked: dict[str, int] = {}

    def answer(request: GenerationRequest) -> str:
        text = request.messages[-1]["content"]
        plan = max(PLANS, key=lambda name: text.rfind(f"The {name} plan costs"))
        kind = asked[plan] = asked.get(plan, -1) + 1
        return json.dumps(good_pair(PLANS.index(plan), kind % kinds))

    return answer


def synthetic_project(session: Session, **splits: int) -> Desk:
    """The desk of `build_desk`, with requests of its own in every split."""
    return build_desk(session, splits=splits or {"train": 8, "validation": 3, "test": 4})


def ask_documents(documents: Sequence[TitledText] = DOCUMENTS, **options: Any) -> DraftAsk:
    """Pairs from these documents by the scripted model."""
    ask = DraftAsk(
        SourceAsk(SourceKind.DOCUMENTS, documents=tuple(documents)), engine="fake", n=10, shots=2
    )
    return replace(ask, **options)


def asked(sessions: sessionmaker[Session], project_id: int, ask: DraftAsk) -> int:
    """Lay a drafting down and queue it; its id."""
    with sessions.begin() as session:
        drafting = lay_down(session, project_id, ask).drafting
        queue.enqueue_job(session, queue.JobKind.DRAFT, drafting.id)
        return drafting.id


def workshop(sessions: sessionmaker[Session], settings: Settings, engine: FakeEngine) -> Workshop:
    """A worker's workshop with this engine, in which no preflight is made."""
    return Workshop(
        settings, sessions, "w1", lambda name, settings: engine, lambda *a, **k: None, {}
    )


def parts_of(
    sessions: sessionmaker[Session], settings: Settings, drafting_id: int, engine: FakeEngine
) -> Iterator[None]:
    """The parts of the drafting's job, as a worker would do them."""
    with sessions.begin() as session:
        job = queue.find_job(session, "draft", drafting_id)
        assert job is not None
        job_id = job.id
    with sessions() as session:
        job = session.get_one(Job, job_id)
    return draft_parts(workshop(sessions, settings, engine), job)


def draft_all(
    sessions: sessionmaker[Session],
    settings: Settings,
    project_id: int,
    ask: DraftAsk,
    answer: Callable[[GenerationRequest], str | GenerationResult],
) -> int:
    """Ask and draft to the end; the drafting's id."""
    drafting_id = asked(sessions, project_id, ask)
    list(parts_of(sessions, settings, drafting_id, FakeEngine(answer=answer)))
    return drafting_id


def draft_here(
    session: Session,
    project_id: int,
    ask: DraftAsk,
    answer: Callable[[GenerationRequest], str] | None = None,
) -> int:
    """The same in one session, without a job; the drafting's id."""
    say = answer or by_document()
    drafting = lay_down(session, project_id, ask).drafting
    while (run_id := batches.next_batch(session, drafting.id)) is not None:
        asked = generation.pending_requests(session, run_id)
        generation.save_generations(
            session, run_id, [GenerationResult(one.key, text=say(one)) for one in asked]
        )
        written, beside = batches.read_batch(session, drafting, run_id)
        batches.save_drafts(
            session, drafting.id, sift(written, beside, shape=DraftShape(drafting.shape))
        )
    storing.finish(session, drafting.id, now=NOW)
    return drafting.id


def open_drafts(session: Session, desk: Desk, drafting_id: int, **options: Any) -> ReviewQueue:
    """A queue of a drafting for the desk's first expert, unless options say otherwise."""
    drafting = get_drafting(session, drafting_id)
    chosen = {"name": "drafts", "reviewer_ids": [desk.experts[0].id], **options}
    return drafts_desk.open_queue(session, drafting, drafts_desk.QueueAsk(**chosen))


def decide(
    session: Session,
    queue: ReviewQueue,
    user: User,
    *,
    usable: str = "yes",
    correction: str | None = None,
    simulated: bool = False,
) -> Review:
    """Claim the next draft of a queue and say yes or no to it."""
    claim = review.claim_review_item(session, queue.id, user.id, now=NOW)
    assert claim is not None
    answer = review.Answer(ratings={"usable": usable}, correction=correction)
    kind = {"simulated": True, "annotator_kind": "code"} if simulated else {}
    done = review.submit_review(
        session,
        slot_id=claim.slot_id,
        version=claim.version,
        user_id=user.id,
        answer=answer,
        now=NOW,
        **kind,
    )
    return session.get_one(Review, done.review_id)

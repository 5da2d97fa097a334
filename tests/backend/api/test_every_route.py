"""Every route of the OpenAPI document, once on each database, with rows that are there.

SQLite forgives what PostgreSQL refuses (DISTINCT over JSON, NUL, integers that do not fit), so each
route runs on both, and has to come to its good end. A route that changes something has its body in
`CASES`; a route without one fails here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.api.rules import TEXTS
from backend.services import review
from backend.services.accounts.credentials import create_token, open_login_session
from backend.services.audit.actions import ACTIONS
from backend.services.review.opening.routing import Routing
from backend.services.runs import scoring
from backend.settings import Settings
from backend.tables.audit import AuditEntry
from backend.tables.curation import TrainingSetRow
from backend.tables.rounds import Round
from backend.tables.runs import ScoreRun
from backend.tables.verdicts import Comparison
from backend.tables.webhooks import WebhookDelivery
from tests.backend.api.conftest import PASSWORD, SAME_SITE, House, furnish
from tests.backend.api.test_rules import ROUTES, things_of
from tests.fixtures_quality import add_known, answer_next, outputs_of
from tests.fixtures_review import BAD, GOOD, Desk
from tests.fixtures_triage import CERTIFIED
from tests.fixtures_yields import build_turn

MARK = "raw JSON goes here"
BAR = "name: bar\nlines:\n  - {metric: exact_match, threshold: 0.5}\n"
RUBRIC = """
name: plain
guidelines: Read it.
criteria:
  - {name: faithful, question: 'Is it?', scale: yes_no}
"""
ROWS = [{"id": f"r{n}", "input": f"ask {n}", "reference": f"say {n}"} for n in range(30)]


@dataclass(frozen=True)
class Case:
    """One request: who asks, with which query and body, and how it must end."""

    by: str = "lead"
    body: Mapping[str, Any] | None = None
    query: str = ""
    status: int | None = 200  # None: refused, whatever the reason
    ids: Mapping[str, str] = field(default_factory=dict)  # path parameter -> another of `things`


QUEUE = {
    "name": "opened",
    "generation_run_id": "RUN",
    "models": ["v1"],
    "rubric": "telecom_desk",
    "reviewers": ["EXPERT"],
    "n_items": 2,
}
PLAN = {
    "adapter": "v5",
    "recipe": {"queues": ["taught"]},
    "dataset": "tickets",
    "metrics": ["exact_match"],
}
GOLD = {"answer": {"ratings": {"faithful": "no"}}, "explanation": "x", "generation": "OUTPUT"}
# In this order: what ends a thing comes after what needs it.
CASES: dict[str, Case] = {
    # The house made its verdict up, and a dossier says so instead of signing it.
    "GET /v1/comparisons/{comparison_id}/dossier": Case(status=409),
    "POST /v1/me/tokens": Case(body={"name": "mine"}, status=201),
    "DELETE /v1/me/tokens/{token_id}": Case(),
    "GET /v1/me/tokens": Case(),
    "GET /v1/me/sessions": Case(),
    "DELETE /v1/me/sessions/{session_id}": Case(),
    "POST /v1/me/password": Case(
        body={"current": PASSWORD, "new": "another horse of mine"}, status=204
    ),
    "GET /v1/me/second-factor": Case(),
    "POST /v1/me/second-factor": Case(by="engineer", body={"password": PASSWORD}),
    "POST /v1/me/second-factor/confirm": Case(by="engineer", body={"code": "000000"}, status=403),
    "POST /v1/me/second-factor/remove": Case(by="engineer", body={"password": PASSWORD}),
    "POST /v1/users/{user_id}/reset-links": Case(by="admin", body={"hours": 2}, status=201),
    "DELETE /v1/users/{user_id}/second-factor": Case(by="admin"),
    "GET /v1/users": Case(by="admin"),
    "PATCH /v1/users/{user_id}": Case(by="admin", body={"role": "expert", "active": True}),
    "PUT /v1/projects/{project_id}/users/{user_id}": Case(by="admin"),
    "DELETE /v1/projects/{project_id}/users/{user_id}": Case(
        by="admin", ids={"user_id": "leaving_id"}
    ),
    "POST /v1/users": Case(
        by="admin",
        body={"name": "nina", "role": "expert", "password": "a long enough one"},
        status=201,
    ),
    "GET /v1/jobs": Case(by="admin"),
    "GET /v1/audit": Case(by="admin"),
    "GET /v1/audit/export": Case(by="admin"),
    "GET /v1/my/review-queues": Case(by="expert"),
    "GET /v1/my/review-queues/{queue_id}": Case(by="expert"),
    "GET /v1/my/review-queues/{queue_id}/reviews": Case(by="expert"),
    "GET /v1/my/review-queues/{queue_id}/lapsed": Case(
        by="expert", query="slot_id=1&version=1", status=404
    ),
    "GET /v1/review-slots/{slot_id}/links": Case(by="expert"),
    "PUT /v1/review-slots/{slot_id}/draft": Case(
        by="expert", body={"version": "VERSION", "answer": {"comment": "half"}}
    ),
    "POST /v1/review-slots/{slot_id}/heartbeat": Case(by="expert", body={"version": "VERSION"}),
    "POST /v1/review-slots/{slot_id}/submit": Case(
        by="expert", body={"version": "VERSION", "answer": {"winner": "left"}}
    ),
    "POST /v1/review-slots/{slot_id}/skip": Case(
        by="colleague",
        body={"version": "OTHER", "reason": "not my field"},
        ids={"slot_id": "other_slot_id"},
    ),
    "POST /v1/review-queues/{queue_id}/claim": Case(by="expert"),
    "POST /v1/review-queues/{queue_id}/adjudications/claim": Case(by="expert"),
    "POST /v1/my/reviews/{review_id}/revise": Case(
        by="expert", ids={"review_id": "revised_review_id"}
    ),
    "GET /v1/my/review-queues/{queue_id}/gold-results": Case(by="expert"),
    "POST /v1/my/gold-results/{result_id}/contest": Case(by="expert", body={"reason": "no"}),
    "POST /v1/gold-results/{result_id}/resolve": Case(
        body={"resolution": "upheld", "reason": "it says so"}
    ),
    "POST /v1/projects": Case(by="admin", body={"name": "third"}, status=201),
    "POST /v1/projects/{project_id}/manifests": Case(body={"source": BAR}, status=201),
    "POST /v1/projects/{project_id}/masking-policies": Case(
        body={"source": "active: off"}, status=201
    ),
    "POST /v1/projects/{project_id}/datasets": Case(body={"name": "d", "rows": ROWS}, status=201),
    "POST /v1/projects/{project_id}/health-reports": Case(body={"dataset": "tickets"}, status=201),
    "GET /v1/health-reports/{health_report_id}/findings": Case(query="kind=duplicates"),
    "POST /v1/health-reports/{health_report_id}/review": Case(
        body={"name": "found", "reviewers": ["EXPERT"]}, status=201
    ),
    "POST /v1/projects/{project_id}/prompts": Case(
        body={"name": "brief", "source": "system: Be briefer."}, status=201
    ),
    "POST /v1/projects/{project_id}/judges": Case(
        body={"name": "pairs", "model": "base", "kind": "comparer"}, status=201
    ),
    "POST /v1/projects/{project_id}/risks": Case(body={}, status=422),  # of too few reviews
    # The desk's rows name nobody, have no slices, and its run is over no pairs.
    "POST /v1/projects/{project_id}/counterfactuals": Case(body={"dataset": "tickets"}, status=422),
    "GET /v1/generation-runs/{generation_run_id}/counterfactuals": Case(status=422),
    "GET /v1/score-runs/{score_run_id}/parity": Case(query="by=task", status=422),
    "GET /v1/review-queues/{queue_id}/parity": Case(query="by=task", status=422),
    "GET /v1/training-sets/{training_set_id}/mentions": Case(status=422),  # it has no rows
    "POST /v1/judges/{judge_id}/licences": Case(body={"queue": "q"}, status=201),
    "POST /v1/judges/{judge_id}/audit": Case(),
    "GET /v1/prompts/{prompt_id}/diff": Case(query="against=PROMPT"),
    "GET /v1/prompts/{prompt_id}/messages": Case(query="example_id=EXAMPLE"),
    "POST /v1/projects/{project_id}/model-versions": Case(
        body={"name": "v3", "path": "nowhere"}, status=None
    ),
    "POST /v1/projects/{project_id}/served-models": Case(
        body={"name": "gpt", "served_as": "gpt-4o"}, status=201
    ),
    "POST /v1/projects/{project_id}/generation-runs": Case(
        body={"dataset": "tickets", "split": "train", "models": ["base"], "metrics": ["rouge1"]},
        status=201,
    ),
    "POST /v1/projects/{project_id}/generation-runs/import": Case(
        body={
            "rows": [{"id": "train-0", "prediction": "x"}],
            "model": "vendor",
            "dataset": "tickets",
            "split": "train",
            "metrics": ["exact_match"],
        },
        status=201,
    ),
    "POST /v1/generation-runs/{generation_run_id}/score-runs": Case(
        body={"metrics": ["exact_match"]}, status=201
    ),
    "GET /v1/score-runs/{score_run_id}/differences": Case(query="baseline=BASE&candidate=V1"),
    "GET /v1/score-runs/{score_run_id}/classes": Case(
        query="model=BASE&metric=f1", ids={"score_run_id": "classified_id"}
    ),
    "POST /v1/projects/{project_id}/rubrics": Case(body={"source": RUBRIC}, status=201),
    "POST /v1/projects/{project_id}/review-designs": Case(body=QUEUE),
    "POST /v1/projects/{project_id}/review-queues": Case(body=QUEUE, status=201),
    "GET /v1/review-queues/{queue_id}/skipped": Case(ids={"queue_id": "routed_queue_id"}),
    "POST /v1/review-queues/{queue_id}/skipped/return": Case(ids={"queue_id": "routed_queue_id"}),
    "POST /v1/review-queues/{queue_id}/gold": Case(
        body={"rows": [GOLD]},
        status=201,
        ids={"queue_id": "single_queue_id"},
    ),
    "POST /v1/review-queues/{queue_id}/gold/adjudicated": Case(
        body={}, status=201, ids={"queue_id": "single_queue_id"}
    ),
    "POST /v1/gold-answers/{gold_id}/withdraw": Case(body={"reason": "wrong"}),
    "POST /v1/review-queues/{queue_id}/pauses": Case(body={"reviewer": "PSEUDONYM", "reason": "x"}),
    "POST /v1/review-queues/{queue_id}/pauses/lift": Case(body={"reviewer": "PSEUDONYM"}),
    "POST /v1/review-queues/{queue_id}/imports": Case(
        body={"source": "strop", "rows": []}, status=422
    ),
    "POST /v1/projects/{project_id}/webhooks": Case(
        body={"url": "https://hooks.example.test/x"}, status=201
    ),
    "POST /v1/webhooks/{webhook_id}/test": Case(status=202),
    "POST /v1/webhook-deliveries/{delivery_id}/retry": Case(),
    "DELETE /v1/webhooks/{webhook_id}": Case(),
    "POST /v1/projects/{project_id}/training-sets": Case(
        body={"name": "more", "recipe": {"queues": ["taught"]}}, status=201
    ),
    "POST /v1/projects/{project_id}/training-runs": Case(
        body={"training_set_id": "SET", "adapter_name": "v4"}, status=201
    ),
    "POST /v1/projects/{project_id}/comparisons": Case(
        body={"baseline": "base", "candidate": "v1"}, status=201
    ),
    "POST /v1/projects/{project_id}/dossier-answers": Case(body={"answers": {"purpose": "x"}}),
    "POST /v1/projects/{project_id}/promotions": Case(
        body={"action": "rollback", "reason": "x"}, status=409
    ),
    "GET /v1/projects/{project_id}/retention": Case(),
    "PUT /v1/projects/{project_id}/retention": Case(body={"kind": "drafts", "days": 30}),
    "GET /v1/projects/{project_id}/erasures/preview": Case(query="what=EXAMPLE"),
    "GET /v1/projects/{project_id}/lineage": Case(query="of=review:CORRECTION"),
    "GET /v1/projects/{project_id}/costs": Case(),
    "GET /v1/projects/{project_id}/yield": Case(query="of=v9"),
    "GET /v1/projects/{project_id}/yield-forecast": Case(status=422),  # of one training
    "POST /v1/projects/{project_id}/replays": Case(body={"candidate": "v9"}, status=201),
    "POST /v1/rounds/{round_id}/pause": Case(),
    "POST /v1/rounds/{round_id}/resume": Case(body={}),
    "POST /v1/rounds/{round_id}/sign": Case(body={}, status=409),
    "POST /v1/rounds/{round_id}/cancel": Case(body={"reason": "x"}),
    "POST /v1/projects/{project_id}/rounds": Case(body={"plan": PLAN}, status=201),
    "POST /v1/reviews/{review_id}/withdraw": Case(
        body={"reason": "x"}, ids={"review_id": "correction_id"}
    ),
    "POST /v1/score-runs/{score_run_id}/cancel": Case(body={}, status=409),
    "POST /v1/projects/{project_id}/draftings": Case(
        body={
            "source": {
                "kind": "documents",
                "documents": [{"name": "a.txt", "text": "The Larch plan costs 77 euros."}],
            },
            "n": 2,
        },
        status=201,
    ),
    "GET /v1/draftings/{drafting_id}/drafts": Case(query="state=waiting"),
    "POST /v1/draftings/{drafting_id}/queues": Case(
        body={"name": "drafts", "reviewers": ["EXPERT"]}, status=201
    ),
    "POST /v1/draftings/{drafting_id}/cancel": Case(body={}, status=409),
    "POST /v1/training-runs/{training_run_id}/cancel": Case(body={}, status=409),
    "POST /v1/generation-runs/{generation_run_id}/cancel": Case(body={}),
    "POST /v1/generation-runs/{generation_run_id}/resume": Case(),
    "POST /v1/review-queues/{queue_id}/close": Case(),
    "GET /v1/login": Case(by="nobody"),
    "POST /v1/login": Case(by="nobody", status=303),
    "GET /v1/login/code": Case(by="nobody", status=303),
    "POST /v1/login/code": Case(by="nobody", status=401),
    "GET /v1/oidc/start": Case(by="nobody", status=404),  # with a provider: test_oidc_sign_in
    "GET /v1/oidc/callback": Case(by="nobody", status=401),
    "POST /v1/oidc/backchannel-logout": Case(by="nobody", status=404),
    "GET /v1/reset": Case(by="nobody", status=401),
    "POST /v1/reset": Case(by="nobody", status=401),
    "GET /v1/way-in": Case(by="nobody", status=401),
    "POST /v1/way-in": Case(by="nobody", status=401),
    "GET /v1/logout": Case(by="nobody"),
    "POST /v1/logout": Case(status=303),
    "POST /v1/projects/{project_id}/erasures": Case(
        body={
            "what": "tickets:train-0",
            "reason": "consent withdrawn",
            "group": False,
            "copies": False,
        },
        status=201,
    ),
    "GET /v1/projects/{project_id}/erasures": Case(),
    "POST /v1/users/{user_id}/erase": Case(
        by="admin", body={"reason": "left"}, status=201, ids={"user_id": "leaving_id"}
    ),
}


def test_every_changing_route_has_a_case() -> None:
    changing = {name for name in ROUTES if not name.startswith("GET ")}
    assert changing - CASES.keys() == set()
    assert CASES.keys() - set(ROUTES) == set()


@dataclass
class Walk:
    """A furnished house with one living thing for every id, and the words that bodies name."""

    house: House
    things: dict[str, int]
    words: dict[str, Any]

    def ask(
        self, name: str, case: Case, *, instead: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and text of one route's answer; `instead` puts raw JSON at places of the body."""
        method, path = name.split(" ")
        ids = {key: self.things[other] for key, other in case.ids.items()}
        known = self.things | ids
        address = "/api" + re.sub(r"\{(\w+)\}", lambda found: str(known[found[1]]), path)
        query = re.sub(r"\b[A-Z][A-Z0-9]+\b", lambda found: str(self.words[found[0]]), case.query)
        options: dict[str, Any] = {"headers": SAME_SITE, "params": query or None}
        if name == "POST /v1/login":
            options["data"] = {"name": "eva", "password": PASSWORD}
        elif case.body is not None:
            sent = json.dumps(self._filled(case.body) | dict.fromkeys(instead or (), MARK))
            for literal in (instead or {}).values():
                sent = sent.replace(f'"{MARK}"', literal)
            options["content"] = sent
            options["headers"] = SAME_SITE | {"Content-Type": "application/json"}
        person = None if case.by == "nobody" else case.by
        client = self.house.client(person, raise_server_exceptions=False)
        answer = client.request(method, address, **options)
        return answer.status_code, answer.text

    def entries_after(self, last: int) -> list[AuditEntry]:
        """What came into the audit log after the entry of this id."""
        with self.house.sessions() as session:
            return list(session.scalars(select(AuditEntry).where(AuditEntry.id > last)))

    def _filled(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        return self.words.get(value, value) if isinstance(value, str) else value


@pytest.fixture
def walk(sessions: sessionmaker[Session], settings: Settings, password_hash: str) -> Walk:
    house = furnish(sessions, settings, password_hash, splits={"train": 14, "test": 3})
    with house.sessions.begin() as session:
        return walk_through(session, house)


def walk_through(session: Session, house: House) -> Walk:
    """One of everything, in the state in which its routes come to a good end."""
    desk, (expert, colleague, *_), now = house.desk, house.desk.experts, house.clock.now
    things = things_of(session, desk, expert.id, now)
    turn = build_turn(session, desk)
    turn.replay(turn.right)
    single = desk.open(session, "singles", overlap=2, overlap_share=1.0)
    add_known(session, single, desk, 2)
    revised = answer_next(session, single, expert, GOOD, now=now)
    answer_next(session, single, colleague, BAD, now=now)
    other = review.claim_review_item(session, things["queue_id"], colleague.id, now=now)
    held = review.claim_review_item(session, things["queue_id"], expert.id, now=now)
    assert other is not None
    assert held is not None
    corrected = session.scalars(
        select(TrainingSetRow.review_id).order_by(TrainingSetRow.id)
    ).first()
    assert corrected is not None
    session.get_one(Comparison, things["comparison_id"]).score_run_id = _score(session, desk)
    session.get_one(WebhookDelivery, things["delivery_id"]).state = "failed"
    round_row = session.get_one(Round, things["round_id"])
    round_row.training_set_id, round_row.candidate_id = turn.frozen.id, turn.candidate.id
    lead = house.users["lead"].id
    things |= {
        "slot_id": held.slot_id,
        "other_slot_id": other.slot_id,
        "revised_review_id": revised.id,
        "single_queue_id": single.id,
        "routed_queue_id": _routed(session, desk),
        "correction_id": corrected,
        "classified_id": _score(session, desk),
        "session_id": open_login_session(session, lead, hours=1, now=now).row_id,
        "leaving_id": house.users["engineer"].id,
        "token_id": create_token(session, house.users["lead"], "spare", now=now).row_id,
    }
    words = {
        "VERSION": held.version,
        "OTHER": other.version,
        "EXPERT": expert.name,
        "PSEUDONYM": expert.pseudonym,
        "BASE": desk.models[0].id,
        "V1": desk.models[1].id,
        "RUN": desk.run.id,
        "OUTPUT": outputs_of(session, desk, 1)[-1].id,
        "SET": turn.frozen.id,
        "CORRECTION": corrected,
        "PROMPT": things["prompt_id"],
        "EXAMPLE": outputs_of(session, desk, 1)[-1].example_id,
    }
    return Walk(house, things, words)


def _routed(session: Session, desk: Desk) -> int:
    """A queue of which all that was scored low skips."""
    score_run_id = _score(session, desk)
    routing = Routing(
        metric="exact_match",
        score_run_id=score_run_id,
        threshold=1.0,
        lower_is_better=True,
        epsilon=0.1,
        delta=0.1,
        audit=0.2,
        wrong_when="marked",
        evidence=CERTIFIED,
    )
    return desk.open(session, "routed", routing=routing).id


def _score(session: Session, desk: Desk) -> int:
    """The desk's run as one over the test split, scored."""
    desk.run.split = "test"
    metrics = [{"metric": name, "slice": {}} for name in ("f1", "exact_match")]
    run = ScoreRun(generation_run_id=desk.run.id, metrics=metrics)
    session.add_all([desk.run, run])
    session.flush()
    units = scoring.pending_units(session, run.id)
    texts = scoring.load_generations(session, [unit.generation_id for unit in units])
    scoring.save_scores(session, run.id, scoring.score_units(units, texts))
    return run.id


# What the examples and references of a desk say, and nothing else does.
TEXT = re.compile(r"Summarise \w+ call|customer \d+ pays|EUR 1\d\.90")


# What the examples and references of a desk say, and nothing else does.
TEXT = re.compile(r"Summarise \w+ call|customer \d+ pays|EUR 1\d\.90")


def test_every_route_once(walk: Walk) -> None:
    """First what only looks, with everything there; then what changes things, in order.

    An answer that holds a text has its entry in the audit log when it comes, and no other route's.
    """
    looking = [name for name in ROUTES if name.startswith("GET ") and name not in CASES]
    order = [*looking, *CASES]
    wrong, noted, last = [], set(), 0
    for name in order:
        case = CASES.get(name, Case())
        status, text = walk.ask(name, case)
        right = status == case.status or (case.status is None and 400 <= status < 500)
        if not right:
            wrong.append(f"{name}: {status}, not {case.status}: {text[:300]}")
        reads = [row for row in walk.entries_after(last) if ACTIONS[row.action].reads]
        last = max([last, *(row.id for row in reads)])
        if status < 300 and TEXT.search(text) and not reads:
            wrong.append(f"{name}: a text, and no entry in the audit log")
        if not {row.detail["route"] for row in reads} <= {name} & TEXTS.keys():
            wrong.append(f"{name}: entries of other routes")
        noted |= {name for _ in reads}
    assert not wrong, "\n".join(wrong)
    assert len(noted) > 15
    told = json.dumps([row.detail for row in walk.entries_after(0)])
    assert not TEXT.search(told), "texts in the audit log"

"""The table of rules, tried in full: every route, every kind of person, own and foreign things.

The cases are made from the OpenAPI document, so a route without a rule, or a rule without a route,
fails here, and a route whose rule is too wide shows.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from backend.api.app import route_names
from backend.api.authorize import COOKIE
from backend.api.rules import RULES, Access
from backend.db import open_database, session_factory
from backend.schemas.health import Gain
from backend.services import review
from backend.services.accounts.access import MEMBERS, OWNERS
from backend.services.accounts.credentials import (
    close_login_session,
    create_token,
    open_login_session,
    revoke_token,
)
from backend.services.checks.judges.judges import add_judge
from backend.services.datasets.health.findings import (
    FindingSeverity,
    Flagged,
    KindFindings,
    KindReport,
)
from backend.services.datasets.health.kinds import Examination
from backend.services.datasets.health.reports import HealthRequest, ask_report, keep_report
from backend.services.datasets.masking.keys import keys_of
from backend.services.datasets.masking.stored import set_masking_policy
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.tables.accounts import User
from backend.tables.checks.risk import RiskVersion
from backend.tables.curation import TrainingSet
from backend.tables.datasets import Example
from backend.tables.health import HealthReport
from backend.tables.masking import ExampleMask, MaskedOriginal
from backend.tables.projects import SuccessManifest
from backend.tables.review import GoldAnswer, GoldResult, Review
from backend.tables.rounds import Round
from backend.tables.runs import Generation, ScoreRun
from backend.tables.training import TrainingRun
from backend.tables.verdicts import Comparison
from backend.tables.webhooks import Webhook, WebhookDelivery
from tests.backend.api.conftest import APP, PASSWORD, SAME_SITE, House, bare_app
from tests.conftest import MASKING_KEY
from tests.fixtures_review import NOW, Desk
from tests.fixtures_synthetic import DOCUMENTS, ask_documents, draft_here

PLAN = {"adapter": "v2", "recipe": {"queues": ["q"]}, "dataset": "d", "metrics": ["f1"]}
PEOPLE = ("nobody", "expert", "engineer", "lead", "admin")
STRANGERS = ("outsider", "stranger")  # an expert and an engineer of another project
OWN_ID = re.compile("token_id|session_id")  # of the asker's own things, in no project
# What these ask for is no sign-in: a link's token, a password before, a provider that is set.
AT_THE_DOOR = {
    "POST /v1/login/code": 401,
    "GET /v1/reset": 401,
    "POST /v1/reset": 401,
    "GET /v1/way-in": 401,
    "POST /v1/way-in": 401,
    "GET /v1/oidc/start": 404,
    "GET /v1/oidc/callback": 401,
    "POST /v1/oidc/backchannel-logout": 404,
}
UNLISTED = ["GET /openapi.json", "GET /docs"]
PASSES = {200, 201, 202, 204, 303, 409, 422}  # the gate let it through; the route itself may refuse

# Who passes the gate for a thing of their own project or queue, and for a foreign one.
OWN: dict[Access, set[str]] = {
    Access.PUBLIC: {"nobody", "expert", "engineer", "lead", "admin"},
    Access.PROVIDER: {"nobody", "expert", "engineer", "lead", "admin"},
    Access.SIGNED_IN: {"expert", "engineer", "lead", "admin"},
    Access.REVIEWER: {"expert"},
    Access.ENGINEER: {"engineer", "lead", "admin"},
    Access.LEAD: {"lead", "admin"},
    Access.ADMIN: {"admin"},
}
OPEN = (Access.PUBLIC, Access.PROVIDER)
FOREIGN: dict[Access, set[str]] = {
    Access.REVIEWER: set(),
    Access.ENGINEER: {"admin"},
    Access.LEAD: {"admin"},
    Access.ADMIN: {"admin"},
}


@dataclass(frozen=True)
class World:
    """The house, with one thing of every kind in our project and in the foreign one."""

    house: House
    own: dict[str, int]
    foreign: dict[str, int]


def operations(document: dict[str, Any]) -> list[str]:
    """Every operation of an OpenAPI document as `METHOD path`, as the rules name it."""
    return [
        f"{method.upper()} {path}"
        for path, described in document["paths"].items()
        for method in described
    ]


ROUTES = [*operations(APP.openapi()), *UNLISTED]


RISK_REPORT: dict[str, Any] = {
    "figures": [],
    "reliability": [],
    "kind": "logistic",
    "features": ["invented"],
    "left_out": {},
    "n_groups": 60,
    "n_effective": 60.0,
}


def masked_example(session: Session, desk: Desk) -> int:
    """An example that counts as masked, in a project that masks no more."""
    keys = keys_of(MASKING_KEY)
    policy = set_masking_policy(session, desk.project.id, "active: off", keys=keys)
    query = select(Example.id).where(Example.dataset_version_id == desk.version.id)
    example_id = session.scalars(query.order_by(Example.id)).first()
    assert example_id is not None
    session.add(ExampleMask(example_id=example_id, policy_id=policy.id, spans=[]))
    sealed = keys[0].seal(json.dumps({"id": "e", "input": "Ask Anna."}))
    session.add(MaskedOriginal(example_id=example_id, key_id=keys[0].key_id, sealed=sealed))
    session.flush()
    return example_id


def examined(session: Session, desk: Desk, now: datetime) -> HealthReport:
    """A report that flags two examples."""
    report = ask_report(session, desk.project.id, HealthRequest("tickets"))
    found = KindFindings(
        tuple(Flagged(f"train-{n}", "reference", "Holds residue.") for n in range(2)),
        6,
        Gain("Nothing is told."),
    )
    kinds = (KindReport("residue", "Residue", "Strip it.", FindingSeverity.SEVERE, found),)
    examination = Examination(6, {"train": 6}, "texts", "0" * 64, {"seed": 0}, kinds)
    keep_report(session, report.id, examination, now=now)
    return report


def things_of(session: Session, desk: Desk, reviewer_id: int, now: datetime) -> dict[str, int]:
    run, version = desk.run, desk.version
    queue_id = desk.open(session, "more pairs", kind="pair").id
    scored = ScoreRun(generation_run_id=run.id, metrics=[])
    bar = {"name": "bar", "lines": [{"metric": "win_rate", "threshold": 0.5}]}
    manifest = SuccessManifest(
        project_id=desk.project.id, version=1, digest="0" * 64, content=bar, source="x"
    )
    session.add_all([scored, manifest])
    session.flush()
    frozen = TrainingSet(project_id=desk.project.id, name="t", recipe={}, digest="0" * 64, n_rows=0)
    session.add(frozen)
    session.flush()
    trained = TrainingRun(
        project_id=desk.project.id,
        training_set_id=frozen.id,
        manifest_id=manifest.id,
        adapter_name="v2",
        config={},
        output_dir="nowhere",
    )
    compared = Comparison(
        project_id=desk.project.id,
        manifest_id=manifest.id,
        score_run_id=scored.id,
        baseline_id=desk.models[0].id,
        candidate_id=desk.models[1].id,
        verdict="PASS",
        lines=[],
    )
    session.add_all([trained, compared])
    session.flush()
    claim = review.claim_review_item(session, queue_id, reviewer_id, now=now)
    assert claim is not None
    written = session.query(Generation).filter_by(run_id=run.id).order_by(Generation.id).first()
    assert written is not None
    review_id = session.query(Review.id).filter_by(slot_id=claim.slot_id).scalar()
    known = GoldAnswer(item_id=claim.item_id, answer={"winner": "a"}, explanation="x")
    session.add(known)
    session.flush()
    judged = GoldResult(
        gold_id=known.id, review_id=review_id, user_id=reviewer_id, score=1.0, passed=True
    )
    spec = parse_prompt("system: Be brief.")
    prompt = add_prompt(session, desk.project.id, "brief", spec)
    strict = add_judge(session, desk.project.id, "strict", model="base", criterion="faithful")
    example_id = masked_example(session, desk)
    told = Webhook(project_id=desk.project.id, url="https://x.test", secret="s", events=[])
    turn = Round(project_id=desk.project.id, number=1, plan=PLAN, started_at=now, since=now)
    learned = RiskVersion(
        project_id=desk.project.id,
        version=1,
        content={},
        wrong_when="marked",
        splits=["train"],
        score_run_ids=[scored.id],
        report=RISK_REPORT,
        n=60,
        positives=20,
    )
    drafting_id = draft_here(session, desk.project.id, ask_documents(DOCUMENTS[:2], n=2))
    session.add_all([judged, told, turn, learned])
    session.flush()
    sent = WebhookDelivery(webhook_id=told.id, event="e", key="k", payload={}, next_attempt_at=now)
    session.add(sent)
    session.flush()
    return {
        "webhook_id": told.id,
        "judge_id": strict.id,
        "delivery_id": sent.id,
        "gold_id": known.id,
        "result_id": judged.id,
        "review_id": review_id,
        "project_id": desk.project.id,
        "dataset_version_id": version.id,
        "example_id": example_id,
        "health_report_id": examined(session, desk, now).id,
        "prompt_id": prompt.id,
        "generation_run_id": run.id,
        "generation_id": written.id,
        "score_run_id": scored.id,
        "queue_id": queue_id,
        "slot_id": claim.slot_id,
        "drafting_id": drafting_id,
        "training_set_id": frozen.id,
        "training_run_id": trained.id,
        "comparison_id": compared.id,
        "round_id": turn.id,
        "risk_id": learned.id,
        "token_id": 0,
        "session_id": 0,
        "user_id": reviewer_id,
    }


@dataclass(frozen=True)
class Filled:
    """The file of a house with one thing of every kind in both projects, and their ids."""

    file: Path
    own: dict[str, int]
    foreign: dict[str, int]


@pytest.fixture(scope="module")
def filled(furnished: tuple[Path, House], tmp_path_factory: pytest.TempPathFactory) -> Filled:
    path, house = furnished
    file = Path(shutil.copy(path, tmp_path_factory.mktemp("filled")))
    engine = open_database(f"sqlite:///{file}")
    with session_factory(engine).begin() as session:
        expert, outsider = house.users["expert"].id, house.users["outsider"].id
        own = things_of(session, house.desk, expert, NOW)
        foreign = things_of(session, house.foreign, outsider, NOW)
    engine.dispose()
    return Filled(file, own, foreign)


@pytest.fixture
def house_file(filled: Filled) -> Path:
    return filled.file


@pytest.fixture
def world(house: House, filled: Filled) -> World:
    return World(house, filled.own, filled.foreign)


NEEDS_A_BODY = {"POST /v1/users/{user_id}/erase"}  # of those that ask for no project first


def ask(client: TestClient, name: str, things: dict[str, int], **options: Any) -> int:
    """The status of a request with an empty body; `things` fill the path."""
    method, path = name.split(" ")
    address = "/api" + re.sub(r"\{(\w+)\}", lambda found: str(things[found[1]]), path)
    options.setdefault("headers", SAME_SITE)
    if name == "POST /v1/login":
        form = {"name": "eva", "password": PASSWORD}
        return client.post(address, data=form, **options).status_code
    body = {} if method in {"POST", "PUT", "PATCH"} else None
    return client.request(method, address, json=body, **options).status_code


def client_of(world: World, person: str) -> TestClient:
    """A client that keeps no cookie of the sign-in that it tries."""
    client = world.house.client(None if person == "nobody" else person)
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _not_mine(name: str) -> set[int]:
    """How an engineer of elsewhere is refused: what is for admins says so."""
    return {403} if RULES[name] is Access.ADMIN else {404}


@pytest.mark.parametrize("person", PEOPLE)
def test_own_things(world: World, person: str) -> None:
    wrong, client = [], client_of(world, person)
    for name in ROUTES:
        allowed = person in OWN[RULES[name]]
        status = ask(client, name, world.own)
        if status == AT_THE_DOOR.get(name):
            continue
        if allowed and status not in PASSES and not (status == 404 and OWN_ID.search(name)):
            wrong.append((name, status))
        if not allowed and status not in ({401} if person == "nobody" else {403, 404}):
            wrong.append((name, status))
    assert wrong == []


@pytest.mark.parametrize("person", PEOPLE)
def test_foreign_things(world: World, person: str) -> None:
    wrong, client = [], client_of(world, person)
    for name in ROUTES:
        if "_id}" not in name or OWN_ID.search(name):
            continue
        allowed = person in FOREIGN[RULES[name]]
        status = ask(client, name, world.foreign)
        refusals = {"nobody": {401}, "expert": {403, 404}}.get(person, _not_mine(name))
        if status not in (PASSES if allowed else refusals):
            wrong.append((name, status))
    assert wrong == []


@pytest.mark.parametrize("person", ["expert", "engineer", "lead", "admin"])
def test_things_that_do_not_exist(world: World, person: str) -> None:
    nothing, client = dict.fromkeys(world.own, 999_999), client_of(world, person)
    for name in ROUTES:
        if "_id}" in name:
            for_admins = person == "admin" and name in NEEDS_A_BODY
            assert ask(client, name, nothing) in ({422} if for_admins else {403, 404}), name


@pytest.mark.parametrize("person", STRANGERS)
def test_people_of_another_project(world: World, person: str) -> None:
    """They reach what asks for no project, as far as their role goes, and nothing of ours."""
    alike = {"outsider": "expert", "stranger": "engineer"}[person]
    wrong, client = [], client_of(world, person)
    for name in ROUTES:
        status = ask(client, name, world.own)
        if "_id}" in name:
            right = status in ({403, 404} if person == "outsider" else _not_mine(name))
        else:
            passed = status in PASSES or status == AT_THE_DOOR.get(name)
            right = passed is (alike in OWN[RULES[name]])
        if not right:
            wrong.append((name, status))
    assert wrong == []


def no_token(house: House) -> dict[str, str]:
    return {"Authorization": "Bearer strop_" + "x" * 40}


def revoked_token(house: House) -> dict[str, str]:
    with house.sessions.begin() as session:
        secret = create_token(session, house.users["admin"], "gone", now=house.clock.now)
        revoke_token(session, secret.row_id, now=house.clock.now)
    return {"Authorization": f"Bearer {secret.value}"}


def expired_token(house: House) -> dict[str, str]:
    with house.sessions.begin() as session:
        made = house.clock.now - timedelta(days=2)
        secret = create_token(session, house.users["admin"], "old", days=1, now=made)
    return {"Authorization": f"Bearer {secret.value}"}


def token_of_one_who_left(house: House) -> dict[str, str]:
    with house.sessions.begin() as session:
        session.query(User).filter_by(name="ada").update({"active": False})
    return {"Authorization": f"Bearer {house.tokens['admin']}"}


def ended_cookie(house: House) -> dict[str, str]:
    with house.sessions.begin() as session:
        admin, now = house.users["admin"], house.clock.now
        secret = open_login_session(session, admin.id, hours=1, now=now).value
        close_login_session(session, secret, now=now)
    return {"Cookie": f"{COOKIE}={secret}"}


@pytest.mark.parametrize(
    "credential", [no_token, revoked_token, expired_token, token_of_one_who_left, ended_cookie]
)
def test_credentials_that_stand_for_nobody(
    world: World, credential: Callable[[House], dict[str, str]]
) -> None:
    headers, client = {**SAME_SITE, **credential(world.house)}, client_of(world, "nobody")
    closed = [name for name in ROUTES if RULES[name] not in OPEN]
    reached = [name for name in closed if ask(client, name, world.own, headers=headers) != 401]
    assert reached == []


def test_that_a_cookie_changes_nothing_from_another_site(world: World) -> None:
    """The browser of an admin, made to ask by somebody else's page."""
    with world.house.sessions.begin() as session:
        admin, now = world.house.users["admin"], world.house.clock.now
        secret = open_login_session(session, admin.id, hours=1, now=now).value
    headers = {"Cookie": f"{COOKIE}={secret}", "Sec-Fetch-Site": "cross-site"}
    client = client_of(world, "nobody")
    changing = [
        name
        for name in ROUTES
        if not name.startswith("GET ") and RULES[name] is not Access.PROVIDER
    ]
    passed = [name for name in changing if ask(client, name, world.own, headers=headers) != 403]
    assert passed == []


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert sorted(ROUTES) == sorted(RULES)


def test_that_no_route_hides_from_the_document() -> None:
    assert sorted(ROUTES) == sorted(route_names(APP))


def test_that_every_id_of_a_path_is_tried(world: World) -> None:
    asked = {parameter for name in ROUTES for parameter in re.findall(r"\{(\w+)\}", name)}
    assert asked <= world.own.keys()


def test_route_without_a_rule_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, "GET /v1/jobs")
    with pytest.raises(RuntimeError, match="GET /v1/jobs"):
        bare_app()


def test_all_that_an_expert_reaches_is_their_own() -> None:
    """The routes open to experts, by name: a new one has to be thought about here."""
    reached = {name for name in ROUTES if "expert" in OWN[RULES[name]]}
    assert {name for name in reached if RULES[name] not in OPEN} == {
        "POST /v1/logout",
        "GET /v1/me",
        "GET /v1/me/second-factor",
        "POST /v1/me/second-factor",
        "POST /v1/me/second-factor/confirm",
        "POST /v1/me/second-factor/remove",
        "POST /v1/me/password",
        "GET /v1/me/sessions",
        "DELETE /v1/me/sessions/{session_id}",
        "GET /v1/projects",
        "GET /v1/my/review-queues",
        "GET /v1/my/review-queues/{queue_id}",
        "GET /v1/my/review-queues/{queue_id}/reviews",
        "POST /v1/review-queues/{queue_id}/claim",
        "PUT /v1/review-slots/{slot_id}/draft",
        "POST /v1/review-slots/{slot_id}/heartbeat",
        "POST /v1/review-slots/{slot_id}/submit",
        "POST /v1/review-slots/{slot_id}/skip",
        "GET /v1/my/review-queues/{queue_id}/lapsed",
        "GET /v1/review-slots/{slot_id}/links",
        "POST /v1/my/reviews/{review_id}/revise",
        "POST /v1/review-queues/{queue_id}/adjudications/claim",
        "GET /v1/my/review-queues/{queue_id}/gold-results",
        "POST /v1/my/gold-results/{result_id}/contest",
    }


def test_public_routes_are_few() -> None:
    assert {name for name in ROUTES if RULES[name] in OPEN} == {
        "GET /v1/login/code",
        "POST /v1/login/code",
        "GET /v1/sign-in-ways",
        "GET /v1/oidc/start",
        "GET /v1/oidc/callback",
        "POST /v1/oidc/backchannel-logout",
        "GET /v1/reset",
        "POST /v1/reset",
        "GET /v1/way-in",
        "POST /v1/way-in",
        "GET /healthz",
        "GET /docs",
        "GET /openapi.json",
        "GET /v1/login",
        "POST /v1/login",
        "GET /v1/logout",
    }


def test_what_an_admin_alone_may_call() -> None:
    """By name, since all other tests take the table's word for who is admitted."""
    assert {name for name in ROUTES if RULES[name] is Access.ADMIN} == {
        "GET /v1/users",
        "POST /v1/users",
        "PATCH /v1/users/{user_id}",
        "POST /v1/users/{user_id}/reset-links",
        "DELETE /v1/users/{user_id}/second-factor",
        "POST /v1/users/{user_id}/erase",
        "PUT /v1/projects/{project_id}/users/{user_id}",
        "DELETE /v1/projects/{project_id}/users/{user_id}",
        "POST /v1/projects",
        "GET /v1/audit",
        "GET /v1/audit/export",
        "GET /v1/jobs",
    }


def test_rules_name_ids_that_the_gate_knows() -> None:
    for name in ROUTES:
        parameters = re.findall(r"\{(\w+)\}", name)
        if parameters and RULES[name] is Access.REVIEWER:
            assert parameters[0] in MEMBERS, name
        elif parameters:
            of_nobody = OWN_ID.search(name) or RULES[name] is Access.ADMIN
            assert parameters[0] in OWNERS or of_nobody, name

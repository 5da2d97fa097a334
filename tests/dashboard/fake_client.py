"""A client that answers from memory, for tests of the desk and of the pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.api.routes.projects import list_kinds
from backend.client import StropClient
from backend.errors import CannotCompute, NotFound, StropError
from backend.rubrics import Rubric, find_rubric
from backend.schemas.accounts import (
    EnrolmentOut,
    Me,
    RecoveryCodes,
    SecondFactorOut,
    UserOut,
)
from backend.schemas.audit import AuditEntryOut, AuditStatus
from backend.schemas.checks.benches import CheckBenchOut
from backend.schemas.checks.checkers import CheckerOut
from backend.schemas.checks.risk import RiskVersionOut
from backend.schemas.common import Page
from backend.schemas.costs import CostReport
from backend.schemas.curation import TrainingSetOut
from backend.schemas.dossier import DossierKeyOut
from backend.schemas.masking import MaskingOut, MaskingPolicyOut, OriginalOut
from backend.schemas.models import ModelVersionOut, PreflightOut
from backend.schemas.projects import KindsOut, ManifestOut, ProjectOut
from backend.schemas.prompts import PromptDiff, PromptOut
from backend.schemas.queue import JobOut
from backend.schemas.review.desk import (
    AdjudicationView,
    AnswerIn,
    ClaimAnswer,
    ClaimOut,
    FlaggedSpan,
    GoldFeedback,
    ItemView,
    LeaseOut,
    LinkOut,
    OutputText,
    OwnReview,
    QueueProgress,
    ReviewQueueForMe,
    ReviewReceipt,
)
from backend.schemas.review.queues import PreferencesOut, ReviewOut, ReviewQueueOut
from backend.schemas.rounds import LineageOut, RoundOut
from backend.schemas.runs import (
    DifferenceOut,
    FigureOut,
    GenerationDetail,
    GenerationOut,
    GenerationRunOut,
    ScoreRunDetail,
)
from backend.schemas.synthetic import DraftingOut, DraftOut
from backend.schemas.training import TrainingProgress, TrainingRunOut
from backend.schemas.verdicts import (
    BarOut,
    ComparisonDetail,
    ComparisonOut,
    FlipOut,
    FlipsOut,
    PromotionIn,
    PromotionOut,
    SliceOut,
)
from backend.schemas.yields import CurveForecastOut, RoundPointOut, YieldOut
from tests.dashboard.fake_checks import FakeChecks
from tests.dashboard.fake_fairness import FakeFairness, fairness_things
from tests.dashboard.fake_health import FakeHealth
from tests.dashboard.fake_reports import FakeReports
from tests.dashboard.review_figures import figures_of_queues

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> ![x](http://evil.example/x.png) **b** \x1b[31m \u202ex $y$ `c`"


def progress(done: int, *, total: int = 3, leased: int = 0) -> QueueProgress:
    """A queue's progress."""
    return QueueProgress(
        total=total, done=done, leased=leased, open=total - done - leased, mine=done
    )


def single_item(text: str = "Pay 39 EUR.", *, flags: tuple[FlaggedSpan, ...] = ()) -> ItemView:
    """An item with one output."""
    return ItemView(
        input="Summarise.",
        context="She pays 34 EUR.",
        output=OutputText(text=text, flagged=list(flags)),
    )


def pair_item() -> ItemView:
    """A blind pair."""
    return ItemView(
        input="Summarise.",
        context=None,
        left=OutputText(text="left words"),
        right=OutputText(text="right words"),
    )


RESOURCES = {*vars(StropClient("http://127.0.0.1:1"))}


@dataclass(frozen=True)
class FakeResource:
    """`client.queues.list(...)` is the fake's own method `queues_list`."""

    client: Any
    name: str

    def __getattr__(self, method: str) -> Any:
        return getattr(self.client, f"{self.name}_{method}")


@dataclass
class FakeClient(FakeReports, FakeChecks, FakeFairness, FakeHealth):
    """Answers from `items`; remembers what was sent.

    Attributes:
        fail: method name -> error to raise, once each time it is called, until taken out.
    """

    role: str = "expert"
    kind: str = "single"
    rubric: Rubric = field(default_factory=lambda: find_rubric("telecom_desk"))
    items: list[ItemView] = field(default_factory=lambda: [single_item() for _ in range(3)])
    drafts: dict[int, AnswerIn] = field(default_factory=dict)
    factor: SecondFactorOut = field(
        default_factory=lambda: SecondFactorOut(
            offered=True, on=False, required=False, recovery_codes_left=0
        )
    )
    typed: list[str] = field(default_factory=list)
    signed_out_at: str | None = None
    submitted: dict[int, AnswerIn] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)
    fail: dict[str, StropError] = field(default_factory=dict)
    receipt: dict[str, Any] = field(default_factory=dict)
    contested: dict[int, str] = field(default_factory=dict)
    linked: list[LinkOut] = field(default_factory=list)
    gold_results: list[GoldFeedback] = field(default_factory=list)
    revisable: bool = True
    went_to_a_colleague: tuple[int, int] | None = None
    adjudication: AdjudicationView | None = None
    reason: Any = None
    message: str | None = None
    held_by_others: int = 0
    n_queues: int = 1
    project: dict[str, Any] = field(default_factory=dict)
    cancelled: list[tuple[str, int, str | None]] = field(default_factory=list)

    def __getattr__(self, name: str) -> FakeResource:
        if name not in RESOURCES:
            raise AttributeError(name)
        return FakeResource(self, name)

    def _may_fail(self, name: str) -> None:
        if name in self.fail:
            raise self.fail[name]

    @property
    def at(self) -> int:
        """Index of the item in hand."""
        return len(self.submitted) + len(self.skipped)

    def accounts_me(self) -> Me:
        self._may_fail("me")
        shown = ProjectOut(id=1, name="desk", base_model="base", created_at=NOW)
        projects = [] if self.role == "expert" else [shown]
        return Me(id=1, name="anna", pseudonym="E-7", role=self.role, projects=projects)

    def accounts_sign_out(self) -> str | None:
        self.signed_out = True
        return self.signed_out_at

    def accounts_second_factor(self) -> SecondFactorOut:
        return self.factor

    def accounts_begin_second_factor(self, password: str) -> EnrolmentOut:
        self._may_fail("begin_second_factor")
        self.typed.append(password)
        drawn = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>"
        return EnrolmentOut(secret="SECRET23", uri="otpauth://totp/x", qr_svg=drawn)

    def accounts_confirm_second_factor(self, code: str) -> RecoveryCodes:
        self._may_fail("confirm_second_factor")
        self.typed.append(code)
        self.factor = self.factor.model_copy(update={"on": True, "recovery_codes_left": 2})
        return RecoveryCodes(codes=["aaaa-bbbb", "cccc-dddd"])

    def accounts_remove_second_factor(self, password: str) -> SecondFactorOut:
        self.typed.append(password)
        self.factor = self.factor.model_copy(update={"on": False})
        return self.factor

    def desk_queues(self) -> list[ReviewQueueForMe]:
        self._may_fail("my_queues")
        return [
            ReviewQueueForMe(
                id=number,
                name=f"queue {number}",
                kind=self.kind,
                closed=False,
                rubric=self.rubric,
                progress=progress(self.at, total=len(self.items)),
                left_for_me=len(self.items) - self.at,
            )
            for number in range(1, self.n_queues + 1)
        ]

    def desk_claim(self, queue_id: int) -> ClaimAnswer:
        self._may_fail("claim")
        where = progress(self.at, total=len(self.items) + self.held_by_others)
        if self.at >= len(self.items):
            return ClaimAnswer(claim=None, progress=where, reason=self.reason, message=self.message)
        claim = self._claim(self.at + 1)
        return ClaimAnswer(claim=claim, progress=where)

    def _claim(self, slot_id: int, *, version: int = 1) -> ClaimOut:
        return ClaimOut(
            slot_id=slot_id,
            version=version,
            lease_until=NOW + timedelta(seconds=600),
            resumed=False,
            kind=self.kind,
            item=self.items[slot_id - 1],
            draft=self.drafts.get(slot_id),
            progress=progress(self.at, total=len(self.items) + self.held_by_others),
        )

    def desk_heartbeat(self, slot_id: int, version: int) -> LeaseOut:
        self._may_fail("heartbeat")
        return LeaseOut(slot_id=slot_id, version=version, lease_until=NOW, at=NOW)

    def desk_save_draft(self, slot_id: int, version: int, answer: AnswerIn) -> LeaseOut:
        self._may_fail("save_draft")
        self.drafts[slot_id] = answer
        return LeaseOut(slot_id=slot_id, version=version, lease_until=NOW, at=NOW)

    def desk_submit(
        self, slot_id: int, version: int, answer: AnswerIn, *, next: bool = False
    ) -> ReviewReceipt:
        self._may_fail("submit")
        self.submitted[slot_id] = answer
        return ReviewReceipt(
            review_id=slot_id,
            state="submitted",
            next=self.desk_claim(1) if next else None,
            **self.receipt,
        )

    def desk_skip(
        self, slot_id: int, version: int, reason: str, *, next: bool = False
    ) -> ReviewReceipt:
        self._may_fail("skip")
        self.skipped[slot_id] = reason
        return ReviewReceipt(
            review_id=slot_id, state="skipped", next=self.desk_claim(1) if next else None
        )

    def desk_revise(self, review_id: int) -> ClaimAnswer:
        self._may_fail("revise")
        again = {"draft": self.submitted.get(review_id), "revising": review_id in self.submitted}
        self.skipped.pop(review_id, None)
        claim = self._claim(review_id, version=2).model_copy(update=again)
        return ClaimAnswer(claim=claim, progress=claim.progress)

    def desk_claim_adjudication(self, queue_id: int) -> ClaimAnswer:
        self._may_fail("claim_adjudication")
        where = progress(self.at, total=len(self.items))
        if self.adjudication is None:
            return ClaimAnswer(claim=None, progress=where)
        claim = self._claim(1, version=7).model_copy(update={"adjudication": self.adjudication})
        return ClaimAnswer(claim=claim, progress=where)

    def desk_contest_gold(self, result_id: int, reason: str) -> GoldFeedback:
        self._may_fail("contest_gold")
        self.contested[result_id] = reason
        found: GoldFeedback = self.receipt["gold"]
        return found

    def desk_gold_results(self, queue_id: int) -> list[GoldFeedback]:
        self._may_fail("my_gold_results")
        return self.gold_results

    def desk_links(self, slot_id: int) -> list[LinkOut]:
        self._may_fail("links")
        return self.linked

    def desk_lapsed(self, queue_id: int, slot_id: int, version: int) -> ClaimAnswer:
        self._may_fail("lapsed")
        if (slot_id, version) != self.went_to_a_colleague:
            raise NotFound("No such item of yours has lapsed.")
        claim = self._claim(slot_id, version=version)
        return ClaimAnswer(claim=claim, progress=claim.progress)

    def desk_reviews(self, queue_id: int, *, limit: int = 20) -> list[OwnReview]:
        return [
            OwnReview(
                review_id=slot,
                slot_id=slot,
                state="submitted",
                submitted_at=NOW,
                simulated=False,
                skip_reason=None,
                revisable_until=NOW if self.revisable else None,
                item=self.items[slot - 1],
                answer=answer,
            )
            for slot, answer in list(self.submitted.items())[-limit:]
        ]

    # what engineers see: lists of shapes from `project`, by the name of the method

    def _list(self, name: str) -> list[Any]:
        self._may_fail(name)
        return list(self.project.get(name, []))

    def projects_kinds(self) -> KindsOut:
        return list_kinds()

    def projects_manifests(self, project_id: int) -> list[ManifestOut]:
        return self._list("list_manifests")

    def verdicts_list(self, project_id: int) -> list[ComparisonOut]:
        return self._list("list_comparisons")

    def verdicts_get(self, comparison_id: int) -> ComparisonDetail:
        return self.project["comparison"]

    def verdicts_slices(self, comparison_id: int) -> list[SliceOut]:
        return self._list("slices")

    def verdicts_flips(
        self, comparison_id: int, *, metric: str | None = None, limit: int = 5
    ) -> FlipsOut:
        return self.project["flips"]

    def verdicts_promote(self, project_id: int, body: PromotionIn) -> PromotionOut:
        self.project.setdefault("promoted", []).append(body)
        self._may_fail("verdicts_promote")
        return self.project["list_promotions"][0]

    def prompts_list(self, project_id: int, *, tried: bool = False) -> list[PromptOut]:
        return self._list("list_prompts")

    def prompts_diff(self, prompt_id: int, *, against: int) -> PromptDiff:
        return PromptDiff(old="brief@1", new="brief@2", lines=["-a", f"+{HOSTILE}"])

    def models_list(self, project_id: int) -> list[ModelVersionOut]:
        return self._list("list_models")

    def queues_list(self, project_id: int) -> list[ReviewQueueOut]:
        return self._list("list_queues")

    def jobs_list(self, project_id: int) -> list[JobOut]:
        return self._list("list_jobs")

    def jobs_cancel_run(self, run_id: int, reason: str | None = None) -> None:
        self.cancelled.append(("run", run_id, reason))

    def jobs_cancel_training(self, run_id: int, reason: str | None = None) -> None:
        self.cancelled.append(("training", run_id, reason))

    def rounds_list(self, project_id: int) -> list[RoundOut]:
        return self._list("list_rounds")

    def checks_checkers(self, project_id: int) -> list[CheckerOut]:
        return self._list("checkers")

    def risks_list(self, project_id: int) -> list[RiskVersionOut]:
        return self._list("list_risks")

    def checks_benches(self, project_id: int) -> list[CheckBenchOut]:
        return self._list("check_benches")

    def yields_curve(self, project_id: int) -> list[RoundPointOut]:
        return self._list("yield_curve")

    def yields_forecast(self, project_id: int) -> CurveForecastOut:
        if "yield_forecast" not in self.project:
            raise CannotCompute("No held-out run has scored two models.")
        return self.project["yield_forecast"]

    def yields_of_round(self, round_id: int, *, examples: int = 0) -> YieldOut:
        return self.project["round_yield"]

    def costs_of(self, project_id: int, *, limit: int = 20) -> CostReport:
        return self.project.get("costs", costs_shown(empty=True))

    def masking_show(self, project_id: int) -> MaskingOut:
        bare = masking_shown().model_copy(update={"policy": None, "n_originals": 0})
        return self.project.get("masking", bare)

    def masking_original(self, example_id: int) -> OriginalOut:
        self._may_fail("original")
        return OriginalOut(example_id=example_id, original={"input": HOSTILE})

    def audit_status(self) -> AuditStatus:
        empty = audit_log()["audit_status"].model_copy(update={"sealed": 0, "findings": []})
        return self.project.get("audit_status", empty)

    def audit_of_project(self, project_id: int, **asked: Any) -> Page[AuditEntryOut]:
        self.project.setdefault("audit_asked", []).append((project_id, asked))
        self._may_fail("audit")
        n = int(asked["cursor"] or 0)
        more = str(n + 1) if n < 2 else None
        return Page[AuditEntryOut](items=self._list("audit_entries"), next=more)

    def audit_list(self, **asked: Any) -> Page[AuditEntryOut]:
        return self.audit_of_project(0, **asked)

    def lineage_of(self, project_id: int, of: str) -> LineageOut:
        return self.project["lineage"]

    def verdicts_dossier_key(self) -> DossierKeyOut:
        return DossierKeyOut(public_key="0" * 64)

    def verdicts_dossier(self, comparison_id: int, *, with_texts: bool = False) -> bytes:
        return f"dossier of {comparison_id}".encode()

    def verdicts_promotions(self, project_id: int) -> list[PromotionOut]:
        return self._list("list_promotions")

    def curation_list(self, project_id: int) -> list[TrainingSetOut]:
        return self._list("list_training_sets")

    def synthetic_list(self, project_id: int) -> list[DraftingOut]:
        return list(self.project.get("draftings", []))

    def synthetic_drafts(self, drafting_id: int, state: str | None = None) -> list[DraftOut]:
        return [one for one in self.project.get("drafts", []) if one.state == state]

    def training_list(self, project_id: int) -> list[TrainingRunOut]:
        return self._list("list_training_runs")

    def training_progress(self, training_run_id: int) -> TrainingProgress:
        return self.project["training_progress"]

    def runs_list(self, project_id: int) -> Any:
        return _Page(self._list("list_generation_runs"))

    def runs_generations(self, run_id: int, **_: Any) -> Any:
        return _Page(self._list("list_generations"))

    def runs_generation(self, generation_id: int) -> GenerationDetail:
        return self.project["generation"]

    def runs_report(self, score_run_id: int) -> ScoreRunDetail:
        return self.project["score_run"]

    def runs_differences(self, score_run_id: int, **_: Any) -> list[DifferenceOut]:
        return self._list("differences")

    def queues_get(self, queue_id: int) -> ReviewQueueOut:
        return next(q for q in self._list("list_queues") if q.id == queue_id)

    def queues_preferences(self, queue_id: int) -> list[PreferencesOut]:
        return self._list("preferences")

    def queues_reviews(self, queue_id: int, *, item_id: int | None = None, limit: int) -> Any:
        return _Page(self._list("list_reviews"))


@dataclass
class _Page:
    items: list[Any]
    next: str | None = None


LEDGER = {
    "tokens": 123456, "seconds": 77.0, "cpu_seconds": 140.0, "gpu_seconds": 0.0, "gpus": 0,
    "processes": 1, "starts": 2, "peak_memory_bytes": 1_500_000_000, "peak_gpu_memory_bytes": None,
    "price_per_hour": 3.0, "cost": 0.0642,
}  # fmt: skip


def costs_shown(*, empty: bool = False) -> CostReport:
    """One of each kind: what is recorded, what is not, and what is so in part."""
    few = {"value": 1200.0, "unit": "tokens", "n": 8, "n_all": 9, "at_least": True, "note": HOSTILE}
    none = {"unit": "seconds", "n_all": 1, "error": "No job of a worker did it."}
    money = {"value": 0.0642, "unit": HOSTILE, "n": 1, "n_all": 1}
    run = {
        "run_id": 1,
        "dataset": HOSTILE,
        "split": "test",
        "engine": "vllm",
        "models": [HOSTILE],
        "answers": 9,
        "failed": 1,
        "prompt_tokens": few,
        "completion_tokens": few,
        "generating": none,
        "scoring": none,
        "processor": none,
        "gpu": none,
        "money": money,
    }
    machine = {"clock": none, "processor": none, "gpu": none}
    training = {
        "training_run_id": 1,
        "adapter": HOSTILE,
        "starts": 1,
        "tokens": few,
        "money": money,
        **machine,
    }
    turn = {
        "round_id": 1,
        "number": 1,
        "state": "active",
        "adapter": HOSTILE,
        "runs": 1,
        "n_simulated": 2,
        "tokens": few,
        "trained_tokens": few,
        "minutes": none,
        "money": [money],
        "unpriced": [HOSTILE],
        **machine,
    }
    queue = {
        "queue_id": 1,
        "name": HOSTILE,
        "kind": "single",
        "reviews": 3,
        "n_simulated": 3,
        "minutes": {"value": 4.5, "unit": "minutes", "n": 3, "n_all": 3},
        "money": money,
        "minutes_per_item": {"value": 1.5, "low": 1.4, "high": 1.6, "n": 3},
        "money_per_item": {"error": "The queue does not say what an hour costs."},
    }
    prices = {
        "bar": HOSTILE,
        "prompt": 1.0,
        "completion": 2.0,
        "currency": HOSTILE,
        "training_hour": None,
    }
    rows = {"runs": [run], "trainings": [training], "rounds": [turn], "reviews": [queue]}
    rows = {name: [] if empty else found for name, found in rows.items()}
    return CostReport(prices=prices, limit=20, notes=[HOSTILE], **rows)


def masking_shown() -> MaskingOut:
    """A policy that masks, with what it found."""
    content = {
        "active": True,
        "languages": ["en"],
        "kinds": {"DATE": False},
        "replace": "surrogate",
        "consistent": "document",
        "originals": "encrypt",
    }
    policy = MaskingPolicyOut(
        id=1,
        version=2,
        digest="d" * 64,
        source=HOSTILE,
        content=content,
        key_id="0123456789abcdef",
        key_is_here=False,
        created_at=NOW,
    )
    return MaskingOut(
        policy=policy,
        by_kind={"PERSON": 12, "WARD": 3},
        titles={"PERSON": "name of a person", "WARD": HOSTILE},
        n_masked=6,
        n_unmasked=2,
        n_originals=6,
        originals_openable=4,
    )


def audit_log() -> dict[str, Any]:
    """A log that was changed, with a sealed entry and one that waits."""
    said = {"at": NOW, "action": "texts.read", "who": HOSTILE, "sentence": HOSTILE, "reads": True,
            "subject": HOSTILE, "project_id": 1, "project": HOSTILE, "via": "api",
            "detail": {"n": 3}}  # fmt: skip
    status = AuditStatus(
        holds=False, checked_from=11, sealed=1234, head=f"1234:{'a' * 64}", unsealed=1,
        unsealed_since=NOW, noted_at="2026-03-01T12:00:00+00:00", findings=[HOSTILE],
        actions=["promotion.made", "promotion.held", "texts.read"],
    )  # fmt: skip
    rows = [AuditEntryOut(id=n, seq=seq, **said) for n, seq in ((2, None), (1, 1))]
    return {"audit_status": status, "audit_entries": rows}


def rounds_and_lineage() -> dict[str, Any]:
    """A round that waits for its votes, and what an adapter was made of."""
    evidence = {"value": 0.1, "low": -0.1, "high": 0.3, "n": 20, "failed": 0}
    line = {"title": HOSTILE, "metric": "f1", "slice": {"task": HOSTILE}, "margin": 0.1,
            "verdict": "INCONCLUSIVE", "reason": "0.1", "evidence": evidence}  # fmt: skip
    turn = RoundOut(
        id=1, number=1, state="active", phase="review", waits_for=HOSTILE, since=NOW,
        next="judge every line of the manifest", error=HOSTILE, adapter=HOSTILE, started_at=NOW,
        finished_at=None, training_set_id=1, training_run_id=1, generation_run_id=1,
        review_queue_id=1, comparison_id=None, promotion_id=None,
        events=[{"at": NOW, "phase": "wait", "text": HOSTILE}],
        figures={"verdict": "INCONCLUSIVE", "lines": [line], "rows": 591,
                 "expert_minutes": 42.5, "simulated": True, "training": LEDGER},
    )  # fmt: skip
    node = {"kind": "set", "facts": [HOSTILE], "marks": ["2 rows withdrawn since"]}
    lineage = LineageOut(
        root="a",
        nodes=[{"key": "a", "title": HOSTILE, **node}, {"key": 'b"]', "title": "x", **node}],
        edges=[{"source": "a", "target": 'b"]', "label": HOSTILE}],
    )
    model = ModelVersionOut(
        id=2, label="base:v1@1", name="v1", revision=1, base_model="tiny", base_sha256="a" * 64,
        kind="weights",
        adapter_sha256="b" * 64, adapter_rank=16, training_run_id=1, aliases=[], created_at=NOW,
    )  # fmt: skip
    found = {"list_rounds": [turn], "lineage": lineage, "list_models": [model]}
    return {**found, "list_prompts": _prompts()}


def _prompts() -> list[PromptOut]:
    """Two versions of a prompt, the second of which a search chose."""
    tried = [
        {"candidate": "base+brief@2", "metric": "f1", "value": 0.5, "low": 0.4, "high": 0.6,
         "n": 20, "failed": 0, "tokens in": 31.5},
        {"candidate": HOSTILE, "metric": "f1", "error": "no reference has a class",
         "tokens in": None},
    ]  # fmt: skip
    search = {"title": HOSTILE, "tried": tried, "notes": ["It looks better than it is."]}
    said = {"digest": "d" * 64, "source": f"system: {HOSTILE}", "created_at": NOW}
    return [
        PromptOut(id=n, label=f"brief@{n}", name="brief", version=n, search=chosen, **said)
        for n, chosen in ((1, None), (2, search))
    ]


def engineers_project() -> dict[str, Any]:
    """One of everything that the pages of engineers show; names and texts try to be markup."""
    job = JobOut(
        id=1, kind="generate", subject_id=1, queue="gen", state="stopped", attempt=1,
        error=HOSTILE, created_at=NOW, started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    preflight = PreflightOut(
        id=1, engine="vllm", model_ids=[1, 2], passed=False, created_at=NOW,
        checks=[
            {"name": "chat template", "passed": True, "detail": HOSTILE, "figures": {"probes": 8}},
            {"name": "v1 in PEFT", "passed": False, "detail": "swapped",
             "figures": {"median_nats": 0.93512, "digest": "ab" * 32}},
        ],
    )  # fmt: skip
    run = GenerationRunOut(
        id=1, project_id=1, dataset="demo", dataset_version=1, split="test", engine="fake",
        params={"seed": 0}, samples=1,
        models=[{"id": 1, "label": "base"}, {"id": 2, "label": "v1"}],
        progress={"done": 2, "total": 2, "failed": 0}, job=job, preflight=preflight,
        preflights=[preflight], score_run_ids=[1], created_at=NOW,
        provenance=["v1@1: outputs imported, not proved to be of a model; no preflight."],
    )  # fmt: skip
    figure = {"slice": {"task": "x"}, "metric": "f1", "n": 20, "failed": 1}
    figures = [
        FigureOut(model_version_id=1, model="base", value=0.5, low=0.4, high=0.6, **figure),
        FigureOut(model_version_id=2, model="v1", error="no reference has a class", **figure),
    ]
    difference = DifferenceOut(
        baseline_id=1, candidate_id=2, baseline_model="base", candidate_model="v1",
        slice={}, metric="bleu", baseline=10.0, candidate=12.0, value=2.0, low=-1.0, high=5.0,
        p=0.2, wins=5, losses=3, ties=2, n=10, scale=100.0,
    )  # fmt: skip
    generation = {
        "id": 1, "run_id": 1, "model": "base", "example_id": 1, "sample": 0, "text": HOSTILE,
        "error": None, "finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1,
        "truncated_tokens": 0, "latency_s": 0.1,
    }  # fmt: skip
    example = {
        "id": 1, "external_id": HOSTILE, "input": HOSTILE, "context": HOSTILE,
        "references": [HOSTILE], "group": "g", "slices": {}, "split": "test",
    }  # fmt: skip
    queue = ReviewQueueOut(
        id=1, project_id=1, name="pairs", kind="pair", generation_run_id=1, score_run_id=None,
        rubric=find_rubric("blind_pair"), design={}, closed=False, created_at=NOW,
        progress=progress(2),
        reviewers=[{"pseudonym": "E-7", "simulated": True, "submitted": 2, "skipped": 0,
                    "active_seconds": 30.0}],
    )  # fmt: skip
    return {
        **rounds_and_lineage(),
        **audit_log(),
        "masking": masking_shown(),
        "costs": costs_shown(),
        **figures_of_queues(HOSTILE),
        **fairness_things(HOSTILE),
        "list_users": [
            UserOut(id=2, name="anna", pseudonym="E-7", role="expert", active=True,
                      second_factor_required=False,
                      simulated=False, created_at=NOW)
        ],
        "list_jobs": [job],
        "list_generation_runs": [run],
        "list_generations": [GenerationOut(**generation)],
        "generation": GenerationDetail(**generation, example=example, scores=[]),
        "score_run": ScoreRunDetail(
            id=1, generation_run_id=1, metrics=[], seed=7, job_state="done", created_at=NOW,
            figures=figures,
        ),
        "differences": [difference],
        "list_queues": [queue],
        "preferences": [
            PreferencesOut(
                model_a_id=1, model_b_id=2, model_a="base", model_b="v1", wins_a=1, wins_b=3,
                ties=1, both_bad=0, cannot_judge=1, left_wins=2, right_wins=2, n_votes=6,
                n_identical=0, n_simulated=2, error=None,
                win_rate={"value": 0.75, "low": 0.3, "high": 0.95, "n": 4, "failed": 2,
                          "signature": "win_rate|version:1"},
            )
        ],
        "list_reviews": [
            ReviewOut(
                id=1, queue_id=1, item_id=1, generation_ids=[1, 2], reviewer="E-7",
                state="submitted", simulated=True, models=["base", "v1"], ratings={},
                correction=HOSTILE, spans=[], winner="b", comment=HOSTILE, skip_reason=None,
                active_seconds=3.0, submitted_at=NOW,
            )
        ],
        "list_manifests": [
            ManifestOut(
                id=1, project_id=1, version=1, digest="ab" * 32, source="", created_at=NOW,
                content={"name": "bar", "lines": [{"metric": "f1", "margin": 0.05}]},
            )
        ],
        "list_comparisons": [
            ComparisonOut(
                id=1, project_id=1, manifest_id=1, score_run_id=1, review_queue_id=None,
                baseline="base", candidate="v1", verdict="INCONCLUSIVE", created_at=NOW,
                lines=[{"title": "f1 better", "metric": "f1", "verdict": "INCONCLUSIVE",
                        "reason": "0.1 [-0.1, 0.3], n=20", "evidence": None}],
            )
        ],
        "comparison": ComparisonDetail(
            id=1, project_id=1, manifest_id=2, score_run_id=1, review_queue_id=None,
            baseline="base", candidate="v1", verdict="INCONCLUSIVE", created_at=NOW,
            lines=[{"title": "f1 better", "metric": "f1", "verdict": "INCONCLUSIVE",
                    "reason": "0.1 [-0.1, 0.3], n=20", "evidence": {"p_holm": 0.04, "failed": 1}}],
            preflight={"verdict": "PASS", "reason": "9 of 11 checks passed"},
            bar=BarOut(
                changed=True, sentence="THE BAR CHANGED after training began: version 1, 2.",
                diff=["-  - {metric: f1, threshold: 0.8}", "+  - {metric: f1, threshold: 0.5}"],
            ),
            champion="v0", figures=[], absent=["The champion v0 took no part in this run."],
            differences=[difference], currency="EUR",
            usage=[
                difference.model_copy(update={"metric": "tokens", "slice": {}, "value": 20.0}),
                difference.model_copy(
                    update={"metric": "cost", "slice": {}, "value": 4e-5, "low": 3e-5,
                            "high": 5e-5, "baseline": 1e-4, "candidate": 1.4e-4}
                ),
            ],
        ),
        "slices": [
            SliceOut(**difference.model_dump(), named=True, p_holm=0.06),
            SliceOut(
                **difference.model_copy(
                    update={"slice": {"task": "reply"}, "error": "no example", "value": None}
                ).model_dump(),
                named=False, p_holm=None,
            ),
        ],
        "flips": FlipsOut(
            metric="f1", slice={}, better=3, worse=1, same=16, n=20,
            examples=[
                FlipOut(
                    change="worse", example_id=4, external_id="e4", input=HOSTILE, context="a",
                    references=["right"], sample=0, baseline_text="right",
                    candidate_text=HOSTILE, baseline_score=1.0, candidate_score=0.0,
                )
            ],
        ),
        "list_promotions": [
            PromotionOut(
                id=1, project_id=1, alias="champion", model="v1", action="held",
                comparison_id=1, reason=HOSTILE, simulated=True, decided_by=None, created_at=NOW,
            )
        ],
        "list_training_sets": [
            TrainingSetOut(
                id=1, project_id=1, name="round-1", recipe={}, digest="cd" * 32, n_rows=5,
                simulated=True, created_at=NOW,
            )
        ],
        "list_training_runs": [
            TrainingRunOut(
                id=1, project_id=1, training_set_id=1, manifest_id=1, adapter_name="v1",
                config={"rank": 8}, job=job, created_at=NOW, finished_at=NOW, result={
                    "ledger": LEDGER,
                    "search": {
                        "kept": HOSTILE,
                        "trials": [{"name": HOSTILE, "validation_loss": 1.25, "rows": 12,
                                    "seconds": 4.0}],
                    },
                },
            )
        ],
        "training_progress": TrainingProgress(
            training_run_id=1, state="stopped",
            points=[{"step": 1, "epoch": 0.1, "loss": 2.0},
                    {"step": 2, "epoch": 0.2, "eval_loss": 1.9}],
        ),
    }  # fmt: skip


PAGES = {
    "desk": "review.desk.page",
    "overview": "overview",
    "health": "health",
    "prompts": "prompts",
    "runs": "runs.figures",
    "preferences": "review.preferences",
    "verdicts": "verdicts.verdicts",
    "checks": "checks.page",
    "synthetic": "synthetic",
    "fairness": "fairness.page",
    "trainings": "training",
    "queues": "review.queues",
    "agreement": "review.agreement",
    "reviewers": "review.reviewers",
    "opening": "review.opening.page",
    "adjudication": "review.adjudication",
    "exports": "exchange",
    "rounds": "rounds",
    "lineage": "lineage",
    "costs": "costs",
    "audit": "people.audit",
    "privacy": "privacy",
    "guides": "guides",
    "account": "people.account",
}


def page_script(name: str) -> str:
    """A script that draws one page."""
    return f"import dashboard.views.{PAGES[name]} as page\npage.show()\n"

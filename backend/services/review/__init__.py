"""The review desk: queues are opened, items claimed, answered or skipped, and shown blind.

    opening/  plan_queue: frames, designs, targets, budgets, assignments, overlap, what is refused
              (checks); open_queue: items in order, sides, slots, members (store)
    desk/     claim_next: one item for one person, or why none (the hot path); item_view: what an
              expert sees of it; submit_review, skip_review, revise; history: what was answered
    quality/  known answers, adjudication, pauses
    reports/  what a lead reads, each with n and interval: estimates, A/B, effects, agreement,
              votes, progress, reviewers
    queues    finding queues, closing them, their reviewers; rubrics: versions of rubrics
    rules     QueueRules: how a queue hands its items out; statements: the SQL of a claim
    lease     heartbeat, save_draft; the fencing condition
    answer    what an answer has to be before it is stored
    blind     what the people of a queue may be shown
    counted   which reviews count in what a queue measures; judged: what they say of outputs
    progress  how far a queue is; waiting: for whom it waits
    routing   the watch over what skipped review

Everything here takes a session and flushes; the caller commits. A claim and a submit are each one
short transaction.
"""

from backend.services.review.answer import Answer, SideChoice, SpanMark
from backend.services.review.counted import counts, stands
from backend.services.review.desk.claim import (
    Claim,
    NoItem,
    Reason,
    claim_adjudication,
    claim_next,
    claim_review_item,
)
from backend.services.review.desk.history import my_queues, my_reviews, past_review
from backend.services.review.desk.item_view import item_view
from backend.services.review.desk.revise import revise
from backend.services.review.desk.skip import skip_review
from backend.services.review.desk.submit import Submitted, submit_review
from backend.services.review.lease import heartbeat, save_draft
from backend.services.review.opening.plan import Opening, QueuePlan, plan_queue
from backend.services.review.opening.store import open_queue, store_queue
from backend.services.review.progress import queue_progress
from backend.services.review.queues import (
    add_reviewers,
    close_queue,
    find_queue,
    get_queue,
    list_queues,
    rubric_of,
)
from backend.services.review.reports.agreement import CriterionAgreement, queue_agreement
from backend.services.review.reports.progress import reviewer_progress
from backend.services.review.reports.votes import (
    PairVote,
    models_of_queue,
    preference_summary,
    queue_votes,
    win_rate,
)
from backend.services.review.rubrics import save_rubric
from backend.services.review.rules import QueueRules, SkipPolicy, rules_from

__all__ = [
    "Answer",
    "Claim",
    "CriterionAgreement",
    "NoItem",
    "Opening",
    "PairVote",
    "QueuePlan",
    "QueueRules",
    "Reason",
    "SideChoice",
    "SkipPolicy",
    "SpanMark",
    "Submitted",
    "add_reviewers",
    "claim_adjudication",
    "claim_next",
    "claim_review_item",
    "close_queue",
    "counts",
    "find_queue",
    "get_queue",
    "heartbeat",
    "item_view",
    "list_queues",
    "models_of_queue",
    "my_queues",
    "my_reviews",
    "open_queue",
    "past_review",
    "plan_queue",
    "preference_summary",
    "queue_agreement",
    "queue_progress",
    "queue_votes",
    "reviewer_progress",
    "revise",
    "rubric_of",
    "rules_from",
    "save_draft",
    "save_rubric",
    "skip_review",
    "stands",
    "store_queue",
    "submit_review",
    "win_rate",
]

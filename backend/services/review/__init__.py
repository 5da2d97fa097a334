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
    counted   which reviews count in what a queue measures, and what they say of outputs
    progress  how far a queue is; waiting: for whom it waits
    routing   the watch over what skipped review

Everything here takes a session and flushes; the caller commits. A claim and a submit are each one
short transaction.
"""

from backend.services.review.answer import Answer as Answer
from backend.services.review.answer import SideChoice as SideChoice
from backend.services.review.answer import SpanMark as SpanMark
from backend.services.review.counted import stands as stands
from backend.services.review.desk.claim import Claim as Claim
from backend.services.review.desk.claim import NoItem as NoItem
from backend.services.review.desk.claim import Reason as Reason
from backend.services.review.desk.claim import claim_adjudication as claim_adjudication
from backend.services.review.desk.claim import claim_next as claim_next
from backend.services.review.desk.claim import claim_review_item as claim_review_item
from backend.services.review.desk.history import my_queues as my_queues
from backend.services.review.desk.history import my_reviews as my_reviews
from backend.services.review.desk.history import past_review as past_review
from backend.services.review.desk.item_view import item_view as item_view
from backend.services.review.desk.revise import revise as revise
from backend.services.review.desk.skip import skip_review as skip_review
from backend.services.review.desk.submit import Submitted as Submitted
from backend.services.review.desk.submit import submit_review as submit_review
from backend.services.review.lease import heartbeat as heartbeat
from backend.services.review.lease import save_draft as save_draft
from backend.services.review.opening.plan import Opening as Opening
from backend.services.review.opening.plan import QueuePlan as QueuePlan
from backend.services.review.opening.plan import plan_queue as plan_queue
from backend.services.review.opening.store import open_queue as open_queue
from backend.services.review.opening.store import store_queue as store_queue
from backend.services.review.progress import queue_progress as queue_progress
from backend.services.review.queues import add_reviewers as add_reviewers
from backend.services.review.queues import close_queue as close_queue
from backend.services.review.queues import find_queue as find_queue
from backend.services.review.queues import get_queue as get_queue
from backend.services.review.queues import list_queues as list_queues
from backend.services.review.queues import rubric_of as rubric_of
from backend.services.review.reports.agreement import queue_agreement as queue_agreement
from backend.services.review.reports.progress import reviewer_progress as reviewer_progress
from backend.services.review.reports.votes import PairVote as PairVote
from backend.services.review.reports.votes import models_of_queue as models_of_queue
from backend.services.review.reports.votes import preference_summary as preference_summary
from backend.services.review.reports.votes import queue_votes as queue_votes
from backend.services.review.rubrics import save_rubric as save_rubric
from backend.services.review.rules import QueueRules as QueueRules
from backend.services.review.rules import rules_from as rules_from

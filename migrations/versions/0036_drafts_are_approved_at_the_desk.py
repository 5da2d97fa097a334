"""Drafts of models enter training sets by a yes that an expert gave at the desk, and by no other.

Whoever may import answers could say yes in an expert's name, and a review that says no stands too.
The services refuse both; from here on the database does, in the queue and at the door of a set.
"""

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

UNAPPROVED = """
    EXISTS (SELECT 1 FROM examples WHERE id = NEW.example_id AND origin = 'brief')
    OR ((
        EXISTS (SELECT 1 FROM examples WHERE id = NEW.example_id AND origin = 'synthetic')
        OR EXISTS (
            SELECT 1 FROM examples mine
            JOIN dataset_versions mine_version ON mine_version.id = mine.dataset_version_id
            JOIN datasets mine_set ON mine_set.id = mine_version.dataset_id
            JOIN drafts ON drafts.prompt_digest = mine.content_digest
                AND drafts.project_id = mine_set.project_id AND drafts.own_input
            JOIN draftings ON draftings.id = drafts.drafting_id
            WHERE mine.id = NEW.example_id
                AND mine.dataset_version_id > draftings.briefs_version_id)
    ) AND NOT EXISTS (
        SELECT 1 FROM reviews
        JOIN review_items ON review_items.id = reviews.item_id
        JOIN synthetic_queues ON synthetic_queues.queue_id = review_items.queue_id
        JOIN training_sets ON training_sets.id = NEW.training_set_id
        WHERE reviews.id = NEW.review_id AND reviews.state = 'submitted'{yes_at_the_desk}
            AND reviews.withdrawn_at IS NULL AND reviews.superseded_at IS NULL
            AND ((reviews.annotator_kind = 'human' AND NOT reviews.simulated)
                OR (reviews.simulated AND training_sets.simulated))))
"""
YES_AT_THE_DESK = """
            AND reviews.source = 'desk' AND EXISTS (
                SELECT 1 FROM ratings WHERE ratings.review_id = reviews.id
                AND ratings.criterion = synthetic_queues.criterion
                AND ratings.value = synthetic_queues.approves)"""
REFUSED = "the row was drafted by a model and no expert approved or corrected it"
IMPORTED = """
    NEW.source <> 'desk' AND EXISTS (
        SELECT 1 FROM review_items
        JOIN synthetic_queues ON synthetic_queues.queue_id = review_items.queue_id
        WHERE review_items.id = NEW.item_id)
"""
GUARDS = [
    ("imported", "INSERT", "drafts of models are reviewed at the desk, not by imported answers"),
    ("source", "UPDATE OF source, item_id", "where an answer to a draft was given is not changed"),
]


def upgrade() -> None:
    _replace_door(YES_AT_THE_DESK)
    for name, event, message in GUARDS:
        _make_guard("reviews", name, event, IMPORTED, message)


def downgrade() -> None:
    for name, *_ in reversed(GUARDS):
        _drop_guard("reviews", name)
    _replace_door("")


def _replace_door(yes_at_the_desk: str) -> None:
    condition = UNAPPROVED.format(yes_at_the_desk=yes_at_the_desk)
    _drop_guard("training_set_rows", "synthetic")
    _make_guard("training_set_rows", "synthetic", "INSERT", condition, REFUSED)


def _make_guard(table: str, name: str, event: str, condition: str, message: str) -> None:
    trigger = f"guard_{table}_{name}"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"""CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF {condition} THEN
                    RAISE EXCEPTION '{message}'
                    USING ERRCODE = 'integrity_constraint_violation';
                END IF;
                RETURN NEW;
            END $$"""
        )
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {trigger}()"
        )
    else:
        op.execute(
            f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} FOR EACH ROW "
            f"WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )


def _drop_guard(table: str, name: str) -> None:
    trigger = f"guard_{table}_{name}"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"DROP TRIGGER {trigger} ON {table}")
        op.execute(f"DROP FUNCTION {trigger}()")
    else:
        op.execute(f"DROP TRIGGER {trigger}")

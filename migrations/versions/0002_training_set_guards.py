"""guards of training sets

Triggers, so that no way into a training set passes by the rule: a row's example is of the train
split, its text is held out in no dataset version of the project, and the output and the review
that it names are of that example. Rows of a set and splits of examples are never changed.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

HELD_OUT = """
    NOT EXISTS (SELECT 1 FROM examples WHERE id = NEW.example_id AND split = 'train')
    OR EXISTS (
        SELECT 1 FROM examples mine
        JOIN dataset_versions mine_version ON mine_version.id = mine.dataset_version_id
        JOIN datasets mine_set ON mine_set.id = mine_version.dataset_id
        JOIN examples held ON held.content_digest = mine.content_digest AND held.split <> 'train'
        JOIN dataset_versions held_version ON held_version.id = held.dataset_version_id
        JOIN datasets held_set ON held_set.id = held_version.dataset_id
        WHERE mine.id = NEW.example_id AND held_set.project_id = mine_set.project_id)
"""
FOREIGN_SOURCE = """
    (NEW.generation_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM generations
        WHERE id = NEW.generation_id AND example_id = NEW.example_id))
    OR (NEW.review_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM reviews
        JOIN review_items ON review_items.id = reviews.item_id
        JOIN generations ON generations.id = review_items.generation_a_id
        WHERE reviews.id = NEW.review_id AND generations.example_id = NEW.example_id))
"""
GUARDS = [
    ("held_out", "training_set_rows", "INSERT", HELD_OUT, "the example is held out"),
    (
        "foreign_source",
        "training_set_rows",
        "INSERT",
        FOREIGN_SOURCE,
        "the output or the review is of another example",
    ),
    ("frozen", "training_set_rows", "UPDATE", "1 = 1", "a frozen set is never changed"),
    ("frozen_split", "examples", "UPDATE OF split", "1 = 1", "the split of an example is frozen"),
]


def upgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for name, table, event, condition, message in GUARDS:
        trigger = f"guard_{table}_{name}"
        if postgres:
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


def downgrade() -> None:
    postgres = op.get_bind().dialect.name == "postgresql"
    for name, table, *_ in reversed(GUARDS):
        trigger = f"guard_{table}_{name}"
        if postgres:
            op.execute(f"DROP TRIGGER {trigger} ON {table}")
            op.execute(f"DROP FUNCTION {trigger}()")
        else:
            op.execute(f"DROP TRIGGER {trigger}")

"""Curation: what experts said becomes a frozen training set, and nothing held out gets in.

recipes      Recipe, Rule, Replay: what goes in, written down
leaks        LeakGuard: what is held out anywhere in the project
sources      what the recipe names; held-out reviews are set aside and counted
candidates   reviews and references to proposed rows
sets         freeze_training_set, add_row (the only way in), training_rows
"""

from backend.services.curation.leaks import LeakGuard, guard_project
from backend.services.curation.recipes import (
    Recipe,
    Replay,
    Rule,
    parse_recipe,
    parse_replay,
    parse_rule,
    recipe_from_content,
)
from backend.services.curation.sets import (
    add_row,
    find_training_set,
    freeze_training_set,
    get_training_set,
    list_training_sets,
    sets_with_review,
    stored_digest,
    training_rows,
)

__all__ = [
    "LeakGuard",
    "Recipe",
    "Replay",
    "Rule",
    "add_row",
    "find_training_set",
    "freeze_training_set",
    "get_training_set",
    "guard_project",
    "list_training_sets",
    "parse_recipe",
    "parse_replay",
    "parse_rule",
    "recipe_from_content",
    "sets_with_review",
    "stored_digest",
    "training_rows",
]

"""Curation: what experts said becomes a frozen training set, and nothing held out gets in.

recipes      Recipe and its parts: what goes in, written down; a recipe in sentences
leaks        LeakGuard: what is held out anywhere in the project; near-duplicates at a freeze
sources      what the recipe names; held-out reviews are set aside and counted
candidates   reviews and references to proposed rows
drafts       what a model drafted: only as an expert approved or corrected it
counterfactual   rows once more with a person's group exchanged
selection    least rating, most of a group, shares of tasks, weights, order; failed outputs to move
             away from; corrections that are kept from training, to measure the yield on
sets         freeze_training_set, add_row (the only way in); reading frozen sets
digests      the digest of what a set holds
formats      what each method of training gets of a row, and the formats of other tools
"""

from backend.services.curation.counterfactual_recipe import parse_counterfactuals
from backend.services.curation.digests import stored_digest, stored_lines
from backend.services.curation.leaks import LeakGuard, guard_project
from backend.services.curation.recipes import (
    FixedRule,
    Mix,
    Order,
    Recipe,
    ReplayPart,
    Rule,
    Weight,
    describe_recipe,
    describe_set,
    parse_fixed_rule,
    parse_mix,
    parse_recipe,
    parse_replay,
    parse_rule,
    recipe_from_content,
)
from backend.services.curation.sets import (
    add_row,
    erased_rows,
    find_training_set,
    freeze_training_set,
    get_training_set,
    held_back_rows,
    list_training_sets,
    sets_with_review,
    training_rows,
)

__all__ = [
    "FixedRule",
    "LeakGuard",
    "Mix",
    "Order",
    "Recipe",
    "ReplayPart",
    "Rule",
    "Weight",
    "add_row",
    "describe_recipe",
    "describe_set",
    "erased_rows",
    "find_training_set",
    "freeze_training_set",
    "get_training_set",
    "guard_project",
    "held_back_rows",
    "list_training_sets",
    "parse_counterfactuals",
    "parse_fixed_rule",
    "parse_mix",
    "parse_recipe",
    "parse_replay",
    "parse_rule",
    "recipe_from_content",
    "sets_with_review",
    "stored_digest",
    "stored_lines",
    "training_rows",
]

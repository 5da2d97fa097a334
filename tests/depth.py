"""What is tried only by `make test-all`, and which quicker test shows the promise of it.

`make test` leaves out what is marked `deep`: by a mark beside the test, or by a line here. A line
is the beginning of a test's id; what stands beside it is a test that is quicker and not deep, or
the reason why none is needed. `tests/test_depth.py` holds the lines against the tests there are.

PostgreSQL: a test of both databases has its cases on SQLite in every run. On PostgreSQL it has one
of its cases in every run, and the others in the deep suite, because a case is another input and
seldom another statement; a file of `WHOLE_ON_POSTGRES` has all of them, one of `ONCE_ON_POSTGRES`
only its first test. Each route runs on PostgreSQL besides (tests/backend/api/test_every_route.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

JOBS, SERVICES = "tests/backend/jobs/", "tests/backend/services/"
ON_POSTGRES = "the same on PostgreSQL"
ANY_REQUEST = "tests/backend/api/test_any_request.py::"
CRASH = f"{JOBS}test_crash.py::"
NO_TRAINER = f"{JOBS}test_crash_training.py::test_trainer_that_cannot_run_fails_the_job_with_its"
KILLED = "tests/training/test_methods.py::test_a_killed_training_is_taken_up_and_ends_the_same"
DIVERGED = "tests/training/results/test_divergence.py::test_a_diverged_training"
MACHINE = f"{SERVICES}review/desk/test_queue_machine.py::"
OTHER_BASES = "tests/backend/test_migrations.py::test_what_is_on_another_base"
EXPORTED = f"{SERVICES}curation/test_exports.py::test_that_trl_trains_on_what_was_exported"

CHECKS = "tests/evaluators/checks/"
OWN_SUMMARIES = (
    f"{CHECKS}contradictions/test_contrast_checks.py::test_false_alarms_on_clinicians_own_summaries"
)

DEEP = {
    f"{OTHER_BASES}_is_not_taken_for_the_projects_by_an_older_strop[training_runs-full_postgres]": (
        f"{OTHER_BASES}_is_not_taken_for_the_projects_by_an_older_strop[model_versions-full_postgres]"
    ),
    f"{CHECKS}risk/test_risk.py::test_calibration_does_not_lose_what_ranks": (
        f"{CHECKS}risk/test_risk.py::test_a_risk_keeps_the_order_of_the_scores"
    ),
    f"{OWN_SUMMARIES}[names0": f"{OWN_SUMMARIES}[names1",
    f"{ANY_REQUEST}test_no_request_fails_the_server[sqlite": ON_POSTGRES,
    f"{ANY_REQUEST}test_hostile_values_in_every_place_of_a_body[sqlite": ON_POSTGRES,
    f"{ANY_REQUEST}test_ids_and_cursors_that_no_row_can_have[sqlite": ON_POSTGRES,
    "tests/backend/api/test_every_route.py::test_every_route_once[sqlite]": (
        "tests/backend/api/test_rules.py::test_own_things"
    ),
    f"{CRASH}test_killed_in_generation[sqlite]": ON_POSTGRES,
    f"{CRASH}test_two_workers_share_a_run": f"{CRASH}test_one_of_two_workers_is_killed",
    "tests/backend/cli/runs/test_run.py::test_run_writes_scores": "tests/loop/test_demo.py",
    "tests/backend/cli/runs/test_run.py::test_a_run_whose_preflight_failed": (
        "tests/backend/cli/runs/test_run.py::test_failed_job_is_the_error"
    ),
    f"{CRASH}test_another_worker_takes_over": f"{CRASH}test_one_of_two_workers_is_killed",
    f"{CRASH}test_killed_in_scoring": f"{CRASH}test_killed_in_generation[postgresql]",
    f"{CRASH}test_dead_server_stops_the_run_and_resuming_completes_it": (
        f"{JOBS}test_served_elsewhere.py::test_a_run_is_resumed_after_its_server_died"
    ),
    f"{NO_TRAINER}_words[True": f"{NO_TRAINER}_words[False",
    f"{SERVICES}accounts/test_attempts.py::test_two_processes_count_together[sqlite]": ON_POSTGRES,
    f"{SERVICES}audit/test_chain.py::test_killed_while_it_seals[sqlite]": ON_POSTGRES,
    f"{SERVICES}dossier/test_dossier.py::test_a_dossier_holds_on_both_databases[postgresql]": (
        f"{SERVICES}dossier/test_dossier.py::test_a_dossier_holds_on_both_databases[sqlite]"
    ),
    f"{SERVICES}erasure/test_as_if_never.py::test_the_weights": (
        f"{SERVICES}erasure/test_as_if_never.py::test_the_next_set"
    ),
    f"{SERVICES}review/desk/test_concurrency.py::test_processes_at_once_finish_a_queue": (
        f"{SERVICES}review/desk/test_concurrency.py::test_people_at_once_finish_a_queue"
    ),
    "tests/browser/test_accountable_in_browser.py::test_every_page": (
        "tests/dashboard/test_privacy_page.py::test_without_a_policy"
    ),
    "tests/browser/test_accountable_in_browser.py::test_a_dossier": (
        "tests/dashboard/verdicts/test_verdict_pages.py"
    ),
    "tests/browser/test_accountable_in_browser.py::test_a_second_factor": (
        "tests/dashboard/test_account_page.py::test_set_up"
    ),
    f"{MACHINE}test_many_interleavings_keep_the_inv": f"{MACHINE}test_any_interleaving",
    f"{EXPORTED}[openai-SFT]": f"{EXPORTED}[sft-SFT]",
    f"{EXPORTED}[alpaca-SFT]": f"{EXPORTED}[sft-SFT]",
    f"{EXPORTED}[sharegpt-SFT]": f"{EXPORTED}[sft-SFT]",
    "tests/training/demo/test_demo_pretrain.py::test_a_run_cut_off_ends_like_one_that_was_not": (
        "tests/training/demo/test_demo_pretrain.py::test_batches_from_a_place"
    ),
    f"{DIVERGED}_ends[changes1]": f"{DIVERGED}_ends[changes0]",
    f"{DIVERGED}_ends[changes2]": f"{DIVERGED}_ends[changes0]",
    f"{DIVERGED}_ends[changes3]": f"{DIVERGED}_ends[changes0]",
    f"{DIVERGED}_of_every_method_ends[kto]": f"{DIVERGED}_of_every_method_ends[dpo]",
    f"{DIVERGED}_of_every_method_ends[pret": f"{DIVERGED}_of_every_method_ends[dpo]",
    "tests/training/results/test_divergence.py::test_a_search_of_which_all_diverge": (
        "tests/training/results/test_divergence.py::test_a_search_never_keeps_what_diverged"
    ),
    f"{KILLED}[kto]": f"{KILLED}[sft]",
    f"{KILLED}[pretrain]": f"{KILLED}[sft]",
    f"{KILLED}[full]": f"{KILLED}[sft]",
    f"{KILLED}[dpo-full]": f"{KILLED}[sft]",
    f"{KILLED}[soft-": f"{KILLED}[sft]",
    "tests/training/test_sft.py::test_that_a_killed_training_is_taken_up": f"{KILLED}[sft]",
    "tests/training/test_search.py::test_a_killed_search_trains_no_finished_trial": (
        "tests/training/test_search.py::test_a_finished_search_is_not_repeated"
    ),
    "tests/vllm/test_real_rows.py::test_no_slot_reaches_a_row_without_an_adapter": (
        "tests/vllm/test_real_server.py"
    ),
    "tests/vllm/test_real_wrong.py": "tests/backend/services/models/test_preflight.py",
    "tests/vllm/test_real_preflight.py::test_two_working_adapters_pass": (
        "tests/vllm/test_real_promotion.py::test_an_adapter_is_promoted"
    ),
    "tests/vllm/test_real_preflight.py::test_an_adapter_without_effect": (
        "tests/backend/services/models/test_preflight.py::test_an_effect_must_exceed"
    ),
    "tests/vllm/test_real_promotion.py::test_an_alias_moves": (
        "tests/vllm/test_real_promotion.py::test_an_adapter_is_promoted"
    ),
    "tests/vllm/test_real_promotion.py::test_a_server_that_holds": (
        f"{SERVICES}verdicts/test_served_candidate.py"
    ),
    "tests/vllm/test_server_death.py::test_a_server_that_cannot_start_says_its_last_words": (
        "tests/backend/engines/vllm/test_serve.py::test_a_server_that_cannot_start_says"
    ),
}

BROWSER, PAGES = "tests/browser/test_", "tests/dashboard/test_lead_pages.py::"
DRAWN = f"{BROWSER}lead_review_in_browser.py::test_every_page_by_axe"
DIGITS = f"{BROWSER}desk_in_browser.py::TestRate::test_digits_a_correction_and_submit"
IN_WORDS = f"{BROWSER}desk_in_browser.py::TestRate::test_digits_in_a_text_box"
OUTLIVE = f"{BROWSER}saved_in_browser.py::test_words_outlive_the_server"
SIGNED_OVER = f"{BROWSER}saved_in_browser.py::TestSignInEnds::test_the_words_stay"
MARKS, LINKS = (f"{BROWSER}marks_in_browser.py::Test{name}::test_" for name in ("Marks", "Links"))
COUNTED = f"{MARKS}a_mark_is_counted_in_code_points"
AXE = f"{BROWSER}keys_in_browser.py::TestAccess::test_nothing_on_the_desk_keeps_anybody_out"
TURNS = f"{BROWSER}talk_in_browser.py::TestTalk::test_turns_are_a_list"

# A page in a browser takes five seconds of a processor, and its script alone half a second.
DEEP |= {
    f"{AXE}[1280-dark]": f"{AXE}[1280-light]",
    f"{AXE}[390-light]": f"{AXE}[390-dark]",
    f"{BROWSER}lead_in_browser.py::test_every_page_is_drawn": DRAWN,
    f"{DRAWN}_in_the_dark_and_on_a_phone[others": f"{DRAWN}_in_the_dark_and_on_a_phone[most",
    f"{BROWSER}quality_in_browser.py::test_a_known_answer": (
        "tests/dashboard/review/desk/test_desk_after.py::TestGold::test_contesting"
    ),
    f"{BROWSER}sign_in_in_browser.py": "tests/backend/api/test_real_provider.py",
    f"{BROWSER}lead_in_browser.py::test_what_is_simulated": "tests/dashboard/test_pages.py",
    f"{BROWSER}lead_in_browser.py::test_down_to_one_output": "tests/dashboard/test_pages.py",
    f"{BROWSER}lead_review_in_browser.py::test_design_rules": DRAWN,
    f"{BROWSER}lead_review_in_browser.py::test_an_item_is_read": (
        f"{PAGES}TestAgreement::test_an_item_is_read"
    ),
    f"{BROWSER}lead_review_in_browser.py::test_a_pause": f"{PAGES}TestQueues::test_a_pause",
    f"{BROWSER}lead_review_in_browser.py::test_a_known_answer": (
        f"{PAGES}TestReviewers::test_a_withdrawal_needs"
    ),
    f"{BROWSER}quality_in_browser.py::test_a_disagreement": (
        f"{PAGES}TestAdjudication::test_what_waits"
    ),
    f"{BROWSER}desk_in_browser.py::TestTwenty::test_twenty": DIGITS,
    f"{BROWSER}desk_in_browser.py::TestServerDies::test_a_killed": OUTLIVE,
    f"{BROWSER}two_browsers.py": OUTLIVE,
    f"{BROWSER}keys_in_browser.py::TestHeldKeys::test_keys_in_a_text_box": IN_WORDS,
    f"{BROWSER}keys_in_browser.py::TestHeldKeys::test_a_key_held_on_the_submit": (
        f"{BROWSER}keys_in_browser.py::TestHeldKeys::test_a_held_submit"
    ),
    f"{BROWSER}keys_in_browser.py::test_guidelines": f"{BROWSER}keys_in_browser.py::test_the_sheet",
    f"{BROWSER}saved_in_browser.py::TestSignInEnds::test_a_sign_out": SIGNED_OVER,
    f"{BROWSER}saved_in_browser.py::TestSecondWindow::test_words": SIGNED_OVER,
    f"{BROWSER}saved_in_browser.py::TestKeys::test_several_options": IN_WORDS,
    f"{COUNTED}[plain": f"{COUNTED}[rtl",
    f"{COUNTED}[emoji": f"{COUNTED}[rtl",
    f"{MARKS}a_mark_is_stretched_and_moved[emoji": f"{MARKS}a_mark_is_stretched_and_moved[rtl",
    f"{MARKS}words_are_selected_with_the_keyboard": f"{MARKS}words_are_selected_with_the_mouse",
    f"{MARKS}without_a_selection": f"{MARKS}words_are_selected_with_the_mouse",
    f"{LINKS}links_that_come_late_leave_the_keys": f"{LINKS}links_that_come_late_leave_the_sel",
    f"{LINKS}the_caret": f"{LINKS}support_lights_up",
    f"{LINKS}a_long_source": f"{LINKS}support_lights_up",
    f"{BROWSER}talk_in_browser.py::TestTalk::test_links": TURNS,
    f"{BROWSER}talk_in_browser.py::TestTalk::test_the_switch": TURNS,
}

# Each case waits for a lock, or asks what one database alone does: triggers, claims, savepoints.
WHOLE_ON_POSTGRES = (
    f"{JOBS}test_crash.py",
    f"{SERVICES}accounts/",
    f"{SERVICES}audit/test_chain.py",
    f"{SERVICES}erasure/",
    f"{SERVICES}review/desk/test_c",
    f"{SERVICES}review/quality/test_quality_concurrency.py",
    f"{SERVICES}test_chunks.py",
    f"{SERVICES}test_idempotency.py",
    f"{SERVICES}test_queue.py",
)
# Many tests of few statements, all of them plain SQL.
ONCE_ON_POSTGRES = (
    f"{JOBS}test_served_elsewhere.py",
    f"{JOBS}test_simulated_experts.py",
    f"{SERVICES}checks/",
    f"{SERVICES}curation/test_drafts.py",
    f"{SERVICES}curation/test_leaks.py",
    f"{SERVICES}curation/test_prompted_sets.py",
    f"{SERVICES}datasets/prompts/test_prompts.py",
    f"{SERVICES}models/",
    f"{SERVICES}review/desk/test_answers.py",
    f"{SERVICES}review/opening/",
    f"{SERVICES}review/reports/",
    f"{SERVICES}review/test_waiting.py",
    f"{SERVICES}runs/importing/test_masked_outputs.py",
    f"{SERVICES}training/",
    f"{SERVICES}verdicts/test_comparison.py",
    f"{SERVICES}verdicts/test_promotion.py",
)


def examples(most: int) -> int:
    """How many examples a test of any text makes: a fifth, and in the deep suite all."""
    return most if os.environ.get("STROP_TEST_DEEP") else most // 5


def mark_depth(items: Iterable[pytest.Item]) -> None:
    """Mark as `deep` what only `make test-all` runs."""
    begun: set[str] = set()
    for item in items:
        family = _family_on_postgres(item)
        if item.nodeid.startswith(tuple(DEEP)) or family in begun:
            item.add_marker(pytest.mark.deep)
        elif family and not item.get_closest_marker("deep"):
            begun.add(family)


def _family_on_postgres(item: pytest.Item) -> str | None:
    """What the tests that show the same of PostgreSQL have in common; None where each counts."""
    called = getattr(item, "callspec", None)
    on_postgres = called is not None and called.params.get("database_url") == "postgresql"
    if not on_postgres or item.nodeid.startswith(WHOLE_ON_POSTGRES):
        return None
    path, _, rest = item.nodeid.partition("::")
    return path if path.startswith(ONCE_ON_POSTGRES) else f"{path}::{rest.partition('[')[0]}"

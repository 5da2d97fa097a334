"""The dashboard's first script: who is signed in, which pages they get, how an error looks.

Run by `strop up`. Alone, with the API elsewhere: `strop up --dashboard-only` and STROP_API_URL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from backend.errors import NotAuthenticated, StropError
from backend.schemas.accounts import Me
from dashboard.components.frame import load_style, show_problem, show_sign_in_link, show_state
from dashboard.components.sign_in import show_sign_in
from dashboard.session import (
    choose_project,
    my_queues,
    person_here,
    sign_in_ended,
)
from dashboard.views import (
    costs,
    guides,
    health,
    lineage,
    overview,
    privacy,
    prompts,
    rounds,
    synthetic,
)
from dashboard.views import exchange as exports
from dashboard.views import training as trainings
from dashboard.views.checks import page as checks
from dashboard.views.fairness import page as fairness
from dashboard.views.people import account, audit
from dashboard.views.people.person import has_signed_out, show_person
from dashboard.views.review import adjudication, agreement, preferences, queues, reviewers
from dashboard.views.review.desk import page as desk
from dashboard.views.review.opening import page as opening
from dashboard.views.runs import figures as runs
from dashboard.views.verdicts import verdicts

COMPONENTS = Path(__file__).parent / "components"
ICON = COMPONENTS / "strop.svg"
WORDMARK = COMPONENTS / "wordmark.svg"


def main() -> None:
    """Draw the page that was asked for, or the reason why not."""
    st.set_page_config(page_title="Strop", page_icon=ICON, layout="wide")
    st.logo(WORDMARK, icon_image=ICON)
    load_style()
    if has_signed_out():
        return
    try:
        me = person_here()
    except NotAuthenticated as error:
        show_sign_in_link(error.message)
        return
    except StropError as error:
        _show_broken(error)
        return
    if sign_in_ended():
        show_sign_in(name=me.name)
    try:
        _show_page(me)
    except NotAuthenticated:
        if not sign_in_ended():
            st.rerun()  # it ended while the page was drawn
        show_state("○", "Please sign in", "The page comes back as soon as you are signed in.")
    except StropError as error:
        _show_broken(error)


def _show_page(me: Me) -> None:
    position = "top" if me.role == "expert" else "sidebar"
    page = st.navigation(pages_for(me), position=position, expanded=True)
    st.set_page_config(page_title=f"{page.title} · Strop")
    choose_project(me)
    with _foot(me):
        if _is_elsewhere(page):
            show_state("?", "There is nothing here", "No page has this address. Choose one above.")
        else:
            page.run()


def _is_elsewhere(page: st.Page) -> bool:
    """Whether the address names no page; Streamlit then gives the first one."""
    asked = urlsplit(st.context.url or "").path.strip("/")
    return bool(asked) and asked not in (page.url_path, _path_of(page.title))


def _path_of(title: str) -> str:
    return title.lower().replace(" ", "-").replace("/", "-")


def _show_broken(error: StropError) -> None:
    show_state("!", "This did not work", "The page could not be drawn.")
    show_problem(error)
    st.button("Try again", type="primary")


@contextmanager
def _foot(me: Me) -> Iterator[None]:
    """Who is signed in: in the side bar where there is one, else below the page."""
    if me.role != "expert":
        show_person(me, st.sidebar)
    yield
    if me.role == "expert":
        show_person(me, st.container())


def pages_for(me: Me) -> list[st.Page] | dict[str, list[st.Page]]:
    """The pages of a role: experts get their desk, everyone else the rest as well."""
    if me.role == "expert":
        return [
            _page(desk.show, "Desk", first=True),
            _page(guides.show_expert_guide, "Guide"),
            _page(account.show, "Account"),
        ]
    return engineer_pages(reviews_too=bool(my_queues()), leads=me.role in ("lead", "admin"))


def engineer_pages(*, reviews_too: bool, leads: bool) -> dict[str, list[st.Page]]:
    """Pages in the order of the loop, those of leads too, and the desk for those who review."""
    watched = [_page(audit.show, "Audit", "policy")] if leads else []
    desk_pages = {"Review desk": [_page(desk.show, "Desk", "edit_note")]} if reviews_too else {}
    return {
        "Project": [
            _page(overview.show, "Overview", "dashboard", first=True),
            _page(rounds.show, "Rounds", "autorenew"),
        ],
        "Data": [
            _page(health.show, "Health", "ecg_heart"),
            _page(privacy.show, "Privacy", "shield_person"),
            _page(synthetic.show, "Synthetic", "draw"),
        ],
        "Answers": [
            _page(prompts.show, "Prompts", "chat"),
            _page(runs.show, "Runs", "bar_chart"),
            _page(checks.show, "Checks", "fact_check"),
            _page(fairness.show, "Fairness", "diversity_3"),
        ],
        "Review": [
            _page(queues.show, "Queues", "checklist"),
            _page(opening.show, "Open a queue", "add_circle"),
            _page(preferences.show, "A/B", "compare_arrows"),
            _page(agreement.show, "Agreement", "handshake"),
            _page(reviewers.show, "Reviewers", "groups"),
            _page(adjudication.show, "Adjudication", "balance"),
        ],
        **desk_pages,
        "Learning": [
            _page(trainings.show, "Training", "trending_down"),
            _page(lineage.show, "Lineage", "account_tree"),
        ],
        "Decision": [
            _page(verdicts.show, "Verdicts", "gavel"),
            _page(costs.show, "Costs", "payments"),
            _page(exports.show, "Export", "download"),
            *watched,
        ],
        "Help": [
            _page(guides.show, "Guides", "menu_book"),
            _page(account.show, "Account", "lock"),
        ],
    }


def _page(
    show: Callable[[], None], title: str, icon: str | None = None, *, first: bool = False
) -> st.Page:
    """A page; without an icon where the font of icons, 375 KB, is not worth its wait."""
    return st.Page(
        show,
        title=title,
        icon=f":material/{icon}:" if icon else None,
        url_path=_path_of(title),
        default=first,
    )


if __name__ == "__main__":
    main()

"""What a page is about stands in its address; one that names nothing shows no other page."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.app import _is_elsewhere
from dashboard.components.address import address_of
from dashboard.components.frame import PageLink, table_html
from dashboard.session import CLIENT_KEY
from dashboard.views.lineage import graph_of, lineage_request
from dashboard.views.runs.figures import held_out_first
from tests.dashboard.fake_client import FakeClient, engineers_project, page_script

SCRIPT = """
from dashboard.components.address import choose
import streamlit as st
st.write(f"shown: {choose('queue', 'Queue', {3: 'three', 2: 'two', 1: 'one'})}")
"""


def opened(**named: str) -> AppTest:
    app = AppTest.from_string(SCRIPT, default_timeout=30)
    for name, value in named.items():
        app.query_params[name] = value
    return app.run()


def test_the_address_opens_what_it_names() -> None:
    app = opened(queue="2")
    assert app.markdown[0].value == "shown: 2"


def test_choosing_changes_the_address() -> None:
    app = opened()
    app.selectbox[0].select(1).run()
    assert app.markdown[0].value == "shown: 1"
    assert app.query_params["queue"] in ("1", ["1"])


@pytest.mark.parametrize("named", ["99", "-1", "x", "", "１", "2 "])
def test_what_is_not_there_is_said_and_not_replaced(named: str) -> None:
    app = opened(queue=named)
    assert not app.markdown
    assert f"There is no queue {named} here" in app.get("html")[0].proto.body
    app.button[0].click().run()
    assert app.markdown[0].value == "shown: 3"


@pytest.mark.parametrize("page", ["queues", "runs", "verdicts", "trainings", "agreement"])
def test_every_page_with_a_choice_says_so(page: str) -> None:
    name = {"runs": "run", "verdicts": "comparison", "trainings": "training"}.get(page, "queue")
    client = FakeClient(role="engineer", project=engineers_project())
    app = AppTest.from_string(page_script(page), default_timeout=60)
    app.session_state[CLIENT_KEY] = client
    app.session_state["strop-project"] = client.accounts.me().projects[0]
    app.query_params[name] = "99"
    app.run()
    assert not app.exception
    assert any("99 here" in part.proto.body for part in app.get("html"))


@pytest.mark.parametrize(
    ("url", "elsewhere"),
    [
        ("http://x/", False),
        ("http://x", False),
        ("http://x/overview?a=1", False),
        ("http://x/nope", True),
        ("http://x/overview/more", True),
    ],
)
def test_an_address_of_no_page_is_said(
    url: str, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamlit.context", SimpleNamespace(url=url))
    page: Any = SimpleNamespace(url_path="", title="Overview")
    assert _is_elsewhere(page) is elsewhere


def test_links_are_escaped_and_lead_to_what_they_name() -> None:
    html = table_html(["a"], [[PageLink("<b>", address_of("lineage", of="set:a b&c"))]])
    assert html.count("<a ") == 1
    assert "href='/lineage?of=set%3Aa%20b%26c'" in html
    assert "&lt;b&gt;" in html


def test_nodes_of_a_lineage_are_links() -> None:
    lineage = engineers_project()["lineage"]
    node = lineage.nodes[0].model_copy(update={"key": "model:base:v2@1", "kind": "model"})
    person = node.model_copy(update={"key": "person:E-7", "kind": "person"})
    assert (lineage_request(node), lineage_request(person)) == ("base:v2@1", None)
    graph = graph_of(lineage.model_copy(update={"nodes": [node, person]}))
    assert graph.count("URL=") == 1
    assert 'URL="/lineage?of=base%3Av2%401"' in graph


def test_a_run_that_was_held_out_comes_first() -> None:
    run = engineers_project()["list_generation_runs"][0]
    runs = [run.model_copy(update={"id": i, "split": s}) for i, s in enumerate(
        ["test", "train", "validation", "test", "train"]
    )]  # fmt: skip
    assert [one.id for one in held_out_first(runs)] == [3, 0, 2, 4, 1]

"""An API computes the figures of a page once: every address that shows them keeps them."""

from __future__ import annotations

from backend.tables.rounds import Round
from tests.backend.api.conftest import House
from tests.fixtures_trial import GOOD_BAR, Trial

PATHS = (
    "/comparisons/{comparison}",
    "/comparisons/{comparison}/slices",
    "/projects/{project}/rounds",
    "/rounds/{round}",
    "/score-runs/{scores}",
    "/score-runs/{scores}/differences?baseline={base}&candidate={v1}",
)


def _lay_down(house: House) -> dict[str, int]:
    """A comparison with its round; returns what stands for the names in the paths."""
    with house.sessions.begin() as session:
        trial = Trial(session, right=0.8, metrics=["exact_match", "invented"])
        judged, project = trial.judge(GOOD_BAR), trial.laid.project
        turn = Round(project_id=project, number=1, plan={"adapter": "v1"}, comparison_id=judged.id)
        session.add(turn)
        session.flush()
        made = {"comparison": judged.id, "project": project, "round": turn.id}
        return {**made, "base": trial.base.id, "v1": trial.v1.id, "scores": trial.scores.id}


def test_a_second_view_of_any_page_with_figures_computes_nothing(house: House) -> None:
    names = _lay_down(house)
    kept, client = house.app.state.serving.kept, house.client("admin")
    for path in PATHS:
        address = f"/api/v1{path.format(**names)}"
        kept._found.clear()
        first, computed = client.get(address), kept.computed
        assert (first.status_code, len(kept._found) > 0) == (200, True), path
        assert client.get(address).json() == first.json()
        assert kept.computed == computed, path

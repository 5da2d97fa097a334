"""Other bases of a project: registered once, under names of their own, from places that may be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from backend.errors import Forbidden, InvalidInput
from backend.services.derivation import ancestors, merged_from
from backend.services.models.others import place_of_base, register_other_base, register_served
from backend.services.models.seen import SeenBase
from backend.services.models.versions import find_model, serving_groups
from backend.services.training.start import resolve_start
from backend.settings import Settings
from tests.fixtures_runs import lay_down_project

SEEN = SeenBase(base_sha256="9" * 64, tokenizer_sha256="8" * 64, template_sha256="7" * 64)


def test_the_same_files_are_the_same_revision_and_share_an_engine_with_none(
    session: Session,
) -> None:
    project = lay_down_project(session, adapters=1).project
    base, v1 = (find_model(session, project, label) for label in ("base", "v1"))
    large = register_other_base(session, project, "large", "/models/large", seen=SEEN)
    assert register_other_base(session, project, "large", "/models/large", seen=SEEN) is large
    changed = replace(SEEN, template_sha256="6" * 64)
    after = register_other_base(session, project, "large", "/models/large", seen=changed)
    assert (large.label, after.label, large.is_own_base) == ("large@1", "large@2", True)
    assert serving_groups(base, [v1, large, after]) == [[base, v1], [large], [after]]


def test_a_name_stands_for_one_kind_of_model(session: Session) -> None:
    project = lay_down_project(session, adapters=0).project
    register_served(session, project, "gpt", "gpt-4o")
    for name in ("gpt", "base", "a+b"):
        with pytest.raises(InvalidInput):
            register_other_base(session, project, name, "/models/large", seen=SEEN)


def test_what_a_merged_export_was_made_of_stays_known(session: Session, tmp_path: Path) -> None:
    project = lay_down_project(session, adapters=1).project
    v1 = find_model(session, project, "v1")
    record = {"merged_from": [{"label": v1.label, "sha256": v1.adapter_sha256, "weight": 1.0}]}
    (tmp_path / "strop.json").write_text(json.dumps(record))
    exported = register_other_base(session, project, "whole", str(tmp_path), seen=SEEN)
    assert v1 in ancestors(session, [exported.id])
    assert [parent for parent, _ in merged_from(session, exported)] == [v1]
    (tmp_path / "strop.json").write_text('{"merged_from": 5}')
    with pytest.raises(InvalidInput, match="merged_from"):
        register_other_base(session, project, "other", str(tmp_path), seen=SEEN)


def test_a_base_lies_anywhere_but_with_another_project(
    session: Session, settings: Settings, tmp_path: Path
) -> None:
    project = lay_down_project(session, adapters=0).project
    mine, foreign = (settings.artifacts / f"project-{n}" / "m" for n in (project, project + 1))
    anywhere = tmp_path / "anywhere"
    for folder in (mine, foreign, anywhere):
        folder.mkdir(parents=True)
    for folder in (mine, anywhere):
        assert place_of_base(session, project, str(folder), settings) == str(folder.resolve())
    assert place_of_base(session, project, "org/model", settings) == "org/model"
    with pytest.raises(Forbidden, match="another project"):
        place_of_base(session, project, str(foreign), settings)


def test_a_base_of_another_tokeniser_is_not_trained_from(session: Session) -> None:
    """What came of it could not be registered."""
    project = lay_down_project(session, adapters=0).project
    base = find_model(session, project, "base")
    alike = replace(
        SEEN, tokenizer_sha256=base.tokenizer_sha256, template_sha256=base.template_sha256
    )
    register_other_base(session, project, "large", "/models/large", seen=SEEN)
    register_other_base(session, project, "sibling", "/models/sibling", seen=alike)
    with pytest.raises(InvalidInput, match="another tokeniser or chat template"):
        resolve_start(session, project, "large", {"weights": "full"})
    model, config = resolve_start(session, project, "sibling", {"weights": "full"})
    assert (model and model.label, config["start_from"]) == ("sibling@1", "/models/sibling")

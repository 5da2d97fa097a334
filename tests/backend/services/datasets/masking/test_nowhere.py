"""No original identifier stands anywhere but, encrypted, in the vault: not in the whole database
file, not in any export, not in any answer of the API, not in what models and judges are asked.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from backend.db import Base
from backend.errors import InvalidInput
from backend.services.curation.formats import FORMATS, export_rows
from backend.services.curation.recipes import Recipe, ReplayPart
from backend.services.curation.sets import freeze_training_set, training_rows
from backend.services.datasets.conversations import chat_messages
from backend.services.datasets.masking.stored import masker_of, set_masking_policy
from backend.services.datasets.versions import find_version, import_dataset, list_examples
from backend.services.projects import create_project
from tests.backend.services.datasets.masking.conftest import KEYS, SECRETS, named_rows, words_told


def _masked_project(session: Session) -> int:
    project_id = create_project(session, "desk", base_model="tiny").id
    set_masking_policy(session, project_id, "", keys=KEYS)
    masker = masker_of(session, project_id, KEYS)
    assert masker is not None
    rows = masker.mask(named_rows())
    import_dataset(session, project_id, "notes", rows, source_name="notes.jsonl")
    return project_id


def test_no_row_of_any_table_holds_an_original(session: Session) -> None:
    _masked_project(session)
    session.flush()
    for table in Base.metadata.sorted_tables:
        rows = session.execute(text(f'SELECT * FROM "{table.name}"')).mappings()
        for row in rows:
            said = json.dumps(dict(row), default=str, ensure_ascii=False)
            assert words_told(said) == [], table.name


def test_the_file_of_the_database_holds_no_original(
    sqlite_sessions: sessionmaker[Session], sqlite_url: str
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    with sqlite_sessions.begin() as session:
        _masked_project(session)
    for file in path.parent.glob(f"{path.name}*"):
        said = file.read_bytes().decode(errors="replace")
        assert words_told(said, [*SECRETS, *(json.dumps(word)[1:-1] for word in SECRETS)]) == []


def test_no_export_of_a_frozen_set_holds_an_original(session: Session) -> None:
    project_id = _masked_project(session)
    recipe = Recipe(dataset="notes", references=ReplayPart(count=2))
    frozen = freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)
    rows = list(training_rows(session, frozen.id))
    assert len(rows) == 2
    written = 0
    for name in FORMATS:
        for row in rows:
            with suppress(InvalidInput):  # a conversation has no place in some formats
                said = json.dumps(list(export_rows([row], name)), ensure_ascii=False, default=str)
                written += len(said) > 2
                assert words_told(said) == [], name
    assert written >= 4


def test_what_a_model_is_asked_holds_no_original(session: Session) -> None:
    project_id = _masked_project(session)
    version = find_version(session, project_id, "notes")
    asked = [chat_messages(example) for example in list_examples(session, version.id)]
    assert words_told(json.dumps(asked, ensure_ascii=False)) == []


def test_a_set_of_what_came_unmasked_is_refused(session: Session) -> None:
    project_id = create_project(session, "desk", base_model="tiny").id
    import_dataset(session, project_id, "notes", named_rows(), source_name="a")
    set_masking_policy(session, project_id, "", keys=KEYS)
    recipe = Recipe(dataset="notes", references=ReplayPart(count=2))
    with pytest.raises(InvalidInput, match="The set 's' is refused: 2 of its examples came in"):
        freeze_training_set(session, project_id=project_id, name="s", recipe=recipe)

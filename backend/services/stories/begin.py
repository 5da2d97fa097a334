"""A project begun from a story: what a team sets first, and examples to try it on.

The masking policy is not set here: masking is off until somebody chooses it, and from then on the
project takes no row that was not masked. It lies among the files, to be set before one's own data.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from backend.rubrics import parse_rubric
from backend.services import review
from backend.services.datasets.prompts.prompts import add_prompt, parse_prompt
from backend.services.datasets.versions import import_dataset, split_counts
from backend.services.projects import set_manifest
from backend.services.stories.stories import PARTS, SEED, Story

SHARES = (0.6, 0.1, 0.3)
DATASET = "examples"
PROMPT = "brief"


@dataclass(frozen=True, slots=True)
class Begun:
    """What was laid down; `splits` are examples and groups by split."""

    manifest: int
    rubric: str
    prompt: str
    splits: dict[str, tuple[int, int]]


def begin_story(session: Session, project_id: int, story: Story) -> Begun:
    """Set the story's bar, rubric and prompt, and import its examples.

    What is there already with the same content stays.
    """
    manifest = set_manifest(session, project_id, story.source("bar"))
    rubric = review.save_rubric(session, project_id, parse_rubric(story.source("rubric")))
    prompt = add_prompt(session, project_id, PROMPT, parse_prompt(story.source("prompt")))
    version = import_dataset(
        session,
        project_id,
        DATASET,
        story.write_rows(),
        source_name=f"story {story.name}",
        seed=SEED,
        fractions=SHARES,
    )
    counts = {str(split): count for split, count in split_counts(session, version.id).items()}
    return Begun(manifest.version, rubric.name, prompt.label, counts)


def write_files(story: Story, folder: Path) -> list[Path]:
    """Put the story's files where a team can edit them; what is there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for part in PARTS:
        file = folder / f"{part}.yaml"
        if not file.exists():
            file.write_text(story.source(part), encoding="utf-8")
        found.append(file)
    return found

"""The index of a dossier: what it says in its first line, then every section, for people.

Markdown and HTML are made of the same content as the JSON. Every text is data: Markdown is escaped,
HTML by jinja2, and neither holds a script or loads anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from backend.services.dossier.answers import QUESTIONS, NewestAnswer
from backend.services.dossier.content import SectionContent, as_json
from backend.services.dossier.sections import ANNEX_IV, NIST, SECTIONS

if TYPE_CHECKING:
    from jinja2 import Template

_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|~-])")
CANNOT = (
    "What this archive proves: the files are those that the holder of the key signed, and the "
    "figures follow from the scores that lie in it, by the recipes that stand beside them.",
    "What it does not prove: that the scores are those of the model, that the people are who they "
    "are said to be, that the time of the computer was right, or that no other comparison was made "
    "and kept back. The team answers for these.",
    "Strop does not decide whether a law applies or is kept. It puts what it measured under the "
    "headings that such documents have.",
)


@dataclass(frozen=True, slots=True)
class Index:
    """All that the index says.

    Attributes:
        first: the first line, with the verdict.
    """

    first: str
    facts: Mapping[str, str]
    told: Mapping[str, SectionContent]
    answers: Mapping[str, NewestAnswer]

    @property
    def open_questions(self) -> list[str]:
        """Questions that the team has not answered."""
        return [name for name in QUESTIONS if name not in self.answers]


def index_files(index: Index) -> dict[str, bytes]:
    """The index in its three forms."""
    return {
        "index.md": _markdown(index).encode(),
        "index.html": _template().render(**_shown(index)).encode(),
        "index.json": as_json(_record(index)),
    }


def _record(index: Index) -> dict[str, Any]:
    sections = {
        name: {
            "heading": SECTIONS[name].heading,
            "nist": SECTIONS[name].nist,
            "annex_iv": list(SECTIONS[name].annex),
            "measured": told.measured,
            "sentences": told.sentences,
            "tables": [asdict(table) for table in told.tables],
            "files": sorted(told.files),
        }
        for name, told in index.told.items()
    }
    answers = {name: asdict(answer) for name, answer in index.answers.items()}
    return {
        "first": index.first,
        "facts": dict(index.facts),
        "sections": sections,
        "answers": answers,
        "unanswered": index.open_questions,
        "what_it_proves": list(CANNOT),
    }


def _shown(index: Index) -> dict[str, Any]:
    return {
        "index": index,
        "nist": NIST,
        "annex": ANNEX_IV,
        "sections": SECTIONS,
        "questions": QUESTIONS,
        "cannot": CANNOT,
        "cell": cell,
    }


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    source = files("backend.services.dossier").joinpath("index.html.jinja").read_text("utf-8")
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return made.from_string(source)


def cell(value: Any) -> str:
    """A value as it is read: numbers with six digits, nothing as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


# -- Markdown


def _markdown(index: Index) -> str:
    lines = [f"# {_md(index.first)}", ""]
    lines += [f"- {_md(name)}: {_md(value)}" for name, value in index.facts.items()]
    lines += ["", *(f"{sentence}\n" for sentence in CANNOT)]
    for function, about in NIST.items():
        lines += [f"## {function}: {about}", ""]
        for name, section in SECTIONS.items():
            if section.nist == function:
                points = ", ".join(f"{n}. {ANNEX_IV[n]}" for n in section.annex)
                lines += [
                    f"### {section.heading}",
                    "",
                    f"{section.tells} (Annex IV: {points}.)",
                    "",
                ]
                lines += _section(index.told[name])
        lines += _answers(index, function)
    return "\n".join(lines) + "\n"


def _section(told: SectionContent) -> list[str]:
    lines = [f"{_md(sentence)}\n" for sentence in told.sentences]
    for table in told.tables:
        lines += [_row(table.columns), _row(["---"] * len(table.columns), raw=True)]
        lines += [_row([cell(value) for value in row]) for row in table.rows]
        lines.append("")
    return lines + [f"File: {name}\n" for name in sorted(told.files)]


def _answers(index: Index, function: str) -> list[str]:
    lines = ["### What the team says", ""]
    for name, question in QUESTIONS.items():
        if question.nist == function:
            known = index.answers.get(name)
            said = "NOT ANSWERED." if known is None else f"{_md(known.text)} ({known.when})"
            lines.append(f"- {question.asks} (Annex IV, {question.annex}) {said}")
    return [*lines, ""]


def _row(values: Sequence[str], *, raw: bool = False) -> str:
    return "| " + " | ".join(values if raw else map(_md, values)) + " |"


def _md(text: str) -> str:
    """A text in which Markdown finds nothing to do."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))

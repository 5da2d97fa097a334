"""The lists by which persons' groups are recognised and exchanged: YAML files, open to additions.

A file says its `kind` (name, place, gender, words) and `language` (en, de, any). What ships lies in
`lists/` beside this module; further files add their groups and words to it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from evaluators.errors import InvalidValues

LISTS = Path(__file__).parent / "lists"
LANGUAGES = ("en", "de")
ANY = "any"
FILE_KINDS = ("name", "place", "gender", "words")
MOST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Group:
    """Words that stand for one group; `gender` is empty where the kind knows none."""

    group: str
    words: tuple[str, ...]
    gender: str = ""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All lists of one language.

    Attributes:
        names, places: groups of words that are exchanged for each other.
        gender: the content of the language's gender file.
        relevant: kind -> beginnings of words that forbid it in a row.
        neutral: pairs of words that mean the same, for controls.
        digest: of all that was read, so that a dataset made by it says by what.
    """

    language: str
    names: tuple[Group, ...]
    places: tuple[Group, ...]
    gender: Mapping[str, Any] = field(repr=False)
    relevant: Mapping[str, tuple[str, ...]] = field(repr=False)
    neutral: tuple[tuple[str, str], ...] = field(repr=False)
    ages: tuple[re.Pattern[str], ...] = field(repr=False)
    refusal: tuple[str, ...] = field(repr=False)
    common: frozenset[str] = field(repr=False)
    digest: str = ""


def load_lexicon(language: str, extra: Sequence[str | Path] = ()) -> Lexicon:
    """The lists of a language, with those of further files.

    Raises:
        InvalidValues: no such language, or a file that is no list; it names the file.
    """
    if language not in LANGUAGES:
        raise InvalidValues(f"There are no lists for the language {language!r}.", hint="en or de.")
    files = [read_list(path) for path in sorted(LISTS.glob("*.yaml"))]
    files += [read_list(Path(path)) for path in extra]
    return _lexicon(language, [f for f in files if f["language"] in (language, ANY)])


@lru_cache(maxsize=4)
def shipped_lexicon(language: str) -> Lexicon:
    """The lists that ship, read once."""
    return load_lexicon(language)


def read_list(path: Path) -> dict[str, Any]:
    """One file, checked; errors as of `load_lexicon`."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidValues(f"{path} is too large for a list.", hint="At most 1 MB.")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidValues(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidValues(
            f"{path} is not YAML in UTF-8.", hint="See evaluators/fairness/lists."
        ) from error
    problem = _problem(content)
    if problem:
        raise InvalidValues(
            f"{path} is no list of words: {problem}.", hint="See evaluators/fairness/lists."
        )
    return dict(content)


def _problem(content: object) -> str:
    if not isinstance(content, dict):
        return "it is no mapping"
    if content.get("kind") not in FILE_KINDS:
        return f"its kind is none of {', '.join(FILE_KINDS)}"
    if content.get("language") not in (*LANGUAGES, ANY):
        return f"its language is none of {', '.join((*LANGUAGES, ANY))}"
    if content["kind"] not in ("name", "place"):
        return ""
    groups = content.get("groups")
    if not isinstance(groups, list) or not groups:
        return "it has no groups"
    for group in groups:
        words = group.get("words") if isinstance(group, dict) else None
        if not (
            isinstance(words, list)
            and words
            and all(isinstance(w, str) and w.strip() for w in words)
        ):
            return "a group has no words, or one that is no text (quote on, off, yes, no)"
        if not isinstance(group.get("group"), str):
            return "a group has no name"
        if content["kind"] == "name" and group.get("gender") not in ("female", "male"):
            return "a group of names says no gender: female or male"
    return ""


def _lexicon(language: str, files: Sequence[Mapping[str, Any]]) -> Lexicon:
    words = [f for f in files if f["kind"] == "words"]
    genders = [f for f in files if f["kind"] == "gender"]
    digest = hashlib.sha256(json.dumps(files, sort_keys=True, ensure_ascii=False).encode())
    relevant: dict[str, tuple[str, ...]] = {}
    for entry in words:
        for kind, beginnings in (entry.get("relevant") or {}).items():
            relevant[kind] = (*relevant.get(kind, ()), *map(str, beginnings))
    return Lexicon(
        language=language,
        names=_groups(files, "name"),
        places=_groups(files, "place"),
        gender=_merged(genders),
        relevant=relevant,
        neutral=tuple((str(a), str(b)) for entry in words for a, b in entry.get("neutral") or ()),
        ages=tuple(re.compile(p) for entry in words for p in entry.get("ages") or ()),
        refusal=tuple(str(p) for entry in words for p in entry.get("refusal") or ()),
        common=frozenset(str(w) for entry in words for w in entry.get("common") or ()),
        digest=digest.hexdigest(),
    )


def _groups(files: Iterable[Mapping[str, Any]], kind: str) -> tuple[Group, ...]:
    """Groups of the same name and gender in several files are one; a word has one group only."""
    found: dict[tuple[str, str], list[str]] = {}
    taken: dict[str, tuple[str, str]] = {}
    for file in files:
        if file["kind"] != kind:
            continue
        for entry in file["groups"]:
            key = (entry["group"], entry.get("gender", ""))
            for word in entry["words"]:
                if taken.setdefault(word, key) != key:
                    raise InvalidValues(
                        f"{word!r} is in two groups of {kind}s, {taken[word][0]} and {key[0]}.",
                        hint="Leave it out of one: it would tell neither.",
                    )
                found.setdefault(key, []).append(word)
    return tuple(Group(g, tuple(dict.fromkeys(w)), gender) for (g, gender), w in found.items())


def _merged(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Lists are joined, mappings merged, the first of other values stands."""
    merged: dict[str, Any] = {}
    for file in files:
        for key, value in file.items():
            if isinstance(value, list):
                merged[key] = [*merged.get(key, ()), *value]
            elif isinstance(value, dict):
                old = merged.get(key, {})
                merged[key] = {
                    k: {**old.get(k, {}), **v} if isinstance(v, dict) else v
                    for k, v in {**old, **value}.items()
                }
            else:
                merged.setdefault(key, value)
    return merged


_WORD = re.compile(r"[^\W\d_]+")


def tell_language(text: str) -> str | None:
    """The language whose common words are most; None where they tell too little."""
    words = [word.lower() for word in _WORD.findall(text)]
    counts = {
        language: sum(word in shipped_lexicon(language).common for word in words)
        for language in LANGUAGES
    }
    best, other = sorted(counts.values(), reverse=True)
    if best == 0 or best < 2 * other:
        return None
    return max(counts, key=lambda language: counts[language])


def is_refusal(text: str, language: str) -> bool:
    """Whether an answer begins as one that declines; by the listed phrases."""
    beginning = text.strip()[:200].lower().replace("’", "'")
    return any(phrase in beginning for phrase in shipped_lexicon(language).refusal)

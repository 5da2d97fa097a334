"""What a project masks, and how: read from YAML, versioned and hashed where it is stored.

languages: [en, de]         # the texts' languages
kinds: {DATE: off}          # every kind is on unless it is switched off here
replace: surrogate          # or placeholder: [PERSON_1]
consistent: document        # or group: the examples of a group share surrogates
originals: encrypt          # or drop
ids: found                  # or all: ids of rows are masked though nothing is found in them
date_order: auto            # or dmy, mdy: how 3/4/2020 is read
allow: [Parkinson]          # never masked
names: [Ottokar Wrzesniewski]           # masked wherever they stand
patterns: [{kind: WARD, pattern: 'Ward \\d+'}]    # RE2
names_model: en_core_web_sm             # a spaCy model that is installed; none by default
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from backend.errors import InvalidInput, UnknownName
from backend.services.datasets.masking.identifiers.kinds import KINDS
from backend.services.datasets.masking.identifiers.shapes import LONGEST_SHAPE, compile_shape

LONGEST_POLICY = 200_000
Term = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
_KIND = re.compile(r"[A-Z][A-Z0-9_]{1,30}")


class OwnPattern(BaseModel):
    """A pattern of the project: what it finds is of this kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_SHAPE)]


class MaskingPolicy(BaseModel):
    """A masking policy; the docstring of the module shows every field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    active: bool = True
    languages: tuple[Literal["en", "de"], ...] = Field(("en", "de"), min_length=1)
    kinds: dict[str, bool] = Field(default_factory=dict)
    replace: Literal["surrogate", "placeholder"] = "surrogate"
    consistent: Literal["document", "group"] = "document"
    originals: Literal["encrypt", "drop"] = "encrypt"
    ids: Literal["found", "all"] = "found"
    date_order: Literal["auto", "dmy", "mdy"] = "auto"
    allow: tuple[Term, ...] = Field((), max_length=10_000)
    names: tuple[Term, ...] = Field((), max_length=10_000)
    patterns: tuple[OwnPattern, ...] = Field((), max_length=50)
    names_model: str | None = None

    def masks(self, kind: str) -> bool:
        """Whether a kind is on."""
        return self.kinds.get(kind, True)


def parse_policy(source: str) -> MaskingPolicy:
    """A policy from YAML; an empty text is the policy of all defaults.

    Raises:
        InvalidInput: it is no policy, or a pattern is not RE2's.
        UnknownName: a kind that there is not; the nearest are named.
    """
    if len(source) > LONGEST_POLICY:
        raise InvalidInput("The masking policy is longer than 200,000 characters.")
    try:
        policy = MaskingPolicy.model_validate(yaml.safe_load(source) or {})
    except (yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise InvalidInput(f"The masking policy is not YAML: {said}.") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its top"
        raise InvalidInput(
            f"The masking policy is not valid at {where}: {first['msg']}.",
            hint=f"Its fields are {', '.join(MaskingPolicy.model_fields)}.",
        ) from None
    for kind in policy.kinds:
        if kind not in KINDS:
            raise UnknownName("kind of identifier", kind, KINDS)
    for own in policy.patterns:
        _check_pattern(own)
    return policy


def _check_pattern(own: OwnPattern) -> None:
    if not _KIND.fullmatch(own.kind) or own.kind in KINDS:
        raise InvalidInput(
            f"{own.kind[:40]!r} cannot be the kind of a pattern.",
            hint="Give it a name of its own in capitals, as WARD.",
        )
    if compile_shape(own.pattern).match("") is not None:
        raise InvalidInput(
            f"The pattern of {own.kind} is found in an empty text.",
            hint="Let it ask for one character at least.",
        )


def policy_digest(policy: MaskingPolicy) -> str:
    """SHA-256 over the meaning of a policy, so that comments and order of keys do not matter."""
    content = json.dumps(policy.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()

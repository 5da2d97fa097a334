"""The part of a recipe that asks for rows in which a person's group is exchanged."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backend.errors import InvalidInput


class Counterfactuals(BaseModel):
    """Rows once more with a person's name, gender, age or place exchanged, beside the originals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: tuple[str, ...] = Field(min_length=1)
    language: str | None = None
    share: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _known(self) -> Counterfactuals:
        from evaluators.fairness.lexicon import LANGUAGES
        from evaluators.fairness.swap import KINDS

        if unknown := set(self.kinds) - KINDS.keys():
            raise ValueError(f"{min(unknown)!r} is no kind; there are {', '.join(KINDS)}")
        if self.language is not None and self.language not in LANGUAGES:
            raise ValueError(f"there are no lists for the language {self.language!r}")
        return self

    def __str__(self) -> str:
        return ", ".join(self.kinds) + (f" of {self.share:.0%} of them" if self.share < 1 else "")


def parse_counterfactuals(text: str) -> Counterfactuals:
    """Read kinds and, if wanted, a share of the rows: `name,gender` or `gender:0.5`."""
    kinds, colon, share = text.partition(":")
    named = tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    try:
        return Counterfactuals(kinds=named, share=float(share) if colon else 1.0)
    except (ValueError, ValidationError) as error:
        raise InvalidInput(
            f"{text!r} names no counterfactual rows.", hint="Write name,gender or gender:0.5."
        ) from error

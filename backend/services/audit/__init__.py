"""The log of who did what. To add to it: `record`, and `act_as` for whoever opens a session."""

from backend.services.audit.acts import (
    ACTOR,
    MOST_LETTERS,
    MOST_NUMBERS,
    Actor,
    act_as,
    actor_of,
    record,
)

__all__ = ["ACTOR", "MOST_LETTERS", "MOST_NUMBERS", "Actor", "act_as", "actor_of", "record"]

"""What an output states and where its source says so, for an item that a person has before them."""

from __future__ import annotations

from collections.abc import Sequence

from backend.services.review.desk.item_view import ItemView
from evaluators.checks.support import Link, find_support


def find_links(item: ItemView) -> Sequence[Link]:
    """The claims of a single output with their places in its source; nothing for a blind pair.

    Places count code points of the context, a line break and the input, as the model was given
    them.
    """
    if item.output is None:
        return ()
    return find_support(item.output.text, "\n".join(filter(None, (item.context, item.input))))

"""What a training that cannot go on raises."""

from __future__ import annotations

EXIT_COULD_NOT_RUN = 1


class TrainingError(Exception):
    """Training cannot go on; one sentence says what is wrong and one says what to do."""

    exit_code = EXIT_COULD_NOT_RUN

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} {hint}")
        self.message = message
        self.hint = hint

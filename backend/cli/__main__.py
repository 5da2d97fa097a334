"""`python -m backend.cli` is `strop`."""

from backend.cli import main

main()

"""Commands that erase, and that say how long things are kept."""

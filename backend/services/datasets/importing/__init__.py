"""Import: files and rows of other tools, read into examples."""

"""The demo: its world, its data and its base model, all made by scripts in this folder."""

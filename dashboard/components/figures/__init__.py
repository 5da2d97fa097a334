"""Figures, measured numbers and plots, as people read them."""

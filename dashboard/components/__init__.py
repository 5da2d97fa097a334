"""Pieces that several pages share: text shown as text, the correction box, plots, frames."""

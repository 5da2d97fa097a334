"""The expert's desk: claim an item, answer or skip it, revise, look back."""

"""Whole-process figures, as a person at a terminal would take them."""

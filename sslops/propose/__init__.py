"""Merge requests: opened, kept up to date, merged or left to people, and what closing one means (design section 5)."""

"""Proposed changes: the branch, the merge request and what became of it."""

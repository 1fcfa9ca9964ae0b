"""Trees of other tools as drafts."""

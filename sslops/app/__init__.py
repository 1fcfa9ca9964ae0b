"""The composition root: opens the repositories, picks the adapters, one module per concern; no click, no wording."""

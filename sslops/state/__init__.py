"""Git trees to model and back: what exists, on which branch, and how it is changed (docs/state.md)."""

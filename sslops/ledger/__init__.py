"""The branch `ledger`: what was last proved about hosts and DNS, as files and back (docs/state.md)."""

"""This git repository: git, refs, compare-and-swap, commits, state and ledger files, taking main into next."""

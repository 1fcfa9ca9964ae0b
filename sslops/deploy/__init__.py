"""The stage `deploy`: make hosts serve what `main` says, and prove it.

`rules` says which host needs what, `entries` how a host's entry on the ledger changes, `steps` does it through `ports`.
"""

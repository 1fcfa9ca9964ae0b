"""Revocation: the CA is asked, the replacement starts, and what was revoked never becomes live again."""

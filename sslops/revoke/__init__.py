"""Revocation: the CA is told, the replacement starts, and what was revoked never becomes live again."""

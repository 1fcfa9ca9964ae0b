"""A new ops repository: two age identities outside of it, and one commit that a person can read in five minutes."""

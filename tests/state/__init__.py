"""State in git, on real repositories."""

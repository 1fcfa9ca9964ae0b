"""Old generations leave `state/`: what nothing needs any more, and how it goes."""

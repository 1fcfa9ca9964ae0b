"""People are told what changed for the worse, once, and when it is over."""

"""People are notified of what changed for the worse, once, and when it is over."""

"""Sites of other tools become an inventory and generations; the old tree is only read."""

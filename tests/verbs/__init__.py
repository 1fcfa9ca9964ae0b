"""The command line and its verbs, end to end."""

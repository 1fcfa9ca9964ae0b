"""The verbs of the command line, one short module each: parse, call, show."""

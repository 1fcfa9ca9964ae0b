"""The command line: one module per verb, options, output; it decides nothing."""

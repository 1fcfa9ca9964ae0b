"""ACME (RFC 8555): client, order rules, solvers (one module per challenge type), limits, renewal windows."""

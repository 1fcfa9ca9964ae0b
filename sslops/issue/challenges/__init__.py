"""How control of a name is shown to an ACME server: one module for each challenge type, behind the port `Solver`."""

"""The outside world: one module wraps one program or library."""

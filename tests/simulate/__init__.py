"""The time ahead."""

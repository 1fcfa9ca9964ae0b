"""The machine's clock, in the one form that sslops uses: aware UTC in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Tells the moment, rounded down to the second."""

    def now(self) -> datetime:
        """Return now."""
        return datetime.now(tz=UTC).replace(microsecond=0)

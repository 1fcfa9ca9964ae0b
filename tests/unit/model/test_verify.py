"""How long a port may take to answer."""

from __future__ import annotations

import pytest

from sslops.model.inventory import Verify


@pytest.mark.parametrize(
    ("verify", "seconds"),
    [
        (Verify(25, "smtp"), 300),
        (Verify(443), 10),
        (Verify(25, "smtp", given_patience=5), 5),
    ],
)
def test_a_mail_server_has_the_five_minutes_of_the_rfc(verify: Verify, seconds: float) -> None:
    """RFC 5321 section 4.5.3.2.1; the inventory may say otherwise."""
    assert seconds == verify.patience_seconds

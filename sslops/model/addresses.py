"""IP addresses among names: SANs and hosts may be either.

>>> is_address("192.0.2.1"), is_address("2001:db8::1"), is_address("mail.example.com")
(True, True, False)
"""

from __future__ import annotations

import ipaddress


def is_address(name: str) -> bool:
    """Whether *name* is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""Names in certificates, zones and commands."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslops.inventory import names
from sslops.model.inventory import Endpoint


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Mail.Example.COM", "mail.example.com"),
        ("*.Example.com", "*.example.com"),
        ("bücher.example.com", "xn--bcher-kva.example.com"),
        ("straße.example.com", "xn--strae-oqa.example.com"),
        ("xn--bcher-kva.example.com", "xn--bcher-kva.example.com"),
        ("*.bücher.example.com", "*.xn--bcher-kva.example.com"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_a_name_is_written_in_one_form(written: str, meant: str) -> None:
    """DNS names become lower-case A-labels by IDNA 2008, addresses their shortest form."""
    assert meant == names.subject_name(written)


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "a..b",
        "example.com.",
        "-a.example.com",
        "a-.example.com",
        "a_b.example.com",
        "a b.example.com",
        'a"b.example.com',
        "a;b.example.com",
        "a\\b.example.com",
        "a(b.example.com",
        "a)b.example.com",
        "a\nb.example.com",
        "a\n",
        "$INCLUDE",
        "@",
        "*",
        "*.com",
        "a.*.example.com",
        "a*.example.com",
        "**.example.com",
        "1.2.3",
        "192.0.2.0/24",
        "2001:db8::/32",
        "fe80::1%eth0",
        "xn--zz.example.com",
        "ab--cd.example.com",
        "\u202emoc.example",
        "a\u3002example.com",
        "x" * 64 + ".example.com",
        ".".join(["abcdefghi"] * 26),
    ],
)
def test_a_name_that_would_break_something_is_refused(written: str) -> None:
    """Nothing that a zone file, a path or a certificate would read differently gets through."""
    with pytest.raises(ValueError, match=r"."):
        names.subject_name(written)


@given(st.text(max_size=80))
def test_a_name_is_either_refused_or_safe_in_a_zone_file(written: str) -> None:
    """What is accepted has only letters, digits, `-`, `.`, `:` and one leading `*.`, and stays what it is."""
    try:
        name = names.subject_name(written)
    except ValueError:
        return
    assert set(name.removeprefix("*.")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.:")
    assert name == names.subject_name(name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("192.0.2.1", Endpoint("192.0.2.1", 53)),
        ("192.0.2.1:5353", Endpoint("192.0.2.1", 5353)),
        ("2001:db8::1", Endpoint("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", Endpoint("2001:db8::1", 5353)),
        ("[2001:db8::1]", Endpoint("2001:db8::1", 53)),
    ],
)
def test_an_endpoint_is_an_address_with_an_optional_port(written: str, meant: Endpoint) -> None:
    """IPv4 and IPv6, the latter in brackets when a port follows."""
    assert meant == names.endpoint(written)


@pytest.mark.parametrize("written", ["ns1.example.com", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "[x]:53", ""])
def test_an_endpoint_is_nothing_else(written: str) -> None:
    """Host names and ports that do not exist are refused."""
    with pytest.raises(ValueError, match="no IP address with an optional port"):
        names.endpoint(written)


def test_a_command_is_split_like_a_shell_would() -> None:
    """Quotes hold words together, and are gone then."""
    assert ("/usr/bin/systemctl", "reload", "my unit") == names.words("/usr/bin/systemctl reload 'my unit'")


@pytest.mark.parametrize("command", ["postfix 'reload", "", "''", "-x"])
def test_a_command_without_a_program_is_refused(command: str) -> None:
    """An open quote, nothing, and what looks like an option are no commands."""
    with pytest.raises(ValueError, match=r"it|a program"):
        names.words(command)


def test_a_day_begins_at_midnight_utc() -> None:
    """A day and its first second mean the same."""
    midnight = datetime(2026, 12, 1, tzinfo=UTC)

    assert (midnight, midnight) == (names.moment("2026-12-01"), names.moment("2026-12-01T00:00:00Z"))

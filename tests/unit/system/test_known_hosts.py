"""Lines of `known_hosts` come out under the inventory's names, and only under the right ones."""

from __future__ import annotations

from sslops.model.inventory import Host
from sslops.system.ssh import pinned

KEY = "ssh-ed25519 AAAA"
SMTP = Host("smtp1", "10.0.0.1")
ODD = Host("smtp2", "10.0.0.2", 2222)


def test_a_line_under_the_name_is_kept_as_it_is() -> None:
    """Nothing is added when the name is there already."""
    assert f"smtp1 {KEY}\n" == pinned(f"smtp1 {KEY}\n", [SMTP])


def test_an_address_with_the_usual_port_is_renamed() -> None:
    """`ssh-keyscan ADDRESS` writes the bare address."""
    assert f"10.0.0.1 {KEY}\nsmtp1 {KEY}\n" == pinned(f"10.0.0.1 {KEY}\n", [SMTP])


def test_an_address_with_another_port_must_name_it() -> None:
    """The bare address is another server behind the same gateway."""
    assert f"10.0.0.2 {KEY}\n" == pinned(f"10.0.0.2 {KEY}\n", [ODD])
    assert f"[10.0.0.2]:2222 {KEY}\nsmtp2 {KEY}\n" == pinned(f"[10.0.0.2]:2222 {KEY}\n", [ODD])


def test_a_name_with_its_port_is_renamed() -> None:
    """`[name]:port` is how ssh itself writes it."""
    assert f"smtp2 {KEY}" in pinned(f"[smtp2]:2222 {KEY}\n", [ODD]).splitlines()


def test_markers_stay() -> None:
    """A revoked key is revoked under the name too."""
    assert f"@revoked smtp2 {KEY}" in pinned(f"@revoked [10.0.0.2]:2222 {KEY}\n", [ODD]).splitlines()


def test_a_pattern_that_excludes_the_name_is_not_turned_round() -> None:
    """`!name` keeps its meaning."""
    line = f"10.0.0.1,!smtp1 {KEY}\n"

    assert line == pinned(line, [SMTP])


def test_comments_and_blank_lines_are_dropped() -> None:
    """What is not a line about a key is not handed on."""
    assert "" == pinned("# smtp1 ssh-ed25519 AAAA\n\n   \n", [SMTP])

"""Lines of `known_hosts` come out under the inventory's names, and only under the right ones."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.model.inventory import Host
from sslops.system.ssh import has_key_of, pinned

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.mark.parametrize("name", ["[10.0.0.2]:2222", "[smtp2]:2222", "smtp2"])
def test_a_hashed_line_is_found_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    """`ssh-keygen -H` hashes what `ssh-keyscan -p` wrote; the key is under the name afterwards."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    (tmp_path / "known_hosts").write_text(f"{name} {public}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", tmp_path / "known_hosts"], check=True, capture_output=True)
    text = (tmp_path / "known_hosts").read_text()

    assert text.startswith("|1|")
    assert (name == "smtp2") == (f"smtp2 {public}" not in pinned(text, [ODD]).splitlines())
    assert has_key_of(text, ODD)
    assert not has_key_of(text, SMTP)


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        (f"[10.0.0.2]:2222 {KEY}", True),
        (f"10.0.0.2 {KEY}", False),
        (f"smtp?,!smtp1 {KEY}", True),
        (f"smtp*,!smtp2 {KEY}", False),
        (f"@revoked smtp2 {KEY}", False),
        (f"@cert-authority smtp* {KEY}", True),
        ("smtp2", False),
        ("|1|not base64|either ssh-ed25519 AAAA", False),
    ],
)
def test_a_key_is_there_when_ssh_would_find_it(line: str, is_found: bool) -> None:
    """doctor says of a host what deploy will find."""
    assert is_found == has_key_of(f"{line}\n", ODD)

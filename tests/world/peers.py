"""The outside programs that tests run against, and what happens when one is missing.

In CI a missing program fails the test; elsewhere the test is skipped and says which package brings it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.world.loopback import NO_IPV6, has_ipv6

PACKAGES = {
    "age": "age",
    "apache2": "apache2",
    "doveadm": "dovecot-imapd",
    "dovecot": "dovecot-imapd",
    "git": "git",
    "gnutls-serv": "gnutls-bin",
    "haproxy": "haproxy",
    "keymgr": "knot",
    "knotc": "knot",
    "knotd": "knot",
    "lighttpd": "lighttpd-mod-openssl",
    "nginx": "nginx",
    "kzonecheck": "knot-dnssecutils",
    "named-checkzone": "bind9-utils",
    "openssl": "openssl",
    "pebble": "pebble",
    "pgrep": "procps",
    "postconf": "postfix",
    "postmap": "postfix",
    "postfix": "postfix",
    "posttls-finger": "postfix",
    "promtool": "prometheus",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "unbound": "unbound",
}
"""Program to the Debian package that brings it."""

SERVER_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")
"""Where servers live that an ordinary user's PATH leaves out."""


def find(program: str) -> Path | None:
    """Return where *program* is, the folders of servers included; null when it is not installed."""
    found = shutil.which(program) or shutil.which(program, path=os.pathsep.join(SERVER_FOLDERS))
    return Path(found) if found else None


def need(program: str) -> Path:
    """Return the path of *program*; without it the test fails in CI and is skipped elsewhere."""
    path = find(program)
    if path is not None:
        return path
    return missing(f"'{program}' is not installed: apt-get install {PACKAGES.get(program, program)}")


def need_ipv6() -> None:
    """Skip the test, in CI too, where the kernel has no ::1; the last lines of the run say so."""
    if not has_ipv6():
        pytest.skip(NO_IPV6)


def missing(why: str) -> Path:
    """End the test because a peer is not there: a failure in CI, a skip elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)

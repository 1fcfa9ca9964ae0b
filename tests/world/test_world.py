"""The test world itself: what its parts promise to the tests that stand on them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.world import leaks
from tests.world.certificates import write_certificate
from tests.world.programs import wait_until
from tests.world.remotes import REFUSE_ALL, Person, bare_repository, install_hook, refuse_ref, remove_hook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.dns import DnsWorld
    from tests.world.mailhost import MailHost
    from tests.world.postfix import Postfix
    from tests.world.site import Site
    from tests.world.sshd import Login, SshHost

OWNER = "_25._tcp.mail.example.com."
INCLUDE = "external/zones/include-tlsa/tlsa.example.com"
OLD = frozenset({f"3 1 1 {'aa' * 32}"})
NEW = frozenset({f"3 1 1 {'bb' * 32}"})


def publish(world: DnsWorld, records: frozenset[str]) -> None:
    """Push *records* into the include file of example.com."""
    world.edit({INCLUDE: "".join(f"{OWNER} 1 IN TLSA {record}\n" for record in records)})


def test_a_push_is_served_by_both_name_servers(dns_world: DnsWorld) -> None:
    """The hook loads what was pushed, the secondary follows."""
    publish(dns_world, OLD)
    dns_world.settle()

    assert (OLD, OLD) == dns_world.show(OWNER)


def test_the_zones_are_signed(dns_world: DnsWorld) -> None:
    """A DNSKEY stands at each apex of both servers."""
    assert all(answer for apex in dns_world.apexes for answer in dns_world.show(apex, "DNSKEY"))


def test_a_lagging_secondary_answers_the_old_record(dns_world: DnsWorld) -> None:
    """It is authoritative and wrong, which is worse than being away."""
    publish(dns_world, OLD)
    dns_world.settle()
    dns_world.lag()
    publish(dns_world, NEW)

    assert (NEW, OLD) == dns_world.show(OWNER)

    dns_world.catch_up()

    assert (NEW, NEW) == dns_world.show(OWNER)


def test_a_stopped_server_answers_nothing_until_it_is_started(dns_world: DnsWorld) -> None:
    """Stop and start keep the address."""
    publish(dns_world, OLD)
    dns_world.settle()
    dns_world.stop("ns2")

    assert frozenset() == dns_world.answers("ns2", OWNER)

    dns_world.start("ns2")
    dns_world.settle()

    assert OLD == dns_world.answers("ns2", OWNER)


def test_a_held_push_is_loaded_on_release(dns_world: DnsWorld) -> None:
    """The repository may be ahead of the name servers."""
    dns_world.hold()
    publish(dns_world, OLD)

    assert frozenset() == dns_world.answers("ns1", OWNER)

    dns_world.release()

    assert OLD == dns_world.answers("ns1", OWNER)


def test_a_broken_include_file_leaves_the_old_zone(dns_world: DnsWorld) -> None:
    """kzonecheck stops it before the server sees it."""
    publish(dns_world, OLD)
    dns_world.edit({INCLUDE: f"{OWNER} 1 IN TLSA 3 1 1 not-hex\n"})

    assert OLD == dns_world.answers("ns1", OWNER)


def test_a_changed_host_key_is_refused_by_the_client(ssh_host: Callable[[str], SshHost], login: Login) -> None:
    """The pinned line lets one key in and no other."""
    host = ssh_host("srv1")
    known_hosts = host.folder / "known_hosts"
    known_hosts.write_text(host.known_hosts)
    words = ["ssh", "-F", str(login.config), "-o", f"UserKnownHostsFile={known_hosts}", "-o", "HostKeyAlias=srv1"]
    words += ["-o", "BatchMode=yes", "-p", str(host.port), f"{host.user}@{host.address}", "true"]

    assert 0 == subprocess.run(words, check=False, capture_output=True, timeout=30).returncode

    host.change_host_key()

    assert 255 == subprocess.run(words, check=False, capture_output=True, timeout=30).returncode


def test_hooks_refuse_what_they_say(tmp_path: Path) -> None:
    """A read-only repository takes nothing, a protected ref only itself is closed."""
    remote = bare_repository(tmp_path / "remote.git")
    person = Person(remote, tmp_path / "clone")
    install_hook(remote, "pre-receive", REFUSE_ALL)
    with pytest.raises(subprocess.CalledProcessError):
        person.push({"file": "text\n"}, "an edit")
    remove_hook(remote, "pre-receive")
    install_hook(remote, "pre-receive", refuse_ref("refs/heads/main"))
    with pytest.raises(subprocess.CalledProcessError):
        person.push({"file": "text\n"}, "an edit")
    person.push({"file": "text\n"}, "an edit", branch="other")

    assert "text" == person.show("other:file")


@pytest.mark.key_in_clear
def test_a_committed_key_is_found(tmp_path: Path) -> None:
    """The search reads every object of every repository."""
    remote = bare_repository(tmp_path / "remote.git")
    kind = "PRIVATE KEY"
    Person(remote, tmp_path / "clone").push({"key.pem": f"-----BEGIN {kind}-----\n"}, "a mistake")
    with pytest.raises(AssertionError, match="committed"):
        leaks.assert_no_key_below(tmp_path)


@pytest.mark.key_in_clear
def test_a_key_in_a_work_tree_is_found(tmp_path: Path) -> None:
    """Not only what was committed is searched."""
    remote = bare_repository(tmp_path / "remote.git")
    person = Person(remote, tmp_path / "clone")
    kind = "EC PRIVATE KEY"
    (person.clone / "key.pem").write_text(f"-----BEGIN {kind}-----\n")
    with pytest.raises(AssertionError, match="work tree"):
        leaks.assert_no_key_below(tmp_path)


def test_a_site_starts_with_nothing_served(site: Site) -> None:
    """Before the first deploy the mail servers have no certificate, and the name has no record."""
    assert {None} == set(site.served().values())
    assert (frozenset(), frozenset()) == site.dns.show(OWNER)


def test_openssl_judges_a_port_by_its_records(mail_host: Callable[..., MailHost], world_folder: Path) -> None:
    """The record that matches is accepted, another is not."""
    digest = write_certificate(world_folder / "curr")
    listener = mail_host(world_folder / "curr")

    assert listener.is_accepted_with([f"3 0 1 {digest}"])
    assert not listener.is_accepted_with([f"3 0 1 {'00' * 32}"])


def test_postfix_serves_a_new_certificate_after_its_reload(
    postfix: Callable[[Path], Postfix], world_folder: Path
) -> None:
    """A real mail server, for what a listener of ours would be too kind to show."""
    old = write_certificate(world_folder / "curr")
    server = postfix(world_folder / "curr")

    assert old == server.served()

    new = write_certificate(world_folder / "curr")
    subprocess.run(server.restart_cmd.split(), check=True, capture_output=True, timeout=60)
    wait_until(lambda: server.served() == new, lambda: "postfix still serves the old certificate")

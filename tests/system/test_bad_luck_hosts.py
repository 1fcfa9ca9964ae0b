"""Bad luck with servers: down, strange, dying half way, failing to restart; keys nobody can read; DNS out of reach."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.system.launching import steps
from tests.system.story import LONG_TTL, MAIL, Story, ready_to_roll
from tests.world.ops import Identities
from tests.world.remotes import git
from tests.world.site import HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world.site import Site

FIRST, SECOND = HOSTS
WEB_CLASS = """\
  web:
    hosts:
{host}
    svc_depends: [[example.com, [web-ec]]]
"""


@pytest.fixture
def ready(start_site: Callable[..., Site]) -> Story:
    """Return a site that waits for nothing but its second roll."""
    return ready_to_roll(start_site(files=LONG_TTL))


@pytest.mark.soak
def test_services_without_dane_go_on_while_the_dns_repository_cannot_be_reached(
    start_site: Callable[..., Site],
) -> None:
    """What needs DNS waits and the run fails visibly; everything else is rolled and deployed."""
    site = start_site(files=LONG_TTL)
    text = site.ops.show("main", "inventory/sslops.yaml")
    entry = next(line for line in text.splitlines() if f"host: {FIRST}" in line)
    site.ops.edit({"inventory/sslops.yaml": f"{text}\n{WEB_CLASS.format(host=entry)}"})
    story = ready_to_roll(site)
    mail = story.slot("curr")
    story.run("renew", "example.com:web-ec", "--force", "--apply").succeeded()
    site.dns.repo.rename(site.folder / "away")
    done = story.run("run", "--apply")

    assert 1 == done.exit_code
    assert str(site.dns.repo) in done.stderr
    assert mail == story.slot("curr")
    assert dict.fromkeys(HOSTS, mail) == story.served()

    web = story.slot("curr", service="example.com/web-ec")
    info = (site.hosts[FIRST].prod_cert_dir / "example.com/web-ec/curr/info").read_text()

    assert story.slot("prev", service="example.com/web-ec")
    assert web in info

    (site.folder / "away").rename(site.dns.repo)
    story.come_to_rest(story.slot("next", "next"))


def test_a_host_with_another_host_key_is_refused_and_delays_only_itself(site: Site) -> None:
    """The key in `known_hosts` is the only one that is believed, until a person puts another one there."""
    story = Story(site)
    for verb in ("renew", "roll"):
        story.run(verb, "--apply").succeeded()
    site.hosts[SECOND].change_host_key()
    refused = story.run("deploy", "--apply")

    assert 1 == refused.exit_code
    assert f"'{SECOND}': host key refused" in refused.stderr
    assert {FIRST: story.slot("curr"), SECOND: None} == story.served()
    assert not (site.hosts[SECOND].prod_cert_dir / ".sslops-seq").exists()

    site.ops.edit({"inventory/known_hosts": "".join(host.known_hosts for host in site.hosts.values())})
    story.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()


def test_a_host_that_was_down_during_a_roll_keeps_its_record_until_it_is_reached_again(ready: Story) -> None:
    """Every run tries it again; only when it serves the new certificate does the old record go."""
    old, new = ready.slot("curr"), ready.slot("next", "next")
    ready.site.hosts[SECOND].stop()
    for _ in range(2):
        down = ready.run("run", "--apply")
        ready.pass_time()

        assert 1 == down.exit_code
        assert f"'{SECOND}': unreachable" in down.stderr
        assert {FIRST: new, SECOND: old} == ready.served()
        assert old in ready.records()[0] & ready.records()[1]
        assert [] == ready.broken()

    ready.site.hosts[SECOND].start()
    ready.come_to_rest(new)

    assert old not in ready.records()[0] | ready.records()[1]


def test_a_host_that_dies_while_files_are_sent_serves_the_old_certificate_and_is_finished_later(ready: Story) -> None:
    """Once with the files beside what is served, once with the link switched and the daemon not restarted."""
    old, new = ready.slot("curr"), ready.slot("next", "next")
    ready.run("roll", "--apply").succeeded()
    for step in ("staged", "switched*"):
        log = ready.site.folder / step.strip("*")
        died = ready.run("deploy", "--apply", options=["--receiver-log", log, "--kill-receiver-at", step])

        assert 1 == died.exit_code
        assert len(HOSTS) == len([each for each in steps(log) if each.name.startswith(step.strip("*"))])
        assert dict.fromkeys(HOSTS, old) == ready.served()
        assert [] == ready.broken()

    ready.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, new) == ready.served()
    for host in ready.site.hosts.values():
        kept = host.prod_cert_dir / "example.com/mail-ec/.generations"

        assert 2 == len(list(kept.iterdir()))
        assert not (host.prod_cert_dir / ".sslops-staging").exists()


def test_a_restart_that_fails_is_undone_once_and_not_tried_by_every_run(ready: Story) -> None:
    """The old certificate is served on, the next try waits, and a person who names the host need not."""
    old, new = ready.slot("curr"), ready.slot("next", "next")
    listener = ready.site.mail[SECOND]
    listener.fail_restarts()
    ready.run("roll", "--apply").succeeded()
    failed = ready.run("deploy", "--apply")
    tries = listener.restarts

    assert 1 == failed.exit_code
    assert "so did the rollback" in failed.stderr or "went back" in failed.stderr
    assert {FIRST: new, SECOND: old} == ready.served()

    waiting = ready.run("deploy", "--apply", "--detailed-exitcode")

    assert 4 == waiting.exit_code
    assert "restart or verification failed once" in waiting.stdout
    assert tries == listener.restarts

    assert 1 == ready.run("deploy", "--apply", "--host", SECOND).exit_code
    assert len(tries) < len(listener.restarts)
    assert {FIRST: new, SECOND: old} == ready.served()

    listener.fail_restarts(fail=False)
    tries = listener.restarts
    ready.run("deploy", "--apply").succeeded()

    assert tries == listener.restarts

    ready.pass_time(11 * 60)
    ready.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, new) == ready.served()
    assert [] == ready.broken()


def test_a_key_that_cannot_be_read_leaves_every_host_as_it_was(ready: Story) -> None:
    """First the wrong age identity, then a document that somebody changed; then it is put right."""
    old, new = ready.slot("curr"), ready.slot("next", "next")
    ready.run("roll", "--apply").succeeded()
    identity = ready.site.ops.identities.path("deploy")
    right = identity.read_text()
    identity.write_text(Identities(ready.site.folder / "stranger").path("deploy").read_text())
    wrong = ready.run("deploy", "--apply")
    path = f"state/{MAIL}/{new}/privkey.pem.sops"

    assert 1 == wrong.exit_code
    assert path in wrong.stderr
    assert dict.fromkeys(HOSTS, old) == ready.served()

    identity.write_text(right)
    document = ready.site.ops.show("main", path)
    put_on_both_branches(ready, path, tampered(document))
    refused = ready.run("deploy", "--apply")

    assert 1 == refused.exit_code
    assert path in refused.stderr
    assert dict.fromkeys(HOSTS, old) == ready.served()
    assert [] == ready.broken()

    put_on_both_branches(ready, path, document)
    ready.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, new) == ready.served()


def tampered(document: str) -> str:
    """Return a sops document with one character of its ciphertext changed."""
    found = re.search(r"data:(.)", json.loads(document)["data"])
    assert found is not None
    return document.replace(f"data:{found[1]}", f"data:{'A' if found[1] != 'A' else 'B'}", 1)


def put_on_both_branches(story: Story, path: str, text: str) -> None:
    """Let somebody write a file under `state/` on main, and move next there."""
    person = story.site.ops._person
    assert person is not None
    commit = person.push({path: text}, "by hand")
    git(person.clone, "push", "--quiet", "origin", f"{commit}:refs/heads/next")

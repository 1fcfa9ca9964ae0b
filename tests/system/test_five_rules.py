"""Each of the five rules of design section 2, on real git, name servers and ssh servers: it holds, and it is needed.

Every story runs into one rule, and nothing breaks. In `make soak` the same step is done with that one check taken out,
and the promise is broken: the story would notice.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.system import launching
from tests.system.launching import steps
from tests.system.story import (
    LONG_TTL,
    MAIL_TARGET,
    Story,
    another_clone,
    ready_to_roll,
    revert_the_roll,
    rolled,
    settled,
)
from tests.world.certificates import write_certificate
from tests.world.programs import wait_until
from tests.world.site import HOSTS
from tests.world.warm import is_stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.site import Site

FIRST, SECOND = HOSTS
WITHDRAWAL = "push sslops/tlsa main"
"""The effect that changes what DNS says."""
AROUND_THE_WITHDRAWAL = ("--stop-before", WITHDRAWAL, "--stop-after", WITHDRAWAL)
ONE_LOOK = "sslops.publish.steps:LOOK_SECONDS=1"
"""How long publish waits for a secondary that will not follow is of no interest here."""
NO_PROPOSALS = "sslops.dane.may_serve:proposals=lambda *_: ()"
NO_INTENT = "sslops.deploy.ledger_entries:intend=lambda entry, seq, targets, at, copies=(): replace(entry, seq=seq)"
NO_TAKEOVER = "sslops.publish.steps:Publisher._fenced=lambda self, ledger: self.repository.head"
NO_FENCE_ON_SECOND = (
    'if [ "$number" -lt "$seen" ]; then=>if [ "$number" -lt "$seen" ] && [ "${root%/smtp2/*}" = "$root" ]; then'
)
NO_AGE = "sslops.dane.may_serve:ready_at=lambda evidence: evidence.since"
FREE_AT_ONCE = "sslops.dane.may_serve:free_at=lambda name: name.empty_since"
ONE_SERVER = (
    "sslops.probe.name_servers:Resolver.tlsa_of_zones=lambda self, zones: original(self, "
    "{apex: (dict(sorted(servers.items())[:1]), owners) for apex, (servers, owners) in zones.items()})"
)
NO_HISTORY = (
    "lambda record, proof, seen: "
    "not seen.repo.base.has(record) or any(server.shows(record) is False for server in seen.servers)"
)
ONLY_NOW = (f"sslops.dane.evidence:is_broken={NO_HISTORY}", f"sslops.dane.may_serve:is_broken={NO_HISTORY}")
SLOTS_ONLY = (
    (
        "sslops.dane.rrset_rules:needed="
        "lambda service, branches, ledger, *_: original(service, branches, type(ledger)(), (), frozenset())"
    ),
    "sslops.dane.rrset_plan:Owner._while_presented=lambda self, decided: decided",
)
NOTHING_UNPROVEN = (
    "sslops.dane.first_use:FirstUse.unproven_host=lambda self: None",
    "sslops.dane.first_use:FirstUse.unproven_address=lambda self: None",
    "sslops.dane.rrset_rules:lack=lambda *_: None",
)


@pytest.fixture
def long_ttl(start_site: Callable[..., Site]) -> Site:
    """Return a site whose records live for an hour in caches."""
    return start_site(files=LONG_TTL)


# One order.


def held_and_needed(without: tuple[str, ...]) -> pytest.MarkDecorator:
    """Run a test as it is, and in `make soak` *without* the rule, where it has to see DANE break."""
    return pytest.mark.parametrize(
        "patches", [pytest.param((), id="held"), pytest.param(without, id="needed", marks=pytest.mark.soak)]
    )


@held_and_needed((NO_PROPOSALS,))
def test_deploy_does_not_go_back_to_what_a_publish_is_about_to_withdraw(
    long_ttl: Site, patches: tuple[str, ...]
) -> None:
    """A publish sleeps between `pending` and its push, a person reverts the roll, and a deploy runs beside it."""
    story = rolled(long_ttl)
    old, new = story.slot("prev"), story.slot("curr")
    with story.launch("publish", "--apply", options=AROUND_THE_WITHDRAWAL) as publish:
        publish.wait_until_held()
        revert_the_roll(story)
        deploy = story.run("deploy", "--apply", patches=patches, ops=another_clone(story))

        assert publish.go_on()

        long_ttl.dns.settle()

        assert ({new},) * 2 == story.records()
        assert bool(patches) == bool(story.broken())

        publish.wake()
        publish.finish().succeeded()

    if not patches:
        assert "an open proposal would take the record" in deploy.stdout
        assert dict.fromkeys(HOSTS, new) == story.served()
        story.come_to_rest(old)


@held_and_needed((NO_INTENT,))
def test_publish_does_not_withdraw_what_a_deploy_is_about_to_send(long_ttl: Site, patches: tuple[str, ...]) -> None:
    """A deploy that goes back sleeps between its intent and its first host, and a publish runs beside it."""
    story = rolled(long_ttl)
    old = story.slot("prev")
    revert_the_roll(story)
    with story.launch("deploy", "--apply", patches=patches, options=["--stop-before", "ssh * put"]) as deploy:
        deploy.wait_until_held()
        # What main says needs the record as well; a second person takes the revert back.
        revert_the_roll(story)
        story.run("publish", "--apply", ops=another_clone(story)).succeeded()
        deploy.wake()
        deploy.finish()

    assert dict.fromkeys(HOSTS, old) == story.served()
    assert bool(patches) == bool(story.broken())
    if not patches:
        story.come_to_rest(story.slot("curr"))


@held_and_needed((NO_TAKEOVER,))
def test_a_publish_that_slept_through_a_revert_cannot_push_its_stale_proposal(
    long_ttl: Site, patches: tuple[str, ...]
) -> None:
    """The next publish finds the `pending` of a run that is gone and moves `sslops/tlsa`; the sleeper's lease fails.

    The next publish is slow as well, so that nothing but this commit stands between the sleeper and the DNS base.
    """
    story = rolled(long_ttl)
    old = story.slot("prev")
    with story.launch("publish", "--apply", options=AROUND_THE_WITHDRAWAL) as sleeper:
        sleeper.wait_until_held()
        revert_the_roll(story)
        with story.launch(
            "publish", "--apply", patches=patches, options=AROUND_THE_WITHDRAWAL[:2], ops=another_clone(story)
        ) as slow:
            slow.wait_until_held()
            story.run("deploy", "--apply", ops=another_clone(story)).succeeded()

            assert dict.fromkeys(HOSTS, old) == story.served()
            assert [] == story.broken()
            assert bool(patches) == sleeper.go_on()
            assert bool(patches) == bool(story.broken())

            for publish in (slow, sleeper):
                publish.wake()
                publish.finish().succeeded()
    if not patches:
        story.come_to_rest(old)


# Fence.


def test_a_host_refuses_an_old_payload_after_a_newer_run_was_there(long_ttl: Site) -> None:
    """Two receivers outlive their run; meanwhile the record of what they hold is withdrawn. The second has no fence."""
    story = ready_to_roll(long_ttl)
    story.run("roll", "--apply").succeeded()
    log, outlived = long_ttl.folder / "receivers", story.slot("curr")
    options: list[str | Path] = [
        "--receiver-log",
        log,
        "--stop-receiver-at",
        "[12]",
        "--patch-receiver",
        NO_FENCE_ON_SECOND,
    ]
    with story.launch("deploy", "--apply", options=options) as deploy:
        wait_until(lambda: len(steps(log)) == len(HOSTS), lambda: f"steps of receivers: {steps(log)}")
        deploy.kill()
    asleep = {host: step.pid for host in HOSTS for step in steps(log) if f"/{host.partition('.')[0]}/" in step.folder}
    wait_until(lambda: all(map(is_stopped, asleep.values())), lambda: "a receiver is not held")
    story.run("renew", MAIL_TARGET, "--force", "--new-key", "--apply").succeeded()
    story.run("publish", "--apply").succeeded()
    story.pass_time()
    for verb in ("roll", "deploy", "publish"):
        story.run(verb, "--apply").succeeded()
    story.pass_time()
    newest = story.slot("curr")

    assert dict.fromkeys(HOSTS, newest) == story.served()
    assert outlived not in story.records()[0] | story.records()[1]

    wake_receiver(asleep[FIRST])

    assert ["lock", "locked"] == [step.name for step in steps(log) if step.pid == asleep[FIRST]]
    assert dict.fromkeys(HOSTS, newest) == story.served()
    assert [] == story.broken()

    wake_receiver(asleep[SECOND])

    assert {FIRST: newest, SECOND: outlived} == story.served()
    assert [] != story.broken()


# may_serve.


def test_roll_waits_for_a_secondary_that_lags_and_names_it(long_ttl: Site) -> None:
    """However old the record is on the primary, a resolver may ask the other server."""
    story = settled(long_ttl)
    long_ttl.dns.lag()
    story.secondary_follows = False
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.run("publish", "--apply", patches=[ONE_LOOK]).succeeded()
    old, new = story.slot("curr"), story.slot("next", "next")
    story.pass_time()

    assert ({old, new}, {old}) == story.records()

    waits = story.waits("roll")

    assert [True] == [str(long_ttl.dns.secondary) in str(wait["why"]) for wait in waits]
    assert [] == story.broken()

    story.waits("roll", patches=[ONE_SERVER])
    story.pass_time()
    story.run("roll", "--apply", patches=[ONE_SERVER]).succeeded()
    story.run("deploy", "--apply", patches=[ONE_SERVER])

    assert dict.fromkeys(HOSTS, new) == story.served()
    assert [] != story.broken()


def test_roll_waits_until_caches_have_dropped_the_record_set_without_the_new_record(long_ttl: Site) -> None:
    """Both servers show the record, and a resolver that asked a minute ago does not know it."""
    story = settled(long_ttl)
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.run("publish", "--apply").succeeded()
    new = story.slot("next", "next")
    story.pass_time(60)

    assert [True] == ["visible on all name servers only since" in str(wait["why"]) for wait in story.waits("roll")]
    assert [] == story.broken()

    story.run("roll", "--apply", patches=[NO_AGE]).succeeded()
    story.run("deploy", "--apply", patches=[NO_AGE]).succeeded()

    assert dict.fromkeys(HOSTS, new) == story.served()
    assert [] != story.broken()


def test_an_emptied_name_is_not_free_before_caches_have_forgotten_its_records(long_ttl: Site) -> None:
    """A person empties the include file; what was never published may not be served yet."""
    story = settled(long_ttl)
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    new = story.slot("next", "next")
    story.edit_include(lambda _: "")

    assert (frozenset(),) * 2 == story.records()

    waits = story.waits("roll")

    assert [True] == ["caches may still hold withdrawn records" in str(wait["why"]) for wait in waits]
    assert [] == story.broken()

    story.pass_time(60)
    story.run("roll", "--apply", patches=[FREE_AT_ONCE]).succeeded()
    story.run("deploy", "--apply", patches=[FREE_AT_ONCE]).succeeded()

    assert dict.fromkeys(HOSTS, new) == story.served()
    assert [] != story.broken()


# Evidence.


@held_and_needed(ONLY_NOW)
def test_a_record_that_was_withdrawn_and_added_again_between_two_looks_has_no_age(
    long_ttl: Site, patches: tuple[str, ...]
) -> None:
    """Two looks that agree say nothing about the time between them: the history of the DNS base is read."""
    story = ready_to_roll(long_ttl)
    old, new = story.slot("curr"), story.slot("next", "next")
    digest = story.fact(new, "spki_sha256")
    story.run("roll", "--apply").succeeded()
    both = long_ttl.dns.read("external/zones/include-tlsa/tlsa.example.com")
    story.edit_include(lambda text: "".join(line for line in text.splitlines(keepends=True) if digest not in line))

    assert ({old},) * 2 == story.records()

    story.edit_include(lambda _: both)

    assert ({old, new},) * 2 == story.records()

    done = story.run("deploy", "--apply", patches=patches).succeeded()

    assert dict.fromkeys(HOSTS, new if patches else old) == story.served()
    assert bool(patches) == bool(story.broken())
    if not patches:
        assert "visible on all name servers only since" in done.stdout
        story.come_to_rest(new)


# may_publish and may_withdraw.


def test_a_record_stays_while_a_host_that_was_down_during_the_roll_may_serve_its_key(long_ttl: Site) -> None:
    """One of two hosts is reached; the other goes on serving the old certificate."""
    story = ready_to_roll(long_ttl)
    old, new = story.slot("curr"), story.slot("next", "next")
    long_ttl.hosts[SECOND].stop()
    story.run("roll", "--apply").succeeded()

    assert 1 == story.run("deploy", "--apply").exit_code
    assert {FIRST: new, SECOND: old} == story.served()

    story.run("publish", "--apply").succeeded()
    story.pass_time()

    assert ({old, new},) * 2 == story.records()
    assert [] == story.broken()

    story.run("publish", "--apply", patches=SLOTS_ONLY).succeeded()
    story.pass_time()

    assert ({new},) * 2 == story.records()
    assert [] != story.broken()


def test_an_empty_name_gets_no_first_record_while_one_host_serves_something_else(long_ttl: Site) -> None:
    """One of two hosts was never reached, and its port shows a certificate that nobody here knows."""
    story = Story(long_ttl)
    host = long_ttl.hosts[SECOND]
    write_certificate(host.prod_cert_dir / "example.com/mail-ec/curr")
    long_ttl.mail[SECOND].stop()
    long_ttl.mail[SECOND].start()
    host.stop()

    done = story.run("run", "--apply")

    assert 1 == done.exit_code
    assert {FIRST: story.slot("curr"), SECOND: None} == story.served()
    assert f"{SECOND} is not yet verified to serve" in done.stdout
    assert (frozenset(),) * 2 == story.records()
    assert [] == story.broken()

    story.run("publish", "--apply", patches=NOTHING_UNPROVEN).succeeded()

    assert ({story.slot("curr")},) * 2 == story.records()
    assert [] != story.broken()


def wake_receiver(pid: int) -> None:
    """Let a held receiver go on, and return at its end."""
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: launching.is_gone(pid), lambda: f"receiver {pid} does not end")

"""Whoever may push to `next` and has no right on `main`, no identity and no key: what that gives, and what stops it.

Each attack is carried out without the defence, where it bites, and with it, where it changes nothing and is named.
Where it reaches DNS or a host, that is a real one; the rest is about git, and needs no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.launching import Launched
from tests.system.story import LONG_TTL, MAIL, fields, ready_to_roll, settled
from tests.world.ops import OpsRepository
from tests.world.site import CAS, HOSTS, MY_ROOT, MY_SUB, OWNER, WEB_EC
from tests.world.thief import Thief, set_value, signed_by_nobody

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.ops import Finished
    from tests.world.site import Site

BELIEVES_NEXT = (
    "sslops.app.entry:integrity_faults=lambda *_, **__: ()",
    "sslops.repo.snapshot:pinned=lambda main, following: following",
    "sslops.dane.records:_is_issued=lambda generation: False",
    "sslops.repo.store:read_documents=lambda blobs, main, *rest: original(blobs, rest[0], main, *rest[1:])",
)
"""Without what makes main the only authority over what it has issued."""
BELIEVES_FACTS = ("sslops.pki.integrity:_wrong_facts=lambda *_, **__: ()",)
SHARES_KEYS = ("sslops.pki.integrity:_shared_keys=lambda *_: ()",)
BELIEVES_CERTIFICATES = ("sslops.pki.integrity:CertificateJudge.unfit=lambda self, candidates: {}",)
GOES_BACK = ("sslops.app.entry:went_back=lambda *_: ()",)
ROLLS_ANYTHING = (
    *GOES_BACK,
    "sslops.repo.snapshot:Looker._ahead=lambda *_: {}",
    "sslops.roll.rules:unplanned=lambda *_, **__: ()",
)


# What reaches DNS and hosts.


def thief_of(site: Site) -> Thief:
    """Return somebody who may push to the engine's branches of *site*."""
    assert site.ops.remote is not None

    return Thief(site.ops.remote, site.folder / "thief")


def test_a_forged_hash_of_what_is_live_reaches_no_name_server(start_site: Callable[..., Site]) -> None:
    """One line of `generation.yaml` on next alone: publish would replace the true TLSA record. Every verb names it."""
    story = settled(start_site(files=LONG_TTL))
    live = story.slot("curr")
    path = f"state/{MAIL}/{live}/generation.yaml"
    forged, shown = "ab" * 32, story.site.dns.show(OWNER)
    commit = thief_of(story.site).edit(path, set_value("spki_sha256", forged))
    for words in ("plan --fetch", "status", "renew --apply", "publish --apply", "roll --apply", "deploy --apply"):
        done = story.run(*words.split())

        assert 1 == done.exit_code
        assert path in done.stderr
        assert commit[:10] in done.stderr

    assert shown == story.site.dns.show(OWNER)
    assert not any(forged in record for server in shown for record in server)

    story.run("publish", "--apply", patches=BELIEVES_NEXT)

    assert any(forged in record for record in story.site.dns.show(OWNER)[0])


def test_a_changed_chain_reaches_no_host(start_site: Callable[..., Site]) -> None:
    """A chain that is changed on next alone would be sent with the next roll: deploy takes it from main."""
    story = ready_to_roll(start_site(files=LONG_TTL))
    story.run("roll", "--apply").succeeded()
    live = story.slot("curr")
    path = f"state/{MAIL}/{live}/chain.pem"
    thief_of(story.site).edit(path, lambda text: f"{text}# somebody was here\n")
    chains = {name: host.prod_cert_dir / MAIL / "curr" / "chain.pem" for name, host in story.site.hosts.items()}
    refused = story.run("deploy", "--apply")

    assert 1 == refused.exit_code
    assert f"'{path}' is not what 'main' has" in refused.stderr
    assert live not in story.served().values()

    story.run("deploy", "--host", HOSTS[0], "--apply", patches=BELIEVES_NEXT[:1]).succeeded()
    story.run("deploy", "--host", HOSTS[1], "--apply", patches=(*BELIEVES_NEXT, *BELIEVES_CERTIFICATES)).succeeded()

    assert dict.fromkeys(HOSTS, live) == story.served()
    assert [False, True] == ["somebody was here" in chains[name].read_text() for name in HOSTS]


# What is about git only.


class Desk:
    """Two services of an own CA, both live, on a repository with a remote, and a thief beside it."""

    def __init__(self, folder: Path, **sans: str) -> None:
        """Issue and roll both."""
        services = {name: WEB_EC.format(domain=sans.get(name, f"{name}.example.com")) for name in ("a", "b")}
        self.ops = OpsRepository(
            folder,
            {
                "inventory/sslops.yaml": (
                    f"globals: {{min_roll_mins: 0, prod_cert_dir: {folder / 'prod-certs'}}}\n"
                    "repo: {forge: none, bot: {email: sslops@example.com}}\n"
                    "servers: {web: {hosts: [{host: here, address: local}], svc_depends: [[example.com, [a]]]}}\n"
                    "groups:\n"
                    "  - {domain: example.com, active: true, services: ALL}\n"
                    "  - {domain: ca, active: true, services: ALL}\n"
                ),
                "inventory/cas.yaml": CAS,
                "inventory/ca/my-root.yaml": MY_ROOT,
                "inventory/ca/my-sub.yaml": MY_SUB,
                **{f"inventory/example.com/{name}.yaml": text for name, text in services.items()},
            },
        )
        self.ops.sslops("renew", "--apply").succeeded()
        self.ops.sslops("roll", "--apply").succeeded()
        assert self.ops.remote is not None
        self.thief = Thief(self.ops.remote, folder / "thief")

    def run(self, *words: str, patches: tuple[str, ...] = ()) -> Finished:
        """Run one command line, with the functions of *patches* replaced."""
        options = [each for patch in patches for each in ("--patch", patch)]
        with Launched(self.ops, *words, options=options) as launched:
            return launched.finish()

    def slot(self, slot: str, service: str = "a", branch: str = "main") -> str:
        """Return the generation in a slot; the empty string when there is none."""
        return fields(self.ops.show(branch, f"state/example.com/{service}/slots.yaml"))[slot] or ""

    def renew(self, service: str) -> str:
        """Stage another certificate, and return its generation."""
        self.run("renew", f"example.com/{service}", "--force", "--apply").succeeded()
        return self.slot("next", service, "next")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return two services with names of their own."""
    return Desk(tmp_path)


def test_a_next_that_was_pushed_back_takes_nothing_back_on_main(desk: Desk) -> None:
    """A stale clone, a restored mirror, a thief: the roll of b would make main serve the replaced key of a again."""
    old, stale = desk.slot("curr"), desk.ops.refs()["next"]
    new = desk.renew("a")
    desk.run("roll", "--apply").succeeded()
    desk.thief.push_back(stale)
    desk.renew("b")
    before = desk.ops.refs()

    assert new == desk.slot("curr")

    desk.run("roll", "--apply").succeeded()

    assert new == desk.slot("curr")
    assert new == desk.slot("curr", branch="next")

    desk.thief.push_back(before["next"])
    desk.ops.git_remote("update-ref", "refs/heads/main", before["main"])
    desk.thief.push_back(stale)
    desk.run("renew", "example.com/b", "--force", "--apply", patches=ROLLS_ANYTHING).succeeded()
    desk.run("roll", "--apply", patches=ROLLS_ANYTHING).succeeded()

    assert old == desk.slot("curr")


def test_a_next_that_main_knows_nothing_of_is_missed_when_it_goes_back(desk: Desk) -> None:
    """A key leaked while it was staged, and was replaced there: pushed back to it, next would be rolled so."""
    leaked = desk.renew("a")
    stale = desk.ops.refs()["next"]
    desk.renew("a")
    expected = desk.ops.refs()["next"]
    desk.thief.push_back(stale)
    refused = desk.run("roll", "--apply")

    assert 1 == refused.exit_code
    assert f"'next' went back: this clone, which saw it there, names its commit {expected[:10]}" in refused.stderr
    assert f"git push --force-with-lease=next:{stale} origin {expected}:refs/heads/next" in refused.stderr
    assert stale == desk.ops.refs()["next"]

    desk.run("roll", "--apply", patches=GOES_BACK).succeeded()

    assert leaked == desk.slot("curr")


def test_a_roll_that_nobody_decided_moves_no_slot_on_main(desk: Desk) -> None:
    """A commit in the bot's name makes a go back on next: the roll of b would bring that to main."""
    old = desk.slot("curr")
    new = desk.renew("a")
    desk.run("roll", "--apply").succeeded()
    desk.renew("b")
    desk.thief.edit("state/example.com/a/slots.yaml", set_value("curr", old))
    refused = desk.run("roll", "--apply")

    assert 1 == refused.exit_code
    assert f"'example.com/a' would go from {new} back to {old}" in refused.stderr
    assert new == desk.slot("curr")

    desk.run("roll", "--apply", patches=ROLLS_ANYTHING).succeeded()

    assert old == desk.slot("curr")


def copied(desk: Desk) -> str:
    """Let the thief stage for b a copy of what is live of a: key, CSR, certificate and all; return its generation."""
    live = desk.slot("curr")
    names = ("generation.yaml", "csr.pem", "cert.pem", "chain.pem", "privkey.pem.sops")
    files = {name: desk.ops.show("next", f"state/example.com/a/{live}/{name}") + "\n" for name in names}
    slots = set_value("next", live)(desk.ops.show("next", "state/example.com/b/slots.yaml") + "\n")
    changes = {f"state/example.com/b/{live}/{name}": text for name, text in files.items()}
    desk.thief.push({**changes, "state/example.com/b/slots.yaml": slots})
    return live


@pytest.mark.parametrize("names", [{}, {"a": "example.com", "b": "example.com"}], ids=["other names", "same names"])
def test_a_key_that_was_copied_to_another_service_is_not_rolled_there(tmp_path: Path, names: dict[str, str]) -> None:
    """It would be opened for hosts that must not have it, also where both services ask for the same names."""
    desk = Desk(tmp_path, **names)
    live = copied(desk)
    refused = desk.run("roll", "--apply")

    assert 1 == refused.exit_code
    assert f"generation '{live}' of 'example.com/b' has a key of 'example.com/a'" in refused.stderr
    assert live != desk.slot("curr", "b")

    judged = desk.run("roll", "--apply", patches=SHARES_KEYS)

    assert bool(names) == (live == desk.slot("curr", "b"))

    if not names:
        assert "the inventory never asked 'my-sub' for a certificate of 'example.com/b'" in " ".join(
            judged.stdout.split()
        )

        desk.run("roll", "--apply", patches=(*SHARES_KEYS, *BELIEVES_CERTIFICATES)).succeeded()

        assert live == desk.slot("curr", "b")


def forged_certificate(desk: Desk) -> str:
    """Let the thief put a certificate of a CA of his own to a staged generation; return the generation.

    The key and the names are right, and the facts are those of the certificate.
    """
    staged = desk.renew("a")
    folder = f"state/example.com/a/{staged}"
    facts = desk.ops.show("next", f"{folder}/generation.yaml") + "\n"
    csr = desk.ops.show("next", f"{folder}/csr.pem").encode()
    cert, chain, changed = signed_by_nobody(csr, fields(facts)["issuer"] or "")
    for key, value in changed.items():
        facts = set_value(key, value)(facts)
    files = {"cert.pem": cert, "chain.pem": chain, "generation.yaml": facts}
    desk.thief.push({f"{folder}/{name}": text for name, text in files.items()})
    return staged


def test_a_certificate_of_another_ca_is_neither_rolled_nor_sent(desk: Desk) -> None:
    """Roll judges it as renew did; should it be on main all the same, deploy judges it once more."""
    curr = desk.ops.folder.parent / "prod-certs/example.com/a/curr/info"
    desk.run("deploy", "--apply").succeeded()
    before, staged = curr.read_text(), forged_certificate(desk)
    refused = desk.run("roll", "--apply")

    assert 1 == refused.exit_code
    assert f"the certificate of {staged} is not one that renew would have stored" in refused.stdout
    assert staged != desk.slot("curr")

    desk.run("roll", "--apply", patches=BELIEVES_CERTIFICATES).succeeded()

    assert staged == desk.slot("curr")

    refused = desk.run("deploy", "--apply")

    assert 1 == refused.exit_code
    assert f"the certificate of 'example.com/a' {staged} is sent nowhere" in refused.stderr
    assert before == curr.read_text()

    desk.run("deploy", "--apply", patches=BELIEVES_CERTIFICATES).succeeded()

    assert staged in curr.read_text()


@pytest.mark.parametrize(
    ("key", "value"),
    [("spki_sha256", "ab" * 32), ("not_after", "2099-01-01T00:00:00Z"), ("serial", "0a"), ("key_type", "rsa")],
)
def test_a_forged_fact_of_what_is_staged_is_named(desk: Desk, key: str, value: str) -> None:
    """Facts are computed from the certificate beside them, of what main has not issued too."""
    staged = desk.renew("a")
    path = f"state/example.com/a/{staged}/generation.yaml"
    desk.thief.edit(path, set_value(key, value))
    refused = desk.run("roll", "--apply")

    assert 1 == refused.exit_code
    assert staged in refused.stderr
    assert staged != desk.slot("curr")

    desk.run("roll", "--apply", patches=(*BELIEVES_FACTS, *BELIEVES_CERTIFICATES)).succeeded()

    assert staged == desk.slot("curr")


def test_a_key_that_was_wrapped_anew_on_next_contradicts_nothing(desk: Desk) -> None:
    """A rekey is on next before it is on main; only the encrypted key may differ."""
    live = desk.slot("curr")
    desk.thief.edit(f"state/example.com/a/{live}/privkey.pem.sops", lambda text: text.replace("}", "} ", 1))

    desk.run("roll", "--apply").succeeded()


def test_a_stage_that_stumbles_over_nonsense_stops_no_other(desk: Desk) -> None:
    """`run` tells the bug with its traceback and exit 1; the stages after it go on."""
    staged = desk.renew("a")
    broken = ("sslops.app.site:Site.renew=lambda *_, **__: {}['a field of a peer']",)
    done = desk.run("run", "--apply", patches=broken)

    assert 1 == done.exit_code
    assert "KeyError: 'a field of a peer'" in done.stderr
    assert "renew: unexpected KeyError, which is a bug of sslops" in done.stderr
    assert staged == desk.slot("curr")

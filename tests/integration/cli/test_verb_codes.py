"""Every exit code of every verb (`sslops.cli.exit_codes`), each reached by a command line on a real repository."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sslops.cli.exit_codes import CODES
from sslops.cli.main import VERBS, run
from sslops.errors import ExitCode
from sslops.repo.engine_refs import write_heartbeat
from sslops.repo.git import Git
from tests.unit.migrate.test_ssl_mgr import FILES
from tests.unit.test_hostile_input import TLS_REPORT
from tests.world.certificates import write_certificate
from tests.world.dns_files import ACME_DIR, TLSA_DIRS
from tests.world.ops import OpsRepository
from tests.world.remotes import REFUSE_ALL, Person, bare_repository, install_hook, remove_hook
from tests.world.site import CAS, MAIL_EC, MY_ROOT, MY_SUB, WEB_EC
from tests.world.ssl_mgr_tree import SslMgrTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Scenes = Iterator[tuple[ExitCode, list[str]]]

SETTINGS = "inventory/sslops.yaml"
SERVICE = "inventory/example.com/web-ec.yaml"
OTHER_PLAN = f"sha256:{'0' * 64}"


class Place:
    """An ops repository with a remote, an own CA and this machine as its one host, a DNS repository, no server."""

    def __init__(self, folder: Path) -> None:
        """Make both; the DNS repository lacks the include files of example.com."""
        self.folder, dns = folder, bare_repository(folder / "dns.git")
        Person(dns, folder / "dns-person").push({"zones/example.com.zone": "$ORIGIN example.com.\n"}, "a zone")
        files = {
            SETTINGS: SSLOPS_YAML.format(dns=dns, acme=ACME_DIR, tlsa=TLSA_DIRS[0], certs=folder / "prod-certs"),
            "inventory/cas.yaml": CAS,
            "inventory/ca/my-root.yaml": MY_ROOT,
            "inventory/ca/my-sub.yaml": MY_SUB,
            SERVICE: WEB_EC.format(domain="example.com"),
        }
        self.ops = OpsRepository(folder, files)
        assert self.ops.remote is not None
        self.remote = self.ops.remote

    def run(self, *words: str) -> int:
        """Run one command line in this process; its exit code."""
        return run(["-C", str(self.ops.folder), *words])

    def done(self, *commands: str) -> None:
        """Run command lines that have to end well."""
        for command in commands:
            assert self.run(*command.split()) == ExitCode.DONE

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Let the remote take no push."""
        install_hook(self.remote, "pre-receive", REFUSE_ALL)
        yield
        remove_hook(self.remote, "pre-receive")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let another run work in this clone."""
        path = Git.discover(self.ops.folder).private_dir / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def edited(self, path: str, old: str, new: str) -> Iterator[None]:
        """Let a file of main be another one."""
        text = f"{self.ops.show('main', path)}\n"

        assert old in text

        self.ops.edit({path: text.replace(old, new, 1)})
        yield
        self.ops.edit({path: text})

    def held(self) -> AbstractContextManager[None]:
        """Let everything be on hold for some days."""
        until = (datetime.now(tz=UTC) + timedelta(days=3)).date()
        hold = f'globals: {{hold: {{until: "{until}", reason: "a freeze"}}, '
        return self.edited(SETTINGS, "globals: {", hold)

    def broken(self) -> AbstractContextManager[None]:
        """Let the inventory be one that nobody can read."""
        return self.edited(SETTINGS, "repo:", "repoo:")


@pytest.fixture
def place(world_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a place whose settings are those of this process, and a run that waits for no other one."""
    made = Place(world_folder)
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_", "CI", "PYTEST_XDIST"))]:
        monkeypatch.delenv(name)
    for name, value in made.ops.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sslops.repo.store.LOCK_WAIT_SECONDS", 0.0)
    return made


def usage(verb: str) -> tuple[ExitCode, list[str]]:
    """Return a command line that is wrong for any verb."""
    return ExitCode.USAGE, [verb, "--no-such-option"]


def stage(verb: str) -> Callable[[Place], Scenes]:
    """Return the scenes of a verb that changes something, up to where it has done its work."""

    def scenes(place: Place) -> Scenes:
        before = ("renew", "publish", "roll", "deploy")
        place.done(*(f"{each} --apply" for each in before[: before.index(verb)] if each != "publish"))
        yield usage(verb)
        with place.busy():
            yield ExitCode.BUSY, [verb, "--apply"]
        yield ExitCode.REFUSED, [verb, "--apply", "--plan", OTHER_PLAN]
        yield ExitCode.PENDING, [verb, "--detailed-exitcode"]
        if verb == "publish":
            yield from waiting_for_dns(place, verb)
            yield ExitCode.FAILED, [verb, "--apply"] if gone(place) else []
            return
        if verb != "deploy":
            with place.held():
                yield ExitCode.WAITING, [verb, "--detailed-exitcode"]
        with place.refused():
            yield ExitCode.FAILED, [verb, "--apply"]
        yield ExitCode.DONE, [verb, "--apply"]
        if verb == "deploy":
            place.done("renew --force --apply", "roll --apply")
            with place.held():
                yield ExitCode.WAITING, [verb, "--detailed-exitcode"]

    return scenes


def applied(place: Place, *words: str) -> Scenes:
    """Yield how a verb that commits to next can end where something is pending; it is done at the end."""
    yield ExitCode.REFUSED, [*words, "--apply", "--plan", OTHER_PLAN]
    with place.busy():
        yield ExitCode.BUSY, [*words, "--apply"]
    with place.refused():
        yield ExitCode.FAILED, [*words, "--apply"]
    yield ExitCode.DONE, [*words, "--apply"]


def waiting_for_dns(place: Place, verb: str) -> Scenes:
    """Yield what is done, and what waits because no name server answers."""
    yield ExitCode.DONE, [verb, "--apply"]
    place.ops.edit({"inventory/example.com/mail-ec.yaml": MAIL_EC})
    yield ExitCode.WAITING, [verb, "--detailed-exitcode"]


def gone(place: Place) -> bool:
    """Take the DNS repository away."""
    (place.folder / "dns.git").rename(place.folder / "away.git")
    return True


def prune(place: Place) -> Scenes:
    """A service with more generations than are kept, first on a host that was never asked."""
    place.done("renew --apply", "roll --apply", *("renew --force --apply", "roll --apply") * 3)
    words = ["prune", "--keep", "1"]
    yield usage("prune")
    yield ExitCode.WAITING, [*words, "example.com", "--detailed-exitcode"]
    place.done("deploy --apply")
    yield ExitCode.PENDING, [*words, "--detailed-exitcode"]
    yield from applied(place, *words)


def revoke(place: Place) -> Scenes:
    """Of an own CA, so that nobody has to be told; what has no certificate cannot be revoked."""
    place.done("renew --apply", "roll --apply")
    words = ["revoke", "example.com", "--reason", "superseded"]
    yield ExitCode.USAGE, ["revoke", "example.com"]
    yield ExitCode.PENDING, [*words, "--detailed-exitcode"]
    yield from applied(place, *words)


def rekey(place: Place) -> Scenes:
    """After a recipient joined."""
    place.done("renew --apply", "roll --apply")
    config = f"{place.ops.show('main', '.sops.yaml')}\n"
    joiner = "age1lzd99uklcjnc0e7d860axevet2cz99ce9pq6tzuzd05l5nr28ams36nvun"
    for recipient in place.ops.identities.recipients.values():
        config = config.replace(recipient, f"{recipient},{joiner}")
    place.ops.edit({".sops.yaml": config})
    yield usage("rekey")
    yield ExitCode.PENDING, ["rekey", "--fetch", "--detailed-exitcode"]
    yield from applied(place, "rekey")


def whole(verb: str) -> Callable[[Place], Scenes]:
    """Return the scenes of `run`, and of `plan`, which changes nothing."""

    def scenes(place: Place) -> Scenes:
        changing = ["--apply"] if verb == "run" else ["--fetch"]
        place.done("publish --apply")
        yield usage(verb)
        with place.busy():
            yield ExitCode.BUSY, [verb, *changing]
        yield ExitCode.PENDING, [verb, "--detailed-exitcode"]
        with place.broken():
            yield ExitCode.FAILED, [verb, *changing]
        yield ExitCode.DONE, [verb, *changing]
        place.done("run --apply")
        place.ops.edit({"inventory/example.com/mail-ec.yaml": MAIL_EC})
        with place.held():
            yield ExitCode.WAITING, [verb, "--detailed-exitcode"]
        place.ops.edit({"allowed_signers": f"sslops@example.com {ED25519}\n"})
        yield ExitCode.REFUSED, [verb, *changing]

    return scenes


def looking(verb: str, *words: str) -> Callable[[Place], Scenes]:
    """Return the scenes of a verb that reads the repository, and fetches if it is asked to."""

    def scenes(place: Place) -> Scenes:
        yield usage(verb)
        yield ExitCode.DONE, [verb, *words]
        if ExitCode.BUSY in CODES[verb]:
            with place.busy():
                yield ExitCode.BUSY, [verb, *words, "--fetch"]
        with place.broken():
            yield ExitCode.FAILED, [verb, *words]

    return scenes


def report(place: Place) -> Scenes:
    """Write the page."""
    yield from looking("report", "--html", str(place.folder / "report.html"))(place)


def audit(place: Place) -> Scenes:
    """A commit below `state/` that nobody accounts for is what breaks a rule."""
    yield usage("audit")
    yield ExitCode.DONE, ["audit"]
    with place.busy():
        yield ExitCode.BUSY, ["audit", "--fetch"]
    place.done("renew --apply")
    place.ops.edit({"state/example.com/web-ec/slots.yaml": 'curr: "x"\n'})
    yield ExitCode.FAILED, ["audit"]


def notify(place: Place) -> Scenes:
    """Nobody to tell, and a receiver that is not there."""
    place.done("renew --apply", "roll --apply")
    yield ExitCode.USAGE, ["notify", "--apply"]
    with place.busy():
        yield ExitCode.BUSY, ["notify", "--fetch"]
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("SSLOPS_NOTIFY_COMMAND", "/bin/false")
        yield ExitCode.FAILED, ["notify", "--under", "9999d", "--apply"]
        settings.setenv("SSLOPS_NOTIFY_COMMAND", "/bin/true")
        yield ExitCode.DONE, ["notify", "--under", "9999d", "--apply"]


def watchdog(place: Place) -> Scenes:
    """A stage that had a good run just now, and one that never had."""
    yield usage("watchdog")
    with place.busy():
        yield ExitCode.BUSY, ["watchdog"]
    yield ExitCode.FAILED, ["watchdog", "renew"]
    write_heartbeat(Git.discover(place.ops.folder), "renew", None)
    yield ExitCode.DONE, ["watchdog", "renew"]


def schema(place: Place) -> Scenes:
    """Print one, or write them where nothing can be written."""
    yield ExitCode.DONE, ["schema", "sslops"]
    yield ExitCode.USAGE, ["schema", "--write", str(place.ops.folder / SETTINGS)]


def inspected(verb: str) -> Callable[[Place], Scenes]:
    """Return the scenes of a verb that looks at a file."""

    def scenes(place: Place) -> Scenes:
        write_certificate(place.folder / "certificate")
        cert, garbage = str(place.folder / "certificate/fullchain.pem"), place.folder / "garbage.pem"
        garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        more = {"verify": ["--root", cert, "--offline"], "tlsa": ["--name", "a.example.com"]}.get(verb, [])
        yield usage(verb)
        yield ExitCode.DONE, [verb, cert, *more]
        yield ExitCode.FAILED, [verb, str(garbage), *more]

    return scenes


def tlsrpt(place: Place) -> Scenes:
    """A report, what is none, and a ledger that somebody else writes."""
    path, garbage = place.folder / "report.json", place.folder / "garbage.json"
    path.write_bytes(TLS_REPORT.replace(b"2026-11-30", f"{datetime.now(tz=UTC):%Y-%m-%d}".encode()))
    garbage.write_text("{")
    yield usage("tlsrpt")
    yield ExitCode.FAILED, ["tlsrpt", str(garbage)]
    with place.busy():
        yield ExitCode.BUSY, ["tlsrpt", str(path), "--apply"]
    yield ExitCode.DONE, ["tlsrpt", str(path), "--apply"]
    place.ops.edit({"allowed_signers": f"sslops@example.com {ED25519}\n"})
    yield ExitCode.REFUSED, ["tlsrpt", str(path), "--apply"]


def completion(_place: Place) -> Scenes:
    """A shell that is known, and no shell."""
    yield usage("completion")
    yield ExitCode.DONE, ["completion", "bash"]


def trust(place: Place) -> Scenes:
    """Before the first roll there is nothing to trust."""
    yield ExitCode.USAGE, ["trust"]
    place.done("renew --apply", "roll --apply")
    yield ExitCode.DONE, ["trust"]
    with place.broken():
        place.run("plan", "--fetch")
        yield ExitCode.FAILED, ["trust"]


def dhparm(place: Place) -> Scenes:
    """Into a folder, and into what is none."""
    yield ExitCode.DONE, ["dhparm", str(place.folder / "dh")]
    yield ExitCode.USAGE, ["dhparm", str(place.ops.folder / SETTINGS)]


def dev(place: Place) -> Scenes:
    """A new key for what is live, and a certificate while everything is on hold."""
    keys = ["dev", "keys", "example.com/web-ec"]
    place.done("renew --apply", "roll --apply")
    yield usage("dev")
    with place.busy():
        yield ExitCode.BUSY, [*keys, "--apply"]
    yield ExitCode.REFUSED, [*keys, "--apply", "--plan", OTHER_PLAN]
    yield ExitCode.PENDING, [*keys, "--detailed-exitcode"]
    with place.held():
        yield ExitCode.WAITING, ["dev", "cert", "example.com/web-ec", "--detailed-exitcode"]
    with place.refused():
        yield ExitCode.FAILED, [*keys, "--apply"]
    yield ExitCode.DONE, [*keys, "--apply"]


def doctor(place: Place) -> Scenes:
    """A verb that needs nothing, and a machine without the identity that another one opens keys with."""
    yield usage("doctor")
    yield ExitCode.DONE, ["doctor", "check"]
    place.ops.identities.take_away("deploy")
    yield ExitCode.FAILED, ["doctor", "deploy"]


def init(place: Place) -> Scenes:
    """In a folder of its own, in one with files, and where git refuses to commit."""
    os.environ["XDG_CONFIG_HOME"] = str(place.folder / "fresh")
    yield ExitCode.DONE, ["init", str(place.folder / "new")]
    yield ExitCode.USAGE, ["init", str(place.folder / "new")]
    with (place.folder / "home/.gitconfig").open("a") as config:
        config.write("[gpg]\n    program = false\n[commit]\n    gpgSign = true\n")
    yield ExitCode.FAILED, ["init", str(place.folder / "unsigned")]


def import_(place: Place) -> Scenes:
    """A site of ssl-mgr, none, and one whose configuration cannot be read."""
    os.environ["XDG_CONFIG_HOME"] = str(place.folder / "fresh")
    tree = SslMgrTree(place.folder / "ssl-mgr", FILES)
    words = ["import", str(tree.conf_d), "--no-certs", "--into"]
    yield ExitCode.USAGE, ["import", str(place.folder / "home")]
    yield ExitCode.DONE, [*words, str(place.folder / "imported")]
    (tree.conf_d / "ssl-mgr.conf").write_text("[globals\n")
    yield ExitCode.FAILED, [*words, str(place.folder / "again")]


def demo(place: Place) -> Scenes:
    """That it holds is what `tests/system/test_demo.py` shows; here it is in the way of files, and lacks programs."""
    yield ExitCode.USAGE, ["demo", str(place.ops.folder)]
    os.environ["PATH"] = str(place.folder)
    yield ExitCode.FAILED, ["demo", str(place.folder / "demo")]


SCENES: dict[str, Callable[[Place], Scenes]] = {
    **{verb: stage(verb) for verb in ("renew", "publish", "roll", "deploy")},
    **{verb: whole(verb) for verb in ("plan", "run")},
    **{verb: inspected(verb) for verb in ("info", "verify", "tlsa")},
    "prune": prune,
    "revoke": revoke,
    "rekey": rekey,
    "check": looking("check"),
    "status": looking("status"),
    "simulate": looking("simulate", "--until", "2099-01-01", "--every", "9999d"),
    "report": report,
    "audit": audit,
    "notify": notify,
    "watchdog": watchdog,
    "schema": schema,
    "tlsrpt": tlsrpt,
    "trust": trust,
    "completion": completion,
    "dhparm": dhparm,
    "dev": dev,
    "doctor": doctor,
    "init": init,
    "import": import_,
    "demo": demo,
}
"""Verb to what brings about each of its exit codes."""
ELSEWHERE = {("demo", ExitCode.DONE)}
"""What takes half a minute and has a test of its own."""


@pytest.mark.parametrize("verb", SCENES)
def test_every_exit_code_of_a_verb_is_reached(verb: str, place: Place) -> None:
    """Through the command line, on a real repository; and no other code comes of it."""
    wanted = [code for code in ExitCode if code in CODES[verb] and (verb, code) not in ELSEWHERE]
    reached = [(code, place.run(*words)) for code, words in SCENES[verb](place)]

    assert [(code, code) for code in wanted] == sorted(reached)


def test_every_verb_says_which_exit_codes_it_has() -> None:
    """In the order of the help; a new verb has a row and its scenes."""
    assert list(VERBS) == list(CODES)
    assert sorted(VERBS) == sorted(SCENES)


def test_what_is_to_be_trusted_is_the_root_and_nothing_that_it_signed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """An intermediate would not do: its root would not be known."""
    place.done("renew --apply", "roll --apply")
    capsys.readouterr()
    place.done("trust")
    shown = capsys.readouterr().out

    assert "ca/my-root" in shown
    assert "my-sub" not in shown


ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1lZ0vBNdQhfMZrXVfwA4bmmFJKVQWVM4pRZ2k4k0lD"
SSLOPS_YAML = """\
globals: {{min_roll_mins: 0}}
repo: {{branch: main, next_branch: next, forge: none, merge: {{roll: auto}}, bot: {{email: sslops@example.com}}}}
groups:
  - {{domain: example.com, active: true, services: ALL}}
  - {{domain: ca, active: true, services: ALL}}
dns_primary:
  - {{domain: default, server: 127.0.0.1, port: 9}}
dns_servers:
  - {{domain: example.com, servers: ["127.0.0.1:9"]}}
dns:
  repo: {{url: {dns}, branch: main, forge: none}}
  acme_dir: {acme}
  tlsa_dirs: [{tlsa}]
  merge: {{acme: auto, tlsa: auto}}
servers:
  web:
    hosts: [{{host: here, address: local, prod_cert_dir: {certs}}}]
    svc_depends: [[example.com, [web-ec]]]
"""

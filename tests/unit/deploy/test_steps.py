"""The order of a deploy: intent, second look, hosts, outcome; with real receivers here and a ledger in memory."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sslops.dane.may_serve import YES, Verdict
from sslops.deploy.host_plan import DeployOptions
from sslops.deploy.receiver import Receivers
from sslops.deploy.steps import Deployer
from sslops.errors import Moved, SopsError, SslopsError
from sslops.model.inventory import (
    DaneOwners,
    DaneSpec,
    Group,
    Host,
    Inventory,
    RepoSettings,
    ServerClass,
    Service,
    Settings,
    Subject,
    Verify,
)
from sslops.model.ledger import HostEntry, Ledger, Served
from sslops.model.names import GenerationId, ServiceId
from sslops.model.observations import PortSeen
from sslops.model.secret import Secret
from sslops.model.shipment import ServiceFiles
from sslops.model.state import Branches, Generation, Issued, ServiceState, Slots, State, Status
from sslops.model.tlsa import TlsaParams
from sslops.system.clock import SystemClock
from sslops.system.processes import Commands
from sslops.system.progress import Doing, Task
from sslops.system.ssh import LocalShell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sslops.model.change import Note
    from sslops.repo.snapshot import Snapshot

NOW = dt.datetime(2026, 11, 24, 14, 30, tzinfo=dt.UTC)
OLD, NEW = GenerationId("20261124T143000Z-9b1c"), GenerationId("20261125T021705Z-77aa")
MAIL, WEB = ServiceId("example.com", "mail"), ServiceId("example.com", "web")
PROVEN = Served((OLD,), NOW, "files")


def new_key() -> tuple[Secret, str]:
    """Return a key and the hash of its public half."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Secret(pem), hashlib.sha256(public).hexdigest()


KEY, SPKI = new_key()


@dataclass(frozen=True)
class Branch:
    """As much of a snapshot as deploy reads."""

    branches: Branches
    ledger: Ledger


@dataclass
class InMemory:
    """Every port but the receivers'. Lists steer what goes wrong, `notes` and `ledgers` say what was pushed."""

    ledger: Ledger
    branches: Branches
    verdicts: list[Mapping[ServiceId, Verdict]] = field(default_factory=list)
    before_push: list[Callable[[], None]] = field(default_factory=list)
    keys_by_service: dict[ServiceId, Secret | SslopsError] = field(default_factory=dict)
    ledgers: list[Ledger] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        """Return what a run begins with."""
        return cast("Snapshot", Branch(self.branches, self.ledger))

    def refresh(self) -> Snapshot:
        """Fetch."""
        return self.snapshot()

    def write_ledger(self, snapshot: Snapshot, ledger: Ledger, note: Note) -> Snapshot:
        """Compare and swap."""
        if self.before_push:
            self.before_push.pop(0)()
        if snapshot.ledger != self.ledger:
            message = f"the ledger moved before {note.title}"
            raise Moved(message)
        if ledger != self.ledger:
            self.ledgers.append(ledger)
        self.ledger = ledger
        return self.snapshot()

    def look(self, ledger: Ledger) -> InMemory:
        """Look at DNS: the next verdicts count."""
        assert ledger is not None
        return self

    def advanced(self, ledger: Ledger) -> Ledger:
        """Learn nothing."""
        return ledger

    def gate(self, *_: object) -> Gate:
        """Return a gate with the next verdicts."""
        return Gate(self.verdicts.pop(0) if self.verdicts else {})

    def now(self) -> dt.datetime:
        """Return the moment."""
        return NOW

    def show(self, host: Host, *_: object, **__: object) -> PortSeen:
        """Refuse to be asked."""
        return PortSeen(error=f"no port of {host.name}")

    def files(
        self, _: Snapshot, wanted: Sequence[tuple[ServiceId, GenerationId]]
    ) -> dict[tuple[ServiceId, GenerationId], ServiceFiles | SslopsError]:
        """Return small files."""
        return {version: ServiceFiles(b"csr\n", f"cert {version[1]}\n".encode(), b"") for version in wanted}

    def keys(
        self, _: Snapshot, wanted: Sequence[tuple[ServiceId, GenerationId]]
    ) -> dict[tuple[ServiceId, GenerationId], Secret | SslopsError]:
        """Return the one key, or what a test wants."""
        return {version: self.keys_by_service.get(version[0], KEY) for version in wanted}


@dataclass(frozen=True)
class Gate:
    """Says yes but where a verdict is given."""

    verdicts: Mapping[ServiceId, Verdict]

    def may_serve(self, service: ServiceId, _: GenerationId, __: str) -> Verdict:
        """Return the verdict."""
        return self.verdicts.get(service, YES)


def generation(key: GenerationId) -> Generation:
    """Return an issued generation of `KEY`."""
    facts = Issued(NOW, "0a", "issuer", NOW, NOW + dt.timedelta(days=90), ("mail.example.com",), "aa" * 32)
    return Generation(key, Status.ISSUED, NOW, "my-sub", None, "due", None, "ec", "secp256r1", SPKI, "00", None, facts)


@pytest.fixture
def world() -> InMemory:
    """Return a world in which `main` has NEW of both services, and `here` is proven to serve OLD."""
    state = ServiceState(Slots(curr=NEW), {OLD: generation(OLD), NEW: generation(NEW)})
    main = State({MAIL: state, WEB: state})
    return InMemory(Ledger({"here": HostEntry(7, {MAIL: PROVEN, WEB: PROVEN})}), Branches(main, main))


@pytest.fixture
def deployer(world: InMemory, tmp_path: Path) -> Deployer:
    """Return a deployer for one local host that gets both services, of which `mail` has DANE."""
    dane = (DaneSpec(25, "tcp", TlsaParams(3, 1, 1), DaneOwners.MX),)
    services = {
        MAIL: Service(MAIL, "", "my-sub", Subject(), ("mail.example.com",), dane=dane),
        WEB: Service(WEB, "", "my-sub", Subject(), ("www.example.com",)),
    }
    here = Host("here", "local", prod_cert_dir=str(tmp_path / "prod-certs"))
    inventory = Inventory(
        Settings(),
        RepoSettings(),
        {"example.com": Group("example.com", active=True, services=(MAIL, WEB))},
        services,
        {},
        {"smtp": ServerClass("smtp", (here,))},
    )
    shell, anything = LocalShell(os.environ), cast("Any", world)
    return Deployer(
        inventory=inventory,
        ops=anything,
        observer=anything,
        clock=anything,
        receiver=Receivers(shell, shell, SystemClock().now),
        ports=anything,
        vault=anything,
        commands=Commands(),
        sleep=lambda _: None,
        random=lambda: 0.0,
        patience_seconds=(),
    )


def held(tmp_path: Path, service: ServiceId) -> str | None:
    """Return the certificate of *service* on the host; null when there is none."""
    path = tmp_path / "prod-certs" / str(service) / "curr/cert.pem"
    return path.read_text().strip() if path.exists() else None


def test_the_intent_is_pushed_before_the_outcome(deployer: Deployer, world: InMemory, tmp_path: Path) -> None:
    """First "either" under a number of its own, then what was proven."""
    done = deployer.deploy(world.snapshot())

    assert ((), 2) == (done.failures, len(world.ledgers))
    intent, outcome = (ledger.hosts["here"] for ledger in world.ledgers)
    assert (8, (OLD, NEW), None) == (intent.seq, intent.serves(MAIL).may_serve, intent.serves(MAIL).proof)
    assert (8, (NEW,), "files") == (outcome.seq, outcome.serves(MAIL).may_serve, outcome.serves(MAIL).proof)
    assert f"cert {NEW}" == held(tmp_path, MAIL)


@dataclass
class Listener:
    """Hears of every task, and of all that its items are at."""

    heard: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Hear a line."""
        self.heard.append(text)

    @contextmanager
    def progress(self, description: str, total: int | None = None) -> Iterator[Task]:
        """Hear of a task when it ends: what it was, and how much of it was done."""
        heard = self.heard

        class Heard(dict[str, Doing]):
            def __setitem__(self, name: str, doing: Doing) -> None:
                heard.append(f"{name} {doing.what}")

        task = Task(description, total, doing=Heard())
        yield task
        heard.append(f"{description}: {task.done} of {total}")


def test_a_person_is_told_what_each_host_is_at(settled: Deployer, world: InMemory) -> None:
    """Asked, sent to, restarted, verified: a host that takes its time is named with what it takes it for."""
    listener = Listener()
    world.branches = rolled_to(OLD, NOW)
    replace(settled, talk=listener).deploy(world.snapshot())

    told = [line for line in listener.heard if line.startswith(("here", "hosts"))]
    assert [
        "here is asked by ssh",
        "hosts asked for what they hold: 1 of 1",
        "here begins",
        "here is sent example.com/mail, example.com/web and restarts (sh)",
        "hosts switched and verified: 1 of 1",
    ] == told


def test_what_may_not_go_after_the_intent_is_not_sent(deployer: Deployer, world: InMemory, tmp_path: Path) -> None:
    """Between plan and intent a server began to lag: `mail` stays proven as before, `web` goes."""
    world.verdicts = [{}, {MAIL: Verdict(allowed=False, why="a server lags")}]
    deployer.deploy(world.snapshot())

    entry = world.ledger.hosts["here"]
    assert (8, PROVEN, (NEW,)) == (entry.seq, entry.serves(MAIL), entry.serves(WEB).may_serve)
    assert (None, f"cert {NEW}") == (held(tmp_path, MAIL), held(tmp_path, WEB))


def test_a_lost_race_for_the_intent_sends_nothing(deployer: Deployer, world: InMemory, tmp_path: Path) -> None:
    """Another run pushed first: everything is judged anew before anything is sent."""
    faster = Ledger({"here": replace(world.ledger.hosts["here"], seq=9)})
    world.before_push = [lambda: setattr(world, "ledger", faster)]

    with pytest.raises(Moved):
        deployer.deploy(world.snapshot())
    assert (None, faster) == (held(tmp_path, WEB), world.ledger)


def test_an_outcome_meets_a_ledger_that_moved_elsewhere(deployer: Deployer, world: InMemory) -> None:
    """Another host's entry changed meanwhile: both are kept."""
    other = HostEntry(3, {WEB: PROVEN})
    world.before_push = [
        lambda: None,
        lambda: setattr(world, "ledger", Ledger({**world.ledger.hosts, "there": other})),
    ]
    deployer.deploy(world.snapshot())

    assert other == world.ledger.hosts["there"]
    assert (NEW,) == world.ledger.hosts["here"].serves(MAIL).may_serve


def test_an_outcome_of_a_host_that_another_run_took_over_settles_nothing(deployer: Deployer, world: InMemory) -> None:
    """A higher number came in between: the host may serve either until it is asked."""

    def take_over() -> None:
        entry = world.ledger.hosts["here"]
        world.ledger = Ledger({"here": replace(entry, seq=entry.seq + 1)})

    world.before_push = [lambda: None, take_over]
    deployer.deploy(world.snapshot())

    entry = world.ledger.hosts["here"]
    assert (9, (OLD, NEW)) == (entry.seq, entry.serves(MAIL).may_serve)


def test_a_key_that_cannot_be_opened_stops_its_service_only(
    deployer: Deployer, world: InMemory, tmp_path: Path
) -> None:
    """It is told, its entry stays as it was, and the other service goes."""
    world.keys_by_service = {MAIL: SopsError("no identity opens it")}
    done = deployer.deploy(world.snapshot())

    assert ["no identity opens it"] == [failure.what for failure in done.failures]
    entry = world.ledger.hosts["here"]
    assert (PROVEN, (NEW,)) == (entry.serves(MAIL), entry.serves(WEB).may_serve)
    assert (None, f"cert {NEW}") == (held(tmp_path, MAIL), held(tmp_path, WEB))


def test_a_rebuilt_ledger_goes_above_what_the_host_has_seen(deployer: Deployer, world: InMemory) -> None:
    """The host knows a number that the ledger lost."""
    deployer.deploy(world.snapshot())
    world.ledger, world.ledgers = Ledger(), []
    deployer.deploy(world.snapshot())

    entry = world.ledger.hosts["here"]
    assert (9, (NEW,), "files") == (entry.seq, entry.serves(MAIL).may_serve, entry.serves(MAIL).proof)


def test_nothing_to_do_pushes_nothing(deployer: Deployer, world: InMemory) -> None:
    """A second run finds everything proven."""
    deployer.deploy(world.snapshot())
    pushed = len(world.ledgers)
    done = deployer.deploy(world.snapshot())

    assert ((), pushed) == (done.plan.actions, len(world.ledgers))


def rolled_to(key: GenerationId, at: dt.datetime) -> Branches:
    """Return `main` where *key* of both services was rolled at that moment."""
    state = ServiceState(Slots(curr=key, rolled_at=at), {each: generation(each) for each in (OLD, NEW)})
    main = State({MAIL: state, WEB: state})
    return Branches(main, main)


@pytest.fixture
def settled(deployer: Deployer, world: InMemory, tmp_path: Path) -> Deployer:
    """Return a deployer whose host was settled on OLD, then on NEW; a restart fails once when `fails-once` is there."""
    flag = tmp_path / "fails-once"
    restart = ("sh", "-c", 'if test -e "$0"; then rm "$0"; exit 1; fi', str(flag))
    hosts = deployer.inventory.classes["smtp"].hosts
    classes = {"smtp": ServerClass("smtp", hosts, restart_cmd=(restart,))}
    ready = replace(deployer, inventory=replace(deployer.inventory, classes=classes))
    world.ledger = Ledger()
    for days, key in ((2, OLD), (1, NEW)):
        world.branches = rolled_to(key, NOW - dt.timedelta(days=days))
        ready.deploy(world.snapshot())
    assert Served((NEW,), NOW, "files") == world.ledger.hosts["here"].serves(MAIL)
    return ready


def touch(curr: Path) -> None:
    """Change one file of a service."""
    (curr / "chain.pem").write_text("touched\n")


def empty(curr: Path) -> None:
    """Take the files of a service away, as it is done when it is retired."""
    for file in curr.iterdir():
        file.unlink()


def put_back(curr: Path) -> None:
    """Let `curr` be what it was before, as a restored backup would."""
    previous = (curr.parent / ".prev").readlink()
    curr.unlink()
    curr.symlink_to(previous)


@pytest.mark.parametrize("done", [touch, empty, put_back])
@pytest.mark.parametrize("why", ["forced", "rolled again"])
def test_a_host_never_goes_back_past_what_the_ledger_named(
    settled: Deployer, world: InMemory, tmp_path: Path, why: str, done: Callable[[Path], None]
) -> None:
    """Its files were not whole any more, and the restart fails once: it has NEW, for OLD has no records any more."""
    done(tmp_path / "prod-certs" / str(MAIL) / "curr")
    (tmp_path / "fails-once").touch()
    if why == "forced":
        settled = replace(settled, options=DeployOptions(force_restart=True))
    else:
        world.branches = rolled_to(NEW, NOW + dt.timedelta(seconds=1))
    found = settled.deploy(world.snapshot())

    assert 1 == len(found.failures)
    assert f"cert {NEW}" == held(tmp_path, MAIL)
    entry = world.ledger.hosts["here"].serves(MAIL)
    # What a host without a port holds is asked before it is believed; after that only a restart tells something.
    is_doubted = why == "forced" and done is not touch
    assert ((NEW,), None if is_doubted else "files", 1) == (entry.may_serve, entry.proof, entry.failures)


def test_a_host_without_a_port_is_asked_what_it_holds_before_it_is_skipped(
    settled: Deployer, world: InMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forged ledger says that it is done: believed, the host would keep what it has."""
    put_back(tmp_path / "prod-certs" / str(MAIL) / "curr")
    with monkeypatch.context() as careless:
        careless.setattr(Deployer, "_contradicted_by_files", lambda *_: [])
        settled.deploy(world.snapshot())
    assert f"cert {OLD}" == held(tmp_path, MAIL)

    settled.deploy(world.snapshot())
    assert f"cert {NEW}" == held(tmp_path, MAIL)


def test_with_a_lost_ledger_it_does_not_go_further_back_either(
    settled: Deployer, world: InMemory, tmp_path: Path
) -> None:
    """Nothing is known and all may come back, but not what was there before the files that were sent again."""
    touch(tmp_path / "prod-certs" / str(MAIL) / "curr")
    (tmp_path / "fails-once").touch()
    world.ledger = Ledger()
    settled.deploy(world.snapshot())

    assert f"cert {NEW}" == held(tmp_path, MAIL)
    assert (None, NEW) == world.ledger.hosts["here"].serves(MAIL).may_serve


def test_a_port_that_stays_wrong_sends_no_host_further_back(settled: Deployer, world: InMemory, tmp_path: Path) -> None:
    """No port can be asked here, so the session goes back; the entry is not settled, and names NEW alone."""
    touch(tmp_path / "prod-certs" / str(MAIL) / "curr")
    smtp = settled.inventory.classes["smtp"]
    asked = replace(smtp, hosts=(replace(smtp.hosts[0], verify=Verify(25, "smtp")),))
    inventory = replace(settled.inventory, classes={"smtp": asked})
    replace(settled, inventory=inventory, options=DeployOptions(force_restart=True)).deploy(world.snapshot())

    entry = world.ledger.hosts["here"].serves(MAIL)
    assert (f"cert {NEW}", (NEW,), None) == (held(tmp_path, MAIL), entry.may_serve, entry.proof)


def test_what_the_host_does_not_show_is_not_proven(settled: Deployer, world: InMemory, tmp_path: Path) -> None:
    """It goes back to a folder in which somebody changed a file: that may be anything."""
    world.branches = rolled_to(OLD, NOW)
    touch(tmp_path / "prod-certs" / str(MAIL) / "curr")
    (tmp_path / "fails-once").touch()
    settled.deploy(world.snapshot())

    entry = world.ledger.hosts["here"]
    assert ((None, NEW, OLD), None) == (entry.serves(MAIL).may_serve, entry.serves(MAIL).proof)
    assert ((NEW,), "files") == (entry.serves(WEB).may_serve, entry.serves(WEB).proof)

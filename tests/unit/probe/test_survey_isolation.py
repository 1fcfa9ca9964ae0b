"""One zone, or one host, that answers nonsense fails alone: the others go on, and it is told as a bug."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from sslops.app.forges import Project
from sslops.deploy.steps import Deployer
from sslops.errors import Bug
from sslops.model.inventory import Host, Verify
from sslops.model.ledger import Ledger
from sslops.model.shipment import Answer, Outcome
from sslops.probe.host_ports import GuardedPorts
from sslops.probe.survey import Observer
from sslops.proposals.forges.tokens import Role
from sslops.system.progress import NOBODY
from tests.unit.dane.builders import APEX, START, commit, inventory, repo, server, service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sslops.deploy.host_plan import Work
    from sslops.model.observations import DnsRepoSeen, PortSeen, ServerSeen
    from sslops.model.proposal import MergeRequest
    from sslops.probe.host_ports import AskedPorts

OTHER = "example.net"


class _Clock:
    def now(self) -> object:
        return START


class _Repository:
    def apex(self, _apex: str, _anchors: object = ()) -> DnsRepoSeen:
        return repo(commit("c0"))


class _NameServers:
    """Says for `example.net` what no library of ours foresaw."""

    def __init__(self, where: str) -> None:
        self.where = where

    def mx(self, apex: str, _via: object) -> tuple[str, ...]:
        self._stumble("mx", apex)
        return (f"mail.{apex}.",)

    def name_servers(self, apex: str, _primary: object, _fixed: object) -> dict[str, tuple[()]]:
        self._stumble("name_servers", apex)
        return {f"ns1.{apex}": ()}

    def tlsa(self, servers: dict[str, object], owners: Iterable[str]) -> tuple[ServerSeen, ...]:
        self._stumble("tlsa", next(iter(servers)))
        return (server({}, owners=owners),)

    def tlsa_of_zones(
        self, zones: dict[str, tuple[dict[str, object], tuple[str, ...]]]
    ) -> dict[str, tuple[ServerSeen, ...]]:
        return {apex: self.tlsa(servers, owners) for apex, (servers, owners) in zones.items()}

    def _stumble(self, where: str, what: str) -> None:
        if where == self.where and what.endswith(OTHER):
            raise RuntimeError("a label of 70 letters")


def test_a_zone_that_answers_nonsense_fails_alone() -> None:
    """Whichever question it answers so; the exception is kept for a person, and the other zone is seen."""
    found = inventory(service(), service(group=OTHER, sans=(f"mail.{OTHER}",)))
    for where in ("mx", "name_servers", "tlsa"):
        bugs: list[Bug] = []
        observer = Observer(found, _Repository(), _NameServers(where), _Clock(), tell=bugs.append)  # type: ignore[arg-type]

        look = observer.look(Ledger())

        assert ({APEX}, {OTHER}) == (set(look.seen), set(look.failed))
        assert ["RuntimeError"] == [type(bug.error).__name__ for bug in bugs]


def test_a_host_that_answers_nonsense_fails_alone() -> None:
    """Its answer is a trouble of its own, which ends the run with exit 1; the others are looked at."""

    class Receiver:
        def look(self, host: Host) -> Answer:
            if host.name == "smtp1":
                raise OverflowError("seq of 5000 digits")
            return Answer(Outcome.DONE)

    class Item:
        def __init__(self, host: Host) -> None:
            self.host = host

    hosts = inventory().classes["smtp"].hosts
    deployer = object.__new__(Deployer)
    object.__setattr__(deployer, "receiver", Receiver())
    object.__setattr__(deployer, "at_once", lambda act, each: [act(one) for one in each])
    object.__setattr__(deployer, "talk", NOBODY)

    looked = deployer._look(cast("list[Work]", [Item(host) for host in hosts]))

    assert isinstance(looked["smtp1"].trouble, Bug)
    assert looked["smtp2"].trouble is None


def test_a_port_that_answers_nonsense_gave_no_answer() -> None:
    """What a library raises on it is a bug of this one port; whoever asks knows as much as of one that is down."""
    bugs: list[Bug] = []

    class Ports:
        def show(self, *_: object, **__: object) -> PortSeen:
            raise OverflowError("a date of the year 99999")

    host = Host("smtp1", "192.0.2.1")
    ports = GuardedPorts(cast("AskedPorts", Ports()), bugs.append)
    seen = ports.show(host, Verify(25), "mail.example.com", connections=1, over_seconds=0)

    assert "port 25 of 'smtp1': unexpected OverflowError, which is a bug of sslops" == seen.error
    assert ["OverflowError"] == [type(bug.error).__name__ for bug in bugs]


def test_a_forge_that_answers_nonsense_fails_its_own_project_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of it: a field or a call; the error is one that verbs know, so that the others go on."""

    class Answers:
        @property
        def body_limit(self) -> int:
            raise KeyError("limit")

        def close(self, _: object) -> None:
            raise RecursionError("deep JSON")

    monkeypatch.setattr("sslops.proposals.forges.registry.open_forge", lambda *_: Answers())
    monkeypatch.setattr(Project, "token", "unused")
    forge = Project(Role.DNS, "gitlab", "infra/dns", "main", "https://git.example.com/infra/dns", {}).open()

    with pytest.raises(Bug, match="'infra/dns' on gitlab: unexpected KeyError"):
        _ = forge.body_limit
    with pytest.raises(Bug, match="'infra/dns' on gitlab: unexpected RecursionError"):
        forge.close(cast("MergeRequest", None))

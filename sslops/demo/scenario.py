"""The story the demo tells, in two cycles: first certificates and records, then an urgent renewal that has to wait.

Every step is a command that anybody could type; after it the demo looks for itself whether the claim it makes holds.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.demo.watch import Watch, certificate_served, certificate_served_to_browsers, key_served, tlsa_records
from sslops.demo.world import TTL_SECONDS, world, write_inventory
from sslops.errors import ExitCode, PeerError
from sslops.model.names import parse_time
from sslops.system.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.demo.telling import Telling
    from sslops.demo.world import CommandLine, Ended, World


OWNER = "_25._tcp.mail.example.com."
MAIL_SLOTS = "state/example.com/mail-ec/slots.yaml"
INCLUDE = "include/tlsa.example.com"

_WAIT_TRIES = 20
_PAUSE_SECONDS = 1.0


def perform(folder: Path, telling: Telling, command_line: CommandLine) -> None:
    """Tell the whole story in *folder*, which is empty; what did not hold is in `telling.failed`."""
    with world(folder, command_line) as made:
        story = Story(made, telling)
        story.begin()
        with Watch(OWNER, made.ports.dns, made.ports.smtp, TTL_SECONDS) as watch:
            story.first_cycle()
            story.second_cycle()
        story.end(watch)


@dataclass(frozen=True, slots=True)
class Served:
    """What the mail server shows: the SHA-256 of its public key, and its certificate (DER); null for nothing."""

    key: str | None
    certificate: bytes | None


@dataclass(frozen=True, slots=True)
class Story:
    """The steps, over one world."""

    world: World
    telling: Telling

    def begin(self) -> None:
        """Make the repository."""
        self.telling.chapter("An ops repository, a DNS repository, a name server, a mail server and a web server")
        self.world.sslops("init", str(self.world.ops), folder=self.world.folder)
        write_inventory(self.world)
        self.telling.say(f"All of it is in {self.world.folder}, on loopback only.")
        self._run("check")

    def first_cycle(self) -> None:
        """Issue, roll, deploy, publish: a host that has no records yet may serve at once."""
        self.telling.chapter("1. The first certificates")
        self._step("renew")
        self._step("roll")
        self._step("deploy")
        self._claim_served("every server serves what main says")
        self.telling.say("Only now, with the key proved to be served, may the first TLSA record appear.")
        self._step("publish")
        self._show_dns_change()
        is_only = self._records() == {key_served(self.world.ports.smtp)}
        self.telling.claim("DNS has one TLSA record, and it matches the mail server's key", holds=is_only)
        self.telling.say("With the roll live, the key of next time is made, and its record joins in.")
        self._step("renew")
        self._step("publish")
        has_both = self._has_standing_key()
        self.telling.claim("DNS has two records: of the key served now, and of the prepublished key", holds=has_both)
        self._run("status")

    def second_cycle(self) -> None:
        """Replace the key at once: the gate holds until every cache has the new record."""
        self.telling.chapter("2. The prepublished key is distrusted: a new one, and the wait that keeps DANE whole")
        before = self._served()
        self._step("renew", "example.com/mail-ec", "--force", "--new-key")
        self._step("publish")
        curr = self._curr()
        held = self._run("roll", "--apply", "--detailed-exitcode", allowed=(ExitCode.DONE, ExitCode.WAITING))
        is_held = held.code == ExitCode.WAITING and self._curr() == curr
        self.telling.claim("the roll waits: a cache may hold records without the new one", holds=is_held)
        self._wait_for_roll()
        self._step("roll")
        self._git(self.world.ops, "show", "--stat", "--patch", "--format=%h %s", "main", "--", MAIL_SLOTS)
        self._step("deploy")
        self._claim_changed(before)
        self.telling.say("One change in DNS does both jobs: the old record goes, the one of the following key comes.")
        self._step("renew")
        self._step("publish")
        self._show_dns_change()
        records = self._records()
        is_withdrawn = before.key not in records and key_served(self.world.ports.smtp) in records
        self.telling.claim("the old record is gone, the one in use is there", holds=is_withdrawn)

    def end(self, watch: Watch) -> None:
        """Show what is left: history, status, and what the watching mail server saw."""
        self.telling.chapter("What is left to read")
        self._git(self.world.ops, "log", "--max-count=3", "--format=%h %s%n%n%b", "main")
        self._git(self.world.ops, "log", "--format=%h %s", "next")
        self._git(self.world.ops, "log", "--format=%h %s", "ledger")
        self._git(self.world.ops, "show", "ledger:hosts/mail.example.com.yaml", "ledger:tlsa/example.com.yaml")
        self._run("status")
        for breach in watch.breaches[:3]:
            self.telling.say(breach)
        sentence = f"in {watch.looks} looks, whatever a cache could hold matched what the mail server served"
        self.telling.claim(sentence, holds=watch.looks > 0 and not watch.breaches)

    def _step(self, verb: str, *arguments: str) -> None:
        """Show what a verb would do, then let it do exactly that."""
        planned = self._run(verb, *arguments)
        self._run(verb, *arguments, "--apply", unlike=planned.result)

    def _run(self, *arguments: str, allowed: tuple[int, ...] = (ExitCode.DONE,), unlike: str | None = None) -> Ended:
        """Run a verb and show it, in short when its result is not *unlike* the plan's.

        PeerError when it ends with a code that the story does not allow.
        """
        ended = self.world.sslops(*arguments)
        is_as_planned = ended.result == unlike and not ended.talk
        self.telling.command(["sslops", *arguments], "as planned" if is_as_planned else ended.output)
        if ended.code not in allowed:
            message = f"'sslops {arguments[0]}' ended with exit code {ended.code}"
            raise PeerError(message, hint=f"look into '{self.world.folder}'")
        return ended

    def _git(self, repository: Path, *arguments: str) -> None:
        self.telling.command(["git", *arguments], self.world.git(repository, *arguments))

    def _show_dns_change(self) -> None:
        self._git(self.world.dns, "show", "--format=%h %an: %s", "--patch", "main", "--", INCLUDE)

    def _records(self) -> frozenset[str]:
        return tlsa_records(self.world.ports.dns, OWNER)

    def _has_standing_key(self) -> bool:
        records = self._records()
        return len(records) == 2 and key_served(self.world.ports.smtp) in records  # noqa: PLR2004  (curr and next)

    def _curr(self) -> str:
        """Return the line of main's slots that says what is to be served."""
        return self.world.git(self.world.ops, "show", f"main:{MAIL_SLOTS}").splitlines()[0]

    def _served(self) -> Served:
        return Served(key_served(self.world.ports.smtp), certificate_served(self.world.ports.smtp))

    def _claim_changed(self, before: Served) -> None:
        """Compare what the mail server shows with what it showed *before*."""
        now = self._served()
        is_new = now.key not in {None, before.key} and now.certificate not in {None, before.certificate}
        self.telling.claim("the mail server serves a new certificate with a new key", holds=is_new)
        self._claim_served("every server serves what main says")
        has_both = {before.key, now.key} <= self._records()
        self.telling.claim("DNS has the old record and the new one as long as caches may need both", holds=has_both)

    def _claim_served(self, sentence: str) -> None:
        """Compare what each listener shows with the certificate that main's `curr` has in the repository."""
        shown = {
            "example.com/mail-ec": certificate_served(self.world.ports.smtp),
            "example.com/web-ec": certificate_served_to_browsers(self.world.ports.web, "www.example.com"),
            "example.net/web-ec": certificate_served_to_browsers(self.world.ports.web, "www.example.net"),
        }
        holds = all(der is not None and _sha256(der) == self._cert_sha256(service) for service, der in shown.items())
        self.telling.claim(sentence, holds=holds)

    def _cert_sha256(self, service: str) -> str:
        slots = self.world.git(self.world.ops, "show", f"main:state/{service}/slots.yaml").splitlines()
        generation = json.loads(next(line for line in slots if line.startswith("curr:")).partition(": ")[2])
        facts = self.world.git(self.world.ops, "show", f"main:state/{service}/{generation}/cert.pem")
        return _sha256(ssl.PEM_cert_to_DER_cert(facts))

    def _wait_for_roll(self) -> None:
        """Wait as long as the plan says, then look whether the roll is among what can be done."""
        for _ in range(_WAIT_TRIES):
            plan = json.loads(self.world.sslops("roll", "example.com/mail-ec", "--json").result)
            if plan["actions"]:
                return
            until = next((parse_time(wait["until"]) for wait in plan["waits"] if wait["until"]), None)
            seconds = _PAUSE_SECONDS if until is None else (until - SystemClock().now()).total_seconds()
            self.telling.say(f"Waiting {max(seconds, _PAUSE_SECONDS):.0f} s, as the plan says.")
            time.sleep(max(seconds, _PAUSE_SECONDS))
        raise PeerError("the roll was still waiting after all the tries of the demo")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

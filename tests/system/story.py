"""A site with a clock that a story moves, and the resolvers of the world, who remember what DNS once said.

Nothing sleeps for a TTL: the engine is told that it is later (see `launcher`), and so are the resolvers. They ask both
name servers after every command and every edit; what they may still hold is what the promise is judged by.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING

from tests.system.launching import Launched
from tests.world.dns import PRIMARY, SECONDARY
from tests.world.dns_files import TLSA_DIRS
from tests.world.remotes import git
from tests.world.site import HOSTS, MAIL_EC, OWNER
from tests.world.watch import records_matching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet
    from pathlib import Path

    from tests.world.ops import Finished, OpsRepository
    from tests.world.site import Site

MAIL = "example.com/mail-ec"
MAIL_TARGET = "example.com:mail-ec"
TTL_SECONDS = 3600
LONG_SECONDS = 3 * TTL_SECONDS
"""More than the two TTLs that evidence has to be old."""
INCLUDES = tuple(f"{folder}/tlsa.example.com" for folder in TLSA_DIRS)
LONG_TTL = {
    "inventory/example.com/mail-ec.yaml": MAIL_EC.replace("dane_tls_ttl: 1\n", f"dane_tls_ttl: {TTL_SECONDS}\n")
}

_numbers = itertools.count()


class Story:
    """One *site*, the engine's time, and what resolvers hold."""

    def __init__(self, site: Site) -> None:
        """Begin now, with empty caches."""
        self.site = site
        self.later_seconds = 0
        self.secondary_follows = True
        """Whether the secondary is expected to have what the primary has, after a moment."""
        self._caches: dict[frozenset[str], float] = {}

    # What happens.

    def run(
        self,
        *words: str,
        patches: Sequence[str] = (),
        options: Sequence[str | Path] = (),
        ops: OpsRepository | None = None,
    ) -> Finished:
        """Run one command line at the story's time, with the functions of *patches* replaced; then resolvers ask."""
        with self.launch(*words, patches=patches, options=options, ops=ops) as launched:
            finished = launched.finish()
        self.ask()
        # Nothing waits for a withdrawal to reach every server, so it is waited for here, and asked again.
        if self.secondary_follows:
            self.site.dns.settle()
            self.ask()
        return finished

    def launch(
        self,
        *words: str,
        patches: Sequence[str] = (),
        options: Sequence[str | Path] = (),
        ops: OpsRepository | None = None,
    ) -> Launched:
        """Start one command line at the story's time and return it while it runs."""
        given = [each for patch in patches for each in ("--patch", patch)]
        later = ("--later", str(self.later_seconds))
        return Launched(ops or self.site.ops, *words, options=[*later, *given, *options])

    def pass_time(self, seconds: int = LONG_SECONDS) -> None:
        """Let time pass, for the engine and for caches."""
        self.later_seconds += seconds

    def ask(self) -> None:
        """Let resolvers ask both servers and keep what they hear for its TTL."""
        for server in (PRIMARY, SECONDARY):
            ttl_seconds, records = self.site.dns.rrset(server, OWNER)
            if records:
                self._caches[records] = max(self._now() + ttl_seconds, self._caches.get(records, 0))

    def edit_include(self, change: Callable[[str], str]) -> None:
        """Let a person change the include file of example.com by hand; the name servers load it, and resolvers ask."""
        self.site.dns.edit({path: change(self.site.dns.read(path)) for path in INCLUDES}, "by hand")
        self.site.dns.settle()
        self.ask()

    def come_to_rest(self, generation: str) -> None:
        """Run until quiet: *generation* is served everywhere, its record is there, and nothing broke on the way."""
        for _ in range(2):
            self.run("run", "--apply").succeeded()
            self.pass_time()

            assert [] == self.broken()

        assert dict.fromkeys(HOSTS, generation) == self.served()
        assert generation in self.records()[0] & self.records()[1]

    # What is so.

    def broken(self) -> list[str]:
        """Return each host that shows a certificate which some record set still cached does not match."""
        self.ask()
        return [
            f"{name} shows what none of {sorted(records)} matches"
            for name, listener in self.site.mail.items()
            if (certificate := listener.certificate()) is not None
            for records, until in self._caches.items()
            if until > self._now() and not records & records_matching(certificate)
        ]

    def served(self) -> dict[str, str | None]:
        """Return the generation of mail-ec that each host shows; null when it shows nothing of ours."""
        known = {self.fact(generation, "cert_sha256"): generation for generation in self.generations()}
        return {name: known.get(digest or "") for name, digest in self.site.served().items()}

    def records(self) -> tuple[AbstractSet[str], AbstractSet[str]]:
        """Return whose records each server shows: generations of mail-ec, or the record where it is none of ours."""
        known = {f"3 1 1 {self.fact(generation, 'spki_sha256')}": generation for generation in self.generations()}
        first, second = self.site.dns.show(OWNER)
        return frozenset(known.get(each, each) for each in first), frozenset(known.get(each, each) for each in second)

    def slot(self, slot: str, branch: str = "main", service: str = MAIL) -> str:
        """Return the generation in a slot; the empty string when there is none."""
        found = fields(self.site.ops.show(branch, f"state/{service}/slots.yaml"))[slot]
        return found or ""

    def generations(self, branch: str = "next") -> tuple[str, ...]:
        """Return every generation of mail-ec on *branch*, oldest first."""
        ops = self.site.ops
        paths = git(ops.remote or ops.folder, "ls-tree", "-d", "--name-only", branch, f"state/{MAIL}/").splitlines()
        return tuple(sorted(path.rpartition("/")[2] for path in paths))

    def fact(self, generation: str, name: str, branch: str = "next") -> str:
        """Return one public fact of a generation; the empty string while it is not known."""
        text = self.site.ops.show(branch, f"state/{MAIL}/{generation}/generation.yaml")
        return fields(text).get(name) or ""

    def waits(self, *words: str, patches: Sequence[str] = ()) -> list[dict[str, str | None]]:
        """Run a stage with `--apply` and return what it says that waits."""
        done = self.run(*words, "--apply", "--json", patches=patches)
        waits: list[dict[str, str | None]] = json.loads(done.succeeded().stdout)["waits"]
        return waits

    def _now(self) -> float:
        return time.time() + self.later_seconds


def settled(site: Site) -> Story:
    """Tell the first cycle: every host serves the first generation, and its record is in DNS."""
    story = Story(site)
    story.run("run", "--apply").succeeded()
    first = story.slot("curr")

    assert dict.fromkeys(HOSTS, first) == story.served()
    assert ({first},) * 2 == story.records()

    return story


def ready_to_roll(site: Site) -> Story:
    """Tell on until a second generation is issued, and its record as old as the gate asks."""
    story = settled(site)
    story.run("renew", MAIL_TARGET, "--force", "--apply").succeeded()
    story.run("publish", "--apply").succeeded()
    story.pass_time()

    assert ({story.slot("curr", "next"), story.slot("next", "next")},) * 2 == story.records()

    return story


def rolled(site: Site) -> Story:
    """Tell on until every host serves the second generation; the record of the first is still there."""
    story = ready_to_roll(site)
    story.run("roll", "--apply").succeeded()
    story.run("deploy", "--apply").succeeded()

    assert dict.fromkeys(HOSTS, story.slot("curr")) == story.served()

    return story


def revert_the_roll(story: Story) -> None:
    """Let a person revert the last commit of main."""
    person = story.site.ops._person
    assert person is not None
    person.revert("origin/main")


def another_clone(story: Story) -> OpsRepository:
    """Return another clone, for a run beside those that hold the others."""
    return story.site.ops.clone(story.site.folder / f"clone{next(_numbers)}")


def fields(text: str) -> Mapping[str, str | None]:
    """Read the flat machine-written YAML of state files."""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {key: value if value.startswith("{") else json.loads(value) for key, _, value in pairs}

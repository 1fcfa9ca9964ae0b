"""An ops repository to be written to: with a bare remote and a person beside it, or alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sslops.model.change import Change, GenerationFiles
from sslops.model.inventory import RepoSettings
from sslops.model.names import GenerationId, ServiceId, generation_id
from sslops.model.state import Generation, Issued, Slots, Status
from sslops.repo.git import Git
from sslops.repo.store import OpsRepo
from tests.world.remotes import Person, bare_repository, git

if TYPE_CHECKING:
    from pathlib import Path

    from sslops.repo.snapshot import Snapshot
    from sslops.system.effects import Effects

START = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
MAIL = ServiceId("example.com", "mail-ec")
WEB = ServiceId("example.com", "web-ec")
BOT = "sslops@example.com"
FIRST_FILES = {
    "inventory/sslops.yaml": "globals: {}\n",
    ".sops.yaml": "creation_rules: []\n",
    ".gitattributes": "*.sops -text\n",
}


def generation(number: int, *, service: ServiceId = MAIL, status: Status = Status.ISSUED) -> Generation:
    """Return the generation made on day *number*; its key's hash differs by service and number."""
    made = START + timedelta(days=number)
    spki = f"{number:02x}{len(service.name):02x}" * 16
    issued = Issued(
        issued_at=made,
        serial=f"{number:x}",
        issuer="CN=my-sub",
        not_before=made,
        not_after=made + timedelta(days=90),
        sans=("example.com",),
        cert_sha256="cd" * 32,
    )
    return Generation(
        id=generation_id(made, spki),
        status=status,
        created_at=made,
        ca="my-sub",
        profile=None,
        reason="due",
        reused_from=None,
        key_type="ec",
        key_size="secp384r1",
        spki_sha256=spki,
        csr_sha256="ab" * 32,
        issued=issued if status is Status.ISSUED else None,
    )


def renewed(snapshot: Snapshot, made: Generation, service: ServiceId = MAIL) -> Change:
    """Return the change that puts *made* staged."""
    slots = replace(snapshot.branches.next[service].slots, next=made.id, renew_at=made.created_at + timedelta(days=60))
    files = GenerationFiles(made, csr=b"csr\n", cert=b"cert\n", chain=b"chain\n", privkey_sops=b"{}\n")
    return Change("renew", service, f"{made.id}", "It is due.", slots, made.id, (files,), "sha256:00ff")


def rolled(snapshot: Snapshot, service: ServiceId = MAIL) -> Change:
    """Return the change that makes what is staged curr."""
    slots = snapshot.branches.next[service].slots
    after = replace(slots, curr=slots.next, next=None, prev=slots.curr, rolled_at=START)
    return Change("roll", service, f"{slots.next}", "It was seen everywhere.", after, slots.next)


@dataclass
class Yard:
    """The engine's clone; with a remote also the bare repository and a person's clone of it."""

    ops: OpsRepo
    remote: Path | None = None
    person: Person | None = None

    @property
    def clone(self) -> Path:
        """Where the engine works."""
        return self.ops.git.path

    @property
    def someone(self) -> Person:
        """The person beside the engine."""
        assert self.person is not None
        return self.person

    def roll_to(self, number: int, service: ServiceId = MAIL) -> GenerationId:
        """Renew and roll *service* to generation *number*, and return its id."""
        made = generation(number, service=service)
        snapshot = self.ops.refresh()
        snapshot = self.ops.write_next(snapshot, [renewed(snapshot, made, service)])
        self.ops.write_roll(snapshot, [rolled(snapshot, service)])
        return made.id

    def roll_and_merge(self, number: int, way: str, service: ServiceId = MAIL) -> GenerationId:
        """Roll, and let the person merge the request in one of the ways a forge offers; return the generation."""
        made = self.roll_to(number, service)
        merge(self.someone.clone, way)
        return made

    def slots(self, branch: str = "next", service: ServiceId = MAIL) -> Slots:
        """Return the slots of *service*, on next with main taken in or on main, after a fetch."""
        branches = self.ops.refresh().branches
        return (branches.next if branch == "next" else branches.main)[service].slots

    def heads(self) -> dict[str, str]:
        """Return where every branch of the truth stands now."""
        lines = git(self.remote or self.clone, "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in lines.splitlines())


def merge(clone: Path, way: str) -> None:
    """Merge the roll branch into main as a forge does, and push: `merge`, `squash`, `rebase` or `forward`."""
    git(clone, "fetch", "--quiet", "--prune", "origin")
    git(clone, "checkout", "--quiet", "--force", "-B", "main", "origin/main")
    if way == "merge":
        git(clone, "merge", "--quiet", "--no-ff", "-m", "Merge branch 'sslops/roll'", "origin/sslops/roll")
    elif way == "squash":
        git(clone, "merge", "--quiet", "--squash", "origin/sslops/roll")
        git(clone, "commit", "--quiet", "-m", "roll (squashed)")
    elif way == "rebase":
        git(clone, "checkout", "--quiet", "--detach", "origin/sslops/roll")
        git(clone, "rebase", "--quiet", "--force-rebase", "main")
        git(clone, "checkout", "--quiet", "-B", "main")
    else:
        git(clone, "merge", "--quiet", "--ff-only", "origin/sslops/roll")
    git(clone, "push", "--quiet", "origin", "main")


def revert(clone: Path, commit: str = "HEAD") -> None:
    """Take the last change of main back by hand and push."""
    git(clone, "fetch", "--quiet", "--prune", "origin")
    git(clone, "checkout", "--quiet", "--force", "-B", "main", "origin/main")
    parents = git(clone, "rev-list", "--parents", "-n1", commit).split()
    git(clone, "revert", "--no-edit", *(["-m", "1"] if len(parents) > 2 else []), commit)
    git(clone, "push", "--quiet", "origin", "main")


def open_ops(clone: Path, forge: str = "none", effects: Effects | None = None) -> OpsRepo:
    """Open *clone* as the engine does."""
    found = Git.discover(clone, effects=effects) if effects else Git.discover(clone)
    return OpsRepo(found, RepoSettings(forge=forge, bot_name="sslops", bot_email=BOT), run="test#1")


def yard_with_remote(folder: Path, forge: str = "gitlab") -> Yard:
    """Make a remote with a first commit on main, the engine's clone and a person's."""
    remote = bare_repository(folder / "remote.git")
    person = Person(remote, folder / "person")
    person.push(FIRST_FILES, "first")
    git(folder, "clone", "--quiet", str(remote), str(folder / "engine"))
    return Yard(open_ops(folder / "engine", forge), remote, person)


def yard_alone(folder: Path) -> Yard:
    """Make an ops repository without a remote, checked out on main."""
    clone = folder / "alone"
    clone.mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    for path, text in FIRST_FILES.items():
        (clone / path).parent.mkdir(exist_ok=True)
        (clone / path).write_text(text)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "first")
    return Yard(open_ops(clone))

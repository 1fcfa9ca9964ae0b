"""One bare repository of the forge, and the git objects that a forge makes itself: merges, squashes, rebases."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.world.peers import need
from tests.world.remotes import bare_repository, git_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOG_FORMAT = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x01"
CONFIG = """\
[http]
    receivepack = true
[receive]
    advertisePushOptions = true
[uploadpack]
    allowAnySHA1InWant = true
[gc]
    auto = 0
"""
NOTHING = "0" * 40
"""How git writes "no such ref" in hooks and updates."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a commit names."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as the forge shows it; times are ISO 8601."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    authored_at: str
    committer: Person
    committed_at: str
    message: str

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


class Conflict(Exception):  # noqa: N818  (an answer, not an error)
    """Two branches changed the same place."""


class Raced(Exception):  # noqa: N818  (an answer, not an error)
    """A ref was moved by somebody else in between."""


class Repository:
    """A bare repository at *path*."""

    def __init__(self, path: Path) -> None:
        """Make it, with `main` as the (unborn) default branch."""
        self.path = bare_repository(path)
        with (path / "config").open("a") as config:
            config.write(CONFIG)

    def git(
        self,
        *words: str,
        people: tuple[Person, Person] | None = None,
        stdin: str | None = None,
    ) -> str:
        """Run git here, as author and committer *people* if given; CalledProcessError when it fails."""
        done = self._run(*words, people=people, stdin=stdin)
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        return done.stdout.strip()

    def succeeds(self, *words: str) -> bool:
        """Whether git ends with exit code 0 on *words*."""
        return self._run(*words).returncode == 0

    def _run(
        self,
        *words: str,
        people: tuple[Person, Person] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [need("git"), "-C", self.path, *words],
            env=git_environment() | _roles(people),
            check=False,
            capture_output=True,
            input=stdin or "",
            timeout=60,
            text=True,
        )

    def head(self, branch: str) -> str | None:
        """Return the commit that *branch* is at; null when there is no such branch."""
        return self.resolve(f"refs/heads/{branch}")

    def resolve(self, name: str) -> str | None:
        """Return the commit that *name* (a full ref or an object id) means; null when there is none."""
        found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return found.stdout.strip() or None

    def branches(self) -> dict[str, str]:
        """Return every branch and the commit it is at."""
        lines = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads").splitlines()
        return {name: sha for name, _, sha in (line.rpartition(" ") for line in lines)}

    def contains(self, branch_or_commit: str, commit: str) -> bool:
        """Whether *commit* is in the history of *branch_or_commit*."""
        return self.succeeds("merge-base", "--is-ancestor", commit, branch_or_commit)

    def log(self, *range_words: str) -> list[Commit]:
        """Return commits, newest first, of a revision range in the words of `git log`."""
        text = self.git("log", f"--format={_LOG_FORMAT}", *range_words, "--")
        return [_commit(part.lstrip("\n").split("\0")) for part in text.split("\x01") if part.strip()]

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the best common ancestor; null for unrelated histories."""
        return self._run("merge-base", one, other).stdout.strip() or None

    def changed_files(self, base: str, head: str) -> list[tuple[str, str]]:
        """Return (A, M or D, path) of what *head* changes since it left *base*."""
        since = self.merge_base(base, head) or base
        lines = self.git("diff-tree", "-r", "--no-renames", "--name-status", since, head).splitlines()
        return [(line[0], line.partition("\t")[2]) for line in lines]

    def merged_tree(self, base: str, head: str) -> str:
        """Return the tree of a merge; Conflict when git finds none by itself."""
        done = self._run("merge-tree", "--write-tree", base, head)
        if done.returncode:
            raise Conflict
        return done.stdout.split("\n", 1)[0].strip()

    def edited(
        self, parent: str | None, files: Mapping[str, str | None], message: str, people: tuple[Person, Person]
    ) -> str:
        """Make a commit on *parent* (null: the first) with *files* put in (null: taken out) and return it."""
        author, committer = (f"{person.name} <{person.email}> now" for person in people)
        lines = ["commit refs/forge/edit", "mark :1", f"author {author}", f"committer {committer}", _data(message)]
        lines += [f"from {parent}"] if parent else []
        for path, text in files.items():
            lines += [f"D {path}"] if text is None else [f"M 100644 inline {path}", _data(text)]
        stream = "\n".join(["reset refs/forge/edit", "", *lines, "", "get-mark :1", ""])
        return self.git("fast-import", "--quiet", "--force", "--date-format=now", stdin=stream)

    def commit(self, tree: str, parents: tuple[str, ...], message: str, people: tuple[Person, Person]) -> str:
        """Make a commit by author and committer *people* and return it."""
        words = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *words, "-F", "-", people=people, stdin=message)

    def rebased(self, base: str, head: str, committer: Person) -> str:
        """Return *head*'s own commits made anew on *base*, authors kept; Conflict when one does not apply."""
        with tempfile.TemporaryDirectory(prefix="forge-") as folder:
            tree = Path(folder) / "tree"
            self.git("worktree", "add", "--quiet", "--detach", str(tree), head)
            try:
                words = ("-C", str(tree), "rebase", "--quiet", "--force-rebase", base)
                self.git(*words, people=(committer, committer))
                return self.git("-C", str(tree), "rev-parse", "HEAD")
            except subprocess.CalledProcessError as error:
                raise Conflict from error
            finally:
                self.git("worktree", "remove", "--force", str(tree))

    def move(self, ref: str, new: str, old: str) -> None:
        """Move *ref* from *old* to *new* (all zeros: it is not there); Raced when it was elsewhere."""
        try:
            self.git("update-ref", ref, new, old)
        except subprocess.CalledProcessError as error:
            raise Raced from error

    def delete_branch(self, branch: str) -> None:
        """Take *branch* away."""
        self.git("update-ref", "-d", f"refs/heads/{branch}")


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def _roles(people: tuple[Person, Person] | None) -> dict[str, str]:
    if people is None:
        return {}
    author, committer = people
    roles = (("AUTHOR", author), ("COMMITTER", committer))
    return {
        f"GIT_{role}_{part}": value
        for role, person in roles
        for part, value in (("NAME", person.name), ("EMAIL", person.email))
    }


def _commit(fields: list[str]) -> Commit:
    sha, tree, parents, an, ae, authored, cn, ce, committed, message = fields
    people = Person(an, ae), Person(cn, ce)
    return Commit(sha, tree, tuple(parents.split()), people[0], authored, people[1], committed, message.strip("\n"))

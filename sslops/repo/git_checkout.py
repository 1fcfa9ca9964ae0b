"""The work tree of a repository without a remote: it follows `main`, and survives being killed half way.

Moving a branch that is checked out and moving the files are two steps. A marker in the git directory, written before
the first and removed after the second, lets the next run finish what a killed one began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sslops.repo.git import Git


MARKER = "checkout"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Checkout:
    """The work tree of *git*, as far as it shows *branch*."""

    git: Git
    branch: str

    @property
    def follows(self) -> bool:
        """Whether the work tree is one that has to follow the branch: no remote, and the branch checked out."""
        return self.git.remote is None and not self.git.is_bare and self.git.head_branch() == self.branch

    def announce(self, old: str, new: str) -> None:
        """Say, before the branch moves, that the files are about to follow from *old* to *new*."""
        marker = self.git.private_dir / MARKER
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(f"{old} {new}\n", encoding="ascii")

    def follow(self) -> None:
        """Bring the files to where the branch is now, if a move was announced; finishes a killed run's move too.

        Raises GitError when a person edited one of the files meanwhile: nothing is overwritten then.
        """
        marker = self.git.private_dir / MARKER
        if not marker.exists():
            return
        old, new = marker.read_text(encoding="ascii").split()
        if self.follows and self.git.resolve("HEAD") == new:
            with self.git.effects.effect(f"checkout {self.branch}"):
                self._bring(old, new)
        marker.unlink()

    def changed_paths(self) -> list[str]:
        """Return what a person changed and did not commit; untracked files count where they would be inventory."""
        return self.git.changed_paths(untracked_under=("inventory/", "state/", ".sops.yaml", ".gitattributes"))

    def difference(self, commit: str) -> list[str]:
        """Return the tracked paths in which the work tree differs from *commit*; nobody edits `state/`."""
        if self.git.is_bare:
            return []
        ended = self.git.process.read("diff", "--name-only", "-z", "--no-ext-diff", "--no-renames", commit, "--")
        return [
            path
            for path in ended.stdout.decode("utf-8", "surrogateescape").split("\0")
            if path and not path.startswith("state/")
        ]

    def _bring(self, old: str, new: str) -> None:
        moves = self._between(old, new)
        foreign = self._edited(moves)
        if foreign:
            what = f"'{self.branch}' went on to {new[:10]}, but the work tree stayed behind: {shown(foreign)} changed"
            raise GitError(what, hint="put your change aside, then: git reset --hard")
        top = self.git.top
        # Only a run that was killed here can have left it, since this clone's lock is ours.
        (self.git.git_dir / "index.lock").unlink(missing_ok=True)
        lines = "".join(f"{move.mode} {move.new}\t{move.path}\0" for move in moves)
        self.git.process.write("update-index", "-z", "--index-info", stdin=_bytes(lines), folder=top)
        kept = "".join(f"{move.path}\0" for move in moves if not move.deletes)
        self.git.process.write("checkout-index", "--force", "-u", "-z", "--stdin", stdin=_bytes(kept), folder=top)
        for move in moves:
            if move.deletes:
                _delete(top, move.path)

    def _between(self, old: str, new: str) -> list[_Move]:
        ended = self.git.process.read("diff-tree", "-r", "-z", "--no-renames", old, new)
        tokens = ended.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]
        pairs = zip(tokens[::2], tokens[1::2], strict=True)
        return [_Move(path, *facts.split(" ")[1:4]) for facts, path in pairs]

    def _edited(self, moves: Sequence[_Move]) -> list[str]:
        """Return the paths whose file is neither as it was nor as it shall be; a killed run leaves some of both."""
        there = [move for move in moves if (self.git.top / move.path).is_file()]
        names = "".join(f"{move.path}\n" for move in there)
        hashes = self.git.process.read("-C", str(self.git.top), "hash-object", "--stdin-paths", stdin=_bytes(names))
        return [
            move.path for move, sha in zip(there, hashes.text.split(), strict=True) if sha not in (move.old, move.new)
        ]


@dataclass(frozen=True, slots=True)
class _Move:
    """What happens to one path: its new mode, its old and new blob hash (zeros: no file)."""

    path: str
    mode: str
    old: str
    new: str

    @property
    def deletes(self) -> bool:
        """Whether the path goes away."""
        return not self.new.strip("0")


def shown(paths: Sequence[str]) -> str:
    """Name the first of *paths*, and how many more there are.

    >>> shown(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    names = ", ".join(f"'{path}'" for path in paths[:_SHOWN])
    more = len(paths) - _SHOWN
    return f"{names} and {more} more" if more > 0 else names


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _delete(top: Path, path: str) -> None:
    """Delete a file and the folders that became empty, as git does."""
    (top / path).unlink(missing_ok=True)
    for folder in (top / path).parents:
        if folder == top or any(folder.iterdir()):
            return
        folder.rmdir()

"""What is written into a repository, as values, and the stream in which `git fast-import` reads it.

>>> NewCommit("renew(example.com/mail-ec): first", {"state/a": b"1"}).parents is None
True
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DRAFT_REF = "refs/sslops/draft"
"""The ref that fast-import insists on; it is deleted by the same stream and so never seen."""


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address as git writes them."""

    name: str
    email: str

    def __str__(self) -> str:
        """Return `name <email>`, without what would end the line or the address early."""
        return f"{_plain(self.name)} <{_plain(self.email)}>"


@dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to be made.

    *edits* maps a path to its new content, null deletes a file or folder. *grafts* maps a path to an existing tree
    (its hash), null deletes the folder; grafts come before edits. *parents* null: the commit before it, which for the
    first one is the parent of the whole row. *tree* null: start from the first parent's tree, else from this commit's.
    *author* null: the bot.
    """

    message: str
    edits: Mapping[str, bytes | None] = field(default_factory=dict)
    grafts: Mapping[str, str | None] = field(default_factory=dict)
    parents: tuple[str, ...] | None = None
    tree: str | None = None
    author: Person | None = None


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A branch to be moved from *expected* (null: it must not exist) to *new* (null: delete it).

    Only forward, unless *may_rewrite*.
    """

    branch: str
    new: str | None
    expected: str | None
    may_rewrite: bool = False


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """One commit as the history tells it."""

    sha: str
    parents: tuple[str, ...]
    committer: Person
    author: Person
    message: str
    trailers: tuple[tuple[str, str], ...]

    @property
    def subject(self) -> str:
        """The first line."""
        return self.message.partition("\n")[0]


def import_stream(parent: str | None, commits: Sequence[NewCommit], committer: Person) -> bytes:
    """Return the fast-import stream that makes *commits* on *parent* and prints the hash of each.

    Marks count from 1. Dates are git's own clock (`--date-format=now`): they are for the reader of the log only.
    """
    words: list[bytes] = [b"feature done\n"]
    for mark, commit in enumerate(commits, 1):
        words.extend(_commit(mark, commit, _parents(mark, commit, parent), committer))
    words.extend(b"get-mark :%d\n" % mark for mark in range(1, len(commits) + 1))
    words.append(b"reset %b\nfrom %b\n\ndone\n" % (DRAFT_REF.encode(), b"0" * 40))
    return b"".join(words)


def _parents(mark: int, commit: NewCommit, parent: str | None) -> tuple[str, ...]:
    if commit.parents is not None:
        return commit.parents
    if mark > 1:
        return (f":{mark - 1}",)
    return (parent,) if parent else ()


def _commit(mark: int, commit: NewCommit, parents: tuple[str, ...], committer: Person) -> Iterator[bytes]:
    if not parents:
        # Without `from` a commit continues what the ref already has, so an orphan needs a fresh ref.
        yield b"reset %b\n" % DRAFT_REF.encode()
    yield b"commit %b\nmark :%d\n" % (DRAFT_REF.encode(), mark)
    yield f"author {commit.author or committer} now\ncommitter {committer} now\n".encode()
    yield _data(commit.message.encode())
    for word, parent in zip(("from", *("merge",) * len(parents)), parents, strict=False):
        yield f"{word} {parent}\n".encode()
    if commit.tree is not None:
        yield b'deleteall\nM 040000 %b ""\n' % commit.tree.encode()
    yield from _files(commit)
    yield b"\n"


def _files(commit: NewCommit) -> Iterator[bytes]:
    for path, tree in sorted(commit.grafts.items()):
        yield b"D %b\n" % _quoted(path)
        if tree is not None:
            yield b"M 040000 %b %b\n" % (tree.encode(), _quoted(path))
    for path, content in sorted(commit.edits.items()):
        if content is None:
            yield b"D %b\n" % _quoted(path)
        else:
            yield b"M 100644 inline %b\n%b" % (_quoted(path), _data(content))


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.encode()


def _plain(text: str) -> str:
    return "".join(char for char in text if char not in "<>\n\r\0").strip()

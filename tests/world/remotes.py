"""Bare git repositories with hooks, as a forge keeps them, and a person who pushes to them."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.world.peers import need

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REFUSE_ALL = """\
#!/bin/sh
echo "this repository is read-only" >&2
exit 1
"""

REFUSE_UNSIGNED = """\
#!/bin/sh
# Accepts a push only when every new commit has a good signature of one of the allowed signers.
while read -r old new ref; do
    case "$new" in *[!0]*) ;; *) continue ;; esac
    for commit in $(git rev-list "$new" --not --all); do
        git -c gpg.ssh.allowedSignersFile="$(pwd)/allowed_signers" verify-commit "$commit" >&2 || {
            echo "commit $commit on $ref has no good signature" >&2
            exit 1
        }
    done
done
"""


def refuse_ref(ref: str) -> str:
    """Write a pre-receive hook that protects *ref* and takes everything else."""
    return f"""\
#!/bin/sh
while read -r old new ref; do
    if [ "$ref" = "{ref}" ]; then echo "you are not allowed to push to protected branch $ref" >&2; exit 1; fi
done
"""


def git_environment() -> dict[str, str]:
    """Return an environment in which git sees no settings of this machine and commits as a bystander."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    people = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _PERSON.items()}
    return kept | people | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


_PERSON = {"NAME": "operator", "EMAIL": "operator@example.com"}


def git(folder: Path, *words: str) -> str:
    """Run git in *folder* and return its output; CalledProcessError when it fails."""
    done = subprocess.run(
        [need("git"), "-C", folder, *words],
        env=git_environment(),
        check=True,
        capture_output=True,
        timeout=60,
        text=True,
    )
    return done.stdout.strip()


def bare_repository(path: Path) -> Path:
    """Make an empty bare repository whose default branch is `main`."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--bare", "--initial-branch=main")
    return path


BRANCHES_ONLY = '#!/bin/sh\ncase "$1" in refs/heads/*) ;; *) exit 1 ;; esac\n'
"""An `update` hook that takes no other refs."""


def install_hook(repository: Path, name: str, script: str) -> Path:
    """Put *script* where *repository* (its git directory) looks for the hook *name*, and return the file."""
    hook = repository / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o755)
    return hook


def remove_hook(repository: Path, name: str) -> None:
    """Take the hook *name* away again."""
    (repository / "hooks" / name).unlink()


class Person:
    """Somebody with a clone of a repository, who commits and pushes by hand."""

    def __init__(self, remote: Path, clone: Path) -> None:
        """Clone *remote* (which may be empty) to *clone*."""
        self.clone = clone
        git(remote.parent, "clone", "--quiet", str(remote), str(clone))

    def push(self, files: Mapping[str, str | None], message: str, branch: str = "main") -> str:
        """Commit *files* (null: removed) on top of the remote's *branch*, push, and return the commit."""
        self._take(branch)
        for path, text in files.items():
            self._put(path, text)
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "--allow-empty", "-m", message)
        git(self.clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.clone, "rev-parse", "HEAD")

    def revert(self, commit: str, branch: str = "main") -> str:
        """Push a commit that takes *commit* back, and return it."""
        self._take(branch)
        git(self.clone, "revert", "--no-edit", commit)
        git(self.clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return git(self.clone, "rev-parse", "HEAD")

    def show(self, name: str) -> str:
        """Return an object as the remote has it now, named as for `git show`: `main:path`."""
        git(self.clone, "fetch", "--quiet", "--prune", "origin")
        return git(self.clone, "show", f"origin/{name}")

    def _take(self, branch: str) -> None:
        git(self.clone, "fetch", "--quiet", "--prune", "origin")
        if f"origin/{branch}" in git(self.clone, "branch", "--remotes", "--format=%(refname:short)").split():
            git(self.clone, "checkout", "--quiet", "--force", "-B", branch, f"origin/{branch}")
        else:
            git(self.clone, "checkout", "--quiet", "-B", branch)

    def _put(self, path: str, text: str | None) -> None:
        file = self.clone / path
        if text is None:
            file.unlink()
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

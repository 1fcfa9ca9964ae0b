"""May git push? Tried by `git push --dry-run`, which asks the server for the right to and then sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.doctor.findings import Finding, Health
from sslops.errors import GitError
from sslops.repo.git_process import GitProcess, without_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.doctor.findings import Patient
    from sslops.repo.git_process import GitCredential

_NO_COMMIT = "0" * 40


def may_push(
    where: tuple[str, str, str], credentials: tuple[GitCredential, ...], patient: Patient, verbs: tuple[str, ...]
) -> Iterator[Finding]:
    """Say whether a branch could be pushed; *where*: the address, the branch, and what to call the repository.

    Nothing without a commit here. Rules of a branch are not asked by it: a server judges them when something is sent.
    """
    address, branch, name = where
    if patient.folder is None:
        return
    git = GitProcess(patient.folder, patient.environ, credentials)
    commit = git.read("rev-parse", "--verify", "--quiet", "HEAD", allowed=(0, 1, 128)).text
    if not commit:
        return
    # Were it no dry run, a lease on a commit that nobody can have would still let nothing through.
    words = ("--dry-run", "--porcelain", f"--force-with-lease=refs/heads/{branch}:{_NO_COMMIT[:-1]}1")
    try:
        ended = git.ask("push", *words, "--", address, f"{commit}:refs/heads/{branch}", allowed=range(256))
    except GitError as error:
        yield Finding("push", Health.MISSING, f"{name} cannot be asked: {error.what}", verbs)
        return
    # With the right, git gets to the branch and says what would become of it ("stale info"); without, it does not.
    if ended.code == 0 or f":refs/heads/{branch}" in ended.text:
        yield Finding("push", Health.OK, f"{name} lets us push", verbs)
        return
    said = ended.stderr.splitlines()[-1] if ended.stderr else f"git ended with {ended.code}"
    what = f"{name} does not let us push: {without_user(said)}"
    yield Finding("push", Health.MISSING, what, verbs, "a token or key that may write there: docs/forges.md")

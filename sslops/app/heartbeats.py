"""Heartbeats: written at the end of a forge's job, read by the watchdog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.app.entry import ops_repository
from sslops.errors import ExitCode, GitError
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.model.heartbeat import STAGES
from sslops.repo.engine_refs import read_heartbeats, write_heartbeat
from sslops.repo.signatures import Signers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.app.entry import Request
    from sslops.app.outcome import Outcome
    from sslops.app.session import Session
    from sslops.model.heartbeat import Heartbeat


def note_heartbeat(session: Session, verb: str, request: Request, outcome: Outcome) -> None:
    """Write down that *verb* ended well, when a job ran it for real and over everything; what only waits is well.

    A remote that does not take it is said, and fails nothing: the watchdog will.
    """
    if not (session.job.is_job and request.apply) or request.is_partial:
        return
    if outcome.exit_code(detailed=False) is not ExitCode.DONE:
        return
    try:
        write_heartbeat(ops_repository(session).git, verb, session.job.run)
    except GitError as error:
        session.say(f"the heartbeat of this run could not be written, so the watchdog will not see it: {error.what}")


def known_heartbeats(session: Session) -> Sequence[Heartbeat]:
    """Return the heartbeat of each verb, as the remote has them; GitError when it cannot be reached."""
    ops = ops_repository(session)
    with ops.lock():
        main = ops.git.branch(ops.settings.branch)
        signers = None if main is None else Signers.of(ops.git, main, ops.settings.bot_email)
        return read_heartbeats(ops.git, signers)


def stages_here(session: Session) -> tuple[str, ...]:
    """Return the stages that the inventory of the working tree gives work to."""
    inventory = load(read_folder(session.folder))
    idle = {"publish"} if inventory.dns is None else set()
    idle |= set() if inventory.classes else {"deploy"}
    return tuple(stage for stage in STAGES if stage not in idle)

"""The secrets of the jobs: on a laptop the doctor names those to set, one by one; in a job, those it was not given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.ci.environment import environment
from sslops.ci.secrets import ROWS, missing
from sslops.doctor.findings import Finding, Health
from sslops.errors import SslopsError
from sslops.model.forges import Forge
from sslops.repo.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sslops.ci.secrets import Row
    from sslops.doctor.findings import Patient


def secrets(patient: Patient) -> Iterator[Finding]:
    """Look at each job's row; nothing where no forge runs the jobs, or the inventory is not sound."""
    here = environment(patient.environ).forge
    if patient.inventory is None or patient.folder is None:
        return
    wanted = patient.inventory.repo.forge
    forge = here or (Forge.of(wanted) if wanted in set(Forge) else None)
    if forge is None:
        return
    url = _remote_url(patient)
    for job in ROWS:
        for row in missing(job, patient.environ if here else {}, patient.inventory, url):
            yield _finding(row, job, forge, is_here=here is not None)


def _finding(row: Row, job: str, forge: Forge, *, is_here: bool) -> Finding:
    name = row.name_on(forge, job)
    place = f"the environment '{job}'" if forge.row.has_environments else "the secrets of the repository"
    fix = f"{forge.guide} says where on {forge.label}"
    if is_here:
        return Finding("secret", Health.MISSING, f"the job '{job}' was not given '{name}': {row.content}", (job,), fix)
    return Finding("secret", Health.NOTE, f"the job '{job}' needs '{name}' in {place}: {row.content}", (job,), fix)


def _remote_url(patient: Patient) -> str | None:
    if patient.folder is None:
        return None
    try:
        return Git.discover(patient.folder, environ=patient.environ).remote_url
    except SslopsError:
        return None

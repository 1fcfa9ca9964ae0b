"""The forges that sslops knows: one row each, read by the inventory, the clients, the jobs, `init` and `doctor`.

Another forge is a row here, a module of its name in `sslops/proposals/forges/`, and its files in `sslops/ci/files/`.

>>> Forge.of("gitea").label, Forge.GITEA.guide
('Gitea', 'docs/ci-gitea.md')
>>> [str(forge) for forge in Forge]
['gitlab', 'github', 'forgejo', 'gitea']
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

NO_FORGE = "none"
"""What `forge:` says where the engine merges by itself."""


@dataclass(frozen=True, slots=True)
class ForgeRow:
    """What is particular to one forge; where its API, its jobs and its log differ from those of the others."""

    label: str
    """Its name as it writes it."""
    api: str
    """Where its API begins, below its address."""
    git_user: str
    """The user name that goes with a token as git's password."""
    job_variables: tuple[str, ...]
    """Any of them, set, tells that one of its jobs runs; rows are asked in the order `JOBS`."""
    server_variables: tuple[str, ...]
    """Where a job finds the forge's address, the best first."""
    job_tokens: tuple[str, ...] = ()
    """Where a job finds the token that the forge gives it, where that may call what we need."""
    run_variable: str = "GITHUB_RUN_ID"
    """Where a job finds the number in the address of its page."""
    has_environments: bool = True
    """Whether a secret belongs to an environment; else its name says whose it is."""
    shows_annotations: bool = False
    """Whether people see an `::error` line of a log at its place in the changes."""
    shows_summaries: bool = False
    """Whether people see what a job writes into `GITHUB_STEP_SUMMARY` as a page."""


class Forge(StrEnum):
    """A forge, by the word of `forge:` in the inventory, with its row."""

    row: ForgeRow

    def __new__(cls, kind: str, row: ForgeRow) -> Self:
        """Make the member *kind*."""
        made = str.__new__(cls, kind)
        made._value_ = kind
        made.row = row
        return made

    GITLAB = (
        "gitlab",
        ForgeRow(
            label="GitLab",
            api="/api/v4",
            git_user="oauth2",
            job_variables=("GITLAB_CI",),
            server_variables=("CI_SERVER_URL",),
        ),
    )
    GITHUB = (
        "github",
        ForgeRow(
            label="GitHub",
            api="/api/v3",
            git_user="x-access-token",  # what GitHub Apps need; other tokens take any
            job_variables=("GITHUB_ACTIONS",),
            server_variables=("GITHUB_SERVER_URL",),
            job_tokens=("GITHUB_TOKEN",),
            shows_annotations=True,
            shows_summaries=True,
        ),
    )
    FORGEJO = (
        "forgejo",
        ForgeRow(
            label="Forgejo",
            api="/api/v1",
            git_user="oauth2",
            job_variables=("FORGEJO_ACTIONS", "FORGEJO_TOKEN"),
            server_variables=("FORGEJO_SERVER_URL", "GITHUB_SERVER_URL"),
            job_tokens=("FORGEJO_TOKEN", "GITHUB_TOKEN"),
            run_variable="GITHUB_RUN_NUMBER",
            has_environments=False,
        ),
    )
    GITEA = (
        "gitea",
        ForgeRow(
            label="Gitea",
            api="/api/v1",
            git_user="oauth2",
            job_variables=("GITEA_ACTIONS",),
            server_variables=("GITHUB_SERVER_URL",),
            job_tokens=("GITEA_TOKEN", "GITHUB_TOKEN"),
            run_variable="GITHUB_RUN_NUMBER",
            has_environments=False,
        ),
    )

    @classmethod
    def of(cls, kind: str) -> Forge:
        """Return the forge that the inventory calls *kind*; ValueError when there is none."""
        for forge in cls:
            if forge == kind:
                return forge
        raise ValueError(f"no forge is called '{kind}'")

    @property
    def label(self) -> str:
        """Its name as it writes it."""
        return self.row.label

    @property
    def guide(self) -> str:
        """The page of the docs that leads from an empty repository to the first merged roll there."""
        return f"docs/ci-{self.value}.md"


JOBS = (Forge.GITLAB, Forge.FORGEJO, Forge.GITEA, Forge.GITHUB)
"""In which order a job is recognised: Forgejo's sets Gitea's variables too, and both set GitHub's."""

"""The shipped CI files at work: GitHub's under act, GitLab's under gitlab-ci-local, on the servers of the test world.

One story for both, on a local forge where people merge: a site from nothing to live by schedules, a renewal that the
form forces, its roll, deployment and the withdrawal of the old record. Each job has exactly the secrets of its row, and
says what is missing when it has not.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sslops.ci import shipped
from sslops.ci.secrets import ROWS
from sslops.model.forges import Forge
from tests.system.test_cycle import both, certificate, record
from tests.world.forge import Rights
from tests.world.forge_site import BOT, ForgeSite
from tests.world.ops import OpsRepository
from tests.world.runners import Act, GitlabCiLocal, Machine, make_runnable, with_jobs
from tests.world.site import HOSTS, MAIL_EC, OWNER
from tests.world.sshd import Login

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world.forge import Project
    from tests.world.runners import Job, Runner

TLSA, ROLL = "sslops/tlsa", "sslops/roll"
FORM = {"targets": "example.com:mail-ec", "force": "true", "reason": ""}
REASON = "the key was seen in a backup: $HOME `id` ${{ github.token }}"
BROKEN = MAIL_EC.replace("signing_ca: my-sub", "signing_ca: my-sbu")
TRIES = 10
RUNNERS = {Forge.GITHUB: Act, Forge.GITLAB: GitlabCiLocal}


class Pipelines:
    """A site on a forge whose every step is a job of that forge; people merge what jobs propose."""

    def __init__(self, folder: Path, forge: Forge) -> None:
        """Start all of it below *folder*, with the jobs on `main` and every secret made."""
        self.forge, self.world = forge, ForgeSite(folder / "forge", forge)
        self.site, self.certs, self.zones = self.world.site, self.world.certs, self.world.zones
        person = self.site.ops._person
        assert person is not None
        self.person = person
        settings = self.site.ops.show("main", "inventory/sslops.yaml")
        here = f"forge: {forge}, forge_url: {self.world.forge.url}"
        settings = settings.replace(str(self.zones.path), self._url(self.zones)).replace(f"forge: {forge}", here)
        self.site.ops.edit(with_jobs(shipped.files(forge)) | {"inventory/sslops.yaml": settings}, "the jobs")
        make_runnable(person)
        self.runner: Runner = RUNNERS[forge](
            Machine(
                self.certs.path,
                folder / "jobs",
                self._url(self.certs),
                self.world.forge.token(BOT, Rights.READ),
                self.world.forge.url,
            )
        )
        self._secrets = self._make_secrets()

    def secrets(self, job: str, *, without: str | None = None) -> dict[str, str]:
        """Return the secrets of the row of *job*, all that this site has a use for, or all but one."""
        held = (
            self._secrets | {"SOPS_AGE_KEY": self._secrets[f"SOPS_AGE_KEY {job}"]} if job in HAVE_AGE else self._secrets
        )
        names = {row.name for row in ROWS[job]} - {without}
        return {name: value for name, value in held.items() if name in names} | self._dns_token(job, without)

    def run(self, job: str) -> Job:
        """Run the scheduled *job* with the secrets of its row."""
        return self.runner.schedule(job, self.secrets(job)).succeeded()

    def deploy(self) -> Job:
        """Run what the push of a merge starts."""
        return self.runner.push(self.secrets("deploy")).succeeded()

    def merge(self, project: Project, source: str) -> None:
        """Let a person merge the open request from *source*."""
        project.merge(self.world.open_request(project, source).number)
        self.site.dns.settle()

    def plan(self, source: str) -> None:
        """Run what the open request from *source* starts: plan comments on it."""
        number = self.world.open_request(self.certs, source).number
        secrets = self.secrets("plan") | {COMMENTS[self.forge]: self.world.forge.token(BOT)}
        self.runner.merge_request(source, secrets, number).succeeded()
        said = [each.text.partition("\n")[0] for each in self.certs.request(number).comments if not each.is_system]

        assert ["**Nothing changes for certificates, DNS or hosts.**"] == said

    def propose_roll(self) -> None:
        """Run the scheduled roll until it proposes: a job that comes too early only waits."""
        for _ in range(TRIES):
            self.run("roll")
            if any(request.is_open and request.source == ROLL for request in self.certs.requests()):
                return
            time.sleep(1)
        pytest.fail("no roll was ever proposed")

    def shown(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return what both name servers show."""
        return self.site.dns.show(OWNER)

    def close(self) -> None:
        """End every server."""
        self.world.close()

    def _url(self, project: Project) -> str:
        return f"{self.world.forge.url}/{project.name}.git"

    def _make_secrets(self) -> dict[str, str]:
        identities = self.site.ops.identities
        ages = {f"SOPS_AGE_KEY {job}": identities.path(job).read_text().strip() for job in HAVE_AGE}
        keys = {"SSLOPS_SSH_KEY": self.site.login.key, "SSLOPS_SIGNING_KEY": Login(self.site.folder / "signer").key}
        texts = {name: key.read_text() for name, key in keys.items()}
        return ages | texts | {"SSLOPS_FORGE_TOKEN": self.world.token}

    def _dns_token(self, job: str, without: str | None) -> dict[str, str]:
        """Publish may push to the DNS repository; the others may read it."""
        if without == "SSLOPS_DNS_TOKEN":
            return {}
        rights = Rights.ALL if job == "publish" else Rights.READ
        return {"SSLOPS_DNS_TOKEN": self.world.forge.token(BOT, rights)}


COMMENTS = {Forge.GITHUB: "GITHUB_TOKEN", Forge.GITLAB: "SSLOPS_FORGE_TOKEN"}
"""What plan comments with: the job's own token, or one that is given."""
HAVE_AGE = ("renew", "deploy")


@pytest.fixture(params=RUNNERS)
def pipelines(request: pytest.FixtureRequest, world_folder: Path) -> Iterator[Pipelines]:
    """Yield a site on one forge, with its jobs."""
    started = Pipelines(world_folder, request.param)
    yield started
    started.close()


def test_a_site_lives_by_its_pipelines(pipelines: Pipelines) -> None:
    """Renew, roll, deploy and publish by schedule, push and merge, then a renewal that the form forces, to its end."""
    site, runner = pipelines.site, pipelines.runner
    pipelines.run("renew")
    pipelines.propose_roll()
    pipelines.plan(ROLL)
    pipelines.merge(pipelines.certs, ROLL)
    pipelines.deploy()
    first = certificate(site, "curr")

    assert dict.fromkeys(HOSTS, first) == site.served()

    pipelines.run("renew")
    pipelines.run("publish")
    pipelines.merge(pipelines.zones, TLSA)
    standing = record(site, "next")

    assert both(record(site, "curr"), standing) == pipelines.shown()

    runner.dispatch("renew", FORM | {"reason": REASON}, pipelines.secrets("renew")).succeeded()
    commit = site.ops.git_remote("cat-file", "commit", "next")

    assert f"Asked for with --force: {REASON}" in " ".join(commit.split())
    assert "\ngpgsig -----BEGIN SSH SIGNATURE-----" in commit
    assert "\nauthor sslops <sslops@example.com> " in commit

    pipelines.propose_roll()
    pipelines.merge(pipelines.certs, ROLL)
    pipelines.deploy()
    pipelines.run("publish")
    pipelines.merge(pipelines.zones, TLSA)

    assert certificate(site, "curr") != first
    assert dict.fromkeys(HOSTS, certificate(site, "curr")) == site.served()
    assert both(standing) == pipelines.shown()


@pytest.mark.parametrize("pipelines", [Forge.GITHUB], indirect=True)
def test_a_job_names_the_secret_that_it_was_not_given(pipelines: Pipelines) -> None:
    """And a form its missing reason, a watchdog the stages that never ran, a merge request the line of its fault."""
    runner = pipelines.runner

    def said(job: str, missing: str) -> str:
        secrets = pipelines.secrets(job, without=missing)
        return (runner.push(secrets) if job == "deploy" else runner.schedule(job, secrets)).log

    assert "late: renew: no heartbeat was ever seen" in runner.schedule("watchdog").log
    assert "was not given 'SOPS_AGE_KEY', the age identity of the renew job" in said("renew", "SOPS_AGE_KEY")

    mute = runner.dispatch("renew", FORM, pipelines.secrets("renew"))

    assert not mute.is_good
    assert "a forced renewal in a job needs a reason" in mute.log

    pipelines.run("renew")

    assert "was not given 'SSLOPS_FORGE_TOKEN', a token that pushes here" in said("roll", "SSLOPS_FORGE_TOKEN")

    pipelines.propose_roll()
    pipelines.merge(pipelines.certs, ROLL)

    assert "was not given 'SSLOPS_SSH_KEY', an ssh key that logs in to the servers" in said("deploy", "SSLOPS_SSH_KEY")
    assert "was not given 'SOPS_AGE_KEY', the age identity of the deploy job" in said("deploy", "SOPS_AGE_KEY")
    assert "was not given 'SSLOPS_DNS_TOKEN', a token that pushes to the DNS" in said("publish", "SSLOPS_DNS_TOKEN")
    assert dict.fromkeys(HOSTS) == pipelines.site.served()
    assert "example.com/mail-ec" in runner.schedule("report").succeeded().log


def test_a_merge_request_that_breaks_the_inventory_is_told_where(pipelines: Pipelines) -> None:
    """With its line; the job is given nothing."""
    pipelines.person.push({"inventory/example.com/mail-ec.yaml": BROKEN}, "a slip of the finger", branch="broken")
    broken = pipelines.runner.merge_request("broken")

    assert not broken.is_good
    assert "inventory/example.com/mail-ec.yaml:2" in broken.log
    assert "my-sbu" in broken.log


def test_the_rules_of_gitlab_pick_what_each_pipeline_is_for(world_folder: Path) -> None:
    """A schedule runs the job that its variable names; the form renew, a push deploy, a request check and plan."""
    ops = OpsRepository(world_folder, with_jobs(shipped.files(Forge.GITLAB)))
    assert ops.remote is not None
    runner = GitlabCiLocal(Machine(ops.remote, world_folder / "jobs"))
    scheduled = ("renew", "publish", "roll", "deploy", "report", "watchdog")

    assert [] == [job for job in scheduled if runner.jobs("schedule", job, enabled="")]
    assert [] == runner.jobs("push", enabled="")
    assert [[job] for job in scheduled] == [runner.jobs("schedule", job) for job in scheduled]
    assert [["renew"], ["deploy"], ["check", "plan"], []] == [
        runner.jobs(source) for source in ("web", "push", "merge_request_event", "schedule")
    ]

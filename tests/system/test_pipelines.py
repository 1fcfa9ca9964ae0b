"""The shipped CI files at work: GitHub's under act, GitLab's under gitlab-ci-local, on the servers of the test world.

One story for both: a site from nothing to live by schedules, a forced renewal by the form, its roll, deployment and the
withdrawal of the old record; each job with exactly the secrets of its row, and what it says when one is missing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sslops.ci import shipped
from sslops.ci.environment import Forge
from tests.system.test_cycle import both, certificate, record
from tests.world.runners import Act, GitlabCiLocal, Machine, make_runnable, with_jobs
from tests.world.site import HOSTS, MAIL_EC, OWNER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world.runners import Job, Runner
    from tests.world.site import Site

REASON = "the key was seen in a backup: $HOME `id` ${{ github.token }}"
BROKEN = MAIL_EC.replace("signing_ca: my-sub", "signing_ca: my-sbu")
FORM = {"targets": "example.com:mail-ec", "force": "true", "reason": ""}
ROLLS = 10


class Pipelines:
    """A site whose every step is a job of its forge."""

    def __init__(self, site: Site, runner: Runner) -> None:
        """Let *runner* run the jobs of *site*, and keep its secrets."""
        self.site, self.runner = site, runner
        self.age = {role: site.ops.identities.path(role).read_text().strip() for role in ("renew", "deploy")}
        self.key = site.login.key.read_text()

    def renew(self) -> Job:
        """Run the scheduled renew job with the secrets of its row."""
        return self.runner.schedule("renew", {"SOPS_AGE_KEY": self.age["renew"]}).succeeded()

    def publish(self) -> Job:
        """Run the scheduled publish job, which has none to hold here."""
        return self.runner.schedule("publish").succeeded()

    def roll(self, generation: str) -> None:
        """Run the scheduled roll job until *generation* is live: each one that comes too early only waits."""
        for _ in range(ROLLS):
            self.runner.schedule("roll").succeeded()
            if generation == record(self.site, "curr"):
                return
            time.sleep(1)
        pytest.fail("it was never rolled")

    def deploy(self) -> Job:
        """Run what the push of the roll starts, with the secrets of its row."""
        return self.runner.push({"SOPS_AGE_KEY": self.age["deploy"], "SSLOPS_SSH_KEY": self.key}).succeeded()

    def shown(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return what both name servers show."""
        return self.site.dns.show(OWNER)


def github(machine: Machine) -> Runner:
    """Return act."""
    return Act(machine)


def gitlab(machine: Machine) -> Runner:
    """Return gitlab-ci-local."""
    return GitlabCiLocal(machine)


@pytest.fixture(params=[(Forge.GITHUB, github), (Forge.GITLAB, gitlab)], ids=["github", "gitlab"])
def pipelines(request: pytest.FixtureRequest, start_site: Callable[..., Site], world_folder: Path) -> Pipelines:
    """Return a site with the jobs of one forge, and the runner of that forge."""
    forge, runner = request.param
    site = start_site(files=with_jobs(shipped.files(forge)))
    assert site.ops.remote is not None
    assert site.ops._person is not None
    make_runnable(site.ops._person)
    return Pipelines(site, runner(Machine(site.ops.remote, world_folder / "jobs")))


def test_a_site_lives_by_its_pipelines(pipelines: Pipelines) -> None:
    """Renew, roll, deploy and publish by schedule and push, then a renewal that the form forces, to its end."""
    site, runner = pipelines.site, pipelines.runner
    pipelines.renew()
    runner.schedule("roll").succeeded()
    pipelines.deploy()
    first = certificate(site, "curr")

    assert dict.fromkeys(HOSTS, first) == site.served()

    pipelines.renew()
    pipelines.publish()
    standing = record(site, "next")

    assert both(record(site, "curr"), standing) == pipelines.shown()

    form = FORM | {"reason": REASON}
    runner.dispatch("renew", form, {"SOPS_AGE_KEY": pipelines.age["renew"]}).succeeded()
    said = " ".join(site.ops.git_remote("log", "-1", "--format=%B", "next").split())

    assert f"Asked for with --force: {REASON}" in said
    assert "sslops <sslops@example.com>" == site.ops.git_remote("log", "-1", "--format=%an <%ae>", "next")

    pipelines.roll(standing)
    pipelines.deploy()
    pipelines.publish()

    assert certificate(site, "curr") != first
    assert dict.fromkeys(HOSTS, certificate(site, "curr")) == site.served()
    assert both(standing) == pipelines.shown()

    runner.schedule("watchdog").succeeded()

    assert "example.com/mail-ec" in runner.schedule("report").succeeded().log


@pytest.mark.parametrize("pipelines", [(Forge.GITHUB, github)], indirect=True, ids=["github"])
def test_a_job_names_the_secret_that_it_was_not_given(pipelines: Pipelines) -> None:
    """And a form its missing reason, a watchdog the stages that never ran."""
    site, runner = pipelines.site, pipelines.runner
    late = runner.schedule("watchdog")

    assert not late.is_good
    assert "late: renew: no good run was ever seen" in late.log

    assert "was not given 'SOPS_AGE_KEY', the age identity of the renew job" in runner.schedule("renew").log

    mute = runner.dispatch("renew", FORM, {"SOPS_AGE_KEY": pipelines.age["renew"]})

    assert not mute.is_good
    assert "a forced renewal in a job needs a reason" in mute.log

    pipelines.renew()
    runner.schedule("roll").succeeded()
    dumb = runner.push({"SOPS_AGE_KEY": pipelines.age["deploy"]})

    assert not dumb.is_good
    assert "was not given 'SSLOPS_SSH_KEY', an ssh key that logs in to the servers" in dumb.log

    blind = runner.push({"SSLOPS_SSH_KEY": pipelines.key})

    assert not blind.is_good
    assert "was not given 'SOPS_AGE_KEY', the age identity of the deploy job" in blind.log
    assert dict.fromkeys(HOSTS) == site.served()


def test_a_merge_request_is_checked_and_planned(pipelines: Pipelines) -> None:
    """What it breaks is told with its line; a sound one ends well; neither job is given anything."""
    site = pipelines.site
    person = site.ops._person
    assert person is not None
    person.push({"inventory/example.com/mail-ec.yaml": BROKEN}, "a slip of the finger", branch="broken")
    broken = pipelines.runner.merge_request("broken")

    assert not broken.is_good
    assert "inventory/example.com/mail-ec.yaml" in broken.log
    assert "there is no CA 'my-sbu'" in broken.log

    sound = pipelines.runner.merge_request("main").succeeded()

    assert "sound: 5 services in 3 groups" in sound.log
    assert "nothing was changed; --apply does it" in sound.log

"""What tests of ACME ask of a site: slots and generations as the branch has them, and what the CA was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from tests.system.launching import Launched
from tests.world.remotes import git

if TYPE_CHECKING:
    from typing import Any

    from tests.world.acme_site import AcmeSite
    from tests.world.ops import Finished, OpsRepository

MAIL, WEB, NET = "example.com/mail-ec", "example.com/web-ec", "example.net/web-ec"
SERVICES = (MAIL, WEB, NET)


def later(site: AcmeSite, seconds: int, *words: str, ops: OpsRepository | None = None) -> Finished:
    """Run sslops with its clock *seconds* ahead, in another clone where *ops* is one."""
    with Launched(ops or site.ops, *words, options=["--later", str(seconds)]) as launched:
        return launched.finish()


def slots(site: AcmeSite, service: str, branch: str = "next") -> dict[str, Any]:
    """Return the slots of *service* on *branch*."""
    return _read(site.ops.show(branch, f"state/{service}/slots.yaml"))


def staged(site: AcmeSite, service: str, branch: str = "next") -> dict[str, Any]:
    """Return the facts of the generation in `next`."""
    generation = slots(site, service, branch)["next"]
    return _read(site.ops.show(branch, f"state/{service}/{generation}/generation.yaml"))


def statuses(site: AcmeSite) -> dict[str, str]:
    """Return how far the staged generation of each service is."""
    return {service: staged(site, service)["status"] for service in SERVICES}


def subjects(site: AcmeSite, branch: str = "next") -> list[str]:
    """Return the subjects of the commits on *branch* that main does not have, oldest first."""
    return site.ops.git_remote("log", "--reverse", "--format=%s", f"main..{branch}").splitlines()


def dns_commits(site: AcmeSite) -> list[str]:
    """Return the subjects of the commits that changed challenges in the DNS repository, oldest first."""
    words = ("log", "--reverse", "--format=%s", "--grep=^acme:", "main")
    return git(site.dns.repo, *words).splitlines()


def dns_history(site: AcmeSite, apex: str) -> list[str]:
    """Return every text that the challenge file of *apex* ever had, oldest first."""
    path = f"external/zones/include-acme/acme-challenge.{apex}"
    commits = git(site.dns.repo, "log", "--reverse", "--format=%H", "main", "--", path).split()
    return [git(site.dns.repo, "show", f"{commit}:{path}") for commit in commits]


def assert_clean(site: AcmeSite) -> None:
    """No challenge is left in DNS, no authorization was answered twice, one account was made, and state is sound."""
    assert {"example.com": "", "example.net": ""} == site.challenge_files()
    assert {1} >= set(site.ca.answered().values())
    assert 1 == site.ca.accounts_made()

    site.sslops("check").succeeded()


def _read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text)
    return found

"""Which secret each job holds (the table of design section 7), and under which name each forge keeps it.

Read by `init`, which names them, by `doctor`, by the jobs themselves, who say which one is missing, and by the docs.

>>> from sslops.model.forges import Forge
>>> [row.name for row in ROWS["publish"]]
['SSLOPS_FORGE_TOKEN', 'SSLOPS_DNS_TOKEN', 'SSLOPS_SIGNING_KEY']
>>> ROWS["renew"][0].name_on(Forge.FORGEJO, "renew")
'RENEW_SOPS_AGE_KEY'
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.model.forges import Forge
    from sslops.model.inventory import Inventory


class Need(StrEnum):
    """What makes a job need a secret; the value says so to a person."""

    ALWAYS = "always"
    HTTPS_REMOTE = "for merge requests, and a remote over https"
    DNS_REQUESTS = "for merge requests, and a DNS repository over https"
    CHALLENGES = "for dns-01"
    PRIVATE_DNS = "for a private DNS repository over https"
    HOSTS = "for servers over ssh"
    WEBROOTS = "for http-01"
    SIGNING = "where main has 'allowed_signers'"


@dataclass(frozen=True, slots=True)
class Row:
    """One secret of one job: the variable that holds it, what it is, and when it is needed."""

    name: str
    content: str
    need: Need

    @property
    def when(self) -> str:
        """Say when it is needed."""
        return str(self.need)

    def name_on(self, forge: Forge, job: str) -> str:
        """Return its name on *forge*: where secrets belong to no environment, the name says whose it is."""
        return self.name if forge.row.has_environments else f"{job.upper()}_{self.name}"


_FORGE_TOKEN = Row("SSLOPS_FORGE_TOKEN", "a token that pushes here and opens merge requests", Need.HTTPS_REMOTE)
_DNS_TOKEN = Row(
    "SSLOPS_DNS_TOKEN", "a token that pushes to the DNS repository and opens merge requests", Need.DNS_REQUESTS
)
_DNS_READ = Row("SSLOPS_DNS_TOKEN", "a token that reads the DNS repository", Need.PRIVATE_DNS)
_SIGNING = Row("SSLOPS_SIGNING_KEY", "an ssh key that signs commits", Need.SIGNING)

ROWS: Mapping[str, tuple[Row, ...]] = {
    "plan": (_DNS_READ,),
    "renew": (
        Row("SOPS_AGE_KEY", "the age identity of the renew job", Need.ALWAYS),
        _FORGE_TOKEN,
        replace(_DNS_TOKEN, need=Need.CHALLENGES),
        Row("SSLOPS_SSH_KEY", "an ssh key that logs in where the webroots are", Need.WEBROOTS),
        _SIGNING,
    ),
    "publish": (_FORGE_TOKEN, _DNS_TOKEN, _SIGNING),
    "roll": (_FORGE_TOKEN, _DNS_READ, _SIGNING),  # which prunes too
    "deploy": (
        Row("SOPS_AGE_KEY", "the age identity of the deploy job", Need.ALWAYS),
        _FORGE_TOKEN,
        _DNS_READ,
        Row("SSLOPS_SSH_KEY", "an ssh key that logs in to the servers", Need.HOSTS),
        _SIGNING,
    ),
}
"""Job to its secrets; check, report and watchdog have none; rekey is a person's."""

_STAND_FOR = {
    "SOPS_AGE_KEY": ("SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_FILE"),
    "SSLOPS_SSH_KEY": ("SSH_AUTH_SOCK", "SSLOPS_SSH_CONFIG"),  # a runner with an agent or an ssh_config of its own
}


def missing(
    job: str, environ: Mapping[str, str], inventory: Inventory, remote_url: str | None = None
) -> tuple[Row, ...]:
    """Return what *job* needs, as *inventory* and the address of its repository are, and *environ* does not hold."""
    return tuple(
        row
        for row in ROWS.get(job, ())
        if _is_needed(row.need, inventory, remote_url)
        and not any(environ.get(name) for name in (row.name, *_STAND_FOR.get(row.name, ())))
    )


def _is_needed(need: Need, inventory: Inventory, remote_url: str | None) -> bool:
    dns = inventory.dns
    validations = {ca.validation for ca in inventory.cas.values()}
    needed = {
        Need.ALWAYS: True,
        Need.HTTPS_REMOTE: inventory.repo.forge != "none" or _is_https(remote_url),
        Need.DNS_REQUESTS: dns is not None and (dns.forge != "none" or _is_https(dns.url)),
        Need.PRIVATE_DNS: dns is not None and _is_https(dns.url),
        Need.CHALLENGES: "dns-01" in validations,
        Need.HOSTS: any(not host.is_local for each in inventory.classes.values() for host in each.hosts),
        Need.WEBROOTS: "http-01" in validations,
        Need.SIGNING: False,
    }
    return needed[need]


def _is_https(url: str | None) -> bool:
    return url is not None and url.startswith(("https://", "http://"))

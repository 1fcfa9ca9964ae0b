"""Which secrets of its row a job was not given: said before it starts, since what then fails may have other words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sslops.ci.secrets import missing

if TYPE_CHECKING:
    from sslops.verbs.session import Session
    from sslops.wiring.site import Site


def tell_missing_secrets(session: Session, verb: str, site: Site) -> None:
    """Say each secret that the job of *verb* needs and was not given; outside a job nothing."""
    forge = session.job.forge
    if forge is None:
        return
    url = site.ops.git.config(f"remote.{site.ops.git.remote}.url") if site.ops.git.remote else None
    for row in missing(verb, os.environ, site.inventory, url):
        session.say(f"this job was not given '{row.name_on(forge, verb)}', {row.content}; docs/ci-{forge}.md")

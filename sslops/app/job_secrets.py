"""Which secrets of its row a job was not given: said before it starts, since what then fails may have other words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.ci.secrets import missing
from sslops.errors import SslopsError
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.repo.git import Git
from sslops.system.own_environment import environment

if TYPE_CHECKING:
    from sslops.app.session import Session


def tell_missing_secrets(session: Session, verb: str) -> None:
    """Say each secret that the job of *verb* needs and was not given; nothing outside a job, or for a broken inventory.

    What it needs is read from the working tree, which in a job is `main`: the remote may need one of them.
    """
    forge = session.job.forge
    if forge is None:
        return
    try:
        inventory = load(read_folder(session.folder))
        url = Git.discover(session.folder).remote_url
    except SslopsError:
        return
    for row in missing(verb, environment(), inventory, url):
        session.say(f"this job was not given '{row.name_on(forge, verb)}', {row.content}; docs/ci-{forge}.md")

"""A site as it was at one moment, to go back to: many bad ends can begin at the same good beginning."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.world.peers import need
from tests.world.programs import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world.site import Site


class Kept:
    """Copies of everything that lasts: the repositories, and what each host holds."""

    def __init__(self, site: Site, folder: Path) -> None:
        """Copy *site* as it is now into *folder*."""
        self._site = site
        places = [site.ops.folder, site.dns.repo, *(host.prod_cert_dir for host in site.hosts.values())]
        places += [site.ops.remote] if site.ops.remote else []
        self._copies = {place: folder / str(number) for number, place in enumerate(places)}
        for place, copy in self._copies.items():
            shutil.copytree(place, copy, symlinks=True)

    def restore(self) -> None:
        """Make the site what it was: files, name servers, and what the listeners have loaded."""
        for place, copy in self._copies.items():
            shutil.rmtree(place)
            shutil.copytree(copy, place, symlinks=True)
        subprocess.run([self._site.dns.repo / "hooks/post-receive"], check=True, timeout=30)
        self._site.dns.settle()
        for listener in self._site.mail.values():
            subprocess.run(shlex.split(listener.restart_cmd), check=True, timeout=30)

    def wait_for_receivers(self) -> None:
        """Wait until no receiver of an earlier run is left, which a killed run leaves behind."""
        wait_until(lambda: not _receivers(self._site), lambda: "a receiver is still there")


def _receivers(site: Site) -> list[str]:
    folders = [str(host.prod_cert_dir) for host in site.hosts.values()]
    found = subprocess.run([need("pgrep"), "-af", "--", "|".join(folders)], capture_output=True, text=True, check=False)
    return [line for line in found.stdout.splitlines() if "sslops" in line and "listener" not in line]

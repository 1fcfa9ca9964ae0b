"""Where a forge is: said in the inventory, else known from the job, else where the git remote is.

>>> forge_address("gitlab", "git@gitlab.example.com:infra/dns.git", {})
'https://gitlab.example.com'
>>> forge_address("gitlab", "ssh://git@git.example.com:2222/x.git", {"CI_SERVER_URL": "https://git.example.com/gitlab"})
'https://git.example.com/gitlab'
>>> forge_address("github", "https://x:secret@ghe.example.com:8443/infra/dns", {})
'https://ghe.example.com:8443'
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sslops.errors import ForgeError
from sslops.model.forges import Forge

if TYPE_CHECKING:
    from collections.abc import Mapping

_SSH_ONLY = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}
"""Hosts that answer ssh on port 443 for those whose network lets nothing else out."""
_SCP_LIKE = re.compile(r"(?:[^@/:]+@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@/:\[\]]+):(?!//)")
_WEB = frozenset({"http", "https"})


def forge_address(kind: str, remote: str | None, environ: Mapping[str, str], configured: str | None = None) -> str:
    """Return scheme, host, port and path of the forge that *remote* (a git URL) lies on, without a slash at the end.

    A job's own address counts when it is the same host, since it knows the scheme, the port and the path. ForgeError
    when nothing tells.
    """
    if configured:
        return _plain(configured)
    host = _host(remote or "")
    for name in Forge.of(kind).row.server_variables:
        server = environ.get(name, "")
        if server and host in {None, urlsplit(server).hostname}:
            return _plain(server)
    if host is None:
        message = f"nothing tells where the forge '{kind}' is"
        raise ForgeError(message, hint="forge_url beside forge in inventory/sslops.yaml")
    split = urlsplit(remote or "")
    if split.scheme in _WEB:
        return _plain(f"{split.scheme}://{split.netloc}")
    return f"https://[{host}]" if ":" in host else f"https://{host}"


def _host(remote: str) -> str | None:
    """Return the host of a git URL in any of git's spellings; null for a path of this machine."""
    split = urlsplit(remote) if "://" in remote else None
    if split is not None:
        host = split.hostname if split.scheme != "file" else None
    else:
        found = _SCP_LIKE.match(remote)
        host = found["host"].strip("[]").lower() if found else None
    return _SSH_ONLY.get(host, host) if host else None


def _plain(url: str) -> str:
    """Return *url* without user and password, query and slash at the end; ForgeError when it is none of the web."""
    split = urlsplit(url)
    if split.scheme not in _WEB or not split.hostname:
        message = "the address of a forge starts with https:// and names a host"
        raise ForgeError(message, hint="forge_url beside forge in inventory/sslops.yaml")
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path.rstrip('/')}"

"""Opening a project on a forge: the one place that knows which client goes with which kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.errors import ForgeError
from sslops.proposals.forges.address import api_address

if TYPE_CHECKING:
    from sslops.proposals.forges.client import Client
    from sslops.proposals.forges.forgejo import ForgejoApi
    from sslops.proposals.forges.github import GitHubApi
    from sslops.proposals.forges.gitlab import GitLabApi
    from sslops.proposals.forges.standing import Standing
    from sslops.proposals.forges.tokens import Token
    from sslops.proposals.forges.wire import Patience


def open_forge(kind: str, project: str, token: Token, url: str, patience: Patience) -> Client:
    """Return *project* on the forge of *kind* at *url* (`forge_address`), spoken to with *token*; asks nothing yet.

    ForgeError when there is no token, or no client for *kind*.
    """
    from sslops.proposals.forges.client import Client

    api = _api(kind, project, token, url, patience)
    return Client(api.desk, api)


def examine(kind: str, project: str, token: Token, url: str, patience: Patience, branch: str) -> Standing:
    """Ask how we stand with *project* and its *branch*; ForgeError when it cannot be read at all."""
    api = _api(kind, project, token, url, patience)
    with api.desk.calling("read the project", api.rights.read):
        return api.standing(branch)


def _api(kind: str, project: str, token: Token, url: str, patience: Patience) -> ForgejoApi | GitHubApi | GitLabApi:
    from sslops.proposals.forges.client import DOCS, NAMES, Desk

    if token.secret is None:
        message = f"no token for '{project}' on {NAMES.get(kind, kind)}: {token.role} is not set"
        raise ForgeError(message, hint=f"which token it takes: {DOCS}")
    desk, address = Desk(kind, project, token, patience), api_address(kind, url)
    if kind == "gitlab":
        from sslops.proposals.forges.gitlab import GitLabApi

        return GitLabApi(desk, address)
    if kind == "github":
        from sslops.proposals.forges.github import GitHubApi

        return GitHubApi(desk, address)
    if kind == "forgejo":
        from sslops.proposals.forges.forgejo import ForgejoApi

        return ForgejoApi(desk, address)
    raise ForgeError(f"no client for a forge of kind '{kind}'", hint="gitlab, github or forgejo")

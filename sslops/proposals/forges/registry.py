"""Opening a project on a forge: each kind's API is the module of its name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sslops.errors import ForgeError
from sslops.model.forges import Forge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslops.proposals.forges.client import Api, Client
    from sslops.proposals.forges.protection import EngineBranch
    from sslops.proposals.forges.standing import Standing
    from sslops.proposals.forges.tokens import Token
    from sslops.proposals.forges.wire import ForgePatience

_PUBLIC_APIS = {"github.com": "https://api.github.com"}
"""Where the API is not below the address of the forge."""


def open_forge(kind: str, project: str, token: Token, url: str, patience: ForgePatience) -> Client:
    """Return *project* on the forge of *kind* at *url* (`forge_address`), spoken to with *token*; asks nothing yet.

    ForgeError when there is no token.
    """
    from sslops.proposals.forges.client import Client

    api = _api(kind, project, token, url, patience)
    return Client(api.desk, api)


def examine(
    kind: str,
    project: str,
    token: Token,
    url: str,
    patience: ForgePatience,
    base: str,
    engine: Sequence[EngineBranch],
) -> Standing:
    """Ask how we stand with *project*, the branch *base* of it and those of the *engine*.

    ForgeError when it cannot be read at all.
    """
    api = _api(kind, project, token, url, patience)
    with api.desk.calling("read the project", api.rights.read):
        return api.standing(base, engine)


def api_address(kind: str, address: str) -> str:
    """Return where the API is that goes with *address*.

    >>> api_address("github", "https://github.com"), api_address("gitea", "https://git.example.com/gitea")
    ('https://api.github.com', 'https://git.example.com/gitea/api/v1')
    """
    known = _PUBLIC_APIS.get(urlsplit(address).hostname or "") if kind == Forge.GITHUB else None
    return known or f"{address}{Forge.of(kind).row.api}"


def _api(kind: str, project: str, token: Token, url: str, patience: ForgePatience) -> Api:
    from sslops.proposals.forges.client import DOCS, Desk

    forge = Forge.of(kind)
    if token.secret is None:
        message = f"no token for '{project}' on {forge.label}: {token.role} is not set"
        raise ForgeError(message, hint=f"which token it takes: {DOCS}")
    api: Api = getattr(import_module(f"sslops.proposals.forges.{forge}"), f"{forge.label}Api")(
        Desk(forge, project, token, patience), api_address(kind, url)
    )
    return api

"""A site whose two repositories lie on a forge: nothing moves their `main` but a merge request, or a person.

The name servers load whatever the DNS project's `main` becomes, by a push or by a merge on the forge itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.world.acme_site import AcmeSite
from tests.world.forge import Forge, Protection
from tests.world.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tests.world.forge import MergeRequest, Project
    from tests.world.forge.people import User
    from tests.world.ops import Finished

BOT, PERSON = "sslops", "operator"
"""Who pushes: the engine, which `main` is protected from, and everybody who pushes by hand."""
_SERVER_VARIABLES = {"gitlab": "CI_SERVER_URL", "github": "GITHUB_SERVER_URL", "forgejo": "FORGEJO_SERVER_URL"}
_NO_FORGE = (
    "forge: none, merge: {roll: auto}",
    "branch: main, forge: none}",
    "merge: {acme: auto, tlsa: auto}",
)


class ForgeSite:
    """`site` (with an ACME CA, or an own one) behind `forge`; `certs` and `zones` are the two projects."""

    def __init__(
        self, folder: Path, dialect: str, *, merge: Mapping[str, str] | None = None, has_acme: bool = False
    ) -> None:
        """Start everything below *folder*; *merge* says who merges `acme`, `tlsa` and `roll` (review)."""
        folder.mkdir(parents=True)
        self.forge = Forge(folder / "forge", dialect)
        self.certs, self.zones = (self.forge.project(name) for name in ("infra/certs", "infra/dns"))
        made: Callable[..., Site] = AcmeSite if has_acme else Site
        self.site = made(folder / "site", forge=self.forge)
        self._load_what_is_merged()
        policy = dict.fromkeys(("acme", "tlsa", "roll"), "review") | dict(merge or {})
        text = self.site.ops.show("main", "inventory/sslops.yaml")
        self.site.ops.edit({"inventory/sslops.yaml": _with_forge(text, dialect, policy)}, "a forge")
        for project in (self.certs, self.zones):
            project.protections["main"] = Protection(may_push=None, pushers={PERSON})
        self.token = self.forge.token(BOT)
        tokens = dict.fromkeys(("SSLOPS_FORGE_TOKEN", "SSLOPS_DNS_TOKEN"), self.token)
        self.site.ops.environment |= tokens | {_SERVER_VARIABLES[dialect]: self.forge.url, "FORGE_USER": BOT}

    def sslops(self, *words: str) -> Finished:
        """Run the real command line in the ops repository."""
        return self.site.sslops(*words)

    def open_request(self, project: Project, source: str) -> MergeRequest:
        """Return the one open request from *source*."""
        (found,) = (each for each in project.requests() if each.is_open and each.source == source)
        return found

    def writes(self) -> list[str]:
        """Return every call so far that was meant to change something on the forge."""
        return [*self.certs.writes, *self.zones.writes]

    def close(self) -> None:
        """End every server."""
        self.site.close()
        self.forge.close()

    def _load_what_is_merged(self) -> None:
        taken = self.zones.refs_changed

        def loading(changes: Iterable[tuple[str, str, str]], user: User) -> None:
            known = list(changes)
            taken(known, user)
            if any(ref == "refs/heads/main" for ref, _, _ in known):
                self.site.dns.load()

        self.zones.refs_changed = loading  # type: ignore[method-assign]


def _with_forge(text: str, dialect: str, policy: Mapping[str, str]) -> str:
    named = (
        f"forge: {dialect}, project: infra/certs, merge: {{roll: {policy['roll']}}}",
        f"branch: main, forge: {dialect}, project: infra/dns}}",
        f"merge: {{acme: {policy['acme']}, tlsa: {policy['tlsa']}}}",
    )
    for old, new in zip(_NO_FORGE, named, strict=True):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text

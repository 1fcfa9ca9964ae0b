"""Bringing a draft in: a new repository, or the one that `sslops init` just made; all of it, or nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from sslops.errors import Faults, InventoryError, StateError, UsageError
from sslops.inventory import shipped
from sslops.inventory.files import read_folder
from sslops.inventory.loading import load
from sslops.migrate.draft import SETTINGS
from sslops.migrate.take_over import changes
from sslops.report.text import count
from sslops.secrets.recipients import CONFIG_NAME
from sslops.secrets.sops import Sops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sslops.app.session import Session
    from sslops.init.identities import Identity
    from sslops.migrate.draft import Draft, Plain
    from sslops.model.change import Change
    from sslops.model.forges import Forge
    from sslops.model.inventory import Inventory, RepoSettings
    from sslops.repo.git_commits import NewCommit

_KNOWN_HOSTS = "inventory/known_hosts"
_HINT_NEW = "name a folder that does not exist yet: sslops import ... --into DIR"
_PROJECTS = {"repo": "infra/certs", "dns": "infra/dns"}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would do."""

    folder: Path
    inventory: Inventory
    changes: tuple[Change, ...]
    identities: tuple[Identity, ...] = ()
    is_new: bool = False
    is_applied: bool = True

    @property
    def counted(self) -> str:
        """How much there is of it."""
        services, groups = len(self.inventory.services), len(self.inventory.groups)
        hosts = {host.name for each in self.inventory.classes.values() for host in each.hosts}
        return f"{count(services, 'service')} in {count(groups, 'group')}, {count(len(hosts), 'server')}"


def bring_in(session: Session, draft: Draft, target: Path | None, forge: Forge | None, *, is_applied: bool) -> Imported:
    """Import *draft* into *target*, else into the ops repository at hand, else into an empty folder at hand.

    Raises UsageError when the place has an inventory of its own, `Faults` when the imported one is not sound.
    """
    if target is not None:
        return (
            _into(session, draft, target, is_applied=is_applied)
            if _is_ops(target)
            else _anew(session, draft, target, forge)
        )
    here = session.start.absolute()
    if not any(here.iterdir()):
        return _anew(session, draft, here, forge)
    try:
        folder = session.folder
    except UsageError as error:
        message = f"'{here}' is neither empty nor an ops repository"
        raise UsageError(message, hint=_HINT_NEW) from error
    return _into(session, draft, folder, is_applied=is_applied)


def _is_ops(folder: Path) -> bool:
    return (folder / SETTINGS).is_file()


def _anew(session: Session, draft: Draft, folder: Path, forge: Forge | None) -> Imported:
    from sslops.init.identities import identities
    from sslops.init.repository import make_repository, require_empty, sops_config
    from sslops.init.signing import signing_key

    require_empty(folder)
    _set_repositories(draft, {}, {}, forge)
    inventory = _sound(draft)
    found = identities(os.environ)
    renew, deploy = found
    recipients = {"renew": renew.recipient, "deploy": deploy.recipient}
    made = changes(draft, inventory, session.now, Sops(sops_config(recipients)))
    then = _committing(inventory.repo, made)
    signing = signing_key(os.environ) if forge is not None else None
    files = draft.inventory_files()
    make_repository(folder, recipients, forge=forge, signing=signing, inventory=files, then=then)
    return Imported(folder, inventory, made, found, is_new=True)


def _into(session: Session, draft: Draft, folder: Path, *, is_applied: bool) -> Imported:
    from sslops.repo.git import Git
    from sslops.repo.git_commits import NewCommit

    present = read_folder(folder)
    settings = _example_settings(folder, present)
    _set_repositories(draft, settings.get("repo") or {}, (settings.get("dns") or {}).get("repo") or {}, None)
    inventory = _sound(draft)
    git = Git.discover(folder)
    if not git.is_clean():
        message = "the work tree has changes that are not committed"
        raise StateError(message, hint="git add -A && git commit, or git stash")
    config = git.file("HEAD", CONFIG_NAME) or b""
    made = changes(draft, inventory, session.now, Sops(config.decode("utf-8", "replace")))
    if is_applied:
        gone = dict.fromkeys(set(present) - {_KNOWN_HOSTS})
        edits = {path: content for path, content in {**gone, **draft.inventory_files()}.items() if "/." not in path}
        _committing(inventory.repo, made, [NewCommit(f"Import the inventory from {draft.tool}\n", edits)])(folder)
    return Imported(folder, inventory, made, is_applied=is_applied)


def _committing(repo: RepoSettings, made: Sequence[Change], before: Sequence[NewCommit] = ()) -> Callable[[Path], None]:
    """Return what puts the commits *before*, and one for each change, onto the branch at hand, as the bot."""
    from sslops.app.entry import run_name
    from sslops.repo.git import Git
    from sslops.repo.git_commits import NewCommit, Person
    from sslops.repo.next_branch import RUN, change_message
    from sslops.repo.state_trees import edits_of

    run = run_name()
    commits = [*before, *(NewCommit(change_message(each, {RUN: run}), edits_of(each)) for each in made)]

    def commit(top: Path) -> None:
        if commits:
            git = Git.discover(top).acting_as(Person(repo.bot_name, repo.bot_email))
            tip = git.commit_all(git.resolve("HEAD"), commits)
            git.process.write("merge", "--quiet", "--ff-only", tip)

    return commit


def _set_repositories(draft: Draft, ops: Plain, dns: Plain, forge: Forge | None) -> None:
    """Say in the draft where the two repositories are: as the present inventory has it, or on a new *forge*."""
    on_forge = {kind: {"forge": str(forge), "project": project} for kind, project in _PROJECTS.items()} if forge else {}
    usual = {"branch": "main", "next_branch": "next", "forge": "none"}
    draft.settings["repo"] = {
        **usual,
        **on_forge.get("repo", {}),
        **ops,
        "bot": ops.get("bot") or {"name": "sslops", "email": "sslops@example.com"},
    }
    if "dns" in draft.settings:
        url = draft.settings["dns"]["repo"]["url"]
        draft.settings["dns"]["repo"] = {
            "branch": "main",
            "forge": "none",
            **on_forge.get("dns", {}),
            **dns,
            "url": url,
        }
        if draft.settings["dns"]["repo"]["forge"] != "none":
            # A profile of Let's Encrypt leaves an hour for a challenge, which no person reviews in time.
            draft.settings["dns"]["merge"] = {"acme": "auto", "tlsa": "review"}


def _sound(draft: Draft) -> Inventory:
    """Return the inventory; `Faults` with a hint each: what ssl-mgr let pass is to be mended in the old tree."""
    try:
        return load(draft.inventory_files())
    except Faults as faults:
        hint = "mend it in the old configuration (or a copy of it), and import again; nothing was written"
        told = [
            InventoryError(each.what, where=each.where, hint=f"{each.hint}; {hint}" if each.hint else hint)
            for each in faults.faults
        ]
        raise Faults(told) from faults


def _example_settings(folder: Path, present: Mapping[str, bytes]) -> Plain:
    """Return `sslops.yaml` of an inventory that is still the example; UsageError for any other."""
    example = {path: content for path, content in shipped.files().items() if "/." not in path}
    own = {path for path in present if "/." not in path}
    settings, usual = (yaml.safe_load(files.get(SETTINGS, b"")) or {} for files in (present, example))
    same = all(example.get(path) == present[path] for path in own - {SETTINGS, _KNOWN_HOSTS})
    same &= all(settings.get(key) == usual.get(key) for key in ("groups", "servers", "globals"))
    if not same or (folder / "state").exists():
        message = f"'{folder}' has an inventory or state of its own, which an import would replace"
        raise UsageError(message, hint=_HINT_NEW)
    return settings

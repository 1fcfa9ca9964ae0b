"""Which documents are encrypted to others than `.sops.yaml` asks for, and what who left can still read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslops.model.names import CA_GROUP
from sslops.model.plan import Action, Plan, Verb
from sslops.repo.state_files import parse_path
from sslops.secrets.recipients import recipients_of, rule_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sslops.model.names import GenerationId
    from sslops.model.state import Branches
    from sslops.secrets.recipients import CreationRule

ACCOUNTS = "accounts"
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Rewrap:
    """A document whose recipients are not those that are asked for."""

    path: str
    joining: frozenset[str]
    leaving: frozenset[str]

    @property
    def action(self) -> Action:
        """What is done with it: about a generation, or an account."""
        parts = [
            f"{word} {', '.join(sorted(who))}"
            for word, who in (("for", self.joining), ("without", self.leaving))
            if who
        ]
        found = parse_path(self.path)
        group, name = (
            (ACCOUNTS, self.path.rpartition("/")[2].partition(".json")[0])
            if found is None
            else (
                found.service.group,
                found.service.name,
            )
        )
        generation = None if found is None else found.generation
        return Action(Verb.REKEY, group, name, "rewrap", "recipients", generation, why=", ".join(parts))


def rewraps(documents: Mapping[str, bytes], rules: Sequence[CreationRule]) -> tuple[Rewrap, ...]:
    """Return what has to be wrapped anew, sorted; SopsError for what is no document, or that no rule is for."""
    found = []
    for path, content in sorted(documents.items()):
        has, wants = recipients_of(content, path), rule_for(rules, path).recipients
        if has != wants:
            found.append(Rewrap(path, wants - has, has - wants))
    return tuple(found)


def plan(found: Iterable[Rewrap]) -> Plan:
    """Return them as a plan."""
    return Plan(tuple(each.action for each in found))


def still_readable(found: Sequence[Rewrap], branches: Branches) -> tuple[str, ...]:
    """Say what who leaves can read for ever, and the commands that make it worthless; empty when nobody leaves."""
    leavers = sorted({who for each in found for who in each.leaving})
    if not leavers:
        return ()
    theirs = [each for each in found if each.leaving]
    lines = [
        (
            f"{', '.join(leavers)} can still open in git history what is wrapped anew here ({len(theirs)}), and every "
            "older version of it: no copy is taken back. New keys make the old ones worthless:"
        )
    ]
    commands = list(dict.fromkeys(each for rewrap in theirs for each in _commands(rewrap, branches)))
    lines += [f"  {command}" for command in commands[:_SHOWN]]
    lines += [f"  ... and {len(commands) - _SHOWN} more" for _ in commands[_SHOWN : _SHOWN + 1]]
    return (*lines, "and where the key leaked: sslops revoke TARGET --reason key-compromise --apply")


def _commands(rewrap: Rewrap, branches: Branches) -> Iterable[str]:
    """Yield what replaces the key of one document; nothing for one that is in no use any more."""
    found = parse_path(rewrap.path)
    if found is None:
        name = rewrap.action.service
        yield f"sslops renew --new-account {name} --apply"
    elif found.generation in _in_use(branches, rewrap):
        first = "with the CA's key: " if found.service.group == CA_GROUP else ""
        yield f"{first}sslops renew {found.service} --force --new-key --reason 'a recipient left' --apply"


def _in_use(branches: Branches, rewrap: Rewrap) -> frozenset[GenerationId | None]:
    found = parse_path(rewrap.path)
    if found is None:
        return frozenset()
    slots = [state[found.service].slots for state in (branches.main, branches.next)]
    return frozenset(each for one in slots for each in (one.curr, one.next) if each is not None)

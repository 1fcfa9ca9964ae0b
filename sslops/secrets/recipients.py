"""What `.sops.yaml` asks for and what a sops document says: recipients as comparable words.

Pure text in, values out; the program itself is run by `sslops.secrets.sops`. A recipient is written `kind:name`.

>>> rules = read_rules('creation_rules: [{path_regex: "^state/", age: "age1xyz, age1abc"}]')
>>> sorted(rule_for(rules, "state/a.sops").recipients)
['age:age1abc', 'age:age1xyz']
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import yaml

from sslops.errors import SopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


CONFIG_NAME = ".sops.yaml"
_MOST_SAID = 200


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> object | None:
        """Return where it is found in *text*; null when it is nowhere."""
        ...


@dataclass(frozen=True, slots=True)
class CreationRule:
    """One rule: the paths it is for (null: every path) and whom their files are encrypted to."""

    pattern: Pattern | None
    recipients: frozenset[str]

    def is_for(self, path: str) -> bool:
        """Whether the rule applies to *path*, relative to the repository; sops searches, it does not match whole."""
        return self.pattern is None or self.pattern.search(path) is not None


def read_rules(text: str) -> tuple[CreationRule, ...]:
    """Read the `creation_rules` of a `.sops.yaml`, in order; SopsError when it is none."""
    try:
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (safe loaders)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        message = f"'{CONFIG_NAME}' is not YAML: {' '.join(str(error).split())[:_MOST_SAID]}"
        raise SopsError(message) from error
    rules = content.get("creation_rules") if isinstance(content, dict) else None
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        message = f"'{CONFIG_NAME}' has no list 'creation_rules'"
        raise SopsError(message, hint="sslops init writes one into a new repository; see docs/own-ca.md")
    return tuple(_read_rule(rule) for rule in rules)


def rule_for(rules: Sequence[CreationRule], path: str) -> CreationRule:
    """Return the first rule for *path*, as sops picks it; SopsError when there is none."""
    for rule in rules:
        if rule.is_for(path):
            return rule
    message = f"no rule of '{CONFIG_NAME}' is for '{path}'"
    raise SopsError(message, hint=f"add a creation rule whose path_regex matches it to {CONFIG_NAME}")


def recipients_of(document: bytes, path: str) -> frozenset[str]:
    """Return everyone that can open a sops binary *document*; SopsError when it is none."""
    try:
        content = json.loads(document)
        metadata = content["sops"]
        is_encrypted = content["data"].startswith("ENC[AES256_GCM,")
        groups = [metadata, *(metadata.get("key_groups") or [])]
        recipients = frozenset(
            _word(kind, key) for group in groups for kind in _WRITTEN for key in group.get(kind) or []
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_document(path) from error
    if not is_encrypted or not metadata.get("mac") or not recipients:
        raise _no_document(path)
    return recipients


def _no_document(path: str) -> SopsError:
    return SopsError(
        f"'{path}' is not a whole sops document", hint="restore the file from git; the engine never edits it again"
    )


def _read_rule(rule: dict[str, object]) -> CreationRule:
    pattern = rule.get("path_regex")
    if not isinstance(pattern, str | None):
        message = f"'path_regex' of '{CONFIG_NAME}' is not a text: {str(pattern)[:_MOST_SAID]!a}"
        raise SopsError(message)
    compiled = _compiled(pattern) if pattern else None
    groups = rule.get("key_groups") or [rule]
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        message = f"'key_groups' of '{CONFIG_NAME}' is not a list of groups"
        raise SopsError(message)
    return CreationRule(compiled, frozenset(_asked(groups)))


def _compiled(pattern: str) -> Pattern:
    """Return *pattern* as sops takes it: by RE2, as Go's expressions are, which needs time linear in the path."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled: Pattern = re2.compile(pattern, options)
    except re2.error as error:
        message = f"path_regex {pattern[:_MOST_SAID]!a} of '{CONFIG_NAME}' is not a regular expression: {error}"
        raise SopsError(message, hint="sops takes RE2 syntax: no look-around, no back-references") from error
    return compiled


def _asked(groups: Iterable[dict[str, object]]) -> Iterable[str]:
    for group in groups:
        merged = group.get("merge") or []
        if not isinstance(merged, list) or not all(isinstance(other, dict) for other in merged):
            message = f"'merge' in a key group of '{CONFIG_NAME}' is not a list of groups"
            raise SopsError(message)
        yield from _asked(merged)
        for kind, (asked, name) in _KINDS.items():
            for key in _listed(group.get(asked[0]) or (group.get(asked[1]) if len(asked) > 1 else None)):
                yield f"{kind}:{name(key)}"


def _listed(value: object) -> list[object]:
    """Return the parts of a comma separated string, or of each of a list; keys given as mappings stay as they are."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return (
        [key for item in value for key in (_listed(item) if isinstance(item, str) else [item])]
        if isinstance(value, list)
        else []
    )


def _plain(*fields: str) -> Callable[[object], str]:
    """Name a key by the first of *fields*, or by itself when it is a word; spaces do not count."""

    def name(key: object) -> str:
        word = next((key[field] for field in fields if key.get(field)), "") if isinstance(key, dict) else key
        return str(word).replace(" ", "")

    return name


def _kms(key: object) -> str:
    """Name an AWS key by its ARN; a role appended with `+` is how to reach it, not which it is."""
    return _plain("arn")(key).partition("+")[0]


def _azure(key: object) -> str:
    """Name an Azure key by vault and name; sops fills in the version that is current when none is asked."""
    if isinstance(key, dict):
        vault, name = key.get("vault_url") or key.get("vaultUrl"), key.get("name") or key.get("key")
        return f"{str(vault).rstrip('/')}/keys/{name}"
    return "/".join(str(key).split("/")[:5])


def _vault(key: object) -> str:
    """Name a key of HashiCorp Vault by its transit URI."""
    if isinstance(key, dict):
        return f"{str(key['vault_address']).rstrip('/')}/v1/{key['engine_path']}/keys/{key['key_name']}"
    return str(key)


# kind -> (its names in a rule, how a key is named); a rule and a document may write the same key differently
_KINDS: dict[str, tuple[tuple[str, ...], Callable[[object], str]]] = {
    "age": (("age",), _plain("recipient")),
    "pgp": (("pgp",), _plain("fp")),
    "kms": (("kms",), _kms),
    "gcp_kms": (("gcp_kms",), _plain("resource_id")),
    "hckms": (("hckms",), _plain("key_id")),
    "azure_kv": (("azure_keyvault", "azure_kv"), _azure),
    "hc_vault": (("hc_vault_transit_uri", "hc_vault"), _vault),
}
_WRITTEN = tuple(_KINDS)


def _word(kind: str, key: object) -> str:
    return f"{kind}:{_KINDS[kind][1](key)}"

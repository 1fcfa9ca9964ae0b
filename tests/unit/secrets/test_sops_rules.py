"""`.sops.yaml` as sops reads it, and what a document says about its recipients."""

from __future__ import annotations

import json

import pytest

from sslops.errors import SopsError
from sslops.secrets.recipients import read_rules, recipients_of, rule_for

RULES = """
creation_rules:
  - path_regex: ^state/ca/
    age: >-
      age1first,
      age1second
  - path_regex: \\.sops$
    age: [age1third]
    pgp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21
    kms: arn:aws:kms:eu-west-1:1:key/a+arn:aws:iam::1:role/r
    gcp_kms: projects/p/locations/l/keyRings/r/cryptoKeys/k
    azure_keyvault: https://vault.example.com/keys/name/version
    hc_vault_transit_uri: https://vault.example.com:8200/v1/transit/keys/dev
"""


def document(**metadata: object) -> bytes:
    """Return a document as sops writes it, with *metadata*."""
    return json.dumps({"data": "ENC[AES256_GCM,data:x]", "sops": {"mac": "ENC[x]", **metadata}}).encode()


def test_the_first_matching_rule_decides() -> None:
    """Order counts, as with sops: a CA key also matches the second rule."""
    rule = rule_for(read_rules(RULES), "state/ca/my-root/privkey.pem.sops")

    assert {"age:age1first", "age:age1second"} == rule.recipients


def test_every_kind_of_key_is_named_the_same_in_rule_and_document() -> None:
    """What a rule writes in one word sops writes into several fields."""
    asked = rule_for(read_rules(RULES), "state/example.com/web/privkey.pem.sops").recipients

    written = recipients_of(
        document(
            age=[{"recipient": "age1third", "enc": ""}],
            pgp=[{"fp": "85D77543B3D624B63CEA9E6DBC17301B491B3F21"}],
            kms=[{"arn": "arn:aws:kms:eu-west-1:1:key/a", "role": "arn:aws:iam::1:role/r"}],
            gcp_kms=[{"resource_id": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}],
            azure_kv=[{"vault_url": "https://vault.example.com", "name": "name", "version": "other"}],
            hc_vault=[{"vault_address": "https://vault.example.com:8200", "engine_path": "transit", "key_name": "dev"}],
        ),
        "path",
    )

    assert asked == written


def test_key_groups_count_together() -> None:
    """With Shamir's scheme every group holds a part."""
    rules = read_rules('creation_rules: [{key_groups: [{age: [age1a]}, {pgp: ["FP"]}]}]')

    written = recipients_of(document(key_groups=[{"age": [{"recipient": "age1a"}]}, {"pgp": [{"fp": "FP"}]}]), "path")

    assert rule_for(rules, "any").recipients == written


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "creation_rules: 1", "creation_rules: [1]", "a: [",
        'creation_rules: [{path_regex: "("}]', "creation_rules: [{path_regex: [a, b]}]",
    ],
)  # fmt: skip
def test_a_file_that_is_no_sops_configuration_is_an_error(text: str) -> None:
    """It is a foreseen failure, not a traceback."""
    with pytest.raises(SopsError, match=r"\.sops\.yaml"):
        read_rules(text)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"data": 1, "sops": 2}',
        b'{"data": "ENC[AES256_GCM,x", "sops": {"mac": "x"}}',
        b"\xff",
    ],
)
def test_a_file_that_is_no_document_is_an_error(content: bytes) -> None:
    """A document names at least one recipient and carries a MAC."""
    with pytest.raises(SopsError, match="'path' is not a whole sops document"):
        recipients_of(content, "path")


@pytest.mark.parametrize(
    "text", [f"creation_rules: {'9' * 5000}", f"creation_rules: {'[' * 3000}", "\x00", "- " * 3000]
)
def test_rules_that_nobody_wrote_by_hand_are_an_error(text: str) -> None:
    """Whoever opens a merge request writes this file."""
    with pytest.raises(SopsError, match=r"'\.sops\.yaml'"):
        read_rules(text)


@pytest.mark.parametrize("deep", [b'{"a":' * 5000, b"[" * 5000, b'{"sops": {"mac": ' + b"9" * 5000 + b"}}"])
def test_a_document_that_is_too_deep_is_none(deep: bytes) -> None:
    """And says so with its path."""
    with pytest.raises(SopsError, match="'x' is not a whole sops document"):
        recipients_of(deep, "x")


def test_no_pattern_takes_longer_than_its_path() -> None:
    """A person's machine, or a job with ten minutes, would hang in one that backtracks."""
    (rule,) = read_rules("creation_rules: [{path_regex: '(.*)*(.*)*(.*)*$x', age: age1a}]")

    assert not rule.is_for("state/" + "a" * 20_000)


def test_a_pattern_is_what_sops_takes_it_for() -> None:
    """Go's dialect: no look-around, and the end of text by its own escape."""
    with pytest.raises(SopsError, match="not a regular expression"):
        read_rules("creation_rules: [{path_regex: '(?=x)', age: age1a}]")

    (rule,) = read_rules("creation_rules: [{path_regex: '^state/.*\\.sops\\z', age: age1a}]")

    assert (True, False) == (rule.is_for("state/a.sops"), rule.is_for("state/a.sops.txt"))

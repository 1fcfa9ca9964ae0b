"""Slips of a keyboard, of git and of memory: each is told at its line, with what is written instead."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

import pytest

from sslops.errors import Faults
from sslops.inventory.loading import load
from sslops.inventory.remarks import remarks
from tests.unit.inventory.samples import CAS, SETTINGS, SOUND, WEB, edited, sound

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def told(files: dict[str, bytes]) -> list[tuple[str, str, str | None]]:
    """Return place, cause and hint of every fault."""
    with pytest.raises(Faults) as raised:
        load(files)
    return [(str(fault.where), fault.what, fault.hint) for fault in raised.value.faults]


def test_a_merge_conflict_is_told_at_its_markers() -> None:
    """YAML would take some of them for texts, and stumble over a line that is fine."""
    text = SOUND[WEB].replace("x509:", "<<<<<<< HEAD\nx509: {sans: [a.example.com]}\n=======\nx509:")
    files = sound({WEB: f"{text}>>>>>>> other\n"})
    hint = "take one of the two sides, and remove the three marker lines"

    assert [(f"{WEB}:{line}:1", "a merge-conflict marker", hint) for line in (2, 4, 6)] == told(files)


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("signing_ca: sub\nx509:\n  CN:www.example.com\n  sans: [www.example.com]\n", "3:3", "CN: www.example.com"),
        ("signing_ca:sub\nx509: {sans: [www.example.com]}\n", "1:1", "signing_ca: sub"),
        ("# a comment\nsigning_ca:sub\n", "2:1", "signing_ca: sub"),
        ("signing_ca: sub\nx509: {CN:a, sans: [www.example.com]}\n", "2:8", "CN: a"),
        ("signing_ca: sub\nx509:\n  sans:[www.example.com]\n", "3:3", "sans: [www.example.com]"),
    ],
)
def test_a_colon_without_a_space_is_told_where_it_stands(text: str, place: str, hint: str) -> None:
    """YAML takes it for a text that goes on, and complains of what comes after."""
    found = told(sound({WEB: text}))

    assert (f"{WEB}:{place}", f"a space belongs after ':', as in '{hint}'") in [(where, way) for where, _, way in found]


def test_a_merge_key_is_told_where_it_stands() -> None:
    """Not as a fault of the table around it."""
    files = sound({WEB: "signing_ca: sub\nx509:\n  sans: [www.example.com]\n  <<: {CN: www.example.com}\n"})

    assert [(f"{WEB}:4:3", "merge key '<<' in the inventory", "write the keys of the other table out here")] == told(
        files
    )


@pytest.mark.parametrize("key", ["<text>", "[key]", "<five>"])
def test_a_key_that_looks_like_one_of_the_schema_s_own_words_is_told_where_it_stands(key: str) -> None:
    """Whatever brackets it has."""
    files = sound({WEB: f"signing_ca: sub\nx509:\n  sans: [www.example.com]\n  '{key}': 1\n"})

    assert [(f"{WEB}:4:3", f"unknown key '{key}'")] == [(where, what) for where, what, _ in told(files)]


@pytest.mark.parametrize(
    ("command", "syntax"),
    [
        ("postfix reload && systemctl reload dovecot", "&&"),
        ("postfix reload; true", ";"),
        ("postfix reload || true", "||"),
        ("postfix reload > /dev/null", ">"),
        ("echo done | logger", "|"),
        ("sleep 5 &", "&"),
        ("systemctl reload $UNIT", "$U"),
        ("kill -HUP $(cat /run/x.pid)", "$("),
        ("kill `cat /run/x.pid`", "`"),
        ("LANG=C postfix reload", "LANG=C"),
    ],
)
def test_a_command_that_needs_a_shell_is_no_command(command: str, syntax: str) -> None:
    """No shell runs it, so `&&` would be an argument of the first program."""
    files = edited(SETTINGS, "restart_cmd: postfix reload", f"restart_cmd: '{command}'")
    hint = "a list of commands runs them one after the other; sh -c '...' runs a shell"

    assert [(f"'restart_cmd' cannot be {command!r}: '{syntax}' is for a shell, and none runs it", hint)] == [
        (what, way) for _, what, way in told(files)
    ]


@pytest.mark.parametrize("command", ["sh -c 'a && b; c > d'", 'sh -c "a | b $HOME"', r"touch a\;b", "grep -q 'a<b' /x"])
def test_what_is_quoted_is_the_program_s_own(command: str) -> None:
    """A shell that is named runs it."""
    text = command.replace("'", "''")

    inventory = load(edited(SETTINGS, "restart_cmd: postfix reload", f"restart_cmd: '{text}'"))

    assert (tuple(shlex.split(command)),) == inventory.classes["smtp"].restart_cmd


def test_a_name_outside_the_group_is_a_note_at_its_line() -> None:
    """It is fine, and may be a slip; with TLSA records of its own it must lie in a zone of ours."""
    files = edited(WEB, "sans: [www.example.com]", "sans: [www.example.com, shop.example.org]")
    notes = remarks(load(files), files, NOW)

    assert [
        (
            f"{WEB}:2:32",
            "'shop.example.org' is not below 'example.com', the group of 'example.com/web'; no group has it",
        )
    ] == [(str(note.where), note.what) for note in notes]

    files = sound({WEB: SOUND[WEB].replace("www.example.com", "www.example.org") + "dane_tls: [[443, tcp, 3, 1, 1]]\n"})

    assert [(f"{WEB}:2:15", "no TLSA record can be published for 'www.example.org', which is below no group")] == [
        (where, what) for where, what, _ in told(files)
    ]


def test_a_hold_whose_date_is_over_is_a_note_at_its_line() -> None:
    """So is a consent: both have no effect any more, and one that still holds is none."""
    over = 'hold: {until: "2026-11-23", reason: freeze}\n'
    files = sound({WEB: SOUND[WEB] + over, CAS: SOUND[CAS]})
    notes = remarks(load(files), files, NOW)
    line = len(SOUND[WEB].splitlines()) + 1

    assert [f"{WEB}:{line}:15"] == [str(note.where) for note in notes]
    assert "over on 2026-11-23" in notes[0].what
    assert () == remarks(load(files), files, datetime(2026, 11, 1, tzinfo=UTC))


def test_no_name_outside_is_no_note() -> None:
    """Nor are addresses, wildcards and other letters' case."""
    files = edited(WEB, "sans: [www.example.com]", "sans: [WWW.Example.com, '*.example.com', 192.0.2.1, '::1']")

    assert () == remarks(load(files), files, NOW)


FORMER = """\
globals: {verb: true, logdir: /var/log, sslm_auth_hook: /usr/lib/x, preferred_acme_profile: tlsserver,
          renew_info: {target_90: 30}, prod_cert_dir: ./etc/prod-certs}
groups: []
renew_info: {}
dns: {acme_dir: /etc/dns/include-acme, tlsa_dirs: [/etc/dns/include-tlsa], depends: [dns], restart_cmd: ''}
smtp: {servers: [smtp1]}
servers:
  web: {servers: [web1], skip_prod_copy: true, hosts: [], depends: [tlsa]}
"""
"""The words of an inventory of ssl-mgr, as YAML."""


def test_each_word_of_ssl_mgr_is_taken_or_told_with_the_new_way() -> None:
    """Nothing is refused without a hint."""
    hints = {what.split("'")[1]: hint for _, what, hint in told(sound({SETTINGS: FORMER}))}

    assert [] == [key for key, hint in hints.items() if hint is None or hint.startswith("keys here")]
    assert {
        "verb": "leave it out: stderr tells what is done",
        "renew_info": "write it below 'globals', as renew_info: {target: {90: 30}}",
        "target_90": "renew_info: {target: {90: ...}} below 'globals'",
        "acme_dir": "a folder of the DNS repository (dns.repo), as 'zones/include-acme'; '.' is its top",
        "tlsa_dirs": "a folder of the DNS repository (dns.repo), as 'zones/include-tlsa'; '.' is its top",
        "smtp": "write it below 'servers', with 'hosts': servers: {smtp: {hosts: [...]}}",
        "servers": "write 'hosts'",
        "depends": "a change of TLSA files is 'dns'; that of certificates is what 'svc_depends' says",
    }.items() <= hints.items()


def test_an_empty_command_is_none_and_the_top_of_the_dns_repository_is_a_folder() -> None:
    """As in ssl-mgr, whose `dns.depends` may stay too; './' before a folder says nothing."""
    text = SOUND[SETTINGS].replace("tlsa_dirs: [zones/include-tlsa]", "tlsa_dirs: [., ./zones/tlsa]\n  acme_dir: .")
    text = text.replace("restart_cmd: postfix reload", "restart_cmd: ''")
    text = text.replace("  tlsa_dirs", "  restart_cmd: ''\n  depends: [dns]\n  tlsa_dirs")
    inventory = load(sound({SETTINGS: text}))

    assert inventory.dns is not None
    assert ((".", "zones/tlsa"), ".", ()) == (
        inventory.dns.tlsa_dirs,
        inventory.dns.acme_dir,
        inventory.dns.restart_cmd,
    )
    assert () == inventory.classes["smtp"].restart_cmd


@pytest.mark.parametrize("folder", ["..", "./..", "a/../b", ".git", "a/.git"])
def test_a_folder_that_leads_elsewhere_is_none(folder: str) -> None:
    """Only the top itself may be written with a dot."""
    with pytest.raises(Faults):
        load(edited(SETTINGS, "tlsa_dirs: [zones/include-tlsa]", f"tlsa_dirs: ['{folder}']"))


WEB_AT_LE = "signing_ca: le\n"


@pytest.mark.parametrize(
    ("service", "place", "what"),
    [
        (
            f"x509: {{sans: [{', '.join(f'a{n}.example.com' for n in range(26))}]}}",
            "sans",
            "26 names, and Let's Encrypt",
        ),
        ("x509: {sans: [a.b.c.d.e.f.g.h.i.example.com]}", "sans", "more than 10 labels"),
        ("x509: {sans: [localhost]}", "sans", "it has no dot"),
        ("x509: {sans: [www.corp.internal]}", "sans", "'.internal' is no public suffix"),
        ("x509: {sans: ['*.example.com', www.example.com]}", "sans", "'*.example.com' has it already"),
        ("x509: {sans: [www.example.com]}\nkey_opts: {ec_algo: secp521r1}", "ec_algo", "no keys of curve secp521r1"),
        ("x509: {sans: [www.example.com]}\nkey_opts: {ktype: rsa, rsa_bits: 8192}", "rsa_bits", "no RSA keys of 8192"),
        ("x509: {sans: [www.example.com], eku: [serverAuth, clientAuth]}", "eku", "not 'clientAuth'"),
        ("x509: {sans: [www.example.com], email: me@here@there}", "email", "no ACME server takes"),
        (f"x509: {{CN: {'a' * 60}.example.com, sans: [{'a' * 60}.example.com]}}", "CN", "72 characters"),
    ],
)
def test_what_the_ca_is_known_to_refuse_is_refused_here(service: str, place: str, what: str) -> None:
    """With its place, before an order costs anything."""
    settings = SOUND[SETTINGS].replace("  tlsa_dirs:", "  acme_dir: zones/include-acme\n  tlsa_dirs:")
    cas = SOUND[CAS] + "le: {ca_type: acme}\n"
    found = told(sound({CAS: cas, SETTINGS: settings, WEB: f"{WEB_AT_LE}{service}\n"}))

    assert [(WEB, True)] == [(where.split(":")[0], what in cause) for where, cause, _ in found]
    assert place in service.splitlines()[int(found[0][0].split(":")[1]) - 2]


def test_another_acme_server_has_rules_of_its_own() -> None:
    """Nobody here knows them: long lists, private names and large keys are its business."""
    settings = SOUND[SETTINGS].replace("  tlsa_dirs:", "  acme_dir: zones/include-acme\n  tlsa_dirs:")
    settings = settings.replace("  web: {", "  web: {server_dir: /srv/http, ")
    cas = SOUND[CAS] + "le: {ca_type: acme, ca_validation: http-01, directory: 'https://ca.example.net/dir'}\n"
    sans = ", ".join(f"a{n}.example.com" for n in range(200))
    web = f"signing_ca: le\nx509: {{sans: [www.internal, {sans}]}}\nkey_opts: {{ec_algo: secp521r1}}\n"

    inventory = load(sound({CAS: cas, SETTINGS: settings, WEB: web}))

    assert 201 == max(len(service.sans) for service in inventory.services.values())

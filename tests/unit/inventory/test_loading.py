"""Sound files become the model: names as in the files, defaults from `globals`, order without meaning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sslops.errors import Faults
from sslops.inventory import loading, shipped
from sslops.inventory import validation as schemas
from sslops.inventory.files import find
from sslops.inventory.loading import load
from sslops.model.inventory import (
    CaSpec,
    CaType,
    Consent,
    DaneOwners,
    DaneSpec,
    DnsSettings,
    Endpoint,
    FileModes,
    Hold,
    Host,
    KeyLifecycle,
    KeySpec,
    MergePolicy,
    RepoSettings,
    Settings,
    Subject,
    Verify,
)
from sslops.model.names import ServiceId
from sslops.model.plan import HazardName
from sslops.model.tlsa import TlsaParams
from tests.unit.inventory.samples import CAS, MAIL, ROOT, SETTINGS, SOUND, WEB, edited, extended, faults, loaded, sound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.inventory.files import Found

MAIL_ID = ServiceId("example.com", "mail")
WEB_ID = ServiceId("example.com", "web")


def test_the_shipped_example_is_sound() -> None:
    """What `sslops init` copies passes `sslops check`."""
    assert [] == faults(dict(shipped.files()))


def test_a_service_has_what_its_file_says() -> None:
    """Names, subject, key and DANE come from the file."""
    service = loaded(sound()).services[MAIL_ID]

    assert ("mail", "sub", ("example.com", "mail.example.com"), Subject("example.com"), KeySpec()) == (
        service.description,
        service.signing_ca,
        service.sans,
        service.subject,
        service.key,
    )
    assert (DaneSpec(25, "tcp", TlsaParams(3, 1, 1), DaneOwners.MX),) == service.dane


def test_dane_makes_the_following_key_early() -> None:
    """`key_lifecycle` is `prepublish` with `dane_tls` and `at-renewal` without, unless the file says otherwise."""
    inventory = loaded(sound())
    late = loaded(extended(MAIL, "key_lifecycle: at-renewal\n"))

    assert KeyLifecycle.PREPUBLISH is inventory.services[MAIL_ID].key_lifecycle
    assert KeyLifecycle.AT_RENEWAL is inventory.services[WEB_ID].key_lifecycle
    assert KeyLifecycle.AT_RENEWAL is late.services[MAIL_ID].key_lifecycle


def test_owners_of_records_follow_the_port() -> None:
    """Port 25 is the MX hosts', every other port the SANs'."""
    service = loaded(edited(MAIL, ", MX]]", "], [443, tcp, 3, 1, 1]]")).services[MAIL_ID]

    assert [(25, DaneOwners.MX), (443, DaneOwners.SANS)] == [(spec.port, spec.owners) for spec in service.dane]


def test_a_service_inherits_from_globals() -> None:
    """`min_roll_mins` and `renew_expire_days` count per service, else from `globals`."""
    files = edited(SETTINGS, "min_roll_mins: 90", "min_roll_mins: 7, renew_expire_days: 20")
    files[WEB] += b"min_roll_mins: 0\nrenew_expire_days: 5.5\n"
    services = loaded(files).services

    assert (7, 20) == (services[MAIL_ID].min_roll_minutes, services[MAIL_ID].renew_expire_days)
    assert (0, 5.5) == (services[WEB_ID].min_roll_minutes, services[WEB_ID].renew_expire_days)


def test_own_cas_have_what_they_sign() -> None:
    """The `ca` table, no purposes unless asked, and the entry of `cas.yaml`."""
    inventory = loaded(sound())
    root = inventory.services[ServiceId("ca", "root")]

    assert (CaSpec(1000), (), "self", True) == (root.ca, root.eku, root.signing_ca, root.is_ca)
    assert (CaType.SELF, CaType.LOCAL) == (inventory.cas["root"].type, inventory.cas["sub"].type)


@pytest.mark.parametrize("word", ["acme", "certbot", "letsencrypt"])
def test_an_acme_ca_has_the_names_it_had_in_ssl_mgr(word: str) -> None:
    """`certbot` and `letsencrypt` are ACME."""
    files = sound({CAS: SOUND[CAS] + f"le: {{ca_type: {word}}}\n"})

    assert CaType.ACME is loaded(files).cas["le"].type


def test_an_empty_subject_field_is_left_out() -> None:
    """ssl-mgr's files have empty fields; certificates must not."""
    files = edited(MAIL, "CN: example.com", "CN: example.com, O: '', OU: ~, C: NO")

    assert Subject("example.com", country="NO") == loaded(files).services[MAIL_ID].subject


def test_a_root_may_be_signed_by_an_empty_name() -> None:
    """ssl-mgr's other way to write `self`."""
    assert "self" == loaded(edited(ROOT, "self", "''")).services[ServiceId("ca", "root")].signing_ca


def test_a_curve_has_one_name() -> None:
    """`prime256v1` is `secp256r1`."""
    files = extended(WEB, "key_opts: {ec_algo: prime256v1}\n")

    assert KeySpec("ec", "secp256r1") == loaded(files).services[WEB_ID].key


def test_the_group_ca_comes_with_all_its_services() -> None:
    """`ALL` is every file of the folder."""
    group = loaded(sound()).groups["ca"]

    assert (ServiceId("ca", "root"), ServiceId("ca", "sub")) == group.services


def test_a_host_inherits_from_its_class_and_from_globals() -> None:
    """User from the class, folder from `globals`; the entry itself counts more."""
    files = edited(SETTINGS, "min_roll_mins: 90", "prod_cert_dir: /srv/all")
    files[SETTINGS] = files[SETTINGS].replace(
        b"smtp2]",
        b"{host: smtp2, address: 192.0.2.2, port: 2222, user: me, prod_cert_dir: /srv/two, verify: {port: 465}}]",
    )
    files[SETTINGS] = files[SETTINGS].replace(
        b"user: certs", b"user: certs, verify: {port: 25, starttls: smtp, from: host}"
    )
    hosts = loaded(files).classes["smtp"].hosts

    assert (
        Host("smtp1", "smtp1", 22, "certs", "/srv/all", Verify(25, "smtp", "host")),
        Host("smtp2", "192.0.2.2", 2222, "me", "/srv/two", Verify(465)),
    ) == hosts


def test_a_host_in_two_classes_is_one_host() -> None:
    """What one class says about it counts in the other; how it is asked is each class's own."""
    files = edited(SETTINGS, "hosts: [web1]", "hosts: [smtp1], verify: {port: 443}")
    classes = loaded(files).classes

    assert Host("smtp1", "smtp1", 22, "certs") == classes["smtp"].hosts[0]
    assert Host("smtp1", "smtp1", 22, "certs", verify=Verify(443)) == classes["web"].hosts[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("postfix reload", (("postfix", "reload"),)),
        ("['a \"b c\"', d]", (("a", "b c"), ("d",))),
    ],
)
def test_restart_commands_are_split_into_words(written: str, meant: tuple[tuple[str, ...], ...]) -> None:
    """One command or several, each split like a shell would."""
    assert meant == loaded(edited(SETTINGS, "postfix reload", written)).classes["smtp"].restart_cmd


@pytest.mark.parametrize("word", ["any", "'*'", "all", "ALL", "ANY"])
def test_any_group_has_many_names(word: str) -> None:
    """All of them mean `any`."""
    assert (("any", ("web",)),) == loaded(edited(SETTINGS, "[any, ", f"[{word}, ")).classes["web"].svc_depends


@pytest.mark.parametrize("word", ["ALL", "'*'"])
def test_a_pair_may_name_all_services(word: str) -> None:
    """`ALL` becomes the names that it stands for, never an own CA's."""
    assert (("any", ("mail", "web")),) == loaded(edited(SETTINGS, "[any, [web]]", f"[any, {word}]")).classes[
        "web"
    ].svc_depends


def test_the_class_other_serves_nothing() -> None:
    """Copies only, unless it says otherwise; every other class serves, unless it says otherwise."""
    more = "  other: {hosts: [b1]}\n  imap: {hosts: [i1], serves: false}\n"
    classes = loaded(extended(SETTINGS, more)).classes

    assert {"smtp": True, "web": True, "other": False, "imap": False} == {
        name: each.serves for name, each in classes.items()
    }


def test_modes_may_lack_their_quotes() -> None:
    """`0640` is a mode, not the number 416."""
    files = edited(SETTINGS, "user: certs", "files: {group: postfix, key_mode: 0640}")

    assert FileModes(None, "postfix", "0640") == loaded(files).classes["smtp"].files


def test_without_a_forge_the_engine_merges() -> None:
    """`auto` is the default of `forge: none`, `review` that of a forge."""
    forge = edited(SETTINGS, "branch: main", "forge: gitlab, project: infra/certs")

    assert RepoSettings(merge={"roll": MergePolicy.AUTO}) == loaded(sound()).repo
    assert {"roll": MergePolicy.REVIEW} == loaded(forge).repo.merge


def test_the_dns_repository_is_as_written() -> None:
    """Where it is, what we write there."""
    merge = {"acme": MergePolicy.AUTO, "tlsa": MergePolicy.AUTO}

    assert DnsSettings("file:///srv/dns.git", "main", ("zones/include-tlsa",), merge=merge) == loaded(sound()).dns


def test_name_servers_are_endpoints() -> None:
    """`*` is `default`; ports default to 53."""
    more = """\
dns_primary: [{domain: "*", server: ns.example.com}, {domain: example.com, server: 192.0.2.1, port: 5353}]
dns_servers: [{domain: example.com, servers: ["192.0.2.1:5353", "2001:DB8::1"]}]
"""
    inventory = loaded(extended(SETTINGS, more))

    assert {"default": Endpoint("ns.example.com"), "example.com": Endpoint("192.0.2.1", 5353)} == inventory.dns_primary
    assert {"example.com": (Endpoint("192.0.2.1", 5353), Endpoint("2001:db8::1"))} == inventory.dns_servers


def test_globals_become_settings() -> None:
    """Knots are sorted, commands are split, a hold has its end."""
    files = edited(
        SETTINGS,
        "min_roll_mins: 90",
        "clean_keep: 7, renew_expire_days_spread: 2, renew_info: {target: {90: 30, 10: 5.5}}, dns_xtra_ns: [9.9.9.9], "
        'post_copy_cmd: [[web1, "run it"]], hold: {reason: holiday, until: "2026-12-24"}',
    )
    settings = loaded(files).settings

    assert ((10.0, 5.5), (90.0, 30.0)) == settings.renew_targets.target
    assert (7, 2, ("9.9.9.9",), (("web1", ("run", "it")),)) == (
        settings.clean_keep,
        settings.renew_expire_days_spread,
        settings.dns_xtra_ns,
        settings.post_copy_cmd,
    )
    assert Hold(datetime(2026, 12, 24, tzinfo=UTC), "holiday") == settings.hold


def test_accepted_hazards_have_subject_and_end() -> None:
    """Both may be left out."""
    more = (
        'accept: [{hazard: clock, reason: x}, {hazard: host-removed, subject: smtp1, until: "2026-12-01", reason: y}]'
    )

    assert (
        Consent("clock", None, None, "x"),
        Consent("host-removed", "smtp1", datetime(2026, 12, 1, tzinfo=UTC), "y"),
    ) == loaded(extended(SETTINGS, more)).accepts


def test_keys_without_a_value_are_as_if_they_were_not_there() -> None:
    """A table whose lines are all commented out is an empty one."""
    more = "accept:\ndns_servers: null\n"

    assert loaded(sound()) == loaded(extended(SETTINGS, more))


def test_the_defaults_of_the_schema_are_those_of_the_model() -> None:
    """What the documentation promises is what the code does."""
    keys = schemas.schema("sslops")["$defs"]["Globals"]["properties"]
    service = loaded(sound()).services[WEB_ID]
    documented = schemas.schema("service")

    assert Settings().clean_keep == keys["clean_keep"]["default"]
    assert Host("", "").prod_cert_dir == keys["prod_cert_dir"]["default"]
    assert service.min_roll_minutes == keys["min_roll_mins"]["default"]
    assert service.dane_ttl_seconds == documented["properties"]["dane_tls_ttl"]["default"]
    assert {"ktype": "ec", "ec_algo": KeySpec().ec_algo, "rsa_bits": KeySpec().rsa_bits} == {
        key: each["default"] for key, each in documented["$defs"]["KeyOptions"]["properties"].items()
    }


def test_the_hazards_of_the_schema_are_those_of_the_plan() -> None:
    """What can be accepted on the command line can be accepted in the inventory."""
    assert list(HazardName) == schemas.schema("sslops")["$defs"]["Consent"]["properties"]["hazard"]["enum"]


@given(st.randoms(use_true_random=False))
def test_order_does_not_matter(random: object) -> None:
    """Groups, services, classes, hosts, keys and files in any order are the same inventory."""
    shuffled = {
        file: yaml.safe_dump(_shuffled(yaml.safe_load(text), random), sort_keys=False) for file, text in SOUND.items()
    }
    files = list(shuffled.items())
    random.shuffle(files)  # type: ignore[attr-defined]

    assert load(sound()) == load({file: text.encode() for file, text in files})


def _shuffled(value: object, random: object, key: str = "") -> object:
    """Return *value* with its tables, and its lists without an order of their own, shuffled."""
    if isinstance(value, dict):
        pairs = [(name, _shuffled(each, random, name)) for name, each in value.items()]
        random.shuffle(pairs)  # type: ignore[attr-defined]
        return dict(pairs)
    if isinstance(value, list) and key in {"groups", "services", "hosts"}:
        items = [_shuffled(each, random) for each in value]
        random.shuffle(items)  # type: ignore[attr-defined]
        return items
    return value


@given(st.sampled_from([SETTINGS, CAS, ROOT, MAIL]), st.data())
def test_a_spoiled_file_is_sound_or_faulty_and_never_a_crash(file: str, data: st.DataObject) -> None:
    """A few characters replaced anywhere end in an inventory or in `Faults`."""
    text = SOUND[file]
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 12))
    more = data.draw(
        st.text(max_size=6) | st.sampled_from(["null", "[]", "{}", "self", "../x", "\t", "- ", ": ", "*", "&a"])
    )
    spoiled = (text[:start] + more + text[start + length :]).encode(errors="replace")
    try:
        ending: object = load(sound() | {file: spoiled}).services
    except Faults as found:
        ending = found.faults

    assert ending


def test_an_inventory_is_remembered_by_every_byte_of_its_files() -> None:
    """The same content is read once; what differs anywhere, or is broken, is read anew."""
    files = sound()
    first = load(files)
    other = load(edited(SETTINGS, "min_roll_mins: 90", "min_roll_mins: 91"))

    assert (first, load(files)) == (load(dict(files)), first)
    assert first != other
    with pytest.raises(Faults):
        load(files | {SETTINGS: files[SETTINGS] + b"nonsense: 1\n"})
    with pytest.raises(Faults):
        load({name: raw for name, raw in files.items() if name != SETTINGS})

    assert first == load(files)


def test_a_verb_reads_equal_files_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inventory of the working tree mostly is that of main."""
    asked: list[object] = []

    def counted(files: Mapping[str, bytes]) -> Found:
        asked.append(files)
        return find(files)

    monkeypatch.setattr(loading, "find", counted)
    files = edited(SETTINGS, "min_roll_mins: 90", "min_roll_mins: 77")
    load(files)
    load({**files, "inventory/.hidden": b"", "inventory/known_hosts": b"another"})

    assert 1 == len(asked)

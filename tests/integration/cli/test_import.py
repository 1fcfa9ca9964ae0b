"""`sslops import`: the command line, a real sops, and a tree as ssl-mgr leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.system.test_cycle import fields
from tests.unit.migrate.test_ssl_mgr import FILES
from tests.world.certificates import write_certificate
from tests.world.ops import ROLES, OpsRepository
from tests.world.remotes import git
from tests.world.ssl_mgr_tree import SslMgrTree

if TYPE_CHECKING:
    from pathlib import Path

MAIL = "example.com/mail"
NAMES = ("example.com", "www.example.com")


@pytest.fixture
def ops(world_folder: Path) -> OpsRepository:
    """Return an environment in which a new repository can be made."""
    made = OpsRepository(world_folder, {"README": "empty\n"}, has_remote=False)
    for role in ROLES:
        made.identities.take_away(role)
    return made


@pytest.fixture
def tree(world_folder: Path) -> SslMgrTree:
    """Return a tree with all three slots of a service, and an own CA."""
    made = SslMgrTree(world_folder / "ssl-mgr", FILES)
    root = made.add("ca/root", "curr", days=3000)
    sub = made.add("ca/sub", "curr", signer=root, days=900)
    for slot, age in (("prev", 60), ("curr", 30), ("next", 1)):
        made.add(MAIL, slot, names=NAMES, age_days=age)
    made.add("example.net/web", "curr", names=("www.example.net",), signer=sub)
    return made


def test_generations_are_taken_over_with_their_keys_and_the_old_tree_is_as_it_was(
    ops: OpsRepository, tree: SslMgrTree, world_folder: Path
) -> None:
    """curr, next and prev become generations with encrypted keys, in commits that say so; `check` finds no fault."""
    before, folder = tree.contents(), world_folder / "new"
    said = ops.sslops("import", str(tree.conf_d), "--certs", str(tree.certs), "--into", str(folder)).succeeded()
    ops.folder = folder

    assert before == tree.contents()
    assert f"{MAIL}: " in said.stdout

    slots = fields(ops.show("main", f"state/{MAIL}/slots.yaml"))
    for slot in ("curr", "next", "prev"):
        generation = f"state/{MAIL}/{slots[slot]}"
        cert = (tree.certs / MAIL / slot / "cert.pem").read_text()

        assert cert.strip() == ops.show("main", f"{generation}/cert.pem").strip()
        assert "age1" in ops.show("main", f"{generation}/privkey.pem.sops")

    web = fields(ops.show("main", "state/example.net/web/slots.yaml"))["curr"]
    sub = fields(ops.show("main", "state/ca/sub/slots.yaml"))["curr"]

    assert sub == fields(ops.show("main", f"state/example.net/web/{web}/generation.yaml"))["signer"]
    assert "sslops@example.com" == git(folder, "log", "-1", "--format=%ce", "--", f"state/{MAIL}").strip()
    assert "Sslops-Action: import" in git(folder, "log", "-1", "--format=%B", "--", f"state/{MAIL}")

    ops.sslops("check").succeeded()


def test_a_key_that_is_not_that_of_the_certificate_is_told_and_left_out(
    ops: OpsRepository, tree: SslMgrTree, world_folder: Path
) -> None:
    """Nothing of such a version gets into the repository, and a person is told to look."""
    write_certificate(tree.certs / MAIL / "curr")
    said = ops.sslops("import", str(tree.conf_d), "--into", str(world_folder / "new")).succeeded()

    assert f"{MAIL}/curr: left out: the key is not that of the certificate" in said.stdout


def test_an_own_ca_of_ssl_mgr_goes_on_signing(ops: OpsRepository, tree: SslMgrTree, world_folder: Path) -> None:
    """A CA that names itself as a host, as those of ssl-mgr do, signs the next certificate of its leaf."""
    files = FILES["ssl-mgr.conf"].replace("domain = 'example.net'\n", "domain = 'example.net'\nactive = true\n")
    (tree.conf_d / "ssl-mgr.conf").write_text(files)
    ops.sslops("import", str(tree.conf_d), "--into", str(world_folder / "new")).succeeded()
    ops.folder = world_folder / "new"
    ops.sslops("renew", "example.net:web", "--force", "--apply").succeeded()
    slots = fields(ops.show("next", "state/example.net/web/slots.yaml"))

    assert slots["next"] != "null"
    assert slots["next"] != slots["curr"]


def test_a_repository_that_init_made_is_filled_only_with_apply(
    ops: OpsRepository, tree: SslMgrTree, world_folder: Path
) -> None:
    """Without --apply nothing changes; with it the example is gone; a second import is refused."""
    folder = world_folder / "made"
    ops.sslops("init", str(folder)).succeeded()
    ops.folder = folder
    head = git(folder, "rev-parse", "HEAD")
    dry = ops.sslops("import", str(tree.conf_d)).succeeded()

    assert head == git(folder, "rev-parse", "HEAD")
    assert "--apply does it" in dry.stderr

    ops.sslops("import", str(tree.conf_d), "--apply").succeeded()
    ops.sslops("check").succeeded()

    assert not (folder / "inventory/example.com/mail-ec.yaml").exists()
    assert "" == git(folder, "status", "--porcelain")

    again = ops.sslops("import", str(tree.conf_d), "--apply")

    assert 2 == again.exit_code


def test_a_new_repository_for_a_forge_is_signed_and_sound(
    ops: OpsRepository, tree: SslMgrTree, world_folder: Path
) -> None:
    """`--forge` adds the jobs, and what was taken over is signed as the branches of the engine have to be."""
    folder = world_folder / "new"
    ops.sslops("import", str(tree.conf_d), "--into", str(folder), "--forge", "github").succeeded()
    ops.folder = folder
    ops.sslops("check").succeeded()

    assert "acme: auto" in (folder / "inventory/sslops.yaml").read_text()
    assert (folder / ".github/workflows").is_dir()
    trusted = ("-c", "gpg.ssh.allowedSignersFile=allowed_signers")

    assert {"G"} == set(git(folder, *trusted, "log", "--grep=Sslops-Action: import", "--format=%G?").split())

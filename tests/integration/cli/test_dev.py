"""`sslops dev`: single steps of a service's life, each under the rules of the verb that takes it when it is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.cli.test_tlsrpt import FILES
from tests.world.ops import OpsRepository

if TYPE_CHECKING:
    from pathlib import Path

MAIL = "example.com/mail"
SERVICE = "inventory/example.com/mail.yaml"


def test_a_life_in_single_steps(world_folder: Path) -> None:
    """Key and CSR, a changed CSR, certificate, promotion; what cannot be done fails, says why, and changes nothing."""
    ops = OpsRepository(world_folder, FILES, has_remote=False)
    for words in (("renew", "ca"), ("roll", "ca")):
        ops.sslops(*words, "--apply").succeeded()

    def dev(step: str) -> tuple[int, str]:
        done = ops.sslops("dev", step, MAIL, "--apply")
        return done.exit_code, done.stdout + done.stderr

    def slots() -> tuple[str, ...]:
        return tuple(line.partition(": ")[2].strip('"') for line in ops.show("next", path).splitlines()[:2])

    path = f"state/{MAIL}/slots.yaml"
    assert (1, True) == (dev("keys")[0], "nothing is live yet" in dev("keys")[1])
    assert 0 == dev("cert")[0]
    first = slots()[1]
    assert (1, True) == (dev("keys")[0], "next has its certificate" in dev("keys")[1])
    assert 0 == dev("next-to-curr")[0]
    assert (first, "null") == slots()

    dry = ops.sslops("dev", "keys", MAIL).succeeded()
    assert ("--apply does it" in dry.stderr, (first, "null")) == (True, slots())

    keyed = [(dev("keys")[0], slots()) for _ in range(2)]
    assert [0, 0] == [code for code, _ in keyed]
    assert 2 == len({following for _, (_, following) in keyed} - {"null"})
    assert (0, keyed[1][1]) == (dev("csr")[0], slots())

    ops.edit({SERVICE: FILES[SERVICE].replace("sans: [", "sans: [mx.example.com, ")})
    assert 0 == dev("csr")[0]
    staged = slots()[1]
    assert staged not in {following for _, (_, following) in keyed}
    assert (0, (first, staged)) == (dev("cert")[0], slots())
    assert (0, (staged, "null")) == (dev("next-to-curr")[0], slots())
    assert "mx.example.com" in ops.show("main", f"state/{MAIL}/{staged}/generation.yaml")


def test_a_step_names_its_service_and_an_own_ca_has_no_key_alone(world_folder: Path) -> None:
    """Nobody makes new keys for a whole site by leaving a word out."""
    ops = OpsRepository(world_folder, FILES, has_remote=False)
    without, of_a_ca = ops.sslops("dev", "keys"), ops.sslops("dev", "keys", "ca:my-root")

    assert (2, True) == (without.exit_code, "a single step is for a service" in without.stderr)
    assert (1, True) == (of_a_ca.exit_code, "is made with its certificate" in of_a_ca.stdout + of_a_ca.stderr)

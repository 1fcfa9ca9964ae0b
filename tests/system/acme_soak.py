"""The long row of kills: `python -m tests.system.acme_soak [KILLS [SEED]]`, 200 unless told.

Each round starts batches that renew everything with new keys, kills them at random moments, lets plain runs finish,
and asks what the short row in the suite asks. A certificate that a killed run had not begun is one more forced renewal.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.system.acme import SERVICES, assert_clean, slots, statuses
from tests.system.launching import Launched
from tests.system.test_acme_kill import finish, keys_of
from tests.world.acme_site import AcmeSite

ROUND = 10


def main(kills: int = 200, seed: int = 20261124) -> None:
    """Kill *kills* batches; AssertionError when one left what it must not."""
    dice, folder = random.Random(seed), Path(tempfile.mkdtemp(prefix="sslops-"))  # noqa: S311  (reproducible)
    site = AcmeSite(folder)
    try:
        for done in range(0, kills, ROUND):
            keys = keys_of(site) if "next" in site.ops.refs() else set[str]()
            for _ in range(ROUND):
                options = ("--count", folder / "effects")
                with Launched(site.ops, "renew", "--apply", "--force", "--new-key", options=options) as launched:
                    launched.kill_at_work(folder / "effects", dice.uniform(0, 2))
            finish(site)
            assert dict.fromkeys(SERVICES, "issued") == statuses(site), statuses(site)
            assert keys <= keys_of(site), "a key was lost"
            assert all(slots(site, service)["next"] for service in SERVICES)
            assert_clean(site)
            print(f"{done + ROUND} kills, {site.ca.orders_made()} orders, nothing lost, nothing twice")
    finally:
        site.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

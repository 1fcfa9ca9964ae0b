"""What merge requests say, from what the stages know: the views and bodies of `sslops.report` behind the stages' ports.

A body that had to be cut is written whole into the folder that the variable SSLOPS_ARTIFACTS names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sslops.model.proposal import Kind, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sslops.dane.records import Material
    from sslops.dane.rrset_inputs import World
    from sslops.model.acme import Proof
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.model.state import Generation
    from sslops.publish.rules import Publication
    from sslops.repo.snapshot import Snapshot
    from sslops.report.text import Written


ARTIFACTS = "SSLOPS_ARTIFACTS"
"""Where a CI job collects what it keeps."""


def tlsa(found: Publication, world: World, limit: int) -> Text:
    """Describe a change of TLSA records."""
    from sslops.report.merge_request import tlsa_body
    from sslops.report.proposed import tlsa_view

    view = tlsa_view(found, world, limit)
    return _text(Kind.TLSA, view.title, tlsa_body(view))


def roll(
    inventory: Inventory,
    material: Mapping[tuple[ServiceId, GenerationId], Material] | None,
    snapshot: Snapshot,
    digest: str,
    limit: int,
) -> Text:
    """Describe every roll that main lacks."""
    from sslops.report.merge_request import roll_body
    from sslops.report.proposed import roll_view

    view = roll_view(inventory, snapshot.branches, snapshot.ledger, digest, material, limit)
    return _text(Kind.ROLL, view.title, roll_body(view))


def acme(
    orders: Callable[[], Mapping[Proof, tuple[ServiceId, Generation]]],
    shown: Mapping[Proof, str],
    present: frozenset[tuple[str, str]],
    carried: frozenset[str],
    digest: str,
    limit: int,
) -> Text:
    """Describe a change of challenges.

    *shown* has the owner of each proof, *present* is what the DNS base has; *carried* are the records that come in
    place of a wildcard's.
    """
    from sslops.report.merge_request import acme_body
    from sslops.report.proposed import Wanted, acme_view

    known = orders()
    wanted = [Wanted(proof, owner, *known[proof]) for proof, owner in shown.items() if proof in known]
    view = acme_view(wanted, present, digest, limit, carried)
    return _text(Kind.ACME, view.title, acme_body(view))


def keep_overflow(written: Written, name: str) -> None:
    """Write what did not fit whole to the file *name* where a job collects such; nothing where all of it fitted."""
    folder = os.environ.get(ARTIFACTS)
    if written.overflow is not None and folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, name).write_text(written.overflow, encoding="utf-8")


def _text(kind: Kind, title: str, written: Written) -> Text:
    from sslops.report.merge_request import artifact

    keep_overflow(written, artifact(kind))
    return Text(title, written.text)

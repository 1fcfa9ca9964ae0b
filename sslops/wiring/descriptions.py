"""What merge requests say, from what the stages know: the bodies of `sslops.report` behind the stages' ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslops.model.proposal import Text, mark
from sslops.plan.digest import digest as digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sslops.dane.records import Material
    from sslops.model.inventory import Inventory
    from sslops.model.names import GenerationId, ServiceId
    from sslops.publish.rules import Publication
    from sslops.publish.world import World
    from sslops.state.snapshot import Snapshot


def tlsa(found: Publication, world: World, limit: int) -> Text:
    """Describe a change of TLSA records."""
    changes = [f"- `{target}`" for action in found.plan.actions for target in action.targets]
    return Text("TLSA", "\n".join([*changes, "", mark(digest_of(found.plan))]))


def roll(
    inventory: Inventory,
    material: Mapping[tuple[ServiceId, GenerationId], Material] | None,
    snapshot: Snapshot,
    digest: str,
    limit: int,
) -> Text:
    """Describe every roll that main lacks."""
    return Text("Roll", mark(digest))

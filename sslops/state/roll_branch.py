"""Which rolls a branch holds.

The roll branch moves only when this set changes, so that an approval stays an approval.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sslops.model.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sslops.model.change import Change
    from sslops.model.names import GenerationId, ServiceId


def rolls(main: State, other: State) -> Mapping[ServiceId, GenerationId]:
    """Return the services that *other* makes serve something else than *main*, and what."""
    return {
        service: state.slots.curr
        for service, state in other.services.items()
        if state.slots.curr is not None and state.slots.curr != main[service].slots.curr
    }


def applied(state: State, changes: Sequence[Change]) -> State:
    """Return *state* with *changes* made."""
    services = dict(state.services)
    for change in changes:
        before = state[change.service] if change.service not in services else services[change.service]
        written = {files.generation.id: files.generation for files in change.put}
        services[change.service] = replace(before, slots=change.slots, generations={**before.generations, **written})
    return State(services)

"""The phases of a service, as status names them: a closed list.

Of several that apply the first in this order is shown.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a service is on its way round; `MEANING` says each in words."""

    RETIRED = "retired"
    FROZEN = "frozen"
    EXPIRED = "expired"
    HELD = "held"
    REFUSED = "refused"
    DECLINED = "declined"
    PROPOSED = "proposed"
    WAITING = "waiting"
    READY = "ready"
    ORDERED = "ordered"
    NEW = "new"
    KEYED = "keyed"
    DUE = "due"
    DEPLOYING = "deploying"
    LIVE = "live"


MEANING = {
    Phase.RETIRED: "no longer in the inventory; its entries close when no host serves it any more",
    Phase.FROZEN: "its group is not active",
    Phase.EXPIRED: "the certificate that is to be served has expired",
    Phase.HELD: "a person asked to leave it alone",
    Phase.REFUSED: "what is on deck was taken back on main, and is not rolled again without `--force`",
    Phase.DECLINED: "rolled on next, and a person closed the merge request; `sslops roll --force` opens it again",
    Phase.PROPOSED: "rolled on next, not merged into main yet",
    Phase.WAITING: "a certificate is on deck, and may not be rolled yet",
    Phase.READY: "a certificate is on deck, and nothing known keeps it from being rolled",
    Phase.ORDERED: "the CA has the order, and has not issued yet",
    Phase.NEW: "nothing was made yet",
    Phase.KEYED: "a key was made, and there is no certificate yet",
    Phase.DUE: "it is time to renew",
    Phase.DEPLOYING: "rolled, and some host is not known to serve it",
    Phase.LIVE: "every host is known to serve it, or it has none",
}
"""What each phase means, for the documentation and `sslops status --help`."""

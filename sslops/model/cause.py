"""Why a step does not happen now: the closed list, each cause in one of two classes.

A step *waits* for what time, a person who is known to be at it, or another step of sslops ends. What none of these
will end is *blocked*: somebody has to act. It comes with the next command, and is a failure after a grace.
docs/exit-codes.md is written from `MEANINGS`; whoever adds a cause decides there which of the two it is.

>>> MEANINGS[Cause.NOT_LOADED].kind.value, MEANINGS[Cause.NOT_LOADED].grace == MACHINES
('blocked', True)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

AT_ONCE = timedelta()
"""The command line asked for it by name, and whoever typed that sees the error; or no time helps, only one command."""

MACHINES = timedelta(hours=1)
"""What servers do by themselves takes minutes: transfers of zones, a restart, a network that comes back."""

PEOPLE = timedelta(days=1)
"""What a person has to do."""


class Kind(StrEnum):
    """The two classes of "not now"."""

    WAITS = "waits"
    BLOCKED = "blocked"


class Cause(StrEnum):
    """What keeps a step from happening."""

    # What ends by itself, or by somebody who is known.
    HOLD = "hold"
    FROZEN = "frozen"
    BACKOFF = "backoff"
    CA_LIMIT = "ca-limit"
    ORDER_PENDING = "order-pending"
    REVIEW = "review"
    MIN_ROLL = "min-roll"
    CACHES = "caches"
    EARLIER_STEP = "earlier-step"
    NOT_REHEARSED = "not-rehearsed"
    # What somebody has to end.
    IMPOSSIBLE = "impossible"
    SIGNER = "signer"
    KEY_NOT_HERE = "key-not-here"
    ACCOUNT_CLOSED = "account-closed"
    CHALLENGE_NOT_SHOWN = "challenge-not-shown"
    NOT_LOADED = "not-loaded"
    NS_UNREACHABLE = "ns-unreachable"
    NS_LAGGING = "ns-lagging"
    DNSSEC_BOGUS = "dnssec-bogus"
    DNS_UNOBSERVED = "dns-unobserved"
    ALIAS = "alias"
    OUTSIDE_ZONES = "outside-zones"
    ZONE_CUT = "zone-cut"
    UNMATCHABLE = "unmatchable"
    UNMANAGED_RECORDS = "unmanaged-records"
    UNVERIFIED = "unverified"
    NO_HOST = "no-host"
    STILL_SERVED = "still-served"
    HOST_REMOVED = "host-removed"
    FILES_LOST = "files-lost"
    DECLINED = "declined"
    NOT_MERGEABLE = "not-mergeable"
    TAKEN_BACK = "taken-back"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a cause means: its class, what it says, and who ends it how.

    *end* completes "until ..." for what waits. For what is blocked it is what a person does, with `{verb}`, `{target}`
    (`group` or `group:service`) and `{what}` in it, and *grace* is how long that may take before it is a failure.
    """

    kind: Kind
    says: str
    end: str
    grace: timedelta | None = None


def _waits(says: str, until: str) -> Meaning:
    return Meaning(Kind.WAITS, says, until)


def _blocked(says: str, grace: timedelta, act: str) -> Meaning:
    return Meaning(Kind.BLOCKED, says, act, grace)


MEANINGS = {
    Cause.HOLD: _waits("a person put it on hold", "the hold is taken out of the inventory"),
    Cause.FROZEN: _waits("its group is not active", "the group is active again"),
    Cause.BACKOFF: _waits("the last try failed, which was a failure of its own", "the next try"),
    Cause.CA_LIMIT: _waits("the CA's published limit is used up", "the CA allows another order"),
    Cause.ORDER_PENDING: _waits("order pending at the CA", "the CA has decided"),
    Cause.REVIEW: _waits("a merge request is open", "the merge request is merged or closed"),
    Cause.MIN_ROLL: _waits("it is younger than `min_roll_mins`", "it is old enough"),
    Cause.CACHES: _waits("resolvers may hold an answer from before", "every cache has the new records"),
    Cause.EARLIER_STEP: _waits(
        "another step of sslops comes first, and has a line of its own while it cannot happen", "that step is done"
    ),
    Cause.NOT_REHEARSED: _waits(
        "its CA has no staging server, so a rehearsal leaves it out", "renew without --staging"
    ),
    Cause.IMPOSSIBLE: _blocked(
        "the command line asks for what cannot be", AT_ONCE, "ask for something else: sslops status {target}"
    ),
    Cause.SIGNER: _blocked(
        "its own CA cannot sign, and is not renewed in this run", PEOPLE, "sslops renew ca --apply, with the CA's key"
    ),
    Cause.KEY_NOT_HERE: _blocked(
        "a key or an account has to be opened, and no age identity here does",
        PEOPLE,
        "sslops renew {target} --apply, where the identity is",
    ),
    Cause.ACCOUNT_CLOSED: _blocked(
        "the account at the ACME server was deactivated or revoked, which is for good",
        AT_ONCE,
        "sslops renew {target} --new-account CA --apply",
    ),
    Cause.CHALLENGE_NOT_SHOWN: _blocked(
        "the DNS repository has the challenge, and a name server does not show it",
        MACHINES,
        "look why the name server does not load the DNS repository: sslops doctor",
    ),
    Cause.NOT_LOADED: _blocked(
        "name servers do not show what the DNS base has",
        MACHINES,
        "include tlsa.{target} in the zone, and let its name servers load it: sslops status --live",
    ),
    Cause.NS_UNREACHABLE: _blocked(
        "a name server gives no usable answer",
        MACHINES,
        "let it answer again, or consent: sslops publish prints the words",
    ),
    Cause.NS_LAGGING: _blocked(
        "the addresses of one name server disagree", MACHINES, "let every address of it load the zone"
    ),
    Cause.DNSSEC_BOGUS: _blocked(
        "the validating resolver does not vouch for a name",
        MACHINES,
        "mend the signatures of the zone, or consent: sslops publish prints the words",
    ),
    Cause.DNS_UNOBSERVED: _blocked(
        "the DNS of a group cannot be observed: its include file, its MX or its name servers",
        MACHINES,
        "sslops doctor",
    ),
    Cause.ALIAS: _blocked(
        "the zone has an alias (CNAME or DNAME) where TLSA records belong",
        PEOPLE,
        "put the TLSA records that it leads to in the place of the alias, in one change of the zone",
    ),
    Cause.OUTSIDE_ZONES: _blocked(
        "a name of the service lies in no zone that sslops manages, so its records are not for sslops to publish",
        PEOPLE,
        "--accept name-unproven={what}, or take the name out of MX or sans",
    ),
    Cause.ZONE_CUT: _blocked(
        "the zone delegates a name, or has a DNAME above it, so no resolver would see the records of sslops",
        AT_ONCE,
        "make the delegated zone a group of its own, or take the name out of MX or sans",
    ),
    Cause.UNMATCHABLE: _blocked(
        "a name has records that the certificate cannot match",
        PEOPLE,
        "change dane_tls or the certificate's names in the inventory",
    ),
    Cause.UNMANAGED_RECORDS: _blocked(
        "a name has TLSA records that sslops does not manage", PEOPLE, "take them out of the zone file"
    ),
    Cause.UNVERIFIED: _blocked(
        "an address shows something else than our certificate",
        PEOPLE,
        "let every address of the name serve it: sslops status --live",
    ),
    Cause.NO_HOST: _blocked("no host gets the service", PEOPLE, "name it in svc_depends of a class of servers"),
    Cause.STILL_SERVED: _blocked(
        "a host may still serve what it gets no more",
        PEOPLE,
        "let its daemon serve something else and delete the service's folder there; sslops deploy asks it again",
    ),
    Cause.HOST_REMOVED: _blocked(
        "a host left the inventory and may still serve",
        PEOPLE,
        "sslops deploy --forget {what} --accept host-removed={what} --apply, once it serves nothing",
    ),
    Cause.FILES_LOST: _blocked(
        "the files of what is live were deleted on main", AT_ONCE, "git revert the commit that deleted them"
    ),
    Cause.NOT_MERGEABLE: _blocked(
        "the forge was asked to merge and does not, for a reason that no check or approval to come will end",
        PEOPLE,
        "do what the line says on the page of the merge request, or set merge: review",
    ),
    Cause.DECLINED: _blocked(
        "a person closed the merge request",
        PEOPLE,
        "sslops {verb} --force --apply opens it again; a hold says why not",
    ),
    Cause.TAKEN_BACK: _blocked(
        "the generation was taken back on main",
        PEOPLE,
        "sslops roll {target} --force --apply takes it again; a hold says why not",
    ),
    Cause.CONSENT: _blocked("a hazard needs a person's consent", AT_ONCE, "--accept"),
}
"""What each cause means; every one of them is here."""

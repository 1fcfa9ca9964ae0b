r"""What a domain tells senders about TLS besides DANE: MTA-STS (RFC 8461) and TLS reporting (RFC 8460), as values.

>>> parse_policy("version: STSv1\r\nmode: enforce\r\nmx: *.example.com\r\nmax_age: 604800\r\n").mx
('*.example.com',)
>>> names_mx("*.example.com", "mx1.example.com."), names_mx("*.example.com", "a.mx1.example.com")
(True, False)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_AGE_SECONDS = 31557600
"""The largest `max_age` (RFC 8461 section 3.2)."""
DEFAULT_AGE_SECONDS = 604800
MODES = ("enforce", "testing", "none")
_STS, _TLSRPT = "v=STSv1", "v=TLSRPTv1"
_ID = re.compile(r"[0-9A-Za-z]{1,32}")
_MOST_LINES = 1000


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """An MTA-STS policy: *mode* is one of MODES, *mx* are host names, or `*.` and a domain, in lower case."""

    mode: str
    mx: tuple[str, ...]
    max_age_seconds: int = DEFAULT_AGE_SECONDS


@dataclass(frozen=True, slots=True)
class MailPolicySeen:
    """What senders find for *domain* now; an *error* in place of what could not be had."""

    domain: str
    mx: tuple[str, ...] = ()
    sts_txt: tuple[str, ...] = ()
    policy: str | None = None
    tlsrpt_txt: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def parse_policy(text: str) -> StsPolicy:
    """Read the file `mta-sts.txt` (RFC 8461 section 3.2); ValueError says what is wrong."""
    found: dict[str, str] = {}
    mx: list[str] = []
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > _MOST_LINES:
        message = f"it has more than {_MOST_LINES} lines"
        raise ValueError(message)
    for line in lines:
        key, colon, value = line.partition(":")
        if not colon:
            continue
        key, value = key.strip(), value.strip()
        if key == "mx":
            mx.append(value.lower().rstrip("."))
        else:
            found.setdefault(key, value)
    mode, age = found.get("mode", ""), found.get("max_age", "")
    if found.get("version") != "STSv1":
        message = "it does not say 'version: STSv1'"
    elif mode not in MODES:
        message = f"'{mode[:40]}' is no mode"
    elif not (age.isascii() and age.isdecimal() and len(age) <= 10 and int(age) <= LONGEST_AGE_SECONDS):  # noqa: PLR2004
        message = f"'{age[:40]}' is no max_age"
    elif not mx and mode != "none":
        message = "it names no mx"
    else:
        return StsPolicy(mode, tuple(mx), int(age))
    raise ValueError(message)


def policy_text(policy: StsPolicy) -> str:
    """Write the file `mta-sts.txt`."""
    lines = ["version: STSv1", f"mode: {policy.mode}", *(f"mx: {each}" for each in policy.mx)]
    return "\r\n".join([*lines, f"max_age: {policy.max_age_seconds}", ""])


def sts_id(records: Iterable[str]) -> str:
    """Return the id in the TXT records of `_mta-sts` (RFC 8461 section 3.1); ValueError unless there is just one."""
    fields = _fields(_one(records, _STS))
    found = fields.get("id", "")
    if not _ID.fullmatch(found):
        message = f"its id is '{found[:40]}', not 1 to 32 letters and digits"
        raise ValueError(message)
    return found


def report_addresses(records: Iterable[str]) -> tuple[str, ...]:
    """Return the `rua` in the TXT records of `_smtp._tls` (RFC 8460 section 3); ValueError unless there is just one."""
    fields = _fields(_one(records, _TLSRPT))
    found = tuple(each.strip() for each in fields.get("rua", "").split(",") if each.strip())
    if not found:
        message = "it names no address for reports (rua)"
        raise ValueError(message)
    return found


def names_mx(pattern: str, host: str) -> bool:
    """Whether *pattern* of a policy names the MX *host*: a wildcard stands for just one label (section 4.1)."""
    name, wanted = host.rstrip(".").lower(), pattern.rstrip(".").lower()
    if wanted.startswith("*."):
        return name.partition(".")[2] == wanted[2:] and not name.startswith(".")
    return name == wanted


def differences(policy: StsPolicy, wanted: StsPolicy, mx: Iterable[str]) -> Iterator[str]:
    """Yield where a *policy* that is served differs from the one *wanted*, and from the *mx* hosts that DNS has."""
    if policy.mode != wanted.mode:
        yield f"the policy says mode {policy.mode}, the inventory {wanted.mode}"
    if policy.max_age_seconds != wanted.max_age_seconds:
        yield f"the policy says max_age {policy.max_age_seconds}, the inventory {wanted.max_age_seconds}"
    more, less = sorted({*policy.mx} - {*wanted.mx}), sorted({*wanted.mx} - {*policy.mx})
    if more:
        yield f"the policy names mx {', '.join(more)}, the inventory does not"
    if less:
        yield f"the policy lacks mx {', '.join(less)} of the inventory"
    hosts = sorted({each.rstrip(".") for each in mx})
    for host in hosts:
        if policy.mode != "none" and not any(names_mx(pattern, host) for pattern in policy.mx):
            what = "senders refuse to deliver to it" if policy.mode == "enforce" else "senders will report it"
            yield f"MX host {host} is in no mx line of the policy: {what}"
    for pattern in policy.mx:
        if hosts and not any(names_mx(pattern, host) for host in hosts):
            yield f"mx line {pattern} of the policy names no MX host that DNS has"


def _one(records: Iterable[str], version: str) -> str:
    found = [each for each in records if each.partition(";")[0].strip() == version]
    if len(found) != 1:
        message = f"there are {len(found)} TXT records that begin with {version}, and one counts"
        raise ValueError(message)
    return found[0]


def _fields(record: str) -> dict[str, str]:
    pairs = (field.partition("=") for field in record.split(";")[1:])
    return {key.strip(): value.strip() for key, _, value in pairs}

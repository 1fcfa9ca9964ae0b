"""The forms that names and texts of the inventory may have, each with the words that explain it.

The expressions mean the same to pydantic (Rust), to `re` and to an editor that reads the JSON Schema: no look-around,
anchored at both ends.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import shlex
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sslops.model.inventory import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

_LABEL_PATTERN = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_PATH_PART = "[A-Za-z0-9._+@-]+"
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"

DOMAIN = rf"^{_LABEL_PATTERN}(?:\.{_LABEL_PATTERN})*$"
ANY_OR_DOMAIN = rf"^(?:\*|ALL|ANY|{_LABEL_PATTERN}(?:\.{_LABEL_PATTERN})*)$"
NAME = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-])*$"
HOST = rf"^{_HOST_LABEL}(?:\.{_HOST_LABEL})*$"
ADDRESS = r"^[A-Za-z0-9:][A-Za-z0-9:._-]*$"
ENDPOINT = r"^[A-Za-z0-9:\[][A-Za-z0-9:.\[\]-]*$"
USER = r"^[A-Za-z_][A-Za-z0-9_.-]*$"
ABSOLUTE = rf"^(?:/{_PATH_PART})+$"
RELATIVE = rf"^{_PATH_PART}(?:/{_PATH_PART})*$"
ANY_FILE = rf"^/?{_PATH_PART}(?:/{_PATH_PART})*$"
WEB_ADDRESS = r"^https://[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]*(?:/[A-Za-z0-9._~%+-]*)*$"
FORGE_URL = WEB_ADDRESS.replace("https:", "https?:")
BRANCH = r"^[A-Za-z0-9_][A-Za-z0-9._+@-]*(?:/[A-Za-z0-9._+@-]+)*$"
LINE = rf"^[^{_UNSEEN}]*$"
WORDS = rf"^[^{_UNSEEN}]*[^{_UNSEEN}\s][^{_UNSEEN}]*$"
IDENTITY = rf"^[^{_UNSEEN}<>\s](?:[^{_UNSEEN}<>]*[^{_UNSEEN}<>\s])?$"
COUNTRY = "^(?:[A-Z]{2})?$"
KEY_MODE = "^0[46][04]0$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$"
TLSA_ISSUER = r"^[01] (?:0 (?:[0-9a-f]{2}){16,4096}|1 [0-9a-f]{64}|2 [0-9a-f]{128})$"
DAYS = r"^[0-9]{1,5}(?:\.[0-9]{1,6})?$"
GIT_URL = (
    r"^(?:(?:https?|ssh|git|file)://[^\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]*"
    r"|/[^\x00-\x1f\x7f]*"
    r"|(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:/?[^:/\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]*)$"
)

MX_PATTERN = rf"^(?:\*\.)?(?:{_LABEL_PATTERN}\.)+{_LABEL_PATTERN}$"
STS_ID = "^[0-9A-Za-z]{1,32}$"
REPORT_ADDRESS = "^(?:mailto:[0-9A-Za-z._+=-]+@[0-9A-Za-z.-]+|https://[0-9A-Za-z._~:/?=&%+-]+)$"

PHRASES = {
    MX_PATTERN: "a host name in lower case, or '*.' and a domain",
    STS_ID: "1 to 32 letters and digits",
    REPORT_ADDRESS: "'mailto:' and an address, or an https:// address",
    DOMAIN: "a domain name in lower case (an international one in its 'xn--' form)",
    ANY_OR_DOMAIN: "a domain name in lower case, or 'any'",
    NAME: "a name of letters, digits, '-', '_' and single dots that begins with a letter or digit",
    HOST: "a host name of letters, digits, '-', '_' and dots",
    ADDRESS: "an IP address, a host name, or 'local'",
    ENDPOINT: "an IP address with an optional port, as '192.0.2.1:53' or '[2001:db8::1]:53'",
    USER: "a user or group name",
    ABSOLUTE: "an absolute path of letters, digits and '._+@-'",
    RELATIVE: "a path below the repository's top, of letters, digits and '._+@-'",
    ANY_FILE: "a path of letters, digits and '._+@-', absolute or below the repository's top",
    WEB_ADDRESS: "an https:// address without credentials and query",
    FORGE_URL: "an https:// (or http://) address without credentials and query",
    BRANCH: "a branch name of letters, digits and '._+@-/'",
    LINE: "one line of text without control characters",
    WORDS: "one line of text, not empty, without control characters",
    IDENTITY: "one line of text without '<', '>' and control characters",
    COUNTRY: "a country code of two capital letters",
    KEY_MODE: 'one of "0400", "0440", "0600", "0640"',
    MOMENT: "a day as '2026-12-01' or a moment as '2026-12-01T08:00:00Z' (UTC)",
    TLSA_ISSUER: "'selector match data' of a TLSA record, the data in lower-case hex, as '1 1 <64 digits>'",
    DAYS: "a number of days",
    GIT_URL: "the URL of a git repository (https, ssh, file, user@host:path, or an absolute path)",
}


LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_NUMERIC = re.compile(r"[0-9]+\Z")
_BRACKETED = re.compile(r"\[(?P<address>[0-9A-Fa-f:.]+)\](?::(?P<port>[0-9]{1,5}))?\Z")


@functools.lru_cache(maxsize=4096)
def subject_name(text: str) -> str:
    """Return the SAN *text* as the certificate has it: an IP address in its shortest form, a DNS name in A-labels.

    A wildcard stands alone and leftmost (RFC 6125 section 6.4.3). ValueError says what is wrong with any other text.
    """
    address = ip_address(text)
    if address is not None:
        return address
    wildcard = text.startswith("*.")
    name = dns_name(text.removeprefix("*."))
    if wildcard and "." not in name:
        message = "a wildcard needs two labels after it at least"
        raise ValueError(message)
    return f"*.{name}" if wildcard else name


def dns_name(text: str) -> str:
    """Return *text* as a host name in lower-case A-labels (RFC 5891), without a final dot; ValueError otherwise."""
    name = text.lower() if text.isascii() else _a_labels(text)
    if len(name) > LONGEST_NAME:
        message = f"it is longer than {LONGEST_NAME} characters"
        raise ValueError(message)
    labels = name.split(".")
    for label in labels:
        _refuse_label(label)
    if _NUMERIC.match(labels[-1]):
        message = "its last label is a number, and it is no IP address"
        raise ValueError(message)
    return name


def ip_address(text: str) -> str | None:
    """Return *text* as an IP address in its shortest form; null when it is none. ValueError for a network."""
    if "/" in text:
        message = "it is a network or a path, not a name"
        raise ValueError(message)
    if ":" not in text and not text[-1:].isdigit():
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        message = "an address with a scope means something on one machine only"
        raise ValueError(message)
    return str(address)


def machine(text: str) -> str:
    """Return *text*, an IP address in its shortest form; ValueError when it looks like an address and is none."""
    looks_numeric = ":" in text or text.replace(".", "").isdigit()
    address = ip_address(text)
    if looks_numeric and address is None:
        message = "it is no IP address"
        raise ValueError(message)
    return address or text


def endpoint(text: str, default_port: int = 53) -> Endpoint:
    """Read `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`; ValueError otherwise."""
    bracketed = _BRACKETED.match(text)
    if bracketed:
        host, port = bracketed["address"], bracketed["port"]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    address = ip_address(host)
    number = default_port if port is None else int(port) if _NUMERIC.match(port) else 0
    if address is None or not 0 < number < 65536:  # noqa: PLR2004
        message = "it is no IP address with an optional port"
        raise ValueError(message)
    return Endpoint(address, number)


def words(command: str) -> tuple[str, ...]:
    """Split *command* like a shell would; ValueError when a quote is not closed, nothing is left, or it needs a shell.

    >>> words("/usr/bin/systemctl reload 'my unit'")
    ('/usr/bin/systemctl', 'reload', 'my unit')
    """
    try:
        parts = tuple(shlex.split(command))
    except ValueError as error:
        message = f"it cannot be split into words: {str(error).lower()}"
        raise ValueError(message) from error
    if not parts or not parts[0]:
        message = "it names no program"
        raise ValueError(message)
    if parts[0].startswith("-"):
        message = "a program's name does not begin with '-'"
        raise ValueError(message)
    shell = _shell_syntax(command)
    if shell is None and _ASSIGNMENT.match(parts[0]):
        shell = parts[0]
    if shell is not None:
        message = f"'{shell}' is for a shell, and none runs it"
        refused = ValueError(message)
        refused.add_note("a list of commands runs them one after the other; sh -c '...' runs a shell")
        raise refused
    return parts


def commands(written: str | list[str] | None) -> tuple[tuple[str, ...], ...]:
    """Return the commands that one text or a list of texts holds, each split into words; an empty text is none."""
    texts = [written] if isinstance(written, str) else written or []
    return tuple(words(text) for text in texts if text.strip())


def folder(text: str) -> str:
    """Return a folder of a repository without a './' before it, '.' for its top; ValueError when it leads elsewhere."""
    inner = text.removeprefix("./") if text != "." else text
    if inner != "." and any(part in {".", "..", ".git"} for part in inner.split("/")):
        message = "a part of it is '.', '..' or '.git'"
        raise ValueError(message)
    return inner


def _shell_syntax(command: str) -> str | None:
    """Return what of *command* only a shell would understand, outside of quotes and not escaped; null for nothing."""
    found = _SHELL.search(_QUOTED.sub(lambda quoted: "x" * len(quoted[0]), command))
    return None if found is None else found[0]


_QUOTED = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.""")
_SHELL = re.compile(r"&&|\|\||>>|<<|[;&|<>`]|\$[A-Za-z_{(]")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def is_below(name: str, groups: Iterable[str]) -> bool:
    """Whether *name*, a wildcard or not, is one of the apexes *groups*, or below one.

    >>> is_below("*.example.com", ["example.com"]), is_below("badexample.com", ["example.com"])
    (True, False)
    """
    bare = name.lower().removeprefix("*.")
    return any(bare == group or bare.endswith(f".{group}") for group in groups)


def moment(text: str) -> datetime:
    """Read a day (its beginning, UTC) or a moment `2026-12-01T08:00:00Z`; ValueError when the calendar has none."""
    form = "%Y-%m-%d" if "T" not in text else "%Y-%m-%dT%H:%M:%SZ"
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError as error:
        message = "no calendar has it"
        raise ValueError(message) from error


def _refuse_label(label: str) -> None:
    if _LABEL.match(label) is None:
        _say_what_is_wrong(label)
    if label[2:4] == "--":
        _refuse_fake_a_label(label)


def _say_what_is_wrong(label: str) -> None:
    if not label:
        message = "it has an empty label; names are absolute here without a dot at their end"
    elif len(label) > 63:  # noqa: PLR2004  (RFC 1035 section 2.3.4)
        message = "it has a label longer than 63 characters"
    elif "*" in label:
        message = "a wildcard stands alone and leftmost, as '*.example.com'"
    else:
        message = "a label is letters, digits and inner '-' only"
    raise ValueError(message)


@functools.lru_cache(maxsize=1024)
def _refuse_fake_a_label(label: str) -> None:
    import idna

    try:
        idna.ulabel(label)
    except (idna.IDNAError, UnicodeError) as error:
        message = f"'{label}' is not the form of an international label"
        raise ValueError(message) from error


@functools.lru_cache(maxsize=1024)
def _a_labels(text: str) -> str:
    import idna

    try:
        return idna.encode(unicodedata.normalize("NFC", text.lower()), strict=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        message = "IDNA 2008 does not allow it"
        raise ValueError(message) from error

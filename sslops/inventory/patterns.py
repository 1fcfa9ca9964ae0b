"""The forms that names and texts of the inventory may have, each with the words that explain it.

The expressions mean the same to pydantic (Rust), to `re` and to an editor that reads the JSON Schema: no look-around,
anchored at both ends.
"""

from __future__ import annotations

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_PATH_PART = "[A-Za-z0-9._+@-]+"
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"

DOMAIN = rf"^{_LABEL}(?:\.{_LABEL})*$"
ANY_OR_DOMAIN = rf"^(?:\*|ALL|ANY|{_LABEL}(?:\.{_LABEL})*)$"
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

PHRASES = {
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

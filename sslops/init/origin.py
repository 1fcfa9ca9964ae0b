"""Where the jobs of a new repository get sslops from: the place that this one came from, never a mere name.

A name that nobody has registered on an index belongs to whoever registers it first, and the jobs hold secrets. So a
version is pinned by name only where an installer got it by name; else by the commit or the hash that pip wrote down
(PEP 610).

>>> requirement(None, "1.2.0")
'sslops[all]==1.2.0'
>>> requirement('{"url": "file:///home/me/sslops", "dir_info": {}}', "1.2.0")
"""

from __future__ import annotations

import json
import re
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit, urlunsplit

NAME = "sslops[all]"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def installed_from() -> str | None:
    """Return the `direct_url.json` of the sslops that runs; null where it came from an index, or is not installed."""
    try:
        return metadata.distribution("sslops").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None


def requirement(direct_url: str | None, version: str) -> str | None:
    """Return the line of `.ci/requirements.txt` for an sslops that was installed as *direct_url* says (JSON, or null).

    Null: it came from a folder of this machine, or from a file without a hash, which no job can be told to use.
    """
    if direct_url is None:
        return f"{NAME}=={version}"
    try:
        said = json.loads(direct_url)
    except ValueError:
        return None
    url = _without_user(said.get("url")) if isinstance(said, dict) else None
    if url is None:
        return None
    commit = _inner(said, "vcs_info").get("commit_id")
    if isinstance(commit, str) and _COMMIT.fullmatch(commit):
        return f"{NAME} @ git+{url}@{commit}"
    hashes = _inner(said, "archive_info").get("hashes")
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    if isinstance(digest, str) and _SHA256.fullmatch(digest):
        return f"{NAME} @ {url}#sha256={digest}"
    return None


def _inner(said: dict[str, Any], key: str) -> dict[str, Any]:
    found = said.get(key)
    return found if isinstance(found, dict) else {}


def _without_user(url: object) -> str | None:
    """Return an https address without its credentials; null for any other, which a job could not reach or trust."""
    if not isinstance(url, str) or any(letter.isspace() for letter in url):
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="", query=""))

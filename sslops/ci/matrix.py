"""Shards as each forge takes them: outputs of a GitHub job, a child pipeline of GitLab, or plain JSON.

>>> print(as_github((("example.com",), ("example.net", "ca")), ((),)))
renew=["example.com", "example.net ca"]
deploy=[""]
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Shards = Sequence[Sequence[str]]

_VARIABLES = {"renew": "SSLOPS_RENEW_TARGETS", "deploy": "SSLOPS_DEPLOY_HOSTS"}
"""Verb to the variable that takes a shard, its words apart by spaces."""


def as_json(renew: Shards, deploy: Shards) -> str:
    """Return `{renew: [[group, ...], ...], deploy: [[host, ...], ...]}`."""
    return json.dumps({"renew": [list(each) for each in renew], "deploy": [list(each) for each in deploy]}, indent=2)


def as_github(renew: Shards, deploy: Shards) -> str:
    """Return lines for `$GITHUB_OUTPUT`, each a JSON list for `fromJSON` in a matrix."""
    return "\n".join(f"{verb}={json.dumps(_words(shards))}" for verb, shards in (("renew", renew), ("deploy", deploy)))


def as_gitlab(renew: Shards, deploy: Shards) -> str:
    """Return a child pipeline: JSON, which is YAML too, so that no name can say more than a name."""
    jobs = {verb: _job(verb, shards) for verb, shards in (("renew", renew), ("deploy", deploy))}
    settings = {
        "stages": ["renew", "deploy"],
        "default": {"image": "python:3.13-bookworm", "before_script": [".ci/sslops --version"]},
        "variables": {"GIT_DEPTH": "0", "FF_GIT_URLS_WITHOUT_TOKENS": "true"},
    }
    return json.dumps({**settings, **jobs}, indent=2)


FORMS: Mapping[str, Callable[[Shards, Shards], str]] = {"json": as_json, "github": as_github, "gitlab": as_gitlab}
"""Word of `--matrix` to what writes it."""


def _job(verb: str, shards: Shards) -> dict[str, object]:
    return {
        "stage": verb,
        "timeout": "1 hour",
        "environment": {"name": verb, "action": "access"},
        "parallel": {"matrix": [{_VARIABLES[verb]: _words(shards)}]},
        "script": [f".ci/sslops {verb} --apply"],
    }


def _words(shards: Shards) -> list[str]:
    return [" ".join(each) for each in shards]

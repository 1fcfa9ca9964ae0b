"""A fleet's shards: within the limits of the forges, never empty, and nothing is lost or done twice."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sslops.app.shards import MOST_SHARDS, matrix, split
from sslops.ci.matrix import as_github, as_gitlab, as_json
from sslops.model.plan import Action, Plan, Verb

NAMES = st.lists(st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True), max_size=600)


@given(NAMES, st.integers(1, MOST_SHARDS))
def test_every_name_is_in_one_shard(names: list[str], limit: int) -> None:
    """Each once, in no more shards than a forge takes, and none much larger than another."""
    shards = split(names, limit)
    sizes = [len(shard) for shard in shards]

    assert sorted(set(names)) == sorted(chain(*shards))
    assert 1 <= len(shards) <= limit
    assert max(sizes) - min(sizes) <= 1


def test_a_plan_is_dealt_out_by_group_and_by_host() -> None:
    """What can be done now; what waits needs no job."""
    plan = Plan(
        (
            Action(Verb.RENEW, "example.com", "mail-ec", "issue", "due"),
            Action(Verb.RENEW, "example.com", "web-ec", "issue", "due"),
            Action(Verb.DEPLOY, "example.com", "web-ec", "serve", "rolled", targets=("web2", "web1")),
        )
    )
    found = matrix(plan)

    assert ((("example.com",),), (("web1",), ("web2",))) == (found.renew, found.deploy)


def test_github_gets_outputs() -> None:
    """A line for each output, and a list that `fromJSON` reads; nothing to do is one job over everything."""
    lines = as_github((("a.example", "b.example"),), ((),)).splitlines()

    assert {"renew": ["a.example b.example"], "deploy": [""]} == {
        name: json.loads(value) for name, value in (line.split("=", 1) for line in lines)
    }


def test_gitlab_gets_a_child_pipeline_that_fits_the_schema(tmp_path: Path) -> None:
    """Even for the largest fleet it is far below the 5 MB that GitLab takes."""
    shards = split([f"host{number}.internal.example.com" for number in range(5000)])
    (tmp_path / "child.yml").write_text(as_gitlab(shards, shards))
    checker = Path(sys.executable).parent / "check-jsonschema"
    words: list[str | Path] = [checker, "--builtin-schema", "vendor.gitlab-ci", tmp_path / "child.yml"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout
    assert (tmp_path / "child.yml").stat().st_size < 1_000_000


def test_a_program_gets_lists() -> None:
    """Shards of names."""
    assert {"renew": [["a"]], "deploy": [[]]} == json.loads(as_json((("a",),), ((),)))

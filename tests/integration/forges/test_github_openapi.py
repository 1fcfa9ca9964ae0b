"""What the client asks of GitHub, and what it reads of the answers, by GitHub's own description of its API."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from sslops.proposals.forges import rest
from sslops.proposals.forges.protection import EngineBranch
from tests.forge.conformance import LIVES, Life, tried
from tests.integration.forges.test_conformance import Beside
from tests.world.ops import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import requests

    from tests.integration.forges.bench import Bench
    from tests.world.forge.calls import Call

DESCRIPTION: Path = PROJECT / ".venv/github-openapi/api.github.com.json"
Schema = dict[str, Any]


class Api:
    """The description: finds the operation of a call, and follows the references of a schema."""

    def __init__(self) -> None:
        """Read it; skips, and fails in CI, when it is not installed."""
        if not DESCRIPTION.exists():
            message = "tools/install-github-openapi puts GitHub's description of its API into .venv"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        self._document: Schema = json.loads(DESCRIPTION.read_text())
        # A branch or a ref has slashes, percent-encoded or not.
        self._paths = {
            name: re.compile(re.sub(r"\{\w+\}", "[^/]+", re.sub(r"\{(ref|branch)\}", ".+", name)))
            for name in self._document["paths"]
        }

    def operation(self, method: str, path: str) -> Schema | None:
        """Return what answers *method* on *path*, the longest path first; null when nothing does."""
        found = [
            (-len(re.sub(r"\{\w+\}", "", name)), self._document["paths"][name][method.lower()])
            for name, pattern in self._paths.items()
            if pattern.fullmatch(path) and method.lower() in self._document["paths"][name]
        ]
        return min(found, key=lambda one: one[0])[1] if found else None

    def solid(self, schema: Schema) -> Schema:
        """Return *schema* with its reference followed."""
        while "$ref" in schema:
            found: Any = self._document
            for name in schema["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            schema = found
        return schema

    def alternatives(self, schema: Schema) -> Iterator[Schema]:
        """Yield *schema* without its alternatives, and each of those."""
        solid = self.solid(schema)
        yield solid
        for key in ("anyOf", "oneOf", "allOf"):
            for each in solid.get(key, ()):
                yield from self.alternatives(each)

    def field(self, schema: Schema, name: str) -> list[Schema]:
        """Return the schemas that field *name* (`[]`: an element) may have in a value of *schema*."""
        found = []
        for each in self.alternatives(schema):
            if name == "[]" and "items" in each:
                found.append(each["items"])
            if name in each.get("properties", {}):
                found.append(each["properties"][name])
            elif isinstance(each.get("additionalProperties"), dict) and name != "[]":
                found.append(each["additionalProperties"])
        return found

    def answer(self, operation: Schema) -> Schema | None:
        """Return the schema of a good answer; null for one without content."""
        for status, answer in sorted(operation["responses"].items()):
            content = self.solid(answer).get("content", {})
            if status.startswith("2") and "application/json" in content:
                found: Schema = content["application/json"]["schema"]
                return found
        return None


class Seen(dict[str, Any]):
    """A table of an answer that notes every field that is read, by its path."""

    def __init__(self, content: dict[str, Any], above: str, noted: set[str]) -> None:
        """Note below *above*."""
        super().__init__(content)
        self._above, self._noted = above, noted

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field, and note it."""
        self._noted.add(f"{self._above}.{key}")
        return seen(super().get(key, default), f"{self._above}.{key}", self._noted)

    def __getitem__(self, key: str) -> Any:
        """Return a field, and note it."""
        return self.get(key)


def seen(content: Any, above: str, noted: set[str]) -> Any:
    """Return *content* with notes taken of what is read of it."""
    if isinstance(content, dict):
        return Seen(content, above, noted)
    if isinstance(content, list):
        return [seen(each, f"{above}.[]", noted) for each in content]
    return content


def test_every_call_and_every_field_is_in_githubs_description(
    start_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths, queries, bodies and all that is read, over the whole life of requests."""
    api, bench = Api(), start_bench("github")
    read: dict[str, set[str]] = {}
    plain = rest._content

    def noting(response: requests.Response) -> Any:
        path = re.sub(r"^.*/api/v3", "", response.url.partition("?")[0])
        noted = read.setdefault(f"{response.request.method} {path}", set())
        return seen(plain(response), "", noted)

    monkeypatch.setattr(rest, "_content", noting)
    client = bench.client()
    for one in LIVES:
        assert tried(Life(Beside(bench), client, lambda _: None), one) is None
    client.api.standing("main", (EngineBranch("sslops/tlsa"),))

    unknown = [name for call in _rest_calls(bench) for name in _unknown(api, call)]
    assert [] == sorted(set(unknown))
    assert [] == sorted(set(_unread(api, read)))
    assert 40 < sum(len(fields) for fields in read.values())


def _rest_calls(bench: Bench) -> list[Call]:
    """Return the calls that are not about GraphQL, which executes them against GitHub's own schema."""
    return [call for call in bench.forge.calls if "graphql" not in call.path and "PullRequest" not in call.path]


def _unknown(api: Api, call: Call) -> Iterator[str]:
    """Yield what of a call the description does not have."""
    operation = api.operation(call.method, call.path)
    if operation is None:
        yield f"{call.method} {call.path}"
        return
    known = {api.solid(each)["name"] for each in operation.get("parameters", ())}
    yield from (f"{call.said}: query {name}" for name in call.query if name not in known)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    yield from (f"{call.said}: body {name}" for name in call.body if not api.field(body, name))


def _unread(api: Api, read: dict[str, set[str]]) -> Iterator[str]:
    """Yield the fields that were read and that no good answer is described to have."""
    for call, fields in read.items():
        method, _, path = call.partition(" ")
        operation = api.operation(method, path)
        schema = api.answer(operation) if operation else None
        for path_of_field in fields if schema else ():
            found = [schema]
            for name in path_of_field.split(".")[1:]:
                found = [each for one in found if one is not None for each in api.field(one, name)]
            if not found:
                yield f"{call}: {path_of_field}"

"""The JSON Schemas of the inventory's files: kept with the example, printed by `sslops schema`, made by pydantic.

`text` reads what is kept and needs no pydantic; `generate` is what it must equal, and a test holds that.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslops.inventory.shape import compile_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES = ("sslops", "cas", "service")
"""The three kinds of file: `sslops.yaml`, `cas.yaml`, and every service's."""

IN_INVENTORY = "inventory/.schema"
"""Where an ops repository keeps them for its editors."""

_FOLDER = Path(__file__).with_name("example") / ".schema"


def text(name: str) -> str:
    """Return the JSON Schema *name* (one of `NAMES`) as text that ends in a newline."""
    return (_FOLDER / f"{name}.json").read_text(encoding="utf-8")


def texts() -> str:
    """Return all of them as one JSON object by name, as text that ends in a newline."""
    return json.dumps({name: schema(name) for name in NAMES}, indent=2) + "\n"


@functools.cache
def schema(name: str) -> Mapping[str, Any]:
    """Return the JSON Schema *name* as a value."""
    return json.loads(text(name))  # type: ignore[no-any-return]


@functools.cache
def fits(name: str) -> Callable[[object], bool]:
    """Return the question whether a value has the shape of schema *name*."""
    return compile_schema(schema(name))


def generate() -> Mapping[str, str]:
    """Return every schema as pydantic has it now, by name."""
    from sslops.inventory.explain import model

    return {
        name: json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidy(model(name).model_json_schema())},
            indent=2,
            ensure_ascii=True,
        )
        + "\n"
        for name in NAMES
    }


def write(folder: Path) -> tuple[Path, ...]:
    """Write every schema as `<name>.json` into *folder*, which is made when it is not there; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = tuple(folder / f"{name}.json" for name in NAMES)
    for name, file in zip(NAMES, files, strict=True):
        file.write_text(text(name), encoding="utf-8")
    return files


def stale(top: Path) -> tuple[str, ...]:
    """Return the schemas in the ops repository at *top* that are of another release, sorted; its editors go by them."""
    kept = ((top / IN_INVENTORY / f"{name}.json", text(name)) for name in sorted(NAMES))
    return tuple(
        f"{IN_INVENTORY}/{file.name}" for file, ours in kept if file.is_file() and file.read_text("utf-8") != ours
    )


def _tidy(value: Any) -> Any:  # noqa: ANN401  (JSON)
    """Leave away what no reader needs: titles that repeat the name, and defaults that say nothing."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    tidy = {
        key: {name: _tidy(each) for name, each in inner.items()} if key in {"properties", "$defs"} else _tidy(inner)
        for key, inner in value.items()
        if not (key == "title" and isinstance(inner, str)) and not (key == "default" and _says_nothing(inner))
    }
    return {**tidy, "additionalProperties": False} if "patternProperties" in tidy else tidy


def _says_nothing(default: object) -> bool:
    return default is None or isinstance(default, list | dict)

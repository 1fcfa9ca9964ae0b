"""What the tables of the schema are made of: the strict base of every table, and the named kinds of text.

Only the modules `schema_*` and `explain` use pydantic, and they are imported only to explain a fault or to write the
JSON Schemas anew; see `shape`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from sslops.inventory import patterns

TEXT, LIST, TABLE = "<text>", "<list>", "<table>"
"""How a value was written, where several ways are good. Angle brackets keep them apart from keys of the file."""


class Table(BaseModel):
    """A table of the inventory: unknown keys and values of another type are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


def form(value: object) -> str | None:
    """Return how *value* was written; null when it is neither text nor list nor table."""
    return next((name for kind, name in ((str, TEXT), (list, LIST), (dict, TABLE)) if isinstance(value, kind)), None)


def either(what: str) -> Discriminator:
    """Choose between several forms of a value by how it is written; *what* names the forms in the error."""
    return Discriminator(form, custom_error_type="form", custom_error_message=f"must be {what}")


Domain = Annotated[str, Field(pattern=patterns.DOMAIN, max_length=253)]
AnyOrDomain = Annotated[str, Field(pattern=patterns.ANY_OR_DOMAIN, max_length=253)]
Name = Annotated[str, Field(pattern=patterns.NAME, max_length=64)]
HostName = Annotated[str, Field(pattern=patterns.HOST, max_length=253)]
Address = Annotated[str, Field(pattern=patterns.ADDRESS, max_length=253)]
ServerAndPort = Annotated[str, Field(pattern=patterns.ENDPOINT, max_length=64)]
User = Annotated[str, Field(pattern=patterns.USER, max_length=32)]
Absolute = Annotated[str, Field(pattern=patterns.ABSOLUTE, max_length=1024)]
Relative = Annotated[str, Field(pattern=patterns.RELATIVE, max_length=1024)]
AnyFile = Annotated[str, Field(pattern=patterns.ANY_FILE, max_length=1024)]
WebAddress = Annotated[str, Field(pattern=patterns.WEB_ADDRESS, max_length=1024)]
Branch = Annotated[str, Field(pattern=patterns.BRANCH, max_length=200)]
Line = Annotated[str, Field(pattern=patterns.LINE, max_length=1024)]
Words = Annotated[str, Field(pattern=patterns.WORDS, max_length=1024)]
Identity = Annotated[str, Field(pattern=patterns.IDENTITY, max_length=200)]
Moment = Annotated[str, Field(pattern=patterns.MOMENT)]
GitUrl = Annotated[str, Field(pattern=patterns.GIT_URL, max_length=1024)]
ForgeUrl = Annotated[str, Field(pattern=patterns.FORGE_URL, max_length=1024)]

PortNumber = Annotated[int, Field(ge=1, le=65535)]
DayCount = Annotated[int, Field(ge=1, le=36500)]
Days = Annotated[float, Field(ge=0, le=36500)]
Minutes = Annotated[int, Field(ge=0, le=100_000)]
Merge = Literal["auto", "review"]
Forge = Literal["none", "gitlab", "github", "forgejo"]
Knots = dict[Annotated[str, Field(pattern=patterns.DAYS)], Annotated[float, Field(ge=-36500, le=36500)]]

Commands = Annotated[
    Annotated[Words, Tag(TEXT)] | Annotated[list[Words], Field(min_length=1), Tag(LIST)],
    either("a command or a list of commands"),
]


class HoldTable(Table):
    """Keeps the bot away, visibly."""

    reason: Words
    """Why; status shows it."""
    until: Moment | None = None
    """The hold ends at this moment (a day: when it begins, UTC); without it, when a person removes the hold."""

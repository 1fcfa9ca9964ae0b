"""The parts of sslops that are installed on request, each an extra of the package, and what to say without one.

>>> require("forge")
>>> missing("acme")
()
"""

from __future__ import annotations

from importlib.util import find_spec

from sslops.errors import SslopsError

EXTRAS = {"acme": ("acme", "josepy", "requests"), "forge": ("requests",)}
"""The modules that each extra brings, by its name in pyproject.toml."""
_FOR = {"acme": "ACME servers", "forge": "the API of a forge"}


def missing(extra: str) -> tuple[str, ...]:
    """Return the modules of *extra* that are not installed."""
    return tuple(module for module in EXTRAS[extra] if find_spec(module) is None)


def command(extra: str) -> str:
    """Return what installs *extra*."""
    return f"pip install 'sslops[{extra}]'"


def require(extra: str) -> None:
    """Do nothing where *extra* is installed; SslopsError, which says how to install it, otherwise."""
    absent = missing(extra)
    if absent:
        names = ", ".join(f"'{each}'" for each in absent)
        raise SslopsError(f"{_FOR[extra]} cannot be spoken to: {names} is not installed", hint=command(extra))

"""Write the JSON Schemas of the inventory anew, as the tables in `sslops/inventory/schema_*.py` have them now.

They go to the shipped example and to the project's own `inventory/`; a test fails when either is stale. Run by
`make docs`.
"""

from __future__ import annotations

from pathlib import Path

from sslops.inventory import validation as schemas

PROJECT = Path(__file__).parents[1]
FOLDERS = (PROJECT / "sslops/inventory/example/.schema", PROJECT / schemas.IN_INVENTORY)


def main() -> None:
    """Write every schema to every folder."""
    for name, text in schemas.generate().items():
        for folder in FOLDERS:
            (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

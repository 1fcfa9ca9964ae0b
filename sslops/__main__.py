"""Be the program `sslops`: as a command, and with `python -m sslops`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Take the secrets out of the environment, then load and run the command line.

    Who asks for help gets a file that `make docs` writes: loading what could write it takes longer than Python's start.
    """
    if sys.argv[1:] in (["--help"], ["-h"]) and _show_help():
        return
    from sslops.system.own_environment import take_secrets

    take_secrets()
    from sslops.cli.main import main as run

    run()


def _show_help() -> bool:
    """Print the page, and whether it could be printed; where not, the command line knows what to say."""
    page = os.path.join(os.path.dirname(__file__), "cli", "help.txt")  # noqa: PTH118, PTH120
    try:
        with open(page, encoding="utf-8") as file:  # noqa: PTH123
            sys.stdout.write(file.read())
        sys.stdout.flush()
    except (AttributeError, OSError, UnicodeError):
        return False
    return True


if __name__ == "__main__":
    main()

"""Be the program `sslops`: as a command, and with `python -m sslops`."""

from __future__ import annotations

from sslops.system.own_environment import take_secrets


def main() -> None:
    """Take the secrets out of the environment, then load and run the command line."""
    take_secrets()
    from sslops.cli.main import main as run

    run()


if __name__ == "__main__":
    main()

"""Run sslops with `python -m sslops`."""

from sslops.cli import main

main()

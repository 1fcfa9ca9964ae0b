"""Run sslops with `python -m sslops`."""

from __future__ import annotations

from sslops.cli.main import main

main()

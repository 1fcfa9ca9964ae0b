# Everything a person or a CI job runs. `make help` lists it; docs/development.md says more.

PYTHON ?= python3
ARGS ?=
# Half of its time a test waits for servers, so two processes would leave two processors idle.
WORKERS ?= 4
MINUTES ?= 30
NOT_LIVE = printf '\n!!! NOT RUN: DANE on real servers (tests.system.live_soak), since postfix needs root: sudo make soak\n\n' >&2
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help demo quick test soak drift lint format types docs docs-check check audit release bench clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name what; do printf '%-11s %s\n' "$$name" "$$what"; done

demo: .venv/for-use ## the whole loop in a throw-away world
	.venv/bin/sslops demo $(ARGS)

test: .venv/for-development ## every test, against real servers; ARGS='tests/observe -k lame' narrows it
	@tools/install-debian-packages
	@tools/install-pebble
	@tools/install-gitlab-ci-local
	@tools/install-github-openapi
	.venv/bin/pytest -n $(WORKERS) --maxschedchunk 1 $(ARGS)

quick: .venv/for-development ## the tests that need no server, in under a minute
	.venv/bin/pytest -n 2 tests/unit sslops $(ARGS)

soak: .venv/for-development ## the long rows that `make test` has a part of, then DANE by chance for MINUTES=30, and a third of it live
	@tools/install-debian-packages
	@tools/install-debian-packages apache2 haproxy lighttpd lighttpd-mod-openssl
	@tools/install-exim
	@tools/install-pebble
	.venv/bin/pytest -n $(WORKERS) --maxschedchunk 1 -o faulthandler_timeout=3600 -m soak $(ARGS)
	.venv/bin/python -m tests.system.acme_soak
	@if [ "$$(id -u)" -eq 0 ]; then \
		minutes="$$(awk 'BEGIN { print $(MINUTES) / 3 }')"; \
		.venv/bin/python -m tests.system.live_soak "$$minutes" $(SEED); \
	else $(NOT_LIVE); fi
	nice -n 19 .venv/bin/python -m tests.proof.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))
	@[ "$$(id -u)" -eq 0 ] || $(NOT_LIVE)

drift: .venv/for-development ## take every check of the DANE rules out of the code, one after the other; the search must miss each
	nice -n 19 .venv/bin/python -m tests.proof.drift $(if $(SEED),--seed $(SEED)) $(ARGS)

lint: .venv/for-development ## ruff: what it finds, and whether the format is its own
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/for-development ## let ruff repair what it can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types: .venv/for-development ## mypy --strict
	.venv/bin/mypy

docs: .venv/for-development ## write the JSON Schemas and the generated parts of README.md and docs/
	.venv/bin/python tools/schemas.py
	.venv/bin/python tools/docs.py

docs-check: .venv/for-development ## fail when a generated part is stale
	.venv/bin/python tools/docs.py --check

check: ## the gate: test, lint, types, docs-check
	.ci/run

audit: .venv/for-use ## what is known of weaknesses in what sslops installs; asks PyPI
	.venv/bin/python -m pip install -q 'pip-audit>=2.9'
	.venv/bin/pip-audit --skip-editable

release: .venv/for-use ## wheel, source, lock and bill of materials into dist/; URL= is where the wheel will be
	.venv/bin/python tools/release.py "$(URL)"

bench: .venv/for-development ## time the verbs and print the table; ARGS=acme is the part with certbot beside it
	@tools/install-pebble
	.venv/bin/python -m benchmarks $(ARGS)

clean: ## remove the virtual environment and every cache
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sslops needs Python 3.11 or newer")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3 has no venv: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/for-use: .venv/bin/python pyproject.toml
	.venv/bin/python -m pip install -q -e '.[all]'
	@touch $@

.venv/for-development: .venv/bin/python pyproject.toml
	.venv/bin/python -m pip install -q -e '.[dev]'
	@touch $@ .venv/for-use

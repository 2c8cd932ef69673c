# Two commands matter: `make demo` and `make test`. Both start from nothing but python3 (with venv), pip and make:
# they build .venv beside this file and use the programs in it. The others are for whoever changes gatekeeper.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Passed on to the program: make demo ARGS=--headless, make test ARGS='tests/core -x'
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types check compiled bench clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/.run ## two real backends, gatekeeper between, a release and a rollback: see it happen
	$(BIN)/gatekeeper demo $(ARGS)

test: $(VENV)/.dev ## every test; those that need a program this machine lacks are skipped, and say so
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

check: lint types test ## what must pass before a change is proposed

# The switch also tells the tests that they are to run on compiled modules, and to fail if there are none.
compiled: export GATEKEEPER_COMPILE = 1
compiled: $(VENV)/.dev ## the traffic path as machine code, into build/compiled, and its tests on that
	rm -rf build/compiled
	$(PIP) install --no-deps --target build/compiled .
	$(BIN)/python -m pytest -o pythonpath="build/compiled ." tests/test_compiled.py tests/http1 tests/core tests/dataplane $(ARGS)

bench: $(VENV)/.dev ## cost beside nginx, HAProxy, Envoy and Caddy: three hours without ARGS, see benchmarks/README.md
	$(BIN)/python -m benchmarks.proxies $(ARGS)

clean: ## forget the environment and every cache
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Stamps: what is installed follows pyproject.toml. .dev contains all of .run, so building it marks both as done.
$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --editable '.[dev]'
	@touch $(VENV)/.run $@

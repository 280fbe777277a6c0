# One vocabulary for people, CI and hooks. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# Lists that make can't know of: `make figures FIGURES="season --full"`, `make test T=-x`.
FIGURES ?=
T ?=

# Most tests wait more than they work: two processes at a time, each with servers of its
# own. `make test SIDE_BY_SIDE=` runs one test after the other.
SIDE_BY_SIDE ?= --numprocesses=2 --dist=loadfile

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-sqlite test-postgres test-tools faults lint fmt types \
	imports lock bench figures clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## a virtual environment with everything, exactly as locked

$(STAMP): pyproject.toml sandbox/pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "settled needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
		echo "Name another: make setup PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation \
		--editable . --editable ./sandbox
	@touch $@

demo: setup ## a member year in a minute, on this machine alone
	$(BIN)/settled demo

test: test-sqlite test-postgres ## the whole suite, on SQLite and on PostgreSQL

test-sqlite: setup ## the whole suite on SQLite
	SETTLED_TEST_DATABASE=sqlite $(BIN)/python -m pytest --ignore=tests/tools $(SIDE_BY_SIDE) $(T)

test-postgres: setup ## the whole suite on PostgreSQL
	SETTLED_TEST_DATABASE=postgres $(BIN)/python -m pytest --ignore=tests/tools $(SIDE_BY_SIDE) $(T)

test-tools: setup ## what needs programs that pip does not bring; says which are missing
	@for tool in chromium promtool php node; do \
		command -v $$tool > /dev/null || echo "test-tools: $$tool is missing, its tests are left out"; \
	done
	@if [ -d tests/tools ]; then $(BIN)/python -m pytest tests/tools $(T); \
	else echo "test-tools: there are no such tests yet"; fi

faults: setup ## the long run of faults, 70 minutes: 50,000 scenarios, then processes that die
	mkdir -p dist
	$(BIN)/python -m tests.figures faults --full --json dist/faults.json

lint: setup ## style and likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: setup ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## types, strictly
	$(BIN)/mypy

imports: setup ## who may import whom (.importlinter)
	$(BIN)/lint-imports

lock: ## requirements.lock anew, from both pyproject.toml
	$(PYTHON) -m venv --clear dist/lock
	dist/lock/bin/python -m pip install --quiet pip-tools
	dist/lock/bin/python .ci/requirements.py > dist/lock/requirements.in
	cd dist/lock && bin/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe \
		--strip-extras --no-annotate --no-header --no-emit-index-url \
		--no-emit-find-links --no-emit-options --no-emit-trusted-host \
		--output-file requirements.lock requirements.in
	{ echo "# Made by 'make lock'; the hashes are those of every platform's files."; \
		cat dist/lock/requirements.lock; } > requirements.lock

bench: setup ## the timed figures of all topics, in one table
	$(BIN)/python -m tests.figures bench

figures: setup ## what the project promises, measured: FIGURES="NAME --full"
	$(BIN)/python -m tests.figures $(FIGURES)

clean: ## remove everything that was made here
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

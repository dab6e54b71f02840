# `make run` and `make test` do all the set-up by themselves; a second run needs no network. `make help` lists the rest.
# Another Python: `make test PYTHON=python3.13 VENV=.venv313`.

VENV    ?= .venv
PYTHON  ?=
WORKERS ?= 2

BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
# Each worker begins with tests that lie together and share what they need; one that is done takes over from another.
PYTEST  := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
EXAMPLE := data/complete_journey

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-slow lint format lock wheel clean setup

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## the virtual environment with the locked dependencies and the package itself

# The stamp is the last thing written: an interrupted installation is done again. pip is asked for the lock
# alone, then for this package without its dependencies, so that nothing but the lock decides what is installed.
$(STAMP): requirements.lock pyproject.toml
	@rm -f $(STAMP)
	@sh tools/make_venv.sh "$(VENV)" "$(PYTHON)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

$(EXAMPLE)/tables/.made: $(EXAMPLE)/make_tables.py $(wildcard $(EXAMPLE)/assumptions/*) | $(STAMP)
	$(BIN)/python $(EXAMPLE)/make_tables.py
	@touch $@

run: $(EXAMPLE)/tables/.made ## the example from its tables to its report
	$(BIN)/omniopt run $(EXAMPLE)/omniopt.yaml

lint: $(STAMP) ## style, types, the layers of the house, notebooks without outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify notebooks/*.ipynb

test: lint ## lint, then every test that is not slow
	$(PYTEST) -m "not slow"

test-slow: $(STAMP) ## the slow tests alone
	$(PYTEST) -m slow

test-all: lint ## lint, then every test
	$(PYTEST)

format: $(STAMP) ## put the code into the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## make requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --extra dev --extra examples --extra identity \
	  --extra cluster --no-emit-index-url --no-header --generate-hashes --upgrade --system-certs --output-file requirements.lock

wheel: $(STAMP) ## dist/omniopt-*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove environments, caches, built and made files; reports stay
	rm -rf .venv* dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis data/*/tables
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

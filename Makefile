# make search   everything a first run needs: environment, install, the main job
# make test     the tests
# Variables: VENV (where the environment is), PYTHON (which makes it), EVALS, SEED, ARGS (any flags),
#            DIST (where a wheel goes).

PYTHON ?= python3
VENV ?= .venv
EVALS ?= 60
SEED ?= 0
ARGS ?=
DIST ?= dist
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: search test test-all lint types wheel docs clean
.DEFAULT_GOAL := search

search: $(VENV)/.installed
	$(BIN)/paragent search --evals $(EVALS) --seed $(SEED) $(ARGS)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-dev
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check --no-cache .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.installed-dev
	$(BIN)/mypy

wheel: $(VENV)/.installed-dev
	rm -rf build/lib  # setuptools would pack what an earlier build left there
	$(BIN)/python -m build --wheel --outdir $(DIST)

# The command line's own help, for reading in one place.
docs: $(VENV)/.installed
	@mkdir -p build
	@for command in "" search resume show report export ask list inspect doctor; do \
		$(BIN)/paragent $$command --help; echo; \
	done > build/command-line.txt
	@echo build/command-line.txt

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf *.egg-info .coverage

# An environment is made once; pyproject.toml newer than the stamp brings it up to date.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Paragent needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
		echo "Name another one, for example: make search PYTHON=python3.12"; exit 1; }
	@echo "making the environment $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.python
	@echo "installing (a few minutes the first time)"
	@$(PIP) install -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.python
	@echo "installing with what tests and checks need (a few minutes the first time)"
	@$(PIP) install -e '.[dev]'
	@touch $@ $(VENV)/.installed

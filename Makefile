# Two commands do everything on a fresh machine: `make demo`, `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-out
RUNS ?= runs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench table cases bundle test-gpu clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(VENV)/.made:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "mammosweep needs Python 3.11 or newer, this is " + sys.version'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[demo,dev]'
	touch $@ $(VENV)/.demo

install: $(VENV)/.demo ## make .venv and install mammosweep into it

demo: $(VENV)/.demo ## sweep two real four-view exams and say which page to open
	$(BIN)/mammosweep demo --out $(OUT)

test: $(VENV)/.dev ## run every test that needs no GPU
	$(BIN)/python -m pytest -m 'not gpu'

test-gpu: $(VENV)/.dev ## run the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu

check: $(VENV)/.dev ## format, lint, types, the README's table
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m benchmarks.table --check

format: $(VENV)/.dev ## format the code and mend what lint can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## run the benchmarks, append to benchmarks/results, renew the README's table
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.table

table: $(VENV)/.dev ## renew the README's table from benchmarks/results
	$(BIN)/python -m benchmarks.table

bundle: $(VENV)/.dev ## fit the reference bundle on phantoms; goes on where it was killed
	$(BIN)/python -m mammosweep.fit --work $(RUNS)/phantom-bundle --out $(RUNS)/phantom-bundle/bundle

clean: ## remove what was built, not what was swept
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Two commands do everything on a fresh machine: `make demo`, `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the benchmarks compare with lives in an environment of its own, so that the tests never see it: with
# pylibjpeg beside it, pydicom decodes with other libraries. It is a layer: its one .pth file adds $(VENV)'s
# packages, so that torch is not installed twice.
BENCH_VENV := .venv-bench
BENCH_BIN := $(BENCH_VENV)/bin
OUT ?= demo-out
RUNS ?= runs
FILES ?= 100000
FAULTS ?= 100
SEED ?= 1
# Tests ask torch-tensorrt's converters whether they know every node of the networks. TensorRT itself, a gigabyte that
# does nothing without a GPU, is not needed for that: hence --no-deps.
CONVERTER := 'torch-tensorrt; sys_platform == "linux" and platform_machine == "x86_64"'
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench table fuzz faults night same bundle test-gpu clean

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
	$(PIP) --no-deps $(CONVERTER)
	touch $@ $(VENV)/.demo

$(BENCH_VENV)/.made: $(VENV)/.dev
	$(BIN)/python -m venv --clear $(BENCH_VENV)
	packages=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	layer=$$($(BENCH_BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$packages')" > $$layer/layer.pth
	$(subst $(BIN),$(BENCH_BIN),$(PIP)) --editable '.[bench]'
	touch $@

install: $(VENV)/.demo ## make .venv and install mammosweep into it

demo: $(VENV)/.demo ## sweep two real four-view exams and say which page to open
	$(BIN)/mammosweep demo --out $(OUT)

test: $(VENV)/.dev ## run every test that needs no GPU
	$(BIN)/python -m pytest -m 'not gpu'

test-gpu: $(VENV)/.dev ## run the tests that need a CUDA device
	$(BIN)/python -m pytest -m gpu

check: $(VENV)/.dev ## format, lint, types, the documents' tables
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m benchmarks.table --check
	$(BIN)/python -m tests.cases.document --check

format: $(VENV)/.dev ## format the code and mend what lint can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(BENCH_VENV)/.made ## run the benchmarks, append to benchmarks/results, renew the tables
	$(BENCH_BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.table

table: $(VENV)/.dev ## renew the documents' tables from benchmarks/results and tests/cases
	$(BIN)/python -m benchmarks.table
	$(BIN)/python -m tests.cases.document

fuzz: $(VENV)/.dev ## feed the engine 100,000 mutated files; goes on where it was stopped
	$(BIN)/python -m tests.fuzz.run --files $(FILES) --seed $(SEED) --folder $(RUNS)/fuzz

night: $(VENV)/.dev ## play a week of a screening unit's nights, 200 exams, each morning held against the plan
	$(BIN)/python -m tests.e2e.night --folder $(RUNS)/night

faults: $(VENV)/.dev ## hurt 100 sweeps (FAULTS=), finish them and compare; goes on where it was stopped
	$(BIN)/python -m tests.faults.run --runs $(FAULTS) --seed $(SEED) --folder $(RUNS)/faults

same: $(VENV)/.dev ## sweep phantoms in every way there is (one process, Ray, shards) and compare all rows
	rm -rf $(RUNS)/same
	$(BIN)/python -m tests.e2e.same_rows --folder $(RUNS)/same

bundle: $(VENV)/.dev ## fit the tests' bundle on phantoms; goes on where it was killed
	test -e $(RUNS)/phantoms/truth.parquet || \
	$(BIN)/mammosweep phantom --out $(RUNS)/phantoms --exams 500 --seed 20261130 --lesion-rate 0.9 --syntax jpeg-ls
	$(BIN)/mammosweep fit $(RUNS)/phantoms/truth.parquet --images $(RUNS)/phantoms --out $(RUNS)/phantom-bundle \
	  --config phantom-regnetx-002

clean: ## remove what was built, not what was swept
	rm -rf $(VENV) $(BENCH_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

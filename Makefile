# The developer interface. Every target needs nothing run before it: `make test` in a fresh clone works.
#
#   make demo       train, evaluate, release and use a clause extractor on this machine
#   make test       ruff, mypy, the import contract, and the fast tests
#   make test-all   the same, and the slow tests (they train and run the real base model, and serve it with vLLM)
#   make check      ruff, mypy and the import contract alone
#   make bench      run the benchmarks on this machine; QUICK=1 for the short form
#   make docs       build the documentation into site/
#   make lock       write the locks anew from pyproject.toml
#   make setup      .venv with everything in requirements.lock, and lextune from this checkout
#   make browser    Debian's Chromium, which tests of the web pages drive
#   make vllm       .venv-vllm with everything in requirements-vllm.lock: a server that tests ask
#   make clean      remove caches and built things; runs/, .venv and .venv-vllm stay
#
# PYTHON=... chooses the interpreter that .venv is made from.

PYTHON ?= $(shell for p in python3.11 python3; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
VLLM_READY := .venv-vllm/.ready

# Contracts for the demo, where the checkout has a folder of them beside it.
ifneq ($(wildcard ../shared/cuad/master_clauses.csv),)
export LEXTUNE_CUAD ?= $(abspath ../shared/cuad)
endif

FAST := not slow and not gpu and not vllm and not browser
SLOW := not gpu

.PHONY: setup vllm browser demo check test test-all bench docs lock clean
.DELETE_ON_ERROR:

# $(call environment,FOLDER,LOCK,SIZE): the packages of a lock, and the build of torch that this machine can have.
define environment
	@test -n "$(PYTHON)" || { echo "lextune needs Python 3.11 or newer: make setup PYTHON=/path/to/python3" >&2; exit 3; }
	@echo "Installing the packages of $(2) into $(1) (about $(3))"
	@$(PYTHON) -m venv $(1)
	@$(1)/bin/python -m pip install -qq --no-deps --require-hashes -r requirements-cpu.lock 2>/dev/null \
	  || echo "pip finds no CPU build of torch: taking the platform's own"
	@$(1)/bin/python -m pip install -qq --no-deps --require-hashes -r $(2)
	@if $(1)/bin/python scripts/cuda_build.py; then \
	  echo "This torch is a CUDA build: installing requirements-cuda.lock"; \
	  $(1)/bin/python -m pip install -qq --no-deps --require-hashes -r requirements-cuda.lock; fi
endef

setup: $(READY)
vllm: $(VLLM_READY)

$(READY): requirements.lock requirements-cpu.lock requirements-cuda.lock pyproject.toml
	$(call environment,.venv,requirements.lock,2 GB)
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@command -v tesseract >/dev/null || apt-get install -y -qq tesseract-ocr >/dev/null 2>&1 \
	  || echo "tesseract cannot be installed here: scans cannot be read, and their tests are skipped"
	@touch $@

$(VLLM_READY): requirements-vllm.lock requirements-cpu.lock requirements-cuda.lock
	$(call environment,.venv-vllm,requirements-vllm.lock,2.5 GB)
	@touch $@

browser: $(READY)
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null

demo: $(READY)
	$(BIN)/lextune demo

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest -m "$(FAST)"

test-all: check browser $(VLLM_READY)
	$(BIN)/python -m pytest -m "$(SLOW)"

bench: $(READY)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

docs: $(READY)
	$(BIN)/python scripts/recipe_reference.py
	$(BIN)/mkdocs build --strict

lock: $(READY)
	$(BIN)/python scripts/lock.py

clean:
	rm -rf site dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

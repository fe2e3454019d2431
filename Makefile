# make demo · make test · make bench: each sets itself up and runs. Needs Python 3.11 and nothing else.
PYTHON ?= python3.11
BIN := .venv/bin
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: .venv demo test test-all lint bench

demo: .venv
	$(BIN)/python benchmarks/demo.py

test: lint
	$(BIN)/python -m pytest -m "not slow"

test-all: lint
	$(BIN)/python -m pytest

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv
	$(BIN)/python benchmarks/speed.py

.venv: .venv/complete

.venv/complete: requirements.txt
	@$(PYTHON) -c "$(SUPPORTED)" 2>/dev/null || \
	  { echo "Python 3.11 is needed, as $(PYTHON); if it has another name: make PYTHON=... $(MAKECMDGOALS)"; exit 1; }
	@echo "making .venv from requirements.txt; the packages are large, this takes some minutes"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch .venv/complete

# make demo · make test · make bench · make docs: each sets itself up and runs. Needs Python 3.11 to 3.13 and nothing else.
BIN := .venv/bin
SUPPORTED := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# The first that serves; 3.11 before all others, for PyBullet has wheels for no later one.
PYTHONS := python3.11 python3 python3.12 python3.13
ifndef PYTHON
PYTHON := $(shell for p in $(PYTHONS); do $$p -c "$(SUPPORTED)" 2>/dev/null && echo $$p && break; done)
endif
# The extra `docs`, without offpcc itself, which is read where it is.
DOCS := import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['docs'])
# Tests side by side, each process on one thread, as many as there are cores but not more than 8.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal

.PHONY: .venv demo test test-all lint bench docs

demo: .venv
	$(BIN)/python benchmarks/demo.py

test: lint
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv
	$(BIN)/python benchmarks/speed.py

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --config-file docs/mkdocs/mkdocs.yml
	@echo "the pages are in site/index.html"

.venv/docs: pyproject.toml .venv/complete
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt $$($(BIN)/python -c "$(DOCS)")
	@touch .venv/docs

.venv: .venv/complete

.venv/complete: requirements.txt
	@$(or $(PYTHON),false) -c "$(SUPPORTED)" 2>/dev/null || \
	  { echo "Python 3.11, 3.12 or 3.13 with venv is needed, not '$(PYTHON)'; if it has another name:" \
	  "make PYTHON=... $(MAKECMDGOALS)"; exit 1; }
	@echo "making .venv with $(PYTHON) from requirements.txt; the packages are large, this takes some minutes"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch .venv/complete

# Each target sets up what it needs. PYTHON is the interpreter for a new .venv.
PYTHON ?= python3
BIN := .venv/bin
# Installs again only after a change of the requirements.
READY := .venv/ready
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

.PHONY: demo test test-slow test-all bench lint types format docs docs-serve docs-test docs-screenshots

demo: $(READY)
	$(BIN)/python docs/examples/digits.py

# COVERAGE=--cov also measures the coverage of the core, which must not fall below the floor in pyproject.toml
test: $(READY)
	$(PYTEST) tests -m "not slow" $(COVERAGE)

test-slow: $(READY)
	$(PYTEST) -m slow

test-all: $(READY)
	$(PYTEST)

bench: $(READY)
	$(BIN)/python -m benchmarks

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/python -m tools.language

types: $(READY)
	$(BIN)/mypy
	$(BIN)/pyright

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(READY)
	$(BIN)/python -m docs.site.build

docs-serve: $(READY)
	$(BIN)/mkdocs serve

docs-test: docs
	$(BIN)/python -m docs.site.chromium
	$(BIN)/python -m pytest tests/browser

docs-screenshots: docs
	$(BIN)/python -m docs.site.chromium
	$(BIN)/python -m docs.site.screenshots

$(READY): pyproject.toml plugins/rnnkit-cards/pyproject.toml constraints.txt requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

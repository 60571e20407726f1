# Each target does all its own set-up. PYTHON chooses the interpreter of a new .venv.
PYTHON ?= python3
BIN := .venv/bin
# quick the second time: made again only when what is installed has changed
READY := .venv/ready

.PHONY: demo test bench lint types format docs docs-serve docs-test docs-screenshots

demo: $(READY)
	$(BIN)/python docs/examples/digits.py

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

bench: $(READY)
	$(BIN)/python -m benchmarks

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

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

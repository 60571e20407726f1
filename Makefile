# Each target sets up what it needs. PYTHON is the interpreter for a new .venv.
PYTHON ?= python3
BIN := .venv/bin
# Installs again only after a change of the requirements.
READY := .venv/ready
TOOLS := .venv-tools/bin
TOOLS_READY := .venv-tools/ready
# Builds the library of rnnkit-kernels again after a change.
KERNELS := $(addprefix plugins/rnnkit-kernels/,pyproject.toml setup.py targets.py) $(wildcard plugins/rnnkit-kernels/native/*)
PURELIB := import sysconfig; print(sysconfig.get_path("purelib"))
PYTEST_OPTIONS := --numprocesses auto --maxprocesses 8 --dist worksteal
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS)

.PHONY: demo test test-slow test-all test-tools bench lint types format docs docs-serve docs-test docs-zensical docs-screenshots wheels

demo: $(READY)
	$(BIN)/python docs/examples/digits.py

# COVERAGE=--cov also measures the coverage of the core, which must not fall below the floor in pyproject.toml
test: $(READY)
	$(PYTEST) tests -m "not slow" $(COVERAGE)

test-slow: $(READY)
	$(PYTEST) -m slow

test-all: $(READY)
	$(PYTEST)

# -W ignore: the tools warn about each other and about torch
test-tools: $(TOOLS_READY)
	PATH="$(CURDIR)/$(TOOLS):$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 \
	  $(TOOLS)/python -m pytest $(PYTEST_OPTIONS) -W ignore tests/tools

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

# Of rnnkit-kernels, for all platforms; CONTRIBUTING.md says which of them have been run.
wheels: $(READY)
	$(BIN)/python plugins/rnnkit-kernels/wheels.py build/wheels

docs: $(READY)
	$(BIN)/python -m docs.site.build

docs-serve: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

# Of the site as it is published. OPTIONS go to pytest.
docs-test: docs
	$(BIN)/python -m docs.site.published
	$(BIN)/python -m docs.site.chromium
	$(PYTEST) tests/browser $(OPTIONS)

# Material for MkDocs ends in May 2027: what its successor makes of the same settings
docs-zensical: $(READY)
	$(PYTHON) -m venv .venv-zensical
	.venv-zensical/bin/python -m pip install --quiet --constraint constraints.txt zensical mkdocstrings-python
	DOCS_SITE_DIR=build/zensical .venv-zensical/bin/zensical build --clean --strict
	$(BIN)/python -m docs.site.build build/zensical
	$(BIN)/python -m docs.site.chromium
	DOCS_SITE_FOLDER=build/zensical $(PYTEST) tests/browser $(OPTIONS)

docs-screenshots: docs
	$(BIN)/python -m docs.site.chromium
	$(BIN)/python -m docs.site.screenshots

$(READY): pyproject.toml plugins/rnnkit-cards/pyproject.toml $(KERNELS) constraints.txt requirements-dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@

# Finds the packages of .venv, so that torch is installed once.
$(TOOLS_READY): $(READY) constraints.txt requirements-tools.txt
	$(PYTHON) -m venv .venv-tools
	echo "import site; site.addsitedir('$$($(BIN)/python -c '$(PURELIB)')')" > "$$($(TOOLS)/python -c '$(PURELIB)')/venv.pth"
	$(TOOLS)/python -m pip install --quiet --requirement requirements-tools.txt
	touch $@

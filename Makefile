# Each target sets up what it needs. PYTHON is the interpreter for a new .venv.
PYTHON ?= python3
BIN := .venv/bin
# Installs again only after a change of the requirements.
READY := .venv/ready
TOOLS := .venv-tools/bin
TOOLS_READY := .venv-tools/ready
DIST := .venv-dist/bin
DIST_READY := .venv-dist/ready
# Builds the library of rnnkit-kernels again after a change.
KERNELS := $(addprefix plugins/rnnkit-kernels/,pyproject.toml setup.py targets.py) $(wildcard plugins/rnnkit-kernels/native/*)
DISTRIBUTIONS := . plugins/rnnkit-cards plugins/rnnkit-kernels
PUBLISHED := registry plugins/rnnkit_builtin plugins/rnnkit-cards/rnnkit_cards plugins/rnnkit-kernels/rnnkit_kernels
PURELIB := import sysconfig; print(sysconfig.get_path("purelib"))
PYTEST_OPTIONS := --numprocesses auto --maxprocesses 8 --dist worksteal
# The tests that need no other packages than the group `test`
PORTABLE = OMP_NUM_THREADS=1 $(1)/bin/python -m pytest $(PYTEST_OPTIONS) -m "not slow" \
  $(addprefix tests/,catalog cells equation files kernels model options plan specs)
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_OPTIONS)

.PHONY: demo test test-slow test-nightly test-all test-tools test-lowest test-newest test-plugins test-random test-load
.PHONY: test-mutation bench
.PHONY: lint types types-elsewhere mypy pyright format docs docs-serve docs-publish docs-browser docs-test docs-zensical docs-screenshots
.PHONY: dist test-dist wheels audit lock

demo: $(READY)
	$(BIN)/python docs/examples/digits.py

# COVERAGE=--cov also measures the coverage of the core, which must not fall below the floor in pyproject.toml
test: $(READY)
	$(PYTEST) tests -m "not slow" $(COVERAGE)

# SITE is the folder of a site that `make docs` has just built, which saves building another one to test.
test-slow: $(READY)
	DOCS_BUILT_SITE=$(SITE) $(PYTEST) -m "slow and not nightly"

# For all kinds and views: checks that `make test-slow` and `make docs-test` run for some
test-nightly: $(READY) docs docs-publish
	DOCS_BUILT_SITE=build/site $(PYTEST) -m nightly
	$(MAKE) docs-browser OPTIONS="-m nightly"

test-all: $(READY)
	$(PYTEST)

# -W ignore: the tools warn about each other and about torch
test-tools: $(TOOLS_READY)
	PATH="$(CURDIR)/$(TOOLS):$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1 \
	  $(TOOLS)/python -m pytest $(PYTEST_OPTIONS) -W ignore tests/tools

bench: $(READY)
	$(BIN)/python -m benchmarks

# PLW1514, still in preview: without an encoding, a text file has another one on each system
lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff check --preview --select PLW1514
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/python -m tools.language

types: mypy pyright

mypy: $(READY)
	$(BIN)/mypy

# With the names that Python has on other systems: `os.fork` and others are missing on Windows
types-elsewhere: $(READY)
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 $(PUBLISHED)
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin $(PUBLISHED)

pyright: $(READY)
	$(BIN)/pyright

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Of rnnkit-kernels, for all platforms
wheels: $(READY)
	$(BIN)/python plugins/rnnkit-kernels/wheels.py build/wheels

# Source distributions and wheels, inspected. W009: that of rnnkit has two packages, the core and the built-in plugin.
dist: $(DIST_READY)
	rm -rf build/dist
	for each in $(DISTRIBUTIONS); do $(DIST)/python -m build --quiet --outdir build/dist $$each || exit 1; done
	$(DIST)/twine check --strict build/dist/*
	$(DIST)/check-wheel-contents --ignore W009 build/dist/*.whl
	$(DIST)/python -m tools.distributions build/dist

# A rehearsal of a release: an upload to an index of its own, and an environment that installs from there
test-dist: dist
	$(DIST)/python -m tools.rehearsal build/dist

# With the lowest versions that pyproject.toml allows, and with the newest, pre-releases included
test-lowest: $(DIST_READY)
	$(DIST)/uv venv --quiet --clear --seed --python $(PYTHON) .venv-lowest
	$(DIST)/uv pip install --python .venv-lowest --resolution lowest-direct --upgrade --group test \
	  --editable ".[cli]" --editable plugins/rnnkit-kernels
	$(call PORTABLE,.venv-lowest)

test-newest: $(DIST_READY)
	$(DIST)/uv venv --quiet --clear --seed --python $(PYTHON) .venv-newest
	$(DIST)/uv pip install --python .venv-newest --prerelease allow --upgrade --group test \
	  --editable ".[cli]" --editable plugins/rnnkit-kernels
	$(call PORTABLE,.venv-newest)

# Many more random specs and damaged files than `make test-slow` draws: at least 100,000 of each
test-random: $(READY)
	TEST_REPEATS=40 $(PYTEST) tests/specs/test_spec_properties.py tests/introspection/test_schema.py \
	  tests/files/test_checkpoint_fuzz.py tests/files/test_spec_file_fuzz.py

# The core tests, 20 times, by three times as many processes as there are processors
test-load: $(READY)
	for run in $$(seq 20); do \
	  OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -m "not slow" -q --numprocesses $$((3 * $$(nproc))) || exit 1; \
	done

# Changes the core at random places, and counts the changes that a test detects. OPTIONS: subpackages, or see --help
test-mutation: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.mutation $(OPTIONS)

# The conformance checks of plugins of others, with the rnnkit of this clone
test-plugins: $(READY)
	$(BIN)/python -m tools.downstream

# The workflows and other settings of the repository, and a list of all packages of the environment
audit: $(DIST_READY) $(READY)
	$(DIST)/zizmor --offline --quiet --pedantic .github
	$(DIST)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(DIST)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(DIST)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/kind.yml
	$(DIST)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(DIST)/check-jsonschema --builtin-schema vendor.citation-file-format --default-filetype yaml CITATION.cff
	mkdir -p build
	$(DIST)/cyclonedx-py environment $(BIN)/python --output-file build/sbom.json

# The versions that the project is developed and tested with. `make lock OPTIONS=--upgrade` takes the newest.
lock: $(DIST_READY)
	$(DIST)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --no-emit-index-url \
	  --custom-compile-command "make lock" --output-file constraints.txt $(OPTIONS) \
	  --no-emit-package rnnkit --no-emit-package rnnkit-cards --no-emit-package rnnkit-kernels \
	  --all-extras --group dev --group dist --group tools-large $(DISTRIBUTIONS:%=%/pyproject.toml)

docs: $(READY)
	$(BIN)/python -m docs.site.build

docs-serve: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

docs-publish: $(READY)
	$(BIN)/python -m docs.site.published

# Of the sites that docs and docs-publish have built. OPTIONS go to pytest.
docs-browser: $(READY)
	$(BIN)/python -m docs.site.chromium
	$(PYTEST) tests/browser -m "not nightly" $(OPTIONS)

docs-test: docs docs-publish
	$(MAKE) docs-browser

# Material for MkDocs ends in May 2027: what its successor makes of the same settings
docs-zensical: $(READY)
	$(PYTHON) -m venv .venv-zensical
	.venv-zensical/bin/python -m pip install --quiet --constraint constraints.txt zensical mkdocstrings-python
	PYTHONPATH=. DOCS_SITE_DIR=build/zensical .venv-zensical/bin/zensical build --clean --strict
	$(BIN)/python -m docs.site.build build/zensical
	$(BIN)/python -m docs.site.chromium
	DOCS_SITE_FOLDER=build/zensical $(PYTEST) tests/browser $(OPTIONS)

docs-screenshots: docs
	$(BIN)/python -m docs.site.chromium
	$(BIN)/python -m docs.site.screenshots

$(READY): pyproject.toml plugins/rnnkit-cards/pyproject.toml $(KERNELS) constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"  # the first with --group
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev $(DISTRIBUTIONS:%=--editable %)
	touch $@

$(DIST_READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-dist
	$(DIST)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(DIST)/python -m pip install --quiet --constraint constraints.txt --group dist
	touch $@

# Finds the packages of .venv, so that torch is installed once.
$(TOOLS_READY): $(READY) constraints.txt
	$(PYTHON) -m venv .venv-tools
	echo "import site; site.addsitedir('$$($(BIN)/python -c '$(PURELIB)')')" > "$$($(TOOLS)/python -c '$(PURELIB)')/venv.pth"
	$(TOOLS)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(TOOLS)/python -m pip install --quiet --constraint constraints.txt --group tools-large --editable docs/examples/rnnkit-nbrc
	touch $@

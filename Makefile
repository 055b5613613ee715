# make demo — the main job on built-in data; make test — the tests. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
HOMEWORKS := $(notdir $(patsubst %/,%,$(wildcard solutions/hw*/)))

.PHONY: setup demo test test-slow test-all lint release validate calibrate bench pictures clean venv-package bubblewrap

setup: $(READY)

$(READY): requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	    { echo "Python 3.11 to 3.14 is needed, for example: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); $(MAKE) --no-print-directory venv-package && $(PYTHON) -m venv $(VENV); }
	@command -v bwrap >/dev/null || $(MAKE) --no-print-directory bubblewrap
	@echo "Installing the pinned packages into $(VENV) (once; a minute or two) …"
	@$(BIN)/pip install -qq --disable-pip-version-check -r requirements.txt -e '.[dev]'
	@touch $@

# Submissions are graded in a sandbox; everything else works without it.
bubblewrap:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq bubblewrap >/dev/null; \
	else echo "To grade submissions you need bubblewrap: sudo apt install bubblewrap (Linux only)."; fi

# Debian keeps venv in a package of its own, one for every Python.
venv-package:
	@package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])') && \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq $$package >/dev/null; \
	else echo "Python's venv module is missing: sudo apt install $$package, then run make again."; exit 1; fi

demo: setup
	@$(BIN)/deepul demo

test: setup
	@$(BIN)/pytest -q -m "not slow"

# Trains, grades a whole class, and drives JupyterLab in a browser.
test-slow: setup
	@$(BIN)/pytest -q -m slow

test-all: setup
	@$(BIN)/pytest -q

lint: setup
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .

# Handouts are generated: a second run changes nothing.
release: setup
	@for homework in $(HOMEWORKS); do $(BIN)/deepul release $$homework || exit 1; done

# Solutions earn everything, blanks nothing, every known slip is caught by its check: what changed since the last run.
validate: setup
	@$(BIN)/deepul validate

# Trains every solution under several seeds. Run it after changing a solution.
calibrate: setup
	@for homework in $(HOMEWORKS); do $(BIN)/deepul calibrate $$homework || exit 1; done

# Grading speed and memory against stock nbgrader and otter, the flows of homework 2 against nflows and zuko (installed
# beside, in build/).
bench: setup
	@$(BIN)/python benchmarks/grading.py
	@$(BIN)/python benchmarks/grading.py --whole
	@$(BIN)/python benchmarks/grading.py --scaling
	@$(BIN)/python benchmarks/flows.py

# The pictures in the README.
pictures: setup demo
	@$(BIN)/pytest -q tests/browser
	@mkdir -p docs && cp build/pictures/check.png build/pictures/report.png docs/

clean:
	rm -rf build $(VENV)

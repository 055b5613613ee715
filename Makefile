# make demo — the main job on built-in data; make test — the tests. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ASSIGNMENTS := $(notdir $(patsubst %/,%,$(wildcard solutions/*/)))

.PHONY: setup demo test test-slow test-all coverage lint docs release validate calibrate bench pictures clean venv-package bubblewrap

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

# Several tests at a time, one thread each; then those that load the machine, or measure what it does, by themselves.
# Fewer at a time: make test PROCESSES=1.
PROCESSES ?= logical
AT_ONCE := OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(PROCESSES) --maxprocesses 4 --dist loadgroup
ALONE := $(BIN)/pytest -q -n 0
NONE_IS_FINE := || [ $$? = 5 ] # pytest's exit status where no test was chosen

test: setup
	@$(AT_ONCE) -m "not slow and not alone" $(TESTS) $(NONE_IS_FINE)
	@$(ALONE) -m "not slow and alone" $(TESTS) $(NONE_IS_FINE)

# Trains, grades a whole class, and drives JupyterLab in a browser.
test-slow: setup
	@$(AT_ONCE) -m "slow and not alone" $(TESTS) $(NONE_IS_FINE)
	@$(ALONE) -m "slow and alone" $(TESTS) $(NONE_IS_FINE)

test-all: test test-slow

# Lines and branches of both packages that the quick tests run; the floor stands in pyproject.toml. A third slower than
# the tests alone, and no part of CI.
coverage: setup
	@mkdir -p build
	@$(BIN)/coverage run -m pytest -q -m "not slow"
	@$(BIN)/coverage report

lint: setup
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/lint-imports --no-logo >/dev/null || { $(BIN)/lint-imports --no-logo; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/deepul lint

# The documentation of the packages that others call, from their docstrings: build/docs/index.html. Every module is
# named, since a package may list some of its own only; that it lists others, or what loads when it is first used, is no
# reason for a warning.
DOCS := build/docs
DOCUMENTED := $(filter-out %.__main__,$(subst .__init__,,$(subst /,.,$(basename $(sort \
    $(wildcard deepul_utils/*.py deepul_utils/*/*.py autograder/properties/*.py) autograder/checks.py autograder/student.py)))))

docs: setup
	@$(BIN)/python -W error -W 'ignore:The module specification' -W 'ignore:Found ' -m pdoc --output-directory $(DOCS) $(DOCUMENTED)
	@echo "$(DOCS)/index.html"

# Handouts are generated: a second run changes nothing.
release: setup
	@for assignment in $(ASSIGNMENTS); do $(BIN)/deepul release $$assignment || exit 1; done

# Solutions earn everything, blanks nothing, every known slip is caught by its check: what changed since the last run.
validate: setup
	@$(BIN)/deepul validate

# Trains every solution under several seeds. Run it after changing a solution.
calibrate: setup
	@for assignment in $(ASSIGNMENTS); do $(BIN)/deepul calibrate $$assignment || exit 1; done

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

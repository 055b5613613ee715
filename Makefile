# make demo — the main job on built-in data; make test — the tests. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-all lint release calibrate clean

setup: $(READY)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(MAKE) --no-print-directory venv-package && $(PYTHON) -m venv $(VENV); }
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[dev]'
	@touch $@

# Debian keeps venv in a package of its own.
.PHONY: venv-package
venv-package:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && apt-get install -y -qq python3-venv; \
	else echo "Python's venv module is missing: sudo apt install python3-venv, then run make again."; exit 1; fi

demo: setup
	@$(BIN)/deepul demo

test: setup
	@$(BIN)/pytest -m "not slow"

test-all: setup
	@$(BIN)/pytest

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Handouts are generated: a second run changes nothing.
release: setup
	@for source in solutions/hw*/; do $(BIN)/deepul release "$$(basename "$$source")" || exit 1; done

# Trains every solution under five seeds: run it after changing a solution.
calibrate: setup
	@for source in solutions/hw*/; do $(BIN)/deepul calibrate "$$(basename "$$source")" --seeds 5 || exit 1; done

clean:
	rm -rf build $(VENV)

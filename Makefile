# valtag: run it, look at it, test it. `make help` lists the targets.
CATALOG ?= complete_journey
PORT ?= 3000
PYTHON ?= python3
SIZE ?= 100k

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Where this is set, every start would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo ui test test-long lint bench constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo $(if $(filter mall,$(CATALOG)),data/landing/mall/raw) ## run a shipped catalog on its data (CATALOG=mall for the other one)
	@$(BIN)/valtag run --catalog $(CATALOG)

ui: $(VENV)/.demo ## serve the Dagster UI on this machine (PORT=3000)
	@$(BIN)/valtag ui --catalog $(CATALOG) --port $(PORT)

test: lint ## run everything CI runs
	$(BIN)/pytest -n auto

test-long: lint ## what takes minutes, before a release: shipped catalogs on Spark, a lost worker, many kills and histories, random examples
	VALTAG_KILLS=20 VALTAG_RANDOM=10 $(BIN)/pytest -n auto -m 'long or hypothesis'
	VALTAG_KILLS=20 VALTAG_DAYS=30 $(BIN)/pytest valtag_tests/graph/test_kills.py valtag_tests/graph/test_history.py

lint: $(VENV)/.dev ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev ## measure tags against other ways, a day, the whole graph (SIZE=100k, 1m, 10m; ONLY="build graph day growth catalogs")
	$(BIN)/python -m valtag_tests.bench --size $(SIZE) --only $(ONLY)

constraints: ## write constraints.txt anew: the newest versions pyproject.toml allows
	rm -rf build/constraints
	$(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet -e '.[demo,databases,deliveries,dev]'
	build/constraints/bin/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' > constraints.txt
	rm -rf build/constraints

clean: ## remove what was made here: the environment, caches, warehouses and run history (not data/landing)
	rm -rf $(VENV) build data/warehouse data/dagster_home data/deliveries data/receipts .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "valtag needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Stamps: installed once for a pyproject.toml and its constraints.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --constraint constraints.txt --editable '.[demo]'
	@$(BIN)/python -m compileall -q valtag_assets
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --constraint constraints.txt --editable '.[demo,databases,deliveries,dev]'
	@$(BIN)/python -m compileall -q valtag_assets
	@touch $@ $(VENV)/.demo

data/landing/mall/raw: | $(VENV)/.demo
	$(BIN)/valtag generate mall --persons 5000 --days 400 --seed 7 --into data/landing/mall

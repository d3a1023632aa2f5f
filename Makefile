# Everything that a fresh machine with Python 3.11+ needs: `make test`, `make demo`. See CONTRIBUTING.md.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
EXTRAS := openvino,relay,livekit,bench,train,reference,dev
ARGS ?=
PYTEST_ARGS ?=

.PHONY: help setup lint test test-vm test-failover demo train evaluate report estimators bench soak \
    relay-measure wheel clean distclean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/:/' | column -t -s ':'

setup: $(STAMP) ## the virtual environment with everything that tests, demo and training need

$(STAMP): pyproject.toml constraints.txt scripts/setup_system.sh
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	    "physio-cam needs Python 3.11 or newer, this is %d.%d: make PYTHON=/path/to/python3.11" % sys.version_info[:2])'
	PYTHON='$(PYTHON)' bash scripts/setup_system.sh
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

lint: setup ## format, lint, import rules, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint ## lint, then all tests with coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --cov --cov-report=term $(PYTEST_ARGS)

test-vm: setup ## the tests with real video devices, in a small virtual machine (minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m vm --timeout 900 $(PYTEST_ARGS)

test-failover: setup ## the cluster's workers are killed; needs an idle machine, since seconds count
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m failover $(PYTEST_ARGS)

demo: setup ## filter a short clip and show the pulse before and after (ARGS="--input clip.mp4")
	$(BIN)/python scripts/demo.py $(ARGS)

train: setup ## train the stream network (ARGS="--settings model/settings/NAME.toml")
	$(BIN)/python -m model.train $(ARGS)

evaluate: setup ## compare the editors and write docs/evaluation
	$(BIN)/python -m model.evaluate $(ARGS)

report: setup ## every report of docs/evaluation anew, hours (ARGS="--only failures,paper")
	$(BIN)/python -m model.evaluate.pages $(ARGS)

estimators: ## the learned estimators' own environment, 1.3 GB (python -m model.evaluate.learned)
	PYTHON='$(PYTHON)' bash scripts/setup_estimators.sh

bench: setup ## physio-bench: how fast this machine is, into runs/bench (ARGS="--quick")
	$(BIN)/physio-bench --out runs/bench --overwrite $(ARGS)

soak: setup ## run the live filter on a simulated camera and report drops, latency, memory (ARGS="--minutes 30")
	OMP_NUM_THREADS=1 $(BIN)/python scripts/soak_live.py $(ARGS)

# A missed bar does not keep the others from being measured.
relay-measure: setup ## what the relay adds, serves and survives, and what a doctor's browser reads (half an hour)
	-$(BIN)/python scripts/relay_latency.py
	-$(BIN)/python scripts/relay_capacity.py
	-$(BIN)/python scripts/relay_endurance.py
	-$(BIN)/python scripts/relay_network.py
	-$(BIN)/python scripts/relay_call.py --table

wheel: setup ## build dist/*.whl
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove what builds and tests leave
	rm -rf build dist .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and the virtual environment too
	rm -rf $(VENV)

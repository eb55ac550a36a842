# `make demo` and `make test` need Python 3.11+, make and a package index; each builds .venv if it is not there.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test test-all check lint fuzz audit licences pictures clean

help:  ## Show what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "adcr needs Python 3.11 or newer; name one with: make PYTHON=python3.11 demo" >&2; exit 2; }
	@echo "Building .venv (about a minute, once) ..."
	@$(PYTHON) -m venv .venv
	@PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch .venv/ready

demo: .venv/ready  ## Simulate, check, train, compare, score and explain, from nothing to the MLflow UI
	@rm -rf adcr-demo && mkdir adcr-demo
	$(BIN)/adcr cohort simulate --patients 600 --seed 1 -o adcr-demo/cohort.csv
	$(BIN)/adcr cohort check adcr-demo/cohort.csv
	$(BIN)/adcr train adcr-demo/cohort.csv --endpoint objective_response --name adcr-demo --output adcr-demo/model
	$(BIN)/adcr cohort simulate --patients 5000 --seed 2 -o adcr-demo/next_cohort.csv
	$(BIN)/adcr score adcr-demo/next_cohort.csv --model adcr-demo/model -o adcr-demo/scores.csv
	$(BIN)/adcr explain adcr-demo/model adcr-demo/next_cohort.csv -o adcr-demo/why.html
	@echo
	@echo "Next:"
	@echo "  $(BIN)/adcr ui                                   open the tracked runs in the MLflow UI"
	@echo "  $(BIN)/adcr compare                              print them side by side"
	@echo "  $(BIN)/adcr cohort template -o my_cohort.csv     see what your own file may hold"
	@echo "  $(BIN)/adcr score my_cohort.csv --model adcr-demo/model -o my_scores.csv"

test: .venv/ready  ## Run the tests (under ten minutes on two cores)
	@$(BIN)/pytest -n 2 -m 'not slow'

test-all: .venv/ready  ## Run every test, the slow ones too
	@$(BIN)/pytest -n 2

lint: .venv/ready  ## Lint code and docstrings, and check types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

fuzz: .venv/ready  ## Mutate cohort files, mappings, catalogues and models by the thousand (two minutes)
	@$(BIN)/python -m benchmarks.fuzz

audit: .venv/ready  ## Ask the advisory database about the pinned versions (needs a network)
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	@.venv/audit/bin/pip-audit --no-deps --disable-pip -r constraints.txt

licences: .venv/ready  ## Write LICENCES.md anew from what the pinned packages declare
	@$(BIN)/python .ci/licences.py > LICENCES.md

pictures: .venv/ready  ## Take the README's pictures anew (needs Chromium with chromedriver)
	@$(BIN)/python -m pictures.make_pictures

check: lint test  ## Lint, types, docstrings and tests

clean:  ## Remove .venv and what runs have left behind
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

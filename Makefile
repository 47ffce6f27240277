# One command for each thing people do here. Everything runs in .venv, which the first command makes.

SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Nothing here sends usage data anywhere.
export DAGSTER_DISABLE_TELEMETRY := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A run is many processes. Where Python is told to keep no bytecode, as many containers do, each of them would compile
# torch, Dagster and MLflow anew: 20 seconds of processor time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run ui test bench format docs clean

help:
	@echo "make run     build every asset of the default preset and print the headline of the report"
	@echo "make ui      open the asset graph on http://127.0.0.1:3000"
	@echo "make test    formatting, lint, types, import contracts, YAML, tests"
	@echo "make bench   seconds, rows per second and peak memory of every stage"
	@echo "make format  rewrite the code in the house format"
	@echo "make docs    write docs/reference from the settings and the feature catalogue"
	@echo "make setup   only make .venv and install (the others do it by themselves)"
	@echo "make clean   remove .venv, caches and build outputs; the store (.gogooku) stays"

setup: $(STAMP)

run: $(STAMP)
	@$(BIN)/gogooku run

ui: $(STAMP)
	@$(BIN)/gogooku ui

# One thread a process: small arrays gain nothing from more. Three test processes keep two cores busy where one waits for
# a command or a server that it started.
# A few long files come first (tests/conftest.py); the many short ones after them fill all processes to the end.
test: export OMP_NUM_THREADS := 1
test: export POLARS_MAX_THREADS := 2
test: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

bench: $(STAMP)
	@$(BIN)/python -m benchmarks.run

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) build dist bench-results *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.gogooku/*' -prune -exec rm -rf {} +

# The environment, made once and brought up to date when the project file or the pins change.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: there is no '$(PYTHON)' here. Install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), and gogooku needs Python 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: $(PYTHON) cannot make virtual environments (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (the pins are in constraints.txt; large packages are named as they arrive)."
# Python may bring a pip that is years old, which takes twice as long. Where there is no other, it does as well.
	@$(BIN)/pip install --quiet --no-compile -c constraints.txt pip || echo "  going on with pip $$($(BIN)/pip --version | cut -d' ' -f2), which came with Python and is slower."
# Bytecode is written as modules are first imported: compiling all of torch takes a minute that nobody needs.
	@set -o pipefail; $(BIN)/pip install --progress-bar off --no-compile -c constraints.txt -e '.[dev]' 2>&1 | tee $(VENV)/install.log | sed -u -n -E \
		-e 's/^ *(Downloading|Using cached) ([A-Za-z0-9_.]+)-([0-9][^-]*)-.* \(([0-9]{2,}(\.[0-9]+)? [MG]B)\).*/  \2 \3 (\4)/p' \
		-e 's/^Installing collected packages: .*/  unpacking and installing all of them (a minute or two)/p' \
		-e '/^ERROR/p' || { echo "make: the installation did not succeed; $(VENV)/install.log has the whole of it." >&2; exit 1; }
	@touch $@

# `make quickstart` and `make test` need Python 3.11+, make and a package index: they build .venv themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: quickstart experiments test nightly lint bench clean

quickstart: $(STAMP)
	$(BIN)/python -m experiments run quickstart

experiments: $(STAMP)
	$(BIN)/python -m experiments run all --jobs 2

test: $(STAMP)
	$(BIN)/python tests/run.py

nightly: $(STAMP)
	$(BIN)/python tests/nightly.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict distrl

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	$(BIN)/python -m benchmarks
	$(BIN)/python -m pytest benchmarks --benchmark-enable -p no:xdist

$(STAMP): pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[all]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) results/quickstart results/*/*.sqlite build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

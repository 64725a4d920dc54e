# `make train` and `make test` work on a fresh machine that has Python 3.11 or newer.

PYTHON ?= python3
TRAIN_VENV := .venv-train
TEST_VENV := .venv
TEST := $(TEST_VENV)/bin

.PHONY: train test test-all lint types unit examples benchmarks clean

train: $(TRAIN_VENV)/installed
	mkdir -p out
	$(TRAIN_VENV)/bin/typegrad train --seed 0 --output out/concrete.safetensors --plot out/concrete.png

test: lint types unit examples benchmarks

test-all: lint types
	$(TEST)/python -m pytest
	$(MAKE) examples benchmarks

lint: $(TEST_VENV)/installed
	$(TEST)/ruff format --check .
	$(TEST)/ruff check .

types: $(TEST_VENV)/installed
	$(TEST)/mypy src tests examples
	$(TEST)/pyright

unit: $(TEST_VENV)/installed
	$(TEST)/python -m pytest -m "not slow" --cov --cov-fail-under=95

examples: $(TEST_VENV)/installed
	@set -e; for example in $$(grep -l "^def main(" examples/*/*.py); do \
		module=$$(echo "$${example%.py}" | tr / .); echo "$$module"; \
		$(TEST)/python -W error -m "$$module" --output out/examples > /dev/null; done

benchmarks: $(TEST_VENV)/installed
	@set -e; for benchmark in benchmarks/*.py; do \
		echo "$$benchmark"; $(TEST)/python "$$benchmark" --smoke > /dev/null; done

$(TRAIN_VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(TRAIN_VENV)
	$(TRAIN_VENV)/bin/python -m pip install --quiet --editable ".[cli]"
	touch $@

$(TEST_VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(TEST_VENV)
	$(TEST)/python -m pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(TRAIN_VENV) $(TEST_VENV) out .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

# `make train` and `make test` work on a fresh machine that has Python 3.11 or newer.

PYTHON ?= python3
TRAIN_VENV := .venv-train
TEST_VENV := .venv
TEST := $(TEST_VENV)/bin

.PHONY: train test test-all lint types clean

train: $(TRAIN_VENV)/installed
	mkdir -p out
	$(TRAIN_VENV)/bin/typegrad train --seed 0 --output out/concrete.safetensors --plot out/concrete.png

# The tests run every example, a smoke run of every benchmark, and the documentation's code.
test: lint types
	$(TEST)/python -m pytest -n 2 --dist loadfile -m "not slow" --cov --cov-fail-under=95

test-all: lint types
	$(TEST)/python -m pytest -n 2 --dist loadfile

lint: $(TEST_VENV)/installed
	$(TEST)/ruff format --check .
	$(TEST)/ruff check .

types: $(TEST_VENV)/installed
	$(TEST)/mypy src tests examples
	$(TEST)/pyright --pythonpath $(TEST)/python

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

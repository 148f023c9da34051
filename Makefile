PYTHON ?= python

help:
	@echo "make check    lint, format and types"
	@echo "make test     the tests"
	@echo "make slow     the tests that take minutes"
	@echo "make docs     docs/cli.md and docs/api.md, from the help texts and docstrings"
	@echo "make golden   golden files of the current version, if any are missing"

check:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	lint-imports

test:
	$(PYTHON) -m pytest

slow:
	$(PYTHON) -m pytest -m slow

docs:
	$(PYTHON) docs/reference.py

golden:
	$(PYTHON) tests/golden/make.py

.PHONY: help check test slow docs golden

PYTHON ?= python

.PHONY: check demo test bench

check:  ## everything that has to hold before a commit
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -m pytest -q

test:
	$(PYTHON) -m pytest -q

demo:  ## the three example services and one flow through them
	PATH="$(dir $(shell command -v $(PYTHON))):$$PATH" sh configs/demo.sh

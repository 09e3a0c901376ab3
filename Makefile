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

bench:  ## takes a quarter of an hour on a quiet machine; see docs/performance.md
	$(PYTHON) benchmarks/startup.py --plot docs/startup.svg
	$(PYTHON) benchmarks/cli.py --plot docs/cli.svg
	$(PYTHON) benchmarks/scale.py --plot docs/scale.svg
	$(PYTHON) benchmarks/proxy.py --plot docs/proxies.svg
	$(PYTHON) benchmarks/memory.py
	$(PYTHON) benchmarks/soak.py --minutes 10

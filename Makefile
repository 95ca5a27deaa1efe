# Targets for people and for CI. Needs python3 >= 3.11, g++, make and perl; everything else comes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Names the lock file it was made from, so that it is made once and again when the lock changes.
STAMP := $(VENV)/stamp

.PHONY: demo test lint regress networks faults clib fuzz bench costs boards lock clean
.DEFAULT_GOAL := test

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("pulsefold needs Python 3.11 or later; name one with make PYTHON=...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	touch $@

## demo: a trained network to a simulated, verified and routed design
demo: $(STAMP)
	$(BIN)/python demo/run.py

## test: everything but what takes minutes
test: lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

## lint: style, format and types
lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python

## regress: the tests that take minutes
regress: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m slow

## networks: N random quantized networks of each style against exact arithmetic and ONNX Runtime
N ?= 300
networks: $(STAMP)
	$(BIN)/python -m pytest -n 2 tests/compiler/test_import_networks.py --networks $(N)

## faults: the host protocol under noise, resets and dying hosts, and its throughput; prints the figures
faults: $(STAMP)
	$(BIN)/python -m pytest -n 0 -s tests/firmware/test_faults.py tests/firmware/test_throughput.py

## clib: the host library in C and its example, into build/clib
clib:
	$(MAKE) -C firmware/c BUILD=$(CURDIR)/build/clib

## fuzz: both drivers against arbitrary bytes, SECONDS each way, and what was done; stops at the first failure
SECONDS ?= 60
fuzz: $(STAMP)
	@mkdir -p build/fuzz
	@$(MAKE) --silent --no-print-directory -C firmware/c BUILD=$(CURDIR)/build/fuzz/c fuzz SECONDS=$(SECONDS)
	@cd build/fuzz && for name in parsed anything damaged; do \
	  $(CURDIR)/$(BIN)/python $(CURDIR)/tests/firmware/fuzz.py $$name $(SECONDS) 2>$$name.log || { tail -n 40 $$name.log; exit 1; }; \
	done

## bench: the figures of the documentation
bench: $(STAMP)
	$(BIN)/python bench/run.py
	$(BIN)/python bench/quantize.py

## costs: the planner's estimates against what place and route counts
costs: $(STAMP)
	$(BIN)/python bench/costs.py

## boards: a bitstream of the demo's network for every board, and its figures
boards: $(STAMP)
	$(BIN)/python bench/run.py --boards

## lock: newest versions that the bounds allow, on the oldest Python supported
lock: $(STAMP)
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --disable-pip-version-check --quiet -e '.[dev]'
	(echo "# Exact versions of everything the kit and its tests use. Written by 'make lock'." && \
	 build/lock/bin/python -m pip freeze --exclude-editable --exclude pulsefold) > build/requirements.lock
	mv build/requirements.lock requirements.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

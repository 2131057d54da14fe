# The doors of the house: plain `make` lists them. Only python3 (3.11 or later), make and a package index are needed.

.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
# One more than small machines have cores: what tests wait for is as often a clock or another process as a core.
WORKERS ?= 3
# Tests handed to a worker at a time: so few that the long ones, which come early, do not all fall to one.
AT_ONCE := 100
OLIST ?= data/olist
FUZZ ?= 20000
RULES ?= 300
SEED ?= $(shell date +%j)
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
REGULARS := $(VENV)/bin/regulars
MEMBERS := libs/common services/ingest services/journeys services/loyalty services/notifier services/segmentation
PROJECTS := pyproject.toml $(MEMBERS:%=%/pyproject.toml)

# The stamps say which lock was installed last; a second run then takes no time. What DEV installs covers RUNTIME.
RUNTIME := $(VENV)/runtime.stamp
DEV := $(VENV)/dev.stamp

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Images like to set it; the hundreds of processes that the tests start would each compile all the sources anew.
unexport PYTHONDONTWRITEBYTECODE
PIP := $(PY) -m pip --quiet
INSTALL_MEMBERS := $(PIP) install --no-deps --no-build-isolation -e . $(MEMBERS:%=-e ./%)

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(DEV) ## make .venv with everything to run and to develop (the other targets do it by themselves)
	@echo "Ready: $(VENV). Try: make demo"

.PHONY: demo
demo: $(RUNTIME) ## a generated shop, 60 days in about 1½ minutes; EXIT=1 ends by itself with status 0 or 1
	@exec $(REGULARS) demo $(if $(filter-out 0,$(EXIT)),--exit) $(ARGS)

.PHONY: up
up: $(RUNTIME) ## run everything in one process, data kept in .regulars; ARGS="--port 8080"
	@exec $(REGULARS) up $(ARGS)

.PHONY: static
static: $(DEV)
	$(PY) -m ruff format --check --quiet .
	$(PY) -m ruff check --quiet .
	$(PY) -m mypy

.PHONY: check
check: static ## format, lint, types, tidy, laws and unit tests: seconds
	$(PY) -m pytest -n $(WORKERS) $(wildcard tests/tidy tests/laws tests/unit) $(ARGS)

.PHONY: test
test: static ## everything that check does, and all tests on real servers
	$(PY) -m pytest -n $(WORKERS) --maxschedchunk $(AT_ONCE) --durations=10 $(ARGS)

.PHONY: nightly
nightly: $(DEV) ## what takes longer than anybody waits for: FUZZ=20000 bodies for every connector, RULES=300 rules, shops' whole files
	REGULARS_FUZZ_EXAMPLES=$(FUZZ) $(PY) -m pytest -n $(WORKERS) tests/ingest/test_fuzz_connectors.py $(ARGS)
	REGULARS_RULES=$(RULES) REGULARS_INSTANTS=1000 REGULARS_STORIES=250 REGULARS_BUSIEST=25 REGULARS_SEED=$(SEED) \
	  $(PY) -m pytest -n 0 --timeout 3600 --log-cli-level INFO tests/segmentation/recomputed/rules $(ARGS)
	REGULARS_WHOLE_FILES=1 REGULARS_ORDERS=10000 $(PY) -m pytest -n $(WORKERS) --timeout 3600 \
	  tests/segmentation/recomputed/purchases tests/e2e/test_data_sets.py \
	  tests/e2e/test_four_ways.py tests/e2e/test_simulate.py $(ARGS)

.PHONY: bench
bench: $(RUNTIME) ## measure this machine: throughput and latency of the whole road
	@exec $(REGULARS) bench $(ARGS)

.PHONY: kafka
kafka: $(DEV) ## start a real Apache Kafka broker without Docker, for `regulars up --kafka`
	@exec $(PY) -m regulars.kafka_broker $(ARGS)

.PHONY: olist
olist: $(DEV) ## the whole Olist history four ways must agree; OLIST=folder with the CSV files (default data/olist)
	@exec $(PY) -m tests.olist.check "$(OLIST)" $(ARGS)

.PHONY: chaos
chaos: $(DEV) ## kill, pause and cut everything at random while events go in: nothing may be lost; ARGS="--seed 7"
	@exec $(PY) -m tests.chaos $(if $(wildcard $(OLIST)),--olist "$(OLIST)") $(ARGS)

.PHONY: documents
documents: $(DEV) ## write docs/events and the boards anew; refuses to break what has been published
	$(PY) -m regulars.event_documents docs/events
	$(PY) -m deploy.grafana.boards

.PHONY: lock
lock: $(DEV) ## write requirements*.lock anew from the pyproject.toml files; ARGS=--upgrade for newer versions
	$(PY) -m uv pip compile --quiet $(PROJECTS) --group build -o requirements.lock $(ARGS)
	$(PY) -m uv pip compile --quiet $(PROJECTS) --group dev -c requirements.lock -o requirements-dev.lock $(ARGS)

.PHONY: clean
clean: ## remove .venv and all caches; your data in .regulars stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Regulars needs Python 3.11 or later; here '$(PYTHON)' is: $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Name another one with: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "This Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) (once; about a minute, mostly downloads) ..."
	@$(PYTHON) -m venv --clear $(VENV)

$(RUNTIME): requirements.lock $(PROJECTS) | $(PY)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(INSTALL_MEMBERS)
	@touch $@

$(DEV): requirements-dev.lock requirements.lock $(PROJECTS) | $(PY)
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(INSTALL_MEMBERS)
	@touch $(RUNTIME) $@

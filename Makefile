# `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo run test test-slow cluster-test cluster-test-slow test-all bench chaos mutations check format migration error-codes api-types clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## Send 326 messages through all processes with faults, hear replies, compare the records.
	$(BIN)/python -m demo

run: $(READY) ## Start the same processes without traffic, until Ctrl-C.
	$(BIN)/python -m demo --stay

# Tests start a hundred processes: each would compile all modules of the service again.
test test-slow cluster-test: export PYTHONDONTWRITEBYTECODE =

# All tests of test_fuzzing.py are slow, and collecting them takes each process 3 s.
test: $(READY) ## Run the tests on SQLite, PostgreSQL and Redis. Needs no root and no Docker.
	@tests/install-tools
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -n 3 -m "not slow and not cluster" \
		--ignore=tests/service/web/test_fuzzing.py $(ARGS)

test-slow: $(READY) ## Run the slow tests, and the property tests with all their examples.
	@tests/install-tools
	$(BIN)/python -m pytest -n 2 -m "(slow or hypothesis) and not cluster" $(ARGS)

# One process runs all tests of a stand. The event feed and the rate limit: tests/cluster.
ON_EACH_STAND := tests/test_path.py tests/service/recording/test_consume_inbox.py

cluster-test: $(READY) ## Test with Sentinel, Cluster, RabbitMQ, a standby of PostgreSQL, and PgBouncer.
	@tests/install-tools rabbitmq
	$(BIN)/python -m pytest -n 2 -m "cluster and not slow" \
		--ignore=tests/service/web/test_fuzzing.py $(ARGS)
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -n 2 --dist loadgroup -m "cluster and not slow" \
		--stand all $(ON_EACH_STAND)

cluster-test-slow: $(READY) ## Replace servers of every kind under traffic.
	@tests/install-tools rabbitmq
	$(BIN)/python -m pytest -n 2 -m "cluster and slow" tests/chaos tests/cluster $(ARGS)

test-all: test test-slow cluster-test cluster-test-slow ## Run all tests.

bench: $(READY) ## Measure Waybill and two other designs: make bench ARGS=--quick.
	$(BIN)/python -m bench $(ARGS)

chaos: $(READY) ## Kill processes, let providers refuse, then compare: make chaos SEED=1 PART=outages.
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(PART:%=--part %)

mutations: $(READY) ## Remove each guard from the code in turn; a test must fail.
	$(BIN)/python -m tests.mutations

check: $(READY) ## Check lint, format, types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code and apply the linter's fixes.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

migration: $(READY) ## Generate a migration from the models: make migration MESSAGE="add x".
	$(BIN)/flask --app service.app db migrate -m "$(MESSAGE)"

error-codes: $(READY) ## Update the lists of codes: make error-codes TWILIO=codes.json SINCH="page.md ...".
	$(BIN)/python -m service.providers.published_codes $(TWILIO:%=--twilio %) $(SINCH:%=--sinch %)

api-types: $(READY) ## Write the types of the Python client from the OpenAPI document.
	$(BIN)/python -m tests.clients.python.openapi_document | $(BIN)/python clients/python/generate_types.py

clean: ## Remove all build files.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .run

$(READY): requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

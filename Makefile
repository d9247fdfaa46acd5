# The first target explains the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo run test test-slow test-all bench chaos mutations check format migration clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## Send a few hundred messages through the whole stack, faults on, and account for them.
	$(BIN)/python -m demo

run: $(READY) ## Start the same stack without traffic; it stays up until Ctrl-C.
	$(BIN)/python -m demo --stay

test: $(READY) ## Run the tests: SQLite, a real PostgreSQL, a real Redis. Needs no root and no Docker.
	@tests/install-tools
	$(BIN)/python -m pytest -n 2 -m "not slow" $(ARGS)

test-slow: $(READY) ## Run the slow tests: browser, chaos, rests of minutes, a large database.
	@tests/install-tools
	$(BIN)/python -m pytest -n 2 -m slow $(ARGS)

test-all: test test-slow ## Run all tests.

bench: $(READY) ## Measure Waybill beside two other designs: make bench ARGS=--quick.
	$(BIN)/python -m bench $(ARGS)

chaos: $(READY) ## Kill every process in turn under traffic, then compare two witnesses: make chaos SEED=1.
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

mutations: $(READY) ## Take each guard away in turn: a test must turn red.
	$(BIN)/python -m tests.mutations

check: $(READY) ## Lint, format, types, import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code and mend what the linter can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

migration: $(READY) ## Write a migration from the models: make migration MESSAGE="add x".
	$(BIN)/flask --app service.app db migrate -m "$(MESSAGE)"

clean: ## Remove everything that was built.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .run

$(READY): requirements.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

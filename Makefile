# Everything a developer or CI runs. The environment lives in .venv and is made on first use.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# buf would keep an empty cache in the home folder, or here where there is none.
export BUF_CACHE_DIR := $(CURDIR)/$(VENV)/cache
UV_VERSION := 0.13.8
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url

# The files of tests are shared out over the cores; those of one file stay together, with the servers that they start.
BESIDE := --numprocesses=auto --maxprocesses=4 --dist=loadfile

.PHONY: help run test test-full check proto proto-check clients clients-check bench bench-peers bench-search lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.server ## start the gateway for development, on loopback, with no key needed
	$(BIN)/gateway serve --dev

test: $(VENV)/.dev ## run the tests that a change must pass
	$(BIN)/pytest -q -m "not full" $(BESIDE)

test-full: $(VENV)/.dev ## run every test, the long ones too
	$(BIN)/pytest -q $(BESIDE)

check: $(VENV)/.dev ## format, lint, types, protos and stubs, changing nothing
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	@$(MAKE) --no-print-directory proto-check
	@$(BIN)/python clients/generate.py --check --at-hand

# One call for the package that the gateway serves, one for the frozen file of the six-line client: stubs of
# proto/gateway/v1 import each other as gateway.v1, so they can live nowhere else.
PROTOC = $(BIN)/python -m grpc_tools.protoc -I proto --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc
generate = $(PROTOC) --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1)

proto: $(VENV)/.dev ## write the Python stubs anew from proto/
	$(call generate,.) proto/gateway/v1/*.proto
	$(call generate,clients/python) proto/deepseek.proto

proto-check: $(VENV)/.dev ## protos: format, lint, breaking changes, stubs as committed
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf lint
	$(BIN)/buf breaking --against proto/baseline.json
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; mkdir -p "$$fresh/clients/python"; \
	$(call generate,"$$fresh") proto/gateway/v1/*.proto; \
	$(call generate,"$$fresh/clients/python") proto/deepseek.proto; \
	{ diff -r -x __pycache__ gateway/v1 "$$fresh/gateway/v1" && \
	  for stub in "$$fresh"/clients/python/*; do diff "clients/python/$${stub##*/}" "$$stub"; done; } \
	|| { echo "The stubs are not what proto/ says: run 'make proto' and commit the result." >&2; exit 1; }
	@echo "protos and stubs agree"

clients: $(VENV)/.dev ## write the Go, TypeScript and Java stubs anew, and the version into each client
	@$(BIN)/python clients/generate.py

clients-check: $(VENV)/.dev ## those stubs: as committed, for each language whose tools are here
	@$(BIN)/python clients/generate.py --check

bench-search: $(VENV)/.dev ## measure the embedded search: quality and speed; ARGS=--losses shows what it missed
	$(BIN)/python -m tests.bench.search_quality $(ARGS)

bench: $(VENV)/.dev ## measure, and hold the cost of an event against what is recorded; ARGS=--write
	$(BIN)/python -m tests.bench $(ARGS)
	$(BIN)/python -m tests.bench.guard

bench-peers: $(VENV)/.dev ## measure beside the gateways that people would pick instead, which it installs; ARGS=--write
	$(BIN)/python -m tests.bench.peers $(ARGS)

lock: $(VENV)/.created ## resolve the dependencies anew; ARGS=--upgrade takes newer ones
	$(PIP) install uv==$(UV_VERSION)
	$(COMPILE) $(ARGS) --extra server pyproject.toml -o requirements.lock
	$(COMPILE) $(ARGS) --group build -c requirements.lock -o requirements-build.lock
	$(COMPILE) $(ARGS) --extra dev -c requirements.lock -c requirements-build.lock pyproject.toml -o requirements-dev.lock

clean: ## remove .venv and every cache; data in .gateway stays
	rm -rf $(VENV) .cache clients/typescript/node_modules clients/typescript/dist clients/java/target .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . \( -name .git -o -name .gateway -o -name node_modules \) -prune -o \
		-name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: a step is run again when what it was made from is newer. What the tests need includes what the server needs,
# at the same versions, so the larger set marks the smaller one as done.
$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null \
		|| { echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1), and Python 3.11 or newer is needed: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "The environment could not be made; on Debian and Ubuntu install the package python3-venv." >&2; exit 1; }
	@touch $@

$(VENV)/.server: requirements.lock requirements-build.lock pyproject.toml | $(VENV)/.created
	@echo "installing what the server needs into $(VENV)"
	@$(call install,requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock requirements-build.lock pyproject.toml | $(VENV)/.created
	@echo "installing what the server and its tests need into $(VENV)"
	@$(call install,requirements-dev.lock)
	@touch $(VENV)/.server $@

# The build tools come first, because the project itself is built without a network, as an editable install.
define install
$(PIP) install --require-hashes -r requirements-build.lock && \
$(PIP) install --require-hashes -r $(1) && \
$(PIP) install --no-deps --no-build-isolation --editable .
endef

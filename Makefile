# Every target sets up what it needs. `make help` prints them.
PYTHON ?= python3
UV_VERSION = 0.13.9
BIN = .venv/bin
BENCH = QUICK=$(QUICK) JSON=$(JSON) $(BIN)/python -m

.DEFAULT_GOAL = help
.PHONY: help demo clients test check lint format generate lock cluster-build cluster cluster-shell cluster-down test-cluster clean

help: ## print this
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: .venv/.demo ## set up, then show a whole story of rollouts on this machine (three minutes)
	$(BIN)/python -m demo

clients: .clients/triton .clients/schemathesis .clients/mlserver .clients/kserve .clients/kserve-source .clients/atheris ## set up the clients of others that predictors are tried against

test: .venv/.dev ## set up, then run every test that needs no cluster
	$(BIN)/pytest -q -m "not cluster"

check: lint test ## what CI runs before the cluster

lint: .venv/.dev ## format, lint, types, import contracts
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy && $(BIN)/lint-imports

format: .venv/.dev ## format and mend what can be mended
	$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

generate: .venv/.dev ## write the CRD, the reference and the page of commands anew
	$(BIN)/python -m turnout.api.generate && $(BIN)/python -m turnout.cli.reference --write
	$(BIN)/python tests/chart/values_table.py --write
	$(BIN)/python tests/api/runtime_settings.py --write

lock: $(BIN)/uv ## resolve every dependency anew
	locks/compile

cluster-build: .venv/.dev ## compile what the cluster needs, and helm; once, then it is cached outside the clone
	$(BIN)/python tests/cluster/harness build

cluster: .venv/.dev ## compile (once, about a quarter of an hour) and start a real Kubernetes with KServe and Knative; needs root
	$(BIN)/python tests/cluster/harness up

cluster-shell: .venv/.dev ## a shell with kubectl, helm and the gateway's address
	$(BIN)/python tests/cluster/harness shell

cluster-down: .venv/.dev ## stop the cluster and clean up behind it
	$(BIN)/python tests/cluster/harness down

test-cluster: .venv/.dev ## build the images, install the chart, test end to end on the real cluster; needs root
	TURNOUT_REQUIRE_CLUSTER=1 $(BIN)/pytest -q -m cluster tests/cluster

bench-%: .venv/.dev ## run a benchmark: bench-breakage, -judge, -operator, -operator.fleet, -serving (QUICK=1, JSON=FILE)
	$(BENCH) benchmarks.$*

clean: ## remove what the other targets made here
	rm -rf .venv .clients .demo .turnout .mypy_cache .ruff_cache .pytest_cache .hypothesis .schemathesis .import_linter_cache

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Turnout needs Python 3.11 to 3.13; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv .venv && $(BIN)/python -m pip install -q "uv==$(UV_VERSION)"

.venv/.dev: locks/dev.txt pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install -q --compile-bytecode --require-hashes -r locks/dev.txt
	$(BIN)/uv pip install -q --no-deps -e . && touch .venv/.demo $@

.clients/%: locks/client-%.txt | $(BIN)/uv
	$(BIN)/uv venv -q --clear --python $(BIN)/python $@
	VIRTUAL_ENV=$(CURDIR)/$@ $(BIN)/uv pip install -q --require-hashes -r $< && touch $@

.clients/kserve-source: locks/client-kserve-source.txt | .clients/kserve
	.clients/kserve/bin/python -m pip download -q --no-deps --no-build-isolation --no-binary kserve --require-hashes -r $< -d $@
	tar -xzf $@/kserve-*.tar.gz -C $@ --strip-components 1 && touch $@

.venv/.demo: locks/demo.txt pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install -q --compile-bytecode --require-hashes -r locks/demo.txt
	$(BIN)/uv pip install -q --no-deps -e . && touch $@

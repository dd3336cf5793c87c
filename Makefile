# Two commands for a newcomer: `make demo` and `make test`. Each does its own set-up in .venv; nothing is installed globally.
# They need Python 3.11, make, g++ and cmake (fasttext and kenlm are compiled, about 100 s each, once).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: demo test test-slow check bench bench-vocab bench-embed bench-replay clean

demo: $(VENV)/demo
	$(BIN)/corpus sample --out data/raw/wudao
	$(BIN)/corpus build --src wudao --overwrite
	$(BIN)/tokenizer extend --add zh7k --out data/tokenizer/zh7k --overwrite \
	  || $(BIN)/tokenizer extend --add zh7k --base mistral --out data/tokenizer/zh7k --overwrite
	$(BIN)/tokenizer pack data/corpus/wudao --tokenizer data/tokenizer/zh7k --seq-len 256 --out data/tokens/wudao --overwrite
	$(BIN)/train stage=pt config=tiny-cpu data=data/tokens/wudao tokenizer=data/tokenizer/zh7k out=data/runs/pt --overwrite
	$(BIN)/train lineage data/runs/pt

test: $(VENV)/dev check
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev $(VENV)/bench
	$(BIN)/python -m tests.bench

# Experiments rather than speeds, each some 20 minutes on one core; ARGS='--hidden 512 …' for a larger one.
bench-vocab: $(VENV)/dev
	$(BIN)/python -m tests.bench.vocab $(ARGS)

bench-embed: $(VENV)/dev
	$(BIN)/python -m tests.bench.embed $(ARGS)

# Needs ../shared/data (medical Chinese, English novels and pages); SmolLM2 comes through pip; kept in data/bench/replay.
bench-replay: $(VENV)/dev
	$(BIN)/python -m tests.bench.replay $(ARGS)

# An extra of pyproject.toml, installed once; its mark is older than pyproject.toml when that has changed.
$(VENV)/demo $(VENV)/dev $(VENV)/bench: $(VENV)/%: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[$*]'
	@touch $@

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "yanmo needs Python 3.11: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info

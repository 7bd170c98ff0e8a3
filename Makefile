# Two commands on a fresh machine with Python ≥ 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
EARS := $(BIN)/ears

.PHONY: demo test check format benchmarks clean

demo: $(VENV)/base.stamp  ## imagine an instrument, play and draw a phrase, let the ears listen
	mkdir -p demo
	$(EARS) imagine -o demo/instrument --seed 1 --family keyboard --pitches 36,48,60,72,84 --force
	$(BIN)/python examples/phrase.py demo/instrument/instrument.json demo/phrase.wav
	$(EARS) show demo/phrase.wav -o demo/phrase.png
	$(EARS) listen demo/instrument --plot demo/instrument-heard.png
	$(EARS) listen examples/notes --article --plot demo/heard.png

test: $(VENV)/dev.stamp  ## run the tests
	$(BIN)/python -m pytest

check: $(VENV)/dev.stamp  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmarks: $(VENV)/dev.stamp  ## measure against the peers; rewrites docs/BENCHMARKS.md
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/training.py

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/base.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

$(VENV)/dev.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[train,explore,dev]'
	touch $@ $(VENV)/base.stamp

clean:
	rm -rf $(VENV) demo

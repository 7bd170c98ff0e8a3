# Two commands on a fresh machine with Python ≥ 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
EARS := $(BIN)/ears
PYTEST := $(BIN)/python -m pytest
WORK ?= work# folder in which runs/laptop_cpu.sh keeps stores, control maps and runs

.PHONY: demo test test-fast coverage check format benchmarks clean

demo: $(VENV)/base.stamp  ## imagine an instrument, play and draw a phrase, let the ears listen
	mkdir -p demo
	$(EARS) imagine -o demo/instrument --seed 1 --family keyboard --pitches 36,48,60,72,84 --force
	$(BIN)/python examples/phrase.py demo/instrument/instrument.json demo/phrase.wav
	$(EARS) show demo/phrase.wav -o demo/phrase.png
	$(EARS) listen demo/instrument --plot demo/instrument-heard.png
	$(EARS) listen examples/notes --article --plot demo/heard.png

test: $(VENV)/dev.stamp  ## run all tests, a file at a time on each core
	$(PYTEST) --numprocesses auto --dist loadfile

test-fast: $(VENV)/dev.stamp  ## leave out tests that train, use a browser, render SoundFonts or are slow
	$(PYTEST) --numprocesses auto --dist loadfile -m "not slow and not train and not web and not fluidsynth"

coverage: $(VENV)/dev.stamp  ## run all tests and print the line coverage
	$(PYTEST) --numprocesses auto --dist loadfile --cov=mechanical_ears --cov-report=term

check: $(VENV)/dev.stamp  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All programs that write docs/BENCHMARKS.md: hours. First: WORK=$(WORK) runs/laptop_cpu.sh.
benchmarks: $(VENV)/dev.stamp  ## measure against the peers; rewrites docs/BENCHMARKS.md
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/article.py $(WORK)/article $(WORK)/article-notes
	$(BIN)/python benchmarks/inputs.py $(WORK)/article-notes
	$(BIN)/python benchmarks/listener.py --store $(WORK)/font-notes
	$(BIN)/python benchmarks/hearing.py --store $(WORK)/font-notes
	$(BIN)/python benchmarks/control_maps.py
	$(BIN)/python benchmarks/control_maps.py --magnitude
	$(BIN)/python benchmarks/realism.py
	$(BIN)/python benchmarks/ablation.py $(WORK)/maps -o $(WORK)/ablation
	$(BIN)/python benchmarks/gansynth_like.py $(WORK)/font-notes -o $(WORK)/gansynth
	$(BIN)/python benchmarks/imagination.py $(WORK)/font-notes --generators gansynth=gansynth_like:$(WORK)/gansynth
	$(BIN)/python benchmarks/like.py
	$(BIN)/python benchmarks/instrument.py
	$(BIN)/python benchmarks/export_steps.py
	$(BIN)/python benchmarks/explore.py
	$(BIN)/python benchmarks/explore_page.py

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

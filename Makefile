# Two commands do everything: `make demo` and `make test`. Both make the environment first.
#
#   PYTHON   interpreter the environment is made with (3.10 to 3.12)
#   VENV     where the environment lies
#   DEMO_OUT where the demo writes

PYTHON ?= python3
VENV ?= .venv
DEMO_OUT ?= outputs/demo
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
WANTED := setup.py pyproject.toml $(wildcard requirements/*.txt)

.PHONY: help env demo test lint format clean

help:
	@echo "make demo    segment the sample images, then score the procedural scenes"
	@echo "make test    run the tests"
	@echo "make lint    check style        make format  repair it"
	@echo "make clean   remove the environment and everything made"

env: $(INSTALLED)

$(INSTALLED): $(WANTED)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "ovseg needs Python 3.10 to 3.12; name one with: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet -c requirements/constraints.txt -e ".[tests,demo]"
	@touch $@

demo: $(INSTALLED)
	$(RUN) demo/image_demo.py demo/images --classes demo/images/classes.txt \
	  --model trident_nano --out $(DEMO_OUT)
	$(RUN) tools/test.py configs/trident/trident_nano_scenes.py --work-dir $(DEMO_OUT)/scenes \
	  --cfg-options test_dataloader.dataset.length=100
	@echo "The pictures are in $(DEMO_OUT)."

test: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pytest -q

lint: $(INSTALLED)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(INSTALLED)
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache outputs

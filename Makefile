# `make demo` shows nmc at work, `make test` checks it. Both make their own environment in .venv;
# nothing but Python 3.11, 3.12 or 3.13 has to be there. Downloads happen once: a second run needs no network.

PYTHON ?= python3
SHELL := /bin/bash
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test clean

help:
	@echo "make demo    compile, simulate and verify a trained network on every target"
	@echo "make test    lint, format, types and all tests"
	@echo "make clean   remove .venv and out/"

# The targets and witnesses that the demo shows.
TARGETS := loihi spinnaker2 fpga sfq
WITNESSES := lava
DIGITS := examples/digits/digits.nir
DATA := --input examples/digits/test.npz --labels y

demo: $(VENV)/.nmc
	@echo "# witnesses: simulators that others wrote, in environments of their own"
	@for tool in $(WITNESSES); do echo "nmc tools install $$tool"; nmc tools install $$tool || exit; done
	@echo "# the network as it was trained, in reals"
	nmc simulate $(DIGITS) $(DATA)
	@$(MAKE) --no-print-directory $(TARGETS:%=demo-%)

# Counters of pulses hold no exponential leak: a network without one.
demo-sfq: DIGITS := examples/sfq/digits.nir
demo-sfq: DATA := --input examples/sfq/test.npz --labels y

demo-%:
	@echo "# $*: compile, run the program on the cycle-level machine, compare it with golden and the witnesses"
	nmc compile $(DIGITS) --target $* -o out/digits-$*
	nmc simulate out/digits-$* --engine machine $(DATA)
	nmc verify out/digits-$*

test: $(VENV)/.test
	@for tool in $(WITNESSES); do nmc tools install $$tool || exit; done
	ruff check .
	ruff format --check .
	pyright
	pytest -n 2 -m "not slow"

clean:
	rm -rf $(VENV) out

# ---- the environment: each stamp stands for packages that are in place -----------------------------------

SUPPORTED := (3, 11) <= sys.version_info[:2] <= (3, 13)
ADVICE := nmc needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if $(SUPPORTED) else "$(ADVICE)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.nmc: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[spinnaker2]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[all,test]'
	@touch $@ $(VENV)/.nmc

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

demo: $(VENV)/.nmc
	@echo "# the witness: Lava, in an environment of its own"
	nmc tools install lava
	@echo "# the network as it was trained, in reals"
	nmc simulate examples/digits/digits.nir --input examples/digits/test.npz --labels y
	@echo "# Loihi: compile, run the program on the cycle-level machine, compare with golden and Lava"
	nmc compile examples/digits/digits.nir --target loihi -o out/digits-loihi
	nmc simulate out/digits-loihi --engine machine --input examples/digits/test.npz --labels y
	nmc verify out/digits-loihi

test: $(VENV)/.test
	nmc tools install lava
	ruff check .
	ruff format --check .
	pyright
	pytest -n 2

clean:
	rm -rf $(VENV) out

# ---- the environment: each stamp stands for packages that are in place -----------------------------------

SUPPORTED := (3, 11) <= sys.version_info[:2] <= (3, 13)
ADVICE := nmc needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=python3.11

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if $(SUPPORTED) else "$(ADVICE)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.nmc: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[all,test]'
	@touch $@ $(VENV)/.nmc

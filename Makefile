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
	@echo "make test    format, lint, types and all tests"
	@echo "make clean   remove .venv and out/"

demo: $(VENV)/.lava
	nmc compile examples/digits/digits.nir --target loihi --calibrate examples/digits/test.npz -o out/digits
	nmc simulate examples/digits/digits.nir --input examples/digits/test.npz --labels y
	nmc simulate out/digits --input examples/digits/test.npz --labels y --engine machine
	nmc verify out/digits

test: $(VENV)/.test $(VENV)/.lava
	ruff check .
	ruff format --check .
	pyright
	pytest -n 2

clean:
	rm -rf $(VENV) out

# ---- the environment: each stamp is a set of packages that is in place -----------------------------------

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and "nmc needs Python 3.11, 3.12 or 3.13; this is " + sys.version.split()[0] + ": make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.nmc: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[test,all]'
	@touch $@ $(VENV)/.nmc

$(VENV)/.lava: $(VENV)/.nmc
	nmc tools install lava
	@touch $@

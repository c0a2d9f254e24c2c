# The commands of a checkout; `make help` lists them.
PYTHON ?= python3
CORPUS ?= ../shared/corpus
VENV   := .venv
BUILD  ?= build
DIST   ?= dist
# The shipped models are trained on archives of real mail (CORPUS), the messages of `training/messages`, and generated
# mail: mail of `training/synthetic`, texts of this project dressed as modern mail, and disguised copies of the first two.
GENERATED := --synthetic 15000 --synthetic-share 0.35 --evaded 0.33 --evaded-share 0.08 \
	--modern $(CORPUS) --modern-count 60000 --modern-share 0.07 --without app: --without news:
# The sources with recent mail, which are sampled more often, and the messages of authors.
AUTHORS := $(patsubst training/messages/%.tar.xz,%,$(sort $(wildcard training/messages/*.tar.xz)))
WEIGHTS := $(foreach source,lists phishing_pot newsletters2019 ham-notices,--weight $(source)=3) \
	$(foreach source,$(AUTHORS),--weight $(source)=2)
PIP    := $(VENV)/bin/pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: help run test train deb image release reproduce clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

# MAILDIR counts only on the command line, as some users export it for other programs.
run: $(VENV)/light ## watch a demo Maildir, or MAILDIR=~/Maildir (a dry run, unless DRY_RUN=no)
ifeq ($(origin MAILDIR),command line)
	$(VENV)/bin/spamlstm run $(if $(filter no,$(DRY_RUN)),,--dry-run) "$(patsubst ~/%,$(HOME)/%,$(MAILDIR))"
else
	$(VENV)/bin/python docs/demo/run.py
endif

test: $(VENV)/dev ## check format, lint, types and import layers, and run the tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest -q -n 2

train: $(VENV)/dev ## train the shipped model (CORPUS=folder of archives)
	$(VENV)/bin/python -m training fit --corpus $(CORPUS) --corpus training/messages $(GENERATED) $(WEIGHTS) \
		--epochs 5 --per-epoch 40000 --deep-rows 4 --vocabulary 18000 --version 18 --out models/default

deb: ## build the Debian package, on Debian
	packaging/deb.sh $(BUILD) $(DIST)

image: deb ## build the container image, on Debian
	packaging/image.sh $(BUILD) $(DIST)

release: $(VENV)/release ## build all packages of the last commit into dist/, with a bill of materials and checksums
	rm -rf dist
	$(VENV)/bin/python packaging/python_packages.py
	$(VENV)/bin/python packaging/sbom.py
	$(if $(shell command -v dh),$(MAKE) image)
	cd dist && LC_ALL=C sh -c 'sha256sum -- * > SHA256SUMS'

reproduce: ## build the release of the last commit twice and compare all files
	packaging/reproduce.sh

clean: ## remove the virtual environment, caches and builds
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamp files: the environment is created again only when one of these files has changed.
$(VENV)/light: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spamlstm needs Python 3.11 or newer")'
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/dev: $(VENV)/light
	$(PIP) -e '.[dev]'
	@touch $@

$(VENV)/release: $(VENV)/light
	$(PIP) -e '.[release]'
	@touch $@

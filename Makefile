# Everything is installed into this folder: .venv, dev/node_modules, .local. `make help` lists what there is.

MAKEFLAGS += --no-print-directory
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin

# The Python that runs in Azure; the templates and infra/package.py read it from the same file.
RUNTIME = $(shell sed -n 's/.*"python": "\([0-9.]*\)".*/\1/p' infra/runtime.json)
# uv takes a fifth of the time, and does not know where pip.conf sends pip.
install = { $(BIN)/uv pip install --quiet --python $(1)/bin/python $(2) 2>/dev/null \
	  || $(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2); }
LOCK = $(BIN)/uv pip compile --quiet --generate-hashes --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

.PHONY: help install run test soak audit browser check-docs bench format pictures lock templates package button

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## install what is missing into this folder
	@$(BIN)/python -m dev.azurite

run: $(VENV)/.installed ## run the whole app on this machine and send it two leads (PORT=7071, AUTH=1, VERBOSE=1)
	@exec $(BIN)/python -m dev.run

test: install browser ## check the code and run every test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

soak: install ## an hour of trouble: kills, floods, a backlog, 5,000 seeds; goes on where it stopped (AGAIN=1: anew)
	@$(BIN)/python -m dev.soak

audit: $(VENV)/.installed ## look for known weaknesses in everything that is installed; says so when it is offline
	@$(BIN)/python -m dev.audit

browser:
	@{ command -v chromium && command -v chromedriver; } >/dev/null 2>&1 || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Chromium for the tests of the page" && \
	    apt-get -qq update && apt-get -qq install -y chromium chromium-driver >/dev/null; } || \
	  echo "Without chromium and chromedriver the tests of the page in a browser are skipped."

check-docs: $(VENV)/.installed ## check every documented az command with azure-cli's own parser (733 MB into .local)
	@test -f .local/azure-cli/.installed || { echo "Installing azure-cli into .local/azure-cli"; \
	  $(PYTHON) -m venv .local/azure-cli && $(call install,.local/azure-cli,azure-cli==2.91.0) \
	  && touch .local/azure-cli/.installed; }
	@.local/azure-cli/bin/python dev/check_az.py

bench: install ## measure starts, leads and looks on this machine, before and after (WRITE=1: into docs/performance.md)
	@$(BIN)/python -m dev.bench $(if $(WRITE),--write)

pictures: install browser ## make the pictures of the documents anew: diagrams, the page, mails (needs Chromium)
	@$(BIN)/python -m dev.diagrams docs/images
	@$(BIN)/python -m tests.shots docs/images

format: install ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: $(VENV)/.installed ## pin what the requirements*.in files name, by hash (UPGRADE=1: to the newest versions)
	$(LOCK) --universal --python-version 3.11 requirements.in -o requirements.txt
	$(LOCK) --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	$(LOCK) --universal --python-version 3.11 dev/requirements-audit.in -o dev/requirements-audit.txt
	$(LOCK) --python-version $(RUNTIME) --python-platform x86_64-manylinux_2_28 --only-binary :all: \
	  -c requirements.txt requirements.in -o infra/requirements-package.txt

templates: ## compile the templates to infra/main.json and infra/upgrade.json, for everybody who has no compiler
	bicep build infra/main.bicep --outfile infra/main.json
	bicep build infra/upgrade.bicep --outfile infra/upgrade.json

package: ## make the package as a release has it, with its SHA-256, in dist/<version> (needs the Python that runs in Azure)
	@$(PYTHON) dev/release.py

button: $(VENV)/.installed ## print the links of the Deploy button for a repository, and name its package in the form (REPO=owner/name)
	@$(BIN)/python -m dev.button $(REPO)

$(VENV)/.installed: requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later was not found. Install it, or say make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing Python packages into $(VENV): one to three minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# The two commands are `make book` and `make test`; `make help` lists the rest.
# Works with GNU make 3.81 (macOS) and later. tools/fresh.py runs a step only when the contents of
# the files it depends on have changed, so a second run of anything is quick.

PYTHON   ?= python3
PORT     ?= 8000
JOBS     ?= 1
NOTEBOOK ?=
BENCH    ?=
ARGS     ?=
WORKERS  ?= logical

PY     := .venv/bin/python
FRESH   = $(PY) tools/fresh.py
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check
NPM    := .venv/bin/npm ci --loglevel=error
PINS   := requirements.txt requirements-site.txt
NODE   := package.json package-lock.json .npmrc
SITE   := _config.yml _toc.yml requirements-site.txt $(NODE) Makefile book course_lib tools benchmarks/results
SELECT  = $(if $(NOTEBOOK),--notebook $(NOTEBOOK)) --jobs $(JOBS) $(if $(FORCE),--force)

.PHONY: help setup book serve test notebooks stamp bench clean distclean site-pins full-pins bench-pins site-node all-node html wheel full-wheel
.NOTPARALLEL:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

book: site-pins  ## build the site into _build/html
	@$(FRESH) _build/html/.stamp $(SITE) -- $(MAKE) --no-print-directory html
	@echo "The site: file://$(CURDIR)/_build/html/index.html"
	@echo "Over http: make serve"

serve: book  ## build the site and serve it on localhost (PORT=8000)
	@echo "http://localhost:$(PORT)/ — stop with Ctrl-C"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

setup: $(PY)  ## install everything that the chapters and the tests need
	@$(FRESH) .venv/.setup $(PINS) pyproject.toml -- $(MAKE) --no-print-directory full-pins
	@$(FRESH) node_modules/.all $(NODE) -- $(MAKE) --no-print-directory all-node

test: setup book wheel  ## run every check there is (ARGS="-k name" for some of them)
	@$(PY) -m tools.notebooks stage
	@OMP_NUM_THREADS=1 JUPYTER_PATH="$(CURDIR)/_build/kernel" $(PY) -m pytest _build/nbval tests course_lib \
		--nbval -n $(WORKERS) --maxprocesses 8 --dist loadfile $(ARGS)

notebooks: setup wheel  ## run again what has changed and keep the outputs (CHECK=1, NOTEBOOK=name, FORCE=1, JOBS=2)
	@$(PY) -m tools.notebooks $(if $(CHECK),check,run) $(SELECT)

stamp:  ## write the repository's address into the book (REPO=owner/name; SITE=, HUB=: see CONTRIBUTING.md)
	@$(PYTHON) tools/stamp.py $(foreach name,REPO SITE HUB,$(if $(findstring command,$(origin $(name))),"$(name)=$($(name))"))

bench: setup wheel bench-pins  ## measure again what has changed (FORCE=1 for everything, BENCH=name for one)
	@$(PY) -m benchmarks.run $(BENCH) $(if $(FORCE),--force)

clean:  ## remove what was built, keep the environment
	rm -rf _build .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## remove the environment as well
	rm -rf .venv node_modules

# ---- the steps that the commands above run only when they must

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Descent needs Python 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv --clear .venv || \
		{ rm -rf .venv; echo "Python's venv module is missing. On Debian and Ubuntu: sudo apt install python3-venv"; exit 1; }

# In a full environment this finds everything in place.
site-pins: $(PY)
	@$(FRESH) .venv/.site requirements-site.txt -- $(PIP) -r requirements-site.txt
	@$(FRESH) node_modules/.site $(NODE) -- $(MAKE) --no-print-directory site-node

full-pins:
	$(PIP) -r requirements.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@$(PY) -c 'import matplotlib.font_manager'   # builds its font list now, not in a chapter's output

site-node:
	@[ -n "$(ALL_NODE)" ] || $(NPM) --omit=dev >/dev/null

# What the tests and the benchmarks look at the site with, too; then the site's own packages need not be installed again.
all-node:
	@$(NPM) >/dev/null
	@ALL_NODE=yes $(FRESH) node_modules/.site $(NODE) -- $(MAKE) --no-print-directory site-node

# What the benchmarks measure against; installed for them alone.
bench-pins: $(PY)
	@$(FRESH) .venv/.bench $(PINS) requirements-bench.txt -- $(PIP) -r requirements-bench.txt

html:
	@rm -rf _build/html _build/.doctrees   # a page that was deleted must not stay, nor a warning be forgotten
	.venv/bin/jupyter-book build . -W -n --keep-going --quiet

wheel:
	@$(FRESH) _build/wheel/.stamp course_lib pyproject.toml README.md LICENSE -- $(MAKE) --no-print-directory full-wheel

full-wheel:
	@rm -rf _build/wheel
	$(PIP) --no-deps --no-build-isolation --target _build/wheel .

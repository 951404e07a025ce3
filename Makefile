# One word per chore. Each sets up what it needs, once; nothing is installed outside of this folder.
PYTHON ?= python3
SERVE := .venv
DEV := .venv-dev
UV ?= $(DEV)/bin/uv
COMPILE = $(UV) pip compile pyproject.toml --group build --generate-hashes --universal --fork-strategy fewest --python-version 3.11 --no-header --quiet $(OPTIONS)

.PHONY: help demo serve test check format lock quality speed bench load crash container settings
help: ## list the chores
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' $(MAKEFILE_LIST)

demo: $(SERVE)/.stamp ## start the service, clean the bundled sample through it with a callback, download the result, stop
	@$(SERVE)/bin/python samples/demo.py demo-output

serve: $(SERVE)/.stamp ## run the service until Ctrl-C; its data lies in cleanplate-data
	@$(SERVE)/bin/cleanplate serve

test: $(DEV)/.stamp ## run all tests, two files at a time
	$(DEV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(DEV)/.stamp ## format, lint, types, import contracts
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.stamp ## put the code into form
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

lock: ## write requirements/*.lock anew, keeping versions; OPTIONS=--upgrade moves them
	$(COMPILE) --extra cpu --extra serve --output-file requirements/serve-cpu.lock
	$(COMPILE) --extra cuda --extra serve --constraint requirements/serve-cpu.lock --output-file requirements/serve-cuda.lock
	$(COMPILE) --extra dev --constraint requirements/serve-cpu.lock --output-file requirements/dev.lock

quality: $(DEV)/.stamp ## measure what is removed, against classical baselines
	$(DEV)/bin/python -m benchmarks.quality $(OPTIONS)

speed: $(DEV)/.stamp ## measure fps and memory, against a plain transcode
	$(DEV)/bin/python -m benchmarks.speed $(OPTIONS)

bench: quality speed ## both

load: $(DEV)/.stamp ## measure the service: submits, queue, memory
	$(DEV)/bin/python -m benchmarks.load $(OPTIONS)

crash: $(DEV)/.stamp ## kill the service at random moments and look for what was lost
	$(DEV)/bin/python -m benchmarks.crash $(OPTIONS)

container: ## play Dockerfile.cuda's steps in a chroot (root, debootstrap); OPTIONS=--cpu
	tests/container/build_in_chroot.sh $(OPTIONS)

settings: $(DEV)/.stamp ## write docs/settings.md anew
	$(DEV)/bin/cleanplate settings table > docs/settings.md

$(SERVE)/.stamp: requirements/serve-cpu.lock pyproject.toml
$(DEV)/.stamp: requirements/dev.lock pyproject.toml
%/.stamp:
	@$(PYTHON) -c 'import sys; sys.exit("Cleanplate needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $*/bin/python || $(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $<
	$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# One word per chore. Each sets up what it needs, once; nothing is installed outside this folder.
PYTHON ?= python3
SERVE := .venv
DEV := .venv-dev
UV ?= $(DEV)/bin/uv
COMPILE = $(UV) pip compile pyproject.toml --group build --generate-hashes --universal --fork-strategy fewest --python-version 3.11 --no-header --quiet $(OPTIONS)

RUNTIME ?= cpu
VERSION = $(shell sed -n 's/^VERSION: Final = "\(.*\)"/\1/p' service/version.py)

.PHONY: help image types demo serve test check format lock images quality speed bench load crash container docs formats
help: ## list the chores
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' $(MAKEFILE_LIST)

demo: $(SERVE)/.stamp ## start the service, clean the bundled sample through it, stop
	@$(SERVE)/bin/python samples/demo.py demo-output

serve: $(SERVE)/.stamp ## run the service until Ctrl-C; its data is in cleanplate-data
	@$(SERVE)/bin/cleanplate serve

test: $(DEV)/.stamp ## run all tests, two files at a time
	$(DEV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(DEV)/.stamp ## check format, lint, types and import contracts
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.stamp ## format the code
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

lock: ## rewrite requirements/*.lock, keeping versions; OPTIONS=--upgrade updates them
	$(COMPILE) --extra cpu --extra serve --extra tracing --output-file requirements/serve-cpu.lock
	$(COMPILE) --extra cuda --extra serve --extra tracing --constraint requirements/serve-cpu.lock --output-file requirements/serve-cuda.lock
	$(COMPILE) --extra dev --constraint requirements/serve-cpu.lock --output-file requirements/dev.lock

images: ## write the digests of the fleet's images behind their tags (needs docker); OPTIONS=--check only looks
	@$(PYTHON) deploy/pin_images.py $(OPTIONS)

quality: $(DEV)/.stamp ## measure quality against classical baselines
	$(DEV)/bin/python -m benchmarks.quality $(OPTIONS)

speed: $(DEV)/.stamp ## measure speed and memory against a plain transcode
	$(DEV)/bin/python -m benchmarks.speed $(OPTIONS)

bench: quality speed ## measure quality and speed

load: $(DEV)/.stamp ## measure the service: orders, queue, memory
	$(DEV)/bin/python -m benchmarks.load $(OPTIONS)

crash: $(DEV)/.stamp ## kill the service at random moments and count what is lost
	$(DEV)/bin/python -m benchmarks.crash $(OPTIONS)

image: ## build the container image (needs docker); RUNTIME=cuda for an NVIDIA GPU
	docker build --build-arg RUNTIME=$(RUNTIME) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) --tag cleanplate:$(RUNTIME) --tag cleanplate:$(VERSION)-$(RUNTIME) .

container: ## run the steps of the Dockerfile in a chroot (needs root and debootstrap); OPTIONS=--cuda
	tests/container/build_in_chroot.sh $(OPTIONS)

docs: $(DEV)/.stamp ## rewrite what is generated in the documents: settings, modules, figures
	{ printf '# Settings\n\nEvery variable that the program reads, with its default. They may also stand in the files of the current folder that [the command](command.md) reads.\n\n'; $(DEV)/bin/cleanplate settings table; } > docs/settings.md
	$(DEV)/bin/python -m tests.docs.code_map
	$(DEV)/bin/python -m benchmarks.documents

types: $(DEV)/.stamp ## rewrite the TypeScript types of the API (needs npx)
	$(DEV)/bin/python -m tests.docs.typescript

formats: $(DEV)/.stamp ## rewrite docs/formats.md: clean a file of each kind, and note what comes back
	$(DEV)/bin/python -m tests.formats.page

$(SERVE)/.stamp: requirements/serve-cpu.lock pyproject.toml
$(DEV)/.stamp: requirements/dev.lock pyproject.toml
%/.stamp:
	@$(PYTHON) -c 'import sys; sys.exit("Cleanplate needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $*/bin/python || $(PYTHON) -m venv $*
	$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $<
	$*/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

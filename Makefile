# make study [RUN=quick|standard|paper] [CORES=n]   every figure and table into results/RUN
# make sweep SWEEP=config/sweeps/beta.yaml        a notebook of the study with every combination of some values
# make reference                                    keep the standard run's tables, figures and record in docs, and its weights in the package, with what was measured of them
# make test                                         every check; what CI runs
# make colab                                        every notebook with Google Colab's Python and versions, half an hour; skipped where they cannot be had
# make bench                                        how fast and in how much memory, as ratios measured side by side, into docs/reference/bench
# make docs                                         the documentation site into _docs; a warning or a broken link stops it
# make readme                                       README.md, with its picture, from nbs/index.ipynb, which reads the reference run and the notebooks
# make setup-cells                                  the setup cell of nbs/37_colab.ipynb into every guide and notebook of the study
# Each sets up .venv by itself first; PYTHON=... chooses the Python (3.11 to 3.13) that makes it.

RUN ?= quick
SUITED = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p -c '$(SUITED)' 2>/dev/null && echo $$p && break; done)
# each core may run a notebook of its own; many kernels that start at once race for ports
CORES ?= $(shell n=$$(nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2); [ $$n -gt 4 ] && echo 4 || echo $$n)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL = 3
# without cached bytecode, every notebook would compile TensorFlow's Python anew: seconds each
unexport PYTHONDONTWRITEBYTECODE
export PYDEVD_DISABLE_FILE_VALIDATION = 1

.PHONY: study sweep test colab bench docs readme setup-cells reference setup

# A run that was killed leaves its lock behind; it is taken away unless a snakemake of this folder still runs.
study: setup
	@if [ -n "$$(ls -A .snakemake/locks 2>/dev/null)" ] && .venv/bin/python -c "$$IDLE"; then \
		.venv/bin/snakemake --configfile config/$(RUN).yaml --cores 1 --quiet all --unlock; fi
	.venv/bin/snakemake --configfile config/$(RUN).yaml --cores $(CORES) --rerun-incomplete --retries 2
	@cat results/$(RUN)/summary.md

SWEEP ?= config/sweeps/beta.yaml
sweep: setup
	.venv/bin/apoptosis-nb sweep $(SWEEP) --workers $(CORES)

define IDLE
import os, psutil, sys
def runs(p): return p['cwd'] == os.getcwd() and any(o.endswith('bin/snakemake') for o in p['cmdline'] or [])
sys.exit(any(runs(o.info) for o in psutil.process_iter(['cwd', 'cmdline'])))
endef
export IDLE

# The committed reference: what README's results table is made from, and the weights that come with the package.
# Figures that show images of MitoCheck or DSB2018 stay out: those images are not committed.
REFERENCE = docs/reference/standard
REAL_IMAGES = windows_gallery real_images
PACKAGED = detector_real:window_64 detector_64:window_64_simulated segmenter_real:unet segmenter:unet_simulated
reference: setup
	@[ -f results/standard/summary.md ] || { echo 'results/standard/summary.md is missing: make study RUN=standard first'; exit 1; }
	rm -rf $(REFERENCE).new
	mkdir -p $(REFERENCE).new
	cp -R results/standard/tables results/standard/figures results/standard/summary.md results/standard/run.json $(REFERENCE).new
	for o in $(REAL_IMAGES); do rm -f $(REFERENCE).new/figures/$$o.*; sed -i.all "/figures.$$o.png/d" $(REFERENCE).new/summary.md; done
	rm $(REFERENCE).new/summary.md.all
	rm -rf $(REFERENCE)
	mv $(REFERENCE).new $(REFERENCE)
	mkdir -p apoptosis_nb/weights
	for o in $(PACKAGED); do from=results/standard/weights/$${o%:*}.keras; \
		if [ -f $$from ]; then cp $$from apoptosis_nb/weights/$${o#*:}.keras; else echo "$$from is missing, as it is where real images cannot be had: left as it was"; fi; done
	python -c "from apoptosis_nb.model_cards import write_results; write_results('$(REFERENCE)/tables', 'apoptosis_nb/weights')"

test: setup
	.venv/bin/nbdev_test --n_workers 2
	.venv/bin/python -m pytest

colab: setup
	.venv/bin/python -m pytest -m 'colab or not colab' tests/test_colab.py

bench: setup
	.venv/bin/python tests/bench.py

readme: setup
	python docs/first_page.py
	jupyter nbconvert --log-level ERROR --to notebook --execute --inplace nbs/index.ipynb
	nbdev_clean --fname nbs/index.ipynb
	jupyter nbconvert --log-level ERROR --to markdown --no-input --output-dir . --output README nbs/index.ipynb

setup-cells: setup
	python -c 'from apoptosis_nb.colab import write_setup_cells; print(*write_setup_cells(), sep="\n")'

docs: .venv/docs-installed
	rm -rf _proc
	.venv/bin/python docs/pages.py _proc/pages
	.venv/bin/sphinx-build --quiet --fail-on-warning --keep-going --jobs auto -c docs -d _proc/doctrees _proc/pages _proc/html
	rm -rf _docs && mv _proc/html _docs
	@echo 'The site is in _docs: open _docs/index.html'

setup: .venv/installed

PIP = .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --retries 10 --prefer-binary -c constraints.txt
define VENV
@[ -n "$(PYTHON)" ] || { echo 'No Python 3.11, 3.12 or 3.13 found: install one, or name it with make PYTHON=...'; exit 1; }
@echo 'Setting up .venv ($(1), once)'
@[ -x .venv/bin/pip ] || $(PYTHON) -m venv .venv
endef

.venv/installed: settings.ini setup.py constraints.txt pyproject.toml
	$(call VENV,a few minutes)
	$(PIP) -e '.[study,dev]'
	@touch $@

.venv/docs-installed: settings.ini constraints.txt
	$(call VENV,a minute)
	$(PIP) $$(sed -n 's/^docs_requirements = //p' settings.ini)
	@touch $@

# Each target only calls commands that README.md also shows for conda and Colab.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Windows' text isn't UTF-8 by itself; so it is here, and what the package opens without an encoding fails.
NO_UTF8 = LC_ALL=C PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 PYTHONWARNDEFAULTENCODING=1
OLD = import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: demo test test-all claims coverage soak lab site assets clean

demo: $(VENV)/runs
	$(BIN)/spade-edu demo --out runs/demo

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -rs --timeout 900 --timeout-method thread -m "not slow" tests
	$(BIN)/python tools/notebooks.py test

test-all: test $(VENV)/site
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests
	$(NO_UTF8) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --timeout 900 --timeout-method thread -m "not slow" tests
	$(BIN)/python tools/notebooks.py elsewhere

# Every claim of the notebooks over five seeds; goes on where it was stopped.
claims: $(VENV)/installed
	$(BIN)/python tools/claims.py

# Without the tests that time, stop or fill a disk under a program, which counting its lines changes.
coverage: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" -k "not endless_loop and not full_disk and not stopped_program" --cov --cov-report=term tests

# Trainings that are killed, stopped, starved and poisoned for an hour, and must end as if nothing had been.
soak: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python tools/soak.py --minutes 60

lab: $(VENV)/installed
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

# The whole course as static pages: site/index.html.
site: $(VENV)/site
	$(BIN)/python tools/build_site.py

# Judge, second segmenter, the stored weights of the cpu preset, and the notebooks that show them: about half an hour.
assets: $(VENV)/installed
	$(BIN)/python -m spade_edu.evaluation.train_judge
	$(BIN)/spade-edu demo --steps 750 --out runs/assets --keep-weights spade_edu/assets
	$(BIN)/python tools/build_exercises.py
	$(BIN)/python tools/notebooks.py build

# The package alone; $(VENV)/installed adds what notebooks and tests need.
$(VENV)/runs: pyproject.toml
	$(BIN)/python -c "$(OLD)" 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/installed: $(VENV)/runs
	$(BIN)/python -m pip install --quiet -e ".[notebooks,test]"
	touch $@

$(VENV)/site: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e ".[site]"
	touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info

"""A training in a folder: run.py trains, loading.py opens what was trained, guards.py stops in time, plan.py foresees."""

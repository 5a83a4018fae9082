"""A training in a folder: run.py trains, loading.py opens what it left, guards.py stops in time, plan.py foresees."""

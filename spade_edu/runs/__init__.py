"""A training in a folder: run.py trains, loading.py opens what it left, guards.py and stops.py end it in time."""

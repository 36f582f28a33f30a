"""Many clips, each exactly once: walk, plan, workers, journal, report; see `run.py`."""

"""Before anything is imported: workers beside each other (`pytest -n`) take one thread each."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

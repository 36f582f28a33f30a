"""Before anything is imported: NumPy takes one thread, as in the command line, and workers beside
each other (`pytest -n`) one each for everything.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

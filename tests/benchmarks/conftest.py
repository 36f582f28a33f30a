"""The benchmarks use the tests' own readers and makers of clips, one folder up."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

"""What makes a command's parser, for the modules that add some."""

import argparse
from collections.abc import Callable
from typing import Any

from staf_backend.reporting import Reporter

Run = Callable[[argparse.Namespace, Reporter], int]
Command = Callable[[Any, str, Run, str], argparse.ArgumentParser]
"""Makes the parser of one command: the others, its name, what runs it, what it does."""

"""`python -m staf_backend` is the command `staf`."""

import sys

from staf_backend.cli import main

sys.exit(main())

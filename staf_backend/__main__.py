"""`python -m staf_backend` and the command `staf`.

Ctrl-C ends the command as documented even while its modules are still being loaded.
"""

import sys


def main() -> int:
    """Run the command line; returns its exit code."""
    try:
        from staf_backend.cli import main as run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("staf: interrupted; nothing was begun.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())

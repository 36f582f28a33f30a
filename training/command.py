"""How every command of this package ends: an exit code, and one line where something is wrong."""

import logging
from collections.abc import Callable

from staf_backend import StafError

_log = logging.getLogger(__name__)


def command_line(main: Callable[[], None]) -> int:
    """Runs a `main` with errors in one line; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main()
    except StafError as error:
        _log.error("%s", error)
        return error.exit_code
    return 0

"""The error about encoders, apart so that several rooms can raise it, and optional packages."""

from importlib import import_module
from types import ModuleType

from staf_backend import StafError


class EncoderError(StafError):
    """An encoder is unknown, or what it is made of is not at hand or does not fit."""

    kind = "weights"
    exit_code = 6


def package(name: str, install: str) -> ModuleType:
    """A package that only some encoders need.

    Raises:
        EncoderError: it is not installed; `install` is the command that does it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise EncoderError(
            f"This encoder needs the package {name}.", f"Install it with: {install}"
        ) from error

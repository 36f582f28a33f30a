"""Encoders and networks made to be filled: without numbers of their own, or without a random start.

Drawing a start would take longer than reading what replaces it, and drawing one where there is no
memory makes PyTorch load its compiler.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from staf_backend.files import shown
from staf_backend.staf import AnyConfig, StafConfig
from staf_backend.staf.any_network import AnyNetwork, make_network
from staf_backend.staf.body import BodyTables, placeholder_tables
from staf_backend.staf.encoders import (
    AnyEncoder,
    AnyPlan,
    Encoder,
    FieldsEncoder,
    FieldsPlan,
    PlannedEncoder,
)
from staf_backend.staf.network import no_means
from staf_backend.weights.error import WeightsError
from staf_backend.weights.info import ADD_AGAIN

_Module = TypeVar("_Module", bound=nn.Module)
_DRAW = (Tensor.normal_, Tensor.uniform_)
"""What those of `nn.init` end in that do not come by as a whole."""


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are that a module's construction would draw."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__ or func in _DRAW:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def blank_encoder(plan: AnyPlan | None, source: str) -> AnyEncoder:
    """The encoder of a plan, or ResNet-50, as shapes only; `source` is named in errors.

    Raises:
        WeightsError: the plan's layers do not fit each other.
    """
    try:
        return _shapes_only(lambda: _encoder(plan))
    except ValueError as error:
        reason = shown(str(error).split("\n")[0])
        raise WeightsError(
            f"The encoder of {source} cannot be built: {reason}.", ADD_AGAIN
        ) from error


def undrawn_encoder(plan: AnyPlan | None) -> AnyEncoder:
    """An encoder whose tensors are still to be loaded, all of them.

    Raises:
        ValueError: the plan's layers do not fit each other.
    """
    with _Undrawn():
        return _encoder(plan)


def blank_network(config: AnyConfig) -> AnyNetwork:
    """A configuration's network as shapes only, on no body in particular."""
    points = config.mesh_points if isinstance(config, StafConfig) else 1
    return _shapes_only(lambda: make_network(config, placeholder_tables(points), no_means()))


def undrawn_network(config: AnyConfig, tables: BodyTables, source: str) -> AnyNetwork:
    """A network on its body whose tensors are still to be loaded, all of them.

    Raises:
        WeightsError: the body has another number of alignment vertices; `source` is named.
    """
    try:
        with _Undrawn():
            return make_network(config, tables, no_means())
    except ValueError as error:
        reason = shown(str(error))
        raise WeightsError(
            f"The network of {source} does not fit its body: {reason}.", ADD_AGAIN
        ) from error


def _encoder(plan: AnyPlan | None) -> AnyEncoder:
    if isinstance(plan, FieldsPlan):
        return FieldsEncoder(plan)
    return Encoder() if plan is None else PlannedEncoder(plan)


def _shapes_only(make: Callable[[], _Module]) -> _Module:
    with torch.device("meta"), _Undrawn():
        return make()

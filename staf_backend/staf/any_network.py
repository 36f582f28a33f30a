"""A network of any configuration: made, and asked for the targets of windows."""

from torch import Tensor

from staf_backend.staf.body import BodyTables, SmplBody
from staf_backend.staf.config import AnyConfig, PooledConfig
from staf_backend.staf.network import MeanParams, Staf, StageParams
from staf_backend.staf.pooled import PooledNetwork

AnyNetwork = Staf | PooledNetwork


def make_network(config: AnyConfig, tables: BodyTables, mean: MeanParams) -> AnyNetwork:
    """A network with fresh weights.

    Args:
        config: what is built.
        tables: of the body, which the pooled networks do without.
        mean: where regression starts.

    Raises:
        ValueError: the body has another number of alignment vertices than the network samples.
    """
    if isinstance(config, PooledConfig):
        return PooledNetwork(config, mean)
    return Staf(config, SmplBody(tables), mean)


def target_params(network: AnyNetwork, maps: Tensor) -> StageParams:
    """The last parameters (B, ...) of the middle frames of windows (B, T, C, 7, 7).

    Raises:
        ValueError: maps of another shape than the network's.
    """
    outputs = network(maps)
    return outputs if isinstance(outputs, StageParams) else outputs.result

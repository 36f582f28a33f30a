"""Slots on a Ray cluster: an actor each, which watches a worker process on its own node.

The clips must be under one path on all nodes, and so must the output folder where results do not go
to a store.  A node that is lost costs the clips at work on it, which are done again elsewhere;
results get their place when the driver says so, so a node that comes back late cannot do a clip
twice.
"""

import contextlib
import importlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from staf_backend import StafError
from staf_backend.batch.schedule import Limits, MakeSlot
from staf_backend.batch.slot import Slot
from staf_backend.batch.worker import failed


class RayError(StafError):
    """The cluster cannot be used."""

    kind = "usage"
    exit_code = 2


@contextlib.contextmanager
def ray_slots(
    address: str,
    workers: int | None,
    clips: int,
    limits: Limits,
    gpus: float,
    kind: MakeSlot = Slot,
) -> Iterator[Sequence["RaySlot"]]:
    """Connect to a cluster for the block.

    Args:
        address: of the cluster, or "auto" for the one on this computer.
        workers: slots; None is one a core of the cluster.
        clips: never more slots than these.
        limits: of each clip.
        gpus: share of a GPU for each slot.
        kind: what each actor is; takes `limits`.

    Raises:
        RayError: Ray is not installed, or there is no such cluster.
    """
    ray = _ray()
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        advice = "Start one with: ray start --head"
        raise RayError(f"There is no Ray cluster at {address}: {error}.", advice) from error
    try:
        cores = int(ray.cluster_resources().get("CPU", 1))
        count = min(workers or cores, clips)
        yield [RaySlot(limits, gpus, kind) for _ in range(count)]
    finally:
        ray.shutdown()


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise RayError("Ray is not installed.", 'Run: pip install "staf-backend[ray]"') from None


class RaySlot:
    """A slot whose worker runs somewhere in the cluster."""

    def __init__(self, limits: Limits, gpus: float, kind: MakeSlot) -> None:
        self._limits, self._gpus, self._kind = limits, gpus, kind
        self._actor: Any = None
        self._stopped = False

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """As `slot.Slot.run`; a lost node is a fault that passes."""
        ray = _ray()
        if self._stopped:
            return failed("interrupted", "interrupted.", passing=True)
        if self._actor is None:
            # what the cluster's pages would show of each clip stays in the driver's memory
            make = ray.remote(
                num_cpus=1, num_gpus=self._gpus, max_restarts=0, enable_task_events=False
            )(self._kind)
            self._actor = make.remote(self._limits)
        try:
            return ray.get(self._actor.run.remote(order))
        except ray.exceptions.RayError as error:
            self._actor = None
            if self._stopped:
                return failed("interrupted", "interrupted.", passing=True)
            reason = str(error).splitlines()[0]
            return failed("node", f"The node that worked on it was lost: {reason}", passing=True)

    def rest(self) -> None:
        """As `slot.Slot.rest`: the actor's end closes its worker's input, which ends it."""
        ray = _ray()
        actor, self._actor = self._actor, None
        if actor is not None and ray.is_initialized():
            ray.kill(actor)

    def stop(self) -> None:
        """As `slot.Slot.stop`."""
        self._stopped = True
        self.rest()

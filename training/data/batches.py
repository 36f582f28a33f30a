"""Which samples make which batch: a pure function of (seed, step), so resuming is a number.

    slot   0 1 2 3 4 5 6 7 │ 8 ...           all samples of all steps, in one line
    pool   a b a a c a b a │ ...             shares are kept within every BLOCK of slots
    draw   a0 b0 a1 a2 c0 a3 b1 a4 ...       the n-th draw of a pool
    sample permutation of epoch n // size, at n % size: without replacement within each pool

A rank takes every `world`-th sample of the same global batch, so that one process or many see the
same samples in a step.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import takewhile
from typing import Any, Generic, Literal, Protocol, TypeVar, get_args

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from staf_backend import StafError
from training.data.feature_cache import FeatureCache
from training.targets import ImageBatch, ImageSource, Targets, WindowBatch

BLOCK = 1000
"""Slots after which the shares have been kept exactly."""

_POOLS, _SAMPLES, _CHANGES = range(3)  # uses of the seed
ForeignBetas = Literal["mask", "keep"]
"""Betas of another body than the network's are masked, or, of the same model's other genders, kept.

The released trainer keeps them: it teaches the neutral body 3DPW's shapes of men and women.
"""
BatchType = TypeVar("BatchType", covariant=True)


class Mix(Protocol[BatchType]):
    """Batches by number."""

    def batch(self, step: int, rank: int = 0, world: int = 1) -> BatchType: ...


class Pool:
    """Numbers 0 .. size - 1 in an endless row of epochs, each a permutation of its own."""

    def __init__(self, size: int, seed: int, number: int) -> None:
        """`number` tells the pools of one seed apart.

        Raises:
            ValueError: the pool is empty.
        """
        if size < 1:
            raise ValueError("there is nothing to draw from")
        self.size, self._seed, self._number = size, seed, number
        self._epochs: dict[int, np.ndarray] = {}

    def draws(self, first: int, count: int) -> np.ndarray:
        """Samples (count,) at places first .. first + count - 1 of the row."""
        places = np.arange(first, first + count)
        epochs, within = np.divmod(places, self.size)
        found = np.empty(count, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = self._permutation(int(epoch))[within[here]]
        return found

    def _permutation(self, epoch: int) -> np.ndarray:
        order = self._epochs.get(epoch)
        if order is None:
            rng = np.random.default_rng([self._seed, _SAMPLES, self._number, epoch])
            order = rng.permutation(self.size)
            kept = {e: o for e, o in self._epochs.items() if abs(e - epoch) <= 1}
            self._epochs = {**kept, epoch: order}  # replaced whole: threads may be reading
        return order


class ImageMix:
    """Single crops of several sources by shares, every sample drawn by chance.

    A batch is the same for the same sources, shares, batch size, seed and step.
    """

    def __init__(
        self,
        sources: Sequence[ImageSource],
        shares: Sequence[float],
        batch: int,
        seed: int,
        *,
        body: str | None = None,
    ) -> None:
        """Mixes sources.

        Args:
            sources, shares: of each source; shares are scaled to one.
            batch: samples of a step, over all ranks.
            seed: of which samples come when, and of their changes.
            body: the network's; betas of another are masked.  None masks none.

        Raises:
            ValueError: nothing to draw from, or shares that make no sense.
        """
        if len(sources) != len(shares) or not sources or batch < 1:
            raise ValueError(f"{len(sources)} sources with {len(shares)} shares, batch {batch}")
        if min(shares) <= 0 or not np.isfinite(shares).all():
            raise ValueError(f"shares must be above 0, not {tuple(shares)}")
        self.sources, self.batch_size, self.seed, self.body = tuple(sources), batch, seed, body
        self._pools = [Pool(len(source), seed, i) for i, source in enumerate(sources)]
        self._quota = _quota(np.asarray(shares, float), BLOCK)

    def samples(self, step: int) -> list[tuple[int, int]]:
        """Source and index of each sample of a step's whole batch."""
        first, last = step * self.batch_size, (step + 1) * self.batch_size
        blocks = {n: self._block(n) for n in range(first // BLOCK, (last - 1) // BLOCK + 1)}
        return [self._sample(slot, blocks[slot // BLOCK]) for slot in range(first, last)]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> ImageBatch:
        """A rank's part of a step's batch.

        Returns:
            Crops (B, 224, 224, 3) uint8 and targets (B, ...) float32, on the CPU.

        Raises:
            ValueError: the ranks do not divide the batch.
        """
        places = _rank_places(self.batch_size, rank, world)
        samples = self.samples(step)
        drawn = [self._drawn(*samples[place], step, place) for place in places]
        images = torch.from_numpy(np.stack([image for image, _ in drawn]))
        return ImageBatch(images, _stacked([targets for _, targets in drawn]))

    def _sample(self, slot: int, order: np.ndarray) -> tuple[int, int]:
        block, place = divmod(slot, BLOCK)
        pool = int(order[place])
        earlier = block * int(self._quota[pool]) + int((order[:place] == pool).sum())
        return pool, int(self._pools[pool].draws(earlier, 1)[0])

    def _block(self, block: int) -> np.ndarray:
        """(BLOCK,) the pool of each slot of a block."""
        pools = np.repeat(np.arange(len(self._quota)), self._quota)
        return np.random.default_rng([self.seed, _POOLS, block]).permutation(pools)

    def _drawn(self, pool: int, index: int, step: int, place: int) -> tuple[np.ndarray, Targets]:
        source = self.sources[pool]
        rng = np.random.default_rng([self.seed, _CHANGES, step, place])
        image, targets = source.image(index, rng)
        return image, _without_foreign_betas(targets, source.body, self.body)


class WindowMix:
    """Windows of feature caches, a fixed share of each batch from sets with 2D labels alone."""

    def __init__(
        self,
        caches_2d: Sequence[FeatureCache],
        caches_3d: Sequence[FeatureCache],
        share_2d: float = 0.6,
        batch: int = 32,
        seed: int = 0,
        frames: int = 9,
        stride: int = 9,
        *,
        body: str | None = None,
        foreign_betas: ForeignBetas = "mask",
    ) -> None:
        """Mixes caches; within 2D and 3D every window comes once an epoch, whatever its cache.

        Args:
            caches_2d, caches_3d: one of them may be empty, then the other fills the batch.
            share_2d: of the batch, rounded down to whole windows (19 of 32 in the paper).
            batch: windows of a step, over all ranks.
            seed: of which windows come when.
            frames, stride: of the windows.
            body: the network's; betas of another are masked.  None masks none.
            foreign_betas: "keep" masks only those of another model ("smpl-gendered" is of the same
                as "smpl-neutral", "open-neutral" is not).

        Raises:
            ValueError: no window at all, caches of several encoders, or a share outside 0..1.
        """
        if not 0 <= share_2d <= 1 or batch < 1:
            raise ValueError(
                f"share_2d must be within 0..1 and batch positive, not {share_2d}, {batch}"
            )
        if foreign_betas not in get_args(ForeignBetas):
            raise ValueError(f"foreign_betas must be mask or keep, not {foreign_betas!r}")
        every = [*caches_2d, *caches_3d]
        if len({cache.encoder_digest for cache in every}) != 1:
            raise ValueError("the caches must be made with one encoder, and there must be one")
        self.batch_size, self.frames, self.body = batch, frames, body
        self.foreign_betas: ForeignBetas = foreign_betas
        self._groups = [_Windows(group, frames, stride) for group in (caches_2d, caches_3d)]
        self._counts = _window_counts(batch, share_2d, [len(group) for group in self._groups])
        self._pools = [
            Pool(len(group), seed, i) if count else None
            for i, (group, count) in enumerate(zip(self._groups, self._counts))
        ]

    def __len__(self) -> int:
        """Windows of all caches."""
        return sum(len(group) for group in self._groups)

    def samples(self, step: int) -> list[tuple[FeatureCache, int]]:
        """Cache and first row of each window of a step's whole batch: 2D, then 3D."""
        found = []
        for group, pool, count in zip(self._groups, self._pools, self._counts):
            if pool is not None:
                found += [group[int(n)] for n in pool.draws(step * count, count)]
        return found

    def batch(self, step: int, rank: int = 0, world: int = 1) -> WindowBatch:
        """A rank's part of a step's batch.

        Returns:
            Maps (B, T, C, 7, 7) float16 and targets (B, T, ...) float32, on the CPU.

        Raises:
            ValueError: the ranks do not divide the batch.
        """
        samples = self.samples(step)
        chosen = [samples[place] for place in _rank_places(self.batch_size, rank, world)]
        shape = chosen[0][0].maps.shape[1:]
        maps = np.empty((len(chosen), self.frames, *shape), np.float16)
        targets = []
        for row, (cache, start) in enumerate(chosen):
            cache.copy_maps(start, maps[row])
            rows = slice(start, start + self.frames)
            known = cache.targets.map(lambda field, rows=rows: np.asarray(field[rows]))
            targets.append(self._with_betas(known, cache.body))
        return WindowBatch(torch.from_numpy(maps), _stacked(targets))

    def _with_betas(self, targets: Targets, body: str) -> Targets:
        if self.foreign_betas == "keep" and self.body and _model(body) == _model(self.body):
            return targets
        return _without_foreign_betas(targets, body, self.body)


class _Windows:
    """The windows of several caches in one row."""

    def __init__(self, caches: Sequence[FeatureCache], frames: int, stride: int) -> None:
        self._caches = tuple(caches)
        self._starts = [cache.windows(frames, stride) for cache in caches]
        self._ends = np.cumsum([0, *(len(starts) for starts in self._starts)])
        if self._caches and not len(self):
            sources = ", ".join(cache.source for cache in self._caches)
            raise ValueError(f"no sequence of {sources} is as long as a window of {frames}")

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> tuple[FeatureCache, int]:
        which = int(np.searchsorted(self._ends, number, side="right")) - 1
        return self._caches[which], int(self._starts[which][number - self._ends[which]])


_AHEAD = 2
"""Batches made in advance, by a thread each (chosen: copying is then never waited for)."""


def threaded(
    mix: Mix[BatchType], steps: range, rank: int = 0, world: int = 1
) -> Iterator[BatchType]:
    """Batches of some steps in order, made by threads while earlier ones are used.

    For windows, whose work is copying memory, which threads do side by side.
    """
    with ThreadPoolExecutor(_AHEAD) as threads:
        waiting: list[Future[BatchType]] = []
        todo = iter(steps)
        try:
            for step in todo:
                waiting.append(threads.submit(mix.batch, step, rank, world))
                if len(waiting) > _AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def loaded(
    mix: Mix[BatchType],
    steps: range,
    rank: int = 0,
    world: int = 1,
    *,
    workers: int = 0,
    pin_memory: bool = False,
) -> Iterator[BatchType]:
    """Batches of some steps in order, made by worker processes (PyTorch's loader).

    For images, whose decoding, drawing and changing need processors of their own.

    Raises:
        StafError: as the source raised it in its process.
    """
    # Workers begin anew instead of inheriting this process's CUDA and OpenGL, which do not fork
    context = "spawn" if workers else None
    # A generator of its own, because the loader draws from the global one, which runs restore
    sampler = _Stoppable(steps)
    loader = DataLoader(
        _Steps(mix, rank, world),
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        pin_memory=pin_memory,
        multiprocessing_context=context,
        generator=torch.Generator(),
    )
    batches = iter(loader)
    try:
        for batch in batches:
            if isinstance(batch, StafError):
                raise batch
            yield batch
    finally:
        sampler.stopped = True
        with suppress(Exception):  # processes that still hand over batches die noisily
            deque(batches, maxlen=0)


class _Stoppable(Sampler[int]):
    """Steps in order, until told to stop."""

    def __init__(self, steps: range) -> None:
        self._steps, self.stopped = steps, False

    def __iter__(self) -> Iterator[int]:
        return takewhile(lambda _: not self.stopped, self._steps)


class _Steps(Dataset, Generic[BatchType]):
    """Batches by step, for PyTorch's loader; an error travels as a value, to arrive as it was."""

    def __init__(self, mix: Mix[BatchType], rank: int, world: int) -> None:
        self._batch: Callable[..., BatchType] = mix.batch
        self._rank, self._world = rank, world

    def __getitem__(self, index: int) -> Any:
        try:
            return self._batch(index, self._rank, self._world)
        except StafError as error:
            return error


def _quota(shares: np.ndarray, slots: int) -> np.ndarray:
    """Whole numbers that add up to `slots`, nearest to the shares (largest remainder)."""
    exact = shares / shares.sum() * slots
    counts = np.floor(exact).astype(np.int64)
    short = slots - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    if counts.min() < 1:
        raise ValueError(f"a share is below one sample in {slots}")
    return counts


def _window_counts(batch: int, share_2d: float, sizes: list[int]) -> tuple[int, int]:
    """How many windows of a batch have 2D labels alone, and how many 3D."""
    if not all(sizes):
        return (batch, 0) if sizes[0] else (0, batch)
    from_2d = int(batch * share_2d)
    return from_2d, batch - from_2d


def _rank_places(batch: int, rank: int, world: int) -> range:
    if not 0 <= rank < world or batch % world:
        raise ValueError(f"{world} processes cannot share a batch of {batch} (rank {rank})")
    return range(rank, batch, world)


def _without_foreign_betas(targets: Targets, theirs: str, ours: str | None) -> Targets:
    if ours is None or theirs == ours:
        return targets
    return targets._replace(
        betas=np.zeros_like(targets.betas), has_betas=np.zeros_like(targets.has_betas)
    )


def _model(body: str) -> str:
    """Whose betas mean the same directions: "smpl" of "smpl-gendered"."""
    return body.partition("-")[0]


def _stacked(targets: list[Targets]) -> Targets:
    fields = zip(*targets, strict=True)
    return Targets(*(torch.from_numpy(np.stack(field).astype(np.float32)) for field in fields))

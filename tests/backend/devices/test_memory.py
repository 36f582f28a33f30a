"""Work that does not fit the memory is halved; what is not memory is not taken for it."""

import pytest
import torch

from staf_backend.devices import Batches, DeviceError, is_out_of_memory


def test_a_piece_that_does_not_fit_is_halved_and_said(caplog) -> None:
    done: list[int] = []

    def work(piece: slice) -> None:
        if piece.stop - piece.start > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        done.extend(range(piece.start, piece.stop))

    batches = Batches(16)
    batches.run(20, work)
    assert done == list(range(20))
    assert batches.size == 2
    assert "going on with 8" in caplog.text
    assert "going on with 2" in caplog.text


def test_memory_for_not_even_one_frame_is_an_error() -> None:
    def work(_piece: slice) -> None:
        raise torch.OutOfMemoryError("MPS backend out of memory")

    with pytest.raises(DeviceError, match="single frame"):
        Batches(4).run(5, work)


def test_memory_is_freed_before_a_single_frame_is_given_up() -> None:
    free: list[int] = []

    def work(_piece: slice) -> None:
        if not free:
            raise torch.OutOfMemoryError("CUDA out of memory")

    Batches(1, lambda: free.append(1)).run(2, work)
    assert free == [1]


def test_other_failures_are_not_taken_for_memory() -> None:
    def work(_piece: slice) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Batches(4).run(5, work)


def test_the_cpus_own_failure_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46)
    assert is_out_of_memory(caught.value)

"""Settings of torch that a training changes are afterwards as they were found."""

from __future__ import annotations

import pytest
import torch

from mechanical_ears.training.device import flushes_denormal, torch_settings

SUBNORMAL = 2.0**-130  # below float32's smallest normal number, 2^-126


@pytest.mark.parametrize("flushed", [False, True])
def test_settings_are_restored(flushed: bool) -> None:
    threads = torch.get_num_threads()
    try:
        torch.set_flush_denormal(flushed)
        with torch_settings(threads=1, flush_denormal=True):
            assert torch.get_num_threads() == 1
            assert float(torch.tensor(SUBNORMAL) * 0.5) == 0
        assert torch.get_num_threads() == threads
        assert flushes_denormal() is flushed
        assert (float(torch.tensor(SUBNORMAL) * 0.5) == 0) is flushed
    finally:
        torch.set_flush_denormal(False)


def test_settings_are_restored_after_an_error() -> None:
    torch.set_num_threads(threads := torch.get_num_threads())
    with pytest.raises(KeyError), torch_settings(threads=threads + 1, flush_denormal=True):
        raise KeyError
    assert torch.get_num_threads() == threads
    assert not flushes_denormal()


def test_settings_not_given_are_left_alone() -> None:
    threads = torch.get_num_threads()
    with torch_settings():
        assert torch.get_num_threads() == threads
        assert not flushes_denormal()

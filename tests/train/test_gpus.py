"""GPUs by the names that people write."""

from __future__ import annotations

import pytest

from lextune.core.errors import UserError
from lextune.train.gpus import GPUS, find_machine


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("H100", "H100"),
        ("h100-80gb", "H100"),
        ("NVIDIA A100", "A100-80GB"),
        ("A100 40GB", "A100-40GB"),
        ("a100-80", "A100-80GB"),
        ("GeForce RTX 4090", "RTX-4090"),
        ("rtx3090", "RTX-3090"),
        ("5090", "RTX-5090"),
        ("2xH100", "2xH100"),
        ("8 x h200", "8xH200"),
        ("1xL4", "L4"),
    ],
)
def test_a_machine_is_found_however_it_is_spelt(asked: str, name: str) -> None:
    assert find_machine(asked).name == name


def test_an_unknown_gpu_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError) as caught:
        find_machine("H101")
    assert str(caught.value).startswith("--gpu: no GPU 'H101' is known\n  -> use one of H100, ")
    with pytest.raises(UserError, match="no machine with 3 GPUs is known\n  -> use a count of 1, 2, 4, 8"):
        find_machine("3xL4")


def test_the_table_reaches_from_12_gb_to_8_h200() -> None:
    assert min(round(gpu.gib) for gpu in GPUS) == 12
    assert find_machine("8xH200").gpus * find_machine("H200").gpu.gib == pytest.approx(1123, abs=1)
    assert len({gpu.name for gpu in GPUS}) == len(GPUS)
    for gpu in GPUS:  # a wrong digit would leave these bands: operations for each byte read, dollars for a TFLOP/s
        assert 50 < gpu.tflops * 1000 / gpu.gb_per_second < 450, gpu
        assert 0.002 < gpu.dollars / gpu.tflops < 0.02, gpu

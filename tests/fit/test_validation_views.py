"""A fitted bundle brings exams along, as its networks see them."""

from __future__ import annotations

from dataclasses import replace

import torch
from safetensors.torch import load_file

from mammosweep.fit.finish import NUM_KEPT, write_validation_views
from mammosweep.geometry import Size


def test_the_exams_on_the_smallest_canvases_are_kept(samples, small, tmp_path):
    spec = replace(small.network, buckets=(Size(128, 64), Size(128, 128), Size(192, 128)))

    write_validation_views(samples, spec, tmp_path / "views.safetensors")

    kept = load_file(tmp_path / "views.safetensors")
    sizes = [kept[f"exam{i}/pixels"][0, 0].numel() for i in range(NUM_KEPT)]
    assert len(kept) == 2 * NUM_KEPT < 2 * len(samples)
    assert sizes == sorted(sizes)
    assert all(kept[f"exam{i}/pixels"].dtype is torch.uint8 for i in range(NUM_KEPT))
    assert all(kept[f"exam{i}/present"].all() for i in range(NUM_KEPT))

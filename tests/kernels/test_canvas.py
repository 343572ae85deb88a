"""The canvas: what it is, and that the CPU path is that."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammosweep_kernels import to_canvas
from mammosweep_kernels.canvas.reference import area_weights, to_canvas_reference

IDENTITY = torch.arange(65536, dtype=torch.float32)
ONE_TO_SIX = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint16)
WHOLE: dict[str, Any] = {
    "crop_px": (0, 0, 3, 2),
    "net_size": (2, 3),
    "canvas_size": (2, 3),
    "mirrored": False,
    "pad_value": -9.0,
    "dtype": torch.float32,
}


def canvas_of_six(table=IDENTITY, stored=ONE_TO_SIX, **options):
    return to_canvas(stored, table, **(WHOLE | options))


def test_the_cpu_canvas_is_the_reference_in_every_pixel(canvas_case):
    stored, table = canvas_case.inputs()

    canvas = to_canvas(stored, table, **asdict(canvas_case.layout))

    expected = to_canvas_reference(stored, table, canvas_case.layout)
    assert canvas.dtype == canvas_case.layout.dtype
    torch.testing.assert_close(canvas, expected, rtol=0, atol=canvas_case.atol)


def test_at_its_own_scale_an_image_is_mapped_by_the_table_pixel_by_pixel():
    assert canvas_of_six(table=IDENTITY * 10).tolist() == [[10, 20, 30], [40, 50, 60]]


def test_a_cell_is_the_mean_of_its_footprint_with_fractional_edges():
    # 3 columns in 2 cells: each is one and a half pixels wide
    assert canvas_of_six(net_size=(2, 2), canvas_size=(2, 2)).flatten().tolist() == pytest.approx(
        [(1 + 2 / 2) / 1.5, (2 / 2 + 3) / 1.5, (4 + 5 / 2) / 1.5, (5 / 2 + 6) / 1.5]
    )


def test_the_table_is_applied_before_the_mean():
    squares = canvas_of_six(table=IDENTITY**2, net_size=(1, 1), canvas_size=(1, 1))

    assert squares.item() == pytest.approx((1 + 4 + 9 + 16 + 25 + 36) / 6)


def test_a_finer_grid_repeats_pixels():
    finer = canvas_of_six(net_size=(2, 6), canvas_size=(2, 6))

    assert finer.tolist() == [[1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 6, 6]]


def test_a_mirrored_crop_ends_at_the_left_of_a_wider_canvas():
    canvas = canvas_of_six(mirrored=True, canvas_size=(3, 5))

    assert canvas.tolist() == [[3, 2, 1, -9, -9], [6, 5, 4, -9, -9], [-9, -9, -9, -9, -9]]


def test_levels_are_normalised_then_clipped_and_padding_is_neither():
    canvas = canvas_of_six(low=2.0, high=4.0, clip=(0.0, 1.5), canvas_size=(2, 4))

    assert canvas.tolist() == [[0, 0, 0.5, -9], [1, 1.5, 1.5, -9]]


def test_without_a_clip_levels_pass_0_and_1():
    assert canvas_of_six(low=2.0, high=4.0)[:, [0, 2]].tolist() == [[-0.5, 0.5], [1, 2]]


@settings(max_examples=100, deadline=None)
@given(length=st.integers(1, 60), cells=st.integers(1, 60))
def test_every_cell_weighs_one_and_every_pixel_weighs_the_same(length, cells):
    weights = area_weights(length, cells)

    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(weights.sum(0), cells / length, rtol=1e-12)


def test_a_coarser_grid_is_opencvs_area_interpolation():
    stored = np.random.default_rng(5).integers(0, 4096, (90, 70), dtype=np.uint16)

    canvas = to_canvas(
        torch.from_numpy(stored),
        IDENTITY,
        crop_px=(0, 0, 70, 90),
        net_size=(40, 21),
        canvas_size=(40, 21),
        mirrored=False,
        high=4095.0,
        pad_value=0.0,
        dtype=torch.float32,
    )

    expected = cv2.resize(stored.astype(np.float32) / 4095, (21, 40), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(canvas, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"crop_px": (0, 0, 4, 2)}, ValueError, "the image has 3 columns and 2 rows"),
        ({"crop_px": (2, 0, 2, 2)}, ValueError, "expected 0 <= x1 < x2 and 0 <= y1 < y2"),
        ({"crop_px": (-1, 0, 2, 2)}, ValueError, "expected 0 <= x1 < x2 and 0 <= y1 < y2"),
        ({"net_size": (0, 3)}, ValueError, "at least 1 row and column"),
        ({"net_size": (3, 3)}, ValueError, "no more than the canvas has"),
        ({"low": 2.0, "high": 2.0}, ValueError, "expected low < high"),
        ({"low": float("nan")}, ValueError, "expected low < high"),
        ({"clip": (1.0, 0.0)}, ValueError, r"clip is \(1.0, 0.0\)"),
        ({"dtype": torch.float64}, TypeError, "dtype is torch.float64"),
        ({"table": IDENTITY[:4096]}, ValueError, r"table \(4096,\)"),
        ({"table": IDENTITY.double()}, TypeError, "table torch.float64"),
        ({"stored": ONE_TO_SIX.to(torch.int32)}, TypeError, "stored is torch.int32"),
        ({"stored": ONE_TO_SIX[None]}, ValueError, r"stored is \(1, 2, 3\)"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_together_is_refused_in_one_sentence(change, error, sentence):
    with pytest.raises(error, match=sentence):
        canvas_of_six(**change)

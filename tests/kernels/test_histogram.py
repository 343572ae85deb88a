"""The histogram, and what follows from it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from mammosweep_kernels import histogram16, percentile, triangle_threshold
from mammosweep_kernels.histogram.cpu import MAX_BAND_PIXELS
from mammosweep_kernels.histogram.reference import histogram16_reference

IMAGES_8BIT = stn.arrays(np.uint8, stn.array_shapes(min_dims=2, max_dims=2, max_side=12))
FEW_VALUES = stn.arrays(np.uint8, (9, 7), elements=st.sampled_from([0, 1, 2, 90, 254, 255]))


def histogram_of(image):
    return torch.from_numpy(np.bincount(image.ravel(), minlength=256))


def test_the_cpu_histogram_is_the_reference(histogram_case):
    values, mask = histogram_case.inputs()

    counts = histogram16(values, mask)

    assert counts.dtype == torch.int64
    assert torch.equal(counts, histogram16_reference(values, mask))


def test_every_value_has_its_own_bin():
    values = torch.arange(65536, dtype=torch.int32).reshape(256, 256).to(torch.uint16)

    assert torch.equal(histogram16(values), torch.ones(65536, dtype=torch.int64))


def test_a_crop_is_counted_without_what_lies_around_it():
    image = torch.zeros((9, 11), dtype=torch.int32)
    image[2:5, 3:7] = 4095

    counts = histogram16(image.to(torch.uint16)[2:5, 3:7])

    assert counts.nonzero().flatten().tolist() == [4095]
    assert counts[4095] == 12


def test_more_equal_pixels_than_float32_can_count_are_counted():
    num_pixels = 4099 * 4099
    assert num_pixels > MAX_BAND_PIXELS
    assert int(np.float32(num_pixels)) != num_pixels

    counts = histogram16(torch.full((4099, 4099), 300, dtype=torch.uint16))

    assert counts[300] == num_pixels


@pytest.mark.parametrize(
    ("values", "mask", "error", "found"),
    [
        (torch.zeros((2, 2), dtype=torch.int32), None, TypeError, "torch.int32"),
        (torch.zeros(4, dtype=torch.uint16), None, ValueError, "1 dimension"),
        (torch.zeros((2, 2), dtype=torch.uint16), torch.ones((2, 2)), TypeError, "torch.float32"),
        (torch.zeros((2, 2), dtype=torch.uint16), torch.ones((2, 3), dtype=torch.bool), ValueError, "(2, 3)"),
    ],
    ids=["values of another type", "values in a row", "mask of another type", "mask of another shape"],
)
def test_what_cannot_be_counted_is_refused_by_name(values, mask, error, found):
    with pytest.raises(error) as refusal:
        histogram16(values, mask)

    assert found in str(refusal.value)


@settings(max_examples=300, deadline=None)
@given(image=IMAGES_8BIT | FEW_VALUES)
@example(image=np.zeros((2, 2), np.uint8))
@example(image=np.full((2, 2), 255, np.uint8))
@example(image=np.array([[0, 0, 1, 1]], np.uint8))
def test_the_triangle_threshold_is_opencvs(image):
    expected, _ = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_TRIANGLE)

    assert triangle_threshold(histogram_of(image)) == expected


def test_the_triangle_threshold_parts_a_16_bit_breast_from_its_background():
    noise = np.random.default_rng(3)
    background, breast = noise.normal(200, 30, 60_000), noise.normal(9000, 2500, 40_000)
    values = np.concatenate([background, breast]).clip(0, 65535).astype(np.uint16).reshape(250, 400)

    threshold = triangle_threshold(histogram16(torch.from_numpy(values)))

    assert 200 < threshold < 1000


@settings(max_examples=300, deadline=None)
@given(
    values=stn.arrays(np.uint16, st.integers(1, 40)),
    q=st.floats(0, 100) | st.sampled_from([0.0, 5.0, 50.0, 95.0, 100.0]),
)
def test_a_percentile_is_numpys_to_the_last_bit(values, q):
    counts = histogram16(torch.from_numpy(values[None]))

    assert percentile(counts, q) == np.percentile(values, q, method="linear")


@pytest.mark.parametrize("q", [-0.1, 100.1, float("nan")])
def test_a_percentage_outside_0_to_100_is_refused(q):
    with pytest.raises(ValueError, match="expected a percentage from 0 to 100"):
        percentile(torch.ones(4), q)


@pytest.mark.parametrize(
    "ask", [triangle_threshold, lambda counts: percentile(counts, 50.0)], ids=["triangle", "q"]
)
@pytest.mark.parametrize("length", [0, 256])
def test_an_empty_histogram_is_refused(ask, length):
    with pytest.raises(ValueError, match="histogram is empty"):
        ask(torch.zeros(length, dtype=torch.int64))

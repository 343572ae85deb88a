"""A stored value's meaning: rescale, VOI, polarity, padding."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.pixels import apply_voi_lut

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.photometry import identity_table, presentation_table


def header(**attributes):
    dataset = Dataset()
    dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation = 16, 12, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def lut_item(values, first, bits):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    return item


def test_without_voi_the_range_of_bits_stored_is_black_to_white():
    table, voi = presentation_table(header())

    assert voi == "full range"
    assert table[[0, 4095]].tolist() == [0.0, 1.0]
    assert np.all(np.diff(table[:4096]) > 0)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_is_applied_as_pydicom_applies_it(function):
    dataset = header(WindowCenter=2000, WindowWidth=900, VOILUTFunction=function)

    table, voi = presentation_table(dataset)

    expected = apply_voi_lut(np.arange(4096, dtype=np.uint16), dataset) / 4095
    assert voi == f"window 1 {function}"
    np.testing.assert_allclose(table[:4096], expected, atol=1e-6)


def test_the_first_voi_lut_goes_before_any_window():
    values = [0, 100, 900, 1023]
    dataset = header(WindowCenter=2000, WindowWidth=900, VOILUTSequence=[lut_item(values, 10, 10)])

    table, voi = presentation_table(dataset)

    assert voi == "VOI LUT 1"
    np.testing.assert_allclose(
        table[[0, 10, 11, 12, 13, 4000]] * 1023, [0, 0, 100, 900, 1023, 1023], atol=1e-3
    )


def test_a_window_of_width_zero_is_passed_over_for_the_next():
    _, voi = presentation_table(header(WindowCenter=[1, 2000], WindowWidth=[0, 900]))

    assert voi == "window 2 LINEAR"


@pytest.mark.parametrize(
    ("interpretation", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "IDENTITY", False),
    ],
)
def test_polarity_is_applied_once_about_the_bounds_of_the_range(interpretation, shape, inverted):
    dataset = header(PhotometricInterpretation=interpretation)
    if shape is not None:
        dataset.PresentationLUTShape = shape

    table, _ = presentation_table(dataset)

    assert table[0] == (1.0 if inverted else 0.0)
    assert table[4095] == (0.0 if inverted else 1.0)


def test_padding_is_black_in_both_polarities():
    dataset = header(PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0, PixelPaddingRangeLimit=30)

    table, _ = presentation_table(dataset)

    assert table[:31].max() == 0.0
    assert table[31] > 0.9


def test_rescale_comes_before_the_window():
    dataset = header(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=1000, WindowWidth=2000)

    table, _ = presentation_table(dataset)

    assert table[500] == pytest.approx(0.0, abs=1e-3)
    assert table[1000] == pytest.approx(0.5, abs=1e-3)


def test_a_modality_lut_goes_before_slope_and_intercept():
    dataset = header(RescaleSlope=3, RescaleIntercept=7, WindowCenter=500, WindowWidth=1000)
    dataset.VOILUTFunction = "LINEAR_EXACT"
    dataset.ModalityLUTSequence = [lut_item(list(range(0, 4000, 4)), 100, 16)]

    table, _ = presentation_table(dataset)

    assert table[[100, 225, 350]].tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_a_lut_that_is_shorter_than_it_says_is_refused():
    item = lut_item([1, 2, 3], 0, 10)
    item.LUTDescriptor = [100, 0, 10]

    with pytest.raises(DecodeError, match="says 100 entries") as caught:
        presentation_table(header(VOILUTSequence=[item]))

    assert caught.value.reason is Reason.LUT_INVALID


def test_images_without_photometry_run_from_black_to_white():
    assert identity_table(8)[[0, 255, 256]].tolist() == [0.0, 1.0, 1.0]

"""A stored value's meaning: rescale, VOI, polarity, padding."""

from __future__ import annotations

import os
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset, config
from pydicom.dataset import FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.photometry import identity_table, needs_full_resolution, presentation_table

SHARED = Path(os.environ.get("MAMMOSWEEP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
GE = SHARED / "dicom_mg" / "GH133.dcm"
ALL_12_BIT = np.arange(4096, dtype=np.uint16)


def header(**attributes):
    dataset = Dataset()
    dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation = 16, 12, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def lut_item(values, first, bits, *, vr="US", explanation=None):
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values), first, bits])
    item.add_new("LUTData", vr, values)
    if explanation:
        item.ModalityLUTType = explanation
    return item


def refusal(dataset):
    with pytest.raises(DecodeError) as caught:
        presentation_table(dataset)
    return caught.value


def saved(dataset, syntax):
    """As it comes back from a file of that transfer syntax."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.file_meta = meta
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    stream.seek(0)
    return pydicom.dcmread(stream)


def test_without_voi_the_range_of_bits_stored_is_black_to_white():
    table, voi = presentation_table(header())

    assert voi == "full range"
    assert table[[0, 4095]].tolist() == [0.0, 1.0]
    assert np.all(np.diff(table[:4096]) > 0)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_is_applied_as_pydicom_applies_it(function):
    dataset = header(WindowCenter=2000, WindowWidth=900, VOILUTFunction=function)

    table, voi = presentation_table(dataset)

    expected = apply_voi_lut(ALL_12_BIT, dataset) / 4095
    assert voi == f"window 1 {function}"
    np.testing.assert_allclose(table[:4096], expected, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    center=st.integers(-500, 5000),
    width=st.integers(2, 9000),
    slope=st.sampled_from([1.0, 2.5, 0.25]),
    intercept=st.integers(-1000, 1000),
)
def test_any_window_after_any_rescale_is_as_pydicom_has_it(function, center, width, slope, intercept):
    dataset = header(WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

    table, _ = presentation_table(dataset)

    low, high = intercept, 4095 * slope + intercept
    with np.errstate(over="ignore"):
        windowed = apply_voi_lut(apply_modality_lut(ALL_12_BIT, dataset), dataset)
    np.testing.assert_allclose(table[:4096], (windowed - low) / (high - low), atol=2e-6)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 1023), min_size=2, max_size=300),
    first=st.integers(-300, 4095),
    intercept=st.sampled_from([0, -1000]),
)
def test_any_voi_lut_is_as_pydicom_has_it(values, first, intercept):
    dataset = header(VOILUTSequence=[lut_item(values, first, 10)])
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, intercept

    table, _ = presentation_table(dataset)

    rescaled = ALL_12_BIT.astype(np.int32) + intercept
    np.testing.assert_allclose(table[:4096], apply_voi_lut(rescaled, dataset) / 1023, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.integers(0, 65535), min_size=2, max_size=300), first=st.integers(0, 4095))
def test_any_modality_lut_is_as_pydicom_has_it(values, first):
    dataset = header(ModalityLUTSequence=[lut_item(values, first, 16, explanation="US")])

    table, voi = presentation_table(dataset)

    assert voi == "full range"
    np.testing.assert_allclose(table[:4096], apply_modality_lut(ALL_12_BIT, dataset) / 65535, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    center=st.floats(-1e308, 1e308),
    width=st.floats(-1e308, 1e308),
    slope=st.floats(-1e300, 1e300).filter(bool),
    intercept=st.floats(-1e300, 1e300),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_the_wildest_numbers_give_grays_or_a_refusal(center, width, slope, intercept, function):
    dataset = header(VOILUTFunction=function)
    dataset.add_new("WindowCenter", "FD", center)
    dataset.add_new("WindowWidth", "FD", width)
    dataset.add_new("RescaleSlope", "FD", slope)
    dataset.add_new("RescaleIntercept", "FD", intercept)

    try:
        table, _ = presentation_table(dataset)
    except DecodeError as error:
        reason, grays = error.reason, np.zeros(1)
    else:
        reason, grays = None, table

    assert reason in (None, Reason.WINDOW_INVALID, Reason.RESCALE_INVALID)
    assert 0.0 <= grays.min() <= grays.max() <= 1.0


def test_a_linear_window_of_width_one_is_a_step():
    table, _ = presentation_table(header(WindowCenter=100, WindowWidth=1))

    assert table[[98, 99, 100, 101]].tolist() == [0.0, 0.0, 1.0, 1.0]


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
    ("function", "width"), [("LINEAR", 0.5), ("LINEAR_EXACT", 0), ("SIGMOID", -3), ("CUBIC", 900)], ids=str
)
def test_where_no_window_is_usable_the_image_is_not_guessed_at(function, width):
    error = refusal(header(WindowCenter=2000, WindowWidth=width, VOILUTFunction=function))

    assert error.reason is Reason.WINDOW_INVALID
    assert "VOI LUT Function (0028,1056)" in str(error)
    assert "CUBIC" not in str(error)


@pytest.mark.parametrize(
    ("interpretation", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "IDENTITY", False),
        ("MONOCHROME1", "LIN OD", True),
    ],
)
def test_polarity_is_applied_once_about_the_bounds_of_the_range(interpretation, shape, inverted):
    dataset = header(PhotometricInterpretation=interpretation)
    if shape is not None:
        dataset.PresentationLUTShape = shape

    table, _ = presentation_table(dataset)

    assert table[0] == (1.0 if inverted else 0.0)
    assert table[4095] == (0.0 if inverted else 1.0)


def test_a_lut_is_inverted_about_its_output_range_not_its_largest_entry():
    dataset = header(PhotometricInterpretation="MONOCHROME1", VOILUTSequence=[lut_item([0, 2047], 0, 12)])

    table, _ = presentation_table(dataset)

    assert table[[0, 1]].tolist() == pytest.approx([1.0, 1 - 2047 / 4095])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("bits", [8, 12])
def test_lut_data_is_read_in_any_encoding(syntax, vr, bits):
    values = [0, 7, 30, 200, 255]  # an odd number: packed, the last byte is a filler
    words = [0 | 7 << 8, 30 | 200 << 8, 255] if bits == 8 else values
    written = header()
    order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    item = lut_item(words, 3, bits, vr="US")
    item.LUTDescriptor = [5, 3, bits]
    if vr == "OW":
        item.add_new("LUTData", "OW", np.array(words, order).tobytes())
    written.VOILUTSequence = [item]

    table, _ = presentation_table(saved(written, syntax))

    np.testing.assert_allclose(table[3:9] * (2**bits - 1), [*values, 255], atol=1e-3)


def test_8_bit_entries_in_words_of_their_own_are_read_too():
    table, _ = presentation_table(header(VOILUTSequence=[lut_item([0, 128, 255], 0, 8)]))

    assert table[:3].tolist() == pytest.approx([0, 128 / 255, 1])


def test_a_descriptor_of_signed_words_counts_entries_above_32767():
    item = lut_item(list(range(40000)), 0, 16)
    item["LUTDescriptor"] = DataElement(
        "LUTDescriptor", "SS", [40000 - 65536, -100, 16], validation_mode=config.IGNORE
    )
    dataset = header(RescaleSlope=1, RescaleIntercept=-1000, VOILUTSequence=[item])

    table, _ = presentation_table(dataset)

    assert table[[900, 1000, 4095]] * 65535 == pytest.approx([0, 100, 3195])


def test_padding_is_black_in_both_polarities():
    dataset = header(PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0, PixelPaddingRangeLimit=30)

    table, _ = presentation_table(dataset)

    assert table[:31].max() == 0.0
    assert table[31] > 0.9


def test_padding_written_as_a_signed_word_is_found():
    dataset = header(BitsStored=16)
    dataset.add_new("PixelPaddingValue", "SS", -1)

    table, _ = presentation_table(dataset)

    assert table[65535] == 0.0
    assert table[65534] > 0.9


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({}, False),
        ({"PixelPaddingValue": 0}, False),
        ({"PixelPaddingValue": 0, "PhotometricInterpretation": "MONOCHROME1"}, True),
        ({"PixelPaddingValue": 4095}, True),
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 2000}, True),
        ({"PixelPaddingValue": 60000}, False),
    ],
    ids=str,
)
def test_padding_that_would_be_bright_needs_the_full_resolution(changes, needed):
    dataset = header(**changes)
    table, _ = presentation_table(dataset)

    assert needs_full_resolution(dataset, table) == needed


def test_rescale_comes_before_the_window():
    dataset = header(RescaleSlope=2, RescaleIntercept=-1000, WindowCenter=1000, WindowWidth=2000)

    table, _ = presentation_table(dataset)

    assert table[500] == pytest.approx(0.0, abs=1e-3)
    assert table[1000] == pytest.approx(0.5, abs=1e-3)


def test_a_falling_rescale_makes_small_stored_values_bright():
    table, _ = presentation_table(header(RescaleSlope=-1, RescaleIntercept=4095))

    assert table[[0, 4095]].tolist() == [1.0, 0.0]


def test_a_modality_lut_goes_before_slope_and_intercept():
    dataset = header(RescaleSlope=3, RescaleIntercept=7, WindowCenter=500, WindowWidth=1000)
    dataset.VOILUTFunction = "LINEAR_EXACT"
    dataset.ModalityLUTSequence = [lut_item(list(range(0, 4000, 4)), 100, 16)]

    table, _ = presentation_table(dataset)

    assert table[[100, 225, 350]].tolist() == pytest.approx([0.0, 0.5, 1.0])


def test_a_lut_that_is_shorter_than_it_says_is_refused():
    item = lut_item([1, 2, 3], 0, 10)
    item.LUTDescriptor = [100, 0, 10]

    error = refusal(header(VOILUTSequence=[item]))

    assert error.reason is Reason.LUT_INVALID
    assert "says 100 entries" in str(error)


@pytest.mark.parametrize("keyword", ["LUTDescriptor", "LUTData"])
def test_a_lut_without_its_parts_is_refused(keyword):
    item = lut_item([1, 2, 3], 0, 10)
    delattr(item, keyword)

    assert refusal(header(VOILUTSequence=[item])).reason is Reason.LUT_INVALID


def test_images_without_photometry_run_from_black_to_white():
    assert identity_table(8)[[0, 255, 256]].tolist() == [0.0, 1.0, 1.0]


@pytest.mark.skipif(not GE.is_file(), reason="the shared toolkit files are not here")
def test_of_a_ge_image_with_three_luts_and_windows_the_first_lut_is_taken():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(GE, stop_before_pixels=True)

    table, voi = presentation_table(dataset)

    assert voi == "VOI LUT 1"
    np.testing.assert_allclose(table[:4096], apply_voi_lut(ALL_12_BIT, dataset) / 4095, atol=1e-6)
    assert table[:31].max() == 0.0  # its padding range
    assert not needs_full_resolution(dataset, table)

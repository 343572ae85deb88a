from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
from pydicom.encaps import generate_frames

from mammosweep.errors import ConfigError
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam, write_phantoms
from mammosweep.phantom.codecs import encode_frame
from mammosweep.phantom.jpeg_lossless import encode_jpeg_lossless
from mammosweep.records import Laterality, Position

COARSE = PhantomConfig(spacing_mm=0.4)

# Decoders that share no code with the encoder, where one is at hand; CharLS is the only JPEG-LS library.
DECODERS: dict[Syntax, list[Callable[[bytes], np.ndarray] | None]] = {
    Syntax.EXPLICIT: [None],
    Syntax.IMPLICIT: [None],
    Syntax.JPEG_LOSSLESS: [imagecodecs.ljpeg_decode, imagecodecs.jpegsof3_decode],
    Syntax.JPEG2000: [None, imagecodecs.jpeg2k_decode],
    Syntax.JPEG_LS: [imagecodecs.jpegls_decode],
    Syntax.RLE: [None],
    Syntax.HTJ2K: [imagecodecs.htj2k_decode, imagecodecs.jpeg2k_decode],
}
ORIENTATIONS = {"LCC": ["A", "R"], "RCC": ["P", "L"], "LMLO": ["A", "FR"], "RMLO": ["P", "FL"]}
REQUIRED = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "PresentationIntentType",
    "Manufacturer",
    "ManufacturerModelName",
    "InstanceNumber",
    "PatientOrientation",
    "ContentDate",
    "ContentTime",
    "ImageType",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelIntensityRelationship",
    "PixelIntensityRelationshipSign",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "PresentationLUTShape",
    "LossyImageCompression",
    "BurnedInAnnotation",
    "WindowCenter",
    "WindowWidth",
    "ImageLaterality",
    "AnatomicRegionSequence",
    "DetectorType",
    "ImagerPixelSpacing",
    "PositionerType",
    "ViewPosition",
    "ViewCodeSequence",
    "OrganExposed",
    "BreastImplantPresent",
    "AcquisitionContextSequence",
    "SOPClassUID",
    "SOPInstanceUID",
    "EstimatedRadiographicMagnificationFactor",
    "SpecificCharacterSet",
    "PixelData",
]


@pytest.fixture(scope="module")
def exam():
    return make_exam(7, 1, COARSE)


def pixels_of(path: Path, decode: Callable[[bytes], np.ndarray] | None) -> np.ndarray:
    dataset = pydicom.dcmread(path)
    if decode is None:
        return dataset.pixel_array
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    return decode(frame)


@pytest.mark.parametrize(
    ("syntax", "decode"),
    [
        pytest.param(syntax, decode, id=f"{syntax}-{getattr(decode, '__name__', 'pydicom')}")
        for syntax, decoders in DECODERS.items()
        for decode in decoders
    ],
)
def test_every_syntax_gives_back_the_same_pixels(syntax, decode, exam, tmp_path):
    paths = write_exam(exam, tmp_path, syntax=syntax)

    assert [path.name for path in paths] == ["LCC.dcm", "RCC.dcm", "LMLO.dcm", "RMLO.dcm"]
    for path, view in zip(paths, exam.views, strict=True):
        assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax.uid
        np.testing.assert_array_equal(pixels_of(path, decode), view.pixels)


AWKWARD = {
    "noise": np.random.default_rng(0).integers(0, 4096, (33, 65)).astype(np.uint16),
    "constant": np.full((7, 300), 4095, np.uint16),
    "extremes": np.tile(np.array([[0, 4095], [4095, 0]], np.uint16), (20, 20)),
    "a ramp": np.arange(4096, dtype=np.uint16).reshape(32, 128),
}


@pytest.mark.parametrize("syntax", [s for s in Syntax if s.uid.is_compressed and s is not Syntax.RLE])
@pytest.mark.parametrize("pixels", AWKWARD.values(), ids=AWKWARD.keys())
def test_awkward_frames_are_coded_bit_exactly(pixels, syntax):
    code = encode_frame(pixels, syntax, 12)

    for decode in filter(None, DECODERS[syntax]):
        np.testing.assert_array_equal(decode(code), pixels)


@pytest.mark.parametrize("syntax", Syntax)
def test_an_encoder_gives_the_same_bytes_again(syntax, exam):
    pixels = exam.views[0].pixels

    assert encode_frame(pixels, syntax, 12) == encode_frame(pixels.copy(), syntax, 12)


@pytest.mark.parametrize("precision", [10, 12, 14])
def test_jpeg_lossless_is_process_14_selection_value_1(precision):
    pixels = np.random.default_rng(1).integers(0, 2**precision, (64, 50)).astype(np.uint16)

    code = encode_jpeg_lossless(pixels, precision)

    frame, scan = code.index(b"\xff\xc3"), code.index(b"\xff\xda")
    assert code[frame + 4] == precision
    assert code[scan + 4 : scan + 10] == bytes([1, 1, 0, 1, 0, 0])  # Ns, Cs, Td/Ta, Ss, Se, Ah/Al
    np.testing.assert_array_equal(imagecodecs.jpegsof3_decode(code), pixels)


@pytest.mark.parametrize("syntax", [Syntax.JPEG2000, Syntax.HTJ2K])
def test_jpeg2000_streams_name_the_stored_precision_unsigned(syntax, exam):
    code = encode_frame(exam.views[0].pixels, syntax, 12)

    assert code[code.index(b"\xff\x51") + 40] == 11  # Ssiz: precision - 1, unsigned


def test_a_header_holds_what_the_object_requires(exam, tmp_path):
    for path in write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT):
        dataset = pydicom.dcmread(path)
        assert [name for name in REQUIRED if name not in dataset] == []
        assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2"
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)
        assert dataset.ImagerPixelSpacing == [0.4, 0.4]
        assert dataset.EstimatedRadiographicMagnificationFactor == 1
        assert "PixelSpacing" not in dataset
        assert dataset.BreastImplantPresent == dataset.BurnedInAnnotation == "NO"
        assert (dataset.PatientID, str(dataset.PatientName)) == ("PHANTOM-7-1", "Phantom^0001")
        assert dataset.SOPInstanceUID.is_valid
        assert dataset.StudyInstanceUID.startswith("2.25.")


def test_side_and_view_are_declared_in_every_attribute_alike(exam, tmp_path):
    codes = {Position.CC: "399162004", Position.MLO: "399368009"}
    for path, view in zip(write_exam(exam, tmp_path, syntax=Syntax.RLE), exam.views, strict=True):
        dataset = pydicom.dcmread(path)
        assert dataset.ImageLaterality == view.laterality
        assert dataset.ViewPosition == view.position
        assert dataset.ViewCodeSequence[0].CodeValue == codes[view.position]
        assert dataset.ViewCodeSequence[0].CodingSchemeDesignator == "SCT"
        assert list(dataset.PatientOrientation) == ORIENTATIONS[f"{view.laterality}{view.position}"]
        # Anterior is towards the nipple: to the right where the chest wall is at the left.
        assert (dataset.PatientOrientation[0] == "A") == (view.chest_wall == "left")


def test_the_window_covers_the_breast(exam, tmp_path):
    for path in write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT):
        dataset = pydicom.dcmread(path)
        low = dataset.WindowCenter - dataset.WindowWidth / 2
        high = dataset.WindowCenter + dataset.WindowWidth / 2
        breast = dataset.pixel_array[dataset.pixel_array > 500]
        assert low < np.percentile(breast, 1) < np.percentile(breast, 99) < high


def test_monochrome1_says_so_twice(tmp_path):
    exam = make_exam(7, 1, PhantomConfig(spacing_mm=0.4, monochrome1=True))

    dataset = pydicom.dcmread(write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)[0])

    assert dataset.PhotometricInterpretation == "MONOCHROME1"
    assert dataset.PresentationLUTShape == "INVERSE"
    assert np.median(dataset.pixel_array) > 3500


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for folder in ("once", "again"):
        write_phantoms(tmp_path / folder, exams=2, seed=3, syntaxes=list(Syntax)[1:3], config=COARSE)

    files = sorted(path.relative_to(tmp_path / "once") for path in (tmp_path / "once").rglob("*.*"))
    assert len(files) == 2 * 4 + 2
    for file in files:
        assert (tmp_path / "once" / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_the_truth_names_every_lesion_of_every_view(tmp_path):
    config = PhantomConfig(spacing_mm=0.4, lesion_rate=1.0)
    write_phantoms(tmp_path, exams=3, seed=4, syntaxes=[Syntax.RLE, Syntax.JPEG_LS], config=config)

    rows = pq.read_table(tmp_path / "truth.parquet").to_pylist()
    exams = pq.read_table(tmp_path / "truth_exams.parquet").to_pylist()
    made = [make_exam(4, index, config) for index in range(3)]
    assert [row["exam_id"] for row in exams] == [exam.exam_id for exam in made]
    assert [row["syntax"] for row in exams] == ["rle", "jpeg-ls", "rle"]
    assert len(rows) == 2 * sum(len(exam.lesions) for exam in made) > 0
    assert [row["malignant_left"] for row in exams] == [exam.is_malignant(Laterality.LEFT) for exam in made]
    for row in rows:
        dataset = pydicom.dcmread(tmp_path / row["path"], stop_before_pixels=True)
        assert dataset.SOPInstanceUID == row["sop_instance_uid"]
        assert dataset.StudyInstanceUID == row["exam_id"]
        assert (dataset.ImageLaterality, dataset.ViewPosition) == (row["laterality"], row["view_position"])
        assert 0 <= row["x1"] < row["x2"] <= dataset.Columns
        assert 0 <= row["y1"] < row["y2"] <= dataset.Rows


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"exams": 0}, "number of phantom exams"),
        ({"seed": -1}, "seed"),
        ({"syntaxes": []}, "transfer syntax"),
    ],
)
def test_a_senseless_request_is_refused_before_anything_is_written(arguments, complaint, tmp_path):
    request = {"exams": 1, "seed": 1, "syntaxes": [Syntax.RLE], **arguments}

    with pytest.raises(ConfigError, match=complaint):
        write_phantoms(tmp_path / "out", **request)

    assert not (tmp_path / "out").exists()

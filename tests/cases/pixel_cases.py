"""Cases 33 to 58: what can be wrong with pixels and their description."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from tests.cases.making import Desk, assign, changed, coded, encapsulated
from tests.cases.streams import cut, cut_but_ended, j2k_bomb, scan_bomb
from tests.cases.table import Case, not_scored, rejected, used

from mammosweep.errors import Flag, Reason
from mammosweep.phantom import Syntax
from mammosweep.phantom.codecs import encode_frame

__all__ = ["CASES"]

LIMITS = "test_cases_of_limits.py::test_what_a_worker_is_killed_over_costs_one_image[]"
BUNDLES = "test_cases_of_bundles.py::test_what_a_bundle_was_fitted_on_is_scored_and_flagged[]"
TOMOSYNTHESIS = uid.BreastTomosynthesisImageStorage
COMPRESSED = {
    "JPEG 2000": Syntax.JPEG2000,
    "HTJ2K": Syntax.HTJ2K,
    "JPEG-LS": Syntax.JPEG_LS,
    "JPEG Lossless": Syntax.JPEG_LOSSLESS,
}
J2K, JPEG = (37, ("JPEG 2000", "HTJ2K")), (38, ("JPEG-LS", "JPEG Lossless"))


def bomb(rows: int, columns: int, **attributes: object):
    """A JPEG 2000 image of some hundred bytes."""

    def build(desk: Desk) -> None:
        dataset = desk.image(**attributes)
        desk.save(encapsulated(dataset, uid.JPEG2000Lossless, j2k_bomb(rows, columns)))

    return build


def baseline(**attributes: object):
    """An 8 bit lossy JPEG that says so."""

    def build(desk: Desk) -> None:
        gray = (desk.pixels() >> 4).astype(np.uint8)
        depth = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "WindowCenter": 128, "WindowWidth": 256}
        dataset = desk.image(**(depth | attributes))
        desk.save(encapsulated(dataset, uid.JPEGBaseline8Bit, imagecodecs.jpeg8_encode(gray, level=95)))

    return build


def extended(change=bytes):
    """A 12 bit lossy JPEG."""

    def build(desk: Desk) -> None:
        stream = imagecodecs.jpeg_encode(desk.pixels(), level=98, bitspersample=12)
        desk.save(encapsulated(desk.image(), uid.JPEGExtended12Bit, change(bytes(stream))))

    return build


def many_scans(desk: Desk) -> None:
    dataset = desk.image(Rows=7000, Columns=7000)
    desk.save(encapsulated(dataset, uid.JPEGExtended12Bit, scan_bomb(7000, 7000, 5000)))


def with_bits(allocated: int, **attributes: object):
    """The same pixels in words of another size."""

    def build(desk: Desk) -> None:
        pixels = desk.pixels().astype(f"<u{allocated // 8}").tobytes()
        desk.save(desk.image(BitsAllocated=allocated, PixelData=pixels, **attributes))

    return build


def frames(num: int, **attributes: object):
    def build(desk: Desk) -> None:
        desk.save(desk.image(NumberOfFrames=str(num), PixelData=desk.pixels().tobytes() * num, **attributes))

    return build


def constant(desk: Desk) -> None:
    desk.save(desk.image(PixelData=np.full(desk.pixels().shape, 100, "<u2").tobytes()))


def noise_only(desk: Desk) -> None:
    noise = np.random.default_rng(53).normal(60, 8, desk.pixels().shape).clip(0, 4095)
    desk.save(desk.image(PixelData=noise.astype("<u2").tobytes()))


def stray_bits(syntax: Syntax | None = None):
    """An overlay's bits above Bits Stored, in every fourth row."""

    def build(desk: Desk) -> None:
        pixels = desk.pixels().copy()
        pixels[::4] |= 0x8000
        dataset = desk.image(PixelData=pixels.astype("<u2").tobytes())
        if syntax is not None:
            dataset = encapsulated(dataset, syntax.uid, encode_frame(pixels, syntax, 12))
        desk.save(dataset)

    return build


def colour(desk: Desk) -> None:
    pixels = np.repeat((desk.pixels() >> 4).astype(np.uint8)[..., None], 3, axis=2)
    depth = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": 3}
    desk.save(
        desk.image(
            PhotometricInterpretation="RGB", PlanarConfiguration=0, PixelData=pixels.tobytes(), **depth
        )
    )


def floating(keyword: str, kind: str):
    def build(desk: Desk) -> None:
        dataset = desk.image(PixelData=None)
        setattr(dataset, keyword, desk.pixels().astype(kind).tobytes())
        desk.save(dataset)

    return build


def lut(descriptor: list[int], entries: int):
    def build(desk: Desk) -> None:
        item = Dataset()
        item.add_new("LUTDescriptor", "US", descriptor)
        item.add_new("LUTData", "OW", bytes(2 * entries))
        desk.save(assign(desk.image(), VOILUTSequence=[item]))

    return build


def fragments(*streams: bytes | None, offsets: int = 0):
    """Fragments given as they are; None stands for the image's own codestream."""

    def build(desk: Desk) -> None:
        own = bytes(imagecodecs.jpegls_encode(desk.pixels()))
        items = [own if stream is None else stream for stream in streams]
        desk.save(encapsulated(desk.image(), uid.JPEGLSLossless, *items, offsets=offsets))

    return build


def without_fragments(desk: Desk) -> None:
    desk.save(encapsulated(desk.image(), uid.JPEGLSLossless))


def stray_between_fragments(desk: Desk) -> None:
    stream = bytes(imagecodecs.jpegls_encode(desk.pixels()))
    stream += bytes(len(stream) % 2)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(stream))
    dataset = encapsulated(desk.image(), uid.JPEGLSLossless, bytes(64))
    dataset["PixelData"].value = b"\xfe\xff\x00\xe0" + bytes(4) + item + stream + b"these are no items"
    desk.save(dataset)


def two_rle_frames(desk: Desk) -> None:
    frame = encode_frame(desk.pixels(), Syntax.RLE, 12)
    desk.save(encapsulated(desk.image(), uid.RLELossless, frame, frame))


CASES = (
    Case(
        number=33,
        name="Rows 0",
        fed="Rows 0",
        build=changed(Rows=0),
        **rejected(Reason.SIZE_INVALID, "Rows (0028,0010) is 0", "expected 1 to"),
    ),
    Case(
        number=33,
        name="Columns missing",
        fed="no Columns",
        build=changed(Columns=None),
        **rejected(Reason.SIZE_INVALID, "Columns (0028,0011) is missing", "expected 1 to"),
    ),
    Case(
        number=34,
        name="Rows 65535",
        fed="Rows and Columns 65,535: 8.6 GB claimed",
        build=changed(Rows=65535, Columns=65535),
        **rejected(Reason.SIZE_TOO_LARGE, "Rows (0028,0010) is 65535", "archive.max_rows_columns"),
    ),
    Case(
        number=34,
        name="256 megapixels",
        fed="Rows and Columns 16,000, and a codestream of that size",
        build=bomb(16_000, 16_000, Rows=16_000, Columns=16_000),
        **rejected(Reason.SIZE_TOO_LARGE, "16000 x 16000", "pixels.max_megapixels"),
    ),
    *(
        Case(
            number=35,
            name=f"{name} with another {keyword}",
            fed=f"{name} codestream of 600 x 450, {keyword} {value}",
            build=coded(syntax, **{keyword: value}),
            **rejected(Reason.SIZE_MISMATCH, "600 x 450", expected),
        )
        for name, syntax in COMPRESSED.items()
        for keyword, value, expected in (("Rows", 601, "601 x 450"), ("Columns", 300, "600 x 300"))
    ),
    Case(
        number=36,
        name="JPEG 2000 bomb",
        fed="a codestream of some hundred bytes for 12,000 x 12,000, declared so",
        build=bomb(12_000, 12_000, Rows=12_000, Columns=12_000),
        **rejected(Reason.SIZE_TOO_LARGE, "12000 x 12000", "pixels.max_megapixels"),
    ),
    Case(
        number=36,
        name="JPEG 2000 bomb under a small header",
        fed="the same codestream under Rows 600, Columns 450",
        build=bomb(12_000, 12_000),
        **rejected(Reason.SIZE_MISMATCH, "12000 x 12000", "600 x 450"),
    ),
    Case(
        number=36,
        name="JPEG 2000 bomb below the cap",
        fed="a codestream of some hundred bytes for 7,900 x 7,900, where 48 MiB are allowed",
        test=LIMITS,
        **rejected(Reason.DECODE_LIMIT, "MiB"),
    ),
    *(
        Case(
            number=number,
            name=f"truncated {name}{how}",
            fed=f"{share:.0%} of a {name} codestream{', and its end marker' if how else ''}",
            build=coded(COMPRESSED[name], change(share)),
            # CharLS says of bytes that are missing before the end marker only that the code is damaged.
            **rejected(Reason.DECODE_FAILED if how and name == "JPEG-LS" else Reason.TRUNCATED),
        )
        for number, names in (J2K, JPEG)
        for name in names
        for change, how, share in (
            (cut, "", 0.5),
            (cut_but_ended, " with its end marker", 0.5),
            (cut_but_ended, " with its last tenth missing", 0.9),
        )
    ),
    Case(
        number=38,
        name="truncated RLE",
        fed="half of an RLE frame",
        build=coded(Syntax.RLE, cut(0.5)),
        **rejected(Reason.TRUNCATED),
    ),
    Case(
        number=38,
        name="truncated JPEG Extended",
        fed="half of a 12 bit lossy JPEG, and its end marker",
        build=extended(cut_but_ended(0.5)),
        **rejected(Reason.TRUNCATED, "ends before its last pixel", flags=(Flag.LOSSY,)),
    ),
    Case(
        number=39,
        name="scan bomb",
        fed="a progressive 12 bit JPEG of 49 megapixels and 5,000 scans, of 300 KB",
        build=many_scans,
        **rejected(Reason.DECODE_LIMIT, "scans", flags=(Flag.LOSSY,)),
    ),
    Case(
        number=40,
        name="8 bit lossy JPEG",
        fed="JPEG Baseline",
        build=baseline(),
        **not_scored(Reason.LOSSY_NOT_ALLOWED, "8 bit lossy JPEG", "lossless", flags=(Flag.LOSSY,)),
    ),
    Case(
        number=40,
        name="8 bit lossy JPEG that the bundle allows",
        fed="JPEG Baseline, and a bundle that says allow_lossy_jpeg",
        test=BUNDLES,
        **used(Flag.LOSSY),
    ),
    Case(
        number=41,
        name="lossy history",
        fed="Lossy Image Compression (0028,2110) 01",
        build=changed(LossyImageCompression="01"),
        **used(Flag.LOSSY),
    ),
    Case(
        number=41,
        name="12 bit lossy JPEG",
        fed="JPEG Extended, which has lost something whatever the header says",
        build=extended(),
        **used(Flag.LOSSY),
    ),
    Case(
        number=42,
        name="signed",
        fed="Pixel Representation 1",
        build=changed(PixelRepresentation=1),
        **not_scored(Reason.SIGNED_PIXELS, "Pixel Representation (0028,0103) is 1", "expected 0"),
    ),
    Case(
        number=43,
        name="32 bit",
        fed="Bits Allocated 32",
        build=with_bits(32),
        **rejected(Reason.BITS_INVALID, "Bits Allocated (0028,0100) is 32", "expected 8 or 16"),
    ),
    Case(
        number=44,
        name="Bits Stored 24 of 16",
        fed="Bits Stored 24, Bits Allocated 16",
        build=changed(BitsStored=24, HighBit=23),
        **rejected(Reason.BITS_INVALID, "Bits Stored (0028,0101) is 24", "expected 1 to 16"),
    ),
    Case(
        number=45,
        name="High Bit 15",
        fed="High Bit 15, Bits Stored 12",
        build=changed(HighBit=15),
        **rejected(Reason.BITS_INVALID, "High Bit (0028,0102) is 15", "expected 11"),
    ),
    *(
        Case(
            number=46,
            name=f"slope {value}",
            fed=f"Rescale Slope {value}",
            build=changed(RescaleSlope=value),
            **rejected(Reason.RESCALE_INVALID, "Rescale Slope (0028,1053)", "expected one finite number"),
        )
        for value in ("NaN", "inf", "1e400")
    ),
    Case(
        number=46,
        name="slope 1e308",
        fed="Rescale Slope 1e308: every value is finite, most products are not",
        build=changed(RescaleSlope="1e308"),
        **rejected(Reason.RESCALE_INVALID, "Rescale Slope", "finite"),
    ),
    Case(
        number=47,
        name="slope 0",
        fed="Rescale Slope 0",
        build=changed(RescaleSlope="0"),
        **rejected(Reason.RESCALE_INVALID, "Rescale Slope (0028,1053) is 0", "other than 0"),
    ),
    Case(
        number=48,
        name="width 0 then a window",
        fed="two windows, the first of width 0",
        build=changed(WindowCenter=[2048, 2048], WindowWidth=[0, 3441]),
        **used(),
    ),
    Case(
        number=48,
        name="width 0",
        fed="one window, of width 0",
        build=changed(WindowWidth="0"),
        **not_scored(Reason.WINDOW_INVALID, "Window Width (0028,1051)", "above 0"),
    ),
    *(
        Case(
            number=49,
            name=name,
            fed=f"a VOI LUT whose descriptor is {descriptor}, with {entries} entries",
            build=lut(descriptor, entries),
            **rejected(Reason.LUT_INVALID, "LUT Descriptor (0028,3002)", said),
        )
        for name, descriptor, entries, said in (
            ("LUT too short", [300, 0, 12], 256, "300 entries"),
            ("LUT of 40 bits", [256, 0, 40], 256, "40 bits"),
            ("LUT descriptor of two", [256, 0], 256, "2 values; expected 3"),
        )
    ),
    Case(
        number=50,
        name="PALETTE COLOR",
        fed="PALETTE COLOR",
        build=changed(PhotometricInterpretation="PALETTE COLOR"),
        **rejected(Reason.PHOTOMETRIC, "Photometric Interpretation (0028,0004) is 'PALETTE COLOR'"),
    ),
    Case(
        number=50,
        name="RGB",
        fed="RGB with three samples a pixel",
        build=colour,
        **rejected(Reason.PHOTOMETRIC, "'RGB' with 3 samples", "MONOCHROME1 or 2"),
    ),
    Case(
        number=51,
        name="two frames",
        fed="a multi-frame mammogram",
        build=frames(2),
        **not_scored(Reason.MULTI_FRAME, "a multi-frame image of 2 frames", "expected a single"),
    ),
    Case(
        number=51,
        name="tomosynthesis",
        fed="Breast Tomosynthesis Image Storage of three frames",
        build=frames(3, SOPClassUID=TOMOSYNTHESIS),
        **not_scored(Reason.MULTI_FRAME, "a tomosynthesis image of 3 frames"),
    ),
    Case(
        number=52,
        name="Number of Frames 0",
        fed="Number of Frames 0 and one frame",
        build=changed(NumberOfFrames="0"),
        **used(Flag.NUMBER_OF_FRAMES_ZERO),
    ),
    Case(
        number=53,
        name="constant",
        fed="every pixel has the stored value 100",
        build=constant,
        **not_scored(Reason.BLANK_IMAGE, "stored value 100"),
    ),
    Case(
        number=53,
        name="noise only",
        fed="an exposure without a breast: noise about 60 of 4,095",
        build=noise_only,
        **not_scored(Reason.NO_BREAST, "breast"),
    ),
    Case(
        number=54,
        name="no Pixel Data",
        fed="a header alone",
        build=changed(PixelData=None),
        **rejected(Reason.NO_PIXEL_DATA, "Pixel Data (7FE0,0010) is missing or empty"),
    ),
    Case(
        number=54,
        name="empty Pixel Data",
        fed="Pixel Data of no bytes",
        build=changed(PixelData=b""),
        **rejected(Reason.NO_PIXEL_DATA, "Pixel Data (7FE0,0010) is missing or empty"),
    ),
    Case(
        number=55,
        name="no fragment",
        fed="an offset table and nothing after it",
        build=without_fragments,
        **rejected(Reason.FRAGMENTS_INVALID, "Pixel Data is empty"),
    ),
    Case(
        number=55,
        name="empty fragment",
        fed="a codestream, then a fragment of no bytes",
        build=fragments(None, b""),
        **rejected(Reason.FRAGMENTS_INVALID, "2 fragments", "empty"),
    ),
    Case(
        number=55,
        name="two RLE fragments",
        fed="two RLE frames, one declared",
        build=two_rle_frames,
        **rejected(Reason.FRAGMENTS_INVALID, "2 fragments", "expected 1"),
    ),
    Case(
        number=55,
        name="two codestreams",
        fed="two JPEG-LS codestreams without an offset table, one frame declared",
        build=fragments(None, None),
        **rejected(Reason.EXCESS_BYTES, "follow the end of the JPEG codestream"),
    ),
    Case(
        number=55,
        name="offset table of two",
        fed="an offset table of two frames, one declared",
        build=fragments(None, None, offsets=2),
        **rejected(Reason.FRAGMENTS_INVALID, "lists 2 frames", "expected 1"),
    ),
    Case(
        number=55,
        name="something between fragments",
        fed="text where the next fragment should begin",
        build=stray_between_fragments,
        **rejected(Reason.FRAGMENTS_INVALID, "fragment 1", "no item"),
    ),
    *(
        Case(
            number=56,
            name=name,
            fed=fed,
            build=changed(**attributes),
            **not_scored(Reason.QUALITY_CONTROL, said, "quality control image"),
        )
        for name, fed, attributes, said in (
            (
                "QC image",
                "Quality Control Image YES",
                {"QualityControlImage": "YES"},
                "Quality Control Image",
            ),
            ("flat field", "View Position FLATFIELD", {"ViewPosition": "FLATFIELD"}, "View Position"),
            ("phantom", "Body Part Examined PHANTOM", {"BodyPartExamined": "PHANTOM"}, "Body Part Examined"),
        )
    ),
    Case(
        number=57,
        name="Float Pixel Data",
        fed="Float Pixel Data (7FE0,0008)",
        build=floating("FloatPixelData", "<f4"),
        **rejected(Reason.BITS_INVALID, "floating point", "(7FE0,0008)", "Pixel Data (7FE0,0010)"),
    ),
    Case(
        number=57,
        name="Double Float Pixel Data",
        fed="Double Float Pixel Data (7FE0,0009)",
        build=floating("DoubleFloatPixelData", "<f8"),
        **rejected(Reason.BITS_INVALID, "floating point", "(7FE0,0009)", "Pixel Data (7FE0,0010)"),
    ),
    *(
        Case(
            number=58,
            name=f"stray bits in {name}",
            fed=f"bit 15 set in every fourth row, Bits Stored 12, {name}",
            build=stray_bits(syntax),
            **used(Flag.STRAY_BITS_MASKED),
        )
        for name, syntax in (("native pixels", None), ("RLE", Syntax.RLE), ("JPEG-LS", Syntax.JPEG_LS))
    ),
)

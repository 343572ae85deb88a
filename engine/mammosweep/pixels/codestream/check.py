"""A frame's codestream is compared with what the header says, before anything is allocated for it."""

from __future__ import annotations

from pydicom import uid

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.codestream import jpeg, jpeg2000, native, rle
from mammosweep.pixels.codestream.outline import CodestreamInfo, Outline
from mammosweep.pixels.frame import EncodedFrame

__all__ = ["check_codestream"]

NATIVE: frozenset[str] = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    }
)


def check_codestream(encoded: EncodedFrame, *, max_pixels: int) -> CodestreamInfo:
    """Read the codestream's own header and find its end; nothing is decoded or allocated.

    Where the codestream is of another transfer syntax than declared, the answer names its own. Give the
    decoder the answer's ``transfer_syntax`` and ``code``.

    Raises:
        DecodeError: TRUNCATED, EXCESS_BYTES, DECODE_FAILED (not a codestream that is known, or damaged),
            SIZE_TOO_LARGE, SIZE_MISMATCH, PHOTOMETRIC, SIGNED_PIXELS, BITS_INVALID (it says otherwise than
            the header), DECODE_LIMIT (more tiles, scans or packets than any image has).
    """
    size = encoded.size_px
    if size.area > max_pixels:
        raise DecodeError(
            Reason.SIZE_TOO_LARGE,
            f"the frame has {size.rows} x {size.columns} pixels; at most {max_pixels / 1e6:g} megapixels are "
            "decoded (pixels.max_megapixels)",
        )
    outline = _outline(encoded)
    _compare(outline, encoded)
    declared = encoded.transfer_syntax
    return CodestreamInfo(
        transfer_syntax=declared if declared in outline.syntaxes else outline.syntaxes[0],
        code=outline.code,
        precision=outline.precision,
        # With room above Bits Stored, a lower resolution's overshoot would pass for stray bits.
        num_levels=outline.num_levels if outline.precision == encoded.bits_stored else 0,
        is_lossy=outline.is_lossy,
    )


def _outline(encoded: EncodedFrame) -> Outline:
    if encoded.transfer_syntax in NATIVE:
        return native.read_native(encoded)
    if jpeg2000.is_jpeg2000(encoded.data):
        return jpeg2000.read_jpeg2000(encoded.data).outline
    if jpeg.is_jpeg(encoded.data):
        return jpeg.read_jpeg(encoded.data).outline
    if encoded.transfer_syntax == uid.RLELossless or rle.is_rle(encoded):
        return rle.read_rle(encoded)
    raise DecodeError(
        Reason.DECODE_FAILED,
        "the first bytes of the frame are not those of JPEG, JPEG-LS, JPEG 2000 or RLE; copy the file again",
    )


def _compare(outline: Outline, encoded: EncodedFrame) -> None:
    if outline.num_components != 1:
        raise DecodeError(
            Reason.PHOTOMETRIC, f"the codestream has {outline.num_components} components; expected 1, gray"
        )
    own, header = outline.size_px, encoded.size_px
    if own != header:
        raise DecodeError(
            Reason.SIZE_MISMATCH,
            f"the codestream is {own.rows} x {own.columns}; Rows (0028,0010) x Columns (0028,0011) say "
            f"{header.rows} x {header.columns}",
        )
    if outline.is_signed:
        raise DecodeError(
            Reason.SIGNED_PIXELS,
            "the codestream's samples are signed; Pixel Representation (0028,0103) is 0, unsigned",
        )
    # Encoders write Bits Stored, or the 8 or 16 bits of the array they were given (CharLS and DCMTK do).
    if not encoded.bits_stored <= outline.precision <= encoded.bits_allocated:
        raise DecodeError(
            Reason.BITS_INVALID,
            f"the codestream's samples have {outline.precision} bits; Bits Stored (0028,0101) is "
            f"{encoded.bits_stored}, Bits Allocated (0028,0100) {encoded.bits_allocated}",
        )

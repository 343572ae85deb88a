"""Which codec decodes which transfer syntax, on which device, fastest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom import uid

from mammosweep.errors import DecodeError, Reason
from mammosweep.pixels.decoders.seam import Decoder

__all__ = ["CODECS", "NATIVE", "Codec", "choose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One library's decoder of some transfer syntaxes."""

    name: str
    library: str  # what `prefer` says
    device: str  # "cpu" or "cuda"
    syntaxes: frozenset[str]  # DICOM UIDs
    can_reduce: bool = False  # it can leave out levels of the wavelet transform
    load: Callable[[], Decoder] = field(repr=False)  # imports the library


def _native() -> Decoder:
    from mammosweep.pixels.decoders.native import decode_native

    return decode_native


def _rle() -> Decoder:
    from mammosweep.pixels.decoders.image_codecs import decode_rle

    return decode_rle


def _jpeg() -> Decoder:
    from mammosweep.pixels.decoders.jpeg import decode_jpeg

    return decode_jpeg


def _jpeg_ls() -> Decoder:
    from mammosweep.pixels.decoders.image_codecs import decode_jpeg_ls

    return decode_jpeg_ls


def _htj2k() -> Decoder:
    from mammosweep.pixels.decoders.image_codecs import decode_htj2k

    return decode_htj2k


def _jpeg2000() -> Decoder:
    from mammosweep.pixels.decoders.image_codecs import jpeg2000_decoder

    return jpeg2000_decoder()


def _jpeg2000_reduced() -> Decoder:
    from mammosweep.pixels.decoders.openjpeg import decode_jpeg2000

    return decode_jpeg2000


def _dali_cpu() -> Decoder:
    from mammosweep.pixels.decoders.dali import dali_decoder

    return dali_decoder(device_id=None)


def _dali_cuda() -> Decoder:
    from mammosweep.pixels.decoders.dali import dali_decoder

    return dali_decoder(device_id=0)


NATIVE = frozenset[str](
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
    }
)
JPEG = frozenset[str]({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1})
JPEG_LS = frozenset[str]({uid.JPEGLSLossless, uid.JPEGLSNearLossless})
JPEG2000 = frozenset[str]({uid.JPEG2000Lossless, uid.JPEG2000})
HTJ2K = frozenset[str]({uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K})

CODECS: tuple[Codec, ...] = (
    Codec(name="native", library="numpy", device="cpu", syntaxes=NATIVE, load=_native),
    Codec(
        name="packbits",
        library="imagecodecs",
        device="cpu",
        syntaxes=frozenset({str(uid.RLELossless)}),
        load=_rle,
    ),
    Codec(name="libjpeg-turbo", library="imagecodecs", device="cpu", syntaxes=JPEG, load=_jpeg),
    Codec(name="charls", library="imagecodecs", device="cpu", syntaxes=JPEG_LS, load=_jpeg_ls),
    Codec(name="openjph", library="imagecodecs", device="cpu", syntaxes=HTJ2K, can_reduce=True, load=_htj2k),
    Codec(name="openjpeg", library="imagecodecs", device="cpu", syntaxes=JPEG2000 | HTJ2K, load=_jpeg2000),
    Codec(
        name="openjpeg-reduced",
        library="pillow",
        device="cpu",
        syntaxes=JPEG2000 | HTJ2K,
        can_reduce=True,
        load=_jpeg2000_reduced,
    ),
    Codec(name="dali", library="dali", device="cpu", syntaxes=JPEG2000 | HTJ2K, load=_dali_cpu),
    Codec(
        name="dali-gpu",
        library="dali",
        device="cuda",
        syntaxes=JPEG2000 | {str(uid.JPEGLosslessSV1)},
        load=_dali_cuda,
    ),
)
"""For each device and syntax, the fastest stands first; benchmarks/results/pixels.csv."""


def choose(transfer_syntax: str, *, device: str = "cpu", reduce: int = 0, prefer: str | None = None) -> Codec:
    """The codec for a frame: of the preferred library if it can, on the device if it can, the fastest.

    Raises:
        DecodeError: TRANSFER_SYNTAX, when none can.
    """
    able = [
        codec
        for codec in CODECS
        if transfer_syntax in codec.syntaxes
        and codec.device in ("cpu", device)
        and (reduce == 0 or codec.can_reduce)
    ]
    if not able:
        raise DecodeError(
            Reason.TRANSFER_SYNTAX,
            f"no decoder for transfer syntax {transfer_syntax}"
            + (" at a lower resolution" if reduce else "")
            + "; convert the files to a lossless one",
        )
    return min(able, key=lambda codec: (codec.library != prefer, codec.device != device))

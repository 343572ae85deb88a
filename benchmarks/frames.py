"""Frames of the two common sizes, as DICOM files in every transfer syntax.

Pixels are a phantom's. One is a direct detector's image: 12 bits, 0.07 mm. The other is a scanned film's: 16
bits, 0.05 mm. The film is a 14 bit phantom, whose noise fills its low bits inside the breast as counted
photons do, with two uniformly random bits below them, in air too: a film scanner's lowest bits are noise
everywhere, and they are what makes its files hard to compress.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from tests.pixels import encodings

from mammosweep.geometry import Size
from mammosweep.phantom import PhantomConfig, PhantomExam, PhantomView, make_exam
from mammosweep.phantom.dicom import header_of
from mammosweep.records import View

__all__ = ["FRAMES", "SYNTAXES", "BenchFile", "BenchFrame", "write_frames"]

Pixels = NDArray[np.uint16]

Encode = Callable[[Pixels, int], bytes]

# The encoders are the tests' own. An irreversible HTJ2K stream they write with 8 or 16 bits only.
SYNTAXES: dict[str, tuple[UID, Encode]] = {
    "implicit": (uid.ImplicitVRLittleEndian, encodings.native("<", 2)),
    "explicit": (uid.ExplicitVRLittleEndian, encodings.native("<", 2)),
    "deflated": (uid.DeflatedExplicitVRLittleEndian, encodings.native("<", 2)),
    "big-endian": (uid.ExplicitVRBigEndian, encodings.native(">", 2)),
    "rle": (uid.RLELossless, encodings.rle(2)),
    "jpeg-baseline-50": (uid.JPEGBaseline8Bit, encodings.jpeg_dct(95)),
    "jpeg-extended-51": (uid.JPEGExtended12Bit, encodings.jpeg_dct(95)),
    "jpeg-lossless-57": (uid.JPEGLossless, encodings.jpeg_lossless(4)),
    "jpeg-lossless-70": (uid.JPEGLosslessSV1, encodings.jpeg_lossless(1)),
    "jpeg-ls-80": (uid.JPEGLSLossless, encodings.jpeg_ls(0)),
    "jpeg-ls-near-81": (uid.JPEGLSNearLossless, encodings.jpeg_ls(2)),
    "jpeg2000-90": (uid.JPEG2000Lossless, encodings.jpeg2000()),
    "jpeg2000-91": (uid.JPEG2000, encodings.jpeg2000(psnr=80)),
    "htj2k-201": (uid.HTJ2KLossless, encodings.htj2k),
    "htj2k-rpcl-202": (uid.HTJ2KLosslessRPCL, encodings.htj2k),
    "htj2k-203": (
        uid.HTJ2K,
        lambda pixels, bits: (encodings.htj2k_lossy if bits == 16 else encodings.htj2k)(pixels, bits),
    ),
}

# By how much two decoders may differ: their inverse cosine transforms round differently (12 bit: by up to 3),
# their inverse wavelets by one; where nothing is lost, by nothing.
TOLERANCES = {uid.JPEGBaseline8Bit: 4, uid.JPEGExtended12Bit: 4, uid.JPEG2000: 1, uid.HTJ2K: 1}
LOSSY = {uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFrame:
    """One image before it is encoded."""

    name: str  # "3328x2560-12bit"
    exam: PhantomExam
    view: PhantomView
    bits_stored: int
    pixels: Pixels = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFile:
    """One image in one transfer syntax."""

    frame: str
    syntax: str
    path: Path
    view: View
    bits_per_pixel: float  # of the encoded frame

    @property
    def name(self) -> str:
        """As in the names of rows."""
        return f"{self.frame}/{self.syntax}"

    @property
    def tolerance(self) -> int:
        """The largest difference between two decoders' stored values."""
        return TOLERANCES.get(SYNTAXES[self.syntax][0], 0)


def _detector() -> BenchFrame:
    exam = make_exam(7, 0, PhantomConfig(spacing_mm=0.07, detector_mm=(232.96, 179.2), border_rate=0.0))
    view = exam.views[2]
    return BenchFrame(name="3328x2560-12bit", exam=exam, view=view, bits_stored=12, pixels=view.pixels)


def _film() -> BenchFrame:
    config = PhantomConfig(spacing_mm=0.05, detector_mm=(236.4, 150.0), bits_stored=14, border_rate=0.0)
    exam = make_exam(7, 0, config)
    view = exam.views[2]  # a left breast: what is cut away is air
    noise = np.random.default_rng(7)
    shifted = view.pixels[:, :2848] << 2
    pixels = shifted | noise.integers(0, 4, shifted.shape, dtype=np.uint16)
    return BenchFrame(name="4728x2848-16bit", exam=exam, view=view, bits_stored=16, pixels=pixels)


FRAMES: dict[str, Callable[[], BenchFrame]] = {"3328x2560-12bit": _detector, "4728x2848-16bit": _film}


def write_frames(
    folder: Path, frames: Sequence[str] = tuple(FRAMES), syntaxes: Sequence[str] = tuple(SYNTAXES)
) -> Iterator[BenchFile]:
    """Write frames in every transfer syntax that holds their bits, one after the other."""
    for make in (FRAMES[name] for name in frames):
        frame = make()
        for name in syntaxes:
            syntax = SYNTAXES[name][0]
            if syntax in DEPTHS and frame.bits_stored > DEPTHS[syntax][0]:
                continue
            yield _write(_of_depth(frame, syntax), name, folder)


# The most bits that a frame may have to be written in these, and the bits that it is written with.
DEPTHS: dict[UID, tuple[int, int]] = {uid.JPEGExtended12Bit: (12, 12), uid.JPEGBaseline8Bit: (12, 8)}


def _of_depth(frame: BenchFrame, syntax: UID) -> BenchFrame:
    bits = DEPTHS.get(syntax, (0, frame.bits_stored))[1]
    return replace(frame, bits_stored=bits, pixels=frame.pixels >> (frame.bits_stored - bits))


def _write(frame: BenchFrame, name: str, folder: Path) -> BenchFile:
    syntax, encode = SYNTAXES[name]
    path = folder / f"{frame.name}-{name}.dcm"
    dataset = _header(frame, syntax)
    code = encode(frame.pixels, frame.bits_stored)
    dataset.PixelData = encapsulate([code]) if syntax.is_encapsulated else code
    dataset["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    dcmwrite(path, dataset, enforce_file_format=True)
    num_bytes = path.stat().st_size if syntax == uid.DeflatedExplicitVRLittleEndian else len(code)
    rows, columns = frame.pixels.shape
    view = View(
        path=path.name,
        sop_instance_uid=frame.view.sop_instance_uid,
        laterality=frame.view.laterality,
        position=frame.view.position,
        size_px=Size(rows, columns),
        spacing_mm=(frame.exam.config.spacing_mm,) * 2,
        transfer_syntax=str(syntax),
        size_bytes=path.stat().st_size,
    )
    bits_per_pixel = 8 * num_bytes / frame.pixels.size
    return BenchFile(frame=frame.name, syntax=name, path=path, view=view, bits_per_pixel=bits_per_pixel)


def _header(frame: BenchFrame, syntax: UID) -> Dataset:
    bits = frame.bits_stored
    dataset = header_of(frame.exam, replace(frame.view, pixels=frame.pixels), number=1)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 if bits == 8 else 16, bits, bits - 1
    dataset.WindowCenter, dataset.WindowWidth = 2 ** (bits - 1), round(0.84 * 2**bits)
    dataset.LossyImageCompression = "01" if syntax in LOSSY else "00"
    if syntax in LOSSY:
        dataset.LossyImageCompressionRatio = 4
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset

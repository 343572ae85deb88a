"""How a case's files are made: from a small phantom, spoilt in one place."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import config as pydicom_config
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset

from mammosweep.archive.parse import quiet
from mammosweep.phantom import PhantomConfig, PhantomExam, Syntax, make_exam
from mammosweep.phantom.codecs import encode_frame
from mammosweep.phantom.dicom import header_of
from mammosweep.phantom.streams import uid_from

__all__ = ["Build", "Desk", "changed", "coded", "data", "several", "spliced"]

SLOT_NAMES = ("LCC", "RCC", "LMLO", "RMLO")
PIXEL_DATA = b"\xe0\x7f\x10\x00"
ITEM = b"\xfe\xff\x00\xe0"

Stream = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Desk:
    """The folder of one case, and the exam whose images it spoils."""

    folder: Path
    exam: PhantomExam

    def image(self, view: str = "LCC", *, key: str = "", study: str = "", **attributes: object) -> Dataset:
        """A sound view as an instance of its own; ``key`` tells two of one view apart.

        An attribute that is given replaces the phantom's, None deletes it.
        """
        number = SLOT_NAMES.index(view)
        dataset = header_of(self.exam, self.exam.views[number], number + 1)
        dataset.StudyInstanceUID = uid_from("case", self.folder.name, study)
        dataset.SOPInstanceUID = uid_from("case", self.folder.name, study, view, key)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PixelData = self.pixels(view).tobytes()
        dataset["PixelData"].VR = "OW"
        return assign(dataset, **attributes)

    def pixels(self, view: str = "LCC") -> NDArray[np.uint16]:
        """The stored values that `image` holds."""
        return self.exam.views[SLOT_NAMES.index(view)].pixels

    def save(self, dataset: Dataset, name: str = "view.dcm") -> Path:
        """Write a file with values that pydicom would not let through."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with quiet(), pydicom_config.disable_value_validation():
            dcmwrite(path, dataset, enforce_file_format=True)
        return path

    def write(self, content: bytes, name: str = "view.dcm") -> Path:
        """Write a file of these bytes."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def bytes_of(self, dataset: Dataset) -> bytes:
        """The file that `save` would write."""
        buffer = io.BytesIO()
        with quiet(), pydicom_config.disable_value_validation():
            dcmwrite(buffer, dataset, enforce_file_format=True)
        return buffer.getvalue()


Build = Callable[[Desk], None]


def small_exam(seed: int = 99) -> PhantomExam:
    """600 x 450 pixels of 0.4 mm."""
    return make_exam(seed, 0, PhantomConfig(spacing_mm=0.4, lesion_rate=1.0, border_rate=0.0))


def assign(dataset: Dataset, **attributes: object) -> Dataset:
    """Set attributes to values that no standard allows; None deletes."""
    with quiet(), pydicom_config.disable_value_validation():
        for keyword, value in attributes.items():
            if value is not None:
                setattr(dataset, keyword, value)
            elif keyword in dataset:
                delattr(dataset, keyword)
    return dataset


def changed(view: str = "LCC", **attributes: object) -> Build:
    """One image with attributes changed."""

    def build(desk: Desk) -> None:
        desk.save(desk.image(view, **attributes))

    return build


def several(*images: dict[str, Any]) -> Build:
    """Several images; ``name`` of each is its file's, the rest as in `Desk.image`."""

    def build(desk: Desk) -> None:
        for number, image in enumerate(images):
            attributes = dict(image)
            name = attributes.pop("name", f"{attributes.get('view', 'LCC')}.dcm")
            desk.save(desk.image(**({"key": str(number)} | attributes)), name)

    return build


def data(content: bytes, name: str = "view.dcm") -> Build:
    """A file of these bytes."""

    def build(desk: Desk) -> None:
        desk.write(content, name)

    return build


def spliced(change: Stream, **attributes: object) -> Build:
    """One image whose file is changed as bytes."""

    def build(desk: Desk) -> None:
        desk.write(change(desk.bytes_of(desk.image(**attributes))))

    return build


def coded(syntax: Syntax, change: Stream = bytes, *, declared: str = "", **attributes: object) -> Build:
    """One image in a compressed syntax, its codestream changed, declared as another syntax perhaps."""

    def build(desk: Desk) -> None:
        dataset = desk.image(**attributes)
        stream = change(encode_frame(desk.pixels(), syntax, desk.exam.config.bits_stored))
        desk.save(encapsulated(dataset, declared or syntax.uid, stream))

    return build


def encapsulated(dataset: Dataset, syntax: str, *fragments: bytes, offsets: int = 0) -> Dataset:
    """The dataset with these fragments; the offset table lists the first ``offsets`` of them (PS3.5 A.4)."""
    even = [fragment + b"\0" * (len(fragment) % 2) for fragment in fragments]
    starts = [sum(8 + len(fragment) for fragment in even[:number]) for number in range(offsets)]
    items = [struct.pack(f"<{offsets}L", *starts), *even]
    dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
    dataset.PixelData = b"".join(ITEM + struct.pack("<L", len(item)) + item for item in items)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def before_pixels(element: bytes) -> Stream:
    """A change that puts bytes before Pixel Data."""

    def insert(whole: bytes) -> bytes:
        at = whole.rindex(PIXEL_DATA)
        return whole[:at] + element + whole[at:]

    return insert


def redeclared(syntax: str) -> Stream:
    """A change of the declared transfer syntax alone; the data set stays as it was written."""

    def change(whole: bytes) -> bytes:
        at = whole.index(b"\x02\x00\x10\x00UI")
        length = struct.unpack_from("<H", whole, at + 6)[0]
        value = syntax.encode() + b"\0" * (len(syntax) % 2)
        group = struct.unpack_from("<L", whole, 140)[0] + len(value) - length
        element = whole[at : at + 6] + struct.pack("<H", len(value)) + value
        meta = whole[:140] + struct.pack("<L", group) + whole[144:at]
        return meta + element + whole[at + 8 + length :]

    return change

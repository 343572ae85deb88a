from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mammosweep.archive.header import read_record
from mammosweep.archive.pseudonym import Pseudonym
from mammosweep.archive.source import FileEntry, open_source
from mammosweep.archive.verdict import status_of
from mammosweep.config import ArchiveConfig
from mammosweep.records import ImageStatus

MUTATIONS = st.lists(
    st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), min_size=1, max_size=6
)


@pytest.fixture(scope="module")
def whole(films, tmp_path_factory):
    """The bytes of a sound file."""
    return films.save(films.mammogram(), tmp_path_factory.mktemp("sound") / "view.dcm").read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "view.dcm"


def read_bytes(place: Path, data: bytes):
    place.write_bytes(data)
    entry = FileEntry(place.name, len(data), place.stat().st_mtime_ns)
    return read_record(
        open_source(place.parent),
        entry,
        config=ArchiveConfig(),
        pseudonym=Pseudonym(b"key"),
        manifest_row=None,
    )


def check_record(record):
    if record.reason is None:
        assert (record.status, record.message) == (ImageStatus.USED, "")
        needed = (
            "sop_instance_uid",
            "exam_id",
            "laterality",
            "view_position",
            "spacing_mm",
            "rows",
            "columns",
        )
        assert all(getattr(record, name) is not None for name in needed)
    else:
        assert record.status is status_of(record.reason)
        assert record.message
        assert "\n" not in record.message
        assert "Nightingale" not in record.message


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutations=MUTATIONS, size=st.none() | st.integers(0, 7000))
def test_whatever_bytes_change_a_header_gives_one_status_and_never_raises(whole, place, mutations, size):
    data = bytearray(whole)
    header_size = len(whole) - 6144
    for offset, replacement in mutations:
        start = offset % header_size
        data[start : start + len(replacement)] = replacement

    check_record(read_bytes(place, bytes(data[:size])))


@settings(max_examples=60, deadline=None)
@given(tail=st.binary(max_size=600), has_preamble=st.booleans())
def test_random_bytes_give_one_status_and_never_raise(place, tail, has_preamble):
    data = (b"\0" * 128 + b"DICM" if has_preamble else b"\x08\0") + tail

    check_record(read_bytes(place, data))

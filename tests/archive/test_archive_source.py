from __future__ import annotations

import os
import socket

import pytest

from mammosweep.archive.names import escape_name, locate
from mammosweep.archive.source import FileEntry, FileSource, FolderSource, open_source
from mammosweep.config import ArchiveConfig
from mammosweep.errors import Reason, SourceError
from mammosweep.records import ImageStatus


def look(folder):
    """Path to reason, None for candidates, in the order in which they come."""
    return {
        entry.path: None if isinstance(entry, FileEntry) else entry.reason
        for entry in FolderSource(folder).entries()
    }


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")


def test_files_come_sorted_by_their_whole_relative_path(tmp_path):
    names = ["a/b.dcm", "a-b.dcm", "a.dcm", "a/a/z.dcm", "b/a.dcm", "B.dcm"]
    fill(tmp_path, *names)

    found = list(look(tmp_path))

    assert found == sorted(names)


def test_a_candidate_says_how_large_and_how_old_it_is(tmp_path):
    fill(tmp_path, "view.dcm")
    os.utime(tmp_path / "view.dcm", ns=(5, 1_700_000_000_123_456_789))

    assert list(FolderSource(tmp_path).entries()) == [FileEntry("view.dcm", 7, 1_700_000_000_123_456_789)]


def test_08_links_are_followed_to_files_inside_the_root_only(tmp_path):
    root = tmp_path / "archive"
    fill(root, "inside.dcm", "deep/view.dcm")
    fill(tmp_path, "outside.dcm", "other/view.dcm")
    links = {
        "a-file": "inside.dcm",
        "b-outside": "../outside.dcm",
        "c-outside-folder": "../other",
        "d-loop": "d-loop",
        "deep/up": "..",
        "e-nothing": "missing.dcm",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)

    assert look(root) == {
        "a-file": None,
        "b-outside": Reason.OUTSIDE_ROOT,
        "c-outside-folder": Reason.OUTSIDE_ROOT,
        "d-loop": Reason.OUTSIDE_ROOT,
        "deep/up": Reason.OUTSIDE_ROOT,
        "deep/view.dcm": None,
        "e-nothing": Reason.FILE_MISSING,
        "inside.dcm": None,
    }


def test_09_pipes_sockets_and_devices_are_never_opened(open_folder):
    os.mkfifo(open_folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(open_folder / "socket"))  # a socket's name may have 107 characters

        assert look(open_folder) == {"pipe": Reason.NOT_A_FILE, "socket": Reason.NOT_A_FILE}


def test_11_a_folder_that_may_not_be_read_has_its_row(films, open_folder):
    fill(open_folder, "closed/view.dcm", "view.dcm")
    (open_folder / "closed").chmod(0)

    with films.as_nobody():
        found = look(open_folder)

    assert found == {"closed/": Reason.PERMISSION_DENIED, "view.dcm": None}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (b"left\nCC.dcm", r"left\u000aCC.dcm"),
        (b"gr\xf6\xdfe.dcm", r"gr\xf6\xdfe.dcm"),
        ("größe.dcm".encode(), "größe.dcm"),
        (b"back\\slash\\x41.dcm", r"back\\slash\\x41.dcm"),
        ("turn\u202earound.dcm".encode(), r"turn\u202earound.dcm"),
        (b"bell\x07.dcm", r"bell\u0007.dcm"),
    ],
    ids=["newline", "Latin-1", "UTF-8", "backslash", "direction mark", "control"],
)
def test_13_an_awkward_name_is_written_on_one_line_and_still_opened(films, tmp_path, name, written):
    saved = films.save(films.mammogram(), tmp_path / "view.dcm")
    saved.rename(tmp_path / os.fsdecode(name))

    record = films.read(tmp_path)

    assert (record.path, record.status) == (written, ImageStatus.USED), record.message
    assert locate(tmp_path, record.path).read_bytes()[128:132] == b"DICM"


def test_13_plain_names_stay_as_they_are():
    assert escape_name("2024/größe 1 (copy)/LCC.dcm") == "2024/größe 1 (copy)/LCC.dcm"


def test_15_a_dicomdir_is_set_aside_unopened(tmp_path):
    fill(tmp_path, "DICOMDIR", "disc/dicomdir")

    assert look(tmp_path) == {"DICOMDIR": Reason.DICOMDIR, "disc/dicomdir": Reason.DICOMDIR}


def test_a_file_is_a_source_with_its_folder_as_root(films, tmp_path):
    path = films.save(films.mammogram(), tmp_path / "view.dcm")
    fill(tmp_path, "neighbour.dcm")

    source = open_source(path)

    assert isinstance(source, FileSource)
    assert source.url == str(tmp_path.resolve())
    assert [entry.path for entry in source.entries()] == ["view.dcm"]


def test_a_source_that_is_not_there_is_said_in_one_sentence(tmp_path):
    with pytest.raises(SourceError, match=r"nowhere does not exist; give a folder, a file or a URL$"):
        open_source(tmp_path / "nowhere")


def test_a_source_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SourceError, match="neither a folder nor a file"):
        open_source(tmp_path / "pipe", config=ArchiveConfig())


def test_a_source_that_may_not_be_read_is_refused(films, open_folder):
    fill(open_folder, "closed/view.dcm")
    (open_folder / "closed").chmod(0)

    with films.as_nobody(), pytest.raises(SourceError, match="Permission denied"):
        open_source(open_folder / "closed")

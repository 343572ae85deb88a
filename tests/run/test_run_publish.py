"""A reader sees one night or the next, never parts of both."""

from __future__ import annotations

import threading

import pytest

from mammosweep.errors import LedgerError
from mammosweep.run.publish import check_writable, publish

FILES = ("worklist.csv", "worklist.json", "worklist.html")


def writer(text):
    def write(folder):
        for name in FILES:
            (folder / name).write_text(text)

    return write


@pytest.fixture
def out(tmp_path):
    check_writable(tmp_path / "out")
    return tmp_path / "out"


def test_whoever_resolves_the_link_reads_one_night_while_the_next_is_published(out):
    publish(out, "n000", writer("n000"), keep=90)
    mixed, seen, over = [], set(), threading.Event()

    def read():
        while not over.is_set():
            folder = (out / "current").resolve(strict=True)
            texts = {(folder / name).read_text() for name in FILES}
            seen.update(texts)
            if texts != {folder.name}:
                mixed.append(texts)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        publish(out, f"n{number:03}", writer(f"n{number:03}"), keep=90)
    over.set()
    reader.join()

    assert mixed == []
    assert len(seen) > 1


def test_a_night_that_cannot_be_written_leaves_the_last_one_and_no_rubbish(out):
    publish(out, "n1", writer("n1"), keep=3)

    def full(folder):
        writer("n2")(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(LedgerError, match=r"could not be published in .*: No space left on device"):
        publish(out, "n2", full, keep=3)

    assert (out / "current" / "worklist.csv").read_text() == "n1"
    assert [path.name for path in (out / "nights").iterdir()] == ["n1"]


def test_what_a_killed_run_left_is_cleared(out):
    for name in (".tmp-n0", ".old-n0"):
        (out / "nights" / name).mkdir()
    (out / ".tmp-current").symlink_to("nowhere")

    publish(out, "n1", writer("n1"), keep=1)

    assert sorted(path.name for path in out.iterdir()) == ["current", "nights"]
    assert [path.name for path in (out / "nights").iterdir()] == ["n1"]

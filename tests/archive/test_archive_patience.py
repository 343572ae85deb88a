"""Storage that hangs, fails or changes while headers are read: one file's row, and no more."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from mammosweep.archive import index, patience
from mammosweep.archive.patience import each_within, num_left_behind, within
from mammosweep.archive.source import FolderSource
from mammosweep.config import ArchiveConfig
from mammosweep.errors import HeaderError, Reason
from mammosweep.records import SLOTS, ImageStatus

IMPATIENT = ArchiveConfig(workers=1, read_deadline_s=0.2)
HUNG = "exam/RCC.dcm"


@pytest.fixture
def storage_answers():
    """What hung storage waits for; set at the end of the test, so that none of its threads stays."""
    answers = threading.Event()
    yield answers
    answers.set()
    _wait_until(lambda: num_left_behind() == 0)


@pytest.fixture
def archive(films, tmp_path):
    """One whole exam."""
    for laterality, view in SLOTS:
        films.save(films.mammogram(laterality, view), tmp_path / f"archive/exam/{laterality}{view}.dcm")
    return tmp_path / "archive"


def _wait_until(truth, seconds=10):
    deadline = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Spoilt:
    """A folder of which one file is opened in another way. As little of a source as there can be."""

    def __init__(self, folder, spoil, path=HUNG):
        self.inner = FolderSource(folder)
        self.url = self.inner.url
        self.spoil = spoil
        self.path = path
        self.num_opened = 0

    def entries(self):
        return self.inner.entries()

    def open(self, path):
        if path != self.path:
            return self.inner.open(path)
        self.num_opened += 1
        return self.spoil(Path(self.url) / path)


class Spy(io.BytesIO):
    """A file's bytes; does something when so much of it has been asked for."""

    def __init__(self, path, do, after=0):
        super().__init__(path.read_bytes())
        self.do = do
        self.after = after

    def read(self, size=-1):
        if self.tell() >= self.after:
            self.do()
        return super().read(size)


def failing(number):
    def fail():
        raise OSError(number, os.strerror(number))

    return fail


def check_only_one_lost(catalog, reason, said):
    found = {record.path: record.reason for record in catalog.records}
    assert found.pop(HUNG) is reason
    assert set(found.values()) == {None}
    (lost,) = (record for record in catalog.records if record.path == HUNG)
    assert (lost.status, said in lost.message) == (ImageStatus.REJECTED, True), lost.message
    (exam,) = catalog.exams()
    assert len(exam.views) == 3


def test_12_an_open_that_hangs_costs_its_file_after_a_second_try(archive, storage_answers):
    source = Spoilt(archive, lambda path: storage_answers.wait() and path.open("rb"))

    start = time.monotonic()
    catalog = index(source, config=IMPATIENT)

    check_only_one_lost(catalog, Reason.READ_TIMEOUT, "asked 2 times and did not answer within 0.2 s")
    assert source.num_opened == 2
    assert num_left_behind() == 2
    assert time.monotonic() - start < 5


def test_12_a_read_that_hangs_in_the_middle_costs_its_file(films, archive, storage_answers):
    films.save(films.mammogram("R", "CC", ImageComments="long" * 9000), archive / HUNG)
    source = Spoilt(archive, lambda path: Spy(path, storage_answers.wait, after=100))

    check_only_one_lost(index(source, config=IMPATIENT), Reason.READ_TIMEOUT, "did not answer")


def test_12_a_pipe_behind_a_source_that_does_not_look_costs_its_file(archive, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    source = Spoilt(archive, lambda _: (tmp_path / "pipe").open("rb"))

    catalog = index(source, config=IMPATIENT)

    check_only_one_lost(catalog, Reason.READ_TIMEOUT, "did not answer")
    os.close(os.open(tmp_path / "pipe", os.O_RDWR))  # lets those go that hang in its opening
    _wait_until(lambda: num_left_behind() == 0)


def test_12_slow_storage_that_answers_at_the_second_try_costs_nothing(archive, storage_answers):
    source = Spoilt(archive, lambda path: _hang_once(source, storage_answers, path))

    catalog = index(source, config=IMPATIENT)

    assert {record.reason for record in catalog.records} == {None}
    assert source.num_opened == 2


def _hang_once(source, answers, path):
    if source.num_opened == 1:
        answers.wait()
    return path.open("rb")


class HangingFileSystem(MemoryFileSystem):
    """Memory that does not give one file's bytes."""

    protocol = "hanging"
    store, pseudo_dirs = {}, [""]
    answers = threading.Event()

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.removeprefix("hanging://"))

    def _open(self, path, mode="rb", **how):
        if mode == "rb" and path.endswith(HUNG):
            self.answers.wait()
        return super()._open(path, mode, **how)


def test_12_storage_of_fsspec_that_hangs_costs_its_file(archive, storage_answers, monkeypatch):
    monkeypatch.setattr(HangingFileSystem, "answers", storage_answers)
    fsspec.register_implementation("hanging", HangingFileSystem, clobber=True)
    for path in archive.rglob("*.dcm"):
        HangingFileSystem().pipe(f"/films/{path.relative_to(archive)}", path.read_bytes())

    catalog = index("hanging://films", config=IMPATIENT)

    check_only_one_lost(catalog, Reason.READ_TIMEOUT, "did not answer")


def test_12_a_folder_that_hangs_when_it_is_listed_has_its_row(archive, storage_answers, monkeypatch):
    (archive / "hung").mkdir()
    scandir = os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda at: storage_answers.wait() if str(at).endswith("hung") else scandir(at)
    )

    catalog = index(archive, config=IMPATIENT)

    assert {r.path: r.reason for r in catalog.records if r.reason} == {"hung/": Reason.READ_TIMEOUT}
    assert len(catalog.records) == 5


def test_12_a_file_that_hangs_when_it_is_looked_at_has_its_row(archive, storage_answers, monkeypatch):
    lstat = os.lstat
    monkeypatch.setattr(
        os, "lstat", lambda at: storage_answers.wait() if str(at).endswith(HUNG) else lstat(at)
    )

    check_only_one_lost(index(archive, config=IMPATIENT), Reason.READ_TIMEOUT, "did not answer")


def test_12_what_hung_is_tried_again_by_the_next_index(archive, storage_answers):
    hung = index(Spoilt(archive, lambda _: storage_answers.wait()), config=IMPATIENT)

    again = index(archive, config=IMPATIENT, previous=hung)

    assert {record.reason for record in again.records} == {None}


def test_an_input_output_error_is_the_storages_and_not_the_files(films, archive):
    films.save(films.mammogram("R", "CC", ImageComments="long" * 9000), archive / HUNG)
    source = Spoilt(archive, lambda path: Spy(path, failing(errno.EIO), after=100))

    check_only_one_lost(
        index(source, config=IMPATIENT), Reason.READ_FAILED, "Input/output error; check the storage"
    )


def test_an_input_output_error_in_a_raster_image_is_the_storages_too(archive, tmp_path):
    from PIL import Image

    Image.new("L", (64, 48)).save(archive / "view.png")
    (tmp_path / "m.csv").write_text("path,exam_id,laterality,view,spacing_mm\nview.png,e1,L,CC,0.1\n")
    source = Spoilt(archive, lambda path: Spy(path, failing(errno.EIO), after=10), "view.png")

    catalog = index(source, config=IMPATIENT, manifest=tmp_path / "m.csv")

    assert {r.path: r.reason for r in catalog.records if r.reason} == {"view.png": Reason.READ_FAILED}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EACCES, Reason.PERMISSION_DENIED),
        (errno.ENOENT, Reason.FILE_MISSING),
        (errno.ETIMEDOUT, Reason.READ_TIMEOUT),
        (errno.ESTALE, Reason.READ_FAILED),
    ],
    ids=lambda value: str(value),
)
def test_what_the_storage_says_gives_the_reason(archive, number, reason):
    source = Spoilt(archive, lambda path: failing(number)())

    check_only_one_lost(index(source, config=IMPATIENT), reason, "")


def test_a_file_that_vanishes_between_its_listing_and_its_reading_is_missing(archive):
    source = Spoilt(archive, lambda path: path.unlink(missing_ok=True) or path.open("rb"))

    check_only_one_lost(index(source, config=IMPATIENT), Reason.FILE_MISSING, "no longer there")


@pytest.mark.parametrize("appended", [b"\0\0", b"\0" * 100_000], ids=["little", "much"])
def test_10_a_file_that_grows_while_it_is_read_has_changed(archive, appended):
    def grow(path):
        file = path.open("rb", buffering=0)
        with path.open("ab") as end:
            end.write(appended)
        return io.BufferedReader(file)

    check_only_one_lost(
        index(Spoilt(archive, grow), config=IMPATIENT), Reason.FILE_CHANGED, "changed while it was read"
    )


def test_10_a_file_that_shrinks_while_it_is_read_has_changed_and_is_not_called_torn(archive):
    def shrink(path):
        os.truncate(path, 700)
        return path.open("rb")

    check_only_one_lost(
        index(Spoilt(archive, shrink), config=IMPATIENT), Reason.FILE_CHANGED, "changed while it was read"
    )


def test_12_a_file_that_hangs_in_a_batch_costs_none_of_its_neighbours(storage_answers):
    def work(number):
        if number in (2, 5):
            storage_answers.wait()
        return number

    results = each_within(0.1, work, range(7))

    assert [type(result) for result in results] == [int, int, HeaderError, int, int, HeaderError, int]
    assert [results[i] for i in (0, 1, 3, 4, 6)] == [0, 1, 3, 4, 6]


def test_a_batch_may_take_longer_than_one_of_its_files_may():
    results = each_within(0.5, lambda number: time.sleep(0.2) or number, range(5))

    assert results == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("tries", [1, 2, 3])
def test_a_file_is_asked_for_so_many_times(storage_answers, tries):
    asked = []

    with pytest.raises(HeaderError):
        within(0.05, lambda: asked.append(1) or storage_answers.wait(), tries=tries)

    assert len(asked) == tries


def test_a_helper_that_is_left_behind_begins_with_no_further_file(storage_answers):
    begun = []

    def work(number):
        begun.append(number)
        if number == 0:
            storage_answers.wait()

    each_within(0.05, work, range(3), tries=1)
    storage_answers.set()
    _wait_until(lambda: num_left_behind() == 0)

    assert begun == [0, 1, 2]


@given(st.integers())
def test_work_that_answers_is_given_back_in_order(number):
    assert [within(5.0, lambda: number), within(5.0, lambda: number + 1)] == [number, number + 1]


def test_what_work_raises_is_raised_at_its_first_try():
    tried = []

    def fail():
        tried.append(1)
        raise ValueError("so it is")

    with pytest.raises(ValueError, match="so it is"):
        within(5.0, fail)
    assert tried == [1]
    assert within(5.0, lambda: 3) == 3


def test_a_late_answer_is_not_taken_for_the_next_ones(storage_answers):
    with pytest.raises(HeaderError):
        within(0.01, lambda: storage_answers.wait() and "late", tries=1)

    assert within(5.0, lambda: "next") == "next"
    storage_answers.set()
    assert within(5.0, lambda: "after") == "after"


def test_one_thread_serves_many_calls_and_ends_with_its_caller():
    served, before = set(), threading.active_count()

    def call_often():
        for _ in range(20):
            within(5.0, lambda: served.add(threading.get_ident()))

    caller = threading.Thread(target=call_often)
    caller.start()
    caller.join()

    assert len(served) == 1
    _wait_until(lambda: threading.active_count() <= before)


def test_no_more_reads_than_a_cap_may_hang_and_the_rest_is_said_at_once(storage_answers, monkeypatch):
    monkeypatch.setattr(patience, "MAX_LEFT_BEHIND", 2)
    with pytest.raises(HeaderError):
        within(0.01, storage_answers.wait)

    start = time.monotonic()
    with pytest.raises(HeaderError, match="not read: 2 other reads hang") as caught:
        within(60.0, lambda: None)

    assert caught.value.reason is Reason.READ_TIMEOUT
    assert time.monotonic() - start < 5
    storage_answers.set()
    _wait_until(lambda: num_left_behind() == 0)
    assert within(5.0, lambda: "alive") == "alive"


def test_a_process_ends_though_reads_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    program = (
        "from mammosweep.archive.patience import within\n"
        "from mammosweep.errors import HeaderError\n"
        "try:\n"
        f"    within(0.1, lambda: open({str(tmp_path / 'pipe')!r}, 'rb'))\n"
        "except HeaderError as error:\n"
        "    print(error.reason)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert (done.returncode, done.stdout, done.stderr) == (0, "read_timeout\n", "")


def test_12_header_processes_end_though_reads_hang_in_them(films, tmp_path):
    for number in range(201):
        films.save(films.mammogram(study=f"1.2.{number}", number=number), tmp_path / f"many/{number}.dcm")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "trusting.py").write_text(
        "from mammosweep.archive.source import FolderSource\n"
        "class TrustingSource(FolderSource):\n"
        "    def open(self, path):\n"
        f"        return open({str(tmp_path / 'pipe')!r}, 'rb') if path == '7.dcm' else super().open(path)\n"
    )
    program = (
        "from pathlib import Path\n"
        "from trusting import TrustingSource\n"
        "from mammosweep.archive import index, parallel\n"
        "from mammosweep.config import ArchiveConfig\n"
        "parallel.SECONDS_BEFORE_PROCESSES = 0\n"
        f"source = TrustingSource(Path({str(tmp_path / 'many')!r}))\n"
        "records = index(source, config=ArchiveConfig(workers=2, read_deadline_s=0.5)).records\n"
        "print([(record.path, str(record.reason)) for record in records if record.reason])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )

    assert (done.stdout, done.stderr) == ("[('7.dcm', 'read_timeout')]\n", "")


def test_a_forked_process_has_a_helper_of_its_own():
    program = (
        "import os\n"
        "from mammosweep.archive.patience import within\n"
        "within(5.0, lambda: 1)\n"
        "child = os.fork()\n"
        "value = within(5.0, lambda: 7)\n"
        "os._exit(value) if child == 0 else print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=30
    )

    assert done.stdout == "7\n"

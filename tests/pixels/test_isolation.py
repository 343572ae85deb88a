"""A worker that is lost costs the image it was at, named, and nothing else."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread, Timer

import numpy as np
import pytest

from mammosweep.archive.source import open_source
from mammosweep.config import PixelsConfig
from mammosweep.errors import DecodeError, ImageError, Reason
from mammosweep.phantom import PhantomConfig, Syntax, make_exam, write_exam
from mammosweep.pixels.decode import read_frame
from mammosweep.pixels.reader import FrameReader

ONE_WORKER = {"workers": 1}


@pytest.fixture(scope="module")
def exam():
    return make_exam(7, 0, PhantomConfig(spacing_mm=0.2))


@pytest.fixture
def archive(exam, tmp_path):
    write_exam(exam, tmp_path, syntax=Syntax.JPEG2000)
    return open_source(tmp_path)


@pytest.fixture
def views(archive, tmp_path, views_of):
    return views_of(tmp_path)


def seconds_of_life(pid):
    """CPU seconds that a process has used; it is at work once they grow."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def num_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def when_it_works(reader, do):
    """Do something to a reader's only worker in the middle of its next image."""
    (worker,) = reader.workers
    pid, before = worker.pid, seconds_of_life(worker.pid)

    def wait_and_do():
        while seconds_of_life(pid) < before + 0.03:
            time.sleep(0.001)
        do(pid)

    thread = Thread(target=wait_and_do)
    thread.start()
    return thread


def test_frames_come_back_as_they_are_decoded_in_process(archive, views, tmp_path):
    with FrameReader(PixelsConfig(**ONE_WORKER), 0.4) as reader:
        pending = [reader.request(archive, view) for view in views]
        for view, one in zip(views, pending, strict=True):
            data = (tmp_path / view.path).read_bytes()
            expected = read_frame(data, view, PixelsConfig(), grid_mm=0.4)
            with one as frame:
                np.testing.assert_array_equal(frame.stored, expected.stored)
                np.testing.assert_array_equal(frame.table, expected.table)
                assert (frame.reduce, frame.voi, frame.orientation, frame.size_px, frame.flags) == (
                    expected.reduce,
                    expected.voi,
                    expected.orientation,
                    expected.size_px,
                    expected.flags,
                )


def test_more_views_than_slots_all_come_and_in_order(archive, views, exam):
    asked = views * 5
    with FrameReader(PixelsConfig(workers=2), None) as reader:
        pending = [reader.request(archive, view) for view in asked]
        for index, one in enumerate(pending):
            with one as frame:
                np.testing.assert_array_equal(frame.stored, exam.views[index % 4].pixels)


def test_pixels_can_be_decoded_in_this_process_too(archive, views, exam):
    with (
        FrameReader(PixelsConfig(isolate=False, workers=1)) as reader,
        reader.request(archive, views[0]) as frame,
    ):
        np.testing.assert_array_equal(frame.stored, exam.views[0].pixels)
        assert reader.workers[0].pid is None


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT], ids=lambda s: s.name)
def test_a_worker_that_is_lost_once_costs_nothing(how, archive, views, exam):
    with FrameReader(PixelsConfig(**ONE_WORKER)) as reader:
        with reader.request(archive, views[0]):
            pass
        killer = when_it_works(reader, lambda pid: os.kill(pid, how))
        with reader.request(archive, views[1]) as frame:
            np.testing.assert_array_equal(frame.stored, exam.views[1].pixels)
        killer.join()


def test_a_worker_that_is_lost_before_it_is_ready_is_started_again(archive, views, exam):
    with FrameReader(PixelsConfig(**ONE_WORKER)) as reader:
        (worker,) = reader.workers
        asked = reader.request(archive, views[0])
        while (early := worker.pid) is None:
            time.sleep(0.001)
        os.kill(early, signal.SIGKILL)
        with asked as frame:
            np.testing.assert_array_equal(frame.stored, exam.views[0].pixels)

        assert worker.pid != early


def at_every_start(reader, do, times):
    """Do something to a reader's only worker as soon as it has its image, and to those that replace it."""
    (worker,) = reader.workers
    ask = worker._ask

    def asked(*job):
        nonlocal times
        if times > 0:
            times -= 1
            worker._connected()
            do(worker.pid)
        return ask(*job)

    worker._ask = asked


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL], ids=lambda s: s.name)
def test_an_image_that_costs_two_workers_is_refused_and_the_signal_named(how, archive, views, exam):
    with FrameReader(PixelsConfig(**ONE_WORKER)) as reader:
        # Stopped first, so that the message reaches a living process, as it does where an image is to blame.
        at_every_start(reader, lambda pid: stop_then(pid, how), times=2)
        lost, following = reader.request(archive, views[1]), reader.request(archive, views[2])
        with pytest.raises(DecodeError, match=f"{how.name}, and so it was when tried again") as caught, lost:
            pass
        with following as frame:
            np.testing.assert_array_equal(frame.stored, exam.views[2].pixels)

    assert caught.value.reason is Reason.DECODER_CRASHED


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_what_asks_a_whole_group_to_end_is_the_parents_to_answer(how, archive, views, exam):
    with FrameReader(PixelsConfig(**ONE_WORKER)) as reader:
        with reader.request(archive, views[0]):
            pass
        killer = when_it_works(reader, lambda pid: os.kill(pid, how))
        with reader.request(archive, views[1]) as frame:
            np.testing.assert_array_equal(frame.stored, exam.views[1].pixels)
        killer.join()


def stop_then(pid, how):
    os.kill(pid, signal.SIGSTOP)
    Timer(0.05, os.kill, (pid, how)).start()
    if how is not signal.SIGKILL:
        Timer(0.1, os.kill, (pid, signal.SIGCONT)).start()


def test_a_hang_is_ended_at_the_deadline_and_the_image_tried_again(archive, views, exam):
    with FrameReader(PixelsConfig(deadline_s=1.0, **ONE_WORKER)) as reader:
        at_every_start(reader, lambda pid: os.kill(pid, signal.SIGSTOP), times=3)
        lost, following = reader.request(archive, views[1]), reader.request(archive, views[2])
        with pytest.raises(DecodeError, match=r"longer than 1 s \(pixels.deadline_s\)") as caught, lost:
            pass
        with following as frame:
            np.testing.assert_array_equal(frame.stored, exam.views[2].pixels)

    assert caught.value.reason is Reason.DECODE_LIMIT


def test_a_balloon_is_stopped_at_the_limit(archive, views):
    small = PixelsConfig(memory_mib=4, **ONE_WORKER)
    with (
        FrameReader(small) as reader,
        pytest.raises(ImageError) as caught,
        reader.request(archive, views[0]),
    ):
        pass

    assert caught.value.reason in (Reason.DECODE_LIMIT, Reason.DECODE_FAILED, Reason.DECODER_CRASHED)


def test_a_file_that_vanished_or_changed_since_it_was_indexed_is_refused(archive, views, tmp_path, exam):
    (tmp_path / views[0].path).unlink()
    with (tmp_path / views[1].path).open("ab") as file:
        file.write(b"more")
    with FrameReader(PixelsConfig(**ONE_WORKER)) as reader:
        reasons = {}
        pending = [reader.request(archive, view) for view in views]
        for view, one in zip(views, pending, strict=True):
            try:
                with one:
                    reasons[view.path] = None
            except ImageError as error:
                reasons[view.path] = error.reason

    expected = [Reason.FILE_MISSING, Reason.FILE_CHANGED, None, None]
    assert [reasons[view.path] for view in views] == expected


class HungStorage:
    """Storage that answers for all files but one."""

    url = "hung"

    def __init__(self, source, path):
        self.source, self.path, self.asked, self.answers = source, path, 0, Event()

    def entries(self):
        return self.source.entries()

    def open(self, path):
        if path == self.path:
            self.asked += 1
            self.answers.wait()
        return self.source.open(path)


def test_12_a_read_that_hangs_is_tried_twice_and_costs_one_image(archive, views, exam):
    hung = HungStorage(archive, views[0].path)
    with FrameReader(PixelsConfig(read_deadline_s=0.3, **ONE_WORKER)) as reader:
        pending = [reader.request(hung, view) for view in views]
        with pytest.raises(ImageError, match=r"did not answer within 0\.3 s") as caught, pending[0]:
            pass
        for index, one in enumerate(pending[1:], start=1):
            with one as frame:
                np.testing.assert_array_equal(frame.stored, exam.views[index].pixels)
        hung.answers.set()

    assert (caught.value.reason, hung.asked) == (Reason.READ_TIMEOUT, 2)


def test_a_worker_leaves_no_core_file_and_knows_no_path(archive, views):
    with FrameReader(PixelsConfig(**ONE_WORKER)) as reader, reader.request(archive, views[0]):
        proc = Path(f"/proc/{reader.workers[0].pid}")
        limits = (proc / "limits").read_text()
        opened = [str(link.readlink()) for link in (proc / "fd").iterdir()]

    assert any(line.split()[:6][-2:] == ["0", "0"] for line in limits.splitlines() if "core file" in line)
    assert not [path for path in opened if path.endswith(".dcm")]


def test_closing_ends_every_process_and_gives_descriptors_back(archive, views):
    before = num_descriptors()
    reader = FrameReader(PixelsConfig(workers=2))
    pending = [reader.request(archive, view) for view in views]
    with pending[0]:
        pids = [worker.pid for worker in reader.workers if worker.pid is not None]
    reader.close()
    del pending

    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    with pytest.raises(RuntimeError, match="closed"):
        reader.request(archive, views[0])
    del reader
    end = time.monotonic() + 10  # threads that were reading end by themselves
    while num_descriptors() > before and time.monotonic() < end:
        gc.collect()  # a frame that failed is kept by its exception's traceback
        time.sleep(0.02)
    assert num_descriptors() <= before


DYING_PARENT = """
import os, sys
from pathlib import Path
from mammosweep.archive.source import open_source
from mammosweep.archive import index
from mammosweep.config import ArchiveConfig, PixelsConfig
from mammosweep.pixels.reader import FrameReader
source = Path(sys.argv[1])
view = index(source, config=ArchiveConfig(workers=1)).exams()[0].views[0]
reader = FrameReader(PixelsConfig(workers=1))
with reader.request(open_source(source), view):
    print(reader.workers[0].pid, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_worker_ends_when_its_parent_dies(exam, tmp_path):
    write_exam(exam, tmp_path, syntax=Syntax.EXPLICIT)

    parent = subprocess.run(
        [sys.executable, "-c", DYING_PARENT, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert parent.returncode == -signal.SIGKILL, parent.stderr
    worker = Path(f"/proc/{int(parent.stdout)}")
    end = time.monotonic() + 10
    while worker.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not worker.exists()

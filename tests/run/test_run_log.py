"""What a run's log says, and what it must never say."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import pytest

from mammosweep.errors import SourceError
from mammosweep.report.html import slug
from mammosweep.run.events import RunFailed
from mammosweep.run.log import Log
from mammosweep.run.log_format import LogFormat
from mammosweep.run.select import parse_selection
from mammosweep.run.stop import Stop, SweepStopped
from mammosweep.run.terms import Terms
from mammosweep.run.watching import watching


def logged(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def sweep_logged(tiny, out, source, form=LogFormat.JSON, progress=None, stop=None, where=None, **screener):
    """A sweep as the command line has it, watched."""
    with watching(form, None) as watch:
        selection = parse_selection(where)
        terms = Terms(tell=watch.tell, stop=stop or Stop(), selection=selection)
        return tiny.tiny_sweep(out, source, terms=terms, progress=progress, **screener)


def test_a_run_is_told_from_its_start_to_its_end(tiny, shared_archive, tmp_path, capsys):
    sweep_logged(tiny, tmp_path, shared_archive, not_scored=[".12"])

    lines = logged(capsys)
    assert [line["event"] for line in lines] == [
        *("run-started", "chunk-committed", "exam-not-scored", "chunk-committed", "run-finished"),
    ]
    start, first, not_scored, second, end = lines
    assert (start["exams"], start["done"], start["files"], start["bundle"]) == (4, 0, 17, "tiny 1")
    assert (first["exams"], first["scored"], first["views"], second["not_scored"]) == (2, 2, 8, 1)
    assert (not_scored["level"], not_scored["reason"]) == ("warning", "no_usable_view")
    assert not_scored["exam"] == slug("1.2.826.0.1.3680043.8.498.12")
    assert (tmp_path / "pages" / f"{not_scored['exam']}.html").is_file()
    assert end["counts"]["exams"]["seen"] == 4
    assert len({line["run_id"] for line in lines}) == 1


def test_every_line_has_its_time_in_utc(tiny, shared_archive, tmp_path, capsys):
    before = datetime.now(UTC)
    sweep_logged(tiny, tmp_path, shared_archive)

    times = [datetime.fromisoformat(line["time"]) for line in logged(capsys)]
    assert all(time.utcoffset().total_seconds() == 0 for time in times)
    assert before.replace(microsecond=0) <= times[0]
    assert times == sorted(times)


@pytest.mark.parametrize("form", LogFormat)
def test_no_name_id_uid_or_path_is_written(tiny, archive, tmp_path, capsys, form):
    (archive / "Surname^Secret PATIENT-99").mkdir()
    (archive / "Surname^Secret PATIENT-99" / "1.2.826.0.1.dcm").write_bytes(b"torn")
    tiny.write_view(archive / "Surname^Secret", 20, "L CC").write_bytes(b"")
    where = "exam_id != 1.2.826.0.1.3680043.8.498.13 and not path ~ '*Secret'"

    sweep_logged(tiny, tmp_path / "a", archive, form, not_scored=[".12"])
    sweep_logged(tiny, tmp_path / "b", archive, form, not_scored=[".12"], where=where)
    with pytest.raises(FileNotFoundError):
        sweep_logged(tiny, tmp_path / "c", archive, form, progress=_removing(archive))

    text = capsys.readouterr().err
    assert text.count("exam-not-scored") == 2
    assert text.count("run-failed") == 1
    assert "FileNotFoundError" in text
    assert not re.search(r"Secret|PATIENT|1\.2\.826|\.dcm|exam1\d/", text)


def _removing(archive):
    def progress(tally):
        if tally.done_now == 1:
            for path in archive.glob("exam1*/*.dcm"):
                path.unlink()

    return progress


def test_a_run_that_is_stopped_says_that_it_is_resumable(tiny, shared_archive, tmp_path, capsys):
    stop = Stop()

    def ask(tally):
        if tally.done_now:
            stop.ask("SIGTERM")

    with pytest.raises(SweepStopped):
        sweep_logged(tiny, tmp_path, shared_archive, progress=ask, stop=stop)

    last = logged(capsys)[-1]
    assert (last["event"], last["why"], last["done"], last["exams"]) == ("run-stopped", "SIGTERM", 2, 4)
    assert last["resumable"] is True


def test_what_is_wrong_with_the_source_is_an_error_line(tiny, tmp_path, capsys):
    with pytest.raises(SourceError):
        sweep_logged(tiny, tmp_path / "out", tmp_path / "nowhere")

    (line,) = logged(capsys)
    assert (line["level"], line["event"], line["error"]) == ("error", "run-failed", "SourceError")
    assert "does not exist" in line["message"]


def test_a_finished_sweep_says_that_nothing_is_new(tiny, shared_archive, finished, capsys):
    sweep_logged(tiny, finished, shared_archive)

    (line,) = logged(capsys)
    assert (line["event"], line["nothing_new"]) == ("run-finished", True)


def test_text_is_one_line_for_each_event(tiny, shared_archive, tmp_path, capsys):
    sweep_logged(tiny, tmp_path, shared_archive, LogFormat.TEXT, not_scored=[".12"])

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 5
    assert re.match(r"2\d{3}-\d\d-\d\dT[\d:.]+\+00:00 info    run-started files=17 exams=4 done=0", lines[0])
    assert " warning exam-not-scored exam=" in lines[2]
    assert " counts.exams.seen=4 counts.exams.scored=3 " in lines[4]


def test_what_stands_in_a_value_cannot_begin_a_line():
    stream = io.StringIO()
    watch = Log(LogFormat.TEXT, stream)
    watch(RunFailed("SourceError", "a\nrun-finished all is well"))

    assert stream.getvalue().count("\n") == 1

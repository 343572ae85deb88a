"""A night, and what can come in its way: the last worklist that was published stays."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from mammosweep.errors import ConfigError, LedgerError, SourceError
from mammosweep.run import nightly
from mammosweep.run.nightly import NightSettings, prepare_night

FIRST = datetime(2024, 1, 3, 5, tzinfo=UTC)  # the morning after the tiny archive's study date


@pytest.fixture
def night(tiny, archive, tmp_path):
    """Makes the night so many days after the first: night(1)."""

    def make(day, calls=None, source=archive, not_scored=(), **settings):
        chosen = NightSettings(state=tmp_path / "state", out=tmp_path / "out", **settings)
        with prepare_night(
            source,
            chosen,
            config=tiny.settings(),
            now=FIRST + timedelta(days=day),
            load=lambda config, bundle: tiny.tiny_screener(calls=calls, not_scored=not_scored),
        ) as ready:
            ready.sweep()
            ready.check_source()
            return ready.publish()

    return make


def published(tmp_path):
    return json.loads((tmp_path / "out" / "current" / "worklist.json").read_text())


def listed(tmp_path):
    """The worklist's exams by the end of their id, with their revisions."""
    return {row["exam_id"].rsplit(".", 1)[1]: row["revision"] for row in published(tmp_path)["exams"]}


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_first_night_lists_what_was_made_the_day_before(night, tmp_path):
    night(0)

    assert listed(tmp_path) == {"10": 1, "11": 1, "12": 1, "13": 1}
    assert {row["arrived_at"] for row in published(tmp_path)["exams"]} == {None}


def test_an_archives_stock_is_not_a_mornings_work(night, tmp_path):
    summary = night(40)

    assert listed(tmp_path) == {}
    assert (summary.listed, summary.counts.exams_seen) == (0, 4)
    night(41, days=90)
    assert len(listed(tmp_path)) == 4


def test_the_next_night_lists_what_is_new_and_an_old_date_does_not_hide_it(night, tiny, archive, tmp_path):
    night(40)
    tiny.write_view(archive / "exam20", 20, "L CC")

    night(41)

    assert listed(tmp_path) == {"20": 1}
    (row,) = published(tmp_path)["exams"]
    assert row["arrived_at"] == "2024-02-13T05:00:00+00:00"


def test_a_late_image_makes_a_new_revision_and_the_way_back_another(night, archive, tmp_path):
    late, aside = archive / "exam11" / "RMLO.dcm", tmp_path / "aside"
    shutil.move(late, aside)
    night(0)
    shutil.copy2(aside, late)
    night(1)
    second = listed(tmp_path)
    late.unlink()
    night(2)

    assert (second, listed(tmp_path)) == ({"11": 2}, {"11": 3})
    (row,) = published(tmp_path)["exams"]
    assert row["revised_at"] == "2024-01-05T05:00:00+00:00"
    assert row["flags"] == ["missing_views"]


def test_a_night_without_anything_new_is_published_without_screening(night, tmp_path):
    night(0)
    calls = []

    summary = night(1, calls=calls)

    assert (calls, summary.listed, listed(tmp_path)) == ([], 0, {})
    assert published(tmp_path)["night"] == "2024-01-04"


def test_a_night_made_again_on_its_date_loses_nothing(night, tiny, archive, tmp_path):
    night(0)
    tiny.write_view(archive / "exam20", 20, "L CC")
    night(1)
    tiny.write_view(archive / "exam21", 21, "L CC")

    night(1.1)

    assert listed(tmp_path) == {"20": 1, "21": 1}


def test_nights_that_were_missed_are_made_up_for(night, tiny, archive, tmp_path, monkeypatch):
    night(0)
    tiny.write_view(archive / "exam20", 20, "L CC")
    with monkeypatch.context() as patch:
        patch.setattr(nightly, "publish", _no_space)
        with pytest.raises(OSError, match="No space"):
            night(1)
    unchanged = published(tmp_path)["night"]
    tiny.write_view(archive / "exam21", 21, "L CC")

    night(5)

    assert unchanged == "2024-01-03"
    assert listed(tmp_path) == {"20": 1, "21": 1}


def _no_space(*_):
    raise OSError(28, "No space left on device")


def test_days_reach_back_over_a_weekend(night, tiny, archive, tmp_path):
    for day in (0, 1, 2, 3):
        tiny.write_view(archive / f"exam2{day}", 20 + day, "L CC")
        night(day, days=2)

    assert listed(tmp_path) == {"22": 1, "23": 1}


def write_read(path, *lines):
    path.write_text("exam_id,revision\n" + "".join(f"1.2.826.0.1.3680043.8.498.{line}\n" for line in lines))
    return path


def test_an_exam_that_was_read_comes_back_with_a_late_image(night, tiny, archive, tmp_path):
    read = write_read(tmp_path / "read.csv", "10,", "11,", "12,1")
    night(0)
    night(1, days=9, read=read)
    before = listed(tmp_path)
    for exam in (10, 12):
        tiny.write_view(archive / f"exam{exam}", exam, "L CC", gray=7)
    night(2, days=9, read=read)
    revised = listed(tmp_path)
    write_read(read, "10,2", "11,", "12,1")

    summary = night(3, days=9, read=read)

    assert (before, revised) == ({"13": 1}, {"10": 2, "12": 2, "13": 1})
    assert listed(tmp_path) == {"12": 2, "13": 1}
    assert summary.fates == {"listed": 2, "read": 2, "prior": 0, "gone": 0}


def test_what_is_no_longer_marked_as_read_is_listed_again(night, tmp_path):
    night(0, read=write_read(tmp_path / "read.csv", "10,", "11,"))
    once = listed(tmp_path)

    night(0, read=write_read(tmp_path / "read.csv", "11,"))

    assert (set(once), set(listed(tmp_path))) == ({"12", "13"}, {"10", "12", "13"})


def test_the_published_csv_serves_as_the_list_of_exams_read(night, tmp_path):
    night(0)
    shutil.copy(tmp_path / "out" / "current" / "worklist.csv", tmp_path / "read.csv")

    night(0, read=tmp_path / "read.csv")

    assert listed(tmp_path) == {}


def test_an_exam_that_left_is_neither_listed_nor_forgotten(night, archive, tmp_path):
    night(0)
    shutil.rmtree(archive / "exam11")

    summary = night(1, days=9)

    assert set(listed(tmp_path)) == {"10", "12", "13"}
    assert (summary.left, summary.fates["gone"]) == (1, 1)
    assert published(tmp_path)["counts"]["left_source"] == 1
    assert "1 exam left the source tonight" in (tmp_path / "out/current/worklist.html").read_text()


def test_unassessed_exams_stand_on_top_with_their_reason(night, tmp_path):
    night(0, not_scored=(".12",))

    with (tmp_path / "out" / "current" / "worklist.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["exam_id"].endswith(".12")
    assert (rows[0]["status"], rows[0]["reason"], rows[0]["score"]) == ("unassessed", "no_usable_view", "")
    scores = [float(row["score"]) for row in rows[1:]]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3


def test_a_source_that_is_gone_leaves_the_last_worklist(night, archive, tmp_path):
    night(0)
    before = contents(tmp_path / "out")
    archive.rename(tmp_path / "unmounted")

    with pytest.raises(SourceError, match="does not exist"):
        night(1)

    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("stray", [None, "lost+found.txt"], ids=["nothing there", "no exam there"])
def test_a_mount_point_without_its_storage_is_no_empty_archive(night, archive, tmp_path, stray):
    night(0)
    before = contents(tmp_path / "out")
    archive.rename(tmp_path / "unmounted")
    archive.mkdir()
    if stray:
        (archive / stray).write_text("left behind")

    with pytest.raises(SourceError, match=r"4 exams the night before; see whether its storage is mounted"):
        night(1)

    assert contents(tmp_path / "out") == before
    archive.rename(tmp_path / "emptied")
    (tmp_path / "unmounted").rename(archive)
    calls = []
    summary = night(2, calls=calls)
    assert (calls, summary.left, listed(tmp_path)) == ([], 0, {})


def test_of_two_nights_at_once_the_second_refuses(night, tiny, archive, tmp_path):
    night(0)
    before = contents(tmp_path / "out")
    chosen = NightSettings(state=tmp_path / "state", out=tmp_path / "out")
    held = prepare_night(archive, chosen, config=tiny.settings(), load=lambda *_: tiny.tiny_screener())

    with held, pytest.raises(LedgerError, match="another night is being made"):
        night(1)

    assert contents(tmp_path / "out") == before


def test_an_interrupted_night_keeps_the_last_worklist_and_is_continued(night, tiny, archive, tmp_path):
    night(0)
    for number in range(20, 26):
        tiny.write_view(archive / f"exam{number}", number, "L CC")
    seen = []

    class Interrupting(list):
        def append(self, exam_id):
            if len(seen) == 4:
                raise KeyboardInterrupt
            seen.append(exam_id)

    with pytest.raises(KeyboardInterrupt):
        night(1, calls=Interrupting())
    unchanged, calls = published(tmp_path)["night"], []

    night(1, calls=calls)

    assert unchanged == "2024-01-03"
    assert 0 < len(calls) < 6
    assert set(listed(tmp_path)) == {"20", "21", "22", "23", "24", "25"}


def test_old_nights_are_removed_but_never_the_current_one(night, tmp_path):
    for day in range(5):
        night(day, keep=2)

    names = sorted(path.name for path in (tmp_path / "out" / "nights").iterdir())
    assert names == ["2024-01-06T050000", "2024-01-07T050000"]
    assert (tmp_path / "out" / "current").resolve().name == names[1]


def test_pages_of_a_night_stay_when_the_exam_is_revised(night, tiny, archive, tmp_path):
    night(0)
    (page,) = [row["link"] for row in published(tmp_path)["exams"] if row["exam_id"].endswith(".10")]
    first = (tmp_path / "out" / "current").resolve() / page
    before = first.read_text()
    tiny.write_view(archive / "exam10", 10, "L CC", gray=7)

    night(1)

    assert first.read_text() == before
    assert (tmp_path / "out" / "current" / page).read_text() != before


def test_another_bundle_scores_the_history_anew_and_makes_no_revision(night, tiny, archive, tmp_path):
    night(0)
    chosen = NightSettings(state=tmp_path / "state", out=tmp_path / "out", days=9)
    with prepare_night(
        archive,
        chosen,
        config=tiny.settings(),
        now=FIRST + timedelta(days=1),
        load=lambda *_: tiny.tiny_screener(bundle="c" * 64),
    ) as ready:
        ready.sweep()
        ready.publish()

    assert listed(tmp_path) == {"10": 1, "11": 1, "12": 1, "13": 1}
    assert {row["bundle_digest"] for row in published(tmp_path)["exams"]} == {"c" * 64}


UNUSABLE = {
    "days": ({"days": 0}, "--days is 0"),
    "keep": ({"keep": 0}, "--keep is 0"),
    "read-missing": ({"read": "no.csv"}, "no.csv cannot be read: No such file"),
    "read-column": ({"read": "study\n1\n"}, "has no column exam_id"),
    "read-revision": ({"read": "exam_id,revision\n1.2,two\n"}, "line 2: the revision is no whole number"),
    "read-binary": ({"read": b"\xff\xfe\x00"}, "it is no CSV in UTF-8"),
}


@pytest.mark.parametrize(("settings", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_said_before_work_begins(night, tmp_path, settings, said):
    if "read" in settings and settings["read"] != "no.csv":
        text = settings["read"]
        (tmp_path / "read.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        settings = {"read": tmp_path / "read.csv"}
    elif "read" in settings:
        settings = {"read": tmp_path / "no.csv"}

    with pytest.raises(ConfigError, match=said):
        night(0, **settings)

    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("state", "out"),
    [("archive/state", "out"), ("state", "archive/out"), ("state", "state/out"), ("both", "both")],
)
def test_folders_must_lie_apart(tiny, archive, tmp_path, state, out):
    settings = NightSettings(state=tmp_path / state, out=tmp_path / out)

    with pytest.raises(ConfigError, match="lie in each other"), prepare_night(archive, settings):
        pass


def test_a_folder_named_current_is_not_replaced(night, tmp_path):
    (tmp_path / "out" / "current").mkdir(parents=True)

    with pytest.raises(ConfigError, match="is no link that nightly made"):
        night(0)


def test_damaged_records_are_said_and_the_last_worklist_stays(night, tmp_path):
    night(0)
    before = contents(tmp_path / "out")
    (tmp_path / "state" / "nights.sqlite").write_bytes(b"no database at all" * 100)

    with pytest.raises(LedgerError, match=r"nights\.sqlite cannot be used"):
        night(1)

    assert contents(tmp_path / "out") == before


def test_records_of_another_version_are_refused(night, tmp_path):
    night(0)
    connection = sqlite3.connect(tmp_path / "state" / "nights.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(LedgerError, match="schema version 99; expected 1"):
        night(1)

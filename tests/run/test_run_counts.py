"""Nothing that is seen is dropped, or the run fails loudly."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from mammosweep.errors import LedgerError
from mammosweep.run.counts import Counts, Reckoning

IMAGES = pa.table(
    {
        "path": ["a", "b", "c", "d"],
        "status": ["used", "used", "set_aside", "rejected"],
        "reason": [None, None, "extra_view", "not_dicom"],
    }
)
EXAMS = pa.table(
    {"exam_id": ["A", "B"], "status": ["scored", "not_scored"], "reason": [None, "no_usable_view"]}
)


def counts_of(images, exams, **seen):
    reckoning = Reckoning()
    reckoning.add(images, exams, **seen)
    return reckoning.counts()


def test_files_and_exams_are_counted_by_status_and_reason():
    counts = counts_of(IMAGES, EXAMS, paths="abcd", exam_ids="AB")

    assert counts.files == {"used": 2, "set_aside": 1, "rejected": 1}
    assert counts.exams == {"scored": 1, "flagged": 0, "not_scored": 1}
    assert counts.file_reasons == {"rejected": {"not_dicom": 1}, "set_aside": {"extra_view": 1}}
    assert counts.exam_reasons == {"not_scored": {"no_usable_view": 1}}
    assert counts.not_scored == 1


@pytest.mark.parametrize(
    ("paths", "exam_ids", "said"),
    [
        ("abcde", "AB", "5 files were seen, the tables hold 4 rows, 1 files have none"),
        ("abc", "AB", "3 files were seen, the tables hold 4 rows, 0 files have none and 1 rows are surplus"),
        ("abcx", "AB", "4 files were seen, the tables hold 4 rows, 1 files have none and 1 rows are surplus"),
        ("abcdd", "AB", "5 files were seen"),
        ("abcd", "ABC", "3 exams were seen, the tables hold 2 rows"),
        ("abcd", "A", "1 exams were seen, the tables hold 2 rows"),
    ],
    ids=["file-lost", "file-invented", "file-exchanged", "file-twice", "exam-lost", "exam-invented"],
)
def test_what_does_not_add_up_fails_loudly(paths, exam_ids, said):
    with pytest.raises(LedgerError, match=said):
        counts_of(IMAGES, EXAMS, paths=paths, exam_ids=exam_ids)


def test_a_row_twice_fails_loudly_though_the_file_was_seen_twice():
    doubled = pa.concat_tables([EXAMS, EXAMS])

    with pytest.raises(LedgerError, match="do not add up"):
        counts_of(IMAGES, doubled, paths="abcd", exam_ids="ABAB")


def test_counts_come_back_from_json_as_they_went_and_in_their_order():
    counts = counts_of(IMAGES, EXAMS, paths="abcd", exam_ids="AB")

    again = Counts.from_json(json.loads(json.dumps(counts.as_json(), sort_keys=True)))

    assert again == counts
    assert list(again.files) == ["used", "set_aside", "rejected"]
    assert list(again.exams) == ["scored", "flagged", "not_scored"]


def test_groups_are_summed():
    reckoning = Reckoning()
    for start in (0, 2):
        part = IMAGES.slice(start, 2)
        exams = EXAMS.slice(start // 2, 1)
        reckoning.add(part, exams, paths=part["path"].to_pylist(), exam_ids="AB"[start // 2])

    assert reckoning.counts() == counts_of(IMAGES, EXAMS, paths="abcd", exam_ids="AB")

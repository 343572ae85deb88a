"""Which exams a sweep is about: `--where` and `--shard`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from mammosweep.errors import ConfigError
from mammosweep.records import ImageStatus
from mammosweep.report.tables import read_table
from mammosweep.run.begun import read_begun
from mammosweep.run.select import Shard, in_shard, parse_selection, parse_shard
from mammosweep.run.terms import Terms
from mammosweep.run.where import parse_where


@pytest.fixture
def dated(exam):
    """An exam of 2015-06-30 in north/2015, of patient k1."""
    bare = exam("1.2.3")
    image = replace(bare.images[0], path="north/2015/LCC.dcm")
    return replace(bare, study_date=date(2015, 6, 30), patient_key="k1", images=(image,))


@pytest.fixture
def bare(exam):
    """An exam without date and key, whose file lies in no folder."""
    found = exam("9.9")
    return replace(found, images=(replace(found.images[0], path="LCC.dcm", status=ImageStatus.USED),))


FITS = [
    "study_date = 2015-06-30",
    "study_date == 2015-06-30",
    "study_date != 2015-06-29",
    "study_date < 2015-07-01",
    "study_date <= 2015-06-30",
    "study_date > 2015-06-29",
    "study_date>=2015-06-30",
    "study_date in (2014-01-01, 2015-06-30)",
    "exam_id = 1.2.3",
    "exam_id = '1.2.3'",
    'exam_id ~ "1.2.*"',
    "exam_id in (1.2.3)",
    "patient_key = k1",
    "patient_key != k2",
    "path ~ 'north/*'",
    "path~*/LCC.dcm",
    "path !~ 'south/*'",
    "site = north",
    "site in (south, north)",
    "not site = south",
    "NOT site = south AND exam_id = 1.2.3",
    "site = south or study_date < 2016-01-01",
    "site = north or site = south and site = west",  # and binds stronger
    "not site = south or site = south",
    "(site = south or site = north) and (exam_id = 1.2.3)",
    "not (not (site = north))",
]

DOES_NOT_FIT = [
    "study_date = 2015-06-29",
    "study_date != 2015-06-30",
    "study_date < 2015-06-30",
    "study_date > 2015-06-30",
    "study_date >= 2015-07-01",
    "study_date in (2014-01-01)",
    "exam_id = 1.2",
    "exam_id ~ 1.2",
    "path = north",
    "path ~ north",
    "site = North",
    "site ~ nort?h",
    "not site = north",
    "(site = north or site = south) and site = west",
    "site = north and not exam_id = 1.2.3",
]


@pytest.mark.parametrize("text", FITS)
def test_an_exam_fits(text, dated):
    assert parse_where(text)(dated) is True


@pytest.mark.parametrize("text", DOES_NOT_FIT)
def test_an_exam_does_not_fit(text, dated):
    assert parse_where(text)(dated) is False


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("study_date < 2999-01-01", False),
        ("study_date > 1900-01-01", False),
        ("not study_date > 1900-01-01", True),
        ("study_date != 2015-06-30", True),
        ("patient_key = k1", False),
        ("patient_key != k1", True),
        ("patient_key ~ '*'", False),
        ("site = ''", True),
    ],
)
def test_what_an_exam_lacks_fits_no_comparison_but_the_inverse(text, fits, bare):
    assert parse_where(text)(bare) is fits


def test_one_file_that_fits_is_enough(dated):
    both = replace(dated, images=(*dated.images, replace(dated.images[0], path="south/RCC.dcm")))

    assert parse_where("site = south and site = north")(both)


def test_a_list_is_read_from_a_file(dated, bare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keys.txt").write_text("k0\n\n  k1 \n")
    (tmp_path / "a list").write_text("2015-06-30\n")

    assert parse_where("patient_key in keys.txt")(dated)
    assert not parse_where("patient_key in keys.txt")(bare)
    assert parse_where("study_date in 'a list'")(dated)


UNREADABLE = {
    "": "it is empty",
    "  ": "it is empty",
    "age > 40": "there is no column 'age'; expected one of study_date, exam_id, patient_key, path, site",
    "'site' = north and": "there is no column its end",
    "site": "expected =, !=, ~, !~ or in after 'site', found its end",
    "site < north": "expected =, !=, ~, !~ or in after 'site', found '<'",
    "study_date ~ 2015": "expected =, !=, <, <=, >, >= or in after 'study_date', found '~'",
    "study_date >= 2015": "study_date is compared with '2015'; expected a date such as 2015-01-31",
    "site =": "expected a value, found its end",
    "site = and": "expected a value, found 'and'",
    "site = north south": "expected 'and', 'or' or its end, found 'south'",
    "(site = north": "expected ')', found its end",
    "site in (north south)": "expected ',' or ')' in a list, found 'south'",
    "site = 'north": 'cannot be read; is a quote not closed?',
    "patient_key in nowhere.txt": "the file nowhere.txt cannot be read: No such file or directory",
    "(" * 60 + "site = north": "lie more than 50 deep",
    "not " * 100_000 + "site = north": "lie more than 50 deep",
    "__import__('os')": "there is no column '__import__'",
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), UNREADABLE.items(), ids=lambda text: text[:30])
def test_what_cannot_be_read_is_said(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError) as raised:
        parse_where(text)

    assert said in str(raised.value)


def test_every_exam_is_in_one_shard_and_shards_are_about_equal():
    ids = [f"1.2.840.{number}" for number in range(6000)]

    found = [[index for index in (1, 2, 3) if in_shard(exam_id, index, 3)] for exam_id in ids]

    assert all(len(shards) == 1 for shards in found)
    assert all(1850 < number < 2150 for number in Counter(shards[0] for shards in found).values())


def test_shards_are_the_same_for_ever():
    # From sha256sum: printf 1.2.3 begins c47f5b18b8a430e6, which is 6 modulo 16.
    assert [index for index in range(1, 17) if in_shard("1.2.3", index, 16)] == [7]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2", "1/0", ""])
def test_what_is_no_shard_is_said(text):
    with pytest.raises(ConfigError, match=r"expected i/n with i in 1\.\.n"):
        parse_shard(text)


def test_strays_are_the_first_shards_and_not_for_a_selection():
    assert parse_selection().takes_strays
    assert parse_selection(shard="1/2").takes_strays
    assert not parse_selection(shard="2/2").takes_strays
    assert not parse_selection("site = north").takes_strays
    assert not parse_selection("site = north", "1/2").takes_strays


def test_both_options_hold_together(dated):
    shard = next(n for n in (1, 2) if in_shard(dated.exam_id, n, 2))

    assert parse_selection("site = north", f"{shard}/2")(dated)
    assert not parse_selection("site = north", f"{3 - shard}/2")(dated)
    assert not parse_selection("site = south", f"{shard}/2")(dated)
    assert parse_selection("site = north", "1/2").shard == Shard(1, 2)


def paths(out):
    return set(read_table(out, "images")["path"].to_pylist())


def test_shards_share_out_every_file_and_exam_once(tiny, shared_archive, finished, tmp_path):
    whole, seen = paths(finished), []
    for number in (1, 2, 3):
        terms = Terms(selection=parse_selection(shard=f"{number}/3"))
        tiny.tiny_sweep(tmp_path / str(number), shared_archive, terms=terms)
        seen += paths(tmp_path / str(number))

    assert sorted(seen) == sorted(whole)
    assert "notes.txt" in paths(tmp_path / "1")
    assert read_begun(tmp_path / "2").selection == "shard 2/3"


def test_another_selection_keeps_what_is_committed_and_shows_its_own(
    tiny, shared_archive, finished, tmp_path
):
    calls, out = [], tmp_path / "out"
    for where in ("path ~ 'exam10/*'", "path ~ 'exam1[01]/*'"):
        terms = Terms(selection=parse_selection(where))
        summary = tiny.tiny_sweep(out, shared_archive, terms=terms, calls=calls)
    narrowed = tiny.tiny_sweep(
        out, shared_archive, terms=Terms(selection=parse_selection("path ~ 'exam11/*'")), calls=calls
    )

    assert [exam_id[-3:] for exam_id in calls] == [".10", ".11"]
    assert (summary.counts.exams_seen, summary.counts.files_seen) == (2, 8)
    assert (narrowed.counts.exams_seen, paths(out)) == (1, {p for p in paths(finished) if "exam11" in p})

"""Shards that were swept apart are the sweep that was never divided, or are refused."""

from __future__ import annotations

import json
import shutil

import pytest

from mammosweep.errors import LedgerError
from mammosweep.report.tables import TABLES, read_table
from mammosweep.run.merge import merging
from mammosweep.run.select import parse_selection
from mammosweep.run.status import State, status
from mammosweep.run.stop import Stop, SweepStopped
from mammosweep.run.terms import Terms


def rows(out):
    return {name: read_table(out, name).to_pylist() for name in TABLES}


def run_json(out):
    return json.loads((out / "run.json").read_text())


def merged(folders, out):
    with merging(folders, out) as ready:
        return ready.run()


def sweep_shard(tiny, out, source, shard, where=None, **screener):
    return tiny.tiny_sweep(
        out, source, chunk_exams=1, terms=Terms(selection=parse_selection(where, shard)), **screener
    )


@pytest.fixture(scope="module")
def _swept_once(tiny, shared_archive, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for number in (1, 2):
        sweep_shard(tiny, folder / str(number), shared_archive, f"{number}/2", not_scored=[".12"])
    tiny.tiny_sweep(folder / "whole", shared_archive, not_scored=[".12"])
    return folder


@pytest.fixture
def swept(_swept_once, tmp_path):
    """Both shards of the shared archive and the undivided sweep: folders 1, 2 and whole."""
    return shutil.copytree(_swept_once, tmp_path / "shards")


def test_merged_shards_are_the_undivided_sweep(swept, tmp_path):
    out = tmp_path / "merged"

    summary = merged([swept / "2", swept / "1"], out)

    whole = run_json(swept / "whole")
    assert rows(out) == rows(swept / "whole")
    for name in ("worklist.csv", "worklist.html"):
        assert (out / name).read_bytes() == (swept / "whole" / name).read_bytes()
    assert {p.name: p.read_bytes() for p in (out / "pages").iterdir()} == {
        p.name: p.read_bytes() for p in (swept / "whole" / "pages").iterdir()
    }
    assert (run_json(out)["counts"], run_json(out)["reasons"]) == (whole["counts"], whole["reasons"])
    assert run_json(out)["archive_digest"] == whole["archive_digest"]
    assert run_json(out)["selection"] == {"where": "", "shard": ""}
    assert summary.counts.exams_seen == 4
    assert status(out).state is State.COMPLETE


def test_seconds_are_the_shards_own_together(swept, tmp_path):
    merged([swept / "1", swept / "2"], tmp_path / "merged")

    seconds = run_json(tmp_path / "merged")["seconds"]
    shards = [run_json(swept / name)["seconds"] for name in "12"]
    for stage in ("count", "screen", "index"):
        assert seconds[stage] == pytest.approx(sum(shard[stage] for shard in shards))


def test_what_was_merged_can_be_swept_on_and_merged_again(tiny, swept, shared_archive, tmp_path):
    out, calls = tmp_path / "merged", []
    merged([swept / "1", swept / "2"], out)

    again = merged([swept / "1", swept / "2"], out)
    swept_on = tiny.tiny_sweep(out, shared_archive, calls=calls)

    assert again.nothing_new
    assert (swept_on.nothing_new, calls) == (True, [])


def test_shards_of_a_selection_are_merged_to_the_selection(tiny, shared_archive, tmp_path):
    where = "path ~ 'exam1[0-2]/*'"
    for number in (1, 2):
        sweep_shard(tiny, tmp_path / str(number), shared_archive, f"{number}/2", where)
    tiny.tiny_sweep(tmp_path / "whole", shared_archive, terms=Terms(selection=parse_selection(where)))

    summary = merged([tmp_path / "1", tmp_path / "2"], tmp_path / "merged")

    assert (summary.counts.exams_seen, summary.counts.files_seen) == (3, 12)
    assert rows(tmp_path / "merged") == rows(tmp_path / "whole")


def refused(folders, out, said):
    with pytest.raises(LedgerError, match=said):
        merged(folders, out)
    assert not (out / "run.json").exists()


def test_a_missing_shard_is_refused(swept, tmp_path):
    refused([swept / "2"], tmp_path / "out", "shard 1/2 is missing; give all 2 folders")


def test_a_shard_given_twice_is_refused(swept, tmp_path):
    shutil.copytree(swept / "1", swept / "copy")

    refused([swept / "1", swept / "2", swept / "copy"], tmp_path / "out", "shard 1/2 is given twice")


def test_shards_of_different_divisions_are_refused(tiny, swept, shared_archive, tmp_path):
    sweep_shard(tiny, tmp_path / "3", shared_archive, "2/3")

    refused([swept / "1", tmp_path / "3"], tmp_path / "out", "shards of different divisions")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"bundle": "c" * 64}, "different bundles"), ({"settings": "c" * 64}, "different settings")],
)
def test_another_bundle_or_settings_are_refused(tiny, swept, shared_archive, tmp_path, changes, said):
    sweep_shard(tiny, tmp_path / "2", shared_archive, "2/2", **changes)

    refused([swept / "1", tmp_path / "2"], tmp_path / "out", said)


def test_another_selection_is_refused(tiny, swept, shared_archive, tmp_path):
    sweep_shard(tiny, tmp_path / "2", shared_archive, "2/2", "site != x")

    refused([swept / "1", tmp_path / "2"], tmp_path / "out", r"different selections \(--where\)")


def test_another_source_is_refused(tiny, swept, archive, tmp_path):
    sweep_shard(tiny, tmp_path / "2", archive, "2/2")

    refused([swept / "1", tmp_path / "2"], tmp_path / "out", "different sources")


def test_an_unfinished_shard_is_refused(tiny, swept, shared_archive, tmp_path):
    stop = Stop()

    def ask(tally):
        if tally.exams is not None:
            stop.ask("SIGTERM")

    terms = Terms(selection=parse_selection(shard="2/2"), stop=stop)
    with pytest.raises(SweepStopped):
        tiny.tiny_sweep(tmp_path / "2", shared_archive, chunk_exams=1, progress=ask, terms=terms)

    refused([swept / "1", tmp_path / "2"], tmp_path / "out", "is not finished; run its command again")


def test_what_is_no_shard_is_refused(swept, tmp_path):
    refused([swept / "whole"], tmp_path / "out", "is no shard, but a sweep made without --shard")
    refused([tmp_path / "nowhere"], tmp_path / "out", "nowhere holds no sweep")


def test_a_source_that_changed_between_the_shards_is_refused(tiny, archive, tmp_path):
    sweep_shard(tiny, tmp_path / "1", archive, "1/2")
    for number in range(20, 24):
        tiny.write_view(archive / f"exam{number}", number, "L CC")
    sweep_shard(tiny, tmp_path / "2", archive, "2/2")

    refused([tmp_path / "1", tmp_path / "2"], tmp_path / "out", "the source changed between the shards")


def test_a_changed_exam_is_found_though_the_numbers_agree(tiny, archive, tmp_path):
    sweep_shard(tiny, tmp_path / "1", archive, "1/2")
    for number in range(10, 14):
        tiny.write_view(archive / f"exam{number}", number, "L CC", gray=7)
    sweep_shard(tiny, tmp_path / "2", archive, "2/2")

    refused([tmp_path / "1", tmp_path / "2"], tmp_path / "out", "no shard holds an exam of chunk")


def test_a_shards_own_folder_is_no_place_to_merge_into(swept):
    with pytest.raises(LedgerError, match="holds another sweep; give another --out"):
        merged([swept / "1", swept / "2"], swept / "1")

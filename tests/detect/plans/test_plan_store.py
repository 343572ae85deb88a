"""The plan store: whole plans or none, this user's alone, named by all that decides what they are."""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import replace

import pytest

from mammosweep.config import FlipMode, PlanChoice, Precision
from mammosweep.detect.plans.agreement import TOLERANCES, Agreement, Figures
from mammosweep.detect.plans.key import PlanKey
from mammosweep.detect.plans.store import PlanStore, open_store, store_folder
from mammosweep.errors import ConfigError, PlanRefused
from mammosweep.geometry import Size

KEY = PlanKey(
    kind=PlanChoice.TENSORRT,
    precision=Precision.FP16,
    trunk="resnet50",
    weights="a" * 64,
    views="b" * 64,
    graph="c" * 64,
    bucket=Size(1408, 704),
    batch=1,
    flips=FlipMode.ALL,
    libraries={"torch": "2.14.1", "tensorrt-cu13": "11.1.0"},
    machine={"gpu": "NVIDIA H100 80GB HBM3", "capability": "9.0"},
)

OTHERS = {
    "kind": PlanChoice.OPENVINO,
    "precision": Precision.BF16,
    "trunk": "resnet18",
    "weights": "d" * 64,
    "views": "",
    "graph": "d" * 64,
    "bucket": Size(1408, 768),
    "batch": 2,
    "flips": FlipMode.NONE,
    "libraries": {"torch": "2.14.1", "tensorrt-cu13": "11.1.1"},
    "machine": {"gpu": "NVIDIA H200", "capability": "9.0"},
}

ENGINE = b"not really an engine"


def agreement(*, matched: int = 100) -> Agreement:
    figures = Figures(100, matched, 100, matched, largest=0.01)
    return Agreement(Precision.FP16, TOLERANCES[Precision.FP16], 4, figures, {"mass": figures})


def write(folder):
    (folder / "dense.engine").write_bytes(ENGINE)
    (folder / "bindings.json").write_text("{}")


def agrees(plan):
    return agreement()


def disagrees(plan):
    return agreement(matched=90)


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "plans"))


def leftovers(store: PlanStore) -> list[str]:
    return [path.name for path in store.folder.iterdir() if path.name.startswith(".")]


def test_a_saved_plan_is_found_by_its_key_and_by_no_other(store):
    saved = store.save(KEY, write, agrees)

    assert store.find(KEY) == saved
    assert saved.read("dense.engine") == ENGINE
    assert saved.verified() == store.folder / KEY.name
    assert store.find(replace(KEY, batch=2)) is None


@pytest.mark.parametrize(("ingredient", "other"), OTHERS.items(), ids=OTHERS)
def test_every_ingredient_changes_the_digest(ingredient, other):
    changed = replace(KEY, **{ingredient: other})

    assert changed.digest != KEY.digest
    assert changed.name != KEY.name


def test_no_ingredient_is_left_untried():
    assert set(OTHERS) == set(PlanKey.__dataclass_fields__)


def test_a_plan_says_in_words_what_it_was_made_for(store):
    said = json.loads((store.save(KEY, write, agrees).folder / "plan.json").read_text())

    assert said["digest"] == KEY.digest
    assert said["made_for"]["trunk"] == "resnet50"
    assert said["made_for"]["bucket"] == "1408x704"
    assert said["made_for"]["machine"]["gpu"] == "NVIDIA H100 80GB HBM3"
    assert set(said["files"]) == {"dense.engine", "bindings.json"}


def test_its_report_lies_beside_it(store):
    plan = store.save(KEY, write, agrees)

    assert json.loads((plan.folder / "agreement.json").read_text())["accepted"] is True
    assert plan.agreement["by_type"]["mass"]["matched"] == 1.0


def test_a_plan_that_disagrees_is_refused_and_only_its_report_is_kept(store):
    with pytest.raises(PlanRefused, match=r"90 of fp32 PyTorch's 100 boxes .* have a partner"):
        store.save(KEY, write, disagrees)

    plan = store.find(KEY)
    assert sorted(path.name for path in plan.folder.iterdir()) == ["agreement.json", "plan.json"]
    with pytest.raises(PlanRefused):
        plan.verified()
    assert leftovers(store) == []


def test_a_build_that_fails_leaves_the_plan_that_was_there(store):
    store.save(KEY, write, agrees)

    def fail(folder):
        write(folder)
        raise RuntimeError("the GPU fell off the bus")

    with pytest.raises(RuntimeError):
        store.save(KEY, fail, agrees)

    assert store.find(KEY).read("dense.engine") == ENGINE
    assert leftovers(store) == []


def test_nothing_of_a_plan_is_in_its_place_before_it_was_judged(store):
    seen = []

    def judge(plan):
        seen.append(plan.read("dense.engine"))
        assert store.find(KEY) is None
        assert store.entries() == []
        return agreement()

    store.save(KEY, write, judge)

    assert seen == [ENGINE]


def test_a_plan_built_again_takes_the_place_of_the_one_before(store):
    store.save(KEY, write, agrees)

    store.save(KEY, lambda folder: (folder / "dense.engine").write_bytes(b"another"), agrees)

    (plan,) = store.entries()
    assert plan.read("dense.engine") == b"another"
    assert set(plan.files) == {"dense.engine"}


def test_plans_are_listed_by_name(store):
    first, second = KEY, replace(KEY, bucket=Size(2048, 1600))
    store.save(second, write, agrees)
    store.save(first, write, agrees)

    assert [plan.name for plan in store.entries()] == [first.name, second.name]
    assert leftovers(store) == []


def test_what_a_killed_build_left_is_no_plan_and_goes_after_a_day(store):
    left = store.folder / ".tmp-0123456789abcdef"
    left.mkdir()
    write(left)

    assert open_store(str(store.folder)).entries() == []
    assert left.exists()
    yesterday = time.time() - 25 * 3600
    os.utime(left, (yesterday, yesterday))
    open_store(str(store.folder))
    assert not left.exists()


def test_a_changed_file_is_not_loaded(store):
    plan = store.save(KEY, write, agrees)
    (plan.folder / "dense.engine").write_bytes(b"something else")

    with pytest.raises(ConfigError, match=r"dense\.engine has SHA-256 .* changed after it was built"):
        store.find(KEY).verified()


def test_a_missing_file_is_said(store):
    plan = store.save(KEY, write, agrees)
    (plan.folder / "dense.engine").unlink()

    with pytest.raises(ConfigError, match=r"dense\.engine: No such file or directory; build the plan again"):
        plan.verified()


SPOILT = {
    "another plan's words": lambda said: said["made_for"].update(trunk="resnet18"),
    "a file elsewhere": lambda said: said["files"].update({"../../engine": "0" * 64}),
    "another schema": lambda said: said.update(schema_version=2),
    "no files": lambda said: said.pop("files"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_words_that_are_not_its_own_are_not_believed(store, spoil):
    path = store.save(KEY, write, agrees).folder / "plan.json"
    said = json.loads(path.read_text())
    spoil(said)
    path.write_text(json.dumps(said))

    with pytest.raises(ConfigError, match=r"plan\.json cannot be used: .*; remove the folder"):
        store.find(KEY)


def test_a_plan_in_another_ones_place_is_not_taken_for_it(store):
    other = replace(KEY, batch=2)
    store.save(KEY, write, agrees).folder.rename(store.folder / other.name)

    with pytest.raises(ConfigError, match="is of another plan"):
        store.find(other)


def test_a_folder_without_words_is_no_plan(store):
    (store.folder / "stranger").mkdir()

    with pytest.raises(ConfigError, match=r"plan\.json cannot be read"):
        store.entries()


def test_the_store_and_its_plans_are_this_users_alone(store):
    plan = store.save(KEY, write, agrees)

    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(plan.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in plan.folder.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777], ids=oct)
def test_a_store_that_others_can_write_is_refused(store, mode):
    store.folder.chmod(mode)

    with pytest.raises(ConfigError, match="others can write"):
        open_store(str(store.folder))


def test_a_file_that_others_can_write_is_refused(store):
    plan = store.save(KEY, write, agrees)
    (plan.folder / "dense.engine").chmod(0o666)

    with pytest.raises(ConfigError, match="others can write"):
        plan.verified()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_store_of_another_user_is_refused(store):
    os.chown(store.folder, 65534, -1)

    with pytest.raises(ConfigError, match="belongs to user 65534"):
        open_store(str(store.folder))


def test_a_store_that_cannot_be_made_is_said_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"plan store .*/file/plans: .*; set detect\.plan_store"):
        open_store(str(tmp_path / "file" / "plans"))


def test_without_a_setting_the_store_lies_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store_folder() == tmp_path / "mammosweep" / "plans"

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert store_folder() == tmp_path / "home" / ".cache" / "mammosweep" / "plans"
    assert store_folder(str(tmp_path / "elsewhere")) == tmp_path / "elsewhere"

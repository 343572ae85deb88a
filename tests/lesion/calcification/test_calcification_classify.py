from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import SVC

from mammosweep.errors import BundleError
from mammosweep.exam.booster import fit_booster, load_booster
from mammosweep.lesion.calcification import FEATURE_NAMES
from mammosweep.lesion.calcification.classify import (
    FEATURE_SETS,
    compare_characterisers,
    comparison_table,
    feature_rows,
    fit_characterisers,
    load_characterisers,
    save_characterisers,
)
from mammosweep.lesion.calcification.folds import group_folds
from mammosweep.lesion.calcification.support_vectors import load_support_vectors
from mammosweep.lesion.calcification.support_vectors_fit import fit_platt, fit_support_vectors

NUM_ROWS = 90


@pytest.fixture(scope="module")
def findings():
    """Rows whose elongation tells the classes apart; labels; groups of three rows."""
    rng = np.random.default_rng(11)
    labels = rng.random(NUM_ROWS) < 0.4
    rows = rng.normal(size=(NUM_ROWS, len(FEATURE_NAMES))).astype(np.float32)
    rows[:, FEATURE_NAMES.index("elongation_mean")] += 4 * labels
    rows[::7, 3] = np.nan
    return rows, labels, [f"patient {k // 3}" for k in range(NUM_ROWS)]


@pytest.fixture(scope="module")
def models(findings):
    return fit_characterisers(*findings, fit_trees=fit_booster, seed=0)


def test_there_is_a_model_of_each_kind_on_each_set_of_features(models):
    assert {(one.kind, one.feature_set) for one in models} == {
        (kind, name) for kind in ("trees", "support_vectors") for name in FEATURE_SETS
    }


def test_models_that_see_what_tells_apart_tell_apart_and_others_do_not(findings):
    scores = compare_characterisers(*findings, fit_trees=fit_booster, seed=0)

    for one in scores:
        assert (one.auc > 0.85) == (one.feature_set != "region"), one
        assert (one.accuracy > 0.75) == (one.feature_set != "region"), one


def test_the_table_for_the_card_has_a_line_for_each_model(findings):
    table = comparison_table(compare_characterisers(*findings, fit_trees=fit_booster, seed=0)).splitlines()

    assert len(table) == 2 + 6
    assert any(line.startswith("| support vectors | 26: region | 90 | 0.") for line in table)


def test_saved_and_loaded_models_give_the_same_probabilities(models, findings, tmp_path):
    save_characterisers(models, tmp_path)

    loaded = load_characterisers(tmp_path, load_trees=load_booster)

    assert [one.file_name for one in loaded] == [one.file_name for one in models]
    for one, again in zip(models, loaded, strict=True):
        np.testing.assert_array_equal(again(findings[0]), one(findings[0]))


def test_the_same_rows_and_seed_give_the_same_bytes(models, findings, tmp_path):
    again = fit_characterisers(*findings, fit_trees=fit_booster, seed=0)
    for name, fitted in (("one", models), ("other", again)):
        (tmp_path / name).mkdir()
        save_characterisers(fitted, tmp_path / name)

    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name


def test_a_bundle_without_these_models_has_none(tmp_path):
    assert load_characterisers(tmp_path, load_trees=load_booster) == ()


def test_decisions_are_those_of_scikit_learn(findings):
    rows, labels, groups = findings
    rows = np.nan_to_num(rows)

    machine = fit_support_vectors(rows, labels, groups, FEATURE_NAMES, seed=0)

    z = (rows - rows.mean(axis=0, dtype=np.float64)) / rows.std(axis=0, dtype=np.float64)
    reference = SVC(C=1.0, gamma=1 / len(FEATURE_NAMES)).fit(z, labels)
    np.testing.assert_allclose(machine.decisions(rows), reference.decision_function(z), atol=1e-6)


def test_probabilities_rise_with_decisions(models, findings):
    machine = next(one.model for one in models if one.file_name.endswith("both.safetensors"))

    order = np.argsort(machine.decisions(findings[0]))

    assert (np.diff(machine(findings[0])[order]) >= 0).all()


def test_the_sigmoid_finds_what_made_the_labels():
    rng = np.random.default_rng(5)
    decisions = rng.normal(size=20000)
    labels = rng.random(20000) < 1 / (1 + np.exp(-2.0 * decisions + 0.5))

    a, b = fit_platt(decisions, labels)

    assert (a, b) == (pytest.approx(-2.0, abs=0.1), pytest.approx(0.5, abs=0.1))


def test_a_value_that_is_unknown_counts_as_the_mean(models, findings):
    machine = next(one.model for one in models if one.file_name.endswith("both.safetensors"))
    row = findings[0][1:2].copy()
    row[0, 5] = machine.mean[5]
    unknown = row.copy()
    unknown[0, 5] = np.nan

    np.testing.assert_allclose(machine(unknown), machine(row), atol=1e-6)


@pytest.mark.parametrize("content", [None, b"", b"not safetensors"], ids=["missing", "empty", "other"])
def test_a_file_that_is_no_machine_is_refused(content, tmp_path):
    path = tmp_path / "machine.safetensors"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BundleError, match=r"machine\.safetensors is missing, damaged or no support-vector"):
        load_support_vectors(path, FEATURE_NAMES)


def test_a_machine_of_other_features_is_refused(models, tmp_path):
    save_characterisers(models, tmp_path)

    with pytest.raises(BundleError, match="was fitted on count,"):
        load_support_vectors(tmp_path / "calcification_support_vectors_both.safetensors", ("depth",))


def test_rows_of_another_width_are_refused(models):
    machine = next(one.model for one in models if one.file_name.endswith("region.safetensors"))

    with pytest.raises(ValueError, match=r"expects \(N, 26\)"):
        machine(np.zeros((2, 15), dtype=np.float32))


def test_features_that_a_finding_lacks_are_unknown():
    rows = feature_rows([{"count": 7.0}, {}])

    assert rows.shape == (2, 41)
    assert rows[0, 0] == 7
    assert np.isnan(rows[1]).all()


def test_folds_hold_out_every_row_once_and_keep_groups_together(findings):
    _, labels, groups = findings
    folds = list(group_folds(groups, labels, 4, seed=1))

    assert (np.sum(folds, axis=0) == 1).all()
    for held_out in folds:
        names = np.asarray(groups)
        assert not set(names[held_out]) & set(names[~held_out])

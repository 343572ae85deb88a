from __future__ import annotations

import numpy as np
import pytest
import xgboost

from mammosweep.errors import BundleError
from mammosweep.exam.booster import BIAS, fit_booster, load_booster

FEATURES = ("depth", "size", "score")


@pytest.fixture(scope="module")
def rows():
    rows = np.random.default_rng(3).normal(size=(80, 3)).astype(np.float32)
    rows[::7, 1] = np.nan
    return rows


@pytest.fixture(scope="module")
def booster(rows):
    return fit_booster(rows, rows[:, 0] > 0, FEATURES, seed=1)


def test_what_was_learned_separates_the_classes(booster, rows):
    probabilities = booster(rows)

    assert probabilities.dtype == np.float64
    assert probabilities[rows[:, 0] > 0].min() > probabilities[rows[:, 0] <= 0].max()


def test_a_saved_and_loaded_model_gives_the_same_probabilities(booster, rows, tmp_path):
    booster.save(tmp_path / "match.ubj")

    loaded = load_booster(tmp_path / "match.ubj", FEATURES)

    np.testing.assert_array_equal(loaded(rows), booster(rows))


def test_the_same_rows_and_seed_give_the_same_bytes(booster, rows, tmp_path):
    booster.save(tmp_path / "one.ubj")
    fit_booster(rows, rows[:, 0] > 0, FEATURES, seed=1).save(tmp_path / "other.ubj")

    assert (tmp_path / "one.ubj").read_bytes() == (tmp_path / "other.ubj").read_bytes()


def test_a_row_has_the_same_probability_alone_and_in_company(booster, rows):
    alone = [booster(row[None]).item() for row in rows]

    assert booster(rows).tolist() == alone


def test_no_rows_give_no_probabilities(booster):
    assert booster(np.zeros((0, 3), dtype=np.float32)).shape == (0,)


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2, 4), (0,)], ids=str)
def test_rows_of_another_width_are_refused(shape, booster):
    with pytest.raises(ValueError, match=r"expects \(N, 3\)"):
        booster(np.zeros(shape, dtype=np.float32))


def test_a_model_picks_its_own_columns_by_name_wherever_they_stand(booster, rows, tmp_path):
    booster.save(tmp_path / "match.ubj")
    wider = np.column_stack([rows[:, 2], np.full(len(rows), 7.0), rows[:, 0], rows[:, 1]]).astype(np.float32)

    loaded = load_booster(tmp_path / "match.ubj", ("score", "margin", "depth", "size"))

    assert loaded.used == FEATURES
    np.testing.assert_array_equal(loaded(wider), booster(rows))


def test_a_model_fitted_on_a_feature_that_is_not_computed_is_refused(booster, tmp_path):
    booster.save(tmp_path / "match.ubj")

    with pytest.raises(
        BundleError, match=r"match\.ubj was fitted on size; this version computes depth, score,"
    ):
        load_booster(tmp_path / "match.ubj", ("depth", "score"))


def test_a_model_without_names_is_refused(rows, tmp_path):
    trees = xgboost.train(
        {"objective": "binary:logistic"}, xgboost.DMatrix(rows, label=rows[:, 0] > 0), num_boost_round=2
    )
    trees.save_model(tmp_path / "match.ubj")

    with pytest.raises(BundleError, match="fitted on features without names"):
        load_booster(tmp_path / "match.ubj", FEATURES)


def test_contributions_and_bias_add_up_to_the_logit(booster, rows):
    probabilities = booster(rows)

    explained = booster.contributions(rows)

    assert all(tuple(row) == (*FEATURES, BIAS) for row in explained)
    logits = np.log(probabilities / (1.0 - probabilities))
    np.testing.assert_allclose([sum(row.values()) for row in explained], logits, atol=1e-4)


def test_what_was_learned_from_has_the_largest_contributions(booster, rows):
    explained = booster.contributions(rows)

    size = {name: np.mean([abs(row[name]) for row in explained]) for name in FEATURES}
    assert size["depth"] > 10 * max(size["size"], size["score"])


def test_a_row_has_the_same_contributions_alone_and_in_company(booster, rows):
    alone = [booster.contributions(row[None])[0] for row in rows[:10]]

    assert booster.contributions(rows)[:10] == alone


def test_the_first_trees_are_what_a_shorter_fit_gives(rows):
    labels = rows[:, 0] + rows[:, 2] > 0

    longer = fit_booster(rows, labels, FEATURES, seed=1, rounds=40, subsample=0.8, colsample_bynode=0.5)
    shorter = fit_booster(rows, labels, FEATURES, seed=1, rounds=15, subsample=0.8, colsample_bynode=0.5)

    np.testing.assert_array_equal(longer.first(15)(rows), shorter(rows))
    assert longer(rows).tolist() != shorter(rows).tolist()


def test_no_rows_have_no_contributions(booster):
    assert booster.contributions(np.zeros((0, 3), dtype=np.float32)) == []


def test_a_rising_feature_never_lowers_the_probability(rows):
    noisy = (rows[:, 0] > 0) ^ (np.arange(len(rows)) % 5 == 0)
    steps = np.tile(rows[:1], (200, 1))
    steps[:, 0] = np.linspace(-3, 3, 200)

    free = fit_booster(rows, noisy, FEATURES, seed=1)(steps)
    rising = fit_booster(rows, noisy, FEATURES, seed=1, rising=["depth"])(steps)

    assert np.diff(free).min() < 0 <= np.diff(rising).min()


def test_a_model_for_another_objective_is_refused(rows, tmp_path):
    matrix = xgboost.DMatrix(rows, label=rows[:, 0], feature_names=list(FEATURES))
    trees = xgboost.train({"objective": "reg:squarederror"}, matrix, num_boost_round=2)
    trees.save_model(tmp_path / "match.ubj")

    with pytest.raises(BundleError, match="fitted for 'reg:squarederror'"):
        load_booster(tmp_path / "match.ubj", FEATURES)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: whole[:1], id="one byte"),
        pytest.param(lambda whole: whole[: len(whole) // 2], id="cut in the middle"),
        pytest.param(lambda whole: whole[:-1], id="last byte lost"),
        pytest.param(lambda whole: b"{}", id="an empty object"),
        pytest.param(lambda whole: b"{" + b"\xff" * 60 + b"}", id="noise"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damage, booster, tmp_path):
    booster.save(tmp_path / "whole.ubj")
    (tmp_path / "torn.ubj").write_bytes(damage((tmp_path / "whole.ubj").read_bytes()))

    with pytest.raises(BundleError, match=r"torn\.ubj is damaged") as caught:
        load_booster(tmp_path / "torn.ubj", FEATURES)

    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused_without_its_folder(tmp_path):
    with pytest.raises(BundleError, match=r"model file gone\.ubj cannot be read: No such file") as caught:
        load_booster(tmp_path / "gone.ubj", FEATURES)

    assert str(tmp_path) not in str(caught.value)

"""The data: parts that share nothing, scaled by what the training part alone knows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets as originals

from course_lib.datasets import NAMES, Split, load

SIZES = {"digits": (1797, 64, 10), "breast_cancer": (569, 30, 2), "diabetes": (442, 10, None), "iris": (150, 4, 3)}
LABELLED = [name for name in NAMES if name != "diabetes"]
every_dataset = pytest.mark.parametrize("name", NAMES)
seeds = pytest.mark.parametrize("seed", [0, 7])


def parts(data):
    return data.train, data.validation, data.test


def original(name):
    """Return x and y as scikit-learn ships them."""
    options = {"scaled": False} if name == "diabetes" else {}
    return getattr(originals, f"load_{name}")(return_X_y=True, **options)


def rows(split):
    """Return the samples of a part, one bytes object each, sorted."""
    return sorted(np.column_stack([split.x, split.y]).astype(float) + 0.0, key=lambda row: row.tobytes())


# ---- the split

@every_dataset
@seeds
def test_parts_cover_every_sample_exactly_once(name, seed):
    data = load(name, seed, standardize=False)
    whole = Split(np.vstack([part.x for part in parts(data)]), np.hstack([part.y for part in parts(data)]))
    # As multisets: iris holds one flower twice, and each copy goes to one part.
    np.testing.assert_array_equal(rows(whole), rows(Split(*original(name))))


@every_dataset
def test_no_sample_is_in_two_parts(name):
    data = load(name, standardize=False)
    seen = [{row.tobytes() for row in rows(part)} for part in parts(data)]
    shared = (seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2])
    doubled = {row.tobytes() for row in rows(Split(*original(name)))}
    assert len(shared) <= len(original(name)[1]) - len(doubled), "more is shared than the data itself repeats"


@every_dataset
def test_sizes_types_and_names(name):
    data, (samples, features, classes) = load(name), SIZES[name]
    assert sum(map(len, parts(data))) == samples and data.classes == classes and data.name == name
    assert len(data.feature_names) == features and all(type(text) is str for text in data.feature_names)
    for part in parts(data):
        assert part.x.shape == (len(part), features) and part.y.shape == (len(part),)
        assert part.x.dtype == np.float64 and part.y.dtype == (np.int64 if classes else np.float64)
        assert np.isfinite(part.x).all() and np.isfinite(part.y).all()
        assert classes is None or set(part.y) == set(range(classes))


@given(st.sampled_from(NAMES), st.floats(0.1, 0.4), st.floats(0.1, 0.4), st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_shares_are_as_asked(name, validation, test, seed):
    data = load(name, seed, validation=validation, test=test)
    samples = SIZES[name][0]
    assert len(data.test) == pytest.approx(test * samples, abs=1)
    assert len(data.validation) == pytest.approx(validation * samples, abs=2)


@pytest.mark.parametrize("name", LABELLED)
@seeds
def test_classes_keep_their_proportions(name, seed):
    data = load(name, seed)
    whole = np.bincount(original(name)[1])
    for part in parts(data):
        expected = whole * len(part) / whole.sum()
        np.testing.assert_allclose(np.bincount(part.y, minlength=data.classes), expected, atol=1.01)


@every_dataset
def test_the_seed_decides(name):
    first, again, other = load(name, 3), load(name, 3), load(name, 4)
    for a, b, c in zip(parts(first), parts(again), parts(other)):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.y, b.y)
        assert not np.array_equal(a.y, c.y)


def test_what_a_caller_writes_stays_his():
    load("iris").train.x[:] = 0
    assert load("iris").train.x.any()


# ---- the scale

@every_dataset
@seeds
def test_scaling_is_fitted_on_the_training_part_alone(name, seed):
    scaled, raw = load(name, seed), load(name, seed, standardize=False)
    x = raw.train.x
    varies = x.std(0) > 0
    scale = np.where(varies, x.std(0), 1)
    np.testing.assert_allclose(scaled.train.x.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.train.x.std(0)[varies], 1, rtol=1e-12)
    for part, before in zip(parts(scaled), parts(raw)):
        np.testing.assert_allclose(part.x, (before.x - x.mean(0)) / scale, rtol=1e-12, atol=1e-12)
    assert np.abs(scaled.test.x.mean(0)).max() > 1e-3, "the test part was scaled by itself"


def test_a_constant_feature_is_only_shifted():
    scaled, raw = load("digits"), load("digits", standardize=False)
    constant = raw.train.x.std(0) == 0
    assert constant.sum() >= 2
    assert (scaled.train.x[:, constant] == 0).all()
    for part, before in zip(parts(scaled), parts(raw)):
        np.testing.assert_array_equal(part.x[:, constant], before.x[:, constant] - raw.train.x[0, constant])


def test_a_regressions_target_is_scaled_and_can_be_scaled_back():
    scaled, raw = load("diabetes"), load("diabetes", standardize=False)
    assert scaled.train.y.mean() == pytest.approx(0, abs=1e-12) and scaled.train.y.std() == pytest.approx(1)
    assert scaled.target_scale == pytest.approx(raw.train.y.std()) and raw.target_scale == 1
    for part, before in zip(parts(scaled), parts(raw)):
        np.testing.assert_allclose(part.y * scaled.target_scale + raw.train.y.mean(), before.y, rtol=1e-12)


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_never_scaled(name):
    assert load(name).target_scale == 1
    for part, before in zip(parts(load(name)), parts(load(name, standardize=False))):
        np.testing.assert_array_equal(part.y, before.y)


# ---- wrong arguments

@pytest.mark.parametrize("arguments, error, words", [
    (("mnist",), ValueError, ("name must be one of 'digits'", "'iris'", "got 'mnist'")),
    (("Iris",), ValueError, ("name", "'iris'", "got 'Iris'")), ((3,), ValueError, ("name", "got 3")),
    ((None,), ValueError, ("name", "got None")), ((["iris"],), ValueError, ("name", "got ['iris']")),
    (("iris", -1), ValueError, ("seed must be at least 0", "-1")), (("iris", 1.0), TypeError, ("seed", "whole", "1.0")),
    (("iris", 2**32), ValueError, ("seed", "< 4294967296")), (("iris", True), TypeError, ("seed", "True")),
    (("iris", None), TypeError, ("seed", "None")),
], ids=str)
def test_wrong_name_or_seed_is_named(arguments, error, words):
    with pytest.raises(error) as caught:
        load(*arguments)
    assert caught.type is error and all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("options, error, words", [
    ({"validation": 0}, ValueError, ("validation", "> 0", "got 0")),
    ({"validation": 1.0}, ValueError, ("validation", "< 1", "1.0")),
    ({"validation": -0.1}, ValueError, ("validation", "> 0", "-0.1")),
    ({"validation": "20%"}, TypeError, ("validation", "a number", "'20%'")),
    ({"test": 0.0}, ValueError, ("test", "> 0", "0.0")), ({"test": np.nan}, ValueError, ("test", "finite", "nan")),
    ({"test": 0.5, "validation": 0.5}, ValueError, ("test", "< 0.5", "got 0.5")),
    ({"test": True}, TypeError, ("test", "a number", "True")),
    ({"test": 0.001}, ValueError, ("validation and test", "each class", "0.2 and 0.001")),
    ({"validation": 0.001}, ValueError, ("validation and test", "each class", "0.001 and 0.2")),
    ({"validation": 0.49, "test": 0.5}, ValueError, ("validation and test", "each class", "0.49 and 0.5")),
    ({"standardize": 1}, TypeError, ("standardize", "True or False", "got 1")),
    ({"standardize": None}, TypeError, ("standardize", "True or False", "None")),
], ids=str)
def test_wrong_option_is_named(options, error, words):
    with pytest.raises(error) as caught:
        load("iris", **options)
    assert caught.type is error and all(word in str(caught.value) for word in words), str(caught.value)

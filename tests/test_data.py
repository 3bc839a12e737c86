"""Minibatches: without replacement, decided by a seed, resumed anywhere; and the noise of their gradients."""

import copy
import json
import math
import re
from typing import NamedTuple

import numpy as np
import pytest

import schuss
from schuss.data import Minibatches, gradient_standard_error

ORDERS = ("shuffle_once", "shuffle_each_epoch", "stream")
SHUFFLED = ORDERS[:2]

every_order = pytest.mark.parametrize("order", ORDERS)
shuffled = pytest.mark.parametrize("order", SHUFFLED)


class Examples(NamedTuple):
    x: np.ndarray
    y: np.ndarray


def examples(n):
    return Examples(np.arange(2.0 * n).reshape(n, 2), np.arange(n))


SIZES = [  # n, batch_size, least, drop_last, the sizes of minibatches
    (10, 3, 1, False, [3, 3, 3, 1]),
    (10, 3, 2, False, [3, 3, 4]),
    (11, 3, 2, False, [3, 3, 3, 2]),
    (10, 3, 3, False, [3, 3, 4]),
    (11, 3, 3, False, [3, 3, 5]),
    (9, 3, 3, False, [3, 3, 3]),
    (10, 3, 1, True, [3, 3, 3]),
    (10, 3, 3, True, [3, 3, 3]),
    (9, 3, 1, True, [3, 3, 3]),
    (10, 10, 1, True, [10]),
    (10, 12, 1, False, [10]),
    (10, 9, 2, False, [10]),
    (3, 1, 1, False, [1, 1, 1]),
    (1, 1, 1, True, [1]),
]


@every_order
@pytest.mark.parametrize(("n", "batch_size", "least", "drop_last", "sizes"), SIZES)
def test_an_epoch_has_every_example_once(order, n, batch_size, least, drop_last, sizes):
    options = {"order": order, "seed": 0, "least": least, "drop_last": drop_last}
    minibatches = Minibatches(n, batch_size, **options)
    assert len(minibatches) == len(sizes)
    batches = list(minibatches)
    assert [len(batch) for batch in batches] == sizes
    given = np.concatenate(batches)
    assert len(set(given.tolist())) == len(given) == sum(sizes)
    assert set(given.tolist()) <= set(range(n))
    assert (minibatches.epoch, minibatches.position) == (1, 0)
    if order == "stream":
        np.testing.assert_array_equal(given, np.arange(sum(sizes)))
        from_iterable = list(Minibatches(iter(range(n)), batch_size, **options))
        for batch, same in zip(from_iterable, batches, strict=True):
            np.testing.assert_array_equal(batch, same)


def epochs(minibatches, number):
    return [np.concatenate(list(minibatches)).tolist() for _ in range(number)]


def test_shuffle_once_keeps_its_order_and_shuffle_each_epoch_does_not():
    once = epochs(Minibatches(50, 8, order="shuffle_once", seed=0), 4)
    each = epochs(Minibatches(50, 8, order="shuffle_each_epoch", seed=0), 4)
    assert once == [once[0]] * 4
    assert len({tuple(order) for order in each}) == 4
    assert all(order != sorted(order) for order in (*once, *each))


@shuffled
def test_a_seed_decides_the_order(order):
    def make(seed):
        return epochs(Minibatches(50, 8, order=order, seed=seed), 3)

    assert make(0) == make(0)
    assert len({tuple(map(tuple, make(seed))) for seed in range(5)}) == 5


def test_neither_epochs_nor_seeds_share_their_permutations():
    orders = [o for seed in range(5) for o in epochs(Minibatches(20, 20, order="shuffle_each_epoch", seed=seed), 5)]
    assert len({tuple(order) for order in orders}) == 25


@every_order
def test_minibatches_are_in_the_form_of_the_data(order):
    data = examples(7)
    for batch in Minibatches(data, 3, order=order, seed=0):
        assert isinstance(batch, Examples)
        np.testing.assert_array_equal(batch.x[:, 0], 2.0 * batch.y)
    for batch in Minibatches(tuple(data), 3, order=order, seed=0):
        assert type(batch) is tuple
        np.testing.assert_array_equal(batch[0][:, 0], 2.0 * batch[1])
    for batch in Minibatches(data.x, 3, order=order, seed=0):
        assert batch.shape[1:] == (2,)


def test_a_stream_stacks_its_examples():
    stream = (Examples(np.full(2, float(i), np.float32), i) for i in range(5))
    first, second = Minibatches(stream, 3, order="stream")
    assert isinstance(first, Examples)
    np.testing.assert_array_equal(second.x, np.array([[3, 3], [4, 4]], np.float32), strict=True)
    np.testing.assert_array_equal(first.y, [0, 1, 2])


def test_a_stream_is_read_only_as_far_as_needed():
    read = []
    minibatches = iter(Minibatches((read.append(i) or i for i in range(100)), 4, order="stream"))
    next(minibatches)
    assert read == [0, 1, 2, 3, 4]  # one ahead, to know whether it is the last one


# ---- resuming ----


def batches(minibatches, number, until=None):
    """The minibatches of so many epochs, and a state after one of them."""
    given, state = [], None
    for _ in range(number):
        for batch in minibatches:
            given.append(batch.tolist())
            if len(given) == until:
                return given, json.loads(json.dumps(minibatches.state_dict()))
    return given, state


@shuffled
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("least", [1, 3])
@pytest.mark.parametrize("until", range(1, 8))
def test_a_state_continues_with_the_same_minibatches(order, drop_last, least, until):
    def make():
        return Minibatches(np.arange(11) * 10, 3, order=order, seed=5, drop_last=drop_last, least=least)

    whole, _ = batches(make(), 3)
    given, state = batches(make(), 3, until)
    resumed = make()
    resumed.load_state_dict(state)
    following, _ = batches(resumed, 3 - resumed.epoch)
    assert given + following == whole


@pytest.mark.parametrize("kind", [np.arange, range, lambda n: iter(range(n))], ids=["array", "range", "iterator"])
@pytest.mark.parametrize("least", [1, 3])
@pytest.mark.parametrize("until", range(1, 4))
def test_a_stream_is_resumed_by_skipping(kind, least, until):
    def make():
        return Minibatches(kind(11), 3, order="stream", least=least)

    whole, _ = batches(make(), 1)
    given, state = batches(make(), 1, until)
    resumed = make()
    resumed.load_state_dict(state)
    assert given + batches(resumed, 1)[0] == whole


@every_order
def test_a_loop_that_was_left_goes_on_where_it_was(order):
    data = iter(range(10)) if order == "stream" else 10
    minibatches = Minibatches(data, 3, order=order, seed=0)
    first = next(iter(minibatches))
    rest = list(minibatches)
    assert (len(first), [len(batch) for batch in rest], minibatches.epoch) == (3, [3, 3, 1], 1)
    assert sorted(np.concatenate([first, *rest])) == list(range(10))


@shuffled
def test_a_copy_goes_its_own_way(order):
    minibatches = Minibatches(10, 3, order=order, seed=0)
    next(iter(minibatches))
    twin = copy.deepcopy(minibatches)
    rest = [batch.tolist() for batch in minibatches]
    assert [batch.tolist() for batch in twin] == rest


# ---- wrong arguments ----

X = np.zeros((5, 2))

ERRORS = [
    (lambda: Minibatches(0, 1, seed=0), ValueError, "data must be an integer of at least 1, got 0"),
    (lambda: Minibatches(True, 1, seed=0), TypeError, "data must be an integer of at least 1, got True"),
    (lambda: Minibatches(5.0, 1, seed=0), TypeError, "data must be a number, an array or a tuple of arrays, got fl"),
    (
        lambda: Minibatches([1, 2], 1, seed=0),
        TypeError,
        "data must be a number, an array or a tuple of arrays, got li",
    ),
    (lambda: Minibatches(np.float64(3), 1, seed=0), TypeError, "got float64"),
    (lambda: Minibatches(X[:0], 1, seed=0), ValueError, "data has 0 examples, expected at least 1"),
    (lambda: Minibatches((X, X[:3]), 1, seed=0), ValueError, "data has arrays of the lengths [5, 3]"),
    (lambda: Minibatches((), 1, seed=0), ValueError, "data has arrays of the lengths []"),
    (lambda: Minibatches(X, 0, seed=0), ValueError, "batch_size must be an integer of at least 1, got 0"),
    (lambda: Minibatches(X, 2.0, seed=0), TypeError, "batch_size must be an integer of at least 1, got 2.0"),
    (lambda: Minibatches(X, 6, seed=0, drop_last=True), ValueError, "data has 5 examples, expected at least 6"),
    (lambda: Minibatches(X, 6, seed=0, least=6), ValueError, "data has 5 examples, expected at least 6"),
    (lambda: Minibatches(X, 2, seed=0, least=3), ValueError, "least must be at most batch_size=2, got 3"),
    (lambda: Minibatches(X, 2, seed=0, least=0), ValueError, "least must be an integer of at least 1, got 0"),
    (lambda: Minibatches(X, 2), TypeError, "order 'shuffle_once' needs a seed"),
    (lambda: Minibatches(X, 2, seed=0.5), TypeError, "seed must be an integer of at least 0"),
    (lambda: Minibatches(X, 2, seed=-1), ValueError, "seed must be an integer of at least 0"),
    (
        lambda: Minibatches(X, 2, seed=0, order="sorted"),
        ValueError,
        "order must be one of 'shuffle_once',",
    ),
    (lambda: Minibatches(X, 2, seed=0, drop_last=1), TypeError, "drop_last must be True or False, got 1"),
    (lambda: len(Minibatches(iter(X), 2, order="stream")), TypeError, "a stream has no length"),
    (
        lambda: list(Minibatches(iter(()), 2, order="stream")),
        ValueError,
        "data has too few examples for a",
    ),
    (lambda: list(Minibatches([{}], 2, order="stream")), TypeError, "data has an example of type dict"),
    (lambda: list(Minibatches([X, X[:2]], 2, order="stream")), ValueError, "same shape"),
    (lambda: gradient_standard_error(3, 9, seed=0), TypeError, "gradient is 3, expected a function"),
    (lambda: gradient_standard_error(abs, 0, seed=0), ValueError, "n must be an integer of at least 1, got 0"),
    (
        lambda: gradient_standard_error(abs, 9, seed=0, repeats=1),
        ValueError,
        "repeats must be an integer of",
    ),
    (lambda: gradient_standard_error(abs, 9, seed=0, batch_sizes=()), TypeError, "batch_sizes must be a list of at"),
    (lambda: gradient_standard_error(abs, 9, seed=0, batch_sizes=3), TypeError, "at least one integer, got 3"),
    (lambda: gradient_standard_error(abs, 9, seed=0, batch_sizes=[2, 0]), ValueError, "batch_sizes[1] must be an"),
    (lambda: gradient_standard_error(abs, 9, seed="0"), TypeError, "seed must be an integer"),
    (lambda: gradient_standard_error(lambda i: i / 0, 9, seed=0), ValueError, "not finite for a minibatch of 1"),
    (
        lambda: gradient_standard_error(lambda i: np.zeros(i[0] + 1), 9, seed=0),
        ValueError,
        "elements, expected",
    ),
]


@pytest.mark.parametrize(("call", "exception", "message"), ERRORS, ids=[message for _, _, message in ERRORS])
def test_wrong_arguments(call, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        call()


@pytest.mark.parametrize("data", [range(5), X])
def test_a_stream_is_for_one_pass(data):
    minibatches = Minibatches(data, 2, order="stream")
    list(minibatches)
    with pytest.raises(RuntimeError, match="the stream has been used up"):
        list(minibatches)


STATE_ERRORS = [
    ({"seed": 1}, ValueError, "state['seed'] is 1, expected 0"),
    ({"n": 9}, ValueError, "state['n'] is 9, expected 10"),
    ({"order": "shuffle_once"}, ValueError, "state['order'] is 'shuffle_once', expected 'shuffle_each_epoch'"),
    ({"position": 2}, ValueError, "state['position'] is 2, where no minibatch begins"),
    ({"position": 12}, ValueError, "state['position'] is 12, where no minibatch begins"),
    ({"position": -3}, ValueError, "state['position'] must be an integer of at least 0, got -3"),
    ({"epoch": 1.0}, TypeError, "state['epoch'] must be an integer of at least 0, got 1.0"),
    (
        {"shape": 1},
        ValueError,
        "state has the entries ['batch_size', 'drop_last', 'epoch', 'least', 'n',",
    ),
]


@pytest.mark.parametrize(("change", "exception", "message"), STATE_ERRORS, ids=[m for _, _, m in STATE_ERRORS])
def test_a_state_that_does_not_fit_changes_nothing(change, exception, message):
    minibatches = Minibatches(10, 3, order="shuffle_each_epoch", seed=0)
    next(iter(minibatches))
    before = minibatches.state_dict()
    with pytest.raises(exception, match=re.escape(message)):
        minibatches.load_state_dict({**before, **change})
    assert minibatches.state_dict() == before


def test_an_iterator_that_was_read_from_or_is_too_short_cannot_be_resumed():
    minibatches = Minibatches(iter(range(10)), 3, order="stream")
    next(iter(minibatches))
    state = minibatches.state_dict()
    with pytest.raises(RuntimeError, match="the stream has been read from already"):
        minibatches.load_state_dict(state)
    short = Minibatches(iter(range(2)), 3, order="stream")
    short.load_state_dict(state)
    with pytest.raises(ValueError, match="data has fewer than the 3 examples that had been given out"):
        list(short)


# ---- the standard error ----


def regression(n=300, features=4):
    """The mean gradient of the squared errors of some examples, and the gradients of all of them."""
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(n, features)), rng.normal(size=n), rng.normal(size=features)
    each = (x @ w - y)[:, None] * x
    return (lambda indices: each[indices].mean(axis=0)), each


def test_the_standard_error_falls_with_the_root_of_the_batch_size():
    gradient, each = regression()
    seen = []
    found = gradient_standard_error(
        gradient, 300, batch_sizes=(1, 10, 100, 1000), repeats=400, seed=0, callback=lambda *args: seen.append(args)
    )
    sigma = math.sqrt(each.var(axis=0).sum())
    # The relative deviation of a standard error from so many repeats is about 1/√(2·400), 3.5 %, at most.
    np.testing.assert_allclose(found.errors, sigma / np.sqrt([1, 10, 100, 1000]), rtol=0.15)
    np.testing.assert_allclose(found.law, found.sigma / np.sqrt([1, 10, 100, 1000]), rtol=1e-15)
    assert found.sigma == pytest.approx(sigma, rel=0.1)
    assert found.exponent == pytest.approx(-0.5, abs=0.03)
    assert seen == list(zip([1, 10, 100, 1000], found.errors, strict=True))


def test_the_standard_error_is_that_of_the_definition():
    gradient, _ = regression()
    given = []

    def recorded(indices):
        given.append(gradient(indices))
        return given[-1]

    found = gradient_standard_error(recorded, 300, batch_sizes=(5,), repeats=30, seed=3)
    assert found.errors[0] == pytest.approx(math.sqrt(np.var(given, axis=0, ddof=1).sum()), rel=1e-12)
    assert math.isnan(found.exponent)


@pytest.mark.parametrize("form", [list, tuple, lambda parts: dict(enumerate(parts)), lambda parts: np.stack(parts)])
def test_gradients_may_have_any_form(form):
    gradient, _ = regression()
    expected = gradient_standard_error(gradient, 300, repeats=10, seed=0)
    found = gradient_standard_error(lambda i: form(np.split(gradient(i), 2)), 300, repeats=10, seed=0)
    np.testing.assert_array_equal(found.errors, expected.errors)


def test_a_gradient_without_noise_has_no_error():
    found = gradient_standard_error(lambda i: np.full(3, 0.1), 9, seed=0)
    assert found.sigma == 0
    assert math.isnan(found.exponent)


def test_it_is_a_diagnostic_too():
    assert schuss.diagnostics.gradient_standard_error is gradient_standard_error

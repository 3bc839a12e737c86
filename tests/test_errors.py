"""Bad input: which exception, which message, and that nothing at all has been modified."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import kernels


@dataclass(frozen=True)
class ErrorCase:
    """What is wrong, how it is made from three good arrays, and what has to be said."""

    why: str
    make: Any
    exception: type[Exception]
    message: str

    def __str__(self) -> str:
        return self.why.replace(" ", "_")


def raises(case: ErrorCase):
    return pytest.raises(case.exception, match=re.escape(case.message))


def replaced(arrays, index, array):
    return [*arrays[:index], array, *arrays[index + 1 :]]


def read_only(shape):
    array = np.ones(shape, np.float32)
    array.flags.writeable = False
    return array


def misaligned(n):
    return np.zeros(n * 4 + 1, np.uint8)[1:].view(np.float32)


BUFFER = np.zeros(20, np.float32)

ARRAY_CASES = [  # the list `arrays` holds float32 arrays of shapes (4,), (2, 3) and (5,)
    ErrorCase("wrong dtype", lambda a: replaced(a, 1, np.ones((2, 3), np.int32)), TypeError, "[1] has dtype int32"),
    ErrorCase(
        "half precision", lambda a: replaced(a, 1, np.ones((2, 3), np.float16)), TypeError, "[1] has dtype float16"
    ),
    ErrorCase("foreign byte order", lambda a: replaced(a, 2, np.ones(5, ">f4")), TypeError, "[2] has dtype >f4"),
    ErrorCase("no array", lambda a: replaced(a, 0, [1.0] * 4), TypeError, "[0] is list, expected a NumPy array"),
    ErrorCase("none", lambda a: replaced(a, 0, None), TypeError, "[0] is NoneType, expected a NumPy array"),
    ErrorCase("text", lambda a: replaced(a, 2, "theta"), TypeError, "[2] is str, expected a NumPy array"),
    ErrorCase(
        "transposed",
        lambda a: replaced(a, 1, np.ones((3, 2), np.float32).T),
        ValueError,
        "[1] has shape (2, 3) and strides (4, 8), expected a C-contiguous array",
    ),
    ErrorCase(
        "strided",
        lambda a: replaced(a, 2, np.ones(10, np.float32)[::2]),
        ValueError,
        "[2] has shape (5,) and strides (8,)",
    ),
    ErrorCase("misaligned", lambda a: replaced(a, 2, misaligned(5)), ValueError, "[2] is not aligned"),
]

PARAM_CASES = [
    *ARRAY_CASES,
    ErrorCase(
        "read-only", lambda a: replaced(a, 2, read_only(5)), ValueError, "[2] is read-only, expected a writable array"
    ),
    ErrorCase(
        "the same array twice", lambda a: [a[0], a[1], a[0]], ValueError, "params[2] overlaps params[0] in memory"
    ),
    ErrorCase(
        "overlapping views",
        lambda a: [a[0], BUFFER[:10], BUFFER[9:15]],
        ValueError,
        "params[2] overlaps params[1] in memory",
    ),
    ErrorCase(
        "one inside another",
        lambda a: [a[0], BUFFER, BUFFER[5:6]],
        ValueError,
        "params[2] overlaps params[1] in memory",
    ),
]

GRAD_CASES = [
    *ARRAY_CASES,
    ErrorCase(
        "other dtype than its parameter",
        lambda a: replaced(a, 1, np.ones((2, 3))),
        TypeError,
        "grads[1] has dtype float64, expected float32 like params[1]",
    ),
    ErrorCase(
        "other shape",
        lambda a: replaced(a, 1, np.ones((3, 2), np.float32)),
        ValueError,
        "grads[1] has shape (3, 2), expected (2, 3) like params[1]",
    ),
    ErrorCase(
        "same size, other rank",
        lambda a: replaced(a, 1, np.ones(6, np.float32)),
        ValueError,
        "grads[1] has shape (6,), expected (2, 3) like params[1]",
    ),
    ErrorCase("too few", lambda a: a[:2], ValueError, "grads has 2 arrays, expected 3 like params"),
    ErrorCase("too many", lambda a: [*a, a[0]], ValueError, "grads has 4 arrays, expected 3 like params"),
    ErrorCase("a single array", lambda a: a[0], TypeError, "grads is ndarray, expected a list of arrays like params"),
    ErrorCase(
        "a dict for a list", lambda a: {"a": a[0]}, TypeError, "grads is dict, expected a list of arrays like params"
    ),
]


def good_arrays():
    return [np.ones(4, np.float32), np.ones((2, 3), np.float32), np.ones(5, np.float32)]


@pytest.mark.parametrize("case", PARAM_CASES, ids=str)
def test_params(case):
    arrays = case.make(good_arrays())
    with raises(case):
        schuss.Adam(arrays)


@pytest.mark.parametrize("case", GRAD_CASES, ids=str)
def test_grads_and_nothing_is_modified(case):
    params = good_arrays()
    optimizer = schuss.Adam(params)
    optimizer.step(good_arrays())
    before, state = [p.copy() for p in params], optimizer.state_dict()
    with raises(case):
        optimizer.step(case.make(good_arrays()))
    after = optimizer.state_dict()
    assert all(np.array_equal(a, b) for a, b in zip(before, params, strict=True))
    assert all(np.array_equal(state["state"][name], after["state"][name]) for name in state["state"])
    assert after["steps"] == optimizer.steps == 1
    optimizer.step(good_arrays())  # and goes on


def test_a_gradient_that_overlaps_a_parameter_or_the_state():
    params = good_arrays()
    optimizer = schuss.Adam(params)
    with pytest.raises(ValueError, match=r"grads\[0\] overlaps params\[0\] in memory, expected an array of its own"):
        optimizer.step([params[0], *good_arrays()[1:]])
    with pytest.raises(ValueError, match=r"r\[2\] overlaps grads\[2\] in memory"):
        optimizer.step([*good_arrays()[:2], optimizer.state["r"][2]])
    assert all(np.array_equal(p, good) for p, good in zip(params, good_arrays(), strict=True))


def test_gradients_may_share_memory_among_themselves():
    params = [np.ones(4), np.ones(4)]
    g = np.ones(4)
    schuss.SGD(params, lr=0.5).step([g, g])
    assert np.array_equal(params[1], np.full(4, 0.5))


DICT_CASES = [
    ErrorCase(
        "missing key",
        lambda g: {"w": g["w"]},
        ValueError,
        "grads lacks the key 'b', expected the keys of params: ['w', 'b']",
    ),
    ErrorCase(
        "unknown key",
        lambda g: {**g, "c": g["b"]},
        ValueError,
        "grads has the key 'c', expected the keys of params: ['w', 'b']",
    ),
    ErrorCase(
        "a list for a dict",
        lambda g: list(g.values()),
        TypeError,
        "grads is list, expected a dict of arrays like params",
    ),
    ErrorCase("wrong dtype", lambda g: {**g, "b": np.ones(2, int)}, TypeError, "grads['b'] has dtype int64"),
]


@pytest.mark.parametrize("case", DICT_CASES, ids=str)
def test_dicts(case):
    params = {"w": np.ones(3), "b": np.ones(2)}
    optimizer = schuss.SGD(params, lr=0.1)
    with raises(case):
        optimizer.step(case.make({"w": np.ones(3), "b": np.ones(2)}))
    assert np.array_equal(params["w"], np.ones(3))


def test_groups():
    groups = [{"params": [np.ones(2)]}, {"params": {"w": np.ones(3)}, "lr": 0.5}]
    optimizer = schuss.SGD(groups, lr=0.1)
    good = [[np.ones(2)], {"w": np.ones(3)}]
    for grads, exception, message in [
        ([good[0]], ValueError, "grads has 1 entries, expected 2, one for each group"),
        ({"w": good[0]}, TypeError, "grads is dict, expected a list with an entry for each of params' groups"),
        ([good[0], {"v": np.ones(3)}], ValueError, "grads[1] lacks the key 'w'"),
        ([good[0], {"w": np.ones(4)}], ValueError, "grads[1]['w'] has shape (4,), expected (3,) like params[1]['w']"),
    ]:
        with pytest.raises(exception, match=re.escape(message)):
            optimizer.step(grads)
    for bad, exception, message in [
        ({"params": [np.ones(2)], "rate": 1}, TypeError, "params[0]: unknown option 'rate', expected lr, "),
        (
            {"params": [np.ones(2)], "convention": "torch"},
            ValueError,
            "params[0]: convention is 'torch', expected one",
        ),
        ({"params": [np.ones(2)], "lr": -1.0}, ValueError, "params[0]: lr must be in [0, inf), got -1.0"),
    ]:
        with pytest.raises(exception, match=re.escape(message)):
            schuss.SGD([bad], lr=0.1)


NAN = math.nan

PARAMS_CASES = [
    (np.ones(3), "params must be a list or a dict of arrays, or a list of groups, got ndarray"),
    (1.5, "params must be a list or a dict of arrays, or a list of groups, got float"),
    ("theta", "params must be a list or a dict of arrays, or a list of groups, got str"),
]


@pytest.mark.parametrize(("params", "message"), PARAMS_CASES)
def test_params_of_the_wrong_kind(params, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        schuss.Adam(params)


def test_a_schedule_or_a_group_that_goes_wrong_stops_the_step():
    theta = np.ones(3)
    optimizer = schuss.SGD([theta], lr=lambda t: 0.1 if t < 1 else NAN)
    optimizer.step([np.ones(3)])
    with pytest.raises(ValueError, match=r"lr must be in \[0, inf\), got nan"):
        optimizer.step([np.ones(3)])
    assert optimizer.steps == 1
    assert np.array_equal(theta, np.full(3, 0.9))

    optimizer = schuss.SGD([theta], lr=0.1)
    for name, value, message in [
        ("lr", NAN, "lr must be in [0, inf), got nan"),
        ("momentum", 0.9, "groups[0]['momentum'] is 0.9, expected 0.0: the state was made for it at construction"),
        ("convention", "torch", "groups[0]['convention'] is 'torch', expected 'book'"),
    ]:
        before = optimizer.groups[0][name]
        optimizer.groups[0][name] = value
        with pytest.raises(ValueError, match=re.escape(message)):
            optimizer.step([np.ones(3)])
        optimizer.groups[0][name] = before
    optimizer.step([np.ones(3)])


KERNEL_CASES = [
    ("adam", (np.ones(3), np.ones(3), np.ones(3)), {"step": 1}, TypeError, "missing a required argument: 'r'"),
    ("adam", (np.ones(3),) * 4, {}, TypeError, "'step'"),
    ("sgd", (np.ones(3), np.ones(3)), {"step": 1}, TypeError, "unexpected keyword argument 'step'"),
    (
        "adam",
        [np.ones(3) for _ in range(4)],
        {"step": 0},
        ValueError,
        "step must be an integer of at least 1 and less",
    ),
    ("sgd", (np.ones(3), np.ones(3)), {"lr": NAN}, ValueError, "lr must be in [0, inf), got nan"),
    ("sgd", (np.ones(3), np.ones(2)), {}, ValueError, "g has shape (2,), expected (3,) like theta"),
    ("sgd", ([np.ones(3)], np.ones(3)), {}, TypeError, "g is ndarray, expected a list like theta"),
    ("sgd", ([np.ones(3)], []), {}, ValueError, "g has 0 arrays, expected 1 like theta"),
    ("adagrad", (np.ones(3), np.ones(3), None), {"step": 1}, ValueError, "r is None, expected the state that adagrad"),
    (
        "rmsprop",
        (np.ones(3), np.ones(3), np.ones(3)),
        {"momentum": 0.9},
        ValueError,
        "v is None, expected the state that momentum needs",
    ),
    ("sgd", (read_only(3), np.ones(3, np.float32)), {}, ValueError, "theta is read-only"),
]


@pytest.mark.parametrize(("rule", "arrays", "options", "exception", "message"), KERNEL_CASES)
def test_kernels(rule, arrays, options, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        getattr(kernels, rule)(*arrays, **options)


def test_there_are_no_other_kernels():
    with pytest.raises(AttributeError, match="there is no kernel 'adamax', expected one of sgd, "):
        kernels.adamax  # noqa: B018


class LongList(list):
    """A list that claims to hold more than it does."""

    def __len__(self):
        return 500


def test_lists_that_lie_about_their_length_are_read_no_further_than_they_reach():
    theta = np.ones(3)
    kernels.sgd(LongList([theta]), LongList([np.ones(3)]), lr=0.5)
    schuss.SGD([theta], lr=0.5).step(LongList([np.ones(3)]))
    assert np.array_equal(theta, np.zeros(3))


class Exported:
    """An array that offers its memory by DLPack only."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **arguments):
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match=r"params\[0\] is a masked array, expected one without a mask"):
        schuss.SGD([np.ma.array(np.ones(3), mask=[0, 1, 0])], lr=0.1)


def test_dlpack_arrays_are_written_in_place_and_read_only_ones_refused():
    theta = np.ones(3)
    schuss.SGD([Exported(theta)], lr=0.5).step([Exported(np.ones(3))])
    assert np.array_equal(theta, np.full(3, 0.5))
    g = read_only(3)
    schuss.SGD([np.ones(3, np.float32)], lr=0.5).step([g])  # a read-only gradient will do
    with pytest.raises(ValueError, match=r"params\[0\] is read-only, expected a writable array"):
        schuss.SGD([Exported(read_only(3))], lr=0.5)

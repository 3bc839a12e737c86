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
    ErrorCase("complex", lambda a: replaced(a, 1, np.ones((2, 3), np.complex64)), TypeError, "[1] has dtype complex64"),
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
        "grads[1] has dtype float64, expected float32, bfloat16 or float16",
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

    optimizer = schuss.Nesterov([theta], lr=0.1, momentum=lambda t: 0.5 if t < 1 else 1.5)
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got 1.5"):
        optimizer.step([np.ones(3)])
    assert (optimizer.steps, optimizer.groups[0]["look_ahead"]) == (0, 0.5)
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
    ("sgd", (np.ones(3, np.float32), np.ones(3, np.float16)), {}, TypeError, "g is stored in fewer bits than theta"),
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
    with pytest.raises(AttributeError, match="there is no kernel 'adam2', expected one of sgd, "):
        kernels.adam2  # noqa: B018


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


# ---- batch normalization ----


def strided(*shape):
    return np.ones((*shape[:-1], 2 * shape[-1]), np.float32)[..., ::2]


X = np.ones((4, 3), np.float32)

BATCH_NORM_CASES = [  # what differs from a good call with x of shape (4, 3)
    ({"x": np.ones((0, 3), np.float32)}, ValueError, "x has shape (0, 3), expected at least one element"),
    ({"x": np.ones((4, 0), np.float32)}, ValueError, "x has shape (4, 0), expected at least one element"),
    ({"x": np.float32(1)}, TypeError, "x is float32, expected a NumPy array"),
    (
        {"x": np.ones((1, 3), np.float32), "out": None},
        ValueError,
        "x of shape (1, 3) has one value for each channel on axis 1, expected at least two in training",
    ),
    ({"x": np.ones((4, 3), np.float16)}, TypeError, "x has dtype float16, expected float32 or float64"),
    ({"x": strided(4, 3)}, ValueError, "x has shape (4, 3) and strides (24, 8), expected a C-contiguous array"),
    ({"gamma": np.ones(4, np.float32)}, ValueError, "gamma has shape (4,), expected (3,): x of shape (4, 3) has 3"),
    ({"beta": np.ones((3, 1), np.float32)}, ValueError, "beta has shape (3, 1), expected (3,)"),
    ({"gamma": np.ones(3)}, TypeError, "gamma has dtype float64, expected float32, x has float32"),
    ({"running_mean": np.ones(2, np.float32)}, ValueError, "running_mean has shape (2,), expected (3,)"),
    ({"running_mean": read_only(3)}, ValueError, "running_mean is read-only"),
    ({"running_var": strided(3)}, ValueError, "running_var has shape (3,) and strides (8,)"),
    ({"running_mean": None}, ValueError, "running_mean is None, expected an array like running_var"),
    (
        {"running_mean": None, "running_var": None, "training": False},
        ValueError,
        "running_mean and running_var are None, expected the statistics that inference needs",
    ),
    ({"residual": np.ones((3, 4), np.float32)}, ValueError, "residual has shape (3, 4), expected (4, 3) like x"),
    ({"out": np.ones((4, 3))}, TypeError, "out has dtype float64, expected float32 like x"),
    ({"out": strided(4, 3)}, ValueError, "out has shape (4, 3) and strides (24, 8)"),
    ({"out": read_only((4, 3))}, ValueError, "out is read-only, expected a writable array"),
    ({"out": X}, ValueError, "out overlaps x in memory"),
    ({"eps": 0.0}, ValueError, "eps must be in (0, inf), got 0.0"),
    ({"eps": -1e-5}, ValueError, "eps must be in (0, inf), got -1e-05"),
    ({"eps": NAN}, ValueError, "eps must be in (0, inf), got nan"),
    ({"eps": "1e-5"}, TypeError, "eps must be a positive number, got '1e-5'"),
    ({"momentum": 1.1}, ValueError, "momentum must be None or in [0, 1], got 1.1"),
    ({"momentum": True}, TypeError, "momentum must be None or a number in [0, 1], got True"),
    ({"momentum": None}, TypeError, "num_batches must be an integer of at least 0, got None"),
    ({"momentum": None, "num_batches": -1}, ValueError, "num_batches must be an integer of at least 0, got -1"),
    ({"num_batches": 3}, ValueError, "num_batches=3 is for momentum=None, got momentum=0.1"),
    ({"channel_axis": 2}, ValueError, "channel_axis is 2, expected an axis of x, which has 2 dimensions"),
    ({"channel_axis": -3}, ValueError, "channel_axis is -3, expected an axis of x"),
    ({"channel_axis": 1.0}, TypeError, "channel_axis must be an integer, got 1.0"),
    ({"channel_axis": 2**40}, ValueError, "channel_axis must be an axis of x, got 1099511627776"),
    ({"eps": 10**400}, ValueError, "eps must be a positive number, got 1000"),
    ({"eps": np.complex128(1j)}, TypeError, "eps must be a positive number, got np.complex128(1j)"),
    ({"activation": X}, ValueError, "activation must be 'relu' or None, got array("),
    ({"activation": "gelu"}, ValueError, "activation must be 'relu' or None, got 'gelu'"),
    ({"training": 1}, TypeError, "training must be True or False, got 1"),
    ({"num_threads": 0}, ValueError, "num_threads must be an integer of at least 1 and less than 2**31, got 0"),
]


@pytest.mark.parametrize(("changed", "exception", "message"), BATCH_NORM_CASES)
def test_batch_norm(changed, exception, message):
    arguments = {
        "x": X,
        "gamma": np.ones(3, np.float32),
        "beta": np.zeros(3, np.float32),
        "running_mean": np.full(3, 5, np.float32),
        "running_var": np.full(3, 6, np.float32),
        "training": True,
        "out": np.full((4, 3), 7, np.float32),
        **changed,
    }
    before = {name: a.copy() for name, a in arguments.items() if isinstance(a, np.ndarray)}
    with pytest.raises(exception, match=re.escape(message)):
        schuss.batch_norm(**arguments)
    for name, array in before.items():
        assert np.array_equal(array, arguments[name], equal_nan=True)


def test_batch_norm_outputs_that_overlap():
    memory = np.ones(12 + 3, np.float32)
    arguments = {"running_mean": memory[10:13], "running_var": np.ones(3, np.float32), "training": True}
    with pytest.raises(ValueError, match="out overlaps running_mean in memory"):
        schuss.batch_norm(X, out=memory[:12].reshape(4, 3), **arguments)
    assert (memory == 1).all()


SEVENS = np.full((4, 3), 7, np.float32)

BACKWARD_CASES = [
    ({"dy": np.ones((3, 4), np.float32)}, ValueError, "dy has shape (3, 4), expected (4, 3) like x"),
    ({"dy": np.ones((4, 3))}, TypeError, "dy has dtype float64, expected float32 like x"),
    ({"dy": strided(4, 3)}, ValueError, "dy has shape (4, 3) and strides (24, 8)"),
    ({"saved": (1, 2)}, TypeError, "saved must be what batch_norm returned, got tuple"),
    ({"out": X}, ValueError, "out overlaps x in memory"),
    ({"dy": SEVENS, "out": SEVENS}, ValueError, "out overlaps dy in memory"),
    ({"out": read_only((4, 3))}, ValueError, "out is read-only"),
    ({"num_threads": "2"}, TypeError, "num_threads must be an integer of at least 1, got '2'"),
]


@pytest.mark.parametrize(("changed", "exception", "message"), BACKWARD_CASES)
def test_batch_norm_backward(changed, exception, message):
    _, saved = schuss.batch_norm(X, training=True)
    arguments = {"dy": np.ones((4, 3), np.float32), "saved": saved, "out": np.full((4, 3), 7, np.float32), **changed}
    arrays = {**arguments, "mean": saved.mean, "var": saved.var, "x": X}
    before = {name: a.copy() for name, a in arrays.items() if isinstance(a, np.ndarray)}
    with pytest.raises(exception, match=re.escape(message)):
        schuss.batch_norm_backward(**arguments)
    for name, array in before.items():
        assert np.array_equal(array, arrays[name])


LAYER_CASES = [
    ((0,), {}, ValueError, "num_channels must be an integer of at least 1, got 0"),
    ((2.0,), {}, TypeError, "num_channels must be an integer of at least 1, got 2.0"),
    ((10**30,), {}, ValueError, "num_channels must be an integer of at least 1"),
    ((3,), {"dtype": "foo"}, TypeError, "dtype must be float32 or float64, got 'foo'"),
    ((3,), {"dtype": None}, TypeError, "dtype must be float32 or float64, got None"),
    ((3,), {"affine": "no"}, TypeError, "affine must be True or False, got 'no'"),
    ((3,), {"eps": np.bool_(True)}, TypeError, "eps must be a positive number, got np.True_"),
    ((3,), {"dtype": "float16"}, TypeError, "dtype must be float32 or float64, got 'float16'"),
    ((3,), {"eps": 0}, ValueError, "eps must be in (0, inf), got 0"),
    ((3,), {"momentum": -0.1}, ValueError, "momentum must be None or in [0, 1], got -0.1"),
    ((3,), {"activation": "tanh"}, ValueError, "activation must be 'relu' or None, got 'tanh'"),
    ((3,), {"num_threads": 0}, ValueError, "num_threads must be an integer of at least 1 and less than 2**31, got 0"),
]


@pytest.mark.parametrize(("positional", "options", "exception", "message"), LAYER_CASES)
def test_batch_norm_layer(positional, options, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        schuss.BatchNorm(*positional, **options)


def test_batch_norm_layer_out_of_order_or_with_a_wrong_state():
    layer = schuss.BatchNorm(3)
    with pytest.raises(RuntimeError, match="backward needs a forward before it"):
        layer.backward(X)
    with pytest.raises(RuntimeError, match="finalize needs an accumulate before it"):
        layer.finalize()
    with pytest.raises(ValueError, match=r"running_mean has shape .* has 2 channels on axis 1"):
        layer.accumulate(np.ones((4, 2), np.float32))
    state = layer.state_dict()
    for changed, exception, message in [
        ({"gamma": np.ones(3)}, TypeError, "state['gamma'] has dtype float64, expected float32"),
        ({"running_var": np.ones(2, np.float32)}, ValueError, "state['running_var'] has shape (2,), expected (3,)"),
        ({"num_batches": -1}, ValueError, "state['num_batches'] must be an integer of at least 0, got -1"),
        ({"num_batches": 2.7}, TypeError, "state['num_batches'] must be an integer of at least 0, got 2.7"),
        ({"momentum": 1}, ValueError, "state has the names"),
        ({3: 1}, ValueError, "state has the names"),
    ]:
        with pytest.raises(exception, match=re.escape(message)):
            layer.load_state_dict({**state, **changed})
    assert all(np.array_equal(value, state[name]) for name, value in layer.state_dict().items())

"""Batch normalization: bits against the reference, gradients, torch, statistics that are hard to get right."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import schuss
from cases import DTYPES, LEVELS
from schuss import _core, reference


@dataclass(frozen=True)
class Shape:
    """The shape of the data, the axis of its channels, and why the table has it."""

    shape: tuple[int, ...]
    axis: int
    why: str

    def __str__(self) -> str:
        return self.why.replace(" ", "_")


SHAPES = [
    Shape((256, 100), -1, "a design matrix with a tail of channels"),
    Shape((2, 1), 1, "two values"),
    Shape((513, 8), -1, "one more row than a chunk"),
    Shape((17, 333), 1, "few rows of many channels"),
    Shape((70, 523), 1, "more channels than a tile"),
    Shape((3100, 3), -1, "fewer channels than a register holds"),
    Shape((7, 5, 33, 31), 1, "N C H W, segments across chunks"),
    Shape((7, 33, 31, 5), -1, "N H W C"),
    Shape((9, 40, 14, 14), 1, "segments of 196"),
    Shape((50, 20, 7, 7), 1, "segments of 49"),
    Shape((400, 11, 2, 2), 1, "segments of 4"),
    Shape((2, 3, 130, 131), 1, "few channels of large images"),
    Shape((30, 6, 70), 1, "N C L"),
    Shape((4, 3, 5, 6, 7), 1, "5-D"),
    Shape((3, 4, 5, 6, 7), 2, "a middle axis"),
    Shape((5, 40, 30), 0, "channels first of all"),
    Shape((40000,), 0, "one value in each channel, inference only"),
]

TRAINABLE = [shape for shape in SHAPES if len(shape.shape) > 1]

# Which of gamma, beta and the running statistics there are, the activation, and whether there is a residual.
OPTIONS = [
    (True, True, True, None, False),
    (False, True, True, None, False),
    (True, False, True, "relu", False),
    (True, True, False, "relu", False),
    (False, False, False, None, True),
    (True, True, True, "relu", True),
]


@pytest.fixture(params=LEVELS)
def level(request, monkeypatch):
    """Every instruction-set level that runs here, in turn, under the public functions."""
    for name in ("batch_norm", "batch_norm_backward", "batch_moments"):
        monkeypatch.setattr(_core, name, getattr(LEVELS[request.param], name))
    return request.param


@dataclass
class Data:
    """The arrays of one call."""

    x: np.ndarray
    dy: np.ndarray
    parameters: dict[str, Any]
    running: list[np.ndarray | None]
    options: dict[str, Any]

    def forward(self, function: Any, training: bool, **more: Any) -> tuple[Any, Any, list[np.ndarray | None]]:
        running = [None if r is None else r.copy() for r in self.running]
        parameters = self.parameters.values()
        y, saved = function(self.x, *parameters, *running, training=training, **self.options, **more)
        return y, saved, running


def draw(shape: Shape, dtype: Any, options: tuple[Any, ...] = OPTIONS[0], training: bool = True) -> Data:
    gamma, beta, running, activation, residual = options
    rng = np.random.default_rng(1)

    def normal(size: Any, wanted: bool = True) -> Any:
        return (rng.standard_normal(size) * 2 + 1).astype(dtype) if wanted else None

    channels = shape.shape[shape.axis]
    kept = running or not training
    statistics = [normal(channels, kept), np.square(normal(channels)) if kept else None]
    return Data(
        normal(shape.shape),
        normal(shape.shape),
        {"gamma": normal(channels, gamma), "beta": normal(channels, beta)},
        statistics,
        {"channel_axis": shape.axis, "activation": activation, "residual": normal(shape.shape, residual)},
    )


def assert_same(got: Any, expected: Any) -> None:
    assert (got is None) == (expected is None)
    if expected is not None:
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


# ---- bit for bit ----


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits(shape, dtype, options, training, level):
    if training and shape not in TRAINABLE:
        pytest.skip("has one value in each channel")
    data = draw(shape, dtype, options, training)
    expected_y, expected_saved, expected_running = data.forward(reference.batch_norm, training)
    expected = reference.batch_norm_backward(data.dy, expected_saved)
    for num_threads in (1, 2, 3, 4):
        y, saved, running = data.forward(schuss.batch_norm, training, num_threads=num_threads)
        gradients = schuss.batch_norm_backward(data.dy, saved, num_threads=num_threads)
        results = [y, saved.mean, saved.var, *running, *gradients]
        wanted = [expected_y, expected_saved.mean, expected_saved.var, *expected_running, *expected]
        for got, right in zip(results, wanted, strict=True):
            assert_same(got, right)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_data_beyond_the_caches_have_the_bits_of_each_channel_by_itself(dtype):
    """Large data take other ways through memory, and all threads: the bits are those of few channels on one thread."""
    shape = (24, 70, 90, 70)
    data = draw(Shape(shape, 1, "beyond the caches"), dtype, (True, True, True, "relu", True))
    some = [0, 1, 33, 69]

    def part(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[:, some])

    options = {**data.options, "residual": part(data.options["residual"])}
    parameters = [a[some] for a in (*data.parameters.values(), *data.running)]
    right_y, right = schuss.batch_norm(part(data.x), *parameters, training=True, **options, num_threads=1)
    right_gradients = schuss.batch_norm_backward(part(data.dy), right, num_threads=1)
    for num_threads in (1, 2, 4):
        y, saved, running = data.forward(schuss.batch_norm, True, num_threads=num_threads)
        dx, dgamma, dbeta, dresidual = schuss.batch_norm_backward(data.dy, saved, num_threads=num_threads)
        got = (part(y), *(a[some] for a in (saved.mean, saved.var, *running, dgamma, dbeta)), part(dx), part(dresidual))
        wanted = (
            right_y,
            right.mean,
            right.var,
            *parameters[2:],
            *right_gradients[1:3],
            right_gradients[0],
            right_gradients[3],
        )
        for one, other in zip(got, wanted, strict=True):
            assert_same(one, other)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(8, 24, 14, 14), (3, 5, 45, 47), (2, 70, 13, 13), (300, 9, 2, 2)], ids=str)
def test_both_layouts_of_the_same_data_give_the_same_bits(shape, dtype, options, level):
    first = draw(Shape(shape, 1, ""), dtype, options)
    last = draw(Shape(shape, 1, ""), dtype, options)

    def to_last(array: Any) -> Any:
        return None if array is None else np.ascontiguousarray(np.moveaxis(array, 1, -1))

    last.x, last.dy, last.options["residual"] = map(to_last, (last.x, last.dy, last.options["residual"]))
    last.options["channel_axis"] = -1
    results = []
    for data in (first, last):
        y, saved, running = data.forward(schuss.batch_norm, True, num_threads=2)
        dx, *others = schuss.batch_norm_backward(data.dy, saved, num_threads=2)
        results.append((y, dx, others, [saved.mean, saved.var, *running]))
    assert_same(results[1][0], to_last(results[0][0]))
    assert_same(results[1][1], to_last(results[0][1]))
    for got, right in zip(results[1][2][:2] + results[1][3], results[0][2][:2] + results[0][3], strict=True):
        assert_same(got, right)
    if first.options["residual"] is not None:
        assert_same(results[1][2][2], to_last(results[0][2][2]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(60, 1203, 41), (9000, 1100, 1)], ids=str)
def test_the_ways_of_data_beyond_the_caches(shape, dtype, level):
    """Channels by themselves in short segments, and many threads at once: against the same data with channels last."""
    data = draw(Shape(shape, 1, ""), dtype, (True, True, True, "relu", True))
    last = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (data.x, data.dy, data.options["residual"])]
    options = {**data.options, "channel_axis": -1, "residual": last[2]}
    running = [r.copy() for r in data.running]
    right_y, right = schuss.batch_norm(
        last[0], *data.parameters.values(), *running, training=True, **options, num_threads=1
    )
    right_dx, *right_sums, _ = schuss.batch_norm_backward(last[1], right, num_threads=1)
    for num_threads in (1, 3):
        y, saved, got_running = data.forward(schuss.batch_norm, True, num_threads=num_threads)
        dx, *sums, _ = schuss.batch_norm_backward(data.dy, saved, num_threads=num_threads)
        assert_same(np.moveaxis(y, 1, -1), right_y)
        assert_same(np.moveaxis(dx, 1, -1), right_dx)
        for got, wanted in zip([*sums, *got_running], [*right_sums, *running], strict=True):
            assert_same(got, wanted)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["x", "dy", "running_mean"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_bits_of_what_is_not_finite(where, value, dtype, training, level):
    for shape in (Shape((13, 9), 1, ""), Shape((3, 9, 5), 1, ""), Shape((700, 3), -1, "")):
        data = draw(shape, dtype)
        {"x": data.x, "dy": data.dy, "running_mean": data.running[0]}[where].flat[2] = value
        with np.errstate(invalid="ignore"):
            y, saved, running = data.forward(reference.batch_norm, training)
            wanted = [y, *running, *reference.batch_norm_backward(data.dy, saved)]
        y, saved, running = data.forward(schuss.batch_norm, training)
        for got, right in zip([y, *running, *schuss.batch_norm_backward(data.dy, saved)], wanted, strict=True):
            assert_same(got, right)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("positions", [2, 7, 8, 9, 511, 512, 513, 1027])
@pytest.mark.parametrize("inner", [1, 3, 8, 17, 63, 64, 65])
def test_bits_at_every_edge(positions, inner, dtype, level):
    outer = -(-positions // inner)
    data = draw(Shape((outer, 9, inner), 1, ""), dtype)
    if outer * inner < 2:
        pytest.skip("has one value in each channel")
    y, saved, _ = data.forward(schuss.batch_norm, True)
    expected_y, expected_saved, _ = data.forward(reference.batch_norm, True)
    assert_same(y, expected_y)
    pairs = schuss.batch_norm_backward(data.dy, saved), reference.batch_norm_backward(data.dy, expected_saved)
    for got, right in zip(*pairs, strict=True):
        assert_same(got, right)


def test_nothing_is_written_beyond_the_ends(level):
    for shape, axis in [((37, 13), -1), ((3, 5, 67), 1), ((11, 3, 5), 1), ((70, 130), 1)]:
        size = int(np.prod(shape))
        space = np.full(size + 64, 7.0, np.float32)
        out = space[32 : 32 + size].reshape(shape)
        data = draw(Shape(shape, axis, ""), np.float32)
        y, saved, _ = data.forward(schuss.batch_norm, True, out=out)
        assert y is out
        dx = schuss.batch_norm_backward(data.dy, saved, out=out)[0]
        assert dx is out
        assert_same(dx, schuss.batch_norm_backward(data.dy, saved)[0])
        assert (space[:32] == 7).all()
        assert (space[-32:] == 7).all()


def test_nan_stays_in_its_channel_and_passes_the_activation(level):
    data = draw(Shape((300, 20), -1, ""), np.float32, OPTIONS[5])
    data.x[7, 3] = np.nan
    y, saved, running = data.forward(schuss.batch_norm, True)
    dx = schuss.batch_norm_backward(data.dy, saved)[0]
    for array in (y, dx):
        assert np.isnan(array[:, 3]).all()
        assert not np.isnan(np.delete(array, 3, axis=1)).any()
    assert np.isnan(running[0][3])


# ---- statistics that are hard to get right ----


@pytest.mark.parametrize(("shape", "axis"), [((200_000, 16), -1), ((50, 3, 100, 100), 1)], ids=str)
@pytest.mark.parametrize("mean", [0.0, 1e6, -1e6])
def test_mean_and_variance_are_right_to_float32_rounding(shape, axis, mean, level):
    x = (np.random.default_rng(0).standard_normal(shape) + mean).astype(np.float32)
    y, saved = schuss.batch_norm(x, training=True, channel_axis=axis)
    axes = tuple(k for k in range(len(shape)) if k != axis % len(shape))
    exact = x.astype(np.longdouble)
    right_mean, right_var = exact.mean(axes), exact.var(axes)
    np.testing.assert_allclose(saved.mean, right_mean.astype(float), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(saved.var, right_var.astype(float), rtol=1e-10)
    assert np.abs(y.mean(axes, dtype=float)).max() < 1e-6


def test_mean_and_variance_of_a_hundred_million_values():
    some = (np.random.default_rng(0).standard_normal(10**6) + 1e6).astype(np.float32)
    x = np.tile(some, 100).reshape(1, 1, 10**8)
    _, saved = schuss.batch_norm(x, training=True, channel_axis=1)
    exact = some.astype(np.longdouble)
    np.testing.assert_allclose(saved.mean, float(exact.mean()), rtol=1e-12)
    np.testing.assert_allclose(saved.var, float(exact.var()), rtol=1e-9)


def test_an_outlier_costs_no_digits_wherever_it_is(level):
    x = np.random.default_rng(0).standard_normal((5000, 9)).astype(np.float32)
    for row in (0, 1, 512, 4999):
        data = x.copy()
        data[row] = 1e7
        _, saved = schuss.batch_norm(data, training=True)
        np.testing.assert_allclose(saved.var, data.astype(np.longdouble).var(0).astype(float), rtol=1e-10)
    _, saved = schuss.batch_norm(np.full((5000, 9), 1e7, np.float32), training=True)
    assert_same(saved.var, np.zeros(9))


# ---- gradients ----


def loss(data: Data, training: bool, **changed: Any) -> float:
    arrays = {"x": data.x, **data.parameters, "residual": data.options["residual"], **changed}
    residual = arrays.pop("residual")
    options = {**data.options, "residual": residual}
    running = [None if r is None else r.copy() for r in data.running]
    y, _ = schuss.batch_norm(*arrays.values(), *running, training=training, **options)
    return float((y * data.dy).sum())


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("shape", "axis"), [((6, 4), -1), ((2, 3, 2, 3), 1)], ids=str)
def test_gradients_against_finite_differences(shape, axis, options, training):
    data = draw(Shape(shape, axis, ""), np.float64, options, training)
    _, saved, _ = data.forward(schuss.batch_norm, training)
    gradients = schuss.batch_norm_backward(data.dy, saved)
    names = ("x", "gamma", "beta", "residual")
    arrays = {"x": data.x, **data.parameters, "residual": data.options["residual"]}
    for name, gradient in zip(names, gradients, strict=False):
        if gradient is None:
            continue
        for at in np.ndindex(gradient.shape):
            differences = []
            for sign in (1, -1):
                moved = arrays[name].copy()
                moved[at] += sign * 1e-6
                differences.append(sign * loss(data, training, **{name: moved}))
            assert sum(differences) / 2e-6 == pytest.approx(gradient[at], rel=1e-6, abs=1e-6)


def test_the_gradient_for_a_residual_without_activation_is_dy():
    data = draw(SHAPES[0], np.float32, OPTIONS[4])
    _, saved, _ = data.forward(schuss.batch_norm, True)
    assert schuss.batch_norm_backward(data.dy, saved)[3] is data.dy


# ---- torch ----


def torch_tensors(torch: Any, *arrays: Any) -> list[Any]:
    return [None if a is None else torch.tensor(a) for a in arrays]


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [s for s in TRAINABLE if s.axis == 1 or len(s.shape) == 2], ids=str)
def test_against_torch(shape, options, training):
    torch = pytest.importorskip("torch")
    data = draw(shape, np.float64, options, training)
    x, gamma, beta, residual = torch_tensors(torch, data.x, *data.parameters.values(), data.options["residual"])
    running = torch_tensors(torch, *data.running)
    leaves = [t.requires_grad_() for t in (x, gamma, beta, residual) if t is not None]
    expected = torch.nn.functional.batch_norm(x, *running, gamma, beta, training, 0.1, 1e-5)
    expected = expected if residual is None else expected + residual
    expected = expected if data.options["activation"] is None else expected.relu()
    expected.backward(torch.tensor(data.dy))

    y, saved, ours = data.forward(schuss.batch_norm, training)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-9)
    for got, right in zip(ours, running, strict=True):
        assert (got is None) == (right is None)
        if got is not None:
            np.testing.assert_allclose(got, right.numpy(), rtol=1e-12)
    gradients = [g for g in schuss.batch_norm_backward(data.dy, saved) if g is not None]
    for got, leaf in zip(gradients, leaves, strict=True):
        np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-7, atol=1e-9)


def test_torchs_own_sample_inputs_for_the_function():
    torch = pytest.importorskip("torch")
    methods = pytest.importorskip("torch.testing._internal.common_methods_invocations")
    info = next(op for op in methods.op_db if op.name == "nn.functional.batch_norm")
    taken = 0
    for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
        x = sample.input.detach().numpy().copy()
        if x.size == 0 or x.ndim < 2:
            continue
        mean, var, *rest = sample.args
        given = dict(zip(("weight", "bias"), rest, strict=False))
        keywords = {"training": False, "momentum": 0.1, "eps": 1e-5, "weight": None, "bias": None}
        keywords.update(given, **sample.kwargs)
        if (keywords["training"] and x.size == x.shape[1]) or not 0 <= keywords["momentum"] <= 1:
            continue  # refused here, as one value for each channel is in torch
        arrays = [keywords["weight"], keywords["bias"], mean, var]
        ours = [None if a is None else a.detach().numpy().copy() for a in arrays]
        theirs = [None if a is None else a.detach().clone() for a in arrays]
        leaves = [sample.input.detach().clone().requires_grad_()]
        leaves += [a.requires_grad_() for a in theirs[:2] if a is not None]
        training, eps, momentum = keywords["training"], keywords["eps"], keywords["momentum"]
        expected = torch.nn.functional.batch_norm(leaves[0], *theirs[2:], *theirs[:2], training, momentum, eps)
        y, saved = schuss.batch_norm(x, *ours, training=training, momentum=momentum, eps=eps, channel_axis=1)
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-7, atol=1e-7)
        for got, right in zip(ours[2:], theirs[2:], strict=True):
            if got is not None:
                np.testing.assert_allclose(got, right.numpy(), rtol=1e-12)
        dy = np.random.default_rng(0).standard_normal(x.shape)
        expected.backward(torch.tensor(dy))
        gradients = [g for g in schuss.batch_norm_backward(dy, saved) if g is not None]
        for got, leaf in zip(gradients, leaves, strict=True):
            np.testing.assert_allclose(got, leaf.grad.numpy(), rtol=1e-6, atol=1e-6)
        taken += 1
    assert taken >= 4


def test_torchs_own_sample_inputs_for_the_modules():
    torch = pytest.importorskip("torch")
    modules = pytest.importorskip("torch.testing._internal.common_modules")
    infos = [
        info for info in modules.module_db if info.module_cls.__name__ in ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
    ]
    assert len(infos) == 3
    taken = 0
    for info, training in itertools.product(infos, (True, False)):
        samples = info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        )
        for sample in samples:
            made, x = sample.constructor_input, sample.forward_input.args[0]
            if x.ndim < 2 or x.numel() == 0:
                continue
            theirs = info.module_cls(*made.args, **made.kwargs, dtype=torch.float64).train(training)
            if not theirs.track_running_stats:
                continue
            layer = schuss.BatchNorm(
                theirs.num_features,
                dtype="float64",
                affine=theirs.affine,
                momentum=theirs.momentum,
                eps=theirs.eps,
                channel_axis=1,
            )
            layer.training = training
            for _ in range(3):
                leaf = x.detach().clone().requires_grad_()
                expected = theirs(leaf)
                dy = np.random.default_rng(0).standard_normal(x.shape)
                theirs.zero_grad()
                expected.backward(torch.tensor(dy))
                y = layer.forward(leaf.detach().numpy())
                np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-7, atol=1e-7)
                np.testing.assert_allclose(layer.backward(dy), leaf.grad.numpy(), rtol=1e-6, atol=1e-6)
                for name, parameter in (("gamma", theirs.weight), ("beta", theirs.bias)):
                    if parameter is not None:
                        gradient = parameter.grad.numpy()
                        np.testing.assert_allclose(layer.grads[name], gradient, rtol=1e-6, atol=1e-6)
                np.testing.assert_allclose(layer.running_mean, theirs.running_mean.numpy(), rtol=1e-12, atol=1e-15)
                np.testing.assert_allclose(layer.running_var, theirs.running_var.numpy(), rtol=1e-12)
                assert layer.num_batches == int(theirs.num_batches_tracked)
            taken += 1
    assert taken >= 6


def test_torch_tensors_are_read_and_written_without_copies():
    torch = pytest.importorskip("torch")
    x, out = torch.randn(50, 7), torch.empty(50, 7)
    mean, var = torch.zeros(7), torch.ones(7)
    y, saved = schuss.batch_norm(x, None, None, mean, var, training=True, out=out)
    assert y is out
    expected_y, expected_saved = schuss.batch_norm(x.numpy(), training=True)
    assert_same(out.numpy(), expected_y)
    assert_same(mean.numpy(), (0.1 * expected_saved.mean).astype(np.float32))
    dx, _, _ = schuss.batch_norm_backward(torch.ones(50, 7), saved)
    assert np.abs(dx).max() < 1e-6

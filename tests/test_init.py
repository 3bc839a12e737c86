"""Initial weights and biases: their statistics, their seeds, and what a minibatch makes of them."""

import copy
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import init
from schuss.init.weights import fans
from schuss.streams import Purpose, stream
from schuss.training.layers import Dense, NormalizedReLU, ReLU

NAN = math.nan

every_scheme = pytest.mark.parametrize("scheme", init.SCHEMES)


@dataclass(frozen=True)
class Law:
    """A scheme with options, the variance of its weights by fan-in and fan-out, and their bound or None."""

    scheme: str
    variance: Any
    bound: Any = None
    options: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return "-".join([self.scheme, *(f"{name}={value}" for name, value in self.options)])


LAWS = [
    Law("uniform", lambda m, n: 1 / (3 * m), lambda m, n: 1 / math.sqrt(m)),
    Law("glorot_uniform", lambda m, n: 2 / (m + n), lambda m, n: math.sqrt(6 / (m + n))),
    Law("glorot_uniform", lambda m, n: 8 / (m + n), lambda m, n: 2 * math.sqrt(6 / (m + n)), (("gain", 2.0),)),
    Law("glorot_normal", lambda m, n: 2 / (m + n)),
    Law("he_uniform", lambda m, n: 2 / m, lambda m, n: math.sqrt(6 / m)),
    Law("he_normal", lambda m, n: 2 / m),
    Law("he_normal", lambda m, n: 0.5 / m, None, (("gain", 0.5),)),
    Law("orthogonal", lambda m, n: 1 / max(m, n)),
    Law("orthogonal", lambda m, n: 9 / max(m, n), None, (("gain", 3.0),)),
    Law("sparse", lambda m, n: 15 / m),
    Law("sparse", lambda m, n: 4 * 20 / m, None, (("k", 20), ("scale", 2.0))),
]


@pytest.mark.parametrize("shape", [(300, 200), (120, 400), (3, 3, 40, 80)], ids=str)
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_the_variance_is_the_schemes_within_the_bounds_of_sampling(law, shape):
    inputs, outputs = fans(shape)
    if law.scheme == "orthogonal":
        outputs = shape[-1]  # a matrix of shape (m, outputs)
    w = init.SCHEMES[law.scheme](shape, seed=3, dtype="float64", **dict(law.options))
    expected = law.variance(inputs, outputs)
    # Five deviations of a sample variance; a mean square of s normal values among zeros has 2/s relative variance.
    drawn = np.count_nonzero(w)
    assert abs(w.var() / expected - 1) < 5 * math.sqrt(2 / drawn)
    assert abs(w.mean()) < 5 * math.sqrt(expected / w.size)
    if law.bound is not None:
        bound = law.bound(inputs, outputs)
        assert 0.99 * bound < np.abs(w).max() <= bound


@every_scheme
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_seed_decides_every_bit_and_dtypes_differ_by_rounding(scheme, dtype):
    make = init.SCHEMES[scheme]
    w = make((30, 20), seed=1, dtype=dtype)
    assert w.dtype == dtype
    assert w.shape == (30, 20)
    assert w.flags.c_contiguous
    assert w.flags.writeable
    np.testing.assert_array_equal(w, make((30, 20), seed=1, dtype=dtype))
    np.testing.assert_array_equal(w, make((30, 20), rng=stream(1, Purpose.INITIALIZATION), dtype=dtype))
    np.testing.assert_array_equal(w, make((30, 20), seed=1, dtype="float64").astype(dtype))
    assert (w != make((30, 20), seed=2, dtype=dtype)).mean() > 0.5


@every_scheme
def test_layers_from_one_rng_differ(scheme):
    rng = np.random.default_rng(0)
    first, second = (init.SCHEMES[scheme]((30, 20), rng=rng) for _ in range(2))
    assert (first != second).mean() > 0.5


@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("shape", [(7, 7), (20, 3), (3, 20), (1, 5), (5, 1), (2, 3, 4, 30), (2, 3, 4, 5)], ids=str)
def test_orthogonal_weights_are_orthogonal_to_rounding(shape, dtype, eps):
    w = init.orthogonal(shape, seed=0, gain=2.0, dtype=dtype).reshape(-1, shape[-1]) / 2
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), rtol=0, atol=eps)


def test_orthogonal_weights_favour_no_sign():
    diagonals = [np.diag(init.orthogonal((3, 3), seed=seed)) for seed in range(400)]
    assert np.abs(np.mean(np.sign(diagonals), axis=0)).max() < 5 / math.sqrt(400)


@pytest.mark.parametrize("k", [1, 4, 30])
def test_sparse_weights_have_exactly_k_for_each_unit(k):
    w = init.sparse((30, 50), k=k, seed=0)
    assert (np.count_nonzero(w, axis=0) == k).all()
    chosen = np.count_nonzero(init.sparse((30, 5000), k=k, seed=0), axis=1)
    p = k / 30
    assert np.abs(chosen - 5000 * p).max() <= 5 * math.sqrt(5000 * p * (1 - p))


def test_streams_for_different_seeds_purposes_and_epochs_never_agree():
    keys = [(s, p, *e) for s in (0, 1, 2**64) for p in (Purpose(0), Purpose(1)) for e in ((), (0,), (1,), (0, 0))]
    assert len({stream(*key).integers(2**63) for key in keys}) == len(keys)


# ---- biases ----


@pytest.mark.parametrize(("rule", "value"), [("zeros", 0.0), ("constant", 0.1), ("ones", 1.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_biases_of_one_value(rule, value, dtype):
    for shape in (4, (4,), [4]):
        b = init.BIASES[rule](shape, dtype=dtype)
        np.testing.assert_array_equal(b, np.full(4, value, dtype), strict=True)


def test_log_odds_are_those_of_the_marginals():
    rng = np.random.default_rng(0)
    y = (rng.random((500, 4)) < [0.1, 0.5, 0.7, 0.99]).astype(int)
    b = init.log_odds(y, dtype="float64")
    np.testing.assert_allclose(1 / (1 + np.exp(-b)), y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(init.log_odds(y[:, 0]), b[:1], rtol=1e-6)
    np.testing.assert_allclose(init.log_odds(y.astype(bool), dtype="float64"), b)


def test_log_odds_of_labels_give_a_softmax_their_frequencies():
    labels = np.random.default_rng(0).integers(0, 5, 300)
    b = init.log_odds(labels, classes=5, dtype="float64")
    softmax = np.exp(b) / np.exp(b).sum()
    np.testing.assert_allclose(softmax, np.bincount(labels) / 300, rtol=1e-12)
    smoothed = init.log_odds(labels, classes=7, smoothing=1.0, dtype="float64")
    np.testing.assert_allclose(np.exp(smoothed), (np.bincount(labels, minlength=7) + 1) / 307, rtol=1e-12)


# ---- LSUV ----


def batch(inputs=10, n=200, dtype="float64"):
    return np.random.default_rng(5).normal(3, 7, (n, inputs)).astype(dtype)


def mlp(*sizes, dtype="float64", norm=False):
    rng = np.random.default_rng(0)
    layers: list[Any] = []
    for inputs, outputs in pairwise(sizes):
        layers += [Dense(inputs, outputs, rng, dtype), NormalizedReLU(outputs, dtype) if norm else ReLU()]
    return layers[:-1]


class Residual:
    """A block of layers beside which its input passes by."""

    def __init__(self, layers):
        self.layers = layers
        self.params = {f"{i}.{name}": array for i, layer in enumerate(layers) for name, array in layer.params.items()}

    def forward(self, x):
        y = x
        for layer in self.layers:
            y = layer.forward(y)
        return x + y


NETWORKS = {
    "wide": mlp(10, 50, 40, 3),
    "narrow at first": mlp(10, 2, 60, 30, 3),
    "float32": mlp(10, 20, 30, 3, dtype="float32"),
    "batch norm": mlp(10, 30, 20, 3, norm=True),
    "residual": [*mlp(10, 20), ReLU(), Residual(mlp(20, 30, 20)), Residual(mlp(20, 10, 20)), *mlp(20, 3)],
}


@pytest.mark.parametrize("name", NETWORKS)
def test_lsuv_gives_every_layer_of_weights_unit_variance(name):
    layers = copy.deepcopy(NETWORKS[name])
    dtype = layers[0].params["weight"].dtype
    x, seen = batch(dtype=dtype), []
    reached = init.lsuv(layers, x, seed=0, tolerance=1e-3, callback=lambda *found: seen.append(found))
    assert dict(seen) == reached
    assert all(abs(variance - 1) <= 1e-3 for variance in reached.values())

    def check(layers, x):
        for layer in layers:
            y = layer.forward(x)
            if isinstance(layer, Dense):
                assert y.var() == pytest.approx(1, abs=2e-3)
            x = check(layer.layers, x) + x if isinstance(layer, Residual) else y
        return x

    check(layers, x)


def test_lsuv_names_the_layers_within_others():
    assert list(init.lsuv(copy.deepcopy(NETWORKS["residual"]), batch(), seed=0)) == [
        "layers[0]",
        "layers[2].layers[0]",
        "layers[2].layers[2]",
        "layers[3].layers[0]",
        "layers[3].layers[2]",
        "layers[4]",
    ]


def test_lsuv_changes_nothing_but_weights():
    layers = mlp(10, 30, 20, 3, norm=True)
    before = copy.deepcopy(layers)
    weights = [layer.params["weight"] for layer in layers if isinstance(layer, Dense)]
    init.lsuv(layers, batch(), seed=0)
    for layer, former in zip(layers, before, strict=True):
        assert vars(layer).keys() == vars(former).keys()
        for name, array in {**layer.params, **layer.statistics}.items():
            if name == "weight":
                assert any(array is weight for weight in weights)
                assert (array != former.params[name]).all()
            else:
                np.testing.assert_array_equal(array, {**former.params, **former.statistics}[name])
        if isinstance(layer, NormalizedReLU):
            assert layer.layer.num_batches == 0


def test_lsuv_is_decided_by_its_seed_and_starts_orthogonal():
    layers, again = mlp(10, 30, 20), mlp(10, 30, 20)
    for network in (layers, again):
        init.lsuv(network, batch(), seed=4)
    for layer, other in zip(layers, again, strict=True):
        for name in layer.params:
            np.testing.assert_array_equal(layer.params[name], other.params[name])
    gram = layers[2].params["weight"].T @ layers[2].params["weight"]
    np.testing.assert_allclose(gram, gram[0, 0] * np.eye(20), atol=1e-12 * gram[0, 0])


def test_lsuv_takes_a_bias_into_account():
    layers = mlp(10, 40)
    layers[0].params["bias"][:] = np.linspace(-1, 1, 40)
    reached = init.lsuv(layers, batch(), seed=0, tolerance=1e-6, max_iterations=60)
    assert reached["layers[0]"] == pytest.approx(1, abs=1e-6)


# ---- wrong arguments ----


@dataclass(frozen=True)
class ErrorCase:
    """A call that must fail, and what has to be said."""

    why: str
    call: Any
    exception: type[Exception]
    message: str

    def __str__(self) -> str:
        return self.why.replace(" ", "_")


def biased(value):
    layers = mlp(10, 40)
    layers[0].params["bias"][:] = value
    return layers


def with_weight(weight):
    layers = mlp(10, 3)
    layers[0].params["weight"] = weight
    init.lsuv(layers, batch(), seed=0)


def read_only(shape):
    array = np.zeros(shape)
    array.flags.writeable = False
    return array


def shared_weights():
    layers = [*mlp(10, 10), *mlp(10, 10)]
    layers[1].params["weight"] = layers[0].params["weight"]
    init.lsuv(layers, batch(), seed=0)


SCHEME_ERRORS = [
    ErrorCase("one dimension", lambda f: f((5,), seed=0), ValueError, "got (5,)"),
    ErrorCase("number as shape", lambda f: f(5, seed=0), TypeError, "(*kernel, inputs, outputs), got 5"),
    ErrorCase("no inputs", lambda f: f((0, 5), seed=0), ValueError, "shape[0] must be an integer of at least 1, got 0"),
    ErrorCase("float in shape", lambda f: f((5, 2.0), seed=0), TypeError, "shape[1] must be an integer"),
    ErrorCase("neither", lambda f: f((20, 2)), TypeError, "exactly one of seed and rng is needed, got seed=None"),
    ErrorCase("both", lambda f: f((20, 2), seed=0, rng=np.random.default_rng(0)), TypeError, "exactly one of seed"),
    ErrorCase("no generator", lambda f: f((20, 2), rng=3), TypeError, "rng must be a numpy.random.Generator, got 3"),
    ErrorCase("negative seed", lambda f: f((20, 2), seed=-1), ValueError, "seed must be an integer of at least 0"),
    ErrorCase("endless seed", lambda f: f((20, 2), seed=2**128), ValueError, "less than 2**128"),
    ErrorCase("true as seed", lambda f: f((20, 2), seed=True), TypeError, "seed must be an integer"),
    ErrorCase("half precision", lambda f: f((20, 2), seed=0, dtype="float16"), TypeError, "dtype must be float32 or"),
]


@every_scheme
@pytest.mark.parametrize("case", SCHEME_ERRORS, ids=str)
def test_wrong_arguments_of_schemes(case, scheme):
    with pytest.raises(case.exception, match=re.escape(case.message)):
        case.call(init.SCHEMES[scheme])


ERRORS = [
    ErrorCase("gain of zero", lambda: init.he_normal((3, 2), seed=0, gain=0), ValueError, "gain must be in (0, inf)"),
    ErrorCase("gain of nan", lambda: init.orthogonal((3, 2), seed=0, gain=NAN), ValueError, "gain must be in (0, inf)"),
    ErrorCase("too sparse", lambda: init.sparse((3, 2), k=0, seed=0), ValueError, "k must be an integer of at least 1"),
    ErrorCase("too dense", lambda: init.sparse((3, 2), k=4, seed=0), ValueError, "k must be at most 3"),
    ErrorCase("infinite bias", lambda: init.constant(3, math.inf), ValueError, "value must be in (-inf, inf)"),
    ErrorCase("no biases", lambda: init.zeros(0), ValueError, "shape must be an integer of at least 1, got 0"),
    ErrorCase("no targets", lambda: init.log_odds([]), ValueError, "y has shape (0,), expected at least one example"),
    ErrorCase("labels", lambda: init.log_odds([0, 1, 2]), ValueError, "for labels of a softmax give classes"),
    ErrorCase("nan among targets", lambda: init.log_odds([0, NAN]), ValueError, "y has targets out of [0, 1]"),
    ErrorCase("words", lambda: init.log_odds(["a"]), TypeError, "y has dtype <U1"),
    ErrorCase("sure unit", lambda: init.log_odds([[0, 1], [1, 1]]), ValueError, "a marginal of 1 for unit 1"),
    ErrorCase("lost class", lambda: init.log_odds([0, 2], classes=3), ValueError, "a marginal of 0 for unit 1"),
    ErrorCase("label too large", lambda: init.log_odds([0, 3], classes=3), ValueError, "labels from 0 to 3"),
    ErrorCase("float labels", lambda: init.log_odds([0.0], classes=3), TypeError, "expected integer labels"),
    ErrorCase("one class", lambda: init.log_odds([0], classes=1), ValueError, "classes must be an integer of"),
    ErrorCase("no layers", lambda: init.lsuv([], batch(), seed=0), ValueError, "layers has none with params['weight']"),
    ErrorCase("no layer", lambda: init.lsuv([3], batch(), seed=0), TypeError, "layers[0] is int, expected a layer"),
    ErrorCase("no list", lambda: init.lsuv(3, batch(), seed=0), TypeError, "layers must be a list, got 3"),
    ErrorCase("integer weights", lambda: with_weight(np.zeros((10, 3), int)), TypeError, "params['weight'] is int64"),
    ErrorCase("list as weights", lambda: with_weight([[1.0]]), TypeError, "layers[0].params['weight'] is list"),
    ErrorCase("vector as weights", lambda: with_weight(np.zeros(10)), ValueError, "['weight'] has shape (10,)"),
    ErrorCase("read-only", lambda: with_weight(read_only((10, 3))), ValueError, "params['weight'] is read-only"),
    ErrorCase("shared", lambda: shared_weights(), ValueError, "layers[1] has the weights of layers[0], expected its"),
    ErrorCase("blank batch", lambda: init.lsuv(mlp(10, 4), 0 * batch(), seed=0), ValueError, "layers[0]: the variance"),
    ErrorCase(
        "silent rectifiers",
        lambda: init.lsuv([*biased(-1e3), ReLU(), *mlp(40, 3)], batch() / 1e6, seed=0, tolerance=10),
        ValueError,
        "layers[2]: the variance of the output is 0, which no scale makes 1",
    ),
    ErrorCase("nan in batch", lambda: init.lsuv(mlp(10, 4), batch() * NAN, seed=0), ValueError, "output is nan, which"),
    ErrorCase(
        "overwhelming bias",
        lambda: init.lsuv(biased(np.linspace(-9, 9, 40)), batch(), seed=0),
        ValueError,
        "layers[0]: the variance of the output is 28.3846 after 10 iterations, expected 1 ± 0.1",
    ),
    ErrorCase(
        "tolerance", lambda: init.lsuv(mlp(10, 4), batch(), seed=0, tolerance=0), ValueError, "tolerance must be in (0,"
    ),
]


@pytest.mark.parametrize("case", ERRORS, ids=str)
def test_wrong_arguments(case):
    with pytest.raises(case.exception, match=re.escape(case.message)):
        case.call()


def test_a_failed_lsuv_has_modified_nothing():
    layers = mlp(10, 40, 20)
    layers[2].params["bias"][:] = np.linspace(-9, 9, 20)
    before = copy.deepcopy([layer.params for layer in layers])
    with pytest.raises(ValueError, match=re.escape("layers[2]")):
        init.lsuv(layers, batch(), seed=0)
    for layer, params in zip(layers, before, strict=True):
        for name, array in params.items():
            np.testing.assert_array_equal(layer.params[name], array)


def test_weights_serve_an_optimizer():
    params = {"w": init.he_normal((4, 3), seed=0), "b": init.zeros(3)}
    schuss.Adam(params).step({"w": np.ones((4, 3), np.float32), "b": np.ones(3, np.float32)})
    assert (params["b"] < 0).all()

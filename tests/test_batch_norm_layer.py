"""`schuss.BatchNorm`: running statistics in both conventions, saving, and what it does to a network."""

from functools import partial

import numpy as np
import pytest

import schuss
from schuss import reference

DTYPES = ["float32", "float64"]


def batches(count: int = 5, m: int = 40, channels: int = 3, dtype: str = "float64") -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((m + k, channels)) * (1 + k) + k).astype(dtype) for k in range(count)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layer_is_the_function_with_its_state(dtype):
    layer = schuss.BatchNorm(3, dtype=dtype, activation="relu")
    gamma, beta = np.ones(3, dtype), np.zeros(3, dtype)
    mean, var = np.zeros(3, dtype), np.ones(3, dtype)
    grads = dict(layer.grads)
    for x in batches(dtype=dtype):
        y, saved = reference.batch_norm(x, gamma, beta, mean, var, training=True, activation="relu", residual=x)
        np.testing.assert_array_equal(layer.forward(x, x), y)
        dx, dgamma, dbeta, dresidual = reference.batch_norm_backward(y, saved)
        for got, right in zip(layer.backward(y), (dx, dresidual), strict=True):
            np.testing.assert_array_equal(got, right)
        np.testing.assert_array_equal(layer.grads["gamma"], dgamma)
        np.testing.assert_array_equal(layer.grads["beta"], dbeta)
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_array_equal(layer.running_var, var)
    assert layer.num_batches == 5
    assert all(layer.grads[name] is grads[name] for name in grads)  # the arrays stay, for an optimizer to hold
    layer.training = False
    layer.forward(x)
    np.testing.assert_array_equal(layer.running_mean, mean)
    assert layer.num_batches == 5


def test_without_momentum_the_running_statistics_are_the_average_over_minibatches():
    layer = schuss.BatchNorm(3, dtype="float64", momentum=None)
    for x in batches():
        layer.forward(x)
    np.testing.assert_allclose(layer.running_mean, np.mean([x.mean(0) for x in batches()], 0), rtol=1e-13)
    np.testing.assert_allclose(layer.running_var, np.mean([x.var(0, ddof=1) for x in batches()], 0), rtol=1e-13)


def test_what_is_accumulated_must_fit_the_layer():
    layer = schuss.BatchNorm(3)
    with pytest.raises(TypeError, match="running_mean has dtype float32, expected float64, x has float64"):
        layer.accumulate(np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"running_mean has shape \(3,\), expected \(5,\): x of shape \(4, 5\) has 5"):
        layer.accumulate(np.ones((4, 5), np.float32))
    with pytest.raises(RuntimeError, match="finalize needs an accumulate before it"):
        layer.finalize()


def test_the_average_over_minibatches_is_not_needed_where_it_is_not_used():
    x = batches(1)[0]
    y, saved = schuss.batch_norm(x, training=True, momentum=None)
    np.testing.assert_array_equal(y, schuss.batch_norm(x, training=True)[0])
    again, _ = schuss.batch_norm(x, None, None, saved.mean, saved.var, training=False, momentum=None)
    np.testing.assert_allclose(again, y, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_books_statistics_are_those_of_the_whole_set(dtype):
    layer = schuss.BatchNorm(3, dtype=dtype)
    for _ in range(2):  # a second time from the beginning
        for x in batches(dtype=dtype):
            layer.accumulate(x)
        layer.finalize()
        everything = np.concatenate(batches(dtype=dtype)).astype(np.longdouble)
        rtol = 1e-13 if dtype == "float64" else 1e-7
        np.testing.assert_allclose(layer.running_mean, everything.mean(0).astype(float), rtol=rtol)
        np.testing.assert_allclose(layer.running_var, everything.var(0).astype(float), rtol=rtol)


def test_state_is_saved_and_restored_in_place():
    layer, other = (schuss.BatchNorm(3, dtype="float64") for _ in range(2))
    for x in batches():
        layer.forward(x)
    layer.params["gamma"][...] = 2
    arrays = dict(other.params)
    other.load_state_dict(layer.state_dict())
    assert all(other.params[name] is arrays[name] for name in arrays)
    for k, x in enumerate(batches()):
        np.testing.assert_array_equal(layer.forward(x), other.forward(x))
        layer.training = other.training = k < 2
    assert layer.num_batches == other.num_batches


class Weights:
    """One of the lecture's networks: a product of weights times the input, normalized or not."""

    def __init__(self, weights: list[float], factors: list[int], layer: schuss.BatchNorm | None) -> None:
        self.weights = np.array(weights)
        self.factors = factors  # which weight each factor of the product is
        self.layer = layer

    def product(self) -> np.ndarray:
        return np.prod(self.weights[self.factors])

    def output(self, x: np.ndarray) -> np.ndarray:
        h = self.product() * x
        return h if self.layer is None else self.layer.forward(h)

    def update(self, x: np.ndarray, t: np.ndarray, lr: float) -> None:
        """A step of gradient descent on the mean squared error of a minibatch."""
        dy = 2 * (self.output(x) - t) / len(x)
        dh = dy if self.layer is None else self.layer.backward(dy)
        slope = (dh * x).sum()
        gradient = np.zeros(len(self.weights))
        for k, weight in enumerate(self.factors):
            others = self.factors[:k] + self.factors[k + 1 :]
            gradient[weight] += slope * np.prod(self.weights[others])
        self.weights -= lr * gradient
        if self.layer is not None:
            schuss.SGD(self.layer.params, lr=lr).step(self.layer.grads)


def three_networks(normalized: bool) -> list[Weights]:
    """One weight; two factors that are one shared weight; two weights. All compute the same function, 0.25·x."""
    kinds: list[tuple[list[float], list[int]]] = [([0.25], [0]), ([0.5], [0, 0]), ([0.5, 0.5], [0, 1])]
    layers = [schuss.BatchNorm(1, dtype="float64", eps=1e-12) if normalized else None for _ in kinds]
    return [Weights(*kind, layer) for kind, layer in zip(kinds, layers, strict=True)]


@pytest.mark.parametrize("normalized", [False, True], ids=["plain", "with_batch_norm"])
def test_three_networks_that_are_the_same_function_take_the_same_update_with_batch_normalization(normalized):
    """Without it, the step of each network depends on how it is parametrized, although all are one function.

    With it, the output does not depend on the scale of the weights: their gradients vanish, γ and β learn, and these
    see the same values in all three networks.
    """
    rng = np.random.default_rng(0)
    networks = three_networks(normalized)
    for step in range(10):
        x = rng.standard_normal((64, 1))
        t = 3 * x + 1
        for network in networks:
            network.update(x, t, lr=0.1)
        outputs = [network.output(x) for network in networks]
        if not normalized:
            assert len({float(network.product()) for network in networks}) > 1
            return
        # Bit for bit at first; later the weights' gradients, which ε and rounding keep from being zero, may show.
        same = np.testing.assert_array_equal if step == 0 else partial(np.testing.assert_allclose, rtol=1e-9)
        for network, output in zip(networks, outputs, strict=True):
            np.testing.assert_allclose(network.weights, 0.25 if len(network.factors) == 1 else 0.5, rtol=1e-9)
            for name, parameter in network.layer.params.items():
                same(parameter, networks[0].layer.params[name])
            np.testing.assert_allclose(output, outputs[0], rtol=1e-9)
    assert networks[0].layer.params["gamma"][0] > 1.5  # towards 3

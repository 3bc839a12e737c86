"""Layer-sequential unit variance: a minibatch sets the scale of the weights."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.init.weights import orthogonal
from schuss.options import POSITIVE, count, number
from schuss.streams import Purpose, either

Array = NDArray[Any]


def lsuv(
    layers: Sequence[Any],
    batch: Any,
    *,
    seed: Any = None,
    rng: Any = None,
    tolerance: float = 0.1,
    max_iterations: int = 10,
    callback: Callable[[str, float], None] | None = None,
) -> dict[str, float]:
    """Give each layer of weights outputs of unit variance on a minibatch, one after the other.

    Formula: W ← a random orthogonal matrix; W ← W/√Var(y) until |Var(y) - 1| ≤ `tolerance`, y being the layer's output
    for what the layers before it, already done, make of the minibatch.

    The layers are run as they stand, batch normalization in training too, but on copies: running statistics and all
    other state stay as they are. Only weights are written, in place, and only when all layers are done.

    Source: Mishkin and Matas 2016, algorithm 1; Deep Learning, section 8.4.

    Args:
        layers: What to run one after another: objects with `forward(x)`. One with weights has them as
            `params["weight"]`, an array of shape (inputs, outputs) or (*kernel, inputs, outputs); one made of others,
            such as a residual block, has these in `layers`.
        batch: The minibatch, one example a row.
        seed: An integer in [0, 2¹²⁸).
        rng: A `numpy.random.Generator`, in the place of a seed.
        tolerance: By how much the variance may differ from 1, in (0, ∞), default 0.1.
        max_iterations: How often to rescale a layer, at least 1, default 10; more than once where it has a bias.
        callback: callback(name, variance) after each layer that has weights.

    Returns:
        The variances reached, by layer, such as `"layers[0]"` or `"layers[2].layers[1]"`.

    Raises:
        TypeError: An argument has another type.
        ValueError: An argument is out of its range, no layer has weights, or the variance of a layer's output is 0, is
            not finite, or does not come near 1. Nothing has been modified then.

    Example:
        >>> import numpy as np, schuss
        >>> class Dense:
        ...     def __init__(self, inputs, outputs):
        ...         self.params = {"weight": np.empty((inputs, outputs))}
        ...     def forward(self, x):
        ...         return x @ self.params["weight"]
        >>> class Tanh:
        ...     def forward(self, x):
        ...         return np.tanh(x)
        >>> layers, x = [Dense(8, 4), Tanh(), Dense(4, 6)], np.random.default_rng(0).normal(size=(50, 8))
        >>> {name: round(variance, 6) for name, variance in schuss.init.lsuv(layers, x, seed=0, tolerance=1e-6).items()}
        {'layers[0]': 1.0, 'layers[2]': 1.0}
    """
    allowed, most = number("tolerance", tolerance, POSITIVE), count("max_iterations", max_iterations, 1)
    generator = either(seed, rng, Purpose.INITIALIZATION)
    if not isinstance(layers, (list, tuple)):
        raise TypeError(f"layers must be a list, got {layers!r}")
    _check_weights(dict(_weighted(layers, "layers")))
    copies = copy.deepcopy(list(layers))
    weighted = dict(_weighted(copies, "layers"))
    reached: dict[str, float] = {}
    for name, layer in weighted.items():
        weight = layer.params["weight"]
        weight[...] = orthogonal(weight.shape, rng=generator, dtype=weight.dtype)
        layer.forward = _Normalized(name, layer, allowed, most, reached, callback)
    x = batch
    for layer in copies:
        x = layer.forward(x)
    for name in weighted:
        if name not in reached:
            raise ValueError(f"{name} has weights but takes no part in the forward pass")
    for name, layer in _weighted(layers, "layers"):
        layer.params["weight"][...] = weighted[name].params["weight"]
    return reached


def _weighted(layers: Sequence[Any], where: str) -> Iterator[tuple[str, Any]]:
    """The layers that have weights, also within others, and their names."""
    for index, layer in enumerate(layers):
        name = f"{where}[{index}]"
        if not callable(getattr(layer, "forward", None)):
            raise TypeError(f"{name} is {type(layer).__name__}, expected a layer with forward(x)")
        if "weight" in getattr(layer, "params", {}) and not hasattr(layer, "layers"):
            yield name, layer
        yield from _weighted(getattr(layer, "layers", ()), f"{name}.layers")


def _check_weights(weighted: dict[str, Any]) -> None:
    """Raise TypeError or ValueError unless there are weights, all of which can be written, each by itself."""
    if not weighted:
        raise ValueError("layers has none with params['weight']")
    owners: dict[int, str] = {}
    for name, layer in weighted.items():
        weight = layer.params["weight"]
        if not isinstance(weight, np.ndarray) or weight.dtype not in (np.float32, np.float64):
            kind = getattr(weight, "dtype", type(weight).__name__)
            raise TypeError(f"{name}.params['weight'] is {kind}, expected an array of float32 or float64")
        if weight.ndim < 2 or not weight.flags.writeable:
            what = f"has shape {weight.shape}" if weight.ndim < 2 else "is read-only"
            raise ValueError(f"{name}.params['weight'] {what}, expected a writable array of two or more dimensions")
        if id(weight) in owners:
            raise ValueError(f"{name} has the weights of {owners[id(weight)]}, expected its own")
        owners[id(weight)] = name


class _Normalized:
    """The way forward of a layer that scales its weights when it is first called."""

    def __init__(
        self,
        name: str,
        layer: Any,
        tolerance: float,
        most: int,
        reached: dict[str, float],
        callback: Callable[[str, float], None] | None,
    ) -> None:
        self.name, self.weight, self.forward = name, layer.params["weight"], layer.forward
        self.tolerance, self.most, self.reached, self.callback = tolerance, most, reached, callback

    def __call__(self, x: Any) -> Any:
        y = self.forward(x)
        if self.name in self.reached:
            return y
        for _ in range(self.most):
            variance = self._variance(y)
            if abs(variance - 1) <= self.tolerance:
                break
            self.weight /= np.sqrt(variance)
            y = self.forward(x)
        variance = self._variance(y)
        if abs(variance - 1) > self.tolerance:
            raise ValueError(
                f"{self.name}: the variance of the output is {variance:g} after {self.most} iterations, "
                f"expected 1 ± {self.tolerance:g}"
            )
        self.reached[self.name] = variance
        if self.callback is not None:
            self.callback(self.name, variance)
        return y

    def _variance(self, y: Any) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            variance = float(np.var(y, dtype=np.float64))
        if not np.isfinite(variance) or variance == 0:
            raise ValueError(f"{self.name}: the variance of the output is {variance:g}, which no scale makes 1")
        return variance

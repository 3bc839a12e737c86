"""Initialization

The deviation of the signal after each of {layers} layers of {width} rectifiers, for a minibatch of noise, with weights
drawn by several schemes. With the simple heuristic U(-1/√m, 1/√m) it falls to {uniform:.1g} and with Glorot's
normalized one to {glorot:.1g}: both forget that a rectifier throws half of the signal away. He's, which counts that in,
has {he:.2g} at the end, and LSUV, which measures and rescales, {lsuv:.2g}.

`schuss.init`, `schuss train --init`; Deep Learning, section 8.4.
"""

import numpy as np
from study import Facts, Figure, label, panels

from schuss import init
from schuss.streams import Purpose, stream
from schuss.training.layers import ReLU
from schuss.training.network import Network, multi_layer_perceptron

SMALL = {"layers": 12, "width": 64}
FULL = {"layers": 50, "width": 128}
SCHEMES = {"uniform": init.uniform, "glorot": init.glorot_normal, "he": init.he_normal, "lsuv": init.orthogonal}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The deviation by layer."""
    facts: Facts = dict(SMALL if small else FULL)
    width, layers = int(facts["width"]), int(facts["layers"])
    batch = np.random.default_rng(1).normal(size=(200, width)).astype(np.float32)
    figure, (deviations,) = panels()
    for name, scheme in SCHEMES.items():
        rng = stream(0, Purpose.INITIALIZATION)
        network = multi_layer_perceptron((width,) * (layers + 2), rng, "float32", scheme=scheme)
        if name == "lsuv":
            init.lsuv(network.layers, batch, seed=0)
        curve = _deviations(network, batch)
        deviations.semilogy(range(1, layers + 1), curve, label=name)
        facts[name] = curve[-1]
        facts["layers"] = len(curve)
    label(deviations, "layer", "deviation after the rectifier")
    return figure, facts


def _deviations(network: Network, x: np.ndarray) -> list[float]:
    curve = []
    for layer in network.layers:
        x = layer.forward(x)
        if isinstance(layer, ReLU):
            curve.append(float(x.std()))
    return curve


def holds(facts: Facts) -> bool:
    """He's scheme and LSUV keep the signal, the others lose it."""
    kept, lost = (facts["he"], facts["lsuv"]), (facts["uniform"], facts["glorot"])
    return min(kept) > 0.1 and max(kept) < 10 and max(lost) < 0.05

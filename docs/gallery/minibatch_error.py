"""The standard error of a minibatch's gradient

The gradient of softmax regression on the digits, estimated from minibatches of {least} to {most} examples, {repeats} of
each size. Its standard error falls like m^{exponent:.2f}, by the law σ/√m: a hundred times the work buys a tenth of the
error, which is why small minibatches are so good a bargain.

`schuss.data.gradient_standard_error`; Deep Learning, section 8.1.3.
"""

import numpy as np
from study import Facts, Figure, digits, label, panels

from schuss.data import gradient_standard_error
from schuss.training.loss import softmax_cross_entropy

SMALL = {"least": 1, "most": 64, "repeats": 60}
FULL = {"least": 1, "most": 1024, "repeats": 400}


def draw(small: bool) -> tuple[Figure, Facts]:
    """The measured errors, and the law."""
    facts: Facts = dict(SMALL if small else FULL)
    x, y = digits().training
    weights = np.zeros((x.shape[1], 10))

    def gradient(chosen: np.ndarray) -> np.ndarray:
        return x[chosen].T @ softmax_cross_entropy(x[chosen] @ weights, y[chosen])[1]

    sizes = [2**k for k in range(int(facts["least"]).bit_length() - 1, int(facts["most"]).bit_length())]
    found = gradient_standard_error(gradient, len(y), batch_sizes=sizes, repeats=int(facts["repeats"]), seed=0)
    figure, (errors,) = panels()
    errors.loglog(found.batch_sizes, found.errors, "o", label="measured")
    errors.loglog(found.batch_sizes, found.law, color="0.6", zorder=1, label="σ/√m")
    label(errors, "examples in a minibatch m", "standard error of the gradient")
    facts["exponent"] = found.exponent
    return figure, facts


def holds(facts: Facts) -> bool:
    """The exponent is that of the law."""
    return abs(facts["exponent"] + 0.5) < 0.07

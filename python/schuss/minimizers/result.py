"""What a minimisation gives back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

RUNNING, EVALUATION_LIMIT, STOPPED = -1, 4, 99

MESSAGES = {
    RUNNING: "The minimisation has not ended yet.",
    0: "Converged: the gradient, or the last step, is as small as was asked for.",
    1: "Maximum number of iterations reached.",
    2: "The precision limit has been reached: f cannot be told to decrease any further.",
    3: "The objective or its gradient is not finite.",
    EVALUATION_LIMIT: "Maximum number of function evaluations reached.",
    5: "The time limit has been reached.",
    6: "No lower point was found along the direction: the gradient may not belong to the objective.",
    STOPPED: "`callback` raised `StopIteration`.",
}


class MinimizeResult(dict[str, Any]):
    """The result of a minimisation: a dict whose entries are attributes too, under SciPy's names.

    `x`, `fun` and `jac` are the best finite point that was evaluated, its value and its gradient; once converged, the
    point that has. `success` says whether it converged, `status` and `message` how it ended:

        0 converged, 1 iteration limit, 2 precision limit, 3 objective not finite, 4 evaluation limit, 5 time limit,
        6 failure, 99 stopped by the callback

    `nit`, `nfev`, `njev` and `nhev` count iterations and evaluations of f, its gradient and its Hessian. `hess_inv` is
    the inverse Hessian as far as BFGS (an array) or L-BFGS (an `LbfgsInverse`) knows it.
    """

    def __getattr__(self, name: str) -> Any:
        """The entry of that name."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:>{width}}: {value}" for name, value in self.items())

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]


class LbfgsInverse:
    """The inverse Hessian of L-BFGS, as the pairs that it is made of.

    Attributes:
        s: The last steps, an array of shape (pairs, n), the oldest first.
        y: The changes of the gradient over them, likewise.
        gamma: The scale of the matrix that the pairs update.
    """

    def __init__(self, s: Array, y: Array, gamma: float) -> None:
        self.s, self.y, self.gamma = s, y, gamma

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        n = self.s.shape[1]
        return n, n

    def __matmul__(self, v: Array) -> Array:
        """Hv, by the two loops of the recursion (Nocedal 1980)."""
        q = np.array(v)
        pairs = list(zip(self.s, self.y, strict=True))
        alphas = []
        for s, y in reversed(pairs):
            alphas.append(s @ q / (s @ y))
            q = q - alphas[-1] * y
        r = self.gamma * q
        for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
            r = r + (alpha - y @ r / (s @ y)) * s
        return r

    def todense(self) -> Array:
        """The whole matrix, of shape (n, n)."""
        columns = [self @ e for e in np.eye(self.shape[0], dtype=self.s.dtype)]
        return np.array(columns, self.s.dtype).reshape(self.shape)

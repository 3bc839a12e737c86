"""The best NumPy form of every rule: whole arrays, no temporaries, as few passes over memory as NumPy allows.

The functions have the names and arguments of `schuss.reference`, in the book's convention, and scratch space besides.
They keep the book's states; scalar factors are folded together, so they agree with the reference within a few units in
the last place.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Scratch(NamedTuple):
    """Working space in the shape of a parameter. Memory that a rule does not use is never touched."""

    a: Array
    b: Array
    mask: NDArray[np.bool_]


def sgd(theta: Array, g: Array, *, scratch: Scratch, lr: float) -> None:
    """2 passes."""
    a = scratch.a
    np.multiply(g, lr, out=a)
    theta -= a


def momentum(theta: Array, g: Array, v: Array, *, scratch: Scratch, step: int, lr: float, momentum: float) -> None:
    """4 passes."""
    a = scratch.a
    np.multiply(g, lr, out=a)
    v *= momentum
    v -= a
    theta += v


def nesterov(
    theta: Array, g: Array, v: Array, *, scratch: Scratch, step: int, lr: float, momentum: float, look_ahead: float
) -> None:
    """6 passes."""
    a = scratch.a
    np.multiply(g, lr, out=a)
    v *= momentum
    v -= a
    theta -= a
    np.multiply(v, look_ahead, out=a)
    theta += a


def delta_bar_delta(
    theta: Array,
    g: Array,
    rate: Array,
    delta_bar: Array,
    *,
    scratch: Scratch,
    lr: float,
    kappa: float,
    phi: float,
    gamma: float,
) -> None:
    """13 passes. Multiplying by the masks is several times faster than `where=`, whose loops branch."""
    a, b, mask = scratch
    np.multiply(delta_bar, g, out=a)
    np.greater(a, 0, out=mask)
    np.multiply(mask, a.dtype.type(kappa), out=b)
    rate += b
    np.less(a, 0, out=mask)
    np.multiply(mask, a.dtype.type(-phi), out=b)
    b += 1
    rate *= b
    np.multiply(g, 1 - gamma, out=a)
    delta_bar *= gamma
    delta_bar += a
    np.multiply(rate, g, out=a)
    theta -= a


def adagrad(theta: Array, g: Array, r: Array, *, scratch: Scratch, step: int, lr: float, eps: float) -> None:
    """7 passes."""
    a = scratch.a
    np.multiply(g, g, out=a)
    r += a
    np.sqrt(r, out=a)
    a += eps
    np.divide(g, a, out=a)
    a *= lr
    theta -= a


def rmsprop(
    theta: Array,
    g: Array,
    r: Array,
    g_bar: Array | None,
    v: Array | None,
    *,
    scratch: Scratch,
    lr: float,
    rho: float,
    eps: float,
    momentum: float = 0.0,
    look_ahead: float = 0.0,
    nesterov: bool = False,
    centered: bool = False,
) -> None:
    """9 passes; 6 more if centered, 2 more with momentum, 4 more with Nesterov momentum."""
    a = scratch.a
    _average_square(r, g, rho, a)
    if g_bar is None:
        np.add(r, eps, out=a)
    else:
        np.multiply(g, 1 - rho, out=a)
        g_bar *= rho
        g_bar += a
        np.multiply(g_bar, g_bar, out=a)
        np.subtract(r, a, out=a)
        np.maximum(a, 0, out=a)
        a += eps
    np.sqrt(a, out=a)
    np.divide(g, a, out=a)
    a *= lr
    if v is None:
        theta -= a
        return
    v *= momentum
    v -= a
    if nesterov:
        theta -= a
        np.multiply(v, look_ahead, out=a)
        theta += a
    else:
        theta += v


def adadelta(
    theta: Array, g: Array, r: Array, u: Array, *, scratch: Scratch, lr: float, rho: float, eps: float
) -> None:
    """14 passes; 1 more where lr is not 1."""
    a, b, _ = scratch
    _average_square(r, g, rho, a)
    np.add(u, eps, out=a)
    np.add(r, eps, out=b)
    a /= b
    np.sqrt(a, out=a)
    a *= g
    if lr == 1:
        theta -= a
    else:
        np.multiply(a, lr, out=b)
        theta -= b
    _average_square(u, a, rho, a)


def adam(
    theta: Array,
    g: Array,
    s: Array,
    r: Array,
    *,
    scratch: Scratch,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """12 passes, with the corrections of the bias folded into scalars: Kingma and Ba 2015, the end of section 2."""
    a = scratch.a
    rho1, rho2 = betas
    root = float(np.sqrt(1 - rho2**step))
    np.multiply(g, 1 - rho1, out=a)
    s *= rho1
    s += a
    _average_square(r, g, rho2, a)
    np.sqrt(r, out=a)
    a += eps * root
    np.divide(s, a, out=a)
    a *= lr * root / (1 - rho1**step)
    theta -= a


def adamw(theta: Array, g: Array, s: Array, r: Array, *, weight_decay: float, lr: float, **options: Any) -> None:
    """13 passes."""
    theta *= 1 - lr * weight_decay
    adam(theta, g, s, r, lr=lr, **options)


def nadam(
    theta: Array,
    g: Array,
    s: Array,
    r: Array,
    *,
    scratch: Scratch,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    momentum_decay: float,
) -> None:
    """16 passes."""
    a, b, _ = scratch
    rho1, rho2 = betas
    mu, mu_next = (rho1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
    first = np.arange(1, min(step, 1000) + 1)  # the product of more of them is nothing beside 1
    product = float(np.prod(rho1 * (1 - 0.5 * 0.96 ** (first * momentum_decay))))
    np.multiply(g, 1 - mu, out=a)
    s *= mu
    s += a
    _average_square(r, g, rho2, a)
    np.multiply(r, 1 / (1 - rho2**step), out=a)
    np.sqrt(a, out=a)
    a += eps
    np.multiply(s, lr * mu_next / (1 - product * mu_next), out=b)
    b /= a
    theta -= b
    np.divide(g, a, out=a)
    a *= lr * (1 - mu) / (1 - product)
    theta -= a


def radam(
    theta: Array,
    g: Array,
    s: Array,
    r: Array,
    *,
    scratch: Scratch,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """12 passes, or 9 while the average is short."""
    a = scratch.a
    rho1, rho2 = betas
    longest = 2 / (1 - rho2) - 1
    length = longest - 2 * step * rho2**step / (1 - rho2**step)
    if length > 4:
        lr *= float(np.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)))
        adam(theta, g, s, r, scratch=scratch, step=step, lr=lr, betas=betas, eps=eps)
        return
    np.multiply(g, 1 - rho1, out=a)
    s *= rho1
    s += a
    _average_square(r, g, rho2, a)
    np.multiply(s, lr / (1 - rho1**step), out=a)
    theta -= a


def adamax(
    theta: Array,
    g: Array,
    s: Array,
    u: Array,
    *,
    scratch: Scratch,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """10 passes."""
    a = scratch.a
    rho1, rho2 = betas
    np.multiply(g, 1 - rho1, out=a)
    s *= rho1
    s += a
    np.abs(g, out=a)
    a += eps
    u *= rho2
    np.maximum(u, a, out=u)
    np.divide(s, u, out=a)
    a *= lr / (1 - rho1**step)
    theta -= a


def rprop(
    theta: Array,
    g: Array,
    size: Array,
    previous: Array,
    *,
    scratch: Scratch,
    lr: float,
    etas: tuple[float, float],
    step_sizes: tuple[float, float],
) -> None:
    """20 passes, with masks as in `delta_bar_delta`."""
    a, b, mask = scratch
    np.multiply(g, previous, out=a)
    np.copyto(previous, size)
    np.greater(a, 0, out=mask)
    np.multiply(mask, a.dtype.type(etas[1] - 1), out=b)
    b += 1
    size *= b
    np.less(a, 0, out=mask)
    np.multiply(mask, a.dtype.type(etas[0] - 1), out=b)
    b += 1
    size *= b
    np.clip(size, *step_sizes, out=size)
    previous *= mask  # the sizes before, where the last step is taken back
    np.logical_not(mask, out=mask)
    np.multiply(size, mask, out=b)
    b += previous
    np.multiply(g, mask, out=previous)
    np.sign(g, out=a)
    a *= b
    theta -= a


def asgd(
    theta: Array, g: Array, theta_bar: Array, *, scratch: Scratch, step: int, lr: float, alpha: float, t0: float
) -> None:
    """5 passes."""
    a = scratch.a
    np.multiply(g, lr / step**alpha, out=a)
    theta -= a
    np.subtract(theta, theta_bar, out=a)
    a *= 1 / max(1.0, step - t0)
    theta_bar += a


def _average_square(r: Array, x: Array, rho: float, a: Array) -> None:
    """Make r ← ρr + (1 - ρ)x², in 4 passes. The scratch space `a` may be x itself."""
    np.multiply(x, x, out=a)
    a *= 1 - rho
    r *= rho
    r += a

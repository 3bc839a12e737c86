"""One function for each update rule."""

import math

import numpy as np

from schuss.reference.phase import Array, phase


@phase()
def sgd(theta: Array, g: Array, *, lr: float = 0.01, convention: str = "book") -> None:
    """Stochastic gradient descent: Robbins and Monro 1951; Deep Learning, algorithm 8.1."""
    theta -= lr * g


@phase()
def momentum(
    theta: Array,
    g: Array,
    v: Array,
    *,
    step: int,
    lr: float = 0.01,
    momentum: float = 0.9,
    dampening: float = 0.0,
    convention: str = "book",
) -> None:
    """Momentum: Polyak 1964; Deep Learning, algorithm 8.2."""
    if convention == "book":
        v[...] = momentum * v - lr * g
        theta += v
    else:
        v[...] = g if step == 1 else momentum * v + (1 - dampening) * g
        theta -= lr * v


@phase()
def nesterov(
    theta: Array,
    g: Array,
    v: Array,
    *,
    step: int,
    lr: float = 0.01,
    momentum: float = 0.9,
    look_ahead: float | None = None,
    convention: str = "book",
) -> None:
    """Nesterov momentum: Nesterov 1983, Sutskever et al. 2013; Deep Learning, algorithm 8.3.

    In the book's convention `theta` is the look-ahead point θ + αv at which the gradient is taken. From θ + αv, where
    this step's gradient was taken, to (θ + v′) + α′v′, where the next one will be, it is α′v′ + (v′ − αv) = α′v′ − εg.
    `look_ahead` is α′, by default α.
    """
    alpha_next = momentum if look_ahead is None else look_ahead
    if convention == "book":
        v[...] = momentum * v - lr * g
        theta += alpha_next * v - lr * g
    else:
        v[...] = g if step == 1 else momentum * v + g
        theta -= lr * (g + momentum * v)


@phase()
def delta_bar_delta(
    theta: Array,
    g: Array,
    rate: Array,
    delta_bar: Array,
    *,
    lr: float = 0.01,
    kappa: float = 0.001,
    phi: float = 0.1,
    gamma: float = 0.7,
    convention: str = "book",
) -> None:
    """Delta-bar-delta: Jacobs 1988; Deep Learning, section 8.5. Every `rate` starts at `lr`."""
    agreement = delta_bar * g
    rate[...] = np.where(agreement > 0, rate + kappa, np.where(agreement < 0, (1 - phi) * rate, rate))
    delta_bar[...] = (1 - gamma) * g + gamma * delta_bar
    theta -= rate * g


@phase()
def adagrad(
    theta: Array,
    g: Array,
    r: Array,
    *,
    step: int,
    lr: float = 0.01,
    eps: float = 1e-7,
    lr_decay: float = 0.0,
    convention: str = "book",
) -> None:
    """AdaGrad: Duchi et al. 2011; Deep Learning, algorithm 8.4."""
    rate = lr / (1 + (step - 1) * lr_decay)
    r += np.square(g)
    theta -= rate * g / (eps + np.sqrt(r))


@phase()
def rmsprop(
    theta: Array,
    g: Array,
    r: Array,
    g_bar: Array | None = None,
    v: Array | None = None,
    *,
    lr: float = 0.001,
    rho: float = 0.9,
    eps: float = 1e-6,
    momentum: float = 0.0,
    look_ahead: float | None = None,
    nesterov: bool = False,
    centered: bool = False,
    convention: str = "book",
) -> None:
    """RMSProp: Hinton 2012, Graves 2013 (centered); Deep Learning, algorithms 8.5 and 8.6.

    Without momentum `v` may be None, without centering `g_bar`. With Nesterov momentum see `nesterov`.
    """
    alpha_next = momentum if look_ahead is None else look_ahead
    r[...] = rho * r + (1 - rho) * np.square(g)
    variance = r
    if centered:
        assert g_bar is not None
        g_bar[...] = rho * g_bar + (1 - rho) * g
        variance = r - np.square(g_bar)
        variance = np.where(variance < 0, 0.0, variance)
    v = np.zeros_like(theta) if v is None else v
    if convention == "book":
        step = lr * g / np.sqrt(eps + variance)
        v[...] = momentum * v - step
        theta += alpha_next * v - step if nesterov else v
    else:
        v[...] = momentum * v + g / (np.sqrt(variance) + eps)
        theta -= lr * v


@phase()
def adadelta(
    theta: Array,
    g: Array,
    r: Array,
    u: Array,
    *,
    lr: float = 1.0,
    rho: float = 0.95,
    eps: float = 1e-6,
    convention: str = "book",
) -> None:
    """AdaDelta: Zeiler 2012, algorithm 1. √(u + δ) / √(r + δ) is written with one root."""
    r[...] = rho * r + (1 - rho) * np.square(g)
    step = np.sqrt((u + eps) / (r + eps)) * g
    u[...] = rho * u + (1 - rho) * np.square(step)
    theta -= lr * step


@phase()
def adam(
    theta: Array,
    g: Array,
    s: Array,
    r: Array,
    *,
    step: int,
    lr: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    convention: str = "book",
) -> None:
    """Adam: Kingma and Ba 2015; Deep Learning, algorithm 8.7."""
    rho1, rho2 = betas
    unbias1 = 1 / (1 - rho1**step)
    unbias2 = 1 / (1 - rho2**step)
    r[...] = rho2 * r + (1 - rho2) * np.square(g)
    if convention == "book":
        s[...] = rho1 * s + (1 - rho1) * g
        s_hat = unbias1 * s
        r_hat = unbias2 * r
        theta -= lr * s_hat / (np.sqrt(r_hat) + eps)
    else:
        s += (1 - rho1) * (g - s)
        theta -= (lr * unbias1) * s / (math.sqrt(unbias2) * np.sqrt(r) + eps)


adamw = phase(decoupled_weight_decay=True)(adam.__wrapped__)  # type: ignore[attr-defined]
adamw.__name__ = adamw.__qualname__ = "adamw"
adamw.__doc__ = "AdamW: Loshchilov and Hutter 2019, algorithm 2. Adam, whose weight decay bypasses the gradient."


@phase()
def nadam(
    theta: Array,
    g: Array,
    s: Array,
    r: Array,
    *,
    step: int,
    lr: float = 0.002,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    momentum_decay: float = 0.004,
    mu_product: float | None = None,
    convention: str = "book",
) -> None:
    """NAdam: Dozat 2016, algorithm 2. `mu_product` is μ₁⋯μₜ, which by default follows from `betas`."""
    rho1, rho2 = betas
    mu, mu_next = (rho1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
    product = 1.0 if mu_product is None else mu_product
    if mu_product is None:
        for t in range(1, step + 1):
            if product > 1e-17:  # of a smaller one nothing is left in 1 - product
                product *= rho1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    share_g = (1 - mu) / (1 - product)
    share_s = mu_next / (1 - product * mu_next)
    unbias2 = 1 / (1 - rho2**step)
    r[...] = rho2 * r + (1 - rho2) * np.square(g)
    if convention == "book":
        s[...] = mu * s + (1 - mu) * g
    else:
        s += (1 - rho1) * (g - s)
    s_hat = share_g * g + share_s * s
    r_hat = unbias2 * r
    theta -= lr * s_hat / (np.sqrt(r_hat) + eps)


@phase()
def radam(
    theta: Array,
    g: Array,
    s: Array,
    r: Array,
    *,
    step: int,
    lr: float = 0.001,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    convention: str = "book",
) -> None:
    """RAdam: Liu et al. 2020, algorithm 2."""
    rho1, rho2 = betas
    longest = 2 / (1 - rho2) - 1
    length = longest - 2 * step * rho2**step / (1 - rho2**step)
    unbias1 = 1 / (1 - rho1**step)
    unbias2 = 1 / (1 - rho2**step)
    r[...] = rho2 * r + (1 - rho2) * np.square(g)
    if convention == "book":
        s[...] = rho1 * s + (1 - rho1) * g
    else:
        s += (1 - rho1) * (g - s)
    s_hat = unbias1 * s
    if length <= (4 if convention == "book" else 5):
        theta -= lr * s_hat
        return
    rectifier = math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
    if convention == "book":
        r_hat = unbias2 * r
        theta -= (lr * rectifier) * s_hat / (np.sqrt(r_hat) + eps)
    else:
        theta -= (lr * rectifier / math.sqrt(unbias2)) * s_hat / (np.sqrt(r) + eps)


@phase()
def adamax(
    theta: Array,
    g: Array,
    s: Array,
    u: Array,
    *,
    step: int,
    lr: float = 0.002,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    convention: str = "book",
) -> None:
    """Adamax: Kingma and Ba 2015, algorithm 2."""
    rho1, rho2 = betas
    unbias1 = 1 / (1 - rho1**step)
    if convention == "book":
        s[...] = rho1 * s + (1 - rho1) * g
    else:
        s += (1 - rho1) * (g - s)
    u[...] = np.maximum(rho2 * u, np.abs(g) + eps)
    theta -= (lr * unbias1) * s / u


@phase()
def rprop(
    theta: Array,
    g: Array,
    size: Array,
    previous: Array,
    *,
    lr: float = 0.01,
    etas: tuple[float, float] = (0.5, 1.2),
    step_sizes: tuple[float, float] = (1e-6, 50.0),
    convention: str = "book",
) -> None:
    """Rprop: Riedmiller and Braun 1993. Every `size` starts at `lr`.

    Where the gradient has changed its sign, the last step was sign(g)·size, so that -sign(g)·size takes it back. A NaN
    stays one in the book's convention, and has no sign in torch's.
    """
    agreement = g * previous
    back = size.copy() if convention == "book" else np.zeros_like(size)
    rest = g if convention == "book" else np.zeros_like(g)
    size[...] = np.where(agreement > 0, etas[1] * size, np.where(agreement < 0, etas[0] * size, size))
    size[...] = np.minimum(np.maximum(size, step_sizes[0]), step_sizes[1])
    step = np.where(agreement < 0, back, size)
    theta -= np.where(g > 0, step, np.where(g < 0, -step, rest))  # sign(g)·step
    previous[...] = np.where(agreement < 0, 0, g)


@phase()
def asgd(
    theta: Array,
    g: Array,
    theta_bar: Array,
    *,
    step: int,
    lr: float = 0.01,
    lambd: float = 0.0,
    alpha: float = 0.75,
    t0: float = 0.0,
    eta: float | None = None,
    mu: float | None = None,
    convention: str = "book",
) -> None:
    """Averaged stochastic gradient descent: Polyak and Juditsky 1992.

    `eta` and `mu` are the step's rate and its weight in the average, which by default follow their schedules.
    """
    if convention == "book":
        rate, since = lr / step**alpha, step
    else:  # torch sets both schedules at the end of a step, for the next one
        rate, since = lr / (1 + lambd * lr * (step - 1)) ** alpha, step - 1
    rate = rate if eta is None else eta
    weight = 1 / max(1.0, since - t0) if mu is None else mu
    if lambd != 0:
        theta[...] = (1 - lambd * rate) * theta
    theta -= rate * g
    if weight == 1:
        theta_bar[...] = theta
    else:
        theta_bar += weight * (theta - theta_bar)

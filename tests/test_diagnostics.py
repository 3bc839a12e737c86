"""Diagnostics: curvature by differences, spectra by Lanczos' method, kinds of critical points, range tests, plots."""

import math
import re

import numpy as np
import pytest

import schuss
from schuss import diagnostics
from schuss.diagnostics import (
    GradientNorms,
    condition_number,
    critical_point,
    gradient_standard_error,
    hessian_vector_product,
    ill_conditioning,
    lanczos,
    range_test,
)
from schuss.diagnostics.norms import length

NAN, INF = math.nan, math.inf

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def symmetric(eigenvalues, seed=0):
    """A symmetric matrix with these eigenvalues."""
    q = schuss.init.orthogonal((len(eigenvalues), len(eigenvalues)), seed=seed, dtype="float64")
    return q * np.asarray(eigenvalues, float) @ q.T


def quadratic(eigenvalues):
    a = symmetric(eigenvalues)
    return lambda x: (a @ x).astype(x.dtype)


def softmax_regression(penalty=1e-2):
    """The gradient and the Hessian of softmax regression on 4 × 4 digits, as functions of the 160 weights."""
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    pixels, labels = (array[:600] for array in sklearn_datasets.load_digits(return_X_y=True))
    x, onehot = pixels.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16) / 16, np.eye(10)[labels]
    n, d = x.shape

    def probabilities(w):
        logits = x @ w.reshape(d, 10)
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exps / exps.sum(axis=1, keepdims=True)

    def gradient(w):
        return (x.T @ (probabilities(w) - onehot)).ravel() / n + penalty * w

    def hessian(w):
        p = probabilities(w)
        blocks = np.empty((d, 10, d, 10))
        for a in range(10):
            for b in range(10):
                weight = p[:, a] * ((a == b) - p[:, b])
                blocks[:, a, :, b] = (x.T * weight) @ x / n
        return blocks.reshape(10 * d, 10 * d) + penalty * np.eye(10 * d)

    return gradient, hessian, 10 * d


# ---- norms ----


def test_gradient_norms_are_those_of_one_long_vector():
    norms = GradientNorms()
    for gradients in ([np.array([3.0]), np.array([[4.0]])], {"w": np.full(4, 2.0)}, np.array([1e-300, 0]), [INF, NAN]):
        norms.record(gradients)
    assert norms.norms[:3] == [5.0, 4.0, 1e-300]
    assert not math.isfinite(norms.norms[3])


def test_norms_neither_overflow_nor_underflow():
    assert length(np.full(4, 1e200)) == 2e200
    assert length(np.full(4, 1e-200)) == 2e-200
    assert length(np.full(4, 3e38, np.float32)) == pytest.approx(6e38)
    assert length([]) == 0.0


def test_only_every_so_many_norms_are_recorded():
    norms = GradientNorms(every=3)
    for k in range(8):
        norms.record([float(k)])
    assert (norms.steps, norms.norms) == ([0, 3, 6], [0.0, 3.0, 6.0])


def test_the_gradient_norm_may_grow_while_the_loss_falls():
    norms, x = GradientNorms(), np.array([1e-3])
    opt = schuss.SGD([x], lr=0.1)
    for _ in range(30):
        norms.record([-2 * x])  # of f = -x²
        opt.step([-2 * x])
    assert norms.norms == sorted(norms.norms)


# ---- Hessian-vector products ----


@dtypes
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_product_by_differences_is_the_hessians_at_any_scale(dtype, scale):
    rng = np.random.default_rng(0)
    x, v = (scale * rng.normal(size=6)).astype(dtype), rng.normal(size=6).astype(dtype)

    def gradient(x):  # of Σ scale²·cosh(xᵢ/scale) + coupling, whose Hessian changes over distances of `scale`
        return (scale * np.sinh(x / scale) + x.sum()).astype(dtype)

    exact = np.cosh(x.astype(float) / scale) * v + v.astype(float).sum()
    found = hessian_vector_product(gradient, x, v)
    assert found.dtype == dtype
    tolerance = 40 * np.finfo(dtype).eps ** (2 / 3)
    np.testing.assert_allclose(found, exact, rtol=0, atol=tolerance * np.abs(exact).max())


@pytest.mark.parametrize("size", [1e-150, 1.0, 1e150])
def test_a_product_does_not_depend_on_the_length_of_the_vector(size):
    gradient, v = quadratic([1.0, 5.0, 100.0]), np.array([1.0, -2.0, 3.0])
    found = hessian_vector_product(gradient, np.ones(3), size * v)
    np.testing.assert_allclose(found, size * (gradient(v)), rtol=1e-8)


def test_a_product_with_zero_is_zero_and_at_zero_the_scale_is_one():
    gradient = quadratic([1.0, 5.0])
    np.testing.assert_array_equal(hessian_vector_product(gradient, np.ones(2), np.zeros(2)), np.zeros(2))
    np.testing.assert_allclose(hessian_vector_product(gradient, np.zeros(2), [1.0, 1.0]), gradient(np.ones(2)))


def test_the_scale_may_be_given():
    found = hessian_vector_product(lambda x: np.sin(1e6 * x), np.array([1.0]), [1.0], scale=1e-6)
    np.testing.assert_allclose(found, 1e6 * np.cos(1e6), rtol=1e-3)


# ---- conditioning of a step ----


@pytest.mark.parametrize("hvp", [None, lambda x, v: np.array([1.0, 100.0]) * v], ids=["differences", "given"])
@pytest.mark.parametrize("lr", [1e-3, 0.0199, 0.0201, 0.5])
def test_curvature_tells_whether_a_step_makes_f_rise(hvp, lr):
    curvatures, x = np.array([1.0, 100.0]), np.array([0.0, 2.0])

    def f(x):
        return curvatures @ x**2 / 2

    found = ill_conditioning(lambda x: curvatures * x, x, lr, hvp=hvp)
    after = f(x - lr * curvatures * x)
    assert found.is_ill == (after > f(x)) == (lr > 0.02)
    assert found.change == pytest.approx(after - f(x), rel=1e-6)
    assert found.gg == 200.0**2
    assert found.ghg == pytest.approx(100 * 200.0**2, rel=1e-9)
    assert found.best_lr == pytest.approx(0.01, rel=1e-9)
    assert found.curvature_term == 0.5 * lr * found.ghg


def test_where_there_is_no_positive_curvature_any_rate_descends():
    found = ill_conditioning(lambda x: -x, np.ones(3), 10.0)
    assert (found.best_lr, found.is_ill) == (INF, False)


# ---- Lanczos ----

SPECTRA = {
    "well separated": np.arange(1.0, 31.0),
    "wide": np.geomspace(1e-3, 1e3, 30),
    "indefinite": np.linspace(-7, 12, 30),
    "one pair": np.array([2.0] * 29 + [5.0]),
    "multiple extremes": np.array([-1.0] * 10 + [0.0] * 10 + [1.0] * 10),
    "identity": np.ones(30),
    "zero": np.zeros(30),
    "alone": np.array([-3.0]),
    "tiny": 1e-200 * np.arange(1.0, 31.0),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_lanczos_finds_the_extremes_and_bounds_its_errors(name):
    eigenvalues, a = SPECTRA[name], symmetric(SPECTRA[name])
    seen = []
    found = lanczos(lambda v: a @ v, len(a), rtol=1e-9, callback=lambda *args: seen.append(args))
    scale = np.abs(eigenvalues).max()
    assert found.converged
    np.testing.assert_allclose(found.values[[0, -1]], eigenvalues[[0, -1]], rtol=0, atol=1e-8 * scale)
    nearest = np.abs(found.values[:, None] - eigenvalues).min(axis=1)
    assert (nearest <= found.residuals + 1e-12 * scale).all()
    assert [k for k, _, _ in seen] == list(range(1, len(found.values) + 1))
    assert seen[-1][1:] == (found.values[0], found.values[-1])


def test_lanczos_with_all_products_has_all_eigenvalues():
    a = symmetric(SPECTRA["well separated"])
    found = lanczos(lambda v: a @ v, 30, rtol=0.0)
    np.testing.assert_allclose(found.values, SPECTRA["well separated"], rtol=1e-11)


def test_lanczos_keeps_its_basis_orthogonal_where_ghosts_would_appear():
    eigenvalues = np.append(np.linspace(0, 1, 199), 100.0)  # one converges at once; without care it would come again
    found = lanczos(lambda v: eigenvalues * v, 200, iterations=60, rtol=0.0)
    assert (found.values > 2).sum() == 1


def test_lanczos_ends_after_few_products_where_the_extremes_are_apart():
    found = lanczos(lambda v: np.append(np.linspace(1, 2, 998), [-5.0, 9.0]) * v, 1000)
    assert found.converged
    assert len(found.values) < 30


def test_lanczos_says_if_it_has_not_converged():
    found = lanczos(lambda v: np.linspace(1, 2, 1000) * v, 1000, iterations=3)
    assert (found.converged, len(found.values)) == (False, 3)
    assert found.residuals.max() > 1e-3


def test_lanczos_on_the_hessian_of_softmax_regression_on_digits():
    gradient, hessian, n = softmax_regression()
    w = 0.3 * np.random.default_rng(1).normal(size=n)
    exact = np.linalg.eigvalsh(hessian(w))
    found = lanczos(lambda v: hessian_vector_product(gradient, w, v), n, iterations=80)
    assert found.values[-1] == pytest.approx(exact[-1], rel=1e-6)
    assert found.values[0] == pytest.approx(exact[0], rel=1e-3)
    nearest = np.abs(found.values[:, None] - exact).min(axis=1)
    assert (nearest <= found.residuals + 1e-7 * exact[-1]).all()

    kappa = condition_number(w, gradient=gradient, iterations=80)
    assert kappa.value == pytest.approx(exact[-1] / exact[0], rel=1e-3)
    assert kappa.bounds[0] <= exact[-1] / exact[0] <= kappa.bounds[1]


# ---- critical points ----

KINDS = [
    ([1.0, 2.0, 3.0], "minimum"),
    ([-1.0, -2.0, -3.0], "maximum"),
    ([1.0, -2.0, 3.0], "saddle"),
    ([1.0, -2.0, 0.0], "saddle"),
    ([1.0, 0.0, 3.0], "degenerate"),
    ([-1.0, 0.0, -3.0], "degenerate"),
    ([0.0, 0.0, 0.0], "degenerate"),
    ([1e-3, 1.0, 1e3], "minimum"),
    ([1e-20, 2e-20, 3e-20], "minimum"),
    ([4.0], "minimum"),
    ([-4.0], "maximum"),
]


def ways(eigenvalues):
    """The three forms in which curvature may be given."""
    a, gradient = symmetric(eigenvalues), quadratic(eigenvalues)
    return {"gradient": gradient}, {"hvp": lambda x, v: a @ v}, {"hessian": lambda x: a}


@pytest.mark.parametrize("way", range(3), ids=["gradient", "hvp", "hessian"])
@pytest.mark.parametrize(("eigenvalues", "kind"), KINDS, ids=[f"{values}" for values, _ in KINDS])
def test_the_kind_of_a_critical_point(eigenvalues, kind, way):
    found = critical_point(np.zeros(len(eigenvalues)), **ways(eigenvalues)[way])
    assert found.kind == kind
    extremes = found.eigenvalues[[0, -1]]
    scale = max(map(abs, eigenvalues))
    np.testing.assert_allclose(extremes, [min(eigenvalues), max(eigenvalues)], rtol=0, atol=1e-8 * scale)


@dtypes
def test_the_monkey_saddle_is_degenerate_and_himmelblaus_hill_a_maximum(dtype):
    def monkey(x):
        return np.array([3 * x[0] ** 2 - 3 * x[1] ** 2, -6 * x[0] * x[1]], x.dtype)

    def himmelblau(x):
        a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
        return np.array([4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b], x.dtype)

    assert critical_point(np.zeros(2, dtype), gradient=monkey).kind == "degenerate"
    for x, kind in (((-0.270845, -0.923039), "maximum"), ((3, 2), "minimum"), ((0.0866775, 2.884254), "saddle")):
        assert critical_point(np.array(x, dtype), gradient=himmelblau, gtol=1e-2).kind == kind


def test_many_directions_with_a_flat_one_are_degenerate():
    curvatures = np.append(np.geomspace(0.1, 10, 150), 0.0)
    assert critical_point(np.zeros(151), hvp=lambda x, v: curvatures * v).kind == "degenerate"
    assert condition_number(np.zeros(151), hvp=lambda x, v: curvatures * v).value == INF


def test_too_few_products_leave_the_kind_undecided():
    eigenvalues = np.append(np.linspace(1, 2, 60), -1e-3)
    found = critical_point(np.zeros(61), hvp=lambda x, v: eigenvalues * v, iterations=3)
    assert found.kind == "undecided"
    assert critical_point(np.zeros(61), hvp=lambda x, v: eigenvalues * v).kind == "saddle"


@pytest.mark.parametrize("way", range(3), ids=["gradient", "hvp", "hessian"])
@pytest.mark.parametrize(
    ("eigenvalues", "kappa"),
    [([1, 2, 50], 50), ([-1, -2, -50], 50), ([3, 3, 3], 1), ([0, 1, 2], INF), ([1e-9, 2e-9, 4e-9], 4), ([7], 1)],
)
def test_the_condition_number(eigenvalues, kappa, way):
    found = condition_number(np.ones(len(eigenvalues)), **ways(eigenvalues)[way])
    assert found.value == pytest.approx(kappa, rel=1e-7)
    assert found.bounds[0] <= found.value <= found.bounds[1]


def test_the_condition_number_of_an_indefinite_hessian_needs_all_of_it():
    assert condition_number(np.zeros(3), hessian=lambda x: np.diag([-1.0, 8.0, 2.0])).value == 8
    with pytest.raises(ValueError, match=re.escape("the eigenvalues reach from -1 to 8: both signs need a hessian")):
        condition_number(np.zeros(3), hvp=lambda x, v: np.array([-1.0, 8.0, 2.0]) * v)


# ---- range test ----


def trainer(curvature=10.0, offset=0.0, noise=0.0, sign=1.0):
    """Gradient descent on ½·curvature·x² + offset, which diverges for rates above 2/curvature."""
    x, rng = np.array([3.0]), np.random.default_rng(0)

    def step(lr):
        loss = curvature * x[0] ** 2 / 2 + offset + noise * rng.normal()
        x[0] -= lr * curvature * x[0]
        return loss

    return step


@pytest.mark.parametrize("offset", [0.0, -1e3, -20.0, 1e3], ids=["positive", "negative", "crossing", "far"])
@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("curvature", [0.5, 10.0, 1e4])
def test_the_range_test_stops_at_divergence_and_suggests_a_rate_below_it(offset, noise, curvature):
    noise *= curvature / 10
    found = range_test(trainer(curvature, offset * curvature, noise), low=1e-6, high=1e3, steps=200)
    limit = 2 / curvature
    assert found.diverged_at is not None
    assert limit < found.diverged_at < 20 * limit  # having come near to the minimum, it has far to go
    assert limit / 1000 < found.suggestion < limit
    assert found.rates[-1] == found.diverged_at
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    if noise == 0:
        shifted = range_test(trainer(curvature), low=1e-6, high=1e3, steps=200)
        assert len(shifted.rates) == len(found.rates)


def test_the_range_test_stops_at_once_where_the_loss_is_not_finite():
    found = range_test(lambda lr: INF if lr > 0.1 else -lr, low=1e-3, high=10, steps=50)
    assert found.diverged_at == found.rates[-1] == found.rates[found.rates > 0.1][0]
    assert len(found.smoothed) == len(found.losses) - 1
    assert not math.isfinite(range_test(lambda lr: NAN).losses[0])


def test_the_range_test_may_end_without_divergence_or_suggestion():
    falling = range_test(lambda lr: -lr, steps=30)
    assert (falling.diverged_at, len(falling.rates)) == (None, 30)
    assert falling.suggestion is not None
    constant = range_test(lambda lr: 1.0, steps=30)
    assert (constant.diverged_at, constant.suggestion) == (None, None)


def test_noise_alone_is_no_divergence():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert range_test(lambda lr, rng=rng: rng.normal(), steps=200).diverged_at is None


def test_the_range_test_reports_its_progress():
    seen = []
    found = range_test(lambda lr: lr, low=1e-3, high=1.0, steps=4, callback=lambda *args: seen.append(args))
    assert seen == [(k, rate, rate) for k, rate in enumerate(found.rates)]
    np.testing.assert_allclose(found.rates, [1e-3, 1e-2, 1e-1, 1.0])


def test_the_suggested_rate_trains_softmax_regression():
    gradient, _, n = softmax_regression()
    w = np.zeros(n)
    opt = schuss.SGD([w], lr=lambda step: rate)

    def step(lr):
        nonlocal rate
        rate, g = lr, gradient(w)
        opt.step([g])
        return g @ g  # stands for the loss, of which it is as good a sign here

    rate = 0.0
    found = range_test(step, low=1e-4, high=1e4)
    w[:] = 0
    start, rate = np.linalg.norm(gradient(w)), found.suggestion
    for _ in range(30):
        opt.step([gradient(w)])
    assert np.linalg.norm(gradient(w)) < start / 2


# ---- wrong arguments ----

A = np.diag([1.0, 2.0])


def times(x):
    return A @ x


ERRORS = [
    (lambda: GradientNorms(0), ValueError, "every must be an integer of at least 1, got 0"),
    (lambda: hessian_vector_product(times, [[1.0, 2.0]], [1.0]), ValueError, "x has shape (1, 2), expected (n,)"),
    (lambda: hessian_vector_product(times, [1.0, 2.0], [1.0]), ValueError, "v has shape (1,), expected (2,)"),
    (lambda: hessian_vector_product(times, [1.0, NAN], [1.0, 1.0]), ValueError, "x is not finite"),
    (lambda: hessian_vector_product(times, ["a"], [1.0]), TypeError, "x has dtype <U1, expected real numbers"),
    (lambda: hessian_vector_product(times, [1j], [1.0]), TypeError, "x has dtype complex128, expected real numbers"),
    (lambda: hessian_vector_product(times, [1, 2], [1, 0], scale=0), ValueError, "scale must be in (0, inf), got 0"),
    (lambda: hessian_vector_product(times, [1e9, 2], [1, 0], scale=1e-9), ValueError, "scale=1e-09 is too small"),
    (lambda: hessian_vector_product(sum, [1, 2], [1, 0]), ValueError, "gradient(x) has shape (), expected (2,)"),
    (lambda: hessian_vector_product(lambda x: x / 0, [1, 2], [1, 0]), ValueError, "gradient(x) is not finite"),
    (lambda: ill_conditioning(times, [1, 2], -0.1), ValueError, "lr must be in [0, inf), got -0.1"),
    (lambda: ill_conditioning(times, [1, 2], 0.1, hvp=A), TypeError, "hvp is array"),
    (lambda: ill_conditioning(times, [1, 2], 0.1, hvp=lambda x, v: 1.0), ValueError, "hvp(x, v) has shape ()"),
    (lambda: lanczos(times, 0), ValueError, "n must be an integer of at least 1, got 0"),
    (lambda: lanczos(times, 2, iterations=0), ValueError, "iterations must be an integer of at least 1, got 0"),
    (lambda: lanczos(times, 2, rtol=-1), ValueError, "rtol must be in [0, inf), got -1"),
    (lambda: lanczos(times, 2, seed=0.5), TypeError, "seed must be an integer"),
    (lambda: lanczos(times, 2, dtype="int32"), TypeError, "dtype must be float32 or float64, got 'int32'"),
    (lambda: lanczos(lambda v: v[:1], 2), ValueError, "product(v) has shape (1,), expected (2,)"),
    (lambda: lanczos(lambda v: v * NAN, 2), ValueError, "product(v) is not finite"),
    (lambda: critical_point([0, 0]), TypeError, "gradient is None, expected a function"),
    (lambda: critical_point([0], gradient=3), TypeError, "gradient is 3, expected a function"),
    (lambda: critical_point([0], hessian=3), TypeError, "hessian is 3, expected a function"),
    (lambda: hessian_vector_product(3, [1.0], [1.0]), TypeError, "gradient is 3, expected a function"),
    (lambda: ill_conditioning(None, [1.0], 0.1), TypeError, "gradient is None, expected a function"),
    (lambda: lanczos(A, 2), TypeError, "product is array"),
    (lambda: range_test(3), TypeError, "step is 3, expected a function"),
    (lambda: GradientNorms().record(None), TypeError, "gradients have dtype object, expected real numbers"),
    (lambda: GradientNorms().record({"w": "a"}), TypeError, "gradients have dtype <U1, expected real numbers"),
    (lambda: critical_point([]), ValueError, "x has shape (0,), expected at least one parameter"),
    (
        lambda: critical_point([3, 2], gradient=times),
        ValueError,
        "x is no critical point: its gradient has a norm of 5",
    ),
    (lambda: critical_point([0, 0], gradient=times, gtol=-1), ValueError, "gtol must be in [0, inf), got -1"),
    (lambda: critical_point([0, 0], gradient=times, rtol=NAN), ValueError, "rtol must be in [0, inf), got nan"),
    (lambda: critical_point([0, 0], hessian=lambda x: A[0]), ValueError, "hessian(x) has shape (2,), expected (2, 2)"),
    (lambda: critical_point([0, 0], hessian=lambda x: A * INF), ValueError, "hessian(x) is not finite"),
    (lambda: critical_point([0, 0], hessian=lambda x: np.triu(A + 1)), ValueError, "hessian(x) is not symmetric"),
    (lambda: critical_point([0, 0], hessian=times, hvp=times), TypeError, "hvp and hessian are given, expected one"),
    (lambda: range_test(abs, low=0), ValueError, "low must be in (0, inf), got 0"),
    (lambda: range_test(abs, low=1, high=1), ValueError, "high must be greater than low=1, got 1"),
    (lambda: range_test(abs, steps=1), ValueError, "steps must be an integer of at least 2, got 1"),
    (lambda: range_test(abs, window=0), ValueError, "window must be an integer of at least 1, got 0"),
    (lambda: range_test(abs, factor=0), ValueError, "factor must be in (0, inf), got 0"),
    (lambda: range_test(str), TypeError, "step returned '1e-06', expected a number"),
    (lambda: range_test(lambda lr: None), TypeError, "step returned None, expected a number"),
]


@pytest.mark.parametrize(("call", "exception", "message"), ERRORS, ids=[message for _, _, message in ERRORS])
def test_wrong_arguments(call, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        call()


# ---- plots ----


def drawn():
    """For each plot, what it is to draw."""
    norms = GradientNorms()
    for k in range(3):
        norms.record([1.0 + k])
    return {
        "plot_gradient_norms": norms,
        "plot_ill_conditioning": [ill_conditioning(times, [1.0, 1.0], lr) for lr in (0.1, 1.0)],
        "plot_spectrum": critical_point([0.0, 0.0], gradient=times),
        "plot_range_test": range_test(trainer(), high=10),
        "plot_standard_error": gradient_standard_error(lambda i: i.mean(), 50, seed=0),
    }


@pytest.mark.parametrize("name", [name for name in diagnostics.__all__ if name.startswith("plot_")])
def test_plots_draw_on_the_axes_given_or_on_their_own(name):
    figure = pytest.importorskip("matplotlib.figure")
    plot, found = getattr(diagnostics, name), drawn()[name]
    axes = figure.Figure().subplots()
    assert plot(found, axes) is axes
    assert len(axes.lines) > 0
    own = plot(found)
    assert own is not axes
    own.figure.canvas.draw()
    for line, same in zip(axes.lines, own.lines, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())
        assert np.isfinite(line.get_xydata()).all()


def test_plots_show_what_was_found():
    pytest.importorskip("matplotlib")
    found = drawn()
    np.testing.assert_array_equal(
        diagnostics.plot_gradient_norms(found["plot_gradient_norms"]).lines[0].get_ydata(), [1, 2, 3]
    )
    assert diagnostics.plot_spectrum(found["plot_spectrum"]).get_title() == "minimum"
    assert diagnostics.plot_spectrum(condition_number([1.0, 1.0], gradient=times)).get_title() == "κ = 2"
    x = [line.get_xdata()[0] for line in diagnostics.plot_range_test(found["plot_range_test"]).lines]
    assert found["plot_range_test"].suggestion in x
    assert found["plot_range_test"].diverged_at in x
    errors = diagnostics.plot_standard_error(found["plot_standard_error"]).lines[0]
    np.testing.assert_array_equal(errors.get_ydata(), found["plot_standard_error"].errors)


# ---- the valley ----


@dtypes
def test_in_the_valley_the_average_is_nearer_to_the_bottom_than_the_iterate(dtype):
    for seed in range(5):
        valley = schuss.examples.Valley(noise=1.0, seed=seed)
        x = np.array([1.0, 1.0], dtype)
        opt, total = schuss.SGD([x], lr=0.019), np.zeros(2, dtype)
        signs = []
        for step in range(400):
            opt.step([valley.gradient(x, step)])
            signs.append(np.sign(x[0]))
            if step >= 100:
                total += x
        assert np.mean(np.diff(signs) != 0) > 0.6  # it crosses the bottom most of the time
        assert valley(total / 300)[0] < valley(x)[0] / 2


def test_the_noise_of_the_valley_belongs_to_seed_and_step():
    x = np.zeros(2)
    valley = schuss.examples.Valley(noise=2.0, seed=1)
    np.testing.assert_array_equal(valley.gradient(x, 3), schuss.examples.Valley(noise=2.0, seed=1).gradient(x, 3))
    drawn = np.array([valley.gradient(x, step) for step in range(2000)])
    np.testing.assert_allclose(drawn.std(axis=0), 2.0, rtol=0.1)
    assert (drawn[1:] != drawn[:-1]).all()
    for bad, message in (({"steep": 0}, "steep must be in (0, inf)"), ({"noise": -1}, "noise must be in [0, inf)")):
        with pytest.raises(ValueError, match=re.escape(message)):
            schuss.examples.Valley(**bad)

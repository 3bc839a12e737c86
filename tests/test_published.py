"""The references against what the papers and the book say, in code or numbers that do not come from them."""

import itertools

import numpy as np
import pytest

import schuss
from schuss import kernels, reference

A = np.diag([1.0, 10.0, 50.0])


def gradient(theta):
    """The gradient of the quadratic ½θᵀAθ."""
    return A @ theta


def test_sgd_by_hand():
    theta = np.array([1.0, 2.0])
    reference.sgd(theta, np.array([0.5, -1.0]), lr=0.1)
    np.testing.assert_allclose(theta, [0.95, 2.1], rtol=1e-15)


def test_momentum_reaches_its_terminal_velocity():
    # Deep Learning, equation 8.17: under a constant gradient the step grows to ε‖g‖/(1 - α).
    theta, v, g = np.zeros(2), np.zeros(2), np.array([3.0, -4.0])
    for step in range(1, 500):
        reference.momentum(theta, g, v, step=step, lr=0.01, momentum=0.9)
    np.testing.assert_allclose(np.linalg.norm(v), 0.01 * 5 / (1 - 0.9), rtol=1e-12)


def algorithm_8_3(theta, alphas, lr):
    """Deep Learning's algorithm 8.3 as printed, with the gradient at an interim point: (θ, next interim point)."""
    v = np.zeros_like(theta)
    for alpha, after in itertools.pairwise(alphas):
        interim = theta + alpha * v
        v = alpha * v - lr * gradient(interim)
        theta = theta + v
        interim = theta + after * v
    return theta, interim


@pytest.mark.parametrize("momentum", [0.9, lambda t: 0.5 + 0.4 * min(t, 10) / 10], ids=["constant", "schedule"])
def test_nesterov_is_algorithm_8_3_at_its_interim_points(momentum):
    alphas = [momentum(t) if callable(momentum) else momentum for t in range(31)]
    theta = np.array([1.0, -2.0, 3.0])
    expected, interim = algorithm_8_3(theta, alphas, lr=0.01)
    optimizer = schuss.Nesterov([theta], lr=0.01, momentum=momentum)
    for _ in range(30):
        optimizer.step([gradient(theta)])
    np.testing.assert_allclose(optimizer.theta()[0], expected, rtol=1e-12)
    np.testing.assert_allclose(theta, interim, rtol=1e-12)


def test_nesterov_momentum_changed_by_hand_takes_effect_from_the_next_look_ahead():
    theta = np.array([1.0, -2.0, 3.0])
    expected, _ = algorithm_8_3(theta, [0.5] * 5 + [0.9] * 6, lr=0.01)
    optimizer = schuss.SGD([theta], lr=0.01, momentum=0.5, nesterov=True)
    for step in range(10):
        if step == 4:
            optimizer.groups[0]["momentum"] = 0.9
        optimizer.step([gradient(theta)])
    np.testing.assert_allclose(optimizer.theta()[0], expected, rtol=1e-12)


def test_rmsprop_with_nesterov_is_algorithm_8_6_at_its_interim_points():
    alpha, rho, lr, delta = 0.9, 0.9, 0.01, 1e-6
    start = np.array([1.0, -2.0, 3.0])
    theta, v, r = start.copy(), np.zeros(3), np.zeros(3)
    for _ in range(20):
        g = gradient(theta + alpha * v)
        r = rho * r + (1 - rho) * g * g
        v = alpha * v - lr / np.sqrt(delta + r) * g
        theta = theta + v
    stored = start.copy()
    optimizer = schuss.RMSProp([stored], lr=lr, rho=rho, momentum=alpha, nesterov=True)
    for _ in range(20):
        optimizer.step([gradient(stored)])
    np.testing.assert_allclose(optimizer.theta()[0], theta, rtol=1e-11)


def test_kernels_with_nesterov_look_as_far_ahead_as_their_momentum():
    start = np.array([1.0, -2.0, 3.0])
    expected, _ = algorithm_8_3(start, [0.5] * 21, lr=0.01)
    theta, v = start.copy(), np.zeros(3)
    for step in range(1, 21):
        kernels.nesterov(theta, gradient(theta), v, step=step, lr=0.01, momentum=0.5)
    np.testing.assert_allclose(theta - 0.5 * v, expected, rtol=1e-12)

    stored, theta, r, v = start.copy(), start.copy(), np.zeros(3), np.zeros(3)
    optimizer = schuss.RMSProp([stored], lr=0.01, momentum=0.9, nesterov=True)
    for _ in range(20):
        optimizer.step([gradient(stored)])
        kernels.rmsprop(theta, gradient(theta), r, None, v, lr=0.01, momentum=0.9, nesterov=True)
    np.testing.assert_array_equal(theta, stored)


def test_delta_bar_delta_rates_by_hand():
    theta, rate, delta_bar = np.zeros(3), np.full(3, 0.1), np.array([1.0, 1.0, 0.0])
    g = np.array([2.0, -2.0, 5.0])  # same sign as before, other sign, no sign before
    reference.delta_bar_delta(theta, g, rate, delta_bar, kappa=0.05, phi=0.2, gamma=0.7)
    np.testing.assert_allclose(rate, [0.15, 0.08, 0.1], rtol=1e-15)
    np.testing.assert_allclose(delta_bar, [0.3 * 2 + 0.7, -0.3 * 2 + 0.7, 1.5], rtol=1e-14)
    np.testing.assert_allclose(theta, [-0.3, 0.16, -0.5], rtol=1e-15)


def test_adagrad_rates_fall_with_the_root_of_the_step():
    theta, r = np.zeros(1), np.zeros(1)
    steps = []
    for step in range(1, 101):
        before = theta.copy()
        reference.adagrad(theta, np.array([2.0]), r, step=step, lr=0.1, eps=0.0)
        steps.append(abs(float((theta - before)[0])))
    np.testing.assert_allclose(steps, 0.1 / np.sqrt(np.arange(1, 101)), rtol=1e-12)


def test_rmsprop_forgets_as_an_exponential_average():
    theta, r, g = np.zeros(1), np.zeros(1), np.array([3.0])
    for _ in range(10):
        reference.rmsprop(theta, g, r, rho=0.9)
    np.testing.assert_allclose(r, 9 * (1 - 0.9**10), rtol=1e-14)


def test_centered_rmsprop_divides_by_the_standard_deviation():
    theta, r, g_bar = np.zeros(1), np.zeros(1), np.zeros(1)
    for k in range(2000):
        before = theta.copy()
        reference.rmsprop(theta, np.array([5.0 + (-1) ** k]), r, g_bar, rho=0.99, lr=0.01, eps=0.0, centered=True)
    # The gradient alternates between 4 and 6: mean 5, standard deviation 1.
    np.testing.assert_allclose(before - theta, 0.01 * 4, rtol=0.02)


def test_adadelta_starts_as_zeiler_computes_it():
    theta, r, u = np.zeros(1), np.zeros(1), np.zeros(1)
    reference.adadelta(theta, np.array([2.0]), r, u, rho=0.95, eps=1e-6)
    expected = np.sqrt(1e-6) / np.sqrt(0.05 * 4 + 1e-6) * 2
    np.testing.assert_allclose(-theta, expected, rtol=1e-14)
    np.testing.assert_allclose(u, 0.05 * expected**2, rtol=1e-14)


def test_adam_first_steps_have_the_length_of_the_learning_rate():
    # Kingma and Ba 2015, section 2.1: the effective step is bounded by ε, and equals it for constant gradients.
    for scale in (1e-3, 1.0, 1e6):
        theta, s, r = np.zeros(1), np.zeros(1), np.zeros(1)
        for step in range(1, 6):
            reference.adam(theta, np.array([scale]), s, r, step=step, lr=0.1, eps=0.0)
            np.testing.assert_allclose(theta, -0.1 * step, rtol=1e-12)


def test_adamw_decays_by_the_learning_rate_and_adam_does_not():
    theta, zero = np.array([2.0]), np.zeros(1)
    reference.adamw(theta, zero, zero.copy(), zero.copy(), step=1, lr=0.1, weight_decay=0.5)
    np.testing.assert_allclose(theta, 2.0 * (1 - 0.1 * 0.5), rtol=1e-15)
    theta = np.array([2.0])
    reference.adam(theta, zero, zero.copy(), zero.copy(), step=1, lr=0.1, weight_decay=0.5)
    np.testing.assert_allclose(theta, 2.0 - 0.1, rtol=1e-6)  # a full step along the sign of λθ


def test_nadam_with_a_constant_gradient_steps_as_dozat_computes_it():
    # Its average is then g(1 - μ₁⋯μₜ), so the step is ε((1 - μₜ)/(1 - μ₁⋯μₜ) + μₜ₊₁(1 - μ₁⋯μₜ)/(1 - μ₁⋯μₜ₊₁)).
    theta, s, r = np.zeros(1), np.zeros(1), np.zeros(1)
    mus = [0.9 * (1 - 0.5 * 0.96 ** (t / 250)) for t in range(1, 12)]
    for step in range(1, 11):
        before = theta.copy()
        reference.nadam(theta, np.array([7.0]), s, r, step=step, lr=0.1, eps=0.0)
        product, after = np.prod(mus[:step]), np.prod(mus[: step + 1])
        expected = 0.1 * ((1 - mus[step - 1]) / (1 - product) + mus[step] * (1 - product) / (1 - after))
        np.testing.assert_allclose(before - theta, expected, rtol=1e-12)


def test_radam_rectifies_from_the_fifth_step_on_and_approaches_adam():
    # Liu et al. 2020, section 4: with β₂ = 0.999 the length ρₜ of the average is below 4 for t ≤ 4; later r → 1.
    theta, s, r = np.zeros(1), np.zeros(1), np.zeros(1)
    steps = []
    for step in range(1, 20001):
        before = theta.copy()
        reference.radam(theta, np.array([0.5]), s, r, step=step, lr=0.1, eps=0.0)
        steps.append(float((before - theta)[0]))
    np.testing.assert_allclose(steps[:4], 0.1 * 0.5, rtol=1e-12)  # plain momentum
    assert steps[4] < 0.1 * 0.1  # a small rectifier
    np.testing.assert_allclose(steps[-1], 0.1, rtol=2e-3)  # Adam's step


def test_adamax_steps_by_its_rate_and_remembers_the_largest_gradient():
    # Kingma and Ba 2015, section 7.1: |Δₜ| ≤ ε, and equal to it for constant gradients.
    theta, s, u = np.zeros(1), np.zeros(1), np.zeros(1)
    for step in range(1, 6):
        reference.adamax(theta, np.array([3.0]), s, u, step=step, lr=0.1, eps=0.0)
        np.testing.assert_allclose(theta, -0.1 * step, rtol=1e-12)
    reference.adamax(theta, np.array([1.0]), s, u, step=6, lr=0.1, eps=0.0)
    np.testing.assert_allclose(u, 3.0 * 0.999, rtol=1e-15)


def test_rprop_takes_a_step_back_where_the_gradient_changes_its_sign():
    for convention, expected in (("book", [-0.1, -0.22, -0.1, -0.16]), ("torch", [-0.1, -0.22, -0.22, -0.28])):
        theta, size, previous = np.zeros(1), np.full(1, 0.1), np.zeros(1)
        path = []
        for g in (2.0, 0.5, -3.0, 4.0):
            reference.rprop(theta, np.array([g]), size, previous, convention=convention)
            path.append(float(theta[0]))
        np.testing.assert_allclose(path, expected, rtol=1e-12)


def test_asgd_averages_the_points_of_gradient_descent():
    theta, average, points = np.zeros(2), np.zeros(2), []
    for step in range(1, 11):
        reference.asgd(theta, np.array([step, -1.0]), average, step=step, lr=0.1, alpha=0.5)
        points.append(theta.copy())
    np.testing.assert_allclose(points[3][1], 0.1 * (1 / np.sqrt([1, 2, 3, 4])).sum(), rtol=1e-14)
    np.testing.assert_allclose(average, np.mean(points, axis=0), rtol=1e-14)


@pytest.mark.parametrize(
    "optimizer",
    [
        *("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam", "AdamW"),
        *("NAdam", "RAdam", "Adamax", "Rprop", "ASGD"),
    ],
)
def test_every_optimizer_descends(optimizer):
    rates = {
        "SGD": 0.03,
        "Momentum": 0.005,
        "Nesterov": 0.005,
        "AdaGrad": 0.5,
        "AdaDelta": 3.0,
        "RAdam": 0.05,
        "ASGD": 0.04,
    }
    theta = np.array([1.0, -2.0, 3.0])
    start = theta @ A @ theta
    opt = getattr(schuss, optimizer)([theta], lr=rates.get(optimizer, 0.02))
    for _ in range(500):
        opt.step([gradient(theta)])
    final = opt.theta()[0]
    assert final @ A @ final < 1e-3 * start


def test_delta_bar_delta_descends_faster_than_the_same_rate_alone():
    plain, adaptive = np.array([1.0, -2.0, 3.0]), np.array([1.0, -2.0, 3.0])
    sgd = schuss.SGD([plain], lr=0.001)
    dbd = schuss.DeltaBarDelta([adaptive], lr=0.001, kappa=0.0005, phi=0.3, gamma=0.5)
    for _ in range(200):
        sgd.step([gradient(plain)])
        dbd.step([gradient(adaptive)])
    assert adaptive @ A @ adaptive < 0.01 * (plain @ A @ plain)

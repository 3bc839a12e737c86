"""Blurred objectives, the minima that they lead to, and curricula."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import schuss
from schuss.continuation import (
    Blurrable,
    Cosines,
    Curriculum,
    Gaussians,
    Polynomial,
    continuation,
    gaussian_blur,
)

NAN, INF = math.nan, math.inf


def bowl(n=2):
    """‖x‖² - 10·Σcos 3xᵢ: a bowl with many minima, the least at 0."""
    return Polynomial(np.ones(n), 2 * np.eye(n, dtype=int)) + Cosines(np.full(n, -10.0), 3 * np.eye(n))


def mean_of_normal(f, x, sigma, nodes=24):
    """E f(x + σz) by Gauss and Hermite's quadrature, exact for polynomials, in one or two dimensions."""
    z, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    if len(x) == 1:
        return sum(w * f(x + sigma * np.array([a])) for a, w in zip(z, weights, strict=True))
    pairs = [(a, b, u * v) for a, u in zip(z, weights, strict=True) for b, v in zip(z, weights, strict=True)]
    return sum(w * f(x + sigma * np.array([a, b])) for a, b, w in pairs)


FUNCTIONS = {
    "constant": Polynomial([3.0], [0]),
    "quartic": Polynomial([1.0, -2.0, 0.5], [4, 2, 1]),
    "high power": Polynomial([1e-3], [9]),
    "mixed terms": Polynomial([1.0, -2.0, 3.0, 0.5], [[2, 1], [0, 3], [1, 1], [3, 2]]),
    "cosine": Cosines([2.0], [1.5]),
    "waves": Cosines([2.0, -1.0], [[1.0, 2.0], [0.5, -1.0]], [0.3, 1.0]),
    "bump": Gaussians([-2.0], [0.5], [0.8]),
    "bumps": Gaussians([-2.0, 1.0], [[0.5, 0.0], [-1.0, 1.0]], [0.8, 1.5]),
    "sum": bowl() + Gaussians([4.0], [[0.5, 0.0]], [1.0]) + Polynomial([0.3], [[0, 3]]),
}


def dimension(name):
    return 1 if name in ("constant", "quartic", "high power", "cosine", "bump") else 2


every_function = pytest.mark.parametrize("name", FUNCTIONS)


@every_function
@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0])
def test_a_blur_in_closed_form_is_the_mean_over_a_gaussian(name, sigma):
    f, rng = FUNCTIONS[name], np.random.default_rng(0)
    for x in rng.normal(size=(2, dimension(name))):
        expected = mean_of_normal(lambda x: f(x)[0], x, sigma)
        assert f.blurred(sigma)(x)[0] == pytest.approx(expected, rel=1e-6, abs=1e-6)


@every_function
@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_gradients_are_those_of_finite_differences(name, sigma):
    f, x, h = FUNCTIONS[name].blurred(sigma), np.random.default_rng(1).normal(size=dimension(name)), 1e-5
    value, gradient = f(x)
    assert isinstance(value, float)
    for i, e in enumerate(np.eye(len(x))):
        slope = (f(x + h * e)[0] - f(x - h * e)[0]) / (2 * h)
        assert gradient[i] == pytest.approx(slope, rel=1e-7, abs=1e-7)


@every_function
def test_blurs_follow_one_another_as_the_heat_equation_says(name):
    f, x = FUNCTIONS[name], np.full(dimension(name), 0.4)
    twice, once = f.blurred(0.6).blurred(0.8)(x), f.blurred(1.0)(x)
    assert twice[0] == pytest.approx(once[0], rel=1e-12)
    np.testing.assert_allclose(twice[1], once[1], rtol=1e-12)
    unblurred = f.blurred(0.0)(x)
    assert unblurred[0] == f(x)[0]
    np.testing.assert_array_equal(unblurred[1], f(x)[1])


@every_function
@pytest.mark.parametrize("pair", [True, False], ids=["f and g", "f"])
def test_a_blur_by_samples_is_near_the_closed_form(name, pair):
    f, x, sigma = FUNCTIONS[name], np.full(dimension(name), 0.4), 0.5
    sampled = gaussian_blur(f.__call__ if pair else lambda x: f(x)[0], sigma, samples=2000, seed=0)
    found, exact = sampled(x), f.blurred(sigma)(x)
    scale = 1 + abs(exact[0]) + np.abs(exact[1]).max()
    assert (found[0] if pair else found) == pytest.approx(exact[0], abs=0.1 * scale)
    if pair:
        np.testing.assert_allclose(found[1], exact[1], atol=0.15 * scale)


def test_a_blur_by_samples_is_a_function_decided_by_its_seed():
    def f(x):
        return np.abs(x).sum(), np.sign(x)

    x = np.array([0.1, -0.2], np.float32)
    first, again, other = (gaussian_blur(f, 1.0, seed=seed) for seed in (0, 0, 1))
    assert first(x)[0] == first(x)[0] == again(x)[0] != other(x)[0]
    assert first(x)[1].dtype == np.float32
    assert gaussian_blur(lambda x: float(x[0]), 3.0, seed=0)(np.array([0.7])) == pytest.approx(0.7)  # z and -z
    assert gaussian_blur(f, 0.0) is f
    assert gaussian_blur(FUNCTIONS["waves"], 0.5)(x)[0] == FUNCTIONS["waves"].blurred(0.5)(x)[0]


# ---- following the minimum ----

SIGMAS = [1.2, 0.8, 0.5, 0.25]
SEEDS = range(10)


def ends(fun, **options):
    """Where plain descent ends, and where continuation does, from the same random starts."""
    starts = [np.random.default_rng(seed).uniform(-8, 8, 2) for seed in SEEDS]
    plain = [schuss.minimize(fun, x0, method=options.get("method", "bfgs")).x for x0 in starts]
    return plain, [continuation(fun, x0, sigmas=SIGMAS, **options).result.x for x0 in starts]


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg", "gd"])
def test_continuation_reaches_the_global_minimum_where_plain_descent_fails(method):
    plain, followed = ends(bowl(), method=method)
    assert sum(np.abs(x).max() < 1e-4 for x in followed) == len(SEEDS)
    assert sum(np.abs(x).max() < 1e-4 for x in plain) <= len(SEEDS) // 3


def test_continuation_by_samples_does_so_too():
    f = bowl()
    plain, followed = ends(lambda x: f(x), samples=32, seed=0)
    assert sum(np.abs(x).max() < 1e-4 for x in followed) >= 0.8 * len(SEEDS)
    assert sum(np.abs(x).max() < 1e-4 for x in plain) <= len(SEEDS) // 3


def test_continuation_takes_objectives_of_ones_own():
    f, seen = bowl(), []
    found = continuation(
        [f.blurred(1.2), f.blurred(0.5), f], [6.0, -5.0], callback=lambda i, result: seen.append((i, result.fun))
    )
    assert [i for i, _ in seen] == [0, 1, 2]
    assert len(found.results) == 3
    assert found.results[-1] is found.result
    assert seen[-1][1] == found.result.fun == pytest.approx(-20)
    assert all(result.success for result in found.results)


def test_continuation_starts_each_objective_at_the_minimum_before():
    starts = []

    def record(fun, x0, **options):
        starts.append(np.array(x0))
        return schuss.minimize(fun, x0, **options)

    found = continuation(bowl(), [6.0, -5.0], sigmas=[1.2, 0.0], minimize=record, gtol=1e-8)
    np.testing.assert_array_equal(starts, [[6.0, -5.0], found.results[0].x])


def test_without_sigmas_it_is_plain_descent():
    x0 = [6.0, -5.0]
    np.testing.assert_array_equal(continuation(bowl(), x0, sigmas=[]).result.x, schuss.minimize(bowl(), x0).x)


# ---- curricula ----

DIFFICULTY = np.random.default_rng(7).normal(size=40)
RANK = np.argsort(np.argsort(DIFFICULTY))

STRATEGIES = ("naive", "mixed", "combined")

strategies = pytest.mark.parametrize("strategy", STRATEGIES)
pacings = pytest.mark.parametrize("pacing", ["linear", "root", "geometric", lambda t: t**2], ids=str)


@strategies
@pacings
@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_an_epoch_has_its_share_of_examples_each_once_and_the_last_has_all(strategy, pacing, epochs):
    curriculum = Curriculum(DIFFICULTY, epochs, seed=0, strategy=strategy, pacing=pacing, start=0.25)
    assert len(curriculum) == epochs
    sizes = []
    for epoch, indices in enumerate(curriculum):
        assert len(set(indices.tolist())) == len(indices)
        assert len(indices) == max(1, math.ceil(round(40 * curriculum.share(epoch), 6)))
        sizes.append(len(indices))
    assert sizes == sorted(sizes)
    for beyond in (epochs - 1, epochs, 100 * epochs):
        assert sorted(curriculum.indices(beyond)) == list(range(40))


def test_the_naive_strategy_has_the_easiest_examples():
    for indices in Curriculum(DIFFICULTY, 6, seed=0, start=0.1):
        assert sorted(RANK[indices]) == list(range(len(indices)))


def test_the_mixed_strategy_is_blind_to_difficulty_and_the_combined_one_is_between():
    def mean_rank(strategy, **options):
        drawn = [
            Curriculum(DIFFICULTY, 5, seed=seed, strategy=strategy, start=0.2, **options).indices(0)
            for seed in range(300)
        ]
        return np.mean([RANK[indices].mean() for indices in drawn])

    naive, combined, mixed = mean_rank("naive"), mean_rank("combined", mix=0.4), mean_rank("mixed")
    assert naive == 3.5
    assert mixed == pytest.approx(19.5, abs=1)
    assert naive + 2 < combined < mixed - 2
    assert mean_rank("combined", mix=0.0) == naive
    assert mean_rank("combined", mix=1.0) == pytest.approx(mixed, abs=1)


def test_the_combined_strategy_always_offers_difficult_examples_and_more_of_them_in_time():
    shares = np.zeros(5)
    for seed in range(200):
        curriculum = Curriculum(DIFFICULTY, 5, seed=seed, strategy="combined", start=0.2, mix=0.5)
        shares += [np.mean(RANK[indices] >= 20) for indices in curriculum]
    shares /= 200
    assert shares[0] > 0.1
    assert (np.diff(shares) > 0).all()


@strategies
def test_seed_and_epoch_decide_a_curriculum(strategy):
    def drawn(seed):
        return [indices.tolist() for indices in Curriculum(DIFFICULTY, 5, seed=seed, strategy=strategy)]

    assert drawn(0) == drawn(0) != drawn(1)
    curriculum = Curriculum(DIFFICULTY, 5, seed=0, strategy=strategy)
    assert curriculum.indices(3).tolist() == drawn(0)[3]
    for twin in (copy.deepcopy(curriculum), pickle.loads(pickle.dumps(curriculum))):
        np.testing.assert_array_equal(twin.indices(2), curriculum.indices(2))
    assert curriculum.indices(7).tolist() != curriculum.indices(8).tolist()


@pytest.mark.parametrize(
    ("pacing", "shares"),
    [
        ("linear", [0.25, 0.5, 0.75, 1.0]),
        ("root", [0.25, math.sqrt(0.375), math.sqrt(0.6875), 1.0]),
        ("geometric", [0.25, 0.25 ** (2 / 3), 0.25 ** (1 / 3), 1.0]),
        (lambda t: 1 - t / 2, [1.0, 5 / 6, 2 / 3, 0.5]),
    ],
)
def test_pacings(pacing, shares):
    curriculum = Curriculum(DIFFICULTY, 4, seed=0, pacing=pacing, start=0.25)
    assert [curriculum.share(epoch) for epoch in range(4)] == pytest.approx(shares)


def test_equal_scores_stay_in_their_order():
    assert sorted(Curriculum([1, 0, 1, 0, 1], 2, seed=0, start=0.6).indices(0)) == [0, 1, 3]


# ---- wrong arguments ----


def curriculum(*args, **options):
    return lambda: Curriculum(*args, **{"seed": 0, **options})


ERRORS = [
    (lambda: Polynomial([NAN], [1]), ValueError, "coefficients is not finite"),
    (lambda: Polynomial([], []), ValueError, "coefficients has shape (0,), expected (terms,)"),
    (lambda: Polynomial(1.0, [1]), ValueError, "coefficients has shape (), expected (terms,)"),
    (lambda: Polynomial([1.0], [-1]), ValueError, "exponents has -1, expected integers from 0 to 1000"),
    (lambda: Polynomial([1.0], [10**9]), ValueError, "exponents has 1000000000, expected integers from 0 to 1000"),
    (lambda: Polynomial([1.0], [0.5]), TypeError, "exponents has dtype float64, expected integers"),
    (lambda: Polynomial([1.0, 2.0], [1]), ValueError, "exponents has 1 terms, coefficients has 2"),
    (lambda: Polynomial([1.0], [1])([1.0, 2.0]), ValueError, "x has shape (2,), expected (1,)"),
    (lambda: Polynomial([1.0], [1]).blurred(-1), ValueError, "sigma must be in [0, inf), got -1"),
    (lambda: Cosines([1.0], [[1.0], [2.0]]), ValueError, "frequencies has 2 terms, amplitudes has 1"),
    (lambda: Cosines([1.0], [1.0], [1.0, 2.0]), ValueError, "phases has 2 terms, amplitudes has 1"),
    (lambda: Cosines(["a"], [1.0]), TypeError, "amplitudes has dtype <U1, expected real numbers"),
    (lambda: Cosines([1.0], [1.0]).blurred(NAN), ValueError, "sigma must be in [0, inf), got nan"),
    (lambda: Gaussians([1.0], [1.0], [0.0]), ValueError, "widths has 0, expected positive numbers"),
    (lambda: Gaussians([1.0], [INF], [1.0]), ValueError, "centres is not finite"),
    (lambda: Gaussians([1.0], [[1.0]], [1.0]) + 3, TypeError, "unsupported operand"),
    (lambda: gaussian_blur(3, 1.0), TypeError, "fun is 3, expected a function"),
    (lambda: gaussian_blur(abs, -1.0, seed=0), ValueError, "sigma must be in [0, inf), got -1.0"),
    (lambda: gaussian_blur(abs, 1.0), TypeError, "seed is needed for a blur by samples"),
    (lambda: gaussian_blur(abs, 1.0, seed=0, samples=3), ValueError, "samples must be even, got 3"),
    (lambda: gaussian_blur(abs, 1.0, seed=0, samples=0), ValueError, "samples must be an integer of at least 2, got 0"),
    (lambda: gaussian_blur(abs, 1.0, seed=-1), ValueError, "seed must be an integer of at least 0"),
    (lambda: continuation(3, [1.0]), TypeError, "objectives must be a function or a list of at least one, got 3"),
    (lambda: continuation([], [1.0]), TypeError, "objectives must be a function or a list of at least one, got []"),
    (lambda: continuation([abs, 3], [1.0]), TypeError, "objectives[1] is 3, expected a function"),
    (lambda: continuation([abs], [1.0], sigmas=[1]), TypeError, "sigmas go with one objective, got a list of them"),
    (lambda: continuation(bowl(), [1.0]), TypeError, "sigmas must be a list of numbers, got None"),
    (lambda: continuation(bowl(), [1.0], sigmas=[1, 2]), ValueError, "sigmas must fall, got sigmas[1]=2.0 after 1.0"),
    (lambda: continuation(bowl(), [1.0], sigmas=[0, 0]), ValueError, "sigmas must fall"),
    (lambda: continuation(bowl(), [1.0], sigmas=["x"]), TypeError, "sigmas[0] must be a number in [0, inf), got 'x'"),
    (lambda: continuation(abs, [1.0], sigmas=[1]), TypeError, "seed is needed for a blur by samples"),
    (lambda: continuation(bowl(), [1.0, 2.0], sigmas=[1], minimize=3), TypeError, "minimize is 3, expected a function"),
    (lambda: continuation(bowl(), [1.0], sigmas=[1]), ValueError, "x has shape (1,), expected (2,)"),
    (curriculum([], 3), ValueError, "difficulty has shape (0,), expected (n,) with a score for each example"),
    (curriculum([[1.0]], 3), ValueError, "difficulty has shape (1, 1), expected (n,)"),
    (curriculum([1.0, NAN], 3), ValueError, "difficulty[1] is nan, expected a finite number"),
    (curriculum([INF], 3), ValueError, "difficulty[0] is inf, expected a finite number"),
    (curriculum(["a"], 3), TypeError, "difficulty has dtype <U1, expected real numbers"),
    (curriculum([1.0], 0), ValueError, "epochs must be an integer of at least 1, got 0"),
    (curriculum([1.0], 2.5), TypeError, "epochs must be an integer of at least 1, got 2.5"),
    (curriculum([1.0], 3, seed=None), TypeError, "seed must be an integer of at least 0"),
    (
        curriculum([1.0], 3, strategy="hard"),
        ValueError,
        "strategy must be one of 'naive', 'mixed', 'combined', got 'hard'",
    ),
    (
        curriculum([1.0], 3, pacing="slow"),
        ValueError,
        "pacing must be a function or one of 'linear', 'root', 'geometric'",
    ),
    (curriculum([1.0], 3, start=0), ValueError, "start must be in (0, 1], got 0"),
    (curriculum([1.0], 3, start=1.5), ValueError, "start must be in (0, 1], got 1.5"),
    (curriculum([1.0], 3, mix=-0.1), ValueError, "mix must be in [0, 1], got -0.1"),
    (curriculum([1.0], 3, pacing=lambda t: 2 * t), ValueError, "pacing(1) must be in [0, 1], got 2.0"),
    (curriculum([1.0], 3, pacing=lambda t: t - 1), ValueError, "pacing(0) must be in [0, 1], got -1.0"),
    (curriculum([1.0], 3, pacing=lambda t: None), TypeError, "pacing(0) must be a number in [0, 1], got None"),
    (lambda: Curriculum([1.0], 3, seed=0).indices(-1), ValueError, "epoch must be an integer of at least 0, got -1"),
    (lambda: Curriculum([1.0], 3, seed=0).indices(0.5), TypeError, "epoch must be an integer of at least 0, got 0.5"),
]


@pytest.mark.parametrize(("call", "exception", "message"), ERRORS, ids=[message for _, _, message in ERRORS])
def test_wrong_arguments(call, exception, message):
    with pytest.raises(exception, match=re.escape(message)):
        call()


def test_functions_of_ones_own_may_know_their_blur():
    class Absolute(Blurrable):
        def __init__(self, sigma=0.0):
            self.sigma = sigma

        def __call__(self, x):
            root = np.sqrt(x**2 + self.sigma**2)
            return float(root.sum()), x / root

        def blurred(self, sigma):
            return Absolute(math.hypot(self.sigma, sigma))

    found = continuation(Absolute(1e-3) + Cosines([-0.2], [[4.0]]), [5.0], sigmas=[1.0, 0.5])
    assert found.result.x == pytest.approx(0, abs=1e-4)

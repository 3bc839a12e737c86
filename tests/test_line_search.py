"""The line searches by themselves: Moré and Thuente's published counts, noise floors, values that are not finite."""

import math

import pytest

from schuss import _core


def phi1(a, beta=2.0):
    return -a / (a * a + beta), (a * a - beta) / (a * a + beta) ** 2


def phi2(a, beta=0.004):
    return (a + beta) ** 5 - 2 * (a + beta) ** 4, 5 * (a + beta) ** 4 - 8 * (a + beta) ** 3


def phi3(a, beta=0.01, steps=39):
    if a <= 1 - beta:
        f, slope = 1 - a, -1.0
    elif a >= 1 + beta:
        f, slope = a - 1, 1.0
    else:
        f, slope = (a - 1) ** 2 / (2 * beta) + beta / 2, (a - 1) / beta
    wave = steps * math.pi / 2
    return f + 2 * (1 - beta) / (steps * math.pi) * math.sin(wave * a), slope + (1 - beta) * math.cos(wave * a)


def yanai(beta1, beta2):
    def gamma(beta):
        return math.sqrt(1 + beta * beta) - beta

    def phi(a):
        left, right = math.hypot(1 - a, beta2), math.hypot(a, beta1)
        return (
            gamma(beta1) * left + gamma(beta2) * right,
            gamma(beta1) * (a - 1) / left + gamma(beta2) * a / right,
        )

    return phi


# Moré and Thuente 1994, tables 1 to 6: the number of evaluations from α₀ = 10⁻³, 10⁻¹, 10¹, 10³.
PUBLISHED = [
    ("1", phi1, 1e-3, 1e-1, (6, 3, 1, 4)),
    ("2", phi2, 1e-1, 1e-1, (12, 8, 8, 11)),
    ("3", phi3, 1e-1, 1e-1, (12, 12, 10, 13)),
    ("4", yanai(1e-3, 1e-3), 1e-3, 1e-3, (4, 1, 3, 4)),
    ("5", yanai(1e-2, 1e-3), 1e-3, 1e-3, (6, 3, 7, 8)),
    ("6", yanai(1e-3, 1e-2), 1e-3, 1e-3, (13, 11, 8, 11)),
]


@pytest.mark.parametrize(("name", "phi", "mu", "eta", "counts"), PUBLISHED, ids=[case[0] for case in PUBLISHED])
def test_the_published_evaluation_counts(name, phi, mu, eta, counts):
    found = [_core.line_search(phi, first, "wolfe", mu, eta) for first in (1e-3, 1e-1, 1e1, 1e3)]
    assert tuple(count for _, count, _ in found) == counts
    for step, _, fulfilled in found:
        f0, slope0 = phi(0.0)
        f, slope = phi(step)
        assert fulfilled
        assert f <= f0 + mu * step * slope0
        assert abs(slope) <= eta * abs(slope0)


@pytest.mark.parametrize("first", [1e-6, 0.3, 1.0, 50.0])
def test_the_exact_search_takes_two_evaluations_of_a_quadratic(first):
    step, count, fulfilled = _core.line_search(lambda a: ((a - 2.5) ** 2, 2 * (a - 2.5)), first, "exact", 1e-4, 0.1)
    assert (count, fulfilled) == (2, True)
    assert step == pytest.approx(2.5, rel=1e-9)


def test_the_exact_search_leaves_other_functions_to_the_strong_wolfe_conditions():
    step, _, fulfilled = _core.line_search(phi1, 0.1, "exact", 1e-3, 0.1)
    assert fulfilled
    assert abs(phi1(step)[1]) <= 0.1 * abs(phi1(0.0)[1])


def test_backtracking_asks_for_a_decrease_only():
    f0, slope0 = phi2(0.0)
    step, count, fulfilled = _core.line_search(phi2, 100.0, "backtracking", 1e-4, 0.9)
    assert fulfilled
    assert count < 12
    assert phi2(step)[0] <= f0 + 1e-4 * step * slope0


@pytest.mark.parametrize("search", ["wolfe", "backtracking", "exact"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_search_contracts_from_where_the_function_is_not_finite(search, bad):
    def phi(a):
        return ((a - 1) ** 2, 2 * (a - 1)) if a < 1.5 else (bad, math.nan)

    step, _, fulfilled = _core.line_search(phi, 1e6, search, 1e-4, 0.9)
    assert fulfilled
    assert 0 < step < 1.5


def test_a_search_whose_minimum_is_at_the_edge_of_the_finite_region_ends_there():
    step, count, _ = _core.line_search(lambda a: (-a, -1.0) if a < 1 else (math.nan, math.nan), 0.1, "wolfe", 1e-4, 0.9)
    assert 0.7 < step < 1
    assert count < 12


def test_an_ascent_is_given_up():
    _, count, fulfilled = _core.line_search(lambda a: (a, -1.0), 1.0, "wolfe", 1e-4, 0.9)
    assert not fulfilled
    assert count <= 60

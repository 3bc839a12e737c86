"""The minimisers: right directions, right minima, every way to end, on well-behaved and ill-behaved objectives."""

import math
from itertools import pairwise

import numpy as np
import pytest

import schuss
from schuss import reference
from schuss.benchmark.problems import PROBLEMS, rosenbrock
from schuss.minimizers.solvers import SOLVERS

METHODS = list(SOLVERS)
QUICK = [method for method in METHODS if method != "gd"]

every_method = pytest.mark.parametrize("method", METHODS)
quick_methods = pytest.mark.parametrize("method", QUICK)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

BY_NAME = {problem.name: problem for problem in PROBLEMS}


def quadratic(n=5, dtype="float64"):
    a = np.diag(np.linspace(1, 10, n)) + 0.1
    b = np.arange(1.0, n + 1)
    a, b = a.astype(dtype), b.astype(dtype)
    return lambda x: (x @ a @ x / 2 - b @ x, a @ x - b), np.linalg.solve(a.astype(float), b)


def iterates(solver, fun):
    """Drives a solver; the points and gradients of its iterates, and everything that was evaluated."""
    points, seen = [], []
    while not solver.done:
        before, x = solver.nit, solver.ask()
        f, g = fun(x)
        solver.tell(f, g)
        seen.append((x, f))
        if not points or solver.nit > before:
            points.append((x, np.array(g)))
    return points, seen


# ---- against the reference ----

DIRECTIONS = [
    ("bfgs", {}, lambda n: reference.minimizers.bfgs(n)),
    ("lbfgs", {"memory": 3}, lambda n: reference.minimizers.lbfgs(3)),
    ("lbfgs", {"memory": 30}, lambda n: reference.minimizers.lbfgs(30)),
    ("lbfgs", {"memory": 0}, lambda n: reference.minimizers.lbfgs(0)),
    ("gd", {}, lambda n: lambda g, s, y: -g),
    *(
        ("cg", {"beta": beta}, lambda n, beta=beta: reference.minimizers.conjugate_gradient(beta))
        for beta in reference.minimizers.BETAS
    ),
]


@pytest.mark.parametrize(("method", "options", "make"), DIRECTIONS, ids=[f"{m}-{o}" for m, o, _ in DIRECTIONS])
@pytest.mark.parametrize("name", ["wood", "extended powell 100", "logistic regression"])
def test_directions_are_the_references(method, options, make, name):
    problem = BY_NAME[name]
    points, _ = iterates(SOLVERS[method](problem.start(), maxiter=9, **options), problem.fun)
    assert len(points) > 5
    direction = make(points[0][0].size)
    s = y = None
    for (x, g), (x_next, g_next) in pairwise(points):
        p = direction(g, s, y)
        s, y = x_next - x, g_next - g
        cosine = p @ s / (np.linalg.norm(p) * np.linalg.norm(s))
        assert cosine == pytest.approx(1, abs=1e-9)


def test_the_reference_descends_to_the_same_minimum():
    for name in ("rosenbrock", "beale", "wood"):
        problem = BY_NAME[name]
        for direction in (reference.minimizers.bfgs(len(problem.x0)), reference.minimizers.lbfgs(5)):
            x = reference.minimizers.minimize(problem.fun, problem.start(), direction)
            ours = schuss.minimize(problem.fun, problem.start(), jac=True)
            np.testing.assert_allclose(x, ours.x, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "n"), [("wood", 4), ("chained rosenbrock 100", 300), ("chained rosenbrock 100", 1100)]
)
def test_the_inverse_hessian_of_bfgs_is_the_references(name, n):
    fun = BY_NAME[name].fun
    x0 = np.resize(BY_NAME[name].start(), n)
    points, _ = iterates(solver := schuss.BFGS(x0, maxiter=12), fun)  # more than there are updates that wait
    h = np.eye(n)
    for k, ((x, g), (x_next, g_next)) in enumerate(pairwise(points)):
        s, y = x_next - x, g_next - g
        h = np.eye(n) * (s @ y) / (y @ y) if k == 0 else h
        h *= max(1.0, (s @ y) / (y @ h @ y))
        reference.bfgs_update(h, s, y)
    got = solver.result().hess_inv
    np.testing.assert_allclose(got, h, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(got, got.T)


# ---- against SciPy ----


@quick_methods
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("scale", [1, 10, 100])
def test_the_minima_are_scipys(method, problem, scale):
    optimize = pytest.importorskip("scipy.optimize")
    if method == "newton" and len(problem.x0) > 30:
        pytest.skip("a Hessian by differences of 100 gradients")
    found = schuss.minimize(problem.fun, problem.start(scale), jac=True, method=method, maxiter=50_000)
    assert found.status in (0, 2), found
    assert found.success or (scale == 100 and np.abs(found.jac).max() <= 1e-4), found
    if scale == 1 or problem.name == "logistic regression":  # elsewhere there may be several minima
        peer = optimize.minimize(
            problem.fun, problem.start(scale), jac=True, method="BFGS", options={"maxiter": 50_000}
        )
        assert found.fun <= peer.fun + 1e-6 * (1 + abs(peer.fun))
    np.testing.assert_allclose(problem.fun(found.x)[0], found.fun)


@quick_methods
@pytest.mark.parametrize("name", ["rosenbrock", "beale", "wood", "helical valley"])
def test_float32_comes_as_near_as_float32_can(method, name):
    problem = BY_NAME[name]
    found = schuss.minimize(problem.fun, problem.start(dtype="float32"), jac=True, method=method)
    assert found.x.dtype == found.jac.dtype == np.float32
    assert found.status in (0, 2)
    assert found.fun < 1e-4


@every_method
@dtypes
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 17, 40])
def test_quadratics_of_every_size(method, dtype, n):
    fun, minimum = quadratic(n, dtype)
    gtol = 1e-8 if dtype == "float64" else 1e-3
    found = schuss.minimize(fun, np.zeros(n, dtype), jac=True, method=method, gtol=gtol)
    assert found.success
    np.testing.assert_allclose(found.x, minimum, atol=1e-7 if dtype == "float64" else 1e-3)


@pytest.mark.parametrize("beta", ["pr", "fr", "hs", "dy", "hz"])
def test_conjugate_gradients_with_the_exact_search_solve_a_quadratic_in_n_steps(beta):
    fun, minimum = quadratic(8)
    found = schuss.minimize(fun, np.zeros(8), jac=True, method="cg", beta=beta, line_search="exact", gtol=1e-7)
    assert found.nit <= 9
    np.testing.assert_allclose(found.x, minimum, atol=1e-7)


# ---- ways to end ----


def test_every_status():
    x0 = np.array([-1.2, 1.0])
    status = {
        "converged": schuss.minimize(rosenbrock, x0, jac=True),
        "iteration": schuss.minimize(rosenbrock, x0, jac=True, maxiter=3),
        "evaluation": schuss.minimize(rosenbrock, x0, jac=True, maxfun=3),
        "time": schuss.minimize(rosenbrock, x0, jac=True, maxtime=0.0),
        "precision": schuss.minimize(rosenbrock, x0, jac=True, gtol=0.0),
        "nonfinite": schuss.minimize(lambda x: (math.nan, x), x0, jac=True),
        "failure": schuss.minimize(lambda x: (x @ x, -2 * x), x0, jac=True),
    }
    assert {name: result.status for name, result in status.items() if name != "precision"} == {
        "converged": 0,
        "iteration": 1,
        "evaluation": 4,
        "time": 5,
        "nonfinite": 3,
        "failure": 6,
    }
    assert status["precision"].status in (0, 2)
    assert status["iteration"].nit == 3
    assert status["evaluation"].nfev == 3
    for name, result in status.items():
        assert result.success == (result.status == 0), name
        assert result.message


@every_method
@pytest.mark.parametrize("limit", [1, 2, 5, 11, 20])
def test_the_best_point_is_kept(method, limit):
    _, seen = iterates(solver := SOLVERS[method](*start_with_hessian(method), maxfun=limit), rosenbrock)
    result = solver.result()
    assert result.fun == min(f for _, f in seen)
    np.testing.assert_array_equal(result.x, next(x for x, f in seen if f == result.fun))
    np.testing.assert_array_equal(result.jac, rosenbrock(result.x)[1])


def start_with_hessian(method):
    def hess(x):
        return np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]])

    return ([-1.2, 1.0], hess) if method == "newton" else ([-1.2, 1.0],)


@quick_methods
def test_the_noise_floor_of_f_does_not_matter(method):
    def fun(x):
        f, g = rosenbrock(x)
        return f + 1e8, g

    found = schuss.minimize(fun, [-1.2, 1.0], jac=True, method=method)
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-4)


@every_method
@pytest.mark.parametrize("x0", [8.0, 20.0, 1e-3])
def test_a_region_where_f_is_not_a_number(method, x0):
    def fun(x):
        with np.errstate(all="ignore"):
            return float(x[0] - np.log(x[0])), 1 - 1 / x

    found = schuss.minimize(fun, [x0], jac=True, method=method)
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-4)


@every_method
def test_a_region_where_f_is_infinite(method):
    def fun(x):
        inside = float(x @ x) < 9
        return ((x[0] - 1) ** 2 + x[1] ** 2, 2 * (x - [1, 0])) if inside else (math.inf, np.full(2, np.nan))

    found = schuss.minimize(fun, [-2.9, 0.1], jac=True, method=method, first_step=100.0)
    assert found.success
    np.testing.assert_allclose(found.x, [1, 0], atol=1e-4)


@every_method
def test_a_flat_function_has_converged(method):
    found = schuss.minimize(lambda x: (1.0, np.zeros_like(x)), [1.0, 2.0], jac=True, method=method)
    assert (found.status, found.nit, found.nfev) == (0, 0, 1)


@every_method
@pytest.mark.parametrize(
    "fun", [lambda x: (-x.sum(), -np.ones_like(x)), lambda x: (-(x @ x), -2 * x)], ids=["line", "hill"]
)
def test_an_unbounded_function_ends_somewhere_low(method, fun):
    found = schuss.minimize(fun, [1.0, 2.0], jac=True, method=method, maxiter=500)
    assert not found.success
    assert np.isfinite(found.fun)
    assert found.fun < -1e3


@quick_methods
@pytest.mark.parametrize("scale", [1e-50, 1e50])
def test_the_scale_of_f_does_not_matter(method, scale):
    def fun(x):
        f, g = rosenbrock(x)
        return scale * f, scale * g

    found = schuss.minimize(fun, [-1.2, 1.0], jac=True, method=method, gtol=1e-5 * scale)
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-4)
    if method != "newton":
        same = schuss.minimize(rosenbrock, [-1.2, 1.0], jac=True, method=method)
        assert abs(found.nfev - same.nfev) <= 0.2 * same.nfev + 5


@quick_methods
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_x_does_not_matter(method, scale):
    def fun(x):
        f, g = rosenbrock(x / scale)
        return f, g / scale

    found = schuss.minimize(fun, scale * np.array([-1.2, 1.0]), jac=True, method=method, gtol=1e-5 / scale,
                            hess=lambda x: hessian(x / scale) / scale**2 if method == "newton" else None)  # fmt: skip
    assert found.success
    np.testing.assert_allclose(found.x / scale, 1, atol=1e-4)


def hessian(x):
    return np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]])


# ---- Newton ----


@pytest.mark.parametrize("curvature", ["regularized", "saddle_free"])
def test_newton_leaves_a_saddle(curvature):
    def fun(x):  # a saddle at 0, minima at (0, ±1)
        return x[0] ** 2 + x[1] ** 4 / 4 - x[1] ** 2 / 2, np.array([2 * x[0], x[1] ** 3 - x[1]])

    found = schuss.minimize(fun, [1.0, 1e-3], jac=True, method="newton", curvature=curvature,
                            hess=lambda x: np.diag([2.0, 3 * x[1] ** 2 - 1]))  # fmt: skip
    assert found.success
    np.testing.assert_allclose(found.x, [0, 1], atol=1e-5)


def test_newton_solves_a_quadratic_in_one_step():
    found = schuss.minimize(
        lambda x: (x @ x, 2 * x), [3.0, 1.0], jac=True, hess=lambda x: 2 * np.eye(2), method="newton"
    )
    assert (found.nit, found.nfev, found.nhev) == (1, 2, 1)


# ---- exactness ----


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg", "gd"])
@dtypes
def test_every_number_of_threads_gives_the_same_bits(method, dtype):
    n = 1200 if method == "bfgs" else 50_000
    x0 = np.tile(np.array([-1.2, 1.0], dtype), n // 2)
    results = [
        schuss.minimize(rosenbrock, x0, jac=True, method=method, maxiter=25, num_threads=threads)
        for threads in (1, 2, 5)
    ]
    for other in results[1:]:
        assert other.nfev == results[0].nfev
        np.testing.assert_array_equal(other.x, results[0].x)
        np.testing.assert_array_equal(other.jac, results[0].jac)


@pytest.mark.parametrize(
    ("options", "meant"),
    [({"xrtol": 1e-2}, "x"), ({"ftol": 1e-2}, "f"), ({"norm": 2}, "norm"), ({"gtol": 1e3}, "start")],
    ids=lambda value: str(value),
)
def test_other_ways_to_have_converged(options, meant):
    found = schuss.minimize(rosenbrock, [-1.2, 1.0], jac=True, **options)
    exact = schuss.minimize(rosenbrock, [-1.2, 1.0], jac=True)
    assert found.success
    if meant == "norm":
        assert np.linalg.norm(found.jac) <= 1e-5
    else:
        assert found.nit < exact.nit

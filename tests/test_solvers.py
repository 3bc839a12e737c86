"""The faces of the minimisers: ask and tell, resuming, callbacks, exceptions, batches, compiled objectives."""

import copy
import ctypes
import math
import pickle
import time

import numpy as np
import pytest

import schuss
from interrupts import interrupt_soon
from schuss import _core
from schuss.benchmark.problems import PROBLEMS, rosenbrock
from schuss.minimizers.solvers import SOLVERS

X0 = np.array([-1.2, 1.0])

SIGNATURES = {
    np.dtype(kind): ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, *[ctypes.POINTER(c)] * 3, ctypes.c_void_p)
    for kind, c in (("float64", ctypes.c_double), ("float32", ctypes.c_float))
}


def hessian(x):
    return np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]])


def make(method, x0=X0, **options):
    return SOLVERS[method](x0, hessian, **options) if method == "newton" else SOLVERS[method](x0, **options)


def drive(solver, steps=10**9, fun=rosenbrock):
    seen = []
    while not solver.done and len(seen) < steps:
        x = solver.ask()
        solver.tell(*fun(x))
        seen.append(x)
    return seen


every_method = pytest.mark.parametrize("method", SOLVERS)


def compiled_rosenbrock(dtype="float64"):
    return SIGNATURES[np.dtype(dtype)](_core.rosenbrock(dtype == "float32"))


# ---- ask and tell ----


@every_method
def test_ask_and_tell_are_minimize(method):
    solver = make(method, maxiter=300)
    seen = drive(solver)
    result = solver.result()
    same = schuss.minimize(rosenbrock, X0, jac=True, hess=hessian, method=method, maxiter=300)
    np.testing.assert_array_equal(result.x, same.x)
    assert (result.nit, result.nfev, result.status) == (same.nit, same.nfev, same.status)
    assert len(seen) == result.nfev


def test_asking_twice_gives_the_same_point_in_arrays_of_their_own():
    solver = schuss.BFGS(X0)
    first, second = solver.ask(), solver.ask()
    first[:] = 7
    np.testing.assert_array_equal(second, X0)
    np.testing.assert_array_equal(solver.ask(), X0)


def test_a_solver_that_is_done_refuses_to_be_told():
    solver = schuss.BFGS(X0)
    drive(solver)
    with pytest.raises(ValueError, match="the solver is done"):
        solver.tell(0.0, np.zeros(2))


def test_stop():
    solver = schuss.BFGS(X0)
    drive(solver, 5)
    solver.stop()
    assert solver.done
    assert solver.result().status == 99


# ---- saving and resuming ----


@every_method
@pytest.mark.parametrize("steps", [0, 1, 2, 3, 8, 14])
@pytest.mark.parametrize("how", ["state_dict", "pickle", "copy"])
def test_a_resumed_solver_finds_the_same_iterates(method, steps, how):
    solver = make(method, maxiter=40)
    drive(solver, steps)
    if how == "state_dict":
        resumed = make(method, np.zeros(2), maxiter=40)
        resumed.load_state_dict(solver.state_dict())
    else:
        resumed = pickle.loads(pickle.dumps(solver)) if how == "pickle" else copy.deepcopy(solver)
    expected = [tuple(x) for x in drive(solver)]
    got = [tuple(x) for x in drive(resumed)]
    assert got[len(got) - len(expected) :] == expected
    np.testing.assert_array_equal(resumed.result().x, solver.result().x)
    for name in ("nit", "nfev", "status"):
        assert resumed.result()[name] == solver.result()[name]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_bfgs_resumes_with_updates_that_wait(dtype):
    x0 = np.tile(X0, 200).astype(dtype)
    solver = schuss.BFGS(x0, maxiter=15)
    waiting = []
    while not solver.done:
        resumed = schuss.BFGS(np.zeros_like(x0), maxiter=15)
        resumed.load_state_dict(solver.state_dict())
        waiting.append(solver.state_dict()["state"].get("waiting", 0))
        x = solver.ask()
        solver.tell(*rosenbrock(x))
    assert set(waiting) == {0, 1, 2, 3}
    drive(resumed)
    np.testing.assert_array_equal(resumed.result().x, solver.result().x)
    np.testing.assert_array_equal(resumed.result().hess_inv, solver.result().hess_inv)
    state = solver.state_dict()
    state["state"]["waiting"] = 4
    with pytest.raises(ValueError, match="state has 4 updates that wait, expected at most 3"):
        resumed.load_state_dict(state)


def test_state_is_plain_arrays_and_numbers():
    solver = schuss.LBFGS(X0, memory=3)
    drive(solver, 12)
    state = solver.state_dict()
    assert all(isinstance(value, (bool, int, float, np.ndarray)) for value in state["state"].values())


STATE_ERRORS = [
    (lambda s: {**s, "solver": "LBFGS"}, ValueError, "state['solver'] is 'LBFGS', expected 'BFGS'"),
    (lambda s: 3, TypeError, "state is int, expected what state_dict() gives"),
    (lambda s: {"solver": "BFGS"}, ValueError, "state['state'] is None, expected what state_dict() gives"),
    (lambda s: {**s, "state": {**s["state"], "f": "low"}}, TypeError, "state['f'] is 'low', expected a number"),
    (lambda s: {**s, "state": {**s["state"], "quiet": 1.5}}, TypeError, "state['quiet'] is 1.5, expected an integer"),
    (lambda s: {**s, "state": {**s["state"], "quiet": -1}}, ValueError, "state['quiet'] is -1, expected at least 0"),
    (lambda s: {**s, "state": {**s["state"], "begun": 2}}, TypeError, "state['begun'] is 2, expected True or False"),
    (lambda s: {**s, "state": {k: v for k, v in s["state"].items() if k != "p"}}, ValueError, "state lacks 'p'"),
    (lambda s: {**s, "state": {**s["state"], "x": np.ones(3)}}, ValueError, "state['x'] has 3 numbers, expected 2"),
    (
        lambda s: {**s, "state": {**s["state"], "x": np.ones(2, "f")}},
        TypeError,
        "state['x'] has dtype float32, expected",
    ),
    (lambda s: {**s, "state": {**s["state"], "x": [1, 2]}}, TypeError, "state['x'] is list"),
]


@pytest.mark.parametrize(("change", "exception", "message"), STATE_ERRORS, ids=range(len(STATE_ERRORS)))
def test_a_wrong_state_is_refused_and_nothing_changes(change, exception, message):
    solver, other = schuss.BFGS(X0), schuss.BFGS(X0)
    drive(other, 10)
    before = solver.ask()
    with pytest.raises(exception) as error:
        solver.load_state_dict(change(other.state_dict()))
    assert str(error.value).startswith(message)
    np.testing.assert_array_equal(solver.ask(), before)
    assert solver.nit == 0


@pytest.mark.parametrize("method", ["bfgs", "lbfgs"])
def test_a_warm_start_saves_evaluations(method):
    problem = PROBLEMS[-1]
    cold = schuss.minimize(problem.fun, problem.start(), jac=True, method=method)
    near = cold.x + 0.01
    again = schuss.minimize(problem.fun, near, jac=True, method=method)
    warm = schuss.minimize(problem.fun, near, jac=True, method=method, warm_start=cold)
    assert warm.success
    assert warm.nfev < again.nfev


def forgetful(n, dtype):
    """BFGS on a quadratic, at a point where it knows something and has been brought to forget it; and the objective."""
    rng = np.random.default_rng(n)
    a = rng.uniform(1, 100, n).astype(dtype)
    solver = schuss.BFGS(rng.standard_normal(n).astype(dtype), gtol=0.0)

    def tell(f=None):
        x = solver.ask()
        solver.tell(float(a @ x**2) / 2 if f is None else f, a * x)

    while solver.nit < 3:
        tell()
    assert solver.state_dict()["state"]["known"]
    while solver.state_dict()["state"]["known"]:
        tell(np.inf)  # no step leads down
    return solver, a, tell


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n", [2, 300, 1100])
def test_bfgs_begins_anew_where_updates_wait(n, dtype):
    solver, a, tell = forgetful(n, dtype)
    resumed = pickle.loads(pickle.dumps(solver))
    np.testing.assert_array_equal(resumed.result().hess_inv, solver.result().hess_inv)
    before, nit = solver.result().x, solver.nit
    while solver.nit == nit:
        tell()
    s = solver.state_dict()["state"]["x"] - before
    h = solver.result().hess_inv
    np.testing.assert_allclose(h @ (a * s), s, atol=1e-4 * np.abs(s).max())


@every_method
def test_a_kink_ends_nothing_but_the_descent(method):
    def fun(x):
        return float(np.abs(x).sum()), np.sign(x)

    def both(points, idx):
        return np.abs(points).sum(1), np.sign(points)

    starts = np.random.default_rng(0).standard_normal((40, 3))
    for x0 in starts:
        found = schuss.minimize(fun, x0, jac=True, method=method, hess=lambda x: np.zeros((3, 3)))
        assert found.fun <= np.abs(x0).sum()
    if method != "newton":
        assert (schuss.minimize_batch(both, starts, method=method).fun <= np.abs(starts).sum(1)).all()


def test_bfgs_in_float32_where_its_matrix_is_beyond_float32():
    def fun(x):
        f, g = rosenbrock(x.astype(float) * 1e-15)
        return f * 1e-10, g * 1e-25

    found = schuss.minimize(fun, (X0 * 1e15).astype("f"), jac=True, gtol=1e-28)
    np.testing.assert_allclose(found.x * 1e-15, 1, atol=1e-2)


def test_curvature_out_of_range_teaches_nothing():
    a = np.array([1.0, 3.0])
    for method in ("bfgs", "lbfgs", "cg"):
        found = schuss.minimize(
            lambda x: (1e-280 * (a @ x**2), 2e-280 * a * x), [3.0, 1.0], jac=True, method=method, gtol=0
        )
        assert np.isfinite(found.x).all()


def test_a_solver_that_runs_is_left_alone():
    solver = schuss.LBFGS([1.0, 2.0])

    def fun(x):
        solver.tell(float(x @ x), 2 * x)
        return float(x @ x), 2 * x

    with pytest.raises(RuntimeError, match="the solver is running"):
        solver.run(fun)
    solver.run(lambda x: (float(x @ x), 2 * x))  # and goes on afterwards
    assert solver.result().success

    looks = []
    bfgs = schuss.BFGS(X0)

    @SIGNATURES[np.dtype("float64")]
    def compiled(n, x, f, g, user):
        for look in (bfgs.result, bfgs.state_dict, bfgs.ask, lambda: bfgs.tell(1.0, X0)):
            try:
                look()
            except RuntimeError as error:
                looks.append(str(error))
        f[0], (g[0], g[1]) = rosenbrock(np.array([x[0], x[1]]))
        return 1

    nits = []
    from schuss.minimizers.compiled import compiled as as_compiled

    bfgs.run_compiled(as_compiled(compiled), lambda x, f: nits.append(bfgs.result().nit))
    assert bfgs.result().success
    assert len(looks) == 4 * bfgs.result().nfev
    assert all(look.startswith("the solver is running") for look in looks)
    assert nits == list(range(1, bfgs.nit + 1))


def test_bfgs_starts_from_the_pairs_of_lbfgs():
    problem = PROBLEMS[-1]
    cold = schuss.minimize(problem.fun, problem.start(), jac=True, method="lbfgs")
    again = schuss.minimize(problem.fun, cold.x + 0.01, jac=True)
    warm = schuss.minimize(problem.fun, cold.x + 0.01, jac=True, warm_start=cold)
    assert warm.success
    assert warm.nfev < again.nfev


def test_warm_starts_that_cannot_be():
    bfgs = schuss.minimize(rosenbrock, X0, jac=True)
    for result, method, exception, message in [
        (3, "bfgs", TypeError, "warm_start is int, expected a result"),
        (schuss.minimize(rosenbrock, X0, jac=True, method="cg"), "bfgs", TypeError, "warm_start has no hess_inv"),
        (bfgs, "lbfgs", TypeError, "warm_start has a hess_inv of ndarray, expected the pairs of L-BFGS"),
        ({**bfgs, "hess_inv": np.eye(3)}, "bfgs", ValueError, "warm_start has shape (3, 3), expected (2, 2)"),
        ({**bfgs, "hess_inv": "x"}, "bfgs", TypeError, "warm_start has dtype <U1, expected real numbers"),
    ]:
        with pytest.raises(exception) as error:
            schuss.minimize(rosenbrock, X0, jac=True, method=method, warm_start=result)
        assert str(error.value).startswith(message)
    solver = schuss.LBFGS(X0)
    drive(solver, 3)
    x = solver.ask()
    with pytest.raises(ValueError, match="warm_start comes before the first tell, not after 3"):
        solver.warm_start(schuss.minimize(rosenbrock, X0, jac=True, method="lbfgs"))
    np.testing.assert_array_equal(solver.ask(), x)


def test_the_inverse_hessian_of_a_result_is_what_was_learned_last():
    # From its minimum no step leads down, after which BFGS drops what it knows and tries once more.
    def noisy(x):
        f, g = rosenbrock(x)
        return f + 1e8, g + 1e-7

    found = schuss.minimize(noisy, X0, jac=True, gtol=0)
    assert found.status == 2
    np.testing.assert_allclose(found.hess_inv @ hessian(found.x), np.eye(2), atol=0.5)


def test_nothing_to_minimise_starts_warmly():
    nothing = schuss.minimize(lambda x: (0.0, x), [], jac=True, method="lbfgs")
    assert nothing.hess_inv.todense().shape == (0, 0)
    assert schuss.minimize(lambda x: (0.0, x), [], jac=True, warm_start=nothing).success


def test_newtons_own_hessian_is_used_by_run():
    solver = schuss.Newton(X0, hessian)
    solver.run(rosenbrock)
    expected = schuss.minimize(rosenbrock, X0, jac=True, hess=hessian, method="newton")
    np.testing.assert_array_equal(solver.result().x, expected.x)
    with pytest.raises(ValueError, match="hess is None, expected a function of x"):
        schuss.Newton(X0).run(rosenbrock)


def test_more_pairs_than_memory_are_refused():
    other = schuss.LBFGS(X0, memory=4)
    drive(other, 12)
    state = other.state_dict()
    for wrong in ({"kept": 5}, {"oldest": 4}):
        solver = schuss.LBFGS(X0, memory=4)
        with pytest.raises(ValueError, match="expected at most 4, the memory"):
            solver.load_state_dict({**state, "state": {**state["state"], **wrong}})
        assert solver.nit == 0
    with pytest.raises(ValueError, match="state"):
        schuss.LBFGS(X0, memory=7).load_state_dict(state)


def test_the_inverse_hessian_to_begin_with():
    a = np.diag([1.0, 100.0])
    found = schuss.minimize(lambda x: (x @ a @ x / 2, a @ x), [1.0, 1.0], jac=True, hess_inv0=np.linalg.inv(a))
    assert (found.nit, found.nfev) == (1, 2)
    for wrong, message in [
        (np.eye(3), "hess_inv0 has shape (3, 3), expected (2, 2)"),
        (-np.eye(2), "hess_inv0 is not positive definite"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "hess_inv0 is not symmetric"),
        (np.array([[1.0, 0.9], [0.0, 1.0]]) * 1e-9, "hess_inv0 is not symmetric"),
        ([[1.0, 2.0], [3.0]], "hess_inv0 is [[1.0, 2.0], [3.0]], expected an array of numbers"),
    ]:
        with pytest.raises(ValueError) as error:  # noqa: PT011
            schuss.BFGS(X0, hess_inv0=wrong)
        assert str(error.value).startswith(message)


def test_the_inverse_of_lbfgs_is_a_matrix():
    found = schuss.minimize(rosenbrock, X0, jac=True, method="lbfgs", memory=40)
    dense = found.hess_inv.todense()
    np.testing.assert_allclose(dense @ hessian(found.x), np.eye(2), atol=0.3)
    np.testing.assert_allclose(found.hess_inv @ np.ones(2), dense.sum(1))


# ---- forms of objectives ----


def test_derivatives_in_every_form():
    def value(x):
        return rosenbrock(x)[0]

    def gradient(x):
        return rosenbrock(x)[1]

    exact = schuss.minimize(rosenbrock, X0, jac=True)
    assert schuss.minimize(rosenbrock, X0).nfev == exact.nfev
    assert schuss.minimize(value, X0, jac=gradient).nfev == exact.nfev
    for scheme in (None, "2-point", "3-point"):
        found = schuss.minimize(value, X0, jac=scheme)
        np.testing.assert_allclose(found.x, 1, atol=1e-3)
        assert found.nfev >= 3 * found.njev - 2
    analytic = schuss.minimize(lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, X0, jac="cs")
    np.testing.assert_allclose(analytic.x, exact.x, rtol=1e-9)  # complex steps have no error of truncation
    newton = schuss.minimize(value, X0, jac=gradient, method="newton")
    assert newton.success


@pytest.mark.parametrize("jac", [None, "3-point", "cs", True])
@pytest.mark.parametrize("method", ["bfgs", "newton"])
@pytest.mark.parametrize("pairs", [False, True])
def test_maxfun_counts_every_evaluation(jac, method, pairs):
    for most in (1, 2, 5, 9, 14.0, 30):
        calls = 0

        def fun(x, *args):
            nonlocal calls
            calls += 1
            f = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
            return (f, rosenbrock(x)[1]) if pairs or jac is True else f

        found = schuss.minimize(fun, X0, jac=jac, method=method, maxfun=most)
        assert found.nfev == calls <= most
        assert found.status == 4
        assert found.fun <= rosenbrock(X0)[0]
        if pairs and method == "bfgs" and jac is not True:
            assert calls == most  # a gradient that is given costs nothing


def test_steps_of_finite_differences():
    def value(x):
        return rosenbrock(x)[0]

    for steps in ({"eps": 1e-7}, {"eps": [1e-7, 1e-6]}, {"finite_diff_rel_step": 1e-7}, {"eps": 1e-20}):
        np.testing.assert_allclose(schuss.minimize(value, X0, **steps).x, 1, atol=1e-3)
    single = schuss.minimize(value, X0.astype("f"), eps=1e-12)  # which does not change a float32
    np.testing.assert_array_equal(single.x, schuss.minimize(value, X0.astype("f")).x)


def test_a_gradient_whose_square_overflows_is_finite():
    def fun(x):
        return 1e160 * ((x - 1) @ (x - 1)), 2e160 * (x - 1)

    for method in ("bfgs", "lbfgs", "cg", "gd"):
        found = schuss.minimize(fun, [5.0, -3.0], jac=True, method=method)
        np.testing.assert_allclose(found.x, 1, atol=1e-3)


def test_arguments_are_passed_on():
    found = schuss.minimize(lambda x, c, d: ((x - c) @ (x - c) + d, 2 * (x - c)), [0.0], jac=True, args=(3.0, 1.0))
    np.testing.assert_allclose((found.x[0], found.fun), (3, 1))
    assert schuss.minimize(lambda x, c: ((x - c) @ (x - c), 2 * (x - c)), 0.0, jac=True, args=2.0).x == [2.0]


def test_an_objective_may_keep_and_change_its_argument():
    kept = []

    def fun(x):
        f, g = rosenbrock(x)
        kept.append((x, x.copy()))
        return f, g

    expected = schuss.minimize(rosenbrock, X0, jac=True)
    assert schuss.minimize(fun, X0, jac=True).nfev == expected.nfev
    for x, at_the_time in kept:
        np.testing.assert_array_equal(x, at_the_time)

    def spoil(x):
        result = rosenbrock(x.copy())
        x[:] = np.nan
        return result

    np.testing.assert_array_equal(schuss.minimize(spoil, X0, jac=True).x, expected.x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg"])
def test_compiled_objectives(dtype, method):
    x0 = X0.astype(dtype)
    objective = compiled_rosenbrock(dtype)
    found = schuss.minimize(objective, x0, method=method)
    assert found.status in (0, 2)
    np.testing.assert_allclose(found.x, 1, atol=1e-2)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    capsule = new(ctypes.cast(objective, ctypes.c_void_p).value, None, None)

    class Cfunc:  # as numba has it
        address = ctypes.cast(objective, ctypes.c_void_p).value

    for form in (capsule, Cfunc()):
        np.testing.assert_array_equal(schuss.minimize(form, x0, method=method).x, found.x)


def test_a_callback_of_a_compiled_objective():
    points = []
    found = schuss.minimize(compiled_rosenbrock(), X0, jac=False, callback=points.append)
    assert len(points) == found.nit
    np.testing.assert_array_equal(points[-1], found.x)

    def stop(intermediate_result):
        if intermediate_result.nit == 3:
            raise StopIteration

    stopped = schuss.minimize(compiled_rosenbrock(), X0, callback=stop)
    assert (stopped.status, stopped.nit) == (99, 3)

    def fail(x):
        raise LookupError

    with pytest.raises(LookupError) as error:
        schuss.minimize(compiled_rosenbrock(), X0, callback=fail)
    assert error.value.result.nit == 1


def test_an_objective_that_numba_has_compiled():
    numba = pytest.importorskip("numba")
    number = numba.types.CPointer(numba.types.float64)

    @numba.cfunc(numba.types.int32(numba.types.int64, number, number, number, numba.types.voidptr))
    def fun(n, x, f, g, user):
        a, b = x[1] - x[0] ** 2, 1 - x[0]
        f[0], g[0], g[1] = 100 * a * a + b * b, -400 * a * x[0] - 2 * b, 200 * a
        return 1

    np.testing.assert_allclose(schuss.minimize(fun, X0).x, 1, atol=1e-4)
    np.testing.assert_allclose(schuss.minimize_batch(fun, np.stack([X0, -X0])).x, 1, atol=1e-4)


def test_an_objective_that_cffi_has_an_address_of():
    cffi = pytest.importorskip("cffi")

    @cffi.FFI().callback("int(int64_t, const double *, double *, double *, void *)")
    def fun(n, x, f, g, user):
        f[0], g[0] = (x[0] - 3) ** 2, 2 * (x[0] - 3)
        return 1

    np.testing.assert_allclose(schuss.minimize(fun, [0.0]).x, 3)


def test_null_pointers_are_refused():
    null = SIGNATURES[np.dtype("float64")]()
    with pytest.raises(ValueError, match="fun is a null pointer"):
        schuss.minimize(null, X0)


@pytest.mark.parametrize("line_search", ["wolfe", "exact", "backtracking"])
@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg"])
def test_the_result_is_the_best_point_that_was_evaluated(method, line_search):
    for maxfun in range(1, 40):
        seen = []

        def fun(x, seen=seen):
            f, g = rosenbrock(x)
            seen.append(f)
            return f, g

        found = schuss.minimize(fun, X0, jac=True, method=method, maxfun=maxfun, line_search=line_search)
        if not found.success:
            assert found.fun == min(seen)


def test_the_memory_of_lbfgs_has_an_end():
    with pytest.raises(ValueError, match=r"memory must be at most 10000, got 4294967296"):
        schuss.LBFGS(X0, memory=2**32)


def test_pairs_that_cannot_be_there_are_refused():
    solver = schuss.LBFGS(X0, memory=10)
    drive(solver, 6)
    state = solver.state_dict()
    state["state"]["oldest"] = 9
    with pytest.raises(ValueError, match=r"state has oldest 9 with \d pairs of 10, expected 0 until all are there"):
        schuss.LBFGS(X0, memory=10).load_state_dict(state)


def test_low_level_callables_and_user_data():
    scipy = pytest.importorskip("scipy")

    @SIGNATURES[np.dtype("float64")]
    def fun(n, x, f, g, user):
        centre = ctypes.cast(user, ctypes.POINTER(ctypes.c_double))[0]
        f[0] = sum((x[i] - centre) ** 2 for i in range(n))
        for i in range(n):
            g[i] = 2 * (x[i] - centre)
        return 1

    centre = ctypes.c_double(2.5)
    user = ctypes.cast(ctypes.pointer(centre), ctypes.c_void_p)
    found = schuss.minimize(scipy.LowLevelCallable(fun, user), np.zeros(3))
    np.testing.assert_allclose(found.x, 2.5)


def test_a_compiled_objective_that_fails_counts_as_not_finite():
    @SIGNATURES[np.dtype("float64")]
    def fun(n, x, f, g, user):
        if x[0] <= 0:
            return 0  # and leaves f and g as they are
        f[0], g[0] = x[0] - math.log(x[0]), 1 - 1 / x[0]
        return 1

    assert schuss.minimize(fun, [8.0]).success
    assert schuss.minimize(fun, [-8.0]).status == 3


# ---- callbacks, exceptions, interrupts ----


def test_both_styles_of_callback_and_stopping():
    seen = []

    def stop_after_three(x):
        seen.append(x)
        if len(seen) == 3:
            raise StopIteration

    found = schuss.minimize(rosenbrock, X0, jac=True, callback=stop_after_three)
    assert (found.status, found.success, found.nit, len(seen)) == (99, False, 3, 3)
    results = []
    found = schuss.minimize(
        rosenbrock, X0, jac=True, callback=lambda intermediate_result: results.append(intermediate_result)
    )
    assert [r.nit for r in results] == list(range(1, found.nit + 1))
    np.testing.assert_array_equal(results[-1].x, found.x)
    assert results[-1].fun == found.fun


@pytest.mark.parametrize("where", ["fun", "jac", "hess", "callback"])
def test_exceptions_come_through_with_the_result_so_far(where):
    class OwnError(Exception):
        pass

    calls = dict.fromkeys(["fun", "jac", "hess", "callback"], 0)

    def wrapped(name, function):
        def call(*args):
            calls[name] += 1
            if name == where and calls[name] == 5:
                raise OwnError
            return function(*args)

        return call

    with pytest.raises(OwnError) as error:
        schuss.minimize(
            wrapped("fun", lambda x: rosenbrock(x)[0]),
            X0,
            jac=wrapped("jac", lambda x: rosenbrock(x)[1]),
            hess=wrapped("hess", hessian),
            callback=wrapped("callback", lambda x: None),
            method="newton",
        )
    assert error.value.result.fun < rosenbrock(X0)[0]
    assert error.value.result.status == -1


def test_nothing_is_known_after_an_exception_at_once():
    def fun(x):
        raise LookupError

    with pytest.raises(LookupError) as error:
        schuss.minimize(fun, X0, jac=True)
    result = error.value.result
    np.testing.assert_array_equal(result.x, X0)
    assert np.isnan([result.fun, *result.jac]).all()
    assert result.nfev == 0


INTERRUPTED = {
    "python": lambda: schuss.minimize(
        lambda x: (time.sleep(0.01), (x[0], np.ones(1)))[1], [1.0], jac=True, method="gd"
    ),
    "compiled": lambda: schuss.minimize(compiled_rosenbrock(), np.tile(X0, 100_000), method="gd", maxiter=10**6),
    "batch": lambda: schuss.minimize_batch(compiled_rosenbrock(), np.tile(X0, (100_000, 1)), method="gd", gtol=0.0),
}


@pytest.mark.parametrize("form", INTERRUPTED)
def test_an_interrupt_ends_a_minimisation(form):
    with interrupt_soon(), pytest.raises(KeyboardInterrupt) as error:
        INTERRUPTED[form]()
    result = error.value.result
    assert -1 in np.atleast_1d(result.status)
    assert np.max(result.nfev) > 0


# ---- batches ----


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "cg"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_batches_are_single_problems(method, dtype):
    starts = np.random.default_rng(0).normal(size=(50, 4)).astype(dtype)
    singles = [schuss.minimize(compiled_rosenbrock(dtype), x0, method=method) for x0 in starts]
    indices = []

    def vectorised(points, idx):
        indices.append(idx)
        rows = [rosenbrock(x) for x in points]
        return np.array([f for f, _ in rows]), np.array([g for _, g in rows])

    for threads in (1, 2):
        batch = schuss.minimize_batch(compiled_rosenbrock(dtype), starts, method=method, num_threads=threads)
        np.testing.assert_array_equal(batch.x, [single.x for single in singles])
        np.testing.assert_array_equal(batch.fun, [single.fun for single in singles])
        np.testing.assert_array_equal(batch.nfev, [single.nfev for single in singles])
        np.testing.assert_array_equal(batch.success, [single.success for single in singles])
    lock_step = schuss.minimize_batch(vectorised, starts, method=method)
    np.testing.assert_allclose(lock_step.x[lock_step.success], 1, atol=1e-2)
    assert len(indices) == lock_step.nfev.max()
    assert all(np.all(np.diff(idx) > 0) for idx in indices)
    assert sum(map(len, indices)) == lock_step.nfev.sum()


def test_exceptions_in_a_batch_come_with_the_results_so_far():
    centres = np.array([[0.0], [1.0], [50.0]])

    def fun(points, idx):
        if len(idx) == 1:
            raise LookupError  # two have ended
        away = points - centres[idx]
        return (away**4).sum(1), 4 * away**3

    with pytest.raises(LookupError) as error:
        schuss.minimize_batch(fun, np.array([[0.0], [1.0], [2.0]]))
    result = error.value.result
    np.testing.assert_array_equal(result.status, [0, 0, -1])
    np.testing.assert_array_equal(result.success, [True, True, False])
    np.testing.assert_array_equal(result.x[:2], centres[:2])


def test_a_batch_of_nothing():
    for fun in (compiled_rosenbrock(), lambda X, idx: (X.sum(1), X)):
        found = schuss.minimize_batch(fun, np.zeros((0, 3)))
        assert found.x.shape == (0, 3)
        assert found.success.shape == (0,)


# ---- arguments ----

ERRORS = [
    ({"x0": np.ones((2, 2))}, ValueError, "x0 has shape (2, 2), expected one dimension"),
    ({"x0": [1j]}, TypeError, "x0 has dtype complex128, expected real numbers"),
    ({"x0": "abc"}, TypeError, "x0 has dtype <U3, expected real numbers"),
    ({"fun": 3}, TypeError, "fun is int, expected a function"),
    ({"method": "bogus"}, ValueError, "method must be one of 'gd', 'cg', 'bfgs', 'lbfgs', 'newton', got 'bogus'"),
    ({"jac": "4-point"}, TypeError, "jac is '4-point', expected a function, True or one of"),
    ({"hess": 3}, TypeError, "hess is 3, expected a function or one of '2-point'"),
    ({"callback": 3}, TypeError, "callback is int, expected a function"),
    ({"gtol": -1}, ValueError, "gtol must be in [0, inf), got -1"),
    ({"gtol": math.nan}, ValueError, "gtol must be in [0, inf), got nan"),
    ({"gtol": "x"}, TypeError, "gtol must be a number in [0, inf), got 'x'"),
    ({"maxiter": -1}, ValueError, "maxiter must be an integer of at least 0, got -1"),
    ({"maxiter": 1.5}, TypeError, "maxiter must be an integer of at least 0, got 1.5"),
    ({"maxfun": 0}, ValueError, "maxfun must be an integer of at least 1, got 0"),
    ({"maxtime": -1}, ValueError, "maxtime must be in [0, inf], got -1"),
    ({"num_threads": 0}, ValueError, "num_threads must be an integer of at least 1"),
    (
        {"line_search": "golden"},
        ValueError,
        "line_search must be one of 'wolfe', 'backtracking', 'exact', got 'golden'",
    ),
    ({"c1": 0.5, "c2": 0.4}, ValueError, "c2 must be greater than c1, got c1=0.5, c2=0.4"),
    ({"c1": 0.95}, ValueError, "c2 must be greater than c1, got c1=0.95, c2=0.9"),
    ({"method": ["bfgs"]}, ValueError, "method must be one of 'gd', 'cg', 'bfgs', 'lbfgs', 'newton', got ['bfgs']"),
    ({"jac": np.ones(2)}, TypeError, "jac is array([1., 1.]), expected a function"),
    ({"eps": 0}, ValueError, "eps is 0, expected positive numbers"),
    ({"eps": [1e-8] * 3}, ValueError, "eps has shape (3,), expected one number or (2,)"),
    ({"finite_diff_rel_step": "x"}, TypeError, "finite_diff_rel_step has dtype <U1, expected real numbers"),
    ({"fun": lambda x: x, "jac": None}, ValueError, "fun returned an array of shape (2,), expected a number"),
    ({"x0": [[1.0], [1.0, 2.0]]}, ValueError, "x0 is [[1.0], [1.0, 2.0]], expected an array of numbers"),
    ({"fun": lambda x: [1.0, [2.0, 3.0]], "jac": None}, TypeError, "fun returned [1.0, [2.0, 3.0]], expected a number"),
    ({"fun": lambda x: None, "jac": None}, TypeError, "fun returned None, expected a number"),
    ({"fun": lambda x: (1.0, None)}, TypeError, "the gradient is NoneType of dtype object, expected real numbers"),
    ({"fun": lambda x: (1.0, x * 1j)}, TypeError, "the gradient is ndarray of dtype complex128, expected real"),
    ({"fun": lambda x: (1.0, np.ones((2, 1)))}, ValueError, "the gradient has shape (2, 1), expected (2,)"),
    ({"method": "newton", "hess": lambda x: np.ones(4)}, ValueError, "the Hessian has shape (4,), expected (2, 2)"),
    ({"fun": compiled_rosenbrock(), "jac": lambda x: x}, TypeError, "jac is <function"),
    ({"fun": compiled_rosenbrock(), "hess": lambda x: x}, TypeError, "hess is <function"),
    ({"fun": compiled_rosenbrock(), "args": (3,)}, TypeError, "args is (3,), which a compiled fun does not take"),
    ({"fun": compiled_rosenbrock(), "eps": 1e-8}, TypeError, "eps is array(1.e-08), which a compiled fun"),
    ({"memory": 3}, TypeError, "unknown option 'memory' of bfgs"),
    ({"method": "lbfgs", "memory": -1}, ValueError, "memory must be an integer of at least 0, got -1"),
    ({"method": "cg", "beta": "xx"}, ValueError, "beta must be one of 'pr', 'fr', 'hs', 'dy', 'hz', got 'xx'"),
    ({"norm": 0}, ValueError, "norm must be the order of a norm such as inf or 2, got 0"),
    ({"fun": lambda x: 1.0}, TypeError, "fun returned float, expected a pair (f, g) as jac=True promises"),
    ({"fun": lambda x: ("a", x)}, TypeError, "fun returned 'a', expected a number"),
    ({"fun": lambda x: (x, x)}, ValueError, "fun returned an array of shape (2,), expected a number"),
    ({"fun": lambda x: (1.0, np.ones(3))}, ValueError, "the gradient has shape (3,), expected (2,)"),
]


@pytest.mark.parametrize(("arguments", "exception", "message"), ERRORS, ids=[str(list(case[0])) for case in ERRORS])
def test_errors_name_the_argument_and_its_value(arguments, exception, message):
    with pytest.raises(exception) as error:
        schuss.minimize(**{"fun": rosenbrock, "x0": X0, "jac": True, **arguments})
    assert str(error.value).startswith(message)


BATCH_ERRORS = [
    ({"X0": np.ones(3)}, ValueError, "X0 has shape (3,), expected (problems, n)"),
    ({"method": "newton"}, ValueError, "method must be one of 'gd', 'cg', 'bfgs', 'lbfgs', got 'newton'"),
    ({"fun": 3}, TypeError, "fun is int, expected a function"),
    ({"fun": lambda X, idx: 3}, TypeError, "fun returned int, expected a pair (F, G)"),
    ({"fun": lambda X, idx: (np.ones(3), X)}, ValueError, "F has shape (3,), expected (2,)"),
    ({"fun": lambda X, idx: (np.ones(2), X[:1])}, ValueError, "G has shape (1, 2), expected (2, 2)"),
    ({"fun": lambda X, idx: (np.ones(2), X.T.ravel())}, ValueError, "G has shape (4,), expected (2, 2)"),
    ({"fun": lambda X, idx: (np.ones(2), None)}, TypeError, "G is NoneType of dtype object, expected real numbers"),
    ({"method": ["cg"]}, ValueError, "method must be one of 'gd', 'cg', 'bfgs', 'lbfgs', got ['cg']"),
]


@pytest.mark.parametrize(("arguments", "exception", "message"), BATCH_ERRORS, ids=range(len(BATCH_ERRORS)))
def test_errors_of_a_batch(arguments, exception, message):
    with pytest.raises(exception) as error:
        schuss.minimize_batch(**{"fun": rosenbrock, "X0": np.ones((2, 2)), **arguments})
    assert str(error.value).startswith(message)

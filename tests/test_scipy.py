"""The minimisers as methods of scipy.optimize.minimize."""

import warnings

import numpy as np
import pytest

import schuss.scipy
from schuss.benchmark.problems import rosenbrock

optimize = pytest.importorskip("scipy.optimize")

X0 = np.array([-1.2, 1.0])

METHODS = [schuss.scipy.bfgs, schuss.scipy.cg, schuss.scipy.lbfgs, schuss.scipy.newton]

every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)


@every_method
def test_every_form_of_the_gradient(method):
    calls = [0]

    def counted(x):
        calls[0] += 1
        return rosenbrock(x)

    both = optimize.minimize(counted, X0, jac=True, method=method)
    assert both.success
    np.testing.assert_allclose(both.x, 1, atol=1e-4)
    if method is not schuss.scipy.newton:
        assert calls[0] == both.nfev
        two = optimize.minimize(optimize.rosen, X0, jac=optimize.rosen_der, method=method)
        assert two.success
        none = optimize.minimize(optimize.rosen, X0, method=method)
        np.testing.assert_allclose(none.x, 1, atol=1e-3)
    else:
        exact = optimize.minimize(optimize.rosen, X0, jac=optimize.rosen_der, hess=optimize.rosen_hess, method=method)
        assert exact.success
        assert exact.nhev <= exact.nit + 1


@every_method
def test_tol_options_and_arguments(method):
    tight = optimize.minimize(rosenbrock, X0, jac=True, method=method, tol=1e-9)
    assert np.abs(tight.jac).max() <= 1e-9
    short = optimize.minimize(rosenbrock, X0, jac=True, method=method, options={"maxiter": 2, "disp": False})
    assert (short.nit, short.status, short.success) == (2, 1, False)
    everything = optimize.minimize(rosenbrock, X0, jac=True, method=method, options={"return_all": True})
    assert len(everything.allvecs) == everything.nit + 1
    shifted = optimize.minimize(
        lambda x, c: ((x - c) @ (x - c), 2 * (x - c)), np.zeros(2), args=(2.0,), jac=True, method=method
    )
    np.testing.assert_allclose(shifted.x, 2, atol=1e-5)


@every_method
def test_options_as_scipy_has_them(method):
    none = optimize.minimize(rosenbrock, X0, jac=True, method=method, options={"maxiter": -1})
    assert (none.nit, none.status, none.success) == (0, 1, False)
    coarse, fine = (
        optimize.minimize(rosenbrock, X0, jac=True, method=method, options={"xtol": xtol, "gtol": 0})
        for xtol in (1e-1, 1e-6)
    )
    assert coarse.success
    assert fine.success
    assert coarse.nit < fine.nit
    assert np.abs(fine.x - 1).max() < 1e-5


@every_method
def test_both_styles_of_callback(method):
    points, results = [], []

    def by_point(x):
        points.append(x)

    def by_result(intermediate_result):
        results.append(intermediate_result)
        if len(results) == 4:
            raise StopIteration

    full = optimize.minimize(rosenbrock, X0, jac=True, method=method, callback=by_point)
    assert len(points) == full.nit
    stopped = optimize.minimize(rosenbrock, X0, jac=True, method=method, callback=by_result)
    assert (stopped.status, stopped.success, stopped.nit) == (99, False, 4)
    assert isinstance(results[0], optimize.OptimizeResult)
    np.testing.assert_array_equal(results[-1].x, points[3])


def rosen_with(**hessian):
    return optimize.minimize(optimize.rosen, X0, jac=optimize.rosen_der, method=schuss.scipy.newton, **hessian)


@pytest.mark.parametrize(
    "kind", ["coo_matrix", "csr_matrix", "csc_array", "linalg.aslinearoperator", "hessp"], ids=lambda kind: kind
)
def test_every_kind_of_hessian_is_the_same(kind):
    sparse = pytest.importorskip("scipy.sparse")
    pytest.importorskip("scipy.sparse.linalg")
    if kind == "hessp":
        got = rosen_with(hessp=lambda x, p: optimize.rosen_hess(x) @ p)
    else:
        made = sparse.linalg.aslinearoperator if "." in kind else getattr(sparse, kind)
        got = rosen_with(hess=lambda x: made(optimize.rosen_hess(x)))
    want = rosen_with(hess=optimize.rosen_hess)
    assert want.success
    np.testing.assert_array_equal(got.x, want.x)
    assert (got.nit, got.nfev, got.njev, got.nhev) == (want.nit, want.nfev, want.njev, want.nhev)


@pytest.mark.parametrize(("hess", "gradients"), [("2-point", 3), ("3-point", 4), ("cs", 2), (None, 3)])
def test_hessians_by_differences(hess, gradients):
    kinds = []

    def jac(x):
        kinds.append(x.dtype.kind)
        return optimize.rosen_der(x)

    found = optimize.minimize(optimize.rosen, X0, jac=jac, hess=hess, method=schuss.scipy.newton)
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-4)
    assert found.njev == len(kinds) == found.nfev + gradients * found.nhev
    assert kinds.count("c") == (gradients * found.nhev if hess == "cs" else 0)
    pairs = optimize.minimize(rosenbrock, X0, jac=True, hess=hess, method=schuss.scipy.newton)
    assert pairs.success


@pytest.mark.parametrize("strategy", ["BFGS", "SR1"])
def test_hessians_by_updates(strategy):
    calls = [0]

    def jac(x):
        calls[0] += 1
        return optimize.rosen_der(x)

    formula = getattr(optimize, strategy)()
    found = optimize.minimize(optimize.rosen, X0, jac=jac, hess=formula, method=schuss.scipy.newton)
    assert found.success
    np.testing.assert_allclose(found.x, 1, atol=1e-4)
    assert calls[0] == found.njev == found.nfev + found.nhev
    last = formula.get_matrix()
    assert np.linalg.eigvalsh(last)[-1] == pytest.approx(np.linalg.eigvalsh(optimize.rosen_hess(found.x))[-1], rel=0.2)


def test_hessians_that_there_cannot_be():
    with pytest.raises(TypeError, match="hess is '4-point', expected a function"):
        rosen_with(hess="4-point")
    with pytest.raises(ValueError, match="hess is 'cs', which wants a gradient of complex numbers"):
        optimize.minimize(optimize.rosen, X0, hess="cs", method=schuss.scipy.newton)


def test_results_are_scipys():
    found = optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.bfgs)
    assert isinstance(found, optimize.OptimizeResult)
    assert {"x", "fun", "jac", "hess_inv", "nfev", "njev", "nit", "status", "success", "message"} <= set(found)
    assert found.hess_inv.shape == (2, 2)
    limited = optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.lbfgs, options={"maxcor": 5})
    assert isinstance(limited.hess_inv, optimize.LbfgsInvHessProduct)
    assert limited.hess_inv.shape == (2, 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"hess": optimize.rosen_hess}, "does not use Hessian information (hess)"),
        ({"hessp": optimize.rosen_hess_prod}, "does not use Hessian-vector product information (hessp)"),
        ({"bounds": [(-2, 2)] * 2}, "cannot handle bounds"),
        ({"constraints": [{"type": "ineq", "fun": lambda x: x}]}, "cannot handle constraints"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_what_is_not_supported_is_said(given, words):
    with pytest.warns(RuntimeWarning) as ours:
        optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.bfgs, **given)
    with pytest.warns(RuntimeWarning) as scipys:
        optimize.minimize(rosenbrock, X0, jac=True, method="bfgs", **given)
    assert [str(warning.message) for warning in ours] == [str(warning.message) for warning in scipys]
    assert words in str(ours[0].message)


def test_bounds_that_bound_nothing_are_taken_silently():
    for bounds in ([(None, None)] * 2, optimize.Bounds(-np.inf, np.inf)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.bfgs, bounds=bounds).success
    with pytest.warns(RuntimeWarning):
        schuss.scipy.bfgs(rosenbrock, X0, jac=True, bounds=[(None, 1.0), (2.0,)])


def test_an_explicit_gtol_counts_and_numbers_may_be_infinite():
    options = {"gtol": 1e-9, "maxiter": np.inf, "maxfun": np.inf}
    found = optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.bfgs, tol=1.0, options=options)
    assert np.abs(found.jac).max() <= 1e-9
    short = optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.bfgs, options={"maxiter": np.float32(4.5)})
    assert short.nit == 4


def test_a_callback_that_stops_where_it_has_converged_has_stopped_it():
    def stop(intermediate_result):
        if intermediate_result.fun < 1e-20:
            raise StopIteration

    options = {"gtol": 1e-3}
    for method in METHODS[:3]:
        found = optimize.minimize(lambda x: (x @ x, 2 * x), X0, jac=True, method=method, callback=stop, options=options)
        assert (found.status, found.success) == (99, False)


def test_errors_of_an_objective_keep_their_words():
    def fun(x):
        raise ValueError("c1 must be something else")

    with pytest.raises(ValueError, match="c1 must be something else") as error:
        optimize.minimize(fun, X0, jac=True, method=schuss.scipy.bfgs)
    np.testing.assert_array_equal(error.value.result.x, X0)
    with pytest.raises(ValueError, match="must return a scalar value") as error:
        optimize.minimize(lambda x: x, X0, method=schuss.scipy.bfgs)
    assert error.value.result.status == -1


def test_more_thuente_takes_the_trials_of_scipys():
    search = pytest.importorskip("scipy.optimize._dcsrch")
    from schuss import _core
    from test_line_search import PUBLISHED

    for _, phi, mu, eta, counts in PUBLISHED:
        for first, count in zip((1e-3, 1e-1, 1e1, 1e3), counts, strict=True):
            ours, _, _ = _core.line_search(phi, first, "wolfe", mu, eta)
            f0, slope0 = phi(0.0)
            peer = search.DCSRCH(lambda a, phi=phi: phi(a)[0], lambda a, phi=phi: phi(a)[1], mu, eta, 1e-14, 0, 1e10)
            step, *_ = peer(first, f0, slope0, maxiter=count + 5)
            assert step == pytest.approx(ours, rel=1e-6)


def test_errors_and_warnings_have_scipys_words():
    with pytest.raises(ValueError, match="'hess_inv0' matrix isn't positive definite"):
        optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.bfgs, options={"hess_inv0": -np.eye(2)})
    with pytest.raises(ValueError, match="'c1' and 'c2' do not satisfy '0 < c1 < c2 < 1'"):
        optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.cg, options={"c1": 0.5, "c2": 0.2})
    with pytest.raises(ValueError, match="must return a scalar value"):
        optimize.minimize(lambda x: (x, x), X0, jac=True, method=schuss.scipy.cg)
    with pytest.warns(optimize.OptimizeWarning, match="Maximum number of iterations"):
        optimize.minimize(rosenbrock, X0, jac=True, method=schuss.scipy.lbfgs, options={"maxiter": 2.5, "disp": True})

"""Coordinate descent: against the reference and scikit-learn, the certificate, extreme data, errors."""

from functools import partial

import numpy as np
import pytest

import schuss
from interrupts import interrupt_soon
from schuss import linalg
from schuss.coordinate import coordinate_descent, elastic_net, lasso, sparse_code, sparse_encode
from schuss.reference import coordinate as reference

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def problem(n, p, dtype="float64", seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    w = np.where(rng.random(p) < max(0.1, 3 / p), rng.normal(size=p), 0)
    return X.astype(dtype), (X @ w + noise * rng.normal(size=n) + 2).astype(dtype)


def largest_alpha(X, y):
    """The least α whose solution is zero."""
    return float(np.abs((X - X.mean(0)).T @ (y - y.mean())).max() / len(y))


def exact_gap(X, y, found, alpha, l1_ratio=1.0):
    """The gap of what was returned, by another formula, in double, on centred data."""
    X, y = X.astype(float), y.astype(float)
    shift = y.mean() - X.mean(0) @ found.coef.astype(float) - found.intercept
    gap = reference.duality_gap(X - X.mean(0), y - y.mean(), found.coef.astype(float), alpha, l1_ratio)
    return gap + 0.5 * shift**2


def at_zero(y):
    return 0.5 * float(((y - y.mean()) ** 2).mean())


# ---- the lasso and the elastic net ----

SHAPES = [(1, 1), (1, 5), (7, 1), (20, 5), (33, 64), (50, 400), (300, 40), (65, 1100)]


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.0])
@dtypes
def test_the_gap_is_reached_and_true(n, p, l1_ratio, dtype):
    X, y = problem(n, p, dtype)
    alpha = 0.1 * largest_alpha(X, y) + 1e-3
    found = elastic_net(X, y, alpha, l1_ratio)
    assert found.success, found.message
    assert found.coef.dtype == dtype
    assert found.x is found.coef
    assert 0 <= found.relative_gap <= 1e-8
    assert found.gap <= 1e-8 * at_zero(y.astype(float)) * (1 + 1e-6)
    if dtype == "float64":
        assert exact_gap(X, y, found, alpha, l1_ratio) <= 1e-7 * at_zero(y) + 1e-18
    r = y.astype(float) - X.astype(float) @ found.coef.astype(float) - found.intercept
    w = found.coef.astype(float)
    fun = 0.5 * (r @ r) / n + alpha * (l1_ratio * np.abs(w).sum() + 0.5 * (1 - l1_ratio) * w @ w)
    assert found.fun == pytest.approx(fun, rel=1e-6, abs=1e-12)
    assert (np.diff(found.history) <= 1e-12 * abs(found.history[0])).all()


@pytest.mark.parametrize(("n", "p"), [(20, 5), (33, 40), (100, 12)])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_solution_is_the_references(n, p, l1_ratio, fit_intercept):
    X, y = problem(n, p)
    alpha = 0.1 * largest_alpha(X, y)
    w, b = reference.elastic_net(X, y, alpha, l1_ratio, fit_intercept=fit_intercept, sweeps=1000)
    found = elastic_net(X, y, alpha, l1_ratio, fit_intercept=fit_intercept, tol=1e-13)
    np.testing.assert_allclose(found.coef, w, atol=1e-6)
    assert found.intercept == pytest.approx(b, abs=1e-6)
    if l1_ratio == 1:
        np.testing.assert_array_equal(
            lasso(X, y, alpha, fit_intercept=fit_intercept, tol=1e-13).coef, found.coef, strict=True
        )


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_the_solution_is_scikit_learns(l1_ratio):
    sklearn = pytest.importorskip("sklearn.linear_model")
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    for alpha in (1e-3, 0.1, 1.0):
        theirs = sklearn.ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-12, max_iter=10**6).fit(X, y)
        found = elastic_net(X, y, alpha, l1_ratio, tol=1e-12)
        assert found.success
        np.testing.assert_allclose(found.coef, theirs.coef_, rtol=1e-4, atol=1e-3)
        assert found.intercept == pytest.approx(theirs.intercept_)


def test_least_squares_without_a_penalty():
    X, y = problem(50, 8)
    found = lasso(X, y, 0.0)
    expected = np.linalg.lstsq(np.column_stack([X, np.ones(50)]), y, rcond=None)[0]
    assert found.success, found.message
    np.testing.assert_allclose([*found.coef, found.intercept], expected, atol=1e-4)
    twice = lasso(np.column_stack([X, X[:, :2]]), y, 0.0)
    assert twice.success, twice.message
    met = lasso(*problem(10, 60), 0.0)
    assert met.success, met.message
    assert met.fun < 1e-8


@dtypes
def test_a_large_alpha_gives_zero_at_once(dtype):
    X, y = problem(40, 60, dtype)
    alpha = largest_alpha(X.astype(float), y.astype(float)) * (1 + 1e-6)
    for start in (None, np.ones(60)):
        found = lasso(X, y, alpha, w0=start)
        assert found.success
        assert not found.coef.any()
        assert found.n_iter == 0
        assert found.intercept == pytest.approx(y.mean(), rel=1e-6)
    huge = elastic_net(X, y, 1e308, 1.0)
    assert huge.success
    assert not huge.coef.any()
    just_below = lasso(X, y, 0.999 * alpha)
    assert just_below.success
    assert np.count_nonzero(just_below.coef) == 1


def test_maxiter():
    X, y = problem(60, 90)
    for most in (0, 1, 3):
        found = lasso(X, y, 1e-3, maxiter=most)
        assert (found.n_iter, found.success, found.status) == (most, False, 1)
        assert found.gap > 0
    assert not lasso(X, y, 1e-3, maxiter=0).coef.any()
    solved = lasso(X, y, 1e-3)
    again = lasso(X, y, 1e-3, w0=solved.coef, maxiter=0)
    np.testing.assert_array_equal(again.coef, solved.coef)
    assert again.success
    start = np.full(90, 3.0)
    np.testing.assert_array_equal(lasso(X, y, 1e-3, w0=start, maxiter=0).coef, start)


@pytest.mark.parametrize("order", ["C", "F", "strided", "reversed", "read-only"])
def test_any_memory_order_gives_the_same_bits(order):
    X, y = problem(50, 70)
    expected = lasso(X, y, 0.01)
    wide = np.zeros((100, 140))
    wide[::2, ::2] = X
    forms = {"C": X, "F": np.asfortranarray(X), "strided": wide[::2, ::2], "reversed": X[::-1].copy()[::-1]}
    form = forms.get(order, X.copy())
    form.flags.writeable = order != "read-only"
    np.testing.assert_array_equal(lasso(form, y, 0.01).coef, expected.coef)


@dtypes
@pytest.mark.parametrize(("n", "p"), [(200, 1500), (2000, 200)])
def test_the_bits_do_not_depend_on_threads(n, p, dtype):
    X, y = problem(n, p, dtype)
    found = [lasso(X, y, 0.1, num_threads=k) for k in (1, 2, 5)]
    for other in found[1:]:
        np.testing.assert_array_equal(other.coef, found[0].coef)
        np.testing.assert_array_equal(other.history, found[0].history)
        assert other.gap == found[0].gap


def test_more_columns_than_a_gram_matrix_has():
    X, y = problem(60, 1300)
    found = elastic_net(X, y, 1e-2, 1e-3)
    assert np.count_nonzero(found.coef) > 1024
    assert found.success, found.message
    assert exact_gap(X, y, found, 1e-2, 1e-3) <= 1e-7 * at_zero(y)


def test_integers_are_numbers():
    X, y = np.arange(12).reshape(4, 3) % 5, [1, 0, 2, 5]
    found = lasso(X, y, 0.1)
    np.testing.assert_array_equal(found.coef, lasso(X.astype(float), np.array(y, float), 0.1).coef)
    assert found.coef.dtype == np.float64
    assert lasso(X.astype("f"), np.array(y, "f"), 0.1).coef.dtype == np.float32
    assert lasso(X.astype(">f8"), y, 0.1).success


def test_no_columns():
    found = lasso(np.zeros((5, 0)), np.arange(5), 0.1)
    assert found.success
    assert found.coef.shape == (0,)
    assert found.intercept == 2


# ---- the certificate ----


@pytest.mark.parametrize("mean", [1e6, 1e10, 1e12, 1e14])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_large_means_give_no_false_certificate(mean, fit_intercept):
    X, y = problem(60, 12)
    alpha = 0.05 * largest_alpha(X, y)
    X = X + mean
    found = lasso(X, y, alpha, fit_intercept=fit_intercept)
    assert found.gap >= 0
    if not fit_intercept:
        return
    centred = X - X.mean(0)
    centred -= centred.mean(0)  # the mean itself was rounded
    plain = lasso(centred, y, alpha, tol=1e-12)
    r = y - centred @ found.coef - y.mean()
    fun = 0.5 * (r @ r) / 60 + alpha * np.abs(found.coef).sum()
    assert fun - plain.fun <= found.gap + 1e-10
    assert found.success == (mean <= 1e12)  # beyond that the intercept's own rounding is too large


@pytest.mark.parametrize("mean", [0.0, 1e10])
def test_a_large_mean_of_y(mean):
    X, y = problem(60, 12)
    assert lasso(X, y + mean, 0.05).success
    np.testing.assert_allclose(lasso(X, y + mean, 0.05).coef, lasso(X, y, 0.05).coef, atol=1e-4)


def test_a_tolerance_that_rounding_forbids_is_no_success():
    X, y = problem(60, 12)
    for tol in (0.0, 1e-18):
        found = lasso(X, y, 0.01, tol=tol)
        assert not found.success
        assert found.status == 2
        assert found.gap > 0


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7e8])
def test_a_constant_target(value):
    X, _ = problem(30, 5)
    for start in (None, np.ones(5)):
        found = lasso(X, np.full(30, value), 0.1, w0=start)
        assert found.success
        assert (found.gap, found.intercept) == (0, value)
        assert not found.coef.any()
    assert lasso(X, np.zeros(30), 0.1, w0=np.ones(5), fit_intercept=False).success


def test_columns_without_variance_get_no_coefficient():
    X, y = problem(30, 5)
    X[:, 1], X[:, 3] = 0, 0.1
    for alpha in (0.05, 0.0):
        found = lasso(X, y, alpha, w0=np.full(5, 0.5))
        assert found.success
        assert found.coef[1] == found.coef[3] == 0


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("alpha", [1e-1, 1e-3, 1e-6])
def test_equal_columns_converge_from_any_start(sign, alpha):
    X, y = problem(80, 6)
    X = np.column_stack([X, sign * X])
    cold = lasso(X, y, alpha)
    start = np.r_[cold.coef[:6] + 1, -sign * np.ones(6)]
    for w0 in (None, start, 1e-3 * start):
        found = lasso(X, y, alpha, w0=w0)
        assert found.success, found.message
        assert found.n_iter <= 100
        assert found.fun == pytest.approx(cold.fun, rel=1e-6)


def test_equal_columns_converge_without_a_gram_matrix():
    X, y = problem(40, 1100)
    X = np.column_stack([X, X])
    start = np.r_[np.full(1100, 1e-3), np.full(1100, -1e-3)]
    found = elastic_net(X, y, 1e-2, 1e-3, w0=start)
    assert found.success, found.message
    assert found.n_iter <= 500


SCALES = [("float64", 1e150), ("float64", 1e-150), ("float64", 1e-300), ("float32", 1e18), ("float32", 1e-18)]


@pytest.mark.parametrize(("dtype", "scale"), SCALES)
@pytest.mark.parametrize("which", ["X", "y", "both"])
def test_any_units(dtype, scale, which):
    X, y = problem(50, 20)
    a, b = (scale if which != "y" else 1.0), (scale if which != "X" else 1.0)
    number = np.dtype(dtype).type
    X_scaled, y_scaled = (X * number(a)).astype(dtype), (y * number(b)).astype(dtype)
    if not (np.finfo(dtype).tiny < 0.05 * a * b < np.finfo("float64").max / 1e10 and b / a < 1e280):
        pytest.skip("α is out of range")
    found, plain = lasso(X_scaled, y_scaled, 0.05 * a * b), lasso(X, y, 0.05)
    assert found.success, found.message
    expected = plain.coef * (b / a)
    if np.abs(expected).max() < np.finfo(dtype).max:
        np.testing.assert_allclose(found.coef / (b / a), plain.coef, atol=1e-3)
    assert np.isfinite(found.coef).all()


def test_columns_in_different_units():
    X, y = problem(50, 20)
    found = elastic_net(X * 10.0 ** np.linspace(-4, 4, 20), y, 0.05)
    assert found.success, found.message
    far = elastic_net(X * 10.0 ** np.linspace(-200, 200, 20), y, 0.05)
    assert np.isfinite(far.coef).all()
    assert far.gap > 0  # α is nothing to the largest columns, so that no dual point is near
    assert not far.success


def test_a_solution_beyond_the_dtype_is_no_success():
    X, y = problem(50, 20)
    found = lasso((X * 1e-30).astype("f"), (y * 1e30).astype("f"), 1e-3)
    assert not found.success
    assert np.isfinite(found.coef).all()


# ---- the plain method ----


def test_coordinate_descent_crawls_where_newton_takes_one_step():
    a = 0.01
    A = 2 * np.array([[1 + a, -1], [-1, 1 + a]])
    x0 = np.array([1.0, 2.0])
    found = coordinate_descent(A, np.zeros(2), x0, tol=1e-10)
    assert found.success
    assert found.n_iter > 900
    assert np.abs(found.x).max() < 1e-7
    assert (np.diff(found.history) <= 0).all()
    ten = coordinate_descent(A, np.zeros(2), x0, maxiter=11).x / coordinate_descent(A, np.zeros(2), x0, maxiter=1).x
    np.testing.assert_allclose(ten, (1 + a) ** -20, rtol=1e-6)
    newton = x0 + linalg.newton_direction(A, A @ x0)
    assert np.abs(newton).max() < 1e-12


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("n", [1, 2, 8, 17])
def test_coordinate_descent_is_the_references(n, alpha):
    rng = np.random.default_rng(n)
    factor = rng.normal(size=(n, n + 3))
    A, b = factor @ factor.T, rng.normal(size=n)
    A = (A + A.T) / 2
    for sweeps in (0, 1, 7):
        x = reference.coordinate_descent(A, b, np.ones(n), alpha=alpha, sweeps=sweeps)
        found = coordinate_descent(A, b, np.ones(n), alpha=alpha, maxiter=sweeps, tol=0.0)
        np.testing.assert_allclose(found.x, x, rtol=1e-9, atol=1e-12)
        assert found.fun == pytest.approx(0.5 * x @ A @ x - b @ x + alpha * np.abs(x).sum(), abs=1e-9)


def test_what_is_not_finite_does_not_converge():
    A = np.array([[1.0, 3.0], [3.0, 1.0]])  # not positive definite: it runs away
    found = coordinate_descent(A, np.ones(2), np.array([1.0, 2.0]), maxiter=10**6)
    assert not found.success
    assert found.status == 2
    far = coordinate_descent(np.diag([1e300, 1e300]), np.zeros(2), np.full(2, 1e300))
    assert not far.success
    assert coordinate_descent(np.eye(2), np.zeros(2)).success


# ---- sparse coding ----


def patches(m=200, dtype="float64", size=8):
    datasets = pytest.importorskip("sklearn.datasets")
    data = datasets.load_digits().images[: m // 4, ::1, ::1]
    made = [image[i : i + size, j : j + size] for image in data for i, j in ((0, 0), (4, 0), (0, 4), (4, 4))]
    made = [np.pad(patch, [(0, size - patch.shape[0]), (0, size - patch.shape[1])]).ravel() for patch in made]
    return (np.array(made) / 16).astype(dtype)


def atoms(k, n, dtype="float64", seed=0):
    made = np.random.default_rng(seed).normal(size=(k, n))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(dtype)


@dtypes
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (5, 3, 8), (40, 30, 17), (70, 100, 64)])
def test_codes_are_the_references(m, k, n, dtype):
    X, D = np.random.default_rng(1).normal(size=(m, n)).astype(dtype), atoms(k, n, dtype)
    found = sparse_encode(X, D, 0.2, tol=1e-12 if dtype == "float64" else 1e-8)
    assert found.success, found.message
    assert found.code.dtype == dtype
    assert (found.relative_gap <= 1e-8).all()
    X, D, H = X.astype(float), D.astype(float), found.code.astype(float)
    expected = reference.sparse_encode(X, D, 0.2, sweeps=200)
    J = [reference.sparse_objective(X, codes, D, 0.2) for codes in (H, expected)]
    assert J[0] <= J[1] * (1 + 1e-7)
    if k < 20:  # elsewhere some samples take the reference thousands of sweeps
        np.testing.assert_allclose(H, expected, atol=1e-5)
    objective = 0.5 * ((X - H @ D) ** 2).sum(1) + 0.2 * np.abs(H).sum(1)
    np.testing.assert_allclose(found.objective, objective, rtol=1e-6)
    for i in range(m):
        gap = n * reference.duality_gap(D.T, X[i], H[i], 0.2 / n)
        assert gap <= 1e-6 * (X[i] @ X[i])


def test_no_samples():
    found = sparse_encode(np.zeros((0, 3)), np.eye(3))
    assert found.success
    assert found.code.shape == (0, 3)


def test_codes_are_scikit_learns():
    decomposition = pytest.importorskip("sklearn.decomposition")
    X, D = patches(), atoms(80, 64)
    found = sparse_encode(X, D, 0.1)
    for algorithm in ("lasso_cd", "lasso_lars"):
        theirs = decomposition.sparse_encode(X, D, alpha=0.1, algorithm=algorithm, max_iter=10_000)
        J = [reference.sparse_objective(X, H, D, 0.1) for H in (found.code, theirs)]
        assert J[0] <= J[1] * (1 + 1e-7)
    assert found.success


def test_codes_do_not_depend_on_threads_or_neighbours():
    X, D = patches(400), atoms(70, 64)
    found = [sparse_encode(X, D, 0.05, num_threads=k).code for k in (1, 2, 5)]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    np.testing.assert_array_equal(sparse_encode(np.asfortranarray(X), np.asfortranarray(D), 0.05).code, found[0])


@pytest.mark.parametrize(
    ("dtype", "scale"), [("float64", 1e100), ("float64", 1e-100), ("float32", 1e15), ("float32", 1e-15)]
)
@pytest.mark.parametrize("which", ["atoms", "samples"])
def test_codes_in_any_units(dtype, scale, which):
    X, D = patches(40), atoms(30, 64)
    plain = sparse_encode(X, D, 0.1)
    a, b = (scale, 1.0) if which == "atoms" else (1.0, scale)
    found = sparse_encode((X * b).astype(dtype), (D * a).astype(dtype), 0.1 * a * b)
    assert found.success, found.message
    np.testing.assert_allclose(found.code.astype(float) * (a / b), plain.code, atol=2e-3)


def test_codes_from_a_start():
    X, D = patches(100), atoms(60, 64)
    solved = sparse_encode(X, D, 0.1)
    again = sparse_encode(X, D, 0.1, code0=solved.code)
    assert again.success
    assert again.n_iter.sum() == 0
    np.testing.assert_array_equal(again.code, solved.code)
    wild = sparse_encode(X, np.vstack([D, -D, np.zeros((1, 64))]), 0.1, code0=np.full((100, 121), 0.3))
    assert wild.success, wild.message
    assert not wild.code[:, -1].any()
    np.testing.assert_allclose(wild.objective, solved.objective, rtol=1e-6)
    assert wild.n_iter.max() <= 100


def test_codes_respect_maxiter():
    X, D = patches(40), atoms(60, 64)
    found = sparse_encode(X, D, 0.01, maxiter=1)
    assert found.n_iter.max() == 1
    assert (found.success, found.status) == (False, 1)
    none = sparse_encode(X, D, 0.01, maxiter=0)
    assert not none.code.any()
    assert not none.success


@dtypes
def test_j_never_rises(dtype):
    X = patches(200, dtype)
    found = sparse_code(X, 20, 0.05, maxiter=30)
    assert len(found.history) == 2 * found.n_iter + 1
    assert (np.diff(found.history) <= 0).all()
    assert found.history[-1] < 0.95 * found.history[0]
    assert found.fun == found.history[-1]
    assert found.code.dtype == found.dictionary.dtype == dtype
    code, dictionary = found.code.astype(float), found.dictionary.astype(float)
    assert found.fun == pytest.approx(reference.sparse_objective(X.astype(float), code, dictionary, 0.05), rel=1e-5)
    assert np.linalg.norm(dictionary, axis=1).max() <= 1 + 1e-6


def test_both_subproblems_are_exact():
    X, alpha = patches(160), 0.05
    W0 = atoms(12, 64)
    one = sparse_code(X, 12, alpha, dictionary0=W0, maxiter=1)
    H = reference.sparse_encode(X, W0, alpha, sweeps=400)
    W = reference.update_dictionary(X, H, W0.copy(), passes=500)
    assert one.history[0] == pytest.approx(reference.sparse_objective(X, H, W0, alpha), rel=1e-6)
    assert one.history[1] == pytest.approx(reference.sparse_objective(X, H, W, alpha), rel=1e-6)
    assert one.history[2] <= one.history[1]


def test_j_is_as_low_as_scikit_learns():
    decomposition = pytest.importorskip("sklearn.decomposition")
    X, W0 = patches(160), atoms(15, 64)
    theirs = decomposition.DictionaryLearning(
        15, alpha=0.1, max_iter=20, tol=0.0, fit_algorithm="cd", dict_init=W0, code_init=np.zeros((160, 15)),
        transform_algorithm="lasso_cd", transform_alpha=0.1, transform_max_iter=10_000, random_state=0,
    ).fit(X)  # fmt: skip
    J = reference.sparse_objective(X, theirs.transform(X), theirs.components_, 0.1)
    found = sparse_code(X, 15, 0.1, dictionary0=W0, maxiter=20, tol=0.0)
    assert found.fun <= 1.01 * J


def test_sparse_code_ends():
    X = patches(80)
    found = sparse_code(X, 6, 0.1, tol=1e-4)
    assert found.success
    assert found.n_iter < 1000
    short = sparse_code(X, 6, 0.1, maxiter=2, tol=0.0)
    assert (short.n_iter, short.success, short.status) == (2, False, 1)
    assert sparse_code(X, 6, 0.1, maxiter=0).n_iter == 0
    assert sparse_code(np.zeros((4, 3)), 2).fun == 0
    np.testing.assert_array_equal(sparse_code(X, 6, 0.1, maxiter=3, num_threads=1).code,
                                  sparse_code(X, 6, 0.1, maxiter=3, num_threads=3).code)  # fmt: skip


def test_unused_atoms_are_put_to_use():
    X = patches(80)
    W0 = atoms(8, 64)
    W0[3:] = 0
    found = sparse_code(X, 8, 0.05, dictionary0=W0, maxiter=10)
    assert found.code.any(axis=0).all()
    assert (np.diff(found.history) <= 0).all()


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_sparse_code_in_any_units(scale):
    X = patches(80)
    plain, found = (sparse_code(X * s, 6, 0.1 * s, maxiter=5, tol=0.0) for s in (1.0, scale))
    np.testing.assert_allclose(found.code / scale, plain.code, atol=1e-3)
    np.testing.assert_allclose(found.dictionary, plain.dictionary, atol=1e-3)


# ---- callbacks and interrupts ----

CALLS = {
    "lasso": lambda callback: lasso(*problem(60, 300), 1e-3, callback=callback),
    "sparse_code": lambda callback: sparse_code(patches(80), 6, 0.1, maxiter=5, callback=callback),
    "coordinate_descent": lambda callback: coordinate_descent([[2.0, 1.0], [1.0, 2.0]], [1.0, 5.0], callback=callback),
}


@pytest.mark.parametrize("name", CALLS)
def test_callbacks_see_the_run_and_may_end_it(name):
    seen = []

    def look(intermediate_result):
        seen.append(intermediate_result.fun)

    found = CALLS[name](look)
    assert len(seen) > 1
    assert seen[-1] == found.fun
    points = []

    def stop(x):
        points.append(x)
        if len(points) == 2:
            raise StopIteration

    stopped = CALLS[name](stop)
    assert len(points) == 2
    assert (stopped.status, stopped.success) == (99, False)

    def fail(x):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more") as error:
        CALLS[name](fail)
    assert error.value.result.status == -1


def endless(n=1500):
    """A matrix on which coordinate descent crawls."""
    return 2.000001 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


LONG = {
    "lasso": lambda: partial(elastic_net, *problem(1000, 1600), 1e-7, 1e-3, tol=0.0, maxiter=10**9),
    "sparse_encode": lambda: partial(sparse_encode, np.tile(patches(400), (300, 1)), atoms(256, 64), 1e-3, tol=0.0),
    "sparse_code": lambda: partial(sparse_code, patches(1600), 100, 0.01, tol=0.0, maxiter=10**6),
    "coordinate_descent": lambda: partial(coordinate_descent, endless(), np.ones(1500), tol=0.0, maxiter=10**9),
}


@pytest.mark.parametrize("name", LONG)
def test_an_interrupt_ends_a_long_run(name):
    run = LONG[name]()
    with interrupt_soon(), pytest.raises(KeyboardInterrupt) as error:
        run()
    assert error.value.result.status == -1
    assert not error.value.result.success


# ---- errors ----

X, Y = np.eye(3), np.ones(3)
BAD = np.array([[1.0, np.nan], [0, 1]])

ERRORS = [
    (lambda: lasso(BAD, np.ones(2), 1.0), ValueError, "X has elements that are not finite"),
    (lambda: lasso(BAD[:, ::-1] * np.inf, np.ones(2), 1.0), ValueError, "X has elements that are not finite"),
    (lambda: lasso(X, [1, np.inf, 0], 1.0), ValueError, "y has elements that are not finite"),
    (lambda: lasso(X, Y, 1.0, w0=[0, np.nan, 0]), ValueError, "w0 has elements that are not finite"),
    (lambda: lasso(X, Y, 1.0, w0=[0, np.inf, 0]), ValueError, "w0 has elements that are not finite"),
    (lambda: lasso(X.astype("f"), Y.astype("f"), 1.0, w0=np.full(3, 1e300)), ValueError, "w0 has elements that"),
    (lambda: lasso(X, Y, 1.0, w0=np.ones(2)), ValueError, "w0 has shape (2,), expected (3,)"),
    (lambda: lasso(X, np.ones(4), 1.0), ValueError, "y has shape (4,), expected (3,)"),
    (lambda: lasso(X, np.ones((3, 1)), 1.0), ValueError, "y has shape (3, 1), expected (3,)"),
    (lambda: lasso(Y, Y, 1.0), ValueError, "X has shape (3,), expected (n, p)"),
    (lambda: lasso(np.zeros((0, 3)), [], 1.0), ValueError, "X has shape (0, 3), expected (n, 3) with n at least 1"),
    (lambda: lasso(X.astype(complex), Y, 1.0), TypeError, "X has dtype complex128, expected real numbers"),
    (lambda: lasso([[1, 2], [3]], Y, 1.0), ValueError, "X is [[1, 2], [3]], expected an array of numbers"),
    (lambda: lasso(X, Y, -1.0), ValueError, "alpha must be in [0, inf), got -1.0"),
    (lambda: lasso(X, Y, np.nan), ValueError, "alpha must be in [0, inf), got nan"),
    (lambda: lasso(X, Y, "1"), TypeError, "alpha must be a number in [0, inf), got '1'"),
    (lambda: lasso(X, Y, 1.0, tol=-1), ValueError, "tol must be in [0, inf), got -1"),
    (lambda: lasso(X, Y, 1.0, maxiter=-1), ValueError, "maxiter must be an integer of at least 0, got -1"),
    (lambda: lasso(X, Y, 1.0, maxiter=2.5), TypeError, "maxiter must be an integer of at least 0, got 2.5"),
    (lambda: lasso(X, Y, 1.0, fit_intercept=1), TypeError, "fit_intercept must be True or False, got 1"),
    (lambda: lasso(X, Y, 1.0, num_threads=0), ValueError, "num_threads must be an integer of at least 1"),
    (lambda: lasso(X, Y, 1.0, callback=3), TypeError, "callback is int, expected a function"),
    (lambda: elastic_net(X, Y, 1.0, 1.5), ValueError, "l1_ratio must be in [0, 1], got 1.5"),
    (lambda: coordinate_descent(BAD, np.ones(2)), ValueError, "A has elements that are not finite"),
    (lambda: coordinate_descent(X, [1, np.nan, 0]), ValueError, "b has elements that are not finite"),
    (lambda: coordinate_descent(X, Y, [np.nan, 0, 0]), ValueError, "x0 has elements that are not finite"),
    (lambda: coordinate_descent(X, np.ones(2)), ValueError, "A has shape (3, 3), expected (2, 2)"),
    (lambda: coordinate_descent([[1, 2], [0, 1]], np.ones(2)), ValueError, "A is not symmetric"),
    (lambda: coordinate_descent(np.diag([1.0, 0]), np.ones(2)), ValueError, "A has 0.0 on its diagonal"),
    (lambda: sparse_encode(BAD, np.eye(2)), ValueError, "X has elements that are not finite"),
    (lambda: sparse_encode(np.eye(2), BAD), ValueError, "dictionary has elements that are not finite"),
    (lambda: sparse_encode(X, np.eye(2)), ValueError, "dictionary has shape (2, 2), expected (k, 3)"),
    (lambda: sparse_encode(X, np.zeros((0, 3))), ValueError, "expected (k, 3) with k at least 1"),
    (lambda: sparse_encode(X, X, code0=np.full((3, 3), np.nan)), ValueError, "code0 has elements that are not"),
    (lambda: sparse_encode(Y, X), ValueError, "X has shape (3,), expected (m, n)"),
    (lambda: sparse_code(BAD, 2), ValueError, "X has elements that are not finite"),
    (lambda: sparse_code(X, 0), ValueError, "n_components must be an integer of at least 1"),
    (lambda: sparse_code(X, 2, dictionary0=np.full((2, 3), np.nan)), ValueError, "dictionary0 has elements that"),
    (lambda: sparse_code(X, 2, dictionary0=np.ones((3, 3))), ValueError, "dictionary0 has shape (3, 3), expected"),
    (lambda: sparse_code(X, 2, seed=-1), ValueError, "seed must be an integer of at least 0, got -1"),
    (lambda: sparse_code(X, 2, seed="a"), TypeError, "seed must be an integer of at least 0, got 'a'"),
    (lambda: sparse_code(np.zeros((0, 3)), 2), ValueError, "X has shape (0, 3), expected (m, n)"),
]


@pytest.mark.parametrize(("call", "exception", "message"), ERRORS, ids=[entry[2][:50] for entry in ERRORS])
def test_errors_name_the_argument(call, exception, message):
    with pytest.raises(exception) as error:
        call()
    assert message in str(error.value)


def test_the_public_face():
    assert schuss.coordinate.lasso is lasso
    assert set(schuss.coordinate.__all__) >= {"lasso", "elastic_net", "sparse_encode", "sparse_code"}

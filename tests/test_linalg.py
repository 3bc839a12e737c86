"""The minimisers' kernels by themselves, against the reference and NumPy."""

import numpy as np
import pytest

import schuss
from schuss import _core, linalg, reference

SIZES = [1, 2, 7, 8, 9, 16, 33, 200]
TOLERANCE = {np.dtype("float64"): 1e-11, np.dtype("float32"): 2e-4}

sizes = pytest.mark.parametrize("n", SIZES)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def matrix(n, dtype, *, definite=True, seed=0):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    values = np.linspace(1 if definite else -2, 3.1, n)
    a = (q * values) @ q.T
    return np.ascontiguousarray((a + a.T) / 2, dtype)


def vector(n, dtype, seed=1):
    return np.random.default_rng(seed).normal(size=n).astype(dtype)


def close(a, b):
    scale = max(np.abs(b).max(initial=0), 1e-30)
    np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=TOLERANCE[np.dtype(a.dtype)])


@sizes
@dtypes
def test_bfgs_update_is_the_references(n, dtype):
    h, s = matrix(n, dtype), vector(n, dtype)
    y = matrix(n, dtype, seed=5) @ s
    expected = reference.bfgs_update(h.copy(), s, y)
    assert linalg.bfgs_update(h, s, y) is h
    close(h, expected)
    close(h @ y, s)
    np.testing.assert_array_equal(h, h.T)


@sizes
@dtypes
@pytest.mark.parametrize("curvature", ["regularized", "saddle_free"])
@pytest.mark.parametrize("definite", [True, False], ids=["definite", "indefinite"])
def test_newton_direction_is_the_references(n, dtype, curvature, definite):
    h, g = matrix(n, dtype, definite=definite), vector(n, dtype)
    p = linalg.newton_direction(h, g, curvature=curvature)
    close(p, reference.newton_direction(h, g, curvature=curvature))
    assert p.dtype == np.dtype(dtype)
    assert p @ g < 0
    if definite:
        close(p, -np.linalg.solve(h, g))


@pytest.mark.parametrize(
    ("dtype", "scale"), [("float64", -1e200), ("float64", -1e-320), ("float32", -1e30), ("float32", -1e-44)]
)
def test_newton_direction_descends_at_any_scale(dtype, scale):
    h = (scale * np.array([[1.0, 2, 3], [2, 1, 5], [3, 5, 1]])).astype(dtype)
    g = np.ones(3, dtype)
    p = linalg.newton_direction(h, g)
    assert np.isfinite(p).all()
    assert p @ g < 0


def test_newton_direction_of_a_zero_matrix_descends():
    g = np.array([1.0, -2.0])
    for curvature in ("regularized", "saddle_free"):
        p = linalg.newton_direction(np.zeros((2, 2)), g, curvature=curvature)
        assert np.isfinite(p).all()
        assert p @ g < 0


@sizes
@dtypes
def test_cg_solves_a_system(n, dtype):
    a, b = matrix(n, dtype), vector(n, dtype)
    rtol = 1e-13 if dtype == "float64" else 1e-5
    found = linalg.cg(a, b, rtol=rtol)
    assert found.success
    assert found.iterations <= n + 20
    close(found.x, reference.cg(a, b, rtol=rtol))
    close(found.x, np.linalg.solve(a, b))
    np.testing.assert_array_equal(linalg.cg(lambda p: a @ p, b, rtol=rtol).x.shape, b.shape)
    close(linalg.cg(lambda p: a @ p, b, found.x, rtol=rtol).x, found.x)


def test_cg_stops_where_the_matrix_is_not_positive_definite():
    found = linalg.cg(np.diag([1.0, -1.0]), np.array([1.0, 2.0]))
    assert not found.success
    assert np.isfinite(found.x).all()


@pytest.mark.parametrize(("dtype", "scale"), [("float64", 1e-200), ("float64", 1e200), ("float32", 1e-30)])
def test_cg_solves_at_any_scale(dtype, scale):
    a, b = np.diag(np.array([1, 2, 5], dtype)), np.array([1, -2, 3], dtype)
    expected, found = linalg.cg(a, b, rtol=1e-6), linalg.cg(a, b * np.dtype(dtype).type(scale), rtol=1e-6)
    assert found.success
    assert found.iterations == expected.iterations
    np.testing.assert_allclose(found.x / np.dtype(dtype).type(scale), expected.x, rtol=1e-5)


def test_cg_keeps_in_range_wherever_it_begins():
    far = linalg.cg(np.eye(2, dtype="f"), np.array([1e-30, 2e-30], "f"), np.full(2, 1e10, "f"), maxiter=0)
    np.testing.assert_array_equal(far.x, np.full(2, 1e10, "f"))
    assert far.residual == pytest.approx(2**0.5 * 1e10, rel=1e-6)
    assert not far.success
    steep = linalg.cg(np.diag(np.array([1e30, 2e30], "f")), np.ones(2, "f"), np.ones(2, "f"), rtol=1e-4)
    assert steep.iterations > 0
    assert steep.residual < 1e25  # of 2e30; what remains is the rounding of x, times A


def test_cg_does_not_call_an_overflow_a_success():
    found = linalg.cg(np.diag([1e300, 1e300]), np.ones(2), np.full(2, 1e300))
    assert not found.success
    assert found.residual == np.inf
    assert not linalg.cg(np.full((2, 2), np.nan), np.ones(2)).success


def test_kernels_give_the_same_bits_with_every_number_of_threads():
    n = 1100
    h, s, g = matrix(n, "float64"), vector(n, "float64"), vector(n, "float64", 3)
    y = h @ s
    updated = [linalg.bfgs_update(h.copy(), s, y, num_threads=k) for k in (1, 2, 5)]
    solved = [linalg.cg(h, g, num_threads=k).x for k in (1, 2, 5)]
    for results in (updated, solved):
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)


ROWS = np.eye(2)

ERRORS = [
    (lambda: linalg.bfgs_update(np.eye(3), np.ones(2), np.ones(2)), ValueError, "H has shape (3, 3), expected (2, 2)"),
    (lambda: linalg.bfgs_update(np.eye(2), np.ones(2), np.ones(3)), ValueError, "y has shape (3,), expected (2,)"),
    (lambda: linalg.bfgs_update(np.eye(2), np.ones(2, "f"), np.ones(2)), TypeError, "H has dtype float64, expected"),
    (
        lambda: linalg.bfgs_update(np.eye(2), np.ones(2), -np.ones(2)),
        ValueError,
        "sᵀy is -2.0, expected a positive number, and an update within range",
    ),
    (lambda: linalg.bfgs_update(ROWS, ROWS[0], np.ones(2)), ValueError, "s overlaps H in memory"),
    (lambda: linalg.bfgs_update(np.eye(2, dtype=int), np.ones(2), np.ones(2)), TypeError, "H has dtype int64"),
    (lambda: linalg.newton_direction(np.eye(2) * np.nan, np.ones(2)), ValueError, "H has elements that are not finite"),
    (lambda: linalg.newton_direction(np.eye(2), np.ones(2), curvature="none"), ValueError, "curvature must be one of"),
    (
        lambda: linalg.newton_direction(np.eye(2), np.array([1, np.inf])),
        ValueError,
        "g has elements that are not finite",
    ),
    (lambda: linalg.newton_direction(np.eye(2), np.ones(2), curvature=None), ValueError, "curvature must be one of"),
    (lambda: linalg.newton_direction(np.eye(2), np.ones(2), floor=1.0), ValueError, "floor must be in [0, 1), got 1.0"),
    (lambda: linalg.newton_direction(np.eye(2), np.ones(2), alpha=-1), ValueError, "alpha must be in [0, inf), got -1"),
    (lambda: linalg.cg(np.eye(2), np.ones(2), rtol=-1), ValueError, "rtol must be in [0, inf), got -1"),
    (lambda: linalg.cg(lambda p: np.ones(3), np.ones(2)), ValueError, "A(p) has shape (3,), expected (2,)"),
    (
        lambda: linalg.cg(lambda p: None, np.ones(2)),
        TypeError,
        "A(p) is NoneType of dtype object, expected real numbers",
    ),
    (lambda: linalg.cg(np.eye(2), np.array([1, np.nan])), ValueError, "b has elements that are not finite"),
    (lambda: linalg.cg(np.eye(2), np.ones(2), np.full(2, np.inf)), ValueError, "x0 has elements that are not finite"),
    (lambda: linalg.cg(np.eye(2), np.ones(2), maxiter=-1), ValueError, "maxiter must be an integer of at least 0"),
    (lambda: linalg.cg("A", np.ones(2)), TypeError, "A is str, expected"),
]


@pytest.mark.parametrize(("call", "exception", "message"), ERRORS, ids=range(len(ERRORS)))
def test_errors_name_the_argument(call, exception, message):
    with pytest.raises(exception) as error:
        call()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("s", "y"),
    [
        ([1.0, 0.0], [-1.0, 5.0]),
        ([1.0, 0.0], [np.inf, 1.0]),
        ([1.0, 0.0], [np.nan, 1.0]),
        ([1e308, 0.0], [1e308, 1.0]),
        ([1e-300, 0.0], [1e-300, 1.0]),
        ([1e200, 0.0], [1e-200, 1e-300]),
    ],
)
def test_a_refused_update_changes_nothing(s, y):
    h = np.eye(2)
    with pytest.raises(ValueError, match="expected a positive number"):
        linalg.bfgs_update(h, np.array(s), np.array(y))
    np.testing.assert_array_equal(h, np.eye(2))
    assert schuss.linalg is linalg
    assert list(_core.methods()) == ["gd", "cg", "bfgs", "lbfgs", "newton"]

"""Coordinate descent in NumPy, as the book writes it: one coordinate after the other, each set to its minimiser."""

from typing import Any

import numpy as np

from schuss.reference.phase import Array


def soft(g: Any, alpha: float) -> Any:
    """The soft threshold: what minimises ½(t - g)² + α|t| over t."""
    return np.sign(g) * np.maximum(np.abs(g) - alpha, 0)


def coordinate_descent(A: Array, b: Array, x: Array, *, alpha: float = 0.0, sweeps: int = 1) -> Array:
    """Sweep over ½xᵀAx - bᵀx + α‖x‖₁, in place: Deep Learning, section 8.7.2."""
    for _ in range(sweeps):
        for i in range(len(x)):
            x[i] = soft(b[i] - A[i] @ x + A[i, i] * x[i], alpha) / A[i, i]
    return x


def elastic_net(
    X: Array, y: Array, alpha: float, l1_ratio: float, *, fit_intercept: bool = True, sweeps: int = 1000
) -> tuple[Array, float]:
    """The coefficients and the intercept: Friedman, Hastie and Tibshirani 2010."""
    n, p = X.shape
    x_mean, y_mean = (X.mean(axis=0), y.mean()) if fit_intercept else (np.zeros(p), 0.0)
    X, r = X - x_mean, y - y_mean
    w = np.zeros(p)
    for _ in range(sweeps):
        for j in range(p):
            x = X[:, j]
            if not x.any():
                continue
            r = r + x * w[j]
            w[j] = soft(x @ r / n, alpha * l1_ratio) / (x @ x / n + alpha * (1 - l1_ratio))
            r = r - x * w[j]
    return w, float(y_mean - x_mean @ w)


def lasso(X: Array, y: Array, alpha: float, *, fit_intercept: bool = True, sweeps: int = 1000) -> tuple[Array, float]:
    """The elastic net without its L2 term."""
    return elastic_net(X, y, alpha, 1.0, fit_intercept=fit_intercept, sweeps=sweeps)


def duality_gap(X: Array, y: Array, w: Array, alpha: float, l1_ratio: float = 1.0) -> float:
    """How far (1/2n)‖y - Xw‖² + α·ρ·‖w‖₁ + ½α(1 - ρ)‖w‖² may be above its minimum: Fercoq et al. 2015.

    The dual point is the residual; for the lasso, ρ = 1, it is scaled to be feasible.
    """
    n, l1, l2 = len(y), len(y) * alpha * l1_ratio, len(y) * alpha * (1 - l1_ratio)
    r = y - X @ w
    c = np.abs(X.T @ r)
    primal = 0.5 * r @ r + l1 * np.abs(w).sum() + 0.5 * l2 * w @ w
    theta, conjugate = r, 0.0
    if l2 > 0:
        conjugate = float((np.maximum(c - l1, 0) ** 2).sum() / (2 * l2))
    elif c.max(initial=0) > l1:
        theta = r * (l1 / c.max())
    return float((primal - (theta @ y - 0.5 * theta @ theta - conjugate)) / n)


def sparse_encode(X: Array, dictionary: Array, alpha: float, *, sweeps: int = 1000) -> Array:
    """The codes: a lasso for each sample, on the Gram matrix of the atoms, all samples at once."""
    A, B = dictionary @ dictionary.T, X @ dictionary.T
    H = np.zeros_like(B)
    for _ in range(sweeps):
        for k in np.flatnonzero(A.diagonal()):
            H[:, k] = soft(B[:, k] - H @ A[k] + A[k, k] * H[:, k], alpha) / A[k, k]
    return H


def sparse_objective(X: Array, H: Array, W: Array, alpha: float) -> float:
    """J(H, W) = 2α·Σ|H| + Σ(X - HW)²; with α = ½ Deep Learning, equation 8.38."""
    return float(2 * alpha * np.abs(H).sum() + ((X - H @ W) ** 2).sum())


def update_dictionary(X: Array, H: Array, W: Array, *, passes: int = 100) -> Array:
    """Minimise Σ(X - HW)² over rows of W of length 1 at most, in place: Mairal et al. 2010, algorithm 2."""
    A, B = H.T @ H, H.T @ X
    for _ in range(passes):
        for k in np.flatnonzero(A.diagonal()):
            w = W[k] + (B[k] - A[k] @ W) / A[k, k]
            W[k] = w / max(1.0, float(np.linalg.norm(w)))
    return W

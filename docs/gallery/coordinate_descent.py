"""Coordinate descent

Left: f = (x₁ - x₂)² + a(x₁² + x₂²) with a = {a}. One coordinate at a time cannot go along the valley: it takes {sweeps}
sweeps, of which {shown} are drawn, where Newton's method takes one step. Right: where coordinates are nearly
independent it is at its best. Sparse coding of {patches} patches of the digits, 4 × 4 pixels, with {atoms} atoms
alternates between codes and dictionary, each an exact minimum, so that J never rises: from {first:.3g} to {last:.3g} in
{rounds} rounds.

`schuss.coordinate`; Deep Learning, section 8.7.2.
"""

import numpy as np
from study import Facts, Figure, digits, label, panels

import schuss
from schuss import coordinate

SMALL = {"a": 0.05, "shown": 15, "patches": 100, "atoms": 8, "rounds": 10}
FULL = {"a": 0.02, "shown": 30, "patches": 1000, "atoms": 24, "rounds": 30}
START = (2.0, 0.5)


def draw(small: bool) -> tuple[Figure, Facts]:
    """The path, and the fall of J."""
    facts: Facts = dict(SMALL if small else FULL)
    a = facts["a"]
    matrix = 2 * np.array([[1 + a, -1], [-1, 1 + a]])
    found = coordinate.coordinate_descent(matrix, np.zeros(2), START)
    newton = np.array(START) + schuss.linalg.newton_direction(matrix, matrix @ START)
    facts |= {"sweeps": found.n_iter, "newton": float(np.linalg.norm(newton))}
    figure, (plane, objective) = panels(2)
    x, y = np.meshgrid(np.linspace(-0.5, 2.3, 60), np.linspace(-0.5, 2.3, 60))
    plane.contour(x, y, np.sqrt((x - y) ** 2 + a * (x**2 + y**2)), 8, colors="0.8", linewidths=0.8)
    plane.plot(*_path(a, int(facts["shown"])).T, ".-", markersize=3, linewidth=1, label="coordinate descent")
    plane.plot(*np.array([START, newton]).T, "o--", markersize=4, linewidth=1, label="Newton")
    label(plane, "x₁", "x₂")
    patches = _patches(int(facts["patches"]))
    coded = coordinate.sparse_code(patches, int(facts["atoms"]), maxiter=int(facts["rounds"]), num_threads=1)
    history = np.array(coded.history)
    facts |= {"rounds": coded.n_iter, "first": history[0], "last": history[-1]}
    facts["rises"] = int(np.sum(np.diff(history) > 1e-12 * history[0]))
    objective.plot(np.linspace(0, coded.n_iter, len(history)), history, ".-")  # codes, then dictionary
    label(objective, "round", "J")
    return figure, facts


def _path(a: float, sweeps: int) -> np.ndarray:
    """The points of the first sweeps, coordinate by coordinate: each is brought to the other one over 1 + a."""
    path = [np.array(START)]
    for step in range(2 * sweeps):
        x = path[-1].copy()
        x[step % 2] = x[1 - step % 2] / (1 + a)
        path.append(x)
    return np.array(path)


def _patches(count: int) -> np.ndarray:
    """The middle of each of so many digits, without its mean."""
    images = digits().training.x[:count].reshape(-1, 8, 8)[:, 2:6, 2:6].reshape(-1, 16).astype(np.float64)
    return images - images.mean(axis=1, keepdims=True)


def holds(facts: Facts) -> bool:
    """It crawls where Newton's method takes a step, and J never rises."""
    return facts["sweeps"] > 50 and facts["newton"] < 1e-9 and facts["rises"] == 0 and facts["last"] < facts["first"]

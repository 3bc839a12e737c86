"""Coordinate descent: the lasso, the elastic net, sparse coding, and the plain method on a quadratic function."""

from schuss.coordinate.linear import elastic_net, lasso
from schuss.coordinate.quadratic import coordinate_descent
from schuss.coordinate.result import CoordinateResult
from schuss.coordinate.sparse import sparse_code, sparse_encode

__all__ = [
    "CoordinateResult",
    "coordinate_descent",
    "elastic_net",
    "lasso",
    "sparse_code",
    "sparse_encode",
]

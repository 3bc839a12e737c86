"""The distributed minimisers: against the compiled ones, for every number of ranks the same bits, errors on all."""

import sys

import harness
import numpy as np
from harness import comm, example, raises

import schuss
from schuss.distributed import minimize, share

LAST = comm.size - 1
ODD = comm.rank == LAST

CASES = [
    *(("lbfgs", {"memory": memory}) for memory in (0, 1, 10)),
    *(("cg", {"beta": beta}) for beta in ("pr", "fr", "hs", "dy", "hz")),
    ("cg", {"restart": 3, "powell": 0.2}),
    ("gd", {"line_search": "backtracking"}),
    ("gd", {"line_search": "exact", "first_step": 1e-3}),
]


def rosenbrock(x):
    """Of pairs of unknowns: its terms, and its gradient."""
    a, b, g = x[1::2] - x[::2] ** 2, 1 - x[::2], np.empty_like(x)
    g[::2], g[1::2] = -400 * a * x[::2] - 2 * b, 200 * a
    return 100 * a * a + b * b, g


def start(n, dtype=np.float64):
    return np.tile(np.array([-1.2, 1.0], dtype), n // 2)


def check_the_iterates_are_those_of_the_compiled_solvers():
    n = 4098
    for method, options in CASES[:: max(1, comm.size - 1)]:  # all on two ranks
        res = minimize(rosenbrock, start(n)[share(n, comm)], comm=comm, method=method, maxiter=6, **options)
        alone = schuss.minimize(
            lambda x: (lambda f, g: (float(np.sum(f)), g))(*rosenbrock(x)),
            start(n),
            jac=True,
            method=method,
            maxiter=6,
            **options,
        )
        assert (res.nit, res.nfev, res.status) == (alone.nit, alone.nfev, alone.status), (method, options, res, alone)
        np.testing.assert_allclose(np.concatenate(comm.allgather(res.x)), alone.x, rtol=1e-6)
        np.testing.assert_allclose(res.fun, alone.fun, rtol=1e-6)


def check_every_number_of_ranks_gives_the_same_bits():
    n = 10_002
    for dtype in (np.float32, np.float64):
        for method in ("lbfgs", "cg"):
            found = []
            for ranks in range(1, comm.size + 1):
                some = comm.Split(comm.rank < ranks)
                if comm.rank < ranks:
                    x0 = start(n, dtype)[share(n, some)]
                    res = minimize(rosenbrock, x0, comm=some, method=method, maxiter=10)
                    assert res.x.dtype == dtype
                    found.append((res.fun, res.nfev, np.concatenate(some.allgather(res.x))))
                some.Free()
            for f, nfev, x in found[1:]:
                assert (f, nfev) == found[0][:2]
                np.testing.assert_array_equal(x, found[0][2])


def check_it_converges_and_ranks_may_have_nothing():
    for x0 in (start(6) if comm.rank == 0 else np.empty(0), start(6)[: 2 * (comm.rank == LAST)]):
        res = minimize(rosenbrock, x0, comm=comm)
        assert (res.success, res.status) == (True, 0)
        np.testing.assert_allclose(res.x, 1, rtol=1e-4)
        assert comm.allgather(res.fun) == [res.fun] * comm.size


def check_limits_and_endings():
    x0 = start(4) if ODD else np.empty(0)
    assert minimize(rosenbrock, x0, comm=comm, maxiter=3).status == 1
    limited = minimize(rosenbrock, x0, comm=comm, maxfun=7)
    assert (limited.status, limited.nfev) == (4, 7)
    assert minimize(lambda x: (np.nan, x), x0, comm=comm).status == 3
    assert minimize(lambda x: (x @ x, -2 * x), x0, comm=comm).status == 6
    noisy = minimize(lambda x: (1e9 + (x @ x if len(x) else 0.0), 2 * x), x0, comm=comm, gtol=0.0)
    assert noisy.status in (0, 2)
    np.testing.assert_allclose(noisy.x, 0, atol=1e-6)
    with np.errstate(all="ignore"):
        barrier = minimize(lambda x: (np.sum(x - np.log(x)), 1 - 1 / x), np.full(3 * ODD, 8.0), comm=comm)
    np.testing.assert_allclose(barrier.x, 1, rtol=1e-4)


def check_what_is_raised_on_one_rank_is_raised_on_all():
    def fails(kind, after=3):
        calls = []

        def fun(x):
            calls.append(None)
            if ODD and len(calls) > after:
                raise kind("no more")
            return rosenbrock(x)

        return fun

    text = "no more" if ODD else f"on rank {LAST}: no more"
    assert raises(ValueError, lambda: minimize(fails(ValueError), start(4), comm=comm)) == text
    kind = OSError if ODD else RuntimeError
    assert raises(kind, lambda: minimize(fails(OSError), start(4), comm=comm)) == text
    for wrong, error, message in [
        (lambda x: (0.0, x[1:]), ValueError, "g has shape (3,), expected (4,) like x"),
        (lambda x: 0.0, TypeError, "fun returned float, expected a pair (f, g)"),
        (lambda x: ("zero", x), TypeError, "f has dtype <U4, expected real numbers"),
    ]:
        fun = wrong if ODD else rosenbrock
        assert raises(error, lambda fun=fun: minimize(fun, start(4), comm=comm)).endswith(message)


def check_wrong_arguments():
    for options, error, message in [
        ({"method": "bfgs"}, ValueError, "method must be one of 'gd', 'cg', 'lbfgs', got 'bfgs'"),
        ({"gtol": -1.0}, ValueError, "gtol must be in [0, inf), got -1.0"),
        ({"memory": -1}, ValueError, "memory must be an integer of at least 0, got -1"),
        ({"norm": 2}, TypeError, "unknown option 'norm' of lbfgs"),
    ]:
        chosen = options if ODD else {}
        assert message in raises(error, lambda chosen=chosen: minimize(rosenbrock, start(4), comm=comm, **chosen))
    assert "fun is int" in raises(TypeError, lambda: minimize(1 if ODD else rosenbrock, start(4), comm=comm))
    assert "comm is NoneType" in raises(TypeError, lambda: minimize(rosenbrock, start(4), comm=None))
    assert "n must be an integer" in raises(TypeError, lambda: share(2.0, comm))
    assert "n must be an integer" in raises(ValueError, lambda: share(-1, comm))
    if comm.size > 1:
        message = raises(ValueError, lambda: minimize(rosenbrock, start(4), comm=comm, maxiter=10 + ODD))
        assert message == f"maxiter is not alike on ranks 0 and {LAST}, expected the same on every rank"


def check_shares_cover_everything():
    for n in (0, 1, 4096, 10_000, 99_999):
        shares = comm.allgather(share(n, comm))
        assert [s.start for s in shares] + [n] == [0] + [s.stop for s in shares]
        assert max(s.stop - s.start for s in shares) <= n / comm.size + 4096


def check_the_example_runs():
    assert example(minimize)["res"].success


if __name__ == "__main__":
    harness.run(sys.modules["__main__"].__dict__)

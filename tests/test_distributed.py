"""Several processes: the scripts in `mpi/` on 1, 2, 3 and 4 ranks, and what does not need any."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import schuss
from schuss.distributed.pieces import GRAIN, buckets, cut

SCRIPTS = sorted(path.stem for path in (Path(__file__).parent / "mpi").glob("*.py") if path.stem != "harness")

MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

needs_mpi = [
    pytest.mark.skipif(find_spec("mpi4py") is None, reason="mpi4py is not installed"),
    pytest.mark.skipif(MPIEXEC is None, reason="there is no mpiexec"),
]


def mpi(ranks, *command):
    """Python on so many ranks, with one thread each: they share the processors."""
    command = [MPIEXEC, "-n", str(ranks), sys.executable, "-W", "error", *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("script", [pytest.param(script, marks=needs_mpi) for script in SCRIPTS])
def test_on_several_ranks(script, ranks):
    path = Path(__file__).parent / "mpi" / f"{script}.py"
    result = mpi(ranks, str(path))
    assert result.returncode == 0, result.stdout + result.stderr
    checks = path.read_text().count("\ndef check_")
    assert checks == result.stdout.count(" passed ") > 0, result.stdout + result.stderr


def test_what_is_no_communicator_is_refused_without_mpi4py():
    code = "import schuss, sys; schuss.distributed.ZeroOptimizer(schuss.Adam([]), 'world')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "TypeError: comm is str, expected a communicator of mpi4py (mpi4py.MPI.Intracomm)" in result.stderr


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
@pytest.mark.parametrize(
    "sizes", [[], [0], [1], [5, 0, 3], [16_000], [4800, 0, 80_000, 7, 4096, 1], [4096] * 9], ids=str
)
def test_parts_are_of_nearly_one_length_and_whole_grains(sizes, count):
    parts = cut(sizes, count)
    assert len(parts) == count
    covered = [np.zeros(size, int) for size in sizes]
    for piece in (piece for part in parts for piece in part):
        piece.of(covered[piece.param])[...] += 1
        assert piece.stop > piece.start
        assert piece.start % GRAIN == 0
    assert all((array == 1).all() for array in covered)
    for part in parts:
        assert abs(sum(piece.stop - piece.start for piece in part) - sum(sizes) / count) <= GRAIN


@pytest.mark.parametrize("ranks", [2, 3])
def test_buckets_hold_every_element_once_and_large_parameters_need_no_packing(ranks):
    sizes = {7: 200_000, 1: 0, 4: 3000, 2: 5, 9: 13_000}
    made = buckets(sizes, ranks, 40_000)
    covered = {param: np.zeros(size, int) for param, size in sizes.items()}
    for bucket in made:
        assert len(bucket.parts) == ranks
        lengths = [sum(piece.stop - piece.start for piece in part) for part in bucket.parts]
        assert max(lengths) == bucket.block <= 40_000 / ranks + GRAIN
        assert not bucket.row or lengths == [bucket.block] * ranks
        for piece in (piece for part in bucket.parts for piece in part):
            assert piece.start % GRAIN == 0
            piece.of(covered[piece.param])[...] += 1
    assert all((array == 1).all() for array in covered.values())
    assert {bucket.row.param for bucket in made if bucket.row} == {7, 9}
    packed = sum(sizes[param] for param in (4, 2)) + 2 * ranks * GRAIN
    assert sum(sum(p.stop - p.start for part in b.parts for p in part) for b in made if not b.row) < packed


def test_one_rank_has_whole_parameters():
    assert [bucket.parts for bucket in buckets({3: 70_000, 4: 0, 9: 5}, 1, 4000)] == [
        [[(3, 0, 70_000)]],
        [[(9, 0, 5)]],
    ]


def test_schuss_distributed_is_there_without_an_import_of_its_own():
    assert schuss.distributed.ZeroOptimizer.__module__ == "schuss.distributed.zero"

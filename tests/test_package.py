"""The package as it is installed: levels, typing, docstrings, what an import costs."""

import doctest
import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from importlib import metadata, resources

import pytest

import schuss
from schuss import _core
from schuss.minimizers.arguments import COMMON, OWN

V2, V3 = "x86-64-v2", "x86-64-v3"

LEVEL_CASES = [
    (None, [V2, V3], [V2, V3], V3),
    (None, [V2, V3], [V2], V2),
    ("", [V2, V3], [V2, V3], V3),
    (V2, [V2, V3], [V2, V3], V2),
    (None, ["baseline"], ["baseline"], "baseline"),
]


@pytest.mark.parametrize(("forced", "built", "runs", "expected"), LEVEL_CASES)
def test_the_level_is_the_highest_that_runs_or_the_forced_one(forced, built, runs, expected):
    level, why = _core.choose_level(forced, built, runs)
    assert level == expected
    assert why == "forced by SCHUSS_ISA" if forced else f"the highest of {', '.join(built)}" in why


@pytest.mark.parametrize(
    ("forced", "built", "runs", "message"),
    [
        (
            "x86-64-v9",
            [V2, V3],
            [V2, V3],
            "SCHUSS_ISA='x86-64-v9' is no level of this build, expected one of x86-64-v2",
        ),
        (V3, [V2, V3], [V2], "SCHUSS_ISA='x86-64-v3' does not run on this machine, which has x86-64-v2"),
        (None, [V2, V3], [], "this processor runs none of the levels of this build: x86-64-v2, x86-64-v3"),
    ],
)
def test_a_level_that_cannot_be_had_is_refused(forced, built, runs, message):
    with pytest.raises(ImportError, match=message):
        _core.choose_level(forced, built, runs)


def python(code: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("level", _core.levels_here)
def test_schuss_isa_forces_a_level(level):
    result = python("from schuss import _core; print(_core.level, _core.level_reason)", SCHUSS_ISA=level)
    assert result.stdout.strip() == f"{level} forced by SCHUSS_ISA"


def test_an_unknown_schuss_isa_is_refused_at_import():
    result = python("import schuss", SCHUSS_ISA="avx9000")
    assert result.returncode == 1
    assert "ImportError: SCHUSS_ISA='avx9000' is no level of this build" in result.stderr


def test_importing_schuss_imports_no_optional_package():
    code = "import sys, schuss, schuss.cli; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    imported = set(python(code).stdout.split())
    assert "numpy" in imported
    assert not imported & {"torch", "sklearn", "rich", "matplotlib", "scipy", "safetensors", "threadpoolctl", "mpi4py"}


def test_the_version_is_the_installed_distributions():
    assert schuss.__version__ == _core.version
    try:
        assert schuss.__version__ == metadata.version("schuss")
    except metadata.PackageNotFoundError:
        pytest.skip("schuss is imported from its sources, not installed")


def test_the_package_is_typed_and_its_stubs_are_right():
    assert resources.files(schuss).joinpath("py.typed").is_file()
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy.stubtest", "schuss._isa"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


MODULES = ["schuss", *(m.name for m in pkgutil.walk_packages(schuss.__path__, "schuss.") if "._" not in m.name)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    if name.startswith("schuss.torch"):
        pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


PUBLIC = [getattr(schuss, name) for name in schuss.__all__ if callable(getattr(schuss, name))]


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_every_public_docstring_is_whole(thing):
    text = inspect.getdoc(thing) or ""
    if thing in (schuss.Optimizer, schuss.Minimizer, schuss.MinimizeResult):
        required = []
    elif inspect.isclass(thing):
        arguments = set(inspect.signature(thing).parameters) - {"options"}
        if issubclass(thing, schuss.Minimizer):
            arguments |= {*COMMON, *OWN[thing.method], "num_threads"}
        else:
            arguments |= {"State:"} | ({"params", "lr"} if issubclass(thing, schuss.Optimizer) else set())
        required = ["Formula", "Source:", "Args", "Example:", "Raises:", *arguments]
    else:
        required = [name for name in inspect.signature(thing).parameters if not inspect.isclass(thing)]
        required += ["Example:"]
    assert len(text.splitlines()[0]) > 20
    assert not [word for word in required if word not in text]


PARTS = (schuss.continuation, schuss.data, schuss.diagnostics, schuss.examples, schuss.init, schuss.schedules)

PARTS_PUBLIC = [(part, name) for part in PARTS for name in part.__all__ if callable(getattr(part, name))]

BASES = (schuss.continuation.Blurrable, schuss.schedules.Schedule)


@pytest.mark.parametrize(("part", "name"), PARTS_PUBLIC, ids=[f"{p.__name__}.{name}" for p, name in PARTS_PUBLIC])
def test_every_public_docstring_of_a_part_is_whole(part, name):
    thing = getattr(part, name)
    text = inspect.getdoc(thing) or ""
    required = [] if thing in BASES else [name for name in inspect.signature(thing).parameters if name != "options"]
    if thing not in BASES and "Attributes:" not in text:  # a result has attributes, and nobody makes one
        required += ["Args", "Raises:", "Example:"]
        required += ["Formula", "Source:", "State:"] if inspect.isclass(thing) else []
    assert len(text.splitlines()[0]) > 20
    assert not [word for word in required if word not in text]


def test_the_parts_are_reached_from_the_package():
    assert {part.__name__.removeprefix("schuss.") for part in PARTS} <= set(schuss.__all__)

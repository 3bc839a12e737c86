"""The command line as a user meets it: options, outputs, exit statuses, Ctrl-C and resumption."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

import schuss
from schuss.cli import main
from schuss.streams import Purpose, stream
from schuss.training import checkpoint
from schuss.training.command import EXTRA
from schuss.training.recipes import RECIPES

needs_extra = pytest.mark.skipif(
    any(importlib.util.find_spec(module) is None for module in EXTRA), reason="needs schuss[train]"
)

SMALL = ["train", "--hidden", "16", "--batch-size", "64"]


def start(*argv: str, **environment: str) -> subprocess.Popen:
    """The command in a process of its own, in which SIGINT means what it means to a program in a terminal."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from schuss.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-W", "error", "-c", code, *map(str, argv)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env={**os.environ, **environment}, **pipes)


def run(*argv: str, **environment: str) -> tuple[int, str, str]:
    process = start(*argv, **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def metrics(folder) -> dict:
    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads((folder / "metrics.json").read_text(), parse_constant=refuse)


def comparable(path) -> tuple:
    """All that a checkpoint holds to the last bit, but for the time it took."""
    arrays, facts = checkpoint.load(path)
    tensors = {f"{part}.{name}": a.tobytes() for part, named in arrays.items() for name, a in named.items()}
    return tensors, {name: value for name, value in facts.items() if name != "seconds"}


# ---- every command ----


def test_version(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--version"])
    assert exit.value.code == 0
    assert capsys.readouterr().out == f"schuss {schuss.__version__}\n"


def test_info(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("schuss", "NumPy", "instruction set", "threads", "OpenMP"))
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["schuss"] == schuss.__version__
    reasons = ("instruction_set", "instruction_set_reason", "num_threads", "num_threads_reason", "openmp_runtime")
    assert all(facts[name] for name in reasons)


def test_info_imports_no_optional_package():
    code = (
        "import sys; from schuss.cli import main; main(['info']); "
        "print(*{'sklearn', 'rich', 'matplotlib', 'safetensors', 'threadpoolctl'} & sys.modules.keys())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout.splitlines()[-1] == ""


def test_a_reader_that_leaves_early_is_no_error():
    with start("info") as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_bench_gets_its_arguments_as_they_are(monkeypatch):
    seen = []
    benchmark = types.SimpleNamespace(main=lambda argv: seen.append(argv) or 7)
    monkeypatch.setitem(sys.modules, "schuss.benchmark", benchmark)
    monkeypatch.setattr(schuss, "benchmark", benchmark, raising=False)
    assert main(["bench", "--help", "x", "--", "-y"]) == 7
    assert seen == [["--help", "x", "--", "-y"]]


# ---- options ----

WRONG = [
    ([], "required: command"),
    (["ski"], "invalid choice: 'ski'"),
    (["train", "--optimizer", "adam,sdg"], "argument --optimizer: must be all or of sgd, momentum, .*, got 'sdg'"),
    (["train", "--optimizer", ""], "argument --optimizer: .* got ''"),
    (["train", "--epochs", "0"], "argument --epochs: must be an integer of at least 1, got '0'"),
    (["train", "--epochs", "ten"], "argument --epochs: must be an integer of at least 1, got 'ten'"),
    (["train", "--batch-size", "-1"], "argument --batch-size: must be an integer of at least 1, got '-1'"),
    (["train", "--patience", "1.5"], "argument --patience: must be an integer of at least 1, got '1.5'"),
    (["train", "--threads", "0"], "argument --threads: must be an integer of at least 1, got '0'"),
    (["train", "--hidden", "128,"], "argument --hidden: must be an integer of at least 1, got ''"),
    (["train", "--seed", "-1"], "argument --seed: must be an integer of at least 0, got '-1'"),
    (["train", "--lr", "0"], "argument --lr: must be a positive number, got '0'"),
    (["train", "--lr", "nan"], "argument --lr: must be a positive number, got 'nan'"),
    (["train", "--lr", "fast"], "argument --lr: must be a positive number, got 'fast'"),
    (["train", "--dtype", "float16"], "argument --dtype: invalid choice: 'float16'"),
]


@pytest.mark.parametrize(("argv", "message"), WRONG, ids=lambda value: " ".join(value) or "nothing")
def test_wrong_options_are_refused_before_any_work(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit:
        main(argv)
    assert exit.value.code == 2
    assert re.search(message, capsys.readouterr().err.splitlines()[-1])
    assert not list(tmp_path.iterdir())


def test_batch_normalization_needs_minibatches(capsys, tmp_path):
    assert main(["train", "--batch-norm", "--batch-size", "1", "--out", str(tmp_path / "run")]) == 2
    assert "--batch-norm needs a --batch-size of at least 2, got 1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", EXTRA)
def test_a_missing_extra_is_named_in_one_line(module, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in EXTRA:
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(__spec__="present"))
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["train"]) == 2
    assert capsys.readouterr().err == f"schuss train: error: {EXTRA[module]} is missing: pip install 'schuss[train]'\n"
    assert not list(tmp_path.iterdir())


# ---- schuss train ----


@needs_extra
def test_train_compares_all_optimizers(tmp_path):
    status, out, err = run("train", "--optimizer", "all", "--epochs", "8", "--hidden", "64", "--out", tmp_path)
    assert (status, err) == (0, "")
    assert "\x1b" not in out
    results = metrics(tmp_path)
    assert list(results) == list(RECIPES)
    for optimizer, result in results.items():
        assert re.search(rf"^{optimizer} .* 8 .*{result['test_accuracy']:.2%}.*finished", out, re.MULTILINE)
        assert result["test_accuracy"] >= 0.9
        assert {len(curve) for curve in result["history"].values()} == {8} == {result["epochs"]}
        assert result["best_validation_loss"] == min(result["history"]["validation_loss"])
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"metrics.json", "curves.png", *(f"{optimizer}.safetensors" for optimizer in RECIPES)}


@needs_extra
def test_the_table_has_the_lowest_validation_loss_first(tmp_path, capsys):
    assert (
        main([*SMALL, "--optimizer", "adagrad,AdaDelta,rmsprop_nesterov", "--epochs", "2", "--out", str(tmp_path)]) == 0
    )
    lines = capsys.readouterr().out.splitlines()[-4:-1]
    losses = {optimizer: result["best_validation_loss"] for optimizer, result in metrics(tmp_path).items()}
    assert [line.split()[0] for line in lines] == sorted(losses, key=losses.get)


@needs_extra
@pytest.mark.parametrize("optimizer", ["adam", "nesterov"])
@pytest.mark.parametrize("more", [["--dtype", "float32"], ["--dtype", "float64"], ["--batch-norm"]], ids=" ".join)
def test_resume_continues_bit_for_bit(optimizer, more, tmp_path):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train = [*SMALL, "--optimizer", optimizer, "--seed", "3", *more]
    assert main([*train, "--epochs", "6", "--out", str(whole)]) == 0
    assert main([*train, "--epochs", "2", "--out", str(halves)]) == 0
    assert main([*train, "--epochs", "6", "--out", str(halves), "--resume", "--threads", "2"]) == 0
    name = f"{optimizer}.safetensors"
    assert comparable(whole / name) == comparable(halves / name)
    results = [metrics(folder)[optimizer] for folder in (whole, halves)]
    assert len({json.dumps({**result, "seconds": 0}) for result in results}) == 1


@needs_extra
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_run_stopped_at_any_time_can_be_resumed(stop, tmp_path):
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    train = [*SMALL, "--optimizer", "sgd,adam", "--patience", "1000000"]
    process = start(*train, "--epochs", "1000000", "--out", stopped)
    wait_for_epoch(2, stopped / "sgd.safetensors", process)
    process.send_signal(stop)
    out, err = process.communicate(timeout=120)
    epochs = len(comparable(stopped / "sgd.safetensors")[1]["history"]["training_loss"])
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert err == (
            f"schuss train: interrupted; to continue: schuss {' '.join(train)} "
            f"--epochs 1000000 --out {stopped} --resume\n"
        )
        assert re.search(rf"^sgd .* {epochs} .*interrupted", out, re.MULTILINE)
        results = metrics(stopped)
        assert list(results) == ["sgd"]
        assert results["sgd"]["epochs"] == epochs
        assert 0 < results["sgd"]["test_accuracy"] <= 1
    more = ["--epochs", str(epochs + 2)]
    assert main([*train, *more, "--out", str(stopped), "--resume"]) == 0
    assert main([*train, *more, "--out", str(whole)]) == 0
    for name in ("sgd.safetensors", "adam.safetensors"):
        assert comparable(stopped / name) == comparable(whole / name)


def wait_for_epoch(epoch: int, path, process: subprocess.Popen) -> None:
    for _ in range(10_000):
        assert process.poll() is None, process.communicate()
        if path.exists() and len(checkpoint.load(path)[1]["history"]["training_loss"]) >= epoch:
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} has not come to epoch {epoch}")


def test_an_interrupt_outside_the_training_is_told_in_one_line(capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("schuss.training.command.train", interrupt)
    assert main(["train"]) == 130
    assert capsys.readouterr().err == "schuss: interrupted\n"


OTHERS = [
    (["--seed", "1"], "was made with --seed 0, got 1"),
    (["--lr", "0.5"], "was made with --lr 0.001, got 0.5"),
    (["--hidden", "8,8"], "was made with --hidden 16, got 8,8"),
    (["--dtype", "float64"], "was made with --dtype float32, got float64"),
    (["--batch-size", "5"], "was made with --batch-size 64, got 5"),
    (["--patience", "3"], "was made with --patience 10, got 3"),
    (["--epochs", "1"], "has 2 epochs already, got --epochs 1"),
    (["--optimizer", "adam,sgd"], "there is no .*sgd.safetensors"),
    (["--out", "nowhere"], "there is no nowhere/adam.safetensors"),
]


@needs_extra
def test_resume_refuses_what_does_not_fit(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = [*SMALL, "--epochs", "2", "--out", "run"]
    assert main(train) == 0
    before = comparable(tmp_path / "run" / "adam.safetensors")
    for options, message in OTHERS:
        capsys.readouterr()
        assert main([*train, *options, "--resume"]) == 2
        err = capsys.readouterr().err
        assert re.fullmatch(f"schuss train: error: cannot resume: .*{message}\n", err)
    assert comparable(tmp_path / "run" / "adam.safetensors") == before
    path = tmp_path / "run" / "adam.safetensors"
    arrays, facts = checkpoint.load(path)
    checkpoint.save(path, {**arrays, "optimizer": {}}, facts)
    assert main([*train, "--resume"]) == 2
    assert "adam.safetensors is damaged" in capsys.readouterr().err
    path.write_bytes(b"damaged")
    assert main([*train, "--resume"]) == 2
    assert "adam.safetensors cannot be read" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@needs_extra
def test_divergence_stops_one_optimizer_and_not_the_others(tmp_path):
    argv = [*SMALL, "--optimizer", "sgd,adam", "--lr", "1e10", "--epochs", "2", "--out", tmp_path]
    for resumption in ([], ["--resume"]):
        status, out, err = run(*argv, *resumption)
        assert (status, err) == (1, "schuss train: sgd diverged at epoch 1: a smaller --lr may help\n")
        assert re.search(r"^sgd .* 0 .*diverged at epoch 1 *$", out, re.MULTILINE)
        results = metrics(tmp_path)
        assert results["sgd"]["test_accuracy"] is None
        assert results["adam"]["outcome"] == "finished"


@needs_extra
def test_a_folder_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["train", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.startswith(f"schuss train: error: cannot write to --out {tmp_path / 'file'}: ")


@needs_extra
def test_a_terminal_gets_a_progress_bar(tmp_path):
    import pty

    terminal, end = pty.openpty()
    code = f"from schuss.cli import main; main({[*SMALL, '--epochs', '3', '--out', str(tmp_path)]})"
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=end, env=environment)
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):  # which is how Linux says that the other end is closed
        while chunk := os.read(terminal, 4096):
            shown += chunk
    os.close(terminal)
    assert process.wait(timeout=120) == 0
    assert b"adam" in shown
    assert b"3/3" in shown


# ---- schuss train --full-batch ----


@needs_extra
def test_the_minimisers_reach_scikit_learns_optimum(tmp_path):
    from sklearn.linear_model import LogisticRegression

    from schuss.training import full_batch

    methods = ["lbfgs", "cg", "bfgs", "newton"]
    status, out, err = run("train", "--optimizer", ",".join(methods), "--full-batch", "--out", tmp_path)
    assert status == 0, err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == methods
    training, _ = full_batch.load_breast_cancer(stream(0, Purpose.SPLIT))
    model = LogisticRegression(solver="newton-cholesky", tol=1e-13, max_iter=1000).fit(training.x, training.y)
    expected = np.append(model.coef_, model.intercept_)
    least = full_batch.LogisticRegression(training)(expected)[0]
    for name, result in metrics.items():
        assert name in out
        assert result["converged"], name
        assert result["test_accuracy"] > 0.93
        assert abs(result["loss"] - least) <= 1e-8
        np.testing.assert_allclose(result["weights"], expected, atol=1e-8)


@needs_extra
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--optimizer", "adam", "--full-batch"],
            "--full-batch takes --optimizer of lbfgs, cg, bfgs, newton, gd, got adam",
        ),
        (["--optimizer", "lbfgs"], "--optimizer lbfgs needs --full-batch"),
        (["--optimizer", "lbfgs", "--full-batch", "--resume"], "--resume goes without --full-batch only"),
    ],
)
def test_full_batch_and_its_optimizers_go_together(options, message, capsys):
    assert main(["train", *options]) == 2
    assert message in capsys.readouterr().err


@needs_extra
@pytest.mark.parametrize("evaluations", [0, 7])
def test_full_batch_interrupted(tmp_path, monkeypatch, capsys, evaluations):
    from schuss.training.full_batch import LogisticRegression

    evaluate, calls = LogisticRegression.__call__, []

    def interrupted(self, w):
        if len(calls) == evaluations:
            raise KeyboardInterrupt
        calls.append(w)
        return evaluate(self, w)

    monkeypatch.setattr(LogisticRegression, "__call__", interrupted)
    assert main(["train", "--optimizer", "bfgs,cg", "--full-batch", "--out", str(tmp_path)]) == 130
    assert "schuss train: interrupted" in capsys.readouterr().err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert list(metrics) == ["bfgs"]
    assert metrics["bfgs"]["outcome"] == "interrupted"
    assert metrics["bfgs"]["evaluations"] == evaluations
    assert (metrics["bfgs"]["loss"] is None) == (evaluations == 0)

"""The benchmark of batch normalization: `schuss bench --suite batch_norm`.

Every shape in both layouts, forward, backward, in inference, and forward with a residual and a ReLU; against the
ceiling, which reads and writes the same arrays as often and computes nothing, against NumPy and against torch. This
package and the ceiling write into an array that is given; NumPy and torch make one, as they do when called plainly.
"""

import datetime
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import schuss
from schuss import _core, reference
from schuss.benchmark.contestants import SEED, Array, Contestant, UnavailableError, load_torch, thread_count
from schuss.benchmark.measure import FULL, Effort, measure
from schuss.benchmark.results import Result, Run, Spread
from schuss.benchmark.targets import Reached, Results, Target, least

PEERS = ("numpy", "torch", "torch-inplace")

KINDS = {"forward": 3, "backward": 5, "inference": 2, "forward+residual+relu": 4}  # and how often each moves an array

EPS, MOMENTUM = 1e-5, 0.1


@dataclass(frozen=True)
class Case:
    """One measurement."""

    kind: str
    name: str
    shape: tuple[int, ...]
    channel_axis: int
    dtype: str = "float32"


SHAPES = (
    ("256×1024", (256, 1024), -1),
    ("4096×256", (4096, 256), -1),
    ("65536×256", (65536, 256), -1),
    ("64×64×56×56 NCHW", (64, 64, 56, 56), 1),
    ("64×64×56×56 NHWC", (64, 56, 56, 64), -1),
    ("64×256×14×14 NCHW", (64, 256, 14, 14), 1),
    ("64×256×14×14 NHWC", (64, 14, 14, 256), -1),
    ("32×3×224×224 NCHW", (32, 3, 224, 224), 1),
)

LARGE = {name for name, shape, _ in SHAPES if math.prod(shape) * 4 > 40e6}  # these do not fit into a cache


class Call:
    """The arrays of one case and, of every contestant, the call with its results."""

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(SEED)
        dtype: Any = np.dtype(case.dtype).type
        channels = case.shape[case.channel_axis]
        self.case = case
        self.x, self.dy = (rng.standard_normal(case.shape, dtype) for _ in range(2))
        self.residual = self.dy if case.kind.endswith("relu") else None
        self.gamma, self.beta = (rng.standard_normal(channels, dtype) for _ in range(2))
        self.running = [np.zeros(channels, dtype), np.ones(channels, dtype)]
        self.options: dict[str, Any] = {"training": case.kind != "inference", "channel_axis": case.channel_axis}
        self.options.update(eps=EPS, momentum=MOMENTUM)
        if self.residual is not None:
            self.options.update(activation="relu", residual=self.residual)

    def expected(self, channels: list[int]) -> Array:
        """The reference's result for some of the channels."""
        x, dy = self.some(self.x, channels), self.some(self.dy, channels)
        options = dict(self.options)
        if self.residual is not None:
            options["residual"] = self.some(self.residual, channels)
        parameters = [a[channels] for a in (self.gamma, self.beta, *self.running)]
        y, saved = reference.batch_norm(x, *parameters, **options)
        return reference.batch_norm_backward(dy, saved)[0] if self.case.kind == "backward" else y

    def some(self, array: Array, channels: list[int]) -> Array:
        """Some channels of an array."""
        return np.ascontiguousarray(np.take(array, channels, self.case.channel_axis))

    def schuss(self) -> Callable[[], Array]:
        """The functions of the package, with an array for the result."""
        out, arguments = np.empty_like(self.x), (self.x, self.gamma, self.beta, *self.running)
        if self.case.kind != "backward":
            return lambda: schuss.batch_norm(*arguments, **self.options, out=out)[0]
        _, saved = schuss.batch_norm(self.x, self.gamma, self.beta, **self.options)
        return lambda: schuss.batch_norm_backward(self.dy, saved, out=out)[0]

    def ceiling(self) -> Callable[[], None]:
        """The same reading and writing."""
        if self.residual is not None:
            raise UnavailableError("there is no ceiling with a residual")
        dy = self.dy if self.case.kind == "backward" else None
        return functools.partial(_core.move_in_passes, self.x, dy, np.empty_like(self.x), self.options["training"], 0)

    def numpy(self) -> Callable[[], Array]:
        """The textbook's expressions, in the data's dtype."""
        x, axis = self.x, self.case.channel_axis % self.x.ndim
        axes = tuple(k for k in range(x.ndim) if k != axis)
        by_channel = [1] * x.ndim
        by_channel[axis] = -1
        gamma, beta, mean, var = (a.reshape(by_channel) for a in (self.gamma, self.beta, *self.running))

        def statistics() -> tuple[Array, Array]:
            return (
                (x.mean(axes, keepdims=True), x.var(axes, keepdims=True)) if self.options["training"] else (mean, var)
            )

        def forward() -> Array:
            mu, variance = statistics()
            y: Array = gamma * (x - mu) / np.sqrt(variance + EPS) + beta
            return y if self.residual is None else np.maximum(y + self.residual, 0)

        mu, variance = statistics()
        sigma = np.sqrt(variance + EPS)

        def backward() -> Array:
            x_hat = (x - mu) / sigma
            mean_g, mean_gx = self.dy.mean(axes, keepdims=True), (self.dy * x_hat).mean(axes, keepdims=True)
            dx: Array = gamma / sigma * (self.dy - mean_g - x_hat * mean_gx)
            return dx

        return backward if self.case.kind == "backward" else forward

    def torch_inplace(self) -> Callable[[], Any]:
        """The same, but the sum and the ReLU overwrite their argument."""
        if self.residual is None:
            raise UnavailableError("torch's batch normalization does not work in place")
        return self.torch(inplace=True)

    def torch(self, inplace: bool = False) -> Callable[[], Any]:
        """Torch's functions, without recording gradients; in its channels-last form where the channels are last."""
        torch = load_torch()
        last = self.x.ndim == 4 and self.case.channel_axis == -1

        def tensor(array: Array) -> Any:
            return torch.tensor(array).permute(0, 3, 1, 2) if last else torch.tensor(array)

        def back(result: Any) -> Array:
            made: Array = (result.permute(0, 2, 3, 1) if last else result).numpy()
            return made

        x, dy = tensor(self.x), tensor(self.dy)
        gamma, beta, mean, var = (torch.tensor(a) for a in (self.gamma, self.beta, *self.running))
        training = self.options["training"]

        def forward() -> Array:
            return back(torch.native_batch_norm(x, gamma, beta, mean, var, training, MOMENTUM, EPS)[0])

        def three() -> Array:
            y = torch.nn.functional.batch_norm(x, mean, var, gamma, beta, training, MOMENTUM, EPS)
            return back(y.add_(dy).relu_() if inplace else torch.relu(y + dy))

        _, mu, inverse = torch.native_batch_norm(x, gamma, beta, mean, var, training, MOMENTUM, EPS)
        gradient = torch.ops.aten.native_batch_norm_backward

        def backward() -> Array:
            return back(gradient(dy, x, gamma, mean, var, mu, inverse, True, EPS, [True] * 3)[0])

        if self.residual is not None:
            return three
        return backward if self.case.kind == "backward" else forward


def objection(call: Call, name: str, step: Callable[[], Any]) -> str | None:
    """What is wrong with a contestant's result, or None: two channels of it are compared with the reference's."""
    channels = [0, call.case.shape[call.case.channel_axis] - 1]
    got, right = call.some(step(), channels), call.expected(channels)
    if name == "schuss":
        return None if np.array_equal(got, right) else "the result is not the reference's, bit for bit"
    error = float(np.abs(got - right).max())
    return None if error < 1e-3 else f"the result is off by {error:g}"


def measure_case(case: Case, peers: Sequence[str], effort: Effort) -> Result:
    """Verify and time the contestants of one case."""
    call, width = Call(case), np.dtype(case.dtype).itemsize
    size, moved = math.prod(case.shape), KINDS[case.kind] * width
    result = Result(case.kind, "batch_norm", case.name, size, 1, case.dtype, {"eps": EPS}, moved)
    contestants = []
    for name in ("schuss", "ceiling", *peers):
        try:
            step = getattr(call, name.replace("-", "_"))()
        except UnavailableError as reason:
            result.absent[name] = str(reason)
            continue
        if name != "ceiling" and (wrong := objection(call, name, step)):
            result.wrong[name] = wrong
            continue
        result.agreement[name] = {"schuss": "reference, bit for bit", "ceiling": "–"}.get(name, "reference, to 1e-3")
        contestants.append(Contestant(name, step, []))
    result.samples = measure(contestants, effort)
    return result


def cases(dtype: str = "float32", shapes: Sequence[str] | None = None) -> list[Case]:
    """All cases, or those of some shapes by name."""
    chosen = [shape for shape in SHAPES if shapes is None or shape[0] in shapes]
    return [Case(kind, name, shape, axis, dtype) for name, shape, axis in chosen for kind in KINDS]


def run(
    cases: Sequence[Case],
    peers: Sequence[str] = PEERS,
    *,
    threads: int | None = None,
    effort: Effort = FULL,
    watch: Callable[[Case], object] = lambda case: None,
) -> Run:
    """Run some cases; `watch` hears of each before it begins. Ctrl-C ends the run early and marks it interrupted."""
    from schuss.benchmark import suite

    dtype = cases[0].dtype
    settings = suite.Settings(recipes=(), peers=peers, dtype=dtype, threads=threads, effort=effort)
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    done = Run(started, {}, {"suite": "batch_norm", "peers": list(peers), "dtype": dtype, **asdict(effort)})
    with thread_count(threads, with_torch="torch" in peers):
        done.machine = suite.machine(settings)
        try:
            for case in cases:
                watch(case)
                done.results.append(measure_case(case, peers, effort))
        except KeyboardInterrupt:
            done.interrupted = True
    return done


def _speedups(kind: str, peer: str, names: set[str] | None = None) -> Callable[[Results], list[tuple[str, Spread]]]:
    return lambda results: [
        (f"{r.recipe} {r.workload}", r.speedup(peer))
        for r in results
        if r.recipe == kind and r.has("schuss", peer) and (names is None or r.workload in names)
    ]


def worst(kind: str, peer: str, names: set[str] | None = None) -> Callable[[Results], Reached | None]:
    """The least ratio over the shapes."""
    return lambda results: least(_speedups(kind, peer, names)(results))


def mean(kind: str, peer: str) -> Callable[[Results], Reached | None]:
    """The geometric mean of the ratios over the shapes."""

    def find(results: Results) -> Reached | None:
        found = [value for _, value in _speedups(kind, peer)(results)]
        if not found:
            return None
        columns = zip(*found, strict=True)
        return Reached(Spread(*(math.exp(sum(map(math.log, c)) / len(found)) for c in columns)), "mean", len(found))

    return find


TARGETS = (
    Target("× torch: forward, geometric mean", 3, mean("forward", "torch")),
    Target("× torch: forward, every shape", 1.5, worst("forward", "torch")),
    Target("× torch: backward, geometric mean", 3, mean("backward", "torch")),
    Target("× torch: backward, every shape", 1.5, worst("backward", "torch")),
    Target("× torch: inference, every shape", 1.2, worst("inference", "torch")),
    Target("× torch's three calls: forward + residual + ReLU", 4, mean("forward+residual+relu", "torch")),
    Target("fraction of the ceiling: forward, beyond the caches", 0.75, worst("forward", "ceiling", LARGE)),
    Target("fraction of the ceiling: backward, beyond the caches", 0.75, worst("backward", "ceiling", LARGE)),
)

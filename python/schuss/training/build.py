"""What the options of a run ask for: the data, the network, the optimizer, the minibatches, and the preparation."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import schuss
from schuss import init, schedules
from schuss.continuation import Curriculum
from schuss.data import Minibatches
from schuss.streams import Purpose, derived_seed, stream
from schuss.training import strategies
from schuss.training.data import CLASSES, INPUTS, Examples, PacedMinibatches, Split, difficulty, of_classes
from schuss.training.layers import Array, Dense, Scheme
from schuss.training.network import Network, multi_layer_perceptron, residual_network
from schuss.training.options import AVERAGE_DECAY, CURRICULUM_EPOCHS, Options
from schuss.training.recipes import RECIPES
from schuss.training.recurrent import recurrent_network
from schuss.training.strategies import Lessons

TRANSFERRED = 5  # the digits 0 to 4 are the other task of --transfer, 5 to 9 are the task

SPARSE = 15  # Martens' number of weights of a unit that are not zero, as far as it has so many
HIDDEN_BIAS = 0.1

FINAL = 0.01  # what is left of the learning rate at the end, where a schedule has no end of its own

FIRST_MOMENTUM, MOMENTUM = 0.5, 0.9  # where a schedule begins, and where it ends: the momentum of the recipes


class InitializationError(ValueError):
    """The network that was asked for cannot be initialized as was asked for."""


def task(split: Split, options: Options) -> Split:
    """The data to train, validate and test with: all digits or, after a transfer, 5 to 9."""
    if options.transfer is None:
        return split
    return Split(*(of_classes(part, TRANSFERRED, CLASSES - 1) for part in split))


# ---- the network ----


def network(options: Options, training: Examples) -> Network:
    """The network with its initial weights, for which some schemes look at the training set."""
    rng = stream(options.seed, Purpose.INITIALIZATION)
    outputs = CLASSES if options.transfer is None else CLASSES - TRANSFERRED
    scheme = _scheme(options.init)
    if options.recurrent:
        gain = 1.0 if options.recurrent_gain is None else options.recurrent_gain
        made = recurrent_network(1, options.hidden[0], outputs, rng, options.dtype, gain=gain, scheme=scheme)
    else:
        make = residual_network if options.residual else multi_layer_perceptron
        sizes = (INPUTS, *options.layers(), outputs)
        made = make(sizes, rng, options.dtype, batch_norm=options.batch_norm, scheme=scheme)
    _set_biases(made, options.bias_init, training.y, outputs)
    if options.init == "lsuv":
        batch = next(iter(Minibatches(training, min(len(training.y), 256), seed=options.seed)))
        try:
            init.lsuv(made.layers, batch.x, rng=rng)
        except ValueError as error:
            raise InitializationError(f"--init lsuv: {error}; wider layers or another --seed may help") from None
    return made


def _scheme(name: str) -> Scheme:
    if name == "lsuv":
        return init.orthogonal
    if name == "sparse":
        return lambda shape, **options: init.sparse(shape, k=min(SPARSE, shape[0]), **options)
    return init.SCHEMES[name.replace("-", "_")]


def _set_biases(made: Network, rule: str, labels: Array, classes: int) -> None:
    *hidden, output = (layer for layer in made.layers if isinstance(layer, Dense))
    if rule == "log-odds":
        output.params["bias"][...] = init.log_odds(labels, classes=classes, dtype=output.params["bias"].dtype)
    if rule == "constant":
        for layer in hidden:
            layer.params["bias"][...] = HIDDEN_BIAS


# ---- the optimizer ----


def optimizer(
    options: Options, name: str, params: Mapping[str, Array], epoch_steps: int, *, final: bool = True
) -> schuss.Optimizer:
    """The optimizer called `name`.

    Args:
        options: The options of the run.
        name: A name in `RECIPES`.
        params: What to optimize.
        epoch_steps: The number of minibatches in an epoch.
        final: Whether it is for the task itself; in preparation nothing is scheduled or averaged.
    """
    recipe, hyper = RECIPES[name], dict(RECIPES[name].hyper)
    lr: Any = options.learning_rate(name)
    if final and options.scheduled(name):
        lr = _schedule(options, lr, epoch_steps)
    if final and options.momentum_schedule and recipe.schedulable("momentum"):
        hyper["momentum"] = _momentum(options, epoch_steps)
    if final and options.average:
        decay = AVERAGE_DECAY if options.average_decay is None else options.average_decay
        hyper |= {"average": options.average, "average_decay": decay}
    if options.clip_norm is not None:
        hyper["clip_norm"] = options.clip_norm
    if options.clip_value is not None:
        hyper["clip_value"] = options.clip_value
    return recipe.optimizer(dict(params), lr=lr, num_threads=options.threads, **hyper)


def _schedule(options: Options, lr: float, epoch_steps: int) -> Callable[[int], float]:
    """The learning rate as a function of the number of steps, laid out over the epochs after the warm-up."""
    total = (options.epochs - options.warmup) * epoch_steps
    forms: dict[str, Callable[[], schedules.Schedule]] = {
        "constant": lambda: schedules.constant(lr),
        "linear": lambda: schedules.linear_decay(lr, total, FINAL * lr),
        "inverse-time": lambda: schedules.inverse_time(lr, tau=total * FINAL / (1 - FINAL)),
        "step": lambda: schedules.step(lr, -(-total // 3)),
        "exponential": lambda: schedules.exponential(lr, FINAL ** (1 / total)),
        "cosine": lambda: schedules.cosine(lr, total),
    }
    made = forms[options.schedule]()
    return schedules.warmup(made, options.warmup * epoch_steps) if options.warmup else made


def _momentum(options: Options, epoch_steps: int) -> Callable[[int], float]:
    if options.momentum_schedule == "linear":
        return schedules.linear_ramp(FIRST_MOMENTUM, options.epochs * epoch_steps, MOMENTUM)
    return schedules.momentum_ramp(MOMENTUM, every=epoch_steps)


# ---- minibatches and preparation ----


def minibatches(options: Options, examples: Examples) -> Minibatches | PacedMinibatches:
    """The training set in minibatches, as they come in training."""
    if options.curriculum is None:
        return _minibatches(options, examples, options.seed)
    strategy: Any = options.curriculum
    curriculum = Curriculum(difficulty(examples), CURRICULUM_EPOCHS, seed=options.seed, strategy=strategy)
    return PacedMinibatches(examples, options.batch_size, curriculum, options.least_batch())


def prepare(
    options: Options, name: str, made: Network, split: Split, after_epoch: Callable[[str, int, float], None]
) -> None:
    """Let a network learn what comes before its task, with the optimizer called `name`.

    Args:
        options: The options of the run.
        name: A name in `RECIPES`.
        made: The network.
        split: All digits.
        after_epoch: Is told the name of the stage, the epochs completed, and the training loss.

    Raises:
        DivergenceError: The loss or the gradient has ceased to be finite.
    """
    rng = stream(options.seed, Purpose.PREPARATION)

    def batches(examples: Examples, stage: int) -> Minibatches:
        return _minibatches(options, examples, derived_seed(options.seed, Purpose.PREPARATION, stage))

    make = partial(optimizer, options, name, epoch_steps=1, final=False)
    lessons = Lessons(options.lessons(), make, batches, after_epoch)
    if options.pretrain:
        strategies.pretrain(made, split.training, lessons, rng)
    elif options.transfer:
        strategies.transfer(made, of_classes(split.training, 0, TRANSFERRED - 1), TRANSFERRED, lessons, rng)
    elif options.hints:
        strategies.give_hints(made, split.training, lessons, rng)


def _minibatches(options: Options, examples: Examples, seed: int) -> Minibatches:
    order: Any = options.order.replace("-", "_")
    least = min(options.least_batch(), len(examples.y))
    return Minibatches(examples, options.batch_size, order=order, seed=seed, least=least)

"""Early stopping

A network of {width} units learns only {examples} of the digits. Its training loss falls for all {epochs} epochs; its
validation loss is lowest after epoch {best_epoch:.0f}, at {best:.3f}, and {last:.3f} at the end. Early stopping keeps
the parameters of the best epoch, and ends when there has been no better one for some epochs.

`schuss train --early-stopping --patience --min-delta`; Deep Learning, algorithm 7.1.
"""

import numpy as np
from study import Facts, Figure, digits, label, panels, part, train

import schuss
from schuss.streams import Purpose, stream
from schuss.training.network import multi_layer_perceptron

SMALL = {"width": 128, "examples": 100, "epochs": 60}
FULL = {"width": 512, "examples": 100, "epochs": 100}


def draw(small: bool) -> tuple[Figure, Facts]:
    """Both losses by epoch, and where to stop."""
    facts: Facts = dict(SMALL if small else FULL)
    split = digits()
    few = part(split.training, int(facts["examples"]))
    facts["examples"] = len(few.y)
    network = multi_layer_perceptron((64, int(facts["width"]), 10), stream(0, Purpose.INITIALIZATION), "float32")
    trainer = train(network, split._replace(training=few), int(facts["epochs"]), schuss.Adam, lr=0.01)
    history, epochs = trainer.history, range(1, trainer.epoch + 1)
    facts |= {"best_epoch": trainer.stopping.best_epoch, "best": trainer.stopping.best_loss}
    facts |= {"last": history["validation_loss"][-1], "falls": float(np.argmin(history["training_loss"]) + 1)}
    figure, (losses,) = panels()
    losses.plot(epochs, history["training_loss"], label="training")
    losses.plot(epochs, history["validation_loss"], label="validation")
    losses.plot(facts["best_epoch"], facts["best"], "o", color="C1", label="kept")
    label(losses, "epoch", "loss", yscale="log")
    return figure, facts


def holds(facts: Facts) -> bool:
    """The best epoch comes well before the last one, while the training loss still falls."""
    return facts["best_epoch"] < facts["epochs"] / 2 and facts["last"] > 1.03 * facts["best"]

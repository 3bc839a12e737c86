"""Early stopping

A network of {width} units learns {examples} of the digits, a fifth of them with a wrong label. Its training loss falls
to the end, after {epochs} epochs, for it comes to know the wrong labels by heart. Its validation loss is lowest after
epoch {best_epoch}, at {best:.2f}, and {last:.2f} at the end. Early stopping keeps the parameters of the best epoch, and
ends the training when there has been no better one for some epochs.

`schuss train --early-stopping --patience --min-delta`; Deep Learning, algorithm 7.1.
"""

from study import Facts, Figure, digits, label, panels, part, train

import schuss
from schuss.streams import Purpose, stream
from schuss.training.data import Examples
from schuss.training.network import multi_layer_perceptron

SMALL = {"width": 64, "examples": 449, "epochs": 40}
FULL = {"width": 256, "examples": 449, "epochs": 60}


def draw(small: bool) -> tuple[Figure, Facts]:
    """Both losses by epoch, and where to stop."""
    facts: Facts = dict(SMALL if small else FULL)
    split = digits()
    few = part(split.training, int(facts["examples"]))
    labels = few.y.copy()
    labels[::5] = (labels[::5] + 1) % 10
    facts["examples"] = len(labels)
    network = multi_layer_perceptron((64, int(facts["width"]), 10), stream(0, Purpose.INITIALIZATION), "float32")
    split = split._replace(training=Examples(few.x, labels))
    trainer = train(network, split, int(facts["epochs"]), schuss.Adam, lr=0.003)
    history, epochs = trainer.history, range(1, trainer.epoch + 1)
    facts |= {"best_epoch": trainer.stopping.best_epoch, "best": trainer.stopping.best_loss}
    facts |= {"last": history["validation_loss"][-1], "first_training": history["training_loss"][0]}
    facts["last_training"] = history["training_loss"][-1]
    figure, (losses,) = panels()
    losses.plot(epochs, history["training_loss"], label="training")
    losses.plot(epochs, history["validation_loss"], label="validation")
    losses.plot(facts["best_epoch"], facts["best"], "o", color="C1", label="kept")
    label(losses, "epoch", "loss", yscale="log")
    return figure, facts


def holds(facts: Facts) -> bool:
    """The best epoch comes before the last one, whose training loss is lower yet."""
    overfits = facts["last"] > 1.1 * facts["best"] and facts["best_epoch"] < facts["epochs"]
    return overfits and facts["last_training"] < 0.5 * facts["first_training"]

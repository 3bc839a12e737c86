"""Skip connections

Two networks of {layers} dense layers, {width} units wide, both initialized by He's scheme and trained on the digits
with momentum for {epochs} epochs; one of them has a skip connection around every two hidden layers. The residual
network reads {residual:.0%} of the validation set, the plain one {plain:.0%}. Along the connections the way from the
input to the output is linear, and the gradient comes down it undiminished.

`schuss train --depth {layers} --residual`; Deep Learning, section 8.7.5; He et al. 2016.
"""

from study import Facts, Figure, digits, label, panels, train

import schuss
from schuss.streams import Purpose, stream
from schuss.training.layers import Dense
from schuss.training.network import multi_layer_perceptron, residual_network

SMALL = {"layers": 50, "width": 16, "epochs": 3}
FULL = {"layers": 50, "width": 32, "epochs": 20}


def draw(small: bool) -> tuple[Figure, Facts]:
    """Training loss and validation accuracy by epoch."""
    facts: Facts = dict(SMALL if small else FULL)
    split, sizes = digits(), (64, *[int(facts["width"])] * (int(facts["layers"]) - 1), 10)
    figure, (losses, accuracies) = panels(2)
    for name, make in (("plain", multi_layer_perceptron), ("residual", residual_network)):
        network = make(sizes, stream(0, Purpose.INITIALIZATION), "float32")
        facts["layers"] = sum(isinstance(layer, Dense) for layer in network.layers)
        history = train(network, split, int(facts["epochs"]), schuss.Momentum, lr=0.03).history
        epochs = range(1, len(history["training_loss"]) + 1)
        losses.plot(epochs, history["training_loss"], label=name)
        accuracies.plot(epochs, history["validation_accuracy"], label=name)
        facts[name] = history["validation_accuracy"][-1]
    label(losses, "epoch", "training loss", yscale="log")
    label(accuracies, "epoch", "validation accuracy")
    return figure, facts


def holds(facts: Facts) -> bool:
    """The residual network learns and the plain one does not."""
    return facts["residual"] > 0.85 and facts["plain"] < 0.5

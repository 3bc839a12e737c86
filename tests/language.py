"""A character-level language model on text of this project: what comes after a window of characters?"""

from pathlib import Path

import numpy as np

from schuss.training.data import Examples
from schuss.training.layers import Array, Dense, Layer, ReLU
from schuss.training.network import Network

TEXT = Path(__file__).parent / "data" / "prose.txt"
WINDOW = 8  # characters


class Embedding(Layer):
    """A vector for each symbol; those of a window are laid side by side (Bengio et al. 2003, section 2).

    Args:
        symbols: The number of symbols.
        width: The length of a vector.
        rng: Draws the initial vectors.
        dtype: The dtype of the vectors.
    """

    def __init__(self, symbols: int, width: int, rng: np.random.Generator, dtype: str) -> None:
        super().__init__()
        self.params = {"vectors": rng.normal(size=(symbols, width)).astype(dtype)}

    def forward(self, x: Array) -> Array:
        self.x = x
        return self.params["vectors"][x].reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        """The gradient for the vectors; symbols have none, and what is returned is that for the windows' vectors."""
        vectors = np.zeros_like(self.params["vectors"])
        np.add.at(vectors, self.x.ravel(), dy.reshape(-1, vectors.shape[1]))
        self.grads = {"vectors": vectors}
        return dy


def load_text() -> tuple[Examples, int]:
    """Every window of the text with the character after it, and the number of different characters."""
    alphabet, text = np.unique(list(TEXT.read_text("utf-8")), return_inverse=True)
    windows = np.lib.stride_tricks.sliding_window_view(text, WINDOW + 1)
    return Examples(windows[:, :-1], windows[:, -1]), len(alphabet)


def language_model(symbols: int, width: int, hidden: int, rng: np.random.Generator, dtype: str) -> Network:
    """Embedding, a hidden layer of ReLUs, and the logits of the next symbol."""
    first, last = Dense(WINDOW * width, hidden, rng, dtype), Dense(hidden, symbols, rng, dtype)
    return Network([Embedding(symbols, width, rng, dtype), first, ReLU(), last])

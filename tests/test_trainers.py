"""schuss.torch inside other people's trainers, each where it is installed."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: its drop-ins need it")

import schuss.torch as drop_ins  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of packages that are not ours

X = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)


def batches():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=16)


def linear():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 1)


def trained(optimizer, epochs=2):
    """What a plain loop makes of the same model."""
    model = linear()
    opt = optimizer(model.parameters(), lr=0.05)
    for _ in range(epochs):
        for x, y in batches():
            opt.zero_grad()
            torch.nn.functional.mse_loss(model(x), y).backward()
            opt.step()
    return list(model.parameters())


def test_lightning():
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = linear()

        def training_step(self, batch, _):
            x, y = batch
            return torch.nn.functional.mse_loss(self.model(x), y)

        def configure_optimizers(self):
            return drop_ins.AdamW(self.parameters(), lr=0.05)

    module = Module()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", devices=1, enable_model_summary=False, **quiet)
    trainer.fit(module, batches())
    assert isinstance(trainer.optimizers[0], drop_ins.AdamW)
    torch.testing.assert_close(list(module.model.parameters()), trained(torch.optim.AdamW), rtol=1e-4, atol=1e-6)


def test_accelerate():
    accelerate = pytest.importorskip("accelerate", reason="accelerate is not installed")
    model = linear()
    accelerator = accelerate.Accelerator(cpu=True)
    opt = drop_ins.AdamW(model.parameters(), lr=0.05)
    model, optimizer, loader = accelerator.prepare(model, opt, batches())
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            accelerator.backward(torch.nn.functional.mse_loss(model(x), y))
            optimizer.step()
    assert optimizer.optimizer is opt
    torch.testing.assert_close(list(model.parameters()), trained(torch.optim.AdamW), rtol=1e-4, atol=1e-6)


def test_skorch():
    skorch = pytest.importorskip("skorch", reason="skorch is not installed")
    torch.manual_seed(0)
    net = skorch.NeuralNetRegressor(
        torch.nn.Linear,
        module__in_features=4,
        module__out_features=1,
        optimizer=drop_ins.AdamW,
        lr=0.05,
        max_epochs=40,
        batch_size=16,
        train_split=None,
        verbose=0,
    )
    net.fit(X, Y)
    assert isinstance(net.optimizer_, drop_ins.AdamW)
    assert net.history[-1, "train_loss"] < 0.1 * net.history[0, "train_loss"]


def test_keras_on_torch():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", reason="keras is not installed")
    if keras.backend.backend() != "torch":
        pytest.skip("keras runs on another backend")

    class Adam(keras.optimizers.Adam):
        """Keras's Adam, stepped by ours."""

        def _backend_update_step(self, grads, trainable_variables, learning_rate):
            if not hasattr(self, "inner"):
                options = {"betas": (self.beta_1, self.beta_2), "eps": self.epsilon}
                self.inner = drop_ins.Adam([v.value for v in trainable_variables], **options)
            for variable, grad in zip(trainable_variables, grads, strict=True):
                variable.value.grad = grad.detach()
            self.inner.param_groups[0]["lr"] = float(learning_rate)
            self.inner.step()
            self.iterations.assign_add(1)

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
    optimizer = Adam(learning_rate=0.05)
    model.compile(optimizer=optimizer, loss="mse")
    losses = model.fit(X, Y, epochs=20, batch_size=16, verbose=0).history["loss"]
    assert optimizer.inner.state, "our Adam has stepped"
    assert losses[-1] < 0.1 * losses[0]

"""The live progress bar."""

from types import TracebackType

import rich.console
import rich.progress

from schuss.training.trainer import Trainer


class ProgressBar:
    """A bar for each training, on the standard error; where that is no terminal there is none.

    Args:
        epochs: The length of a bar.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        console = rich.console.Console(stderr=True)
        self.bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description:16}"),
            rich.progress.BarColumn(bar_width=12),
            rich.progress.TextColumn("{task.completed}/{task.total}"),
            rich.progress.TextColumn("{task.fields[losses]}"),
            rich.progress.TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.tasks: dict[str, rich.progress.TaskID] = {}

    def __enter__(self) -> "ProgressBar":  # noqa: PYI034, typing.Self is too new
        """Begin to draw."""
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bars as they are."""
        self.bars.stop()

    def show(self, name: str, trainer: Trainer) -> None:
        """Show the latest epoch of the training called `name`."""
        training, validation = (trainer.history[name][-1] for name in ("training_loss", "validation_loss"))
        losses = f"loss {training:.3g}, validation {validation:.3g}"
        self._show(name, trainer.epoch, self.epochs, losses)

    def show_lesson(self, name: str, epoch: int, epochs: int, loss: float) -> None:
        """Show the latest epoch of a stage of preparation, called `name`."""
        self._show(name, epoch, epochs, f"loss {loss:.3g}")

    def _show(self, name: str, epoch: int, epochs: int, losses: str) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(name, total=epochs, losses="")
        self.bars.update(self.tasks[name], completed=epoch, losses=losses)

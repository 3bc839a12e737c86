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
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(name, total=self.epochs, losses="")
        training, validation = (trainer.history[name][-1] for name in ("training_loss", "validation_loss"))
        losses = f"loss {training:.3g}, validation {validation:.3g}"
        self.bars.update(self.tasks[name], completed=trainer.epoch, losses=losses)

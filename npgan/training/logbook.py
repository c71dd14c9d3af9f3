"""What a run writes while it goes: metrics, pictures, checkpoints, a plot."""

from __future__ import annotations

from types import TracebackType

import numpy as np

from npgan.backend.base import Array
from npgan.training import checkpoint, pictures
from npgan.training.experiment import Experiment
from npgan.training.folder import RunFolder
from npgan.training.metrics import MetricsLog, TensorBoardLog, read
from npgan.training.plots import loss_plot


class Logbook:
    """Writes what is due after each step.

    Parameters
    ----------
    experiment : Experiment
    folder : RunFolder
    start : int
        The step that the run begins from; what an interrupted run wrote after it is cut off.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder, start: int) -> None:
        self.experiment, self.folder, self.config = experiment, folder, experiment.config.log
        self.title = f"{experiment.config.recipe} on {experiment.dataset.name}"
        self.metrics = MetricsLog(folder.metrics_path)
        self.metrics.truncate_to(start)
        for old in folder.samples.glob("step-*.png"):
            if int(old.stem.removeprefix("step-")) > start:
                old.unlink()
        self.board = TensorBoardLog(folder.events, start + 1 if start else None) if self.config.tensorboard else None
        if start == 0:
            self.picture(0)
            self.save(0)

    def after(self, step: int, metrics: dict[str, float], *, last: bool) -> None:
        """Write what is due after `step` steps; all of it after the last."""
        if step % self.config.every == 0 or last:
            self.metrics.log(step, metrics)
            if self.board is not None:
                self.board.log(step, metrics)
        if step % self.config.samples_every == 0 or last:
            self.picture(step)
        if step % self.config.checkpoint_every == 0 or last:
            self.save(step)
        if last:
            loss_plot(read(self.folder.metrics_path), self.folder.loss_plot_path, title=self.title)

    def picture(self, step: int) -> None:
        """Write the picture of samples from the fixed latents."""
        array = sample_picture(self.experiment, self.config.samples)
        if array is None:
            return
        pictures.write_png(self.folder.samples / f"step-{step:08d}.png", array)
        if self.board is not None:
            self.board.image(step, "samples", array)

    def save(self, step: int) -> None:
        """Write a checkpoint and remove the oldest."""
        experiment, folder = self.experiment, self.folder.checkpoints
        meta = {"step": step, "counters": experiment.counters()}
        checkpoint.save(checkpoint.checkpoint_path(folder, step), experiment.arrays(), meta)
        checkpoint.prune(folder, self.config.keep, step)

    def __enter__(self) -> Logbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.metrics.close()
        finally:
            if self.board is not None:
                self.board.close()


def sample_picture(experiment: Experiment, n: int) -> Array | None:
    """Return a picture (H, W, 1 or 3) uint8 of n samples, or None for data that cannot be drawn."""
    sampler = experiment.sampler()
    shape = experiment.facts.sample_shape
    if len(shape) == 3 and shape[2] in (1, 3):
        images = pictures.to_uint8(sampler.draw(n), experiment.facts.value_range or (-1.0, 1.0))
        return pictures.grid(images, columns=sampler.columns(n))
    if shape == (2,):
        count = min(n, len(experiment.dataset))
        real = np.empty((count, 2), experiment.config.dtype)
        experiment.dataset.batch(np.arange(count), real)
        return pictures.scatter_picture(sampler.draw(n), real)
    return None

"""What a run writes while it goes: metrics, pictures, checkpoints, a plot."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from npgan.backend.base import Array
from npgan.errors import CheckpointError, NonFiniteError
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
        # A run that was stopped early has a line that an uninterrupted one would not have.
        extra = start % self.config.every != 0 and start < experiment.config.steps
        kept = start - 1 if extra else start
        with ExitStack() as opened:
            self.metrics = opened.enter_context(MetricsLog(folder.metrics_path))
            self.metrics.truncate_to(kept)
            _remove_pictures(folder.samples, start)
            self.board: TensorBoardLog | None = None
            if self.config.tensorboard:
                self.board = opened.enter_context(TensorBoardLog(folder.events, kept + 1 if start else None))
            self._first: Array | None = None
            if start == 0:  # what must be drawn takes a library that takes longer to load than a step: after the first
                self._first = draw_samples(experiment, self.config.samples)
                self.save(0)
            self._opened = opened.pop_all()

    def measures(self, step: int) -> bool:
        """Return whether the metrics of a step are due."""
        return step % self.config.every == 0

    def saves(self, step: int) -> bool:
        """Return whether what a step leaves of the weights is due: a picture, a checkpoint."""
        return step % self.config.samples_every == 0 or step % self.config.checkpoint_every == 0

    def metrics_of(self, step: int, metrics: dict[str, float]) -> None:
        """Write the metrics of a step; they may come when later ones have begun."""
        self._write_first()
        self.metrics.log(step, metrics)
        if self.board is not None:
            self.board.log(step, metrics)

    def after(self, step: int, *, last: bool) -> None:
        """Write what is due of the weights after `step` steps; all of it after the last."""
        self._write_first()
        if step % self.config.samples_every == 0 or last:
            self.picture(step)
        if step % self.config.checkpoint_every == 0 or last:
            self.save(step)

    def picture(self, step: int) -> None:
        """Write the picture of samples from the fixed latents."""
        self._write_picture(step, draw_samples(self.experiment, self.config.samples))

    def _write_first(self) -> None:
        """Write the picture of the samples before training, unless that is done."""
        samples, self._first = self._first, None
        self._write_picture(0, samples)

    def _write_picture(self, step: int, samples: Array | None) -> None:
        if samples is None:
            return
        array = picture_of(self.experiment, samples)
        pictures.write_png(self.folder.samples / f"step-{step:08d}.png", array)
        if self.board is not None:
            self.board.image(step, "samples", array)

    def save(self, step: int) -> None:
        """Write a checkpoint and remove the oldest.

        Raises
        ------
        NonFiniteError
            An array is not finite. Nothing was written or removed: the last good checkpoint is still there.
        """
        experiment, folder = self.experiment, self.folder.checkpoints
        arrays = experiment.arrays()
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise NonFiniteError(f"step {step}: {name} holds a NaN or an infinity, so this step was not saved")
        meta = {"step": step, "counters": experiment.counters()}
        checkpoint.save(checkpoint.checkpoint_path(folder, step), arrays, meta)
        checkpoint.prune(folder, self.config.keep, step)
        if self.board is not None:
            self.board.flush()  # a resumed run does not write again what came before

    def __enter__(self) -> Logbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._opened:
                self._write_first()
        except CheckpointError:
            if error is None:  # else what went wrong first is what a user must know
                raise
        if error is None:
            loss_plot(read(self.folder.metrics_path), self.folder.loss_plot_path, title=self.title)


def _remove_pictures(folder: Path, start: int) -> None:
    """Remove the pictures of steps after `start`, and no other file that somebody has put there."""
    for path in folder.glob("step-*.png"):
        step = path.stem.removeprefix("step-")
        if step.isdecimal() and int(step) > start:
            try:
                path.unlink()
            except OSError as error:
                raise CheckpointError(f"cannot remove {path}: {error.strerror or error}") from error


def draw_samples(experiment: Experiment, n: int) -> Array | None:
    """Return n samples (n, *sample_shape) from the fixed latents, or None where `picture_of` cannot show them."""
    shape = experiment.facts.sample_shape
    visible = shape == (2,) or (len(shape) == 3 and shape[2] in (1, 3))
    return experiment.sampler().draw(n) if visible else None


def picture_of(experiment: Experiment, samples: Array) -> Array:
    """Return a picture (H, W, 1 or 3) uint8 of what `draw_samples` returned."""
    n = len(samples)
    if samples.ndim == 4:
        images = pictures.to_uint8(samples, experiment.facts.value_range or (-1.0, 1.0))
        return pictures.grid(images, columns=experiment.sampler().columns(n))
    count = min(n, len(experiment.dataset))
    real = np.empty((count, 2), experiment.config.dtype)
    experiment.dataset.batch(np.arange(count), real)
    return pictures.scatter_picture(samples, real)

import gc
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from npgan.errors import CheckpointError
from npgan.recipes import RECIPES
from npgan.training import checkpoint, pictures
from npgan.training.experiment import Experiment
from npgan.training.folder import RunFolder
from npgan.training.logbook import Logbook, draw_samples, picture_of
from npgan.training.metrics import TensorBoardLog, read
from npgan.training.trainer import resolve

SETTINGS = {
    "steps": 12,
    "batch": 8,
    "latent": {"size": 4},
    "data": {"prefetch": 0},
    "log": {"every": 2, "samples_every": 3, "checkpoint_every": 4, "keep": 2, "samples": 20, "tensorboard": True},
}
METRICS = {"loss_d": 1.0, "loss_g": 2.0, "grad_norm_d": 1.0, "grad_norm_g": 1.0}


@pytest.fixture
def experiment():
    return Experiment(resolve(RECIPES["cgan"], {**SETTINGS, "model": {"channels": 4}}), RECIPES["cgan"])


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run")


def names(folder):
    return sorted(path.name.split("-")[-1].split(".")[0].lstrip("0") or "0" for path in folder.iterdir())


def test_everything_when_it_is_due(experiment, folder):
    with Logbook(experiment, folder, 0) as log:
        assert names(folder.checkpoints) == ["0"]
        for step in range(1, 8):
            if log.measures(step) or step == 7:
                log.metrics_of(step, METRICS)
            log.after(step, last=step == 7)
        assert not folder.loss_plot_path.exists()
    assert [row["step"] for row in read(folder.metrics_path)] == [2, 4, 6, 7]
    assert names(folder.samples) == ["0", "3", "6", "7"]
    assert names(folder.checkpoints) == ["4", "7"]
    with Image.open(folder.loss_plot_path) as plot:
        assert plot.size[0] > 100


@pytest.mark.parametrize(("start", "kept"), [(7, [2, 4, 6]), (6, [2, 4, 6]), (12, [2, 4, 6, 7])])
def test_what_is_kept_when_a_run_is_resumed(experiment, folder, start, kept):
    with Logbook(experiment, folder, 0) as log:
        for step in range(1, 8):
            if log.measures(step) or step == 7:
                log.metrics_of(step, METRICS)
            log.after(step, last=step == 7)
    (folder.samples / "step-8 (my favourite).png").write_bytes(b"")
    Logbook(experiment, folder, start).__exit__(None, None, None)
    assert [row["step"] for row in read(folder.metrics_path)] == kept
    assert (folder.samples / "step-00000007.png").exists() == (start >= 7)
    assert (folder.samples / "step-8 (my favourite).png").exists()


@pytest.mark.parametrize("fails", [False, True])
def test_the_first_picture_is_of_the_weights_before_training(experiment, folder, fails):
    """It is drawn after the first step, or when that fails."""
    expected = picture_of(experiment, draw_samples(experiment, experiment.config.log.samples))
    path = folder.samples / "step-00000000.png"
    with suppress(ZeroDivisionError), Logbook(experiment, folder, 0) as log:
        assert not path.exists()
        if fails:
            raise ZeroDivisionError
        log.metrics_of(1, experiment.step(0))
        assert path.exists()
    assert path.read_bytes() == pictures.encode_png(expected)


def test_a_picture_has_a_row_for_each_class(experiment):
    sampler = experiment.sampler()
    picture = picture_of(experiment, draw_samples(experiment, 20))
    images = pictures.to_uint8(sampler.decode(sampler.latents(20), np.arange(20) // 2))
    assert np.array_equal(picture, pictures.grid(images, columns=2))


def test_pictures_of_points_and_of_what_cannot_be_drawn(tmp_path):
    for name, size in (("plane", 2), ("space", 3)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(0).normal(size=(30, size)))
        settings = {**SETTINGS, "data": {"name": str(tmp_path / f"{name}.npy"), "prefetch": 0}, "model": {"width": 8}}
        experiment = Experiment(resolve(RECIPES["mlp"], settings), RECIPES["mlp"])
        samples = draw_samples(experiment, 10)
        assert samples is None if size == 3 else picture_of(experiment, samples).shape[2] == 3


def test_what_went_wrong_first_is_what_is_told(experiment, folder, monkeypatch):
    close = TensorBoardLog.close

    def fail(self):
        close(self)
        raise CheckpointError("cannot write the events")

    monkeypatch.setattr(TensorBoardLog, "close", fail)
    with pytest.raises(ZeroDivisionError), Logbook(experiment, folder, 0) as log:
        raise ZeroDivisionError
    assert log.metrics._file.closed
    assert not folder.loss_plot_path.exists()
    with pytest.raises(CheckpointError, match="the events"), Logbook(experiment, folder, 0):
        pass


def test_files_are_closed_when_it_cannot_begin(experiment, folder, monkeypatch):
    # A file left open is a ResourceWarning, which fails the test.
    def fail(*args):
        raise CheckpointError("full")

    monkeypatch.setattr(checkpoint, "save", fail)
    with pytest.raises(CheckpointError, match="full"):
        Logbook(experiment, folder, 0)
    gc.collect()

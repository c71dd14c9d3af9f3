import threading

import numpy as np
import pytest

import npgan
from npgan.training.config import merge
from npgan.training.folder import RunFolder

TINY = {
    "batch": 8,
    "latent": {"size": 4},
    "data": {"prefetch": 0},
    "log": {"every": 2, "samples_every": 3, "checkpoint_every": 2, "keep": 9, "samples": 4, "tensorboard": False},
}


def tiny(recipe, settings):
    """Settings that make any recipe quick, under those given."""
    name = recipe if isinstance(recipe, str) else recipe.name
    model = {"mlp": {"width": 8}, "ring": {"width": 8}}.get(name, {"channels": 4})
    own = {} if isinstance(recipe, npgan.Recipe) else {"model": model}
    return merge(merge(TINY, own), settings)


@pytest.fixture
def train(tmp_path):
    """Train a tiny GAN in a folder of that name: ``train("a", "dcgan", steps=4, loss="hinge")``."""

    def run(name, recipe="mlp", *, steps=4, source=None, callbacks=(), max_time=None, on_start=None, **settings):
        return npgan.train(
            recipe,
            data=source,
            steps=steps,
            out=tmp_path / name,
            settings=tiny(recipe, settings),
            callbacks=callbacks,
            max_time=max_time,
            on_start=on_start,
            quiet=True,
        )

    return run


@pytest.fixture
def written():
    """What a run has written that must not depend on how often it was interrupted: bytes by name."""

    def read(path):
        files = [path / "metrics.jsonl", *path.glob("samples/*"), *path.glob("checkpoints/*")]
        return {str(file.relative_to(path)): file.read_bytes() for file in files}

    return read


@pytest.fixture
def points():
    """A Dataset of a user's own: 40 points with two labels, and attributes of NumPy's and list types."""

    class Points(npgan.data.Dataset):
        name = "points"

        def __init__(self):
            self.sample_shape, self.classes = np.array([3]), ["low", "high"]
            self.labels = np.arange(40) % 2
            self.x = np.random.default_rng(0).normal(size=(40, 3))

        def __len__(self):
            return 40

        def batch(self, indices, out, labels=None):
            out[...] = self.x[indices]
            if labels is not None:
                labels[...] = self.labels[indices]

    return Points()


@pytest.fixture
def data_threads():
    """The threads that read ahead and are still there."""
    return lambda: [thread for thread in threading.enumerate() if thread.name == "npgan-data"]


@pytest.fixture
def unlocked():
    """Whether nobody uses a run: raises RunLockedError where somebody does."""

    def check(path):
        RunFolder.open(path).lock().release()
        return True

    return check

"""How well a class-conditional run does what it is told: agreement with a classifier, and variety within a class.

    python bench/conditional_quality.py RUN DIR-WITH-MNIST-FILES [samples a class]

The classifier (scikit-learn's MLPClassifier, one hidden layer of 256) is trained on the real training images; its
accuracy on the real test images is printed first, as the figure for samples means little without it. Variety is the
mean distance between two samples of a class over the mean distance between two real images of it: 1 is as varied as
the data, near 0 is collapse.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

import npgan
from npgan.errors import ConfigError, NpganError


def images(dataset, count):
    """Return `count` images as rows in (-1, 1), and their labels."""
    x, labels = np.empty((count, *dataset.sample_shape), np.float32), np.empty(count, np.int64)
    dataset.batch(np.arange(count), x, labels)
    return x.reshape(count, -1), labels


def mean_distance(x):
    """Return the mean Euclidean distance between two different rows."""
    squares = (x * x).sum(axis=1)
    between = np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * x @ x.T, 0.0))
    return between.sum() / (len(x) * (len(x) - 1))


def main(run_folder: str, data_dir: str, per_class: int = 500) -> None:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    run = npgan.Run(run_folder)
    if run.sampler.classes is None:
        raise ConfigError(f"{run_folder} is a run of {run.config.recipe}, which is told no class; expected one of cgan")
    name = run.config.data.name
    train = npgan.open_dataset(name, data_dir=data_dir)
    test = npgan.open_dataset(name, data_dir=data_dir, split="test")
    x, labels = images(train, len(train))
    classifier = MLPClassifier((256,), batch_size=256, max_iter=12, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(x, labels)
    print(f"{run}: {per_class} samples a class")
    print(f"classifier: {classifier.score(*images(test, len(test))):.2%} of the real test images right")
    print("class  agrees  variety (1 is the data's)")
    agreements, varieties = [], []
    for k, class_name in enumerate(run.facts.classes):
        samples = run.sample(per_class, seed=k, labels=k).reshape(per_class, -1)
        agreements.append(np.mean(classifier.predict(samples) == k))
        varieties.append(mean_distance(samples) / mean_distance(x[labels == k][:per_class]))
        print(f"{class_name:>5}  {agreements[-1]:6.1%}  {varieties[-1]:.2f}")
    print(f"  all  {np.mean(agreements):6.1%}  {np.mean(varieties):.2f} (least {min(varieties):.2f})")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2], *(int(n) for n in sys.argv[3:4]))
    except NpganError as error:
        sys.exit(f"error: {error}")

"""Data: sets of samples, where they come from, and the batches that are made of them.

>>> dataset = open_dataset("digits")
>>> with Loader(dataset, 64, random) as loader:
...     batch = loader.get(0)
"""

from npgan.data.augment import Augment
from npgan.data.dataset import ArrayDataset, Dataset
from npgan.data.device import DeviceLoader
from npgan.data.images import ImageFolder
from npgan.data.loader import Batch, Loader
from npgan.data.mixture import Mixture
from npgan.data.open import DATASETS, SPLITS, open_dataset
from npgan.data.table import Table

__all__ = [
    "DATASETS",
    "SPLITS",
    "ArrayDataset",
    "Augment",
    "Batch",
    "Dataset",
    "DeviceLoader",
    "ImageFolder",
    "Loader",
    "Mixture",
    "Table",
    "open_dataset",
]

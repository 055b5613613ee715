"""Well-known image sets from their original archives: CIFAR-10, SVHN, MNIST. Each reader knows one format."""

import gzip
import math
import pickle
import tarfile
from functools import cached_property
from pathlib import Path

import numpy as np

from deepul_utils.images import downloads
from deepul_utils.images.image_set import ImageSet, quantized
from deepul_utils.toy.distribution import SPLITS

Pair = tuple[np.ndarray, np.ndarray]  # images, uint8 (N, C, 32, 32); labels, int64 (N,)


class Original(ImageSet):
    """Images from a downloaded archive. `sample` draws without replacement.

    Of the original training images every tenth is kept for validation; the test images are the original ones.
    A seed chooses which images of its split, so seeds share images and splits do not.
    """

    choices = (256, 2, 4, 16)
    base, alternative = "", ""
    files: dict[str, str]  # name: MD5, as the hosts and the well-known loaders publish them

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many images each split has. Raises KitError where the archive cannot be downloaded."""
        return {split: len(y) for split, (_, y) in self._splits.items()}

    @cached_property
    def _splits(self) -> dict[str, Pair]:
        (x, y), test = self._read(downloads.fetch(self.name, self.base, self.files, self.alternative))
        held_out = np.arange(len(y)) % 10 == 9
        return dict(zip(SPLITS, ((x[~held_out], y[~held_out]), (x[held_out], y[held_out]), test), strict=True))

    def _draw(self, n, rng, split):
        x, y = self._splits[split]
        if n > len(y):
            raise ValueError(f"{self.name} has {len(y):,} {split} images, not {n:,}.")
        which = rng.permutation(len(y))[:n]
        return quantized(x[which], self.levels), y[which]

    def _read(self, paths: dict[str, Path]) -> tuple[Pair, Pair]:
        """(training images, test images) of the archives."""
        raise NotImplementedError


class Cifar10(Original):
    """Photographs of ten kinds of things (Krizhevsky 2009)."""

    name = "cifar10"
    shape = (3, 32, 32)
    label_names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    base, alternative = "https://www.cs.toronto.edu/~kriz", "shapes32"
    files = {"cifar-10-python.tar.gz": "md5:c58f30108f718f92721af3b95e74349a"}  # noqa: RUF012 - never changed

    def _read(self, paths):
        (archive,) = paths.values()
        with tarfile.open(archive, "r:gz") as tar:
            # In one pass, in the archive's own order: to go back in a compressed file is to read it again.
            batches = {Path(m.name).name: _batch(tar.extractfile(m)) for m in tar if "_batch" in m.name}
        train = [batches[f"data_batch_{k}"] for k in range(1, 6)]
        return tuple(map(np.concatenate, zip(*train, strict=True))), batches["test_batch"]


class Svhn(Original):
    """Digits of house numbers, cropped from street views (Netzer et al. 2011)."""

    name = "svhn"
    shape = (3, 32, 32)
    label_names = tuple("0123456789")
    base, alternative = "http://ufldl.stanford.edu/housenumbers", "glyphs32"
    files = {  # noqa: RUF012
        "train_32x32.mat": "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "md5:eb5a983be6a315427106f1b164d9cef3",
    }

    def _read(self, paths):
        return tuple(_matlab(path) for path in paths.values())


class Mnist32(Original):
    """Handwritten digits (LeCun et al. 1998), 28×28 and two black pixels on each side."""

    name = "mnist32"
    label_names = tuple("0123456789")
    base, alternative = "https://ossci-datasets.s3.amazonaws.com/mnist", "digits32"
    files = {  # noqa: RUF012
        "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
    }

    def _read(self, paths):
        images, labels, test_images, test_labels = (idx(path) for path in paths.values())
        pad = ((0, 0), (2, 2), (2, 2))
        train, test = (np.pad(x, pad)[:, None] for x in (images, test_images))
        return (train, labels.astype(np.int64)), (test, test_labels.astype(np.int64))


class _ArraysOnly(pickle.Unpickler):
    """CIFAR-10 comes as pickles. Its checksum is right when they are read; still, they may make arrays only."""

    def find_class(self, module, name):
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np._core.multiarray._reconstruct
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"A batch of CIFAR-10 has arrays only, not {module}.{name}.")


def _batch(file) -> Pair:
    batch = _ArraysOnly(file, encoding="bytes").load()
    return batch[b"data"].reshape(-1, 3, 32, 32), np.array(batch[b"labels"], dtype=np.int64)


def _matlab(path: Path) -> Pair:
    """A file of SVHN: X (32, 32, 3, N), y (N, 1) with 10 for a zero."""
    from scipy.io import loadmat

    stored = loadmat(path, variable_names=["X", "y"])
    x = np.ascontiguousarray(stored["X"].transpose(3, 2, 0, 1))
    return x, stored["y"].reshape(-1).astype(np.int64) % 10


def idx(path: Path) -> np.ndarray:
    """A file in MNIST's format: two zeros, a type (8 is a byte), the number of dimensions, each of them, the bytes.

    Raises ValueError for anything else.
    """
    with gzip.open(path) as file:
        content = file.read()
    head = 4 + 4 * int.from_bytes(content[3:4])
    shape = tuple(int.from_bytes(content[at : at + 4]) for at in range(4, head, 4))
    if content[:3] != b"\0\0\x08" or len(content) != head + math.prod(shape):
        raise ValueError(f"{path.name} is no file of bytes in MNIST's format.")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)

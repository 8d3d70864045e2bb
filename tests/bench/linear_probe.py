"""A ridge probe: how well a linear classifier reads the classes off frozen features.

    sluice train sweeps/probe.yaml
    python3 tests/bench/linear_probe.py runs/probe

Needs numpy and h5py.  Reads the features stage's checkpoint of the output folder, and, to compare with, the raw pixels of the
same number of Fashion-MNIST images.  Features are standardised on the training images; the ridge is fitted to one-hot classes.
"""
import glob
import gzip
import os
import sys

import h5py
import numpy as np

RIDGE = 1.0


def probe(train, train_labels, test, test_labels):
    """The share of test rows whose class is right, for ridge regression on one-hot classes."""
    mean, deviation = train.mean(0), train.std(0) + 1e-8
    train, test = [np.hstack([(x - mean) / deviation, np.ones((len(x), 1))]) for x in (train, test)]
    target = np.eye(train_labels.max() + 1)[train_labels]
    weights = np.linalg.solve(train.T @ train + RIDGE * np.eye(train.shape[1]), train.T @ target)
    return float((np.argmax(test @ weights, 1) == test_labels).mean())


def features(folder):
    """Features and labels of the folder's features checkpoint."""
    for path in glob.glob(os.path.join(folder, "checkpoints", "*.h5")):
        with h5py.File(path) as file:
            if "train/features" in file:
                return [file[name][:] for name in ("train/features", "train/labels", "test/features", "test/labels")]
    sys.exit(f"{folder}: no features checkpoint; run sluice train sweeps/probe.yaml")


def first_of_each_class(labels, count):
    """Positions of the first `count` images of each class, in file order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == c)[:count] for c in range(labels.max() + 1)]))


def pixels(part, count):
    """Raw pixels and labels of the first `count` Fashion-MNIST images of each class."""
    stem = f"/usr/share/datasets/fashion-mnist/{part}"
    with gzip.open(f"{stem}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(f"{stem}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    rows = first_of_each_class(labels, count)
    return images[rows] / 255.0, labels[rows]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    train, train_labels, test, test_labels = features(sys.argv[1])
    classes = train_labels.max() + 1
    print(f"{len(train)} training and {len(test)} test images, ridge {RIDGE:g}")
    print(f"class token of the backbone ({train.shape[1]} numbers)  {probe(train, train_labels, test, test_labels):.4f}")
    raw = pixels("train", len(train) // classes) + pixels("t10k", len(test) // classes)
    print(f"raw pixels (784 numbers)                  {probe(*raw):.4f}")


if __name__ == "__main__":
    main()

"""The evaluation of a trial from its checkpoints, in NumPy: inferred task, class, accuracy and loss (methods.md 7).

usage: evaluation.py MANIFEST keep|mask

MANIFEST names the checkpoints ("stage KIND TASK FILE"), the task of each class ("class ID TASK") and what the trainer
reported after each task ("accuracy AFTER_TASK TASK ACCURACY TII_ACCURACY LOSS IMAGES").  Exits with 1 and says what
differs.
"""
import sys

import h5py
import numpy as np
from scipy.special import erf


def gelu(x):
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def layer_norm(x, gain, shift, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gain + shift


def take(flat, *shapes):
    """Cut a flat array into arrays of these shapes."""
    at, parts = 0, []
    for shape in shapes:
        n = int(np.prod(shape))
        parts.append(flat[at:at + n].reshape(shape))
        at += n
    assert at == len(flat), f"{len(flat)} numbers, expected {at}"
    return parts


def residual_mlp(z, flat, fc_norm):
    D = z.shape[1]
    two, four = 4 * D * D + 3 * D, 24 * D * D + 17 * D
    if len(flat) in (two, two + 2 * D):
        w1, b1, w2, b2, *norm = take(flat, (2 * D, D), (2 * D,), (D, 2 * D), (D,), *([] if fc_norm else [(D,), (D,)]))
        y = z + gelu(z @ w1.T + b1) @ w2.T + b2
    else:
        E = 4 * D
        w1, b1, w2, b2, g, s, w3, b3, *norm = take(flat, (E, D), (E,), (E, E), (E,), (E,), (E,), (D, E), (D,),
                                                   *([] if fc_norm else [(D,), (D,)]))
        y = z + layer_norm(gelu(z @ w1.T + b1) @ w2.T + b2, g, s, 1e-5) @ w3.T + b3
        assert four > 0
    return y if fc_norm else layer_norm(y, *norm, 1e-5)


def head(file, x):
    if "fc_norm.weight" in file:
        x = layer_norm(x, file["fc_norm.weight"][:], file["fc_norm.bias"][:], 1e-6)
    bias = file["head.bias"][:].astype(float)
    return x @ file["head.weight"][:].astype(float).reshape(len(bias), -1).T + bias


def read_manifest(path):
    stages, task_of, accuracy = {}, {}, []
    for line in open(path):
        word, *rest = line.split()
        if word == "stage":
            stages[rest[0], int(rest[1])] = rest[2]
        elif word == "class":
            task_of[int(rest[0])] = int(rest[1])
        else:
            accuracy.append([int(rest[0]), int(rest[1])] + [float(x) for x in rest[2:]])
    return stages, np.array([task_of[c] for c in sorted(task_of)]), accuracy


def evaluate(stages, task_of, task, mask):
    """{task: (accuracy, tii accuracy, loss, images)} after a task."""
    features = h5py.File(stages["features", -1], "r")
    tii, infer, tap = (h5py.File(stages[kind, task], "r") for kind in ("tii", "infer", "tap"))
    z, labels = features["test/features"][:].astype(float), features["test/labels"][:]
    order = np.concatenate([np.flatnonzero(task_of[labels] == t) for t in range(task + 1)])
    labels = labels[order]
    assert (labels == infer["labels"][:]).all(), "test images in another order"

    logits = head(tii, residual_mlp(z[order], tii["mlp"][:].astype(float), "fc_norm.weight" in tii))
    logits[:, task_of > task] = -np.inf
    inferred = task_of[logits.argmax(1)]
    assert (inferred == infer["inferred"][:]).all(), f"after task {task}: another inferred task"

    logits = head(tap, infer["features"][:].astype(float))
    if mask:
        logits[:, task_of > task] = -np.inf
    right = logits.argmax(1) == labels
    largest = logits.max(1)
    loss = np.log(np.exp(logits - largest[:, None]).sum(1)) + largest - logits[np.arange(len(labels)), labels]
    result = {}
    for t in range(task + 1):
        of = task_of[labels] == t
        result[t] = 100 * right[of].mean(), 100 * (inferred[of] == t).mean(), loss[of].mean(), of.sum()
    return result


def main():
    stages, task_of, accuracy = read_manifest(sys.argv[1])
    assert len(accuracy) == (task_of.max() + 1) * (task_of.max() + 2) // 2, "rows are missing"
    computed = {t: evaluate(stages, task_of, t, sys.argv[2] == "mask") for t in range(task_of.max() + 1)}
    for after, task, *said in accuracy:
        found = computed[after][task]
        if not np.allclose(said, found, rtol=1e-5, atol=1e-9):
            sys.exit(f"after task {after}, task {task}: the trainer says {said}, this script {found}")


main()

#!/usr/bin/env python3
"""PyTorch at what the trainer does most: a NoRGa training step or plain inference, pass by pass.

    /usr/bin/python3 tests/bench/pytorch_step.py vit-micro|vit-s|vit-b BATCH THREADS train|infer

For each line of standard input it does passes for a fifth of a second, one at least, and prints a line: the mean seconds of one, 0
(bench_speed's own passes print SGEMM's rate there) and the largest resident MiB so far.  bench_speed lets it take turns with sluice.

A training step is forward and backward of the cross-entropy to prompts (blocks 0-4), gate scalars and head, with a frozen
backbone, as the official code does it: the prefix is concatenated to keys and values, float32, no optimiser.  Inference is the
backbone's class token.  Weights are random; numbers do not depend on them.
"""
import resource
import sys
import time

import torch

#                    side patch width depth heads
MODELS = {"vit-micro": (32, 4, 128, 6, 4), "vit-s": (224, 16, 384, 12, 6), "vit-b": (224, 16, 768, 12, 12)}
PROMPTED = 5
LENGTH = 5
CLASSES = 100


def build(shape):
    side, patch, width, depth, _ = shape

    def weights(*size):
        return 0.02 * torch.randn(*size)

    block = {"norm1": (torch.ones(width), torch.zeros(width)), "qkv": (weights(3 * width, width), torch.zeros(3 * width)),
             "proj": (weights(width, width), torch.zeros(width)), "norm2": (torch.ones(width), torch.zeros(width)),
             "fc1": (weights(4 * width, width), torch.zeros(4 * width)), "fc2": (weights(width, 4 * width), torch.zeros(width))}
    return {"patch": (weights(width, 3, patch, patch), torch.zeros(width)), "cls": weights(1, 1, width),
            "pos": weights(1, 1 + (side // patch) ** 2, width), "norm": (torch.ones(width), torch.zeros(width)),
            "blocks": [{name: tuple(t.clone() for t in pair) for name, pair in block.items()} for _ in range(depth)]}


def features(model, shape, images, prompt=None, scalars=None):
    """prompt (layers, 2, L, D), the same for every image."""
    F, heads, patch, width = torch.nn.functional, shape[4], shape[1], shape[2]

    def norm(x, pair):
        return F.layer_norm(x, (width,), *pair, 1e-6)

    def split(x):
        return x.unflatten(-1, (heads, width // heads)).transpose(1, 2)

    x = F.conv2d(images, *model["patch"], stride=patch).flatten(2).transpose(1, 2)
    x = torch.cat([model["cls"].expand(len(x), -1, -1), x], 1) + model["pos"]
    scale = (width // heads) ** -0.5
    for i, block in enumerate(model["blocks"]):
        q, k, v = (split(part) for part in F.linear(norm(x, block["norm1"]), *block["qkv"]).chunk(3, -1))
        if prompt is not None and i < PROMPTED:
            keys, values = (split(half.expand(len(x), -1, -1)) for half in prompt[i])
            scores = q @ torch.cat([keys, k], 2).transpose(-1, -2) * scale
            length = keys.shape[2]
            experts = scores[..., :length]
            gated = experts + scalars[i, 1] * torch.tanh(scalars[i, 0] * experts)
            scores, v = torch.cat([gated, scores[..., length:]], -1), torch.cat([values, v], 2)
        else:
            scores = q @ k.transpose(-1, -2) * scale
        x = x + F.linear((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), *block["proj"])
        x = x + F.linear(F.gelu(F.linear(norm(x, block["norm2"]), *block["fc1"])), *block["fc2"])
    return norm(x, model["norm"])[:, 0]


def main(name, batch, threads, what):
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    shape = MODELS[name]
    side, _, width, depth, _ = shape
    model = build(shape)
    images = torch.rand(batch, 3, side, side)
    labels = torch.randint(CLASSES, (batch,))
    prompt = (2 * torch.rand(min(PROMPTED, depth), 2, LENGTH, width) - 1).requires_grad_()
    scalars = torch.ones(len(prompt), 2, requires_grad=True)
    head = (0.02 * torch.randn(CLASSES, width)).requires_grad_(), torch.zeros(CLASSES, requires_grad=True)

    def infer():
        with torch.no_grad():
            features(model, shape, images)

    def train():
        for leaf in (prompt, scalars) + head:
            leaf.grad = None
        logits = torch.nn.functional.linear(features(model, shape, images, prompt, scalars), *head)
        torch.nn.functional.cross_entropy(logits, labels).backward()

    one_pass = {"infer": infer, "train": train}[what]
    # For one thread the processor's time, so that other programs on the machine do not count.
    clock = time.process_time if threads == 1 else time.monotonic
    for _ in sys.stdin:
        start, passes = clock(), 0
        while passes == 0 or clock() - start < 0.2:
            one_pass()
            passes += 1
        seconds = (clock() - start) / passes
        print(seconds, 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

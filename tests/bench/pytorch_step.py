#!/usr/bin/env python3
"""PyTorch's time for what the trainer does most: a NoRGa training step and plain inference, printed as JSON.

    /usr/bin/python3 tests/bench/pytorch_step.py [--models vit-micro,vit-s,vit-b] [--batch N] [--threads N] [--seconds S]

A training step is forward and backward of the cross-entropy to prompts (blocks 0-4), gate scalars and head, with a frozen
backbone, as the official code does it: the prefix is concatenated to keys and values, float32, no optimiser.  Inference is the
backbone's class token.  Weights are random; numbers do not depend on them.  Each model runs in a process of its own, so that
peak memory is that model's; what Python and PyTorch need before the model exists is reported beside it.
"""
import argparse
import json
import platform
import resource
import subprocess
import sys
import time

#                    side patch width depth heads batch
MODELS = {"vit-micro": (32, 4, 128, 6, 4, 128), "vit-s": (224, 16, 384, 12, 6, 24), "vit-b": (224, 16, 768, 12, 12, 24)}
PROMPTED = 5
CLASSES = 100


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def build(torch, shape):
    side, patch, width, depth, _, _ = shape

    def weights(*size):
        return 0.02 * torch.randn(*size)

    block = {"norm1": (torch.ones(width), torch.zeros(width)), "qkv": (weights(3 * width, width), torch.zeros(3 * width)),
             "proj": (weights(width, width), torch.zeros(width)), "norm2": (torch.ones(width), torch.zeros(width)),
             "fc1": (weights(4 * width, width), torch.zeros(4 * width)), "fc2": (weights(width, 4 * width), torch.zeros(width))}
    return {"patch": (weights(width, 3, patch, patch), torch.zeros(width)), "cls": weights(1, 1, width),
            "pos": weights(1, 1 + (side // patch) ** 2, width), "norm": (torch.ones(width), torch.zeros(width)),
            "blocks": [{name: tuple(t.clone() for t in pair) for name, pair in block.items()} for _ in range(depth)]}


def features(torch, model, shape, images, prompt=None, scalars=None):
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


def measure(run, batch, seconds, threads):
    """Images per second: the best of at least two runs within the given time, after one to warm up.  For one thread the
    processor's time, so that other programs on the machine do not count."""
    clock = time.process_time if threads == 1 else time.monotonic
    run()
    times, end = [], time.monotonic() + seconds
    while len(times) < 2 or time.monotonic() < end:
        start = clock()
        run()
        times.append(clock() - start)
    return batch / min(times)


def run_model(args):
    import torch

    torch.manual_seed(0)
    if args.threads:
        torch.set_num_threads(args.threads)
    shape = MODELS[args.one]
    side, _, width, depth, _, batch = shape
    batch = args.batch or batch
    imported = peak_mib()
    model = build(torch, shape)
    images = torch.rand(batch, 3, side, side)
    labels = torch.randint(CLASSES, (batch,))
    prompt = (2 * torch.rand(min(PROMPTED, depth), 2, args.length, width) - 1).requires_grad_()
    scalars = torch.ones(len(prompt), 2, requires_grad=True)
    head = (0.02 * torch.randn(CLASSES, width)).requires_grad_(), torch.zeros(CLASSES, requires_grad=True)

    def infer():
        with torch.no_grad():
            features(torch, model, shape, images)

    def step():
        for leaf in (prompt, scalars) + head:
            leaf.grad = None
        logits = torch.nn.functional.linear(features(torch, model, shape, images, prompt, scalars), *head)
        torch.nn.functional.cross_entropy(logits, labels).backward()

    inference = measure(infer, batch, args.seconds, torch.get_num_threads())
    after_inference = peak_mib()
    training = measure(step, batch, args.seconds, torch.get_num_threads())
    print(json.dumps({"model": args.one, "batch": batch, "prompt_length": args.length, "threads": torch.get_num_threads(),
                      "torch": str(torch.__version__), "infer_images_per_second": round(inference, 2),
                      "train_images_per_second": round(training, 2), "import_mib": round(imported),
                      "infer_peak_mib": round(after_inference), "train_peak_mib": round(peak_mib())}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="which, of " + ", ".join(MODELS))
    parser.add_argument("--batch", type=int, default=0, help="images of a step (default: 128 for vit-micro, else 24)")
    parser.add_argument("--length", type=int, default=5, help="prompt length")
    parser.add_argument("--threads", type=int, default=0, help="PyTorch's threads (default: its own choice)")
    parser.add_argument("--seconds", type=float, default=5, help="least time of each measurement")
    parser.add_argument("--one", choices=MODELS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return run_model(args)
    results = []
    for name in args.models.split(","):
        if name not in MODELS:
            parser.error("no model %r; there are %s" % (name, ", ".join(MODELS)))
        own = [sys.executable, __file__, "--one", name]
        for key in ("batch", "length", "threads", "seconds"):
            own += ["--" + key, str(getattr(args, key))]
        results.append(json.loads(subprocess.run(own, check=True, stdout=subprocess.PIPE).stdout))
    print(json.dumps({"machine": platform.processor() or platform.machine(), "results": results}, indent=2))


if __name__ == "__main__":
    main()

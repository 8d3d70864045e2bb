#!/usr/bin/env python3
"""Writes tests/reference/trainer.h5: NoRGa and HiDe-Prompt on a tiny Vision Transformer, computed by PyTorch's autograd and
optimisers in float64, for the tests of model/ and worker/.

    /usr/bin/python3 tests/reference/trainer.py [FILE]

Nothing here shares code or derivation with the C sources: gradients come from autograd, the official prompt layout from
re-viewing memory, Adam, SGD, clipping and the alignment's cosine from torch.  Before it writes, the script checks itself against
the published fixtures of the attention core and the contrastive regulariser, and that a float32 run of every trajectory stays
within a fifth of the tests' tolerances.

Conventions: row-major, float32 unless noted.  D width 24, H heads 2, T tasks 3, C classes 6, N images 36; prompted blocks 0 and 1
(2 "layers").  A prompt is (layers, 2, L, D): key half, value half; D is head-major.  Gate scalars are (layers, 2): a0, a1.
Linear weights are (out, in).  "i32": 32-bit integers, "f64": double.

  attributes of /           side patch width heads depth hidden classes tasks layers; <group>.<name> as below

  backbone/<timm name>      weights of the ViT
  images                    (N, 3, side, side)      labels (N) i32       classes (T, C/T) i32: the classes of each task, in order
  plain/token plain/mean    (N, D) features without prompt: class token, mean over the patch tokens; both after the norm
  plain/token_raw mean_raw  the same without the final norm

gradient/: a training step of task 1; loss = CE masked to classes[1] + weight * CR(features, means).  Attribute gradient.weight.
  prompts_<L>               (T, layers, 2, L, D), L in 1, 5, 20
  scalars head_w head_b     (layers, 2) (C, D) (C)
  means                     (2, D) old class means, in order
  batch                     (5) i32 images; B = 4 takes the first four
  L<L>/...                  stacked as [gate][layout][B]: none tanh sigmoid relu gelu softplus elu; fixed official; 4 5
    features logits loss    (7, 2, 2, 5, D) (7, 2, 2, 5, C) (7, 2, 2) f64; the fifth image of B = 4 is zero
    prompt scalars          (7, 2, 2, layers, 2, L, D) (7, 2, 2, layers, 2): gradients; prompt: of task 1
    head_w head_b           (7, 2, 2, C, D) (7, 2, 2, C): gradients
  per_head/                 tanh, fixed, L = 5, B = 5, with a0 and a1 for each head
    given                   (layers, 2, H)
    loss features logits prompt scalars head_w head_b     as above for one case; scalars (layers, 2, H)
  fc_norm/                  tanh, fixed, L = 5, B = 5, no final norm; a layer norm (epsilon 1e-6) before the head, CR before it
    given_w given_b         (D)
    loss features logits prompt scalars head_w head_b norm_w norm_b     features: before the norm
  mixed/tasks               (5) i32: the prompt that each image asks for
  mixed/features            (2, 2, 5, D) [layout][B][image], tanh, L = 5

tii/<variant>/: 2, 4-4, 2-fc_norm (no final norm in the backbone, no outer norm in the MLP, fc_norm before the head).  50 Adam steps
on task 1 with clip 1, then alignment over the classes of tasks 0 and 1.
  initial/ trained/ aligned/    w1 b1 w2 b2 [w3 b3] [inner_w inner_b] [norm_w norm_b] [fc_norm_w fc_norm_b] head_w head_b
  batches                   (50, 7) i32 images of each step, -1 beyond the batch (epochs of 12 images: 7 and 5)
  lr loss norm              (50) f64; norm: of all gradients, before clipping
  draws draw_labels         (25, 4 S, D), (25, 4 S) i32: drawn features of each alignment epoch, shuffled; S = 8
  align_lr align_loss       (25) f64, (50) f64: two steps an epoch, step i on rows [i S, (i+1) S)

wtp/<scenario>/: norga (tanh, fixed, batch 7, step schedule) and official (sigmoid, official, batch 8, cosine schedule); L = 5.
Attributes wtp/<scenario>.momentum and .weight.  task<t>/: 50 Adam steps, t = 0, 1, 2, clip 1, gate trained in task 0.
  task<t>/initial/          prompts (T, layers, 2, L, D) scalars head_w head_b, after the transfer from task t-1
  task<t>/final/            the same, before the fold
  task<t>/folded            (layers, 2, L, D) prompt of task t after the fold
  task<t>/means             (2 t, D) old class means of the contrastive term; none for t = 0
  task<t>/batches           (50, 7 or 8) i32, as above
  task<t>/lr loss norm      (50, 2) f64: of prompts and scalars, of the head; (50) f64; (50) f64
  task<t>/features          (12, D) of the images of each class of the task in file order, folded prompt, 6 images a batch
  task<t>/statistics_mean statistics_covariance     (2, D) (2, D, D) of them: unbiased + 1e-4 I
  tap<t>/                   t = 1, 2: alignment of the head of task<t>/final over all classes seen; S = 8
    draws draw_labels       t = 1: (25, 32, D), 2 steps an epoch; t = 2: (13, 48, D), 4 steps an epoch
    lr loss final_w final_b     (epochs) f64, (steps) f64

statistics/: features (40, D); mean (D); covariance (D, D) unbiased + 1e-4 I; cholesky (D, D) lower; normals (8, D);
  drawn (8, D) = mean + cholesky normal
lr/: f64.  The official schedules from lr 0.015 to 1e-5 at most; *_lag: stepped after the epoch
  step step_lag (50): times 0.1 every 30     cosine cosine_lag (150)     align (30): 0.05 to 0 by SGD's cosine
"""
import copy
import math
import os
import sys

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SEED = 7
SIDE, PATCH, WIDTH, HEADS, DEPTH, HIDDEN = 12, 4, 24, 2, 3, 40
TOKENS, HEAD = (SIDE // PATCH) ** 2, WIDTH // HEADS
CLASSES = [[3, 0], [5, 1], [2, 4]]
TASKS, NUM_CLASSES, PER_CLASS, LAYERS = 3, 6, 6, 2
GATES = {"none": None, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": F.relu, "gelu": F.gelu, "softplus": F.softplus,
         "elu": F.elu}
LAYOUTS = ["fixed", "official"]
EPSILON = 1e-6  # of the backbone's layer norms and of fc_norm
STEPS = 50


# --- the model ---------------------------------------------------------------------------------------------------------------

def attention(q, k, v, prefix=None, gate=None, a0=None, a1=None):
    """(B, H, T, d) each; prefix: keys and values (B, H, L, d).  Prefix columns come first in one softmax."""
    scale = q.shape[-1] ** -0.5
    scores = q @ k.transpose(-1, -2) * scale
    if prefix is not None:
        experts = q @ prefix[0].transpose(-1, -2) * scale
        if gate is not None:
            experts = experts + a1 * gate(a0 * experts)
        scores = torch.cat([experts, scores], dim=-1)
        v = torch.cat([prefix[1], v], dim=-2)
    return scores.softmax(-1) @ v


def heads_first(x):
    return x.unflatten(-1, (HEADS, HEAD)).transpose(1, 2)


def batch_prefixes(prompts, layout):
    """prompts (B, layers, 2, L, D), what each sample asks for -> for each layer keys and values (B, H, L, d) that it gets."""
    per_layer = []
    for layer in range(prompts.shape[1]):
        raw = prompts[:, layer].transpose(0, 1).contiguous()  # (2, B, L, D): all keys, then all values
        batch = raw.shape[1]
        pairs = raw.view((batch, 2) + raw.shape[2:]) if layout == "official" else raw.transpose(0, 1)
        per_layer.append((heads_first(pairs[:, 0]), heads_first(pairs[:, 1])))
    return per_layer


def vit(weights, images, prefixes=(), gate=None, scalars=None, final_norm=True):
    """All tokens after the last block, (B, 1 + T, D).  scalars: (layers, 2) or (layers, 2, H)."""
    def linear(x, name):
        return F.linear(x, weights[name + ".weight"], weights[name + ".bias"])

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), weights[name + ".weight"], weights[name + ".bias"], EPSILON)

    x = F.conv2d(images, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=PATCH)
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([weights["cls_token"].expand(len(x), -1, -1), x], 1) + weights["pos_embed"]
    for i in range(DEPTH):
        block = "blocks.%d." % i
        q, k, v = (heads_first(part) for part in linear(norm(x, block + "norm1"), block + "attn.qkv").chunk(3, -1))
        prefix, a0, a1 = None, None, None
        if i < len(prefixes):
            prefix = prefixes[i]
            a0, a1 = (s.reshape(1, -1, 1, 1) for s in scalars[i])
        out = attention(q, k, v, prefix, gate, a0, a1)
        x = x + linear(out.transpose(1, 2).flatten(2), block + "attn.proj")
        x = x + linear(F.gelu(linear(norm(x, block + "norm2"), block + "mlp.fc1")), block + "mlp.fc2")
    return norm(x, "norm") if final_norm else x


def contrastive(features, means, temperature=0.8):
    rows = torch.cat([means, features]) if means is not None else features
    scores = rows @ rows.T / temperature
    return F.cross_entropy(scores, torch.arange(len(rows)))


def masked_loss(logits, labels, classes):
    mask = torch.full((logits.shape[1],), -math.inf, dtype=logits.dtype)
    mask[list(classes)] = 0
    return F.cross_entropy(logits + mask, labels)


class Tii(nn.Module):
    """Residual MLP and head on features of the frozen backbone."""

    def __init__(self, variant):
        super().__init__()
        self.fc_norm = variant == "2-fc_norm"
        self.deep = variant == "4-4"
        hidden = 4 * WIDTH if self.deep else 2 * WIDTH
        shapes = {"w1": (hidden, WIDTH), "b1": (hidden,)}
        if self.deep:
            shapes.update(w2=(hidden, hidden), b2=(hidden,), w3=(WIDTH, hidden), b3=(WIDTH,))
            shapes.update(inner_w=(hidden,), inner_b=(hidden,))
        else:
            shapes.update(w2=(WIDTH, hidden), b2=(WIDTH,))
        norm = "fc_norm" if self.fc_norm else "norm"
        shapes.update({norm + "_w": (WIDTH,), norm + "_b": (WIDTH,), "head_w": (NUM_CLASSES, WIDTH), "head_b": (NUM_CLASSES,)})
        for name, shape in shapes.items():
            start = 1.0 if name.endswith("norm_w") or name == "inner_w" else 0.0
            setattr(self, name, nn.Parameter(start + 0.1 * torch.randn(shape)))

    def forward(self, z):
        u = F.gelu(F.linear(z, self.w1, self.b1))
        if self.deep:
            u = F.layer_norm(F.linear(u, self.w2, self.b2), self.inner_w.shape, self.inner_w, self.inner_b, 1e-5)
            y = z + F.linear(u, self.w3, self.b3)
        else:
            y = z + F.linear(u, self.w2, self.b2)
        if self.fc_norm:
            y = F.layer_norm(y, (WIDTH,), self.fc_norm_w, self.fc_norm_b, EPSILON)
        else:
            y = F.layer_norm(y, (WIDTH,), self.norm_w, self.norm_b, 1e-5)
        return F.linear(y, self.head_w, self.head_b)


# --- fixtures that any implementation must meet ------------------------------------------------------------------------------

def check_attention_fixture():
    f64 = dict(dtype=torch.float64, requires_grad=True)
    expected = {
        "tanh": ([.152394, -.694349, -.511736, .592484], [.829032, -.206235], [.702561, -.483590],
                 [.683602, -.345797, -.660549, -.368295], .365343, .928037),
        "sigmoid": ([.136284, -.657010, -.363733, .286382], [.928344, -.814296], [.753482, -.200827],
                    [.574524, -.323071, -.842591, -.146438], .321831, .465587),
        "gelu": ([.209081, -.825733, -.417308, .397186], [1.211925, -.192643], [.800787, -.368921],
                 [1.436434, -.515510, -.546477, -.280410], .851988, .825238),
    }
    for name, values in expected.items():
        q = torch.tensor([[[[1, .5], [-.5, 2]]]], **f64)
        k = torch.tensor([[[[.5, -1], [1.5, .25]]]], dtype=torch.float64)
        v = torch.tensor([[[[1, 2], [-1, .5]]]], dtype=torch.float64)
        kp, vp = torch.tensor([[[[2, -.5]]]], **f64), torch.tensor([[[[.5, -1.5]]]], **f64)
        a0, a1 = torch.tensor(1., **f64), torch.tensor(1., **f64)
        out = attention(q, k, v, (kp, vp), GATES[name], a0, a1)
        out.backward(torch.tensor([[[[1, -1], [.5, 2]]]], dtype=torch.float64))
        for got, want in zip((out.detach(), kp.grad, vp.grad, q.grad, a0.grad, a1.grad), values):
            assert np.allclose(got.numpy().ravel(), want, atol=1.5e-6), (name, got, want)


def check_contrastive_fixture():
    rows = torch.tensor([[1, 0], [.6, .8], [-.5, .5]], dtype=torch.float64, requires_grad=True)
    value = contrastive(rows, None)
    value.backward()
    want = [[-.244824, .269256], [-.068400, -.219682], [.418059, -.033724]]
    assert abs(value.item() - .620521) < 1e-6 and np.allclose(rows.grad.numpy(), want, atol=1e-6)
    means, features = rows.detach()[:1], rows.detach()[1:]
    assert abs(contrastive(features, means).item() - .620521) < 1e-6


def check_layout():
    """B = 4 -> (K0,K1) (K2,K3) (V0,V1) (V2,V3), B = 5 -> (K0,K1) (K2,K3) (K4,V0) (V1,V2) (V3,V4)."""
    for batch, want in ((4, [0, 1, 2, 3, 10, 11, 12, 13]), (5, [0, 1, 2, 3, 4, 10, 11, 12, 13, 14])):
        asked = torch.tensor([[[b, 10 + b]] for b in range(batch)], dtype=torch.float64)  # (B, 1, 2)
        keys, values = batch_prefixes(asked[..., None, None].expand(-1, -1, -1, 1, WIDTH), "official")[0]
        got = [int(x) for b in range(batch) for x in (keys[b, 0, 0, 0], values[b, 0, 0, 0])]
        assert got == want, (got, want)


# --- data --------------------------------------------------------------------------------------------------------------------

def rounded(x, bits=10):
    """Values given to both sides: few fractional bits, so float32 holds them exactly and the file stays small."""
    return (x.double() * 2 ** bits).round() / 2 ** bits


def make_backbone():
    def linear(prefix, out, inp):
        return {prefix + ".weight": torch.randn(out, inp) / math.sqrt(inp), prefix + ".bias": 0.1 * torch.randn(out)}

    def norm(prefix):
        return {prefix + ".weight": 1 + 0.1 * torch.randn(WIDTH), prefix + ".bias": 0.1 * torch.randn(WIDTH)}

    w = {"cls_token": 0.5 * torch.randn(1, 1, WIDTH), "pos_embed": 0.5 * torch.randn(1, 1 + TOKENS, WIDTH)}
    w.update(linear("patch_embed.proj", WIDTH, 3 * PATCH * PATCH))
    w["patch_embed.proj.weight"] = w["patch_embed.proj.weight"].view(WIDTH, 3, PATCH, PATCH)
    for i in range(DEPTH):
        block = "blocks.%d." % i
        w.update(norm(block + "norm1"))
        w.update(linear(block + "attn.qkv", 3 * WIDTH, WIDTH))
        w.update(linear(block + "attn.proj", WIDTH, WIDTH))
        w.update(norm(block + "norm2"))
        w.update(linear(block + "mlp.fc1", HIDDEN, WIDTH))
        w.update(linear(block + "mlp.fc2", WIDTH, HIDDEN))
    w.update(norm("norm"))
    return {name: rounded(value) for name, value in w.items()}


def make_images():
    """Classes differ by a pattern under noise, so that losses fall."""
    patterns = torch.rand(NUM_CLASSES, 3, SIDE, SIDE)
    labels = torch.arange(NUM_CLASSES).repeat(PER_CLASS)
    images = 0.4 * patterns[labels] + 0.6 * torch.rand(len(labels), 3, SIDE, SIDE)
    return rounded(images, 7), labels


def images_of(labels, classes):
    return [i for i, label in enumerate(labels.tolist()) if label in classes]


def make_batches(indices, size, steps=STEPS):
    """Shuffled epochs with the short batch kept."""
    batches = []
    while len(batches) < steps:
        order = [indices[i] for i in torch.randperm(len(indices))]
        batches += [order[i:i + size] for i in range(0, len(order), size)]
    return batches[:steps]


def pad_batches(batches):
    width = max(len(b) for b in batches)
    return np.array([b + [-1] * (width - len(b)) for b in batches], np.int32)


class Data:
    """Everything given, in one precision."""

    def __init__(self, weights, images, labels, dtype):
        self.weights = {name: w.to(dtype) for name, w in weights.items()}
        self.images, self.labels, self.dtype = images.to(dtype), labels, dtype

    def plain(self, final_norm=True):
        with torch.no_grad():
            return vit(self.weights, self.images, final_norm=final_norm)


# --- one step ----------------------------------------------------------------------------------------------------------------

def gradient_step(data, prompts, tasks, gate, layout, scalars, head, batch, classes, means, weight, fc_norm=None):
    """Loss of one step and gradients of everything trainable.  prompts (T, layers, 2, L, D); tasks: the prompt of each sample."""
    leaves = [x.detach().clone().requires_grad_() for x in (prompts, scalars) + head + (fc_norm or ())]
    pool, scalars, head_w, head_b = leaves[:4]
    features = vit(data.weights, data.images[batch], batch_prefixes(pool[tasks], layout), GATES[gate], scalars,
                   final_norm=fc_norm is None)[:, 0]
    before_head = F.layer_norm(features, (WIDTH,), leaves[4], leaves[5], EPSILON) if fc_norm else features
    logits = F.linear(before_head, head_w, head_b)
    loss = masked_loss(logits, data.labels[batch], classes) + weight * contrastive(features, means)
    loss.backward()
    gradients = [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]
    return features.detach(), logits.detach(), loss.item(), gradients


def gradient_group(data):
    weight, task = 0.3, 1
    out = {"attributes": {"weight": weight}}
    scalars = rounded(torch.tensor([[0.7, 1.3], [-0.9, 0.6]]))
    per_head = rounded(torch.tensor([[[0.7, -0.4], [1.3, 0.8]], [[-0.9, 1.1], [0.6, -1.2]]]))
    head = (rounded(0.3 * torch.randn(NUM_CLASSES, WIDTH)), rounded(0.1 * torch.randn(NUM_CLASSES)))
    means = rounded(torch.randn(2, WIDTH))
    pools = {length: rounded(2 * torch.rand(TASKS, LAYERS, 2, length, WIDTH) - 1) for length in (1, 5, 20)}
    batch = images_of(data.labels, CLASSES[task])[3:8]
    out.update(scalars=scalars, head_w=head[0], head_b=head[1], means=means, batch=np.array(batch, np.int32))

    def step(length, gate, layout, size, scalars=scalars, fc_norm=None):
        return gradient_step(data, pools[length], [task] * size, gate, layout, scalars, head, batch[:size], CLASSES[task], means,
                             weight, fc_norm)

    for length, pool in pools.items():
        out["prompts_%d" % length] = pool
        rows = {name: [] for name in ("features", "logits", "loss", "prompt", "scalars", "head_w", "head_b")}
        for gate in GATES:
            for layout in LAYOUTS:
                for size in (4, 5):
                    features, logits, loss, (d_pool, d_scalars, d_w, d_b) = step(length, gate, layout, size)
                    others = [t for t in range(TASKS) if t != task]
                    assert not d_pool[others].any(), "only the current prompt has a gradient"
                    pad = (0, 0, 0, 5 - size)
                    for name, value in zip(rows, (F.pad(features, pad), F.pad(logits, pad), torch.tensor(loss), d_pool[task],
                                                  d_scalars, d_w, d_b)):
                        rows[name].append(value)
        for name, values in rows.items():
            stacked = torch.stack(values)
            out["L%d/%s" % (length, name)] = stacked.view((len(GATES), 2, 2) + stacked.shape[1:])

    def store(prefix, result, names):
        features, logits, loss, gradients = result
        out.update({prefix + "features": features, prefix + "logits": logits, prefix + "loss": torch.tensor(loss),
                    prefix + "prompt": gradients[0][task]})
        out.update({prefix + name: g for name, g in zip(names, gradients[1:])})

    names = ("scalars", "head_w", "head_b", "norm_w", "norm_b")
    out["per_head/given"] = per_head
    store("per_head/", step(5, "tanh", "fixed", 5, scalars=per_head), names)
    fc_norm = (rounded(1 + 0.2 * torch.randn(WIDTH)), rounded(0.2 * torch.randn(WIDTH)))
    out["fc_norm/given_w"], out["fc_norm/given_b"] = fc_norm
    store("fc_norm/", step(5, "tanh", "fixed", 5, fc_norm=fc_norm), names)

    tasks = [2, 0, 1, 2, 0]
    mixed = torch.zeros(2, 2, 5, WIDTH, dtype=data.dtype)
    for i, layout in enumerate(LAYOUTS):
        for j, size in enumerate((4, 5)):
            prefixes = batch_prefixes(pools[5][tasks[:size]], layout)
            mixed[i, j, :size] = vit(data.weights, data.images[batch[:size]], prefixes, GATES["tanh"], scalars)[:, 0]
    out["mixed/tasks"], out["mixed/features"] = np.array(tasks, np.int32), mixed
    return out


# --- schedules ---------------------------------------------------------------------------------------------------------------

def schedule(kind, lr, epoch, epochs, decay_epochs=30, decay_rate=0.1, minimum=1e-5):
    if kind == "step":
        return lr * decay_rate ** (epoch // decay_epochs)
    if kind == "cosine":
        return minimum + 0.5 * (lr - minimum) * (1 + math.cos(math.pi * epoch / epochs))
    return lr


def lagged(epoch):
    """The official loop steps its scheduler with e after epoch e, so that epoch e runs with the value of e - 1."""
    return max(epoch - 1, 0)


def align_lrs(lr, epochs):
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=epochs)
    lrs = []
    for _ in range(epochs):
        lrs.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    formula = [0.5 * lr * (1 + math.cos(math.pi * e / epochs)) for e in range(epochs)]
    assert np.allclose(lrs, formula, rtol=1e-9, atol=1e-12 * lr)
    return lrs


def lr_group():
    out = {"step": [schedule("step", 0.015, e, 50) for e in range(50)],
           "step_lag": [schedule("step", 0.015, lagged(e), 50) for e in range(50)],
           "cosine": [schedule("cosine", 0.015, e, 150) for e in range(150)],
           "cosine_lag": [schedule("cosine", 0.015, lagged(e), 150) for e in range(150)],
           "align": align_lrs(0.05, 30)}
    assert out["step_lag"][30] == 0.015 and abs(out["step_lag"][31] - 0.0015) < 1e-12
    for epoch, want in ((0, 0.015), (1, 0.015), (2, 0.01499836), (75, 0.00766196), (149, 1.657e-5)):
        assert abs(out["cosine_lag"][epoch] - want) < 1e-8
    return {name: np.array(values, np.float64) for name, values in out.items()}


# --- trajectories ------------------------------------------------------------------------------------------------------------

def make_draws(statistics, size, epochs):
    """For each epoch `size` features of each class, shuffled: (epochs, classes * size, D) and labels."""
    features, labels = [], []
    for _ in range(epochs):
        x = torch.cat([mean + torch.randn(size, WIDTH) @ torch.linalg.cholesky(covariance).T.float()
                       for mean, covariance in statistics.values()])
        y = torch.tensor(list(statistics)).repeat_interleave(size)
        order = torch.randperm(len(y))
        features.append(x[order])
        labels.append(y[order])
    return rounded(torch.stack(features), 5), torch.stack(labels)


def class_statistics(features):
    centred = features - features.mean(0)
    covariance = centred.T @ centred / (len(features) - 1) + 1e-4 * torch.eye(WIDTH, dtype=features.dtype)
    assert np.allclose(covariance.numpy(), np.cov(features.numpy().T) + 1e-4 * np.eye(WIDTH), atol=1e-5)
    return features.mean(0), covariance


def align(parameters, forward, draws, labels, size, steps_per_epoch, lr, classes):
    """SGD with momentum 0.9 on drawn features, the learning rate set each epoch, no clipping."""
    optimiser = torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=0)
    losses = []
    lrs = align_lrs(lr, len(draws))
    for epoch, rate in enumerate(lrs):
        optimiser.param_groups[0]["lr"] = rate
        for i in range(steps_per_epoch):
            rows = slice(i * size, (i + 1) * size)
            loss = masked_loss(forward(draws[epoch, rows]), labels[epoch, rows], classes)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return lrs, losses


def adam_step(optimiser, groups_lr, loss):
    for group, lr in zip(optimiser.param_groups, groups_lr):
        group["lr"] = lr
    optimiser.zero_grad()
    loss.backward()
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
    return loss.item(), norm.item()


def tii_trajectory(given, data, dtype):
    model = copy.deepcopy(given["model"]).to(dtype)
    features = data.plain(final_norm=not model.fc_norm)[:, 0]
    optimiser = torch.optim.Adam(model.parameters(), lr=given["lr"], betas=(0.9, 0.999), eps=1e-8)
    out = {"initial/" + n: p.detach().clone() for n, p in model.named_parameters()}
    steps = [adam_step(optimiser, [given["lr"]], masked_loss(model(features[b]), data.labels[b], CLASSES[1]))
             for b in given["batches"]]
    out.update({"trained/" + n: p.detach().clone() for n, p in model.named_parameters()})
    lrs, losses = align(model.parameters(), model, given["draws"].to(dtype), given["draw_labels"], 8, 2, 0.01,
                        CLASSES[0] + CLASSES[1])
    out.update({"aligned/" + n: p.detach().clone() for n, p in model.named_parameters()})
    out.update(batches=pad_batches(given["batches"]), lr=np.full(STEPS, given["lr"]), loss=np.array([s[0] for s in steps]),
               norm=np.array([s[1] for s in steps]), draws=given["draws"], draw_labels=given["draw_labels"].int(),
               align_lr=np.array(lrs), align_loss=np.array(losses))
    return out


def tii_given(variant, data):
    torch.manual_seed(SEED + 100)
    model = Tii(variant)
    for p in model.parameters():
        p.data = rounded(p.data)
    features = data.plain(final_norm=not model.fc_norm)[:, 0].float()
    statistics = {c: (features[images_of(data.labels, [c])].mean(0), 0.3 * torch.eye(WIDTH)) for c in CLASSES[0] + CLASSES[1]}
    draws, labels = make_draws(statistics, 8, 25)
    return {"model": model, "lr": 0.002, "batches": make_batches(images_of(data.labels, CLASSES[1]), 7), "draws": draws,
            "draw_labels": labels}


SCENARIOS = {
    "norga": {"gate": "tanh", "layout": "fixed", "momentum": 0.1, "weight": 0.1, "batch": 7, "schedule": "step"},
    "official": {"gate": "sigmoid", "layout": "official", "momentum": 0.01, "weight": 0.5, "batch": 8, "schedule": "cosine"},
}
LENGTH, PROMPT_LR, HEAD_LR, EPOCHS = 5, 0.015, 0.0015, 25
TAP_EPOCHS = {1: 25, 2: 13}


def wtp_given(scenario, labels):
    torch.manual_seed(SEED + 200)
    return {"pool": rounded(2 * torch.rand(TASKS, LAYERS, 2, LENGTH, WIDTH) - 1),
            "head_w": rounded(0.02 * torch.randn(NUM_CLASSES, WIDTH)),
            "head_b": torch.zeros(NUM_CLASSES, dtype=torch.float64),
            "batches": [make_batches(images_of(labels, CLASSES[t]), scenario["batch"]) for t in range(TASKS)], "draws": {}}


class Wtp:
    """The prompt learner of one scenario, task by task."""

    def __init__(self, scenario, given, data):
        self.s, self.given, self.data = scenario, given, data
        self.pool = nn.Parameter(given["pool"].to(data.dtype, copy=True))
        self.scalars = nn.Parameter(torch.ones(LAYERS, 2, dtype=data.dtype))
        self.head_w = nn.Parameter(given["head_w"].to(data.dtype, copy=True))
        self.head_b = nn.Parameter(given["head_b"].to(data.dtype, copy=True))
        self.means, self.statistics = [], {}

    def state(self):
        return {"prompts": self.pool, "scalars": self.scalars, "head_w": self.head_w, "head_b": self.head_b}

    def store(self, out, where):
        out.update({where + name: value.detach().clone() for name, value in self.state().items()})

    def features(self, images, task, mixed):
        pool = self.pool
        asked = pool[task]
        if mixed and task > 0:
            m = self.s["momentum"]
            asked = (1 - m) * asked + m * pool[:task].detach().mean(0)
        prefixes = batch_prefixes(asked.expand((len(images),) + asked.shape), self.s["layout"])
        return vit(self.data.weights, self.data.images[images], prefixes, GATES[self.s["gate"]], self.scalars)[:, 0]

    def learn(self, task):
        out = {}
        if task > 0:
            self.scalars.requires_grad_(False)
            with torch.no_grad():
                self.pool[task] = self.pool[task - 1]
        prompts = [self.pool] + ([self.scalars] if task == 0 else [])
        groups = [{"params": prompts}, {"params": [self.head_w, self.head_b]}]
        optimiser = torch.optim.Adam(groups, lr=0, betas=(0.9, 0.999), eps=1e-8)
        means = torch.stack(self.means) if self.means else None
        if means is not None:
            means = means.float().to(self.data.dtype)  # as the file holds them
            out["means"] = means
        self.store(out, "initial/")
        lrs, steps = [], []
        for step, batch in enumerate(self.given["batches"][task]):
            epoch = lagged(step // 2)
            lrs.append([schedule(self.s["schedule"], lr, epoch, EPOCHS, decay_epochs=10) for lr in (PROMPT_LR, HEAD_LR)])
            features = self.features(batch, task, mixed=True)
            logits = F.linear(features, self.head_w, self.head_b)
            loss = masked_loss(logits, self.data.labels[batch], CLASSES[task]) + self.s["weight"] * contrastive(features, means)
            steps.append(adam_step(optimiser, lrs[-1], loss))
        self.store(out, "final/")
        with torch.no_grad():
            if task > 0:
                m = self.s["momentum"]
                before = self.features(self.given["batches"][task][0], task, mixed=True)
                self.pool[task] = (1 - m) * self.pool[task] + m * self.pool[:task].mean(0)
                assert torch.allclose(before, self.features(self.given["batches"][task][0], task, mixed=False), atol=1e-5)
            out["folded"] = self.pool[task].clone()
            own = [self.features(images_of(self.data.labels, [c]), task, mixed=False) for c in CLASSES[task]]
        pairs = [class_statistics(x) for x in own]
        self.means += [mean for mean, _ in pairs]
        self.statistics.update({c: (mean.float(), covariance) for c, (mean, covariance) in zip(CLASSES[task], pairs)})
        out.update(features=torch.cat(own), statistics_mean=torch.stack([p[0] for p in pairs]),
                   statistics_covariance=torch.stack([p[1] for p in pairs]), batches=pad_batches(self.given["batches"][task]),
                   lr=np.array(lrs), loss=np.array([s[0] for s in steps]), norm=np.array([s[1] for s in steps]))
        return out

    def align(self, task):
        if task not in self.given["draws"]:  # made once, by the first run
            self.given["draws"][task] = make_draws(self.statistics, 8, TAP_EPOCHS[task])
        draws, labels = self.given["draws"][task]
        seen = sum(CLASSES[:task + 1], [])
        lrs, losses = align([self.head_w, self.head_b], lambda x: F.linear(x, self.head_w, self.head_b),
                            draws.to(self.data.dtype), labels, 8, 2 * task, 0.05, seen)
        return {"draws": draws, "draw_labels": labels.int(), "lr": np.array(lrs), "loss": np.array(losses),
                "final_w": self.head_w.detach().clone(), "final_b": self.head_b.detach().clone()}


def wtp_trajectory(scenario, given, data):
    learner, out = Wtp(scenario, given, data), {}
    for task in range(TASKS):
        out.update({"task%d/%s" % (task, name): value for name, value in learner.learn(task).items()})
        if task > 0:
            out.update({"tap%d/%s" % (task, name): value for name, value in learner.align(task).items()})
    return out


def compare(exact, single, what):
    """The float32 run's distance, as a share of the tests' tolerances: loss 1e-4, parameters 1e-3, both relative."""
    worst = 0
    for name, value in exact.items():
        a, b = np.asarray(value, np.float64), np.asarray(single[name], np.float64)
        tolerance = 1e-4 if name.split("/")[-1].endswith("loss") else 1e-3
        worst = max(worst, np.abs(a - b).max() / max(np.abs(a).max(), 1e-30) / tolerance)
    assert worst < 0.2, (what, worst)
    return worst


# --- the rest and the file ---------------------------------------------------------------------------------------------------

def statistics_group():
    mixing = torch.randn(WIDTH, WIDTH)
    features = rounded(torch.randn(40, WIDTH) @ mixing / 4 + torch.randn(WIDTH))
    mean, covariance = class_statistics(features)
    factor = torch.linalg.cholesky(covariance)
    normals = rounded(torch.randn(8, WIDTH))
    return {"features": features, "mean": mean, "covariance": covariance, "cholesky": factor, "normals": normals,
            "drawn": mean + normals @ factor.T}


def create(path):
    """A file without time stamps and with small object headers: the same arrays give the same bytes."""
    properties, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    properties.set_obj_track_times(False)
    access.set_libver_bounds(h5py.h5f.LIBVER_LATEST, h5py.h5f.LIBVER_LATEST)
    return h5py.File(h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC, fcpl=properties, fapl=access))


def create_groups(out, name):
    """The groups above the array `name`."""
    properties = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    parts = name.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        group = "/".join(parts[:depth])
        if group not in out:
            h5py.h5g.create(out.id, group.encode(), gcpl=properties)


def write(path, groups):
    with create(path) as out:
        sizes = {"side": SIDE, "patch": PATCH, "width": WIDTH, "heads": HEADS, "depth": DEPTH, "hidden": HIDDEN,
                 "classes": NUM_CLASSES, "tasks": TASKS, "layers": LAYERS}
        out.attrs.update({name: float(value) for name, value in sizes.items()})
        out.attrs.update({"seed": float(SEED), "torch": str(torch.__version__)})
        for group, arrays in groups.items():
            for name, value in arrays.items():
                if name == "attributes":
                    out.attrs.update({group.strip("/") + "." + key: number for key, number in value.items()})
                    continue
                value = np.asarray(value)
                if value.dtype == np.int64:
                    value = value.astype(np.int32)
                elif value.dtype == np.float64 and name.split("/")[-1] not in F64 and group != "lr/":
                    value = value.astype(np.float32)
                assert not value.dtype.kind == "f" or np.isfinite(value).all(), (group, name)
                packed = dict(compression="gzip", compression_opts=9, shuffle=True) if value.nbytes > 4096 else {}
                create_groups(out, group + name)
                out.create_dataset(group + name, data=value, track_times=False, **packed)


F64 = ("loss", "align_loss", "lr", "align_lr", "norm")


def main():
    check_attention_fixture()
    check_contrastive_fixture()
    check_layout()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    weights = make_backbone()
    images, labels = make_images()
    exact, single = (Data(weights, images, labels, dtype) for dtype in (torch.float64, torch.float32))
    normed, raw = exact.plain(), exact.plain(final_norm=False)
    groups = {
        "backbone/": weights,
        "": {"images": images, "labels": labels, "classes": np.array(CLASSES, np.int32)},
        "plain/": {"token": normed[:, 0], "mean": normed[:, 1:].mean(1), "token_raw": raw[:, 0], "mean_raw": raw[:, 1:].mean(1)},
        "gradient/": gradient_group(exact),
        "statistics/": statistics_group(),
        "lr/": lr_group(),
    }
    for variant in ("2", "4-4", "2-fc_norm"):
        given = tii_given(variant, exact)
        result = tii_trajectory(given, exact, torch.float64)
        share = compare(result, tii_trajectory(given, single, torch.float32), "tii " + variant)
        loss, aligned, norm = result["loss"], result["align_loss"], result["norm"]
        print("tii %s: loss %.3f -> %.3f, aligned %.3f -> %.3f, norm %.2f..%.2f, float32 uses %.4f of the tolerance" % (
            variant, loss[0], loss[-1], aligned[0], aligned[-1], norm.min(), norm.max(), share))
        groups["tii/%s/" % variant] = result
    for name, scenario in SCENARIOS.items():
        given = wtp_given(scenario, labels)
        result = wtp_trajectory(scenario, given, exact)
        share = compare(result, wtp_trajectory(scenario, given, single), "wtp " + name)
        for part in ("task0", "task1", "task2", "tap1", "tap2"):
            loss, norm = result[part + "/loss"], result.get(part + "/norm", np.zeros(1))
            print("wtp %s %s: loss %.3f -> %.3f, norm %.2f..%.2f" % (name, part, loss[0], loss[-1], norm.min(), norm.max()))
        print("wtp %s: float32 uses %.4f of the tolerance" % (name, share))
        groups["wtp/%s/" % name] = dict(result, attributes={key: scenario[key] for key in ("momentum", "weight")})
    write(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "trainer.h5"), groups)


if __name__ == "__main__":
    main()

"""What imports must see in a file, each in one that is good or wrong in exactly that.  By hand: torch is not needed.

    backbone_profiles.py FOLDER

writes FOLDER/profiles/<file>, and profiles.txt: of the good variants of one tiny network, lines of file and SHA-256.
Status 77: NumPy or h5py is missing.
"""
import collections
import functools
import pathlib
import shutil
import sys

import backbone_files as files
import numpy as np
from backbone_files import Entry, by_hand, dict_of, name, number, raw, short, tuple_of


# ---------------------------------------------------------------- one tiny network in many forms

def as_type(weights, dtype):
    return collections.OrderedDict((n, t.astype(dtype)) for n, t in weights.items())


DROPPED = {"head_dist.weight": (3, 8), "pre_logits.fc.weight": (8, 8), "mask_token": (1, 1, 8), "masked_embed": (1, 8),
           "decoder_embed.weight": (4, 8), "decoder_pos_embed": (1, 5, 4), "last_layer.weight_g": (3, 1), "projector.0.weight": (2, 8),
           "predictor.0.bias": (2,), "projector.1.num_batches_tracked": ()}


def newer(weights):
    """Each tensor in another of the forms that newer and older versions of torch write."""
    data, items = [], b""
    for i, (n, t) in enumerate(weights.items()):
        untyped = i % 3 == 0
        count, kind = (t.nbytes, name("torch.storage", "UntypedStorage")) if untyped else (t.size, name("torch", "FloatStorage"))
        store = tuple_of(short("storage"), kind, short(str(i)), short("cpu"), number(count)) + b"Q"
        sizes = tuple_of(*map(number, t.shape))
        strides = tuple_of(*(number(s // 4) for s in t.strides))
        hooks = name("collections", "OrderedDict") + b")R"
        if untyped:
            value = name("torch._utils", "_rebuild_tensor_v3") + tuple_of(
                store, number(0), sizes, strides, b"\x89", hooks, name("torch", "float32"), b"N") + b"R"
        else:
            sized = name("torch", "Size") + sizes + b"\x85R" if i % 3 == 1 else sizes
            value = name("torch._utils", "_rebuild_tensor_v2") + tuple_of(store, number(0), sized, strides, b"\x89", hooks) + b"R"
        if i % 2:
            value = name("torch._utils", "_rebuild_parameter_with_state") + tuple_of(value, b"\x89", hooks, dict_of(x=number(1))) + b"R"
        items += short(n) + value
        data.append(t)
    return files.zip_file([Entry("a/data.pkl", files.whole(b"}(" + items + b"u"))] +
                          [Entry(f"a/data/{i}", raw(t)) for i, t in enumerate(data)] + [Entry("a/version", b"3\n")])


def called(module, what, *arguments):
    return name(module, what) + tuple_of(*arguments) + b"R"


USUAL = {"shape": called("torch", "Size", tuple_of(number(2))), "device": called("torch", "device", short("cpu")),
         "type": name("torch", "float32"), "args": name("argparse", "Namespace") + b")\x81}b",
         "rate": called("numpy.core.multiarray", "scalar", called("numpy", "dtype", short("f8"), number(0), number(1)), b"C\x08" + bytes(8)),
         "blob": called("_codecs", "encode", short("x"), short("latin1")), "set": called("__builtin__", "set", b"]")}


def good(w):
    """Container bytes of files that hold these weights, or what the last ones hold instead."""
    wide, half = as_type(w, "f8"), as_type(w, "f2")
    wide = collections.OrderedDict((n, t * (1 + 2 ** -40)) for n, t in wide.items())
    scalars = {"head.scalar": np.array(1, "f4"), "head.empty": np.zeros((0, 3), "f4"), "norm.num_batches_tracked": np.array(7, "i8")}
    yield "scalars.pth", by_hand({**w, **scalars}), w
    yield "scalars-legacy.pth", files.legacy_by_hand({**w, **scalars}), w
    yield "dropped.safetensors", files.safetensors({**w, **{n: np.ones(s, "f4") for n, s in DROPPED.items()}}), w
    yield "newer-values.pth", newer(w), w
    usual = b"".join(short(n) + v for n, v in USUAL.items())
    yield "usual-values.pth", by_hand(w, usual), w
    yield "newer-records.pth", by_hand(w, records=[
        Entry("a/byteorder", b"little"), Entry("a/.format_version", b"1"), Entry("a/.storage_alignment", b"64"),
        Entry("a/.data/serialization_id", b"0" * 40)]), w
    yield "half.safetensors", files.safetensors(half), half
    yield "wide.safetensors", files.safetensors(wide), wide
    yield "wide.npz", files.zip_of({n: a.astype("<f8") for n, a in jax_wide(wide)}), wide


def jax_wide(w):
    """files.jax() rounds to float32: the rest is put back."""
    small = as_type(w, "f4")
    rest = collections.OrderedDict((n, t - small[n]) for n, t in w.items())
    scale = 2.0 ** 30
    low = files.jax(collections.OrderedDict((n, (t * scale).astype("f4")) for n, t in rest.items()), files.HEADS)
    return [(n, a.astype("f8") + low[n] / scale) for n, a in files.jax(small, files.HEADS).items()]


# ---------------------------------------------------------------- what must be told

def told(w):
    # Two long names go before the dangerous one; a line of theirs once pushed it out.
    long_names = b"".join(short(f"k{i}") + name(f"m{i}" + "x" * 110, "n" + "y" * 110) + b")R" for i in range(2))
    evil = long_names + short("z") + called("os", "system", short("touch sluice-was-here"))
    yield "evil.pth", by_hand(w, evil)
    yield "evil-incomplete.pth", by_hand({n: t for n, t in w.items() if n != "norm.bias"}, evil)
    yield "evil-module.pth", files.zip_file([Entry("a/data.pkl", files.whole(called("os", "system", short("touch sluice-was-here"))))])
    many = {f"extra.{i:04}" + "x" * 90: np.zeros(1, "f4") for i in range(900)}
    yield "many.safetensors", files.safetensors({**w, **many, "head.weight": np.zeros((1000, 8), "f4")})
    yield "many-dropped.safetensors", files.safetensors({**w, **{f"head.{n}": t for n, t in many.items()}})
    yield "tuned.safetensors", files.safetensors({**w, "head.weight": np.zeros((1000, 8), "f4"), "head.bias": np.zeros(1000, "f4")})
    yield "tuned.pth", by_hand({**w, "head.weight": np.zeros((1000, 8), "f4")})
    yield "original.pth", by_hand({**w, "head.weight": np.zeros((21843, 8), "f4"), "pre_logits.fc.weight": np.zeros((8, 8), "f4")})
    yield "headless.safetensors", files.safetensors(w)
    changes = ("dist_token", "fc_norm.weight", "norm_pre.bias", "blocks.0.ls1.gamma", "blocks.1.ls2.gamma", "blocks.0.gamma_1",
               "blocks.0.gamma_2", "blocks.0.attn.q_norm.weight", "blocks.0.attn.k_norm.weight", "blocks.0.attn.q_bias",
               "blocks.0.attn.v_bias", "blocks.0.attn.rel_pos_h", "reg_token", "attn_pool.q", "patch_embed.norm.weight",
               "patch_embed.backbone.conv.weight")
    yield "changes.safetensors", files.safetensors({**w, **{n: np.zeros(2, "f4") for n in changes}})


def wrong(w):
    """Several faults at once, and blocks with a gap."""
    several = {n: t for n, t in w.items() if n not in ("pos_embed", "blocks.0.mlp.fc1.weight", "blocks.1.norm2.bias")}
    several.update({"norm.weight": np.zeros(3, "f4"), "blocks.1.mlp.fc1.bias": np.zeros(5, "f4"), "extra.weight": np.zeros(2, "f4"),
                    "blocks.0.ls1.gamma": np.zeros(8, "f4")})
    yield "several.pth", by_hand(several)
    yield "several-positions.pth", by_hand({**several, "pos_embed": np.zeros((1, 6, 8), "f4")})
    yield "several-dimensions.pth", by_hand({**several, "pos_embed": np.zeros((5, 8), "f4")})
    yield "several-patches.pth", by_hand({**several, "patch_embed.proj.weight": np.zeros((8, 1, 4, 4), "f4")})
    j = files.jax(w, files.HEADS)
    block = "Transformer/encoderblock_0/"
    jax = {n: a for n, a in j.items() if n not in ("Transformer/posembed_input/pos_embedding", block + "MlpBlock_3/Dense_0/kernel",
                                                   block + "MultiHeadDotProductAttention_1/query/kernel")}
    yield "several.npz", files.zip_of({**jax, "Transformer/encoder_norm/scale": np.zeros(3, "f4"), "extra/kernel": np.zeros(2, "f4")})
    renamed = {n.replace("blocks.1.", "blocks.3."): t for n, t in w.items()}
    deeper = {**w, **renamed, "blocks.3.extra": np.zeros(2, "f4")}
    yield "gap.pth", by_hand(deeper)
    yield "gap.npz", files.zip_of({n.replace("encoderblock_1/", "encoderblock_2/"): a for n, a in j.items()})
    yield "too-deep.pth", by_hand({**w, "blocks.99999999999999999999.norm1.weight": np.zeros(8, "f4")})


# ---------------------------------------------------------------- networks of the usual widths

def shapes(width, depth, side, patch, hidden):
    d, m = width, hidden
    s = collections.OrderedDict(cls_token=(1, 1, d), pos_embed=(1, (side // patch) ** 2 + 1, d))
    s["patch_embed.proj.weight"], s["patch_embed.proj.bias"] = (d, 3, patch, patch), (d,)
    for i in range(depth):
        for n, shape in (("norm1.weight", (d,)), ("norm1.bias", (d,)), ("attn.qkv.weight", (3 * d, d)), ("attn.qkv.bias", (3 * d,)),
                         ("attn.proj.weight", (d, d)), ("attn.proj.bias", (d,)), ("norm2.weight", (d,)), ("norm2.bias", (d,)),
                         ("mlp.fc1.weight", (m, d)), ("mlp.fc1.bias", (m,)), ("mlp.fc2.weight", (d, m)), ("mlp.fc2.bias", (d,))):
            s[f"blocks.{i}.{n}"] = shape
    s["norm.weight"], s["norm.bias"] = (d,), (d,)
    return s


def sines(grid, width):
    q = width // 4
    omega = 10000.0 ** (-np.arange(q) / q)
    rows = [np.zeros(width)]
    for r in range(grid):
        for c in range(grid):
            rows.append(np.concatenate([np.sin(r * omega), np.cos(r * omega), np.sin(c * omega), np.cos(c * omega)]))
    return np.array(rows, "f4")[None]


@functools.lru_cache(None)
def deflated_zeros(count):
    e = Entry("", bytes(4 * count), method=8)
    return e.body, e.f["crc"]


def of_zeros(networks, positions=None):
    """A .pth of zeros, deflated, so that a ViT-B/16 takes 6 MB; networks: nested dicts of shapes by full names.  positions: the
    numbers of the tensors called pos_embed."""
    records = []

    def stored(n, shape):
        key, count = str(len(records)), int(np.prod(shape))
        if positions is not None and n.endswith("pos_embed"):
            records.append(Entry(f"a/data/{key}", positions.tobytes()))
        else:
            body, crc = deflated_zeros(count)
            records.append(Entry(f"a/data/{key}", b"", method=8, csize=len(body), usize=4 * count, crc=crc))
            records[-1].body = body
        return files.tensor(list(shape), store=files.storage(key, count=count))

    def dicts(of):
        return b"}(" + b"".join(short(n) + (dicts(v) if isinstance(v, dict) else stored(n, v)) for n, v in of.items()) + b"u"

    body = files.whole(dicts(networks))
    # a storage that no tensor has: a file of fewer bytes is not believed to have so many numbers
    records.append(Entry(f"a/data/{len(records)}", bytes(sum(e.f["usize"] for e in records) // 60)))
    return files.zip_file([Entry("a/data.pkl", body), *records, Entry("a/version", b"3\n")])


def usual_widths():
    tiny, small, base = (shapes(width, 1, 32, 16, 8) for width in (192, 384, 768))
    positions = sines(2, 384)

    yield "width-192.pth", of_zeros(tiny)
    yield "width-384.pth", of_zeros(small)
    yield "width-768.pth", of_zeros(base)
    both = {**files.prefixed(small, "module.base_encoder."), **files.prefixed(small, "module.momentum_encoder.")}
    yield "moco-small.pth", of_zeros({"state_dict": both})
    yield "moco-small-converted.pth", of_zeros({"model": small}, positions)


def full_size():
    """ViT-B/16 at 224 pixels, as its authors and those who convert it give it out."""
    w = shapes(768, 12, 224, 16, 3072)
    heads = {"head.mlp.0.weight": (16, 768), "head.last_layer.weight_v": (32, 16), "head.last_layer.weight_g": (32, 1)}
    teacher = {**files.prefixed(w, "backbone."), **heads}

    yield "full-bare.pth", of_zeros(w)
    yield "full-state-dict.pth", of_zeros({"state_dict": w})
    yield "full-ibot.pth", of_zeros({"student": {"module.backbone.masked_embed": (1, 768)},
                                   "teacher": {**teacher, "head.last_layer2.weight_v": (32, 16)}})
    yield "full-dino.pth", of_zeros({"student": files.prefixed(w, "module.backbone."), "teacher": teacher})
    yield "full-moco-converted.pth", of_zeros({"model": w}, sines(14, 768))


def main():
    folder = pathlib.Path(sys.argv[1]) / "profiles"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    w, table = files.tiny(), []
    for case, content, weights in good(w):
        (folder / case).write_bytes(content)
        table.append(f"{case} {files.digest(weights)}")
    for makes in (told(w), wrong(w), usual_widths(), full_size()):
        for case, content in makes:
            (folder / case).write_bytes(content)
    (folder.parent / "profiles.txt").write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()

"""Backbone files by the real libraries, and broken ones with the kind of fault that each must give.

    backbone_files.py FOLDER

writes  good/<file>          a Vision Transformer as a profile has it, by torch, NumPy, h5py; safetensors by hand
        good.txt             lines: file, profile, side, patch, heads, SHA-256
        reference.h5         images, and the features that PyTorch computes from each profile's weights; resampled positions
        valid/               tiny files to cut off
        bad/<n>--<KIND>      files that must be refused with that kind (io/containers/fault.h)
        pickles/<n>--<KIND>  bare pickles that must be; <n>--OK must be read
Without torch: no reference.h5, few good ones, and what torch would write as it writes it, by hand.
Status 77: another library is missing.
"""
import collections
import hashlib
import io
import json
import pathlib
import pickle
import shutil
import struct
import sys
import zipfile
import zlib

try:
    import argparse
    import h5py
    import numpy as np
except ImportError as error:
    print(error)
    sys.exit(77)
try:
    import torch
    from backbone_network import arrays, network
except ImportError:
    torch = None


def ordered(weights):
    norms = [n for n in weights if n.startswith("norm.")]
    return [n for n in weights if n not in norms] + norms


def digest(weights):
    """What io/backbones/sums.h says of the tensors."""
    h = hashlib.sha256()
    for name in ordered(weights):
        h.update(name.encode() + b"\0" + floats(weights[name]).astype("<f4").tobytes())
    return h.hexdigest()


# ---------------------------------------------------------------- containers

SAFE = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64", "int64": "I64"}


def type_of(t):
    """"float32", of torch's tensors and NumPy's arrays."""
    return str(t.dtype).replace("torch.", "")


def floats(t):
    return np.asarray(t, "f4") if isinstance(t, np.ndarray) else t.float().numpy()


def raw(t):
    if isinstance(t, np.ndarray):
        return t.tobytes()
    t = t.contiguous()
    return t.view(torch.int16).numpy().tobytes() if t.dtype == torch.bfloat16 else t.numpy().tobytes()


def safetensors(tensors, metadata=None, pad=True):
    header, body = collections.OrderedDict(), b""
    if metadata:
        header["__metadata__"] = metadata
    for name, t in tensors.items():
        bytes_ = raw(t)
        header[name] = {"dtype": SAFE[type_of(t)], "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(bytes_)]}
        body += bytes_
    return safe_file(json.dumps(header, separators=(",", ":")), body, pad)


def safe_file(header, body=b"", pad=True):
    h = header if isinstance(header, bytes) else header.encode()
    if pad:
        h += b" " * (-len(h) % 8)
    return struct.pack("<Q", len(h)) + h + body


def jax(weights, heads, prefix=""):
    """timm's names and layouts to those of Google's JAX code."""
    w = {n: floats(t) for n, t in weights.items()}
    width = w["norm.weight"].shape[0]
    out = {"cls": w["cls_token"], "Transformer/posembed_input/pos_embedding": w["pos_embed"],
           "embedding/kernel": w["patch_embed.proj.weight"].transpose(2, 3, 1, 0), "embedding/bias": w["patch_embed.proj.bias"],
           "Transformer/encoder_norm/scale": w["norm.weight"], "Transformer/encoder_norm/bias": w["norm.bias"]}
    for i in range(sum(n.endswith("norm1.weight") for n in w)):
        b, j = f"blocks.{i}.", f"Transformer/encoderblock_{i}/"
        for ours, theirs in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            out[f"{j}{theirs}/scale"], out[f"{j}{theirs}/bias"] = w[f"{b}{ours}.weight"], w[f"{b}{ours}.bias"]
        for s, part in enumerate(("query", "key", "value")):
            rows = slice(s * width, (s + 1) * width)
            a = f"{j}MultiHeadDotProductAttention_1/{part}"
            out[a + "/kernel"] = w[b + "attn.qkv.weight"][rows].T.reshape(width, heads, -1)
            out[a + "/bias"] = w[b + "attn.qkv.bias"][rows].reshape(heads, -1)
        a = f"{j}MultiHeadDotProductAttention_1/out"
        out[a + "/kernel"], out[a + "/bias"] = w[b + "attn.proj.weight"].T.reshape(heads, -1, width), w[b + "attn.proj.bias"]
        for ours, theirs in (("fc1", "Dense_0"), ("fc2", "Dense_1")):
            out[f"{j}MlpBlock_3/{theirs}/kernel"] = w[f"{b}mlp.{ours}.weight"].T
            out[f"{j}MlpBlock_3/{theirs}/bias"] = w[f"{b}mlp.{ours}.bias"]
    return {prefix + n: a for n, a in out.items()}


def hdf5(path, weights, heads):
    with h5py.File(path, "w") as f:
        f.attrs["format"], f.attrs["num_heads"] = np.bytes_("vit-backbone"), heads
        for name, t in weights.items():
            f["tensors/" + name] = floats(t)


# ---------------------------------------------------------------- profiles

def prefixed(weights, prefix):
    return collections.OrderedDict((prefix + n, t) for n, t in weights.items())


def head(prefix="head."):
    shared = torch.randn(6, 5)
    return {prefix + "mlp.0.weight": torch.randn(4, 4), prefix + "last_layer.weight_g": torch.ones(6, 1),
            prefix + "last_layer.weight_v": shared, prefix + "last_layer2.weight_v": shared}


def optimizer(weights):
    return {"state": {i: {"step": 3, "exp_avg": t.clone()} for i, t in enumerate(weights.values())},
            "param_groups": [{"lr": np.float64(0.1), "weight_decay": np.float64(0.04), "params": [0, 1]}]}


def sup21k(w, heads):
    return {"": w}


def ibot21k(w, heads):
    other = collections.OrderedDict((n, torch.randn_like(t)) for n, t in w.items())
    student = {**prefixed(other, "module.backbone."), "module.backbone.masked_embed": torch.randn(1, 32), **head("module.head.")}
    return {"student": student, "teacher": {**prefixed(w, "backbone."), **head()}, "optimizer": optimizer(w), "epoch": 7,
            "args": argparse.Namespace(lr=0.1, name="x", flag=True, none=None, big=2 ** 70, path=pathlib.PurePosixPath("a")),
            "fp16_scaler": {"scale": 65536.0}, "ibot_loss": collections.OrderedDict(center=torch.zeros(1, 6))}


def ibot1k(w, heads):
    return {"state_dict": w}


def dino1k(w, heads):
    return w


def moco1k(w, heads):
    other = collections.OrderedDict((n, torch.randn_like(t)) for n, t in w.items())
    return {"epoch": 300, "arch": "vit_base", "state_dict": {
        **prefixed(w, "module.base_encoder."), **head("module.base_encoder.head."),
        **prefixed(other, "module.momentum_encoder."), "module.predictor.0.weight": torch.randn(3, 3)}}


PROFILES = {"sup21k": sup21k, "ibot21k": ibot21k, "ibot1k": ibot1k, "dino1k": dino1k, "moco1k": moco1k}
FLAT = {"ibot21k": "backbone.", "moco1k": "module.base_encoder."}  # prefixes where there is no dict to name


def good_files(folder, table, reference):
    torch.manual_seed(5)
    images = torch.rand(8, 3, 16, 16)
    reference["images"] = images.numpy()
    for seed, (profile, build) in enumerate(PROFILES.items()):
        vit = network(seed, sines=profile == "moco1k")
        w = arrays(vit)
        with torch.no_grad():
            normed, plain = vit(images)
        reference[f"{profile}/final"], reference[f"{profile}/fc_norm"] = normed.numpy(), plain.numpy()

        def note(name):
            table.append(f"{name} {profile} 16 4 4 {digest(w)}")

        def path(name):
            return folder / f"{profile}{name}"

        whole = w if profile == "sup21k" else build(w, 4)
        for ending, options in (("", {}), ("-proto4", {"pickle_protocol": 4}),
                                ("-legacy", {"_use_new_zipfile_serialization": False})):
            torch.save(whole, path(ending + ".pth"), **options)
            note(f"{profile}{ending}.pth")
        flat = prefixed(w, FLAT.get(profile, ""))
        path(".safetensors").write_bytes(safetensors({**flat, "empty.num_batches_tracked": torch.zeros(0, 2)}
                                                     if profile == "dino1k" else flat, {"format": "pt"}))
        note(f"{profile}.safetensors")
        hdf5(path(".h5"), w, 4)
        note(f"{profile}.h5")
        j = jax(w, 4)
        extra = {"pre_logits/kernel": np.zeros((32, 32), "f4"), "pre_logits/bias": np.zeros(32, "f4"),
                 "head/kernel": np.zeros((32, 10), "f4"), "head/bias": np.zeros(10, "f4")}
        np.savez(path(".npz"), **j, **extra)
        note(f"{profile}.npz")
    variants(folder, table, arrays(network(0)))
    odd_containers(folder, table, arrays(network(0)))


def variants(folder, table, w):
    """One set of weights in all the forms that a container allows."""
    def note(name, weights=w):
        table.append(f"{name} timm 16 4 4 {digest(weights)}")

    j = jax(w, 4, "opt/target/")
    np.savez_compressed(folder / "v-deflated.npz", **j)
    note("v-deflated.npz")
    for case, classes in (("augreg", 21843), ("tuned", 1000)):
        np.savez_compressed(folder / f"v-{case}.npz", **j, **{"opt/target/head/kernel": np.zeros((32, classes), "f4"),
                                                              "opt/target/head/bias": np.zeros(classes, "f4")})
        note(f"v-{case}.npz")
    np.savez(folder / "v-fortran.npz", **{n: np.asfortranarray(a) for n, a in jax(w, 4).items()})
    note("v-fortran.npz")
    np.savez(folder / "v-big.npz", **{n: a.astype(">f4") for n, a in jax(w, 4).items()})
    note("v-big.npz")
    with zipfile.ZipFile(folder / "v-headers.npz", "w") as z:
        for i, (n, a) in enumerate(j.items()):
            with z.open(n + ".npy", "w") as out:
                np.lib.format.write_array(out, a, version=((1, 0), (2, 0), (3, 0))[i % 3])
    note("v-headers.npz")
    halves = collections.OrderedDict((n, t.half()) for n, t in w.items())
    np.savez(folder / "v-half.npz", **{n: a.astype("f2") for n, a in jax(w, 4).items()})
    note("v-half.npz", weights=halves)
    torch.save(halves, folder / "v-half.pth")
    note("v-half.pth", weights=halves)
    brain = collections.OrderedDict((n, t.bfloat16()) for n, t in w.items())
    torch.save(brain, folder / "v-bf16.pth")
    note("v-bf16.pth", weights=brain)
    (folder / "v-bf16.safetensors").write_bytes(safetensors(brain, pad=False))
    note("v-bf16.safetensors", weights=brain)
    with h5py.File(folder / "v-bf16.h5", "w") as f:
        f.attrs["num_heads"] = 4
        for n, t in brain.items():
            f["tensors/" + n] = t.view(torch.int16).numpy().view("u2")
            f["tensors/" + n].attrs["bfloat16"] = 1
    note("v-bf16.h5", weights=brain)
    with h5py.File(folder / "v-half.h5", "w") as f:
        for n, t in halves.items():
            f.create_dataset("tensors/" + n, data=t.numpy(), compression="gzip", shuffle=True, chunks=t.shape)
    note("v-half.h5", weights=halves)
    wide = collections.OrderedDict((n, t.double() * (1 + 2 ** -40)) for n, t in w.items())
    torch.save(wide, folder / "v-double.pth", _use_new_zipfile_serialization=False)
    note("v-double.pth", weights=wide)
    # views into one flat buffer, a transpose, parameters, a module's OrderedDict with its _metadata
    flat = torch.cat([t.reshape(-1) for t in w.values()])
    views, at = collections.OrderedDict(), 0
    for n, t in w.items():
        views[n] = flat[at:at + t.numel()].view(t.shape)
        at += t.numel()
    key = "blocks.1.mlp.fc1.weight"
    views[key] = torch.nn.Parameter(views[key].t().contiguous().t())
    torch.save({"model": views, "x": {"y": views[key]}}, folder / "v-views.pth")
    note("v-views.pth")
    torch.save(views, folder / "v-views-legacy.pth", _use_new_zipfile_serialization=False)
    note("v-views-legacy.pth")
    torch.save({"state_dict": network(0).state_dict(), "optimizer": optimizer(w)}, folder / "v-module.pth")
    note("v-module.pth")
    (folder / "v-ancient.pth").write_bytes(ancient(w))
    note("v-ancient.pth")
    old = collections.OrderedDict(w)
    old["patch_embed.proj.weight"] = w["patch_embed.proj.weight"].reshape(32, 48)
    torch.save(old, folder / "v-oldpatch.pth")
    note("v-oldpatch.pth")
    (folder / "v-escapes.safetensors").write_bytes(
        safetensors({**w, "head.\u00e9\n\"\\": torch.zeros(2), "head.scalar": torch.tensor(1.0),
                     "head.empty": torch.zeros(0, 3)}, {"a\"b": "c\\d"}))
    note("v-escapes.safetensors")
    entries = [(i.filename, zipfile.ZipFile(folder / "v-half.pth").read(i)) for i in zipfile.ZipFile(folder / "v-half.pth").infolist()]
    swapped = {n: d for n, d in entries}
    with zipfile.ZipFile(folder / "v-bigendian.pth", "w", zipfile.ZIP_DEFLATED) as z:
        for n, d in swapped.items():
            z.writestr(n, np.frombuffer(d, "<u2").byteswap().tobytes() if "/data/" in n else d)
        z.writestr(entries[0][0].split("/")[0] + "/byteorder", "big")
    note("v-bigendian.pth", weights=halves)


def by_hand_files(folder, table):
    """The tiny network, every container without torch."""
    w = tiny()
    (folder / "v-by-hand.pth").write_bytes(by_hand(w))
    (folder / "v-by-hand-legacy.pth").write_bytes(legacy_by_hand(w))
    (folder / "v-by-hand.safetensors").write_bytes(safetensors(w))
    np.savez(folder / "v-by-hand.npz", **jax(w, HEADS))
    hdf5(folder / "v-by-hand.h5", w, HEADS)
    for ending in (".pth", "-legacy.pth", ".safetensors", ".npz", ".h5"):
        table.append(f"v-by-hand{ending} timm {PATCH * GRID} {PATCH} {HEADS} {digest(w)}")


def odd_containers(folder, table, w):
    """Files that are right, and easily taken for something else or read at a high price."""
    def note(name):
        table.append(f"{name} timm 16 4 4 {digest(w)}")

    header = json.loads(safetensors(w)[8:].split(b"}}")[0] + b"}}")
    text = json.dumps(header, separators=(",", ":")).encode()
    for length in (66176, 35615):  # 0x10280 and 0x8b1f: the first two bytes of a pickle, and of a gzip file
        (folder / f"v-header-{length}.safetensors").write_bytes(safe_file(text.ljust(length), b"".join(map(raw, w.values())), pad=False))
        note(f"v-header-{length}.safetensors")
    # backwards in one deflated storage with much between the tensors
    step, names = 70000, list(w)
    places = {n: (len(names) - 1 - i) * step for i, n in enumerate(names)}
    (folder / "v-backwards.pth").write_bytes(zip_file(flat(w, places, len(names) * step)))
    note("v-backwards.pth")
    others = {"c": torch.zeros(3, dtype=torch.complex64), "d": torch.zeros(2, dtype=torch.complex128),
              **{str(t): torch.quantize_per_tensor(torch.zeros(5), 0.1, 0, t) for t in (torch.qint8, torch.quint8, torch.qint32)}}
    for ending, options in (("", {}), ("-legacy", {"_use_new_zipfile_serialization": False})):
        torch.save({"state_dict": w, "others": others}, folder / f"v-types{ending}.pth", **options)
        note(f"v-types{ending}.pth")
    torch.save({"state_dict": w, "again": w}, folder / "v-same.pth")  # the same dict under two keys
    note("v-same.pth")
    for name, block, profile in (("format", 0, "x"), ("block", 2048, "timm"), ("profile", 0, "dino1k")):
        with h5py.File(folder / f"v-{name}.h5", "w", userblock_size=block) as f:
            f.attrs["format"], f.attrs["format_version"], f.attrs["profile"] = np.bytes_("vit-backbone"), np.uint32(1), profile
            f.attrs["num_heads"], f.attrs["patch_size"] = np.int32(4), np.int32(4)
            for n, t in w.items():
                f["tensors/" + n] = t.numpy()
        note(f"v-{name}.h5")
    # what looks like end records, of an archive inside and of none with 65,535 entries, in an entry near the end
    ends = zip_file([Entry("x", b"x")]) + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, 0, 0, 0)
    (folder / "v-ends.pth").write_bytes(zip_file(entries_of({n: t.numpy() for n, t in w.items()}) + [Entry("a/inner", ends)]))
    note("v-ends.pth")


def positions(reference):
    """Position embeddings for other image sizes: PyTorch's bicubic interpolation of the grid."""
    torch.manual_seed(9)
    for n, m in ((14, 24), (14, 7), (14, 15), (4, 14), (1, 3), (3, 1), (2, 5), (5, 5)):
        before = torch.randn(1, 1 + n * n, 6)
        grid = before[:, 1:].reshape(1, n, n, 6).permute(0, 3, 1, 2)
        after = torch.nn.functional.interpolate(grid, (m, m), mode="bicubic", align_corners=False)
        after = torch.cat([before[:, :1], after.permute(0, 2, 3, 1).reshape(1, m * m, 6)], 1)
        reference[f"positions/{n}-{m}/before"], reference[f"positions/{n}-{m}/after"] = before[0].numpy(), after[0].numpy()


# ---------------------------------------------------------------- a tiny network for files that must be refused

D, HEADS, DEPTH, PATCH, GRID, HIDDEN = 8, 2, 2, 4, 2, 16
SIX = np.arange(6, dtype="f4").tobytes()


def values(name, shape):
    s, n = zlib.crc32(name.encode()), int(np.prod(shape))
    i = np.arange(1, n + 1, dtype=np.uint64)
    return ((((s + 2654435761 * i) & 0xFFFFFFFF) >> 8).astype("f8") / 2 ** 24 - 0.5).astype("f4").reshape(shape)


def tiny():
    s = collections.OrderedDict(cls_token=(1, 1, D), pos_embed=(1, GRID * GRID + 1, D))
    s["patch_embed.proj.weight"], s["patch_embed.proj.bias"] = (D, 3, PATCH, PATCH), (D,)
    for i in range(DEPTH):
        for n, shape in (("norm1.weight", (D,)), ("norm1.bias", (D,)), ("attn.qkv.weight", (3 * D, D)), ("attn.qkv.bias", (3 * D,)),
                         ("attn.proj.weight", (D, D)), ("attn.proj.bias", (D,)), ("norm2.weight", (D,)), ("norm2.bias", (D,)),
                         ("mlp.fc1.weight", (HIDDEN, D)), ("mlp.fc1.bias", (HIDDEN,)), ("mlp.fc2.weight", (D, HIDDEN)),
                         ("mlp.fc2.bias", (D,))):
            s[f"blocks.{i}.{n}"] = shape
    s["norm.weight"], s["norm.bias"] = (D,), (D,)
    return collections.OrderedDict((n, values(n, shape)) for n, shape in s.items())


class Entry:
    """One entry of a zip archive, every field of which can be a lie."""

    def __init__(self, name, data=b"", method=0, **lies):
        body = data
        if method == 8:
            c = zlib.compressobj(9, zlib.DEFLATED, -15)
            body = c.compress(data) + c.flush()
        self.name, self.body, self.method = name, body, method
        self.f = dict(crc=zlib.crc32(data), csize=len(body), usize=len(data), flags=0, local_name=name, extra=b"", local_extra=b"",
                      at=None, method=method)
        self.f.update(lies)


def zip_file(listed, comment=b"", **lies):
    out, central = b"", b""
    for e in listed:
        f, name = e.f, e.name.encode("latin1")
        at = len(out) if f["at"] is None else f["at"]
        local = f["local_name"].encode("latin1")
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, f["flags"], f["method"], 0, 0, f["crc"], f["csize"] & 0xFFFFFFFF,
                           f["usize"] & 0xFFFFFFFF, len(local), len(f["local_extra"])) + local + f["local_extra"] + e.body
        central += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, f["flags"], f["method"], 0, 0, f["crc"],
                               f["csize"] & 0xFFFFFFFF, f["usize"] & 0xFFFFFFFF, len(name), len(f["extra"]), 0, 0, 0, 0,
                               at & 0xFFFFFFFF) + name + f["extra"]
    end = dict(entries=len(listed), size=len(central), at=len(out), said=len(comment))
    end.update(lies)
    return out + central + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, end["entries"], end["entries"], end["size"], end["at"],
                                              end["said"]) + comment


# ---------------------------------------------------------------- pickles, opcode by opcode

def short(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(i):
    if 0 <= i < 256:
        return b"K" + bytes((i,))
    if -2 ** 31 <= i < 2 ** 31:
        return b"J" + struct.pack("<i", i)
    b = i.to_bytes(i.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes((len(b),)) + b


def name(module, what):
    return b"c" + f"{module}\n{what}\n".encode()


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def storage(key="0", kind="FloatStorage", count=6):
    return tuple_of(short("storage"), name("torch", kind), short(key), short("cpu"), number(count)) + b"Q"


def tensor(size, stride=None, offset=0, store=None):
    if stride is None:
        stride = [int(np.prod(size[i + 1:])) for i in range(len(size))]
    return name("torch._utils", "_rebuild_tensor_v2") + tuple_of(
        store or storage(), number(offset), tuple_of(*map(number, size)), tuple_of(*map(number, stride)), b"\x89",
        name("collections", "OrderedDict") + b")R") + b"R"


def dict_of(**items):
    return b"}(" + b"".join(short(k) + v for k, v in items.items()) + b"u"


def whole(body):
    return b"\x80\x02" + body + b"."


def with_storages(body, *storages):
    return zip_file([Entry("a/data.pkl", whole(body))] + [Entry(f"a/data/{i}", s) for i, s in enumerate(storages)] +
                    [Entry("a/version", b"3\n")])


def crowded():
    """Entries of a memo that lie side by side where their places come from one well-known multiplier."""
    i = np.arange(4 << 20, dtype=np.uint32)
    return np.argsort(i * np.uint32(0x9E3779B1), kind="stable")[:65536]


def pickles():
    p = b"\x80\x02"
    yield "empty", b"", "E_TRUNC"
    yield "no-stop", p + b"N", "E_TRUNC"
    yield "no-proto", b"N.", "E_MAGIC"
    yield "proto5", b"\x80\x05N.", "E_VERSION"
    yield "proto1", b"\x80\x01N.", "E_VERSION"
    yield "proto-twice", p + p + b"N.", "E_SYNTAX"
    for op in (b"0", b"1", b"a", b"e", b"s", b"u", b"\x90", b"t", b"\x85", b"\x86", b"\x87", b"q\0", b"r\0\0\0\0", b"\x94", b"\x93",
               b"Q", b"R", b"\x81", b"\x92", b"b", b"\x91", b"."):
        yield f"underflow-{op[0]:02x}", p + op + b".", "E_SYNTAX"
    yield "get-missing", p + b"h\x07.", "E_RANGE"
    yield "long-get-missing", p + b"j\x07\0\0\0.", "E_RANGE"
    yield "put-huge", p + b"Nr\xff\xff\xff\xff.", "E_LIMIT"
    yield "unicode-huge", p + b"X\xff\xff\xff\xffabc.", "E_TRUNC"
    yield "unicode8-huge", p + b"\x8d" + b"\xff" * 8 + b"abc.", "E_TRUNC"
    yield "unicode-limit", p + b"X" + struct.pack("<I", (16 << 20) + 1) + b"a" * ((16 << 20) + 1) + b".", "E_LIMIT"
    yield "binstring-negative", p + b"T\xff\xff\xff\xffabc.", "E_RANGE"
    yield "long4-negative", p + b"\x8b\xff\xff\xff\xffabc.", "E_RANGE"
    yield "mark-open", p + b"(N.", "E_SYNTAX"
    yield "setitems-odd", p + b"}(NNNu.", "E_SYNTAX"
    yield "append-dict", p + b"}Na.", "E_SYNTAX"
    yield "setitem-list", p + b"]NNs.", "E_SYNTAX"
    yield "marks", p + b"(" * 1000001 + b".", "E_LIMIT"
    yield "stack", p + b"N" * 1000001 + b".", "E_LIMIT"
    yield "list-in-itself", p + b"]q\0h\0a.", "OK"
    yield "dict-in-itself", p + b"}q\0Nh\0s.", "OK"
    yield "tuples", p + b"N" + b"\x85" * 60000 + b".", "OK"
    yield "tuples-many", p + b"N" + b"\x85" * 1000000 + b".", "E_LIMIT"
    yield "memo-crowded", p + b"N" + b"".join(b"r" + struct.pack("<I", i) for i in crowded()) + b".", "OK"
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
    yield "decoded-again", p + b"(" + name("_codecs", "encode") + b"q\0" + text + short("latin1") + b"\x86q\x010" + b"h\0h\x01R0" * 100000 + b"t.", "E_LIMIT"
    yield "place-long", p + b"(" + short("storage") + name("torch", "FloatStorage") + short("0") + text + b"K\1tQ.", "E_SYNTAX"
    yield "laughs", p + b"]q\0" + b"".join(b"](h" + bytes((i,)) + b"h" + bytes((i,)) + b"eq" + bytes((i + 1,)) + b"0h" + bytes((i + 1,))
                                         for i in range(200)) + b"0" * 200 + b".", "OK"
    yield "global-no-line", p + b"cos\nsystem", "E_TRUNC"
    yield "global-long", p + b"c" + b"a" * 600 + b"\nb\n.", "E_LIMIT"
    yield "global-return", p + b"ca\r\nb\n.", "E_SYNTAX"
    yield "os-system", whole(name("os", "system") + short("touch sluice-was-here") + b"\x85R"), "OK"
    yield "eval", pickle.dumps(Evil(), 2), "OK"
    yield "stack-global", b"\x80\x04" + b"\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", "OK"
    yield "stack-global-int", b"\x80\x04K\1K\2\x93.", "E_SYNTAX"
    yield "call-int", p + b"K\1)R.", "E_SYNTAX"
    yield "build-int", p + b"K\1Nb.", "E_SYNTAX"
    yield "persid-int", p + b"K\1Q.", "E_UNSUPPORTED"
    yield "persid-3", whole(tuple_of(short("storage"), name("torch", "FloatStorage"), short("0")) + b"Q"), "E_UNSUPPORTED"
    yield "persid-module", whole(tuple_of(short("module"), name("torch", "FloatStorage"), short("0"), short("cpu"), number(6)) + b"Q"), "E_UNSUPPORTED"
    yield "persid-negative", whole(storage(count=-1)), "E_RANGE"
    yield "persid-key", whole(storage(key="../x")), "E_SYNTAX"
    yield "persid-key-long", whole(storage(key="1" * 65)), "E_SYNTAX"
    yield "persid-type", whole(tuple_of(short("storage"), name("os", "system"), short("0"), short("cpu"), number(6)) + b"Q"), "E_SYNTAX"
    yield "persid-two-types", whole(storage() + storage(kind="HalfStorage") + b"\x86"), "E_DTYPE"
    yield "not-utf8", p + b"X\x02\0\0\0\xc3\x28.", "E_SYNTAX"
    yield "overlong", p + b"X\x02\0\0\0\xc0\x80.", "E_SYNTAX"
    yield "surrogate", p + b"X\x03\0\0\0\xed\xa0\x80.", "OK"
    yield "frame", b"\x80\x04\x95" + struct.pack("<Q", 100) + b"N.", "E_TRUNC"
    yield "bigint", whole(number(2 ** 70)), "OK"
    known = set(b"\x80.(01N\x88\x89JKM\x8a\x8bGX\x8c\x8dUTCB\x8e)\x85\x86\x87t]ae}su\x8f\x90\x91hjqr\x94c\x93QR\x81\x92b\x95")
    for op in range(256):
        if op not in known:
            yield f"opcode-{op:02x}", p + b"NN" + bytes((op,)) + b"\0" * 16 + b".", "E_UNSUPPORTED"


class Evil:
    def __reduce__(self):
        return eval, ("open('sluice-was-here', 'w')",)


def ancient(w):
    """A legacy file as Python 2 and torch 0.3 wrote it: texts are bytes, an OrderedDict is called with pairs, and every
    tensor lies in a view of one storage."""
    def old_text(t):
        return b"U" + bytes((len(t),)) + t.encode()

    total, at, pairs = sum(t.numel() for t in w.values()), 0, []
    for i, (n, t) in enumerate(w.items()):
        store = tuple_of(old_text("storage"), name("torch", "FloatStorage"), old_text("12345"), old_text("cuda:0"), number(total),
                         tuple_of(old_text(f"v{i}"), number(at), number(t.numel()))) + b"Q"
        sizes, strides = tuple_of(*map(number, t.shape)), tuple_of(*map(number, t.stride()))
        pairs.append(b"](" + old_text(n) + name("torch._utils", "_rebuild_tensor") + tuple_of(store, number(0), sizes, strides) + b"R" + b"e")
        at += t.numel()
    body = name("collections", "OrderedDict") + b"](" + b"".join(pairs) + b"e\x85R"
    return LEGACY_HEAD + whole(body) + whole(b"](" + old_text("12345") + b"e") + struct.pack("<q", total) + b"".join(map(raw, w.values()))


# ---------------------------------------------------------------- files that must be refused

def bad_zips():
    w = tiny()
    members = [Entry("a/data.pkl", whole(dict_of(w=tensor([2, 3])))), Entry("a/data/0", SIX), Entry("a/version", b"3\n")]
    pkl = members[0]

    def swapped(index, **changes):
        new = list(members)
        old = members[index]
        new[index] = Entry(changes.pop("name", old.name), changes.pop("data", old.body), **changes)
        return zip_file(new)

    yield "zip-comment", zip_file(members, comment=b"abc")[:-1], "E_TRUNC"
    yield "zip-behind", zip_file(members) + b"x", "E_RANGE"
    yield "zip-comment-short", zip_file(members)[:-2] + b"\x05\x00", "E_TRUNC"
    yield "zip-65535", zip_file(members, entries=65535), "E_RANGE"
    yield "zip-directory-beyond", zip_file(members, at=1 << 30), "E_RANGE"
    yield "zip-directory-larger", zip_file(members, size=1 << 20), "E_RANGE"
    yield "zip-too-many", zip_file(members, entries=4), "E_RANGE"
    yield "zip-too-few", zip_file(members, entries=2), "E_RANGE"
    yield "zip-two", zip_file(members + [Entry("a/version", b"3\n")]), "E_DUP"
    yield "zip-overlap", swapped(2, at=0, name="a/data.pkl2", local_name="a/data.pkl"), "E_SYNTAX"
    yield "zip-same-place", zip_file([pkl, Entry("a/data.pkx", pkl.body, at=0)]), "E_SYNTAX"
    yield "zip-nested", zip_file([Entry("b", b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, zlib.crc32(b"zz"), 2, 2, 1, 0) + b"czz"),
                                  Entry("c", b"zz", at=31)]), "E_RANGE"
    yield "zip-local-name", swapped(1, local_name="a/data/9"), "E_SYNTAX"
    yield "zip-not-there", swapped(1, at=7), "E_RANGE"
    yield "zip-stored-size", swapped(1, csize=23), "E_RANGE"
    yield "zip-encrypted", swapped(1, flags=1), "E_UNSUPPORTED"
    yield "zip-patched", swapped(1, flags=32), "E_UNSUPPORTED"
    yield "zip-masked", swapped(1, flags=8192), "E_UNSUPPORTED"
    yield "zip-bzip2", zip_file([members[0], Entry("a/data/0", b"x" * 24, method=12)]), "E_UNSUPPORTED"
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(64)) + bomb.flush()
    yield "zip-bomb", zip_file([pkl, bomb_entry(body, 10 << 30)]), "E_LIMIT"
    yield "zip-bomb-pickle", zip_file([bomb_entry(body, 3 << 30, "a/data.pkl")]), "E_LIMIT"
    yield "zip-bomb-storage", zip_file([pkl, bomb_entry(body, 64 << 20)]), "E_RANGE"
    whole_data = SIX * 100
    packed = Entry("a/data/0", whole_data, method=8)
    big = Entry("a/data.pkl", whole(dict_of(w=tensor([600], store=storage(count=600)))))
    cut = Entry("a/data/0", whole_data, method=8, csize=len(packed.body) - 9)
    cut.body = cut.body[:-9]
    yield "zip-deflate-short", zip_file([big, cut]), "E_CRC E_TRUNC"
    flipped = Entry("a/data/0", SIX)
    flipped.body = flipped.body[:7] + b"\x01" + flipped.body[8:]
    yield "zip-flipped", zip_file([pkl, flipped]), "E_CRC"
    flipped = Entry("a/data/0", whole_data, method=8)
    flipped.body = flipped.body[:9] + bytes((flipped.body[9] ^ 0x10,)) + flipped.body[10:]
    yield "zip-flipped-deflate", zip_file([big, flipped]), "E_CRC"
    yield "zip-zip64-short", zip_file([pkl, Entry("a/data/0", b"x" * 24, usize=0xFFFFFFFF, csize=0xFFFFFFFF,
                                                  extra=struct.pack("<HHQ", 1, 8, 24))]), "E_RANGE"
    yield "zip-parent", zip_file(members + [Entry("../x", b"")]), "E_PATH"
    yield "zip-parent-inside", zip_file(members + [Entry("a/../x", b"")]), "E_PATH"
    yield "zip-absolute", zip_file(members + [Entry("/x", b"")]), "E_PATH"
    yield "zip-nul", zip_file(members + [Entry("a\0b", b"")]), "E_PATH"
    yield "zip-empty", zip_file([]), "E_MAGIC"
    yield "zip-other", zip_file([Entry("readme.txt", b"x")]), "E_MAGIC"
    yield "zip-script", zip_file(members + [Entry("a/constants.pkl", b"x")]), "E_UNSUPPORTED"
    yield "zip-code", zip_file(members + [Entry("a/code/x.py", b"x")]), "E_UNSUPPORTED"
    yield "zip-two-pickles", zip_file(members + [Entry("b/data.pkl", pkl.body)]), "E_DUP"
    yield "zip-behind-pickle", zip_file([Entry("a/data.pkl", pkl.body + b"N"), members[1]]), "E_RANGE"
    yield "zip-byteorder", zip_file(members + [Entry("a/byteorder", b"middle")]), "E_SYNTAX"


def bomb_entry(body, size, name="a/data/0"):
    e = Entry(name, b"", usize=min(size, 0xFFFFFFFF) if size < 0xFFFFFFFF else 0xFFFFFFFF, csize=len(body),
              extra=struct.pack("<HHQ", 1, 8, size) if size >= 0xFFFFFFFF else b"")
    e.body, e.f["method"] = body, 8
    return e


def bad_tensors():
    six = SIX
    cases = [("size-negative", tensor([-2, 3], [3, 1]), "E_RANGE"), ("stride-negative", tensor([2, 3], [3, -1]), "E_RANGE"),
             ("offset-negative", tensor([2, 3], offset=-1), "E_RANGE"), ("offset-last", tensor([2], offset=5), "E_RANGE"),
             ("extent", tensor([2, 3], offset=1), "E_RANGE"), ("overflow", tensor([2 ** 32, 2 ** 32], [0, 0]), "E_OVERFLOW"),
             ("stride-overflow", tensor([3, 3], [2 ** 62, 2 ** 62]), "E_OVERFLOW"), ("rank-9", tensor([1] * 9), "E_LIMIT"),
             ("lengths", tensor([2, 3], [1]), "E_SYNTAX"), ("no-storage", tensor([2], store=number(3)), "E_SYNTAX"),
             ("size-float", name("torch._utils", "_rebuild_tensor_v2") + tuple_of(
                 storage(), number(0), tuple_of(b"G" + bytes(8)), tuple_of(number(1)), b"\x89N") + b"R", "E_SYNTAX"),
             ("parameter", name("torch._utils", "_rebuild_parameter") + tuple_of(number(1), b"\x89N") + b"R", "E_SYNTAX")]
    for case, body, kind in cases:
        yield "tensor-" + case, with_storages(dict_of(w=body), six), kind
    w = dict_of(w=tensor([2, 3]))
    yield "storage-short", with_storages(w, six[:-1]), "E_TRUNC"
    yield "storage-long", with_storages(w, six + b"x"), "E_RANGE"
    far = {n: tensor(s, store=storage(count=10 ** 7)) for n, s in ((n, list(t.shape)) for n, t in tiny().items())}
    far["norm.bias"] = tensor([8], [10 ** 6], store=storage(count=10 ** 7))
    yield "scattered", zip_file([Entry("a/data.pkl", whole(dict_of(**far))), Entry("a/data/0", bytes(4 * 10 ** 7), method=8)]), "E_LIMIT"
    yield "root-list", with_storages(b"]", six), "E_UNSUPPORTED"
    yield "root-module", with_storages(name("torchvision.models", "VisionTransformer") + b")\x81}b", six), "E_UNSUPPORTED"


def save(weights, legacy=False):
    """By torch; by hand without it."""
    if not torch:
        return legacy_by_hand(weights) if legacy else by_hand(weights)
    out = io.BytesIO()

    def tensors(of):
        return type(of)((n, tensors(t) if isinstance(t, dict) else torch.as_tensor(t)) for n, t in of.items())

    torch.save(tensors(weights), out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage",
            "complex64": "ComplexFloatStorage"}


def pickled(weights, data, view=b""):
    """A dict of tensors, and of such dicts, as a pickle; their bytes go into the list `data`."""
    items = b""
    for n, t in weights.items():
        if isinstance(t, dict):
            items += short(n) + pickled(t, data, view)
            continue
        store = tuple_of(short("storage"), name("torch", STORAGES[type_of(t)]), short(str(len(data))), short("cpu"), number(t.size), view) + b"Q"
        items += short(n) + tensor(list(t.shape), store=store)
        data.append(t)
    return b"}(" + items + b"u"


def by_hand(weights, extra=b"", records=()):
    """A zip .pth; extra: more keys and values of the outer dict."""
    data = []
    body = pickled(weights, data)[:-1] + extra + b"u"
    return zip_file([Entry("a/data.pkl", whole(body))] + [Entry(f"a/data/{i}", raw(t)) for i, t in enumerate(data)] +
                    [Entry("a/version", b"3\n"), *records])


LEGACY_HEAD = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + \
    pickle.dumps(dict(protocol_version=1001, little_endian=True, type_sizes=dict(short=2, int=4, long=4)), 2)


def legacy_by_hand(weights):
    data = []
    body = whole(pickled(weights, data, b"N"))
    return LEGACY_HEAD + body + pickle.dumps([str(i) for i in range(len(data))], 2) + \
        b"".join(struct.pack("<q", t.size) + raw(t) for t in data)


def changed(**changes):
    w = tiny()
    for key, t in changes.items():
        key = key.replace("__", ".")
        if t is None:
            del w[key]
        else:
            w[key] = t
    return w


def bad_weights():
    nan = tiny()["norm.bias"].copy()
    nan[3] = float("nan")
    inf = nan.copy()
    inf[3] = float("inf")
    cases = [("nan", changed(norm__bias=nan), "E_NONFINITE"), ("inf", changed(norm__bias=inf), "E_NONFINITE"),
             ("double-inf", changed(norm__bias=np.full(8, 1e300)), "E_NONFINITE"),
             ("shape", changed(blocks__1__attn__qkv__weight=np.zeros((24, 7), "f4")), "E_SHAPE"),
             ("rank", changed(norm__bias=np.zeros((1, 8), "f4")), "E_SHAPE"),
             ("missing", changed(blocks__1__norm2__bias=None), "E_MISSING"),
             ("missing-patches", changed(patch_embed__proj__weight=None), "E_MISSING"),
             ("missing-positions", changed(pos_embed=None), "E_MISSING"),
             ("missing-norm", changed(norm__weight=None), "E_MISSING"),
             ("integers", changed(norm__bias=np.zeros(8, "i8")), "E_DTYPE"),
             ("complex", changed(norm__bias=np.zeros(8, "c8")), "E_DTYPE"),
             ("unknown", changed(extra__weight=np.zeros((2), "f4")), "E_UNKNOWN_KEY"),
             ("channels", changed(patch_embed__proj__weight=np.zeros((8, 1, 4, 4), "f4")), "E_SHAPE"),
             ("positions", changed(pos_embed=np.zeros((1, 6, 8), "f4")), "E_SHAPE"),
             ("no-heads", collections.OrderedDict((n, np.zeros([9 if s == 8 else 27 if s == 24 else s for s in t.shape], "f4"))
                                                  for n, t in tiny().items()), "E_SHAPE"),
             ("hugging-face", {"vit.embeddings.cls_token": np.zeros((1, 1, 8), "f4"), "vit.encoder.layer.0.attention.attention.query.weight":
                               np.zeros((8, 8), "f4")}, "E_MISSING"),
             ("empty", {}, "E_MISSING"),
             ("two-roots", {"teacher": tiny(), "model": tiny()}, "E_DUP"),
             ("student", {"student": tiny()}, "E_MISSING"),
             ("two-prefixes", {**prefixed(tiny(), "module."), **prefixed(tiny(), "backbone.")}, "E_DUP"),
             ("odd-prefix", prefixed(tiny(), "encoder."), "E_MISSING")]
    for key in ("dist_token", "fc_norm.weight", "norm_pre.bias", "blocks.0.ls1.gamma", "blocks.1.ls2.gamma", "blocks.0.gamma_1",
                "blocks.0.gamma_2", "blocks.0.attn.q_norm.weight", "blocks.0.attn.k_norm.weight", "blocks.0.attn.q_bias",
                "blocks.0.attn.v_bias", "blocks.0.attn.rel_pos_h", "reg_token", "attn_pool.q", "patch_embed.norm.weight",
                "patch_embed.backbone.conv.weight"):
        w = tiny()
        w[key] = np.zeros((2), "f4")
        cases.append(("changes-" + key, w, "E_UNKNOWN_KEY"))
    for case, w, kind in cases:
        yield "weights-" + case, save(w), kind
    pairs = b"".join(short(n) + tensor([2, 3]) for n in ("patch_embed.proj.weight", "patch_embed.proj.weight"))
    yield "weights-twice", with_storages(b"}(" + pairs + b"u", SIX), "E_DUP"


def bad_legacy():
    w = tiny()
    good = save(w, legacy=True)
    at, parts = 0, []
    stream = io.BytesIO(good)
    for i in range(5):  # where each pickle ends
        at = stream.tell()
        if i == 3:
            import pickletools
            for _ in pickletools.genops(stream):
                pass
        else:
            pickle.load(stream)
        parts.append(good[at:stream.tell()])
    rest = good[stream.tell():]
    keys = pickle.loads(parts[4])

    def rebuilt(version=1001, little=True, names=keys, data=rest):
        return parts[0] + pickle.dumps(version, 2) + pickle.dumps(dict(protocol_version=1001, little_endian=little, type_sizes={}), 2) + \
            parts[3] + pickle.dumps(names, 2) + data

    yield "legacy-magic", good[:5] + b"\0" + good[6:], "E_UNSUPPORTED E_MAGIC"
    yield "legacy-1002", rebuilt(version=1002), "E_VERSION"
    yield "legacy-big", rebuilt(little=False), "E_UNSUPPORTED"
    yield "legacy-order", rebuilt(little=3), "E_SYNTAX"
    yield "legacy-twice", rebuilt(names=keys[:-1] + keys[:1]), "E_DUP"
    yield "legacy-unknown", rebuilt(names=keys[:-1] + ["999"]), "E_UNKNOWN_KEY"
    yield "legacy-missing", rebuilt(names=keys[:-1]), "E_MISSING"
    yield "legacy-no-list", rebuilt(names="x"), "E_SYNTAX"
    yield "legacy-count", rebuilt(data=struct.pack("<q", 1 << 40) + rest[8:]), "E_RANGE"
    yield "legacy-negative", rebuilt(data=struct.pack("<q", -1) + rest[8:]), "E_RANGE"
    yield "legacy-short", good[:-3], "E_TRUNC"
    yield "legacy-behind", good + b"x", "E_RANGE"


def bad_safetensors():
    w = tiny()
    one = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    good = safetensors(w)
    yield "safe-0", struct.pack("<Q", 0) + b"{}", "E_MAGIC"
    yield "safe-1", struct.pack("<Q", 1) + b"{}", "E_MAGIC"
    yield "safe-huge", struct.pack("<Q", 1 << 63) + b"{}", "E_MAGIC"
    yield "safe-limit", struct.pack("<Q", 20 << 20) + b"{" + b" " * (20 << 20), "E_LIMIT"
    yield "safe-longer", struct.pack("<Q", len(good) - 7) + good[8:], "E_TRUNC"
    yield "safe-bracket", safe_file("[]      "), "E_MAGIC"
    yield "safe-bom", safe_file(b"\xef\xbb\xbf" + one.encode(), bytes(8)), "E_MAGIC"
    cases = {
        "twice": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_DUP"),
        "twice-escaped": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_DUP"),
        "field-twice": ('{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_DUP"),
        "hole": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[3],"data_offsets":[5,8]}}', "E_RANGE"),
        "hole-first": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', "E_RANGE"),
        "overlap": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', "E_RANGE"),
        "end-short": ('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', "E_RANGE"),
        "end-long": ('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}', "E_TRUNC"),
        "backwards": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}', "E_RANGE"),
        "size": ('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', "E_RANGE"),
        "negative": ('{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "minus-zero": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}}', "E_SYNTAX"),
        "exponent": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e3]}}', "E_SYNTAX"),
        "fraction": ('{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "zero-first": ('{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "2-64": ('{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "2-54": ('{"a":{"dtype":"F32","shape":[18014398509481984],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "overflow": ('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}', "E_OVERFLOW"),
        "bits-overflow": ('{"a":{"dtype":"F64","shape":[4503599627370496,4096],"data_offsets":[0,8]}}', "E_OVERFLOW"),
        "rank-9": ('{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}', "E_LIMIT"),
        "dtype": ('{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}', "E_UNSUPPORTED"),
        "metadata": ('{"__metadata__":{"a":{"b":"c"}},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "metadata-list": ('{"__metadata__":["a"],"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "surrogate": ('{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "nul": ('{"a\\u0000b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "control": ('{"a\x01b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "E_SYNTAX"),
        "nested": ('{"a":' + "[" * 1000000 + "]" * 1000000 + "}", "E_SYNTAX"),
        "behind": (one + "x", "E_SYNTAX"),
        "unknown-field": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":"y"}}', "E_SYNTAX"),
        "missing-field": ('{"a":{"dtype":"F32","shape":[2]}}', "E_SYNTAX"),
        "true": ('{"a":true}', "E_SYNTAX"),
        "open": ('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}', "E_SYNTAX"),
        "not-utf8": (one.encode().replace(b"a", b"\xff", 1), "E_SYNTAX"),
    }
    for case, (header, kind) in cases.items():
        yield "safe-" + case, safe_file(header, bytes(8)), kind
    ints = collections.OrderedDict(w)
    ints["norm.bias"] = np.zeros(8, "i8")
    yield "safe-integers", safetensors(ints), "E_DTYPE"


def npy(header, data=b"", version=1):
    h = header.encode("latin1")
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack("<H" if version == 1 else "<I", len(h)) + h + data


def bad_arrays():
    good = jax(tiny(), HEADS)

    def archive(entry, name="cls"):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            for n, a in good.items():
                if n == name:
                    z.writestr(n + ".npy", entry)
                else:
                    with z.open(n + ".npy", "w") as f:
                        np.lib.format.write_array(f, a)
        return out.getvalue()

    def header(descr="'<f4'", order="False", shape="(1, 1, 8)"):
        return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"

    data = good["cls"].tobytes()
    cases = {
        "version-4": (npy(header(), data, 4), "E_VERSION"),
        "magic": (b"x" + npy(header(), data)[1:], "E_MAGIC"),
        "short-magic": (b"\x93NUM", "E_TRUNC"),
        "header-beyond": (b"\x93NUMPY\x01\x00\xff\xff" + header().encode(), "E_TRUNC"),
        "header-limit": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 70000) + b" " * 70000, "E_LIMIT"),
        "missing-key": (npy("{'descr': '<f4', 'shape': (1, 1, 8)}\n", data), "E_MISSING"),
        "key-twice": (npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 8)}\n", data), "E_DUP"),
        "unknown-key": (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 8), 'x': 1}\n", data), "E_SYNTAX"),
        "objects": (npy(header("'|O'"), data), "E_DTYPE"),
        "records": (npy(header("[('a', '<f4')]"), data), "E_DTYPE"),
        "texts": (npy(header("'<U8'"), data), "E_DTYPE"),
        "bytes": (npy(header("'|S4'"), data), "E_DTYPE"),
        "complex": (npy(header("'<c8'"), data), "E_DTYPE"),
        "v2": (npy(header("'|V2'"), data), "E_DTYPE"),
        "shape-negative": (npy(header(shape="(-1,)"), data), "E_SYNTAX"),
        "shape-huge": (npy(header(shape="(%d,)" % 2 ** 70), data), "E_OVERFLOW"),
        "shape-product": (npy(header(shape="(%d, %d)" % (2 ** 40, 2 ** 40)), data), "E_OVERFLOW"),
        "shape-int": (npy(header(shape="(3)"), data), "E_SYNTAX"),
        "shape-float": (npy(header(shape="(3.0,)"), data), "E_SYNTAX"),
        "shape-open": (npy(header(shape="(1, 1, 8"), data), "E_SYNTAX"),
        "rank-9": (npy(header(shape="(1,1,1,1,1,1,1,1,8)"), data), "E_LIMIT"),
        "open": (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 8)", data), "E_SYNTAX"),
        "code": (npy("{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (1, 1, 8)}\n", data), "E_SYNTAX"),
        "backslash": (npy(header("'\\x3cf4'"), data), "E_SYNTAX"),
        "order": (npy(header(order="None"), data), "E_SYNTAX"),
        "behind": (npy(header() + "x", data), "E_SYNTAX"),
        "data-short": (npy(header(), data[:-1]), "E_TRUNC"),
        "data-long": (npy(header(), data + b"x"), "E_RANGE"),
        "wrong-shape": (npy(header(shape="(1, 8, 1)"), data), "E_SHAPE"),
        "integers": (npy(header("'<i4'"), data), "E_DTYPE"),
        "fortran-5": (npy(header(order="True", shape="(1, 1, 2, 2, 2)"), data), "E_SHAPE"),
    }
    for case, (entry, kind) in cases.items():
        yield "npy-" + case, archive(entry), kind
    yield "npz-unknown", zip_of({**good, "extra/kernel": np.zeros(3, "f4")}), "E_UNKNOWN_KEY"
    yield "npz-missing", zip_of({n: a for n, a in good.items() if n != "embedding/bias"}), "E_MISSING"
    yield "npz-big-vision", zip_of({"params/img/embedding/kernel": np.zeros(3, "f4")}), "E_UNSUPPORTED"
    for case, side in (("no", 0), ("huge", 1 << 22)):
        yield f"npz-{case}-patch", archive(npy(header(shape=f"({side}, 0, 3, 8)")), "embedding/kernel"), "E_SHAPE"
    yield "npz-nothing", zip_of({"x": np.zeros(3, "f4")}), "E_MISSING"
    yield "npy-alone", npy(header(), data), "E_UNSUPPORTED"


def zip_of(named):
    out = io.BytesIO()
    np.savez(out, **named)
    return out.getvalue()


def bad_others():
    yield "nothing", b"", "E_MAGIC"
    yield "text", b"hello, this is no checkpoint of any kind", "E_MAGIC"
    yield "tar", bytes(257) + b"ustar" + bytes(250), "E_UNSUPPORTED"
    yield "preview", b"PYTORCH1" + bytes(30), "E_UNSUPPORTED"
    yield "gzip", b"\x1f\x8b" + bytes(30), "E_UNSUPPORTED"
    yield "plain-pickle", pickle.dumps({"a": 1}, 2), "E_UNSUPPORTED"


def bad_hdf5(folder):
    """By libhdf5 itself."""
    w = tiny()

    def write(name, kind, change):
        path = folder / f"h5-{name}--{kind}"
        with h5py.File(path, "w") as f:
            f.attrs["num_heads"] = HEADS
            for n, t in w.items():
                f["tensors/" + n] = t
            change(f)

    def external(f):
        del f["tensors/norm.bias"]
        f["tensors/norm.bias"] = h5py.ExternalLink("other.h5", "/x")

    def soft(f):
        del f["tensors/norm.bias"]
        f["tensors/norm.bias"] = h5py.SoftLink("/tensors/norm.weight")

    def virtual(f):
        del f["tensors/norm.bias"]
        layout = h5py.VirtualLayout(shape=(8,), dtype="f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", shape=(8,))
        f.create_virtual_dataset("tensors/norm.bias", layout)

    def lengths(f):
        del f["tensors/norm.bias"]
        f.create_dataset("tensors/norm.bias", (8,), dtype=h5py.vlen_dtype("f4"))

    def rank(f):
        del f["tensors/norm.bias"]
        f["tensors/norm.bias"] = np.zeros((1, 8), "f4")

    def extent(f):
        del f["tensors/norm.bias"]
        f.create_dataset("tensors/norm.bias", (2 ** 60,), dtype="f4", chunks=(1024,))

    def filtered(f):
        del f["tensors/norm.bias"]
        f.create_dataset("tensors/norm.bias", data=np.zeros(8, "f4"), chunks=(8,), compression="lzf")

    def integers(f):
        del f["tensors/norm.bias"]
        f["tensors/norm.bias"] = np.zeros(8, "i4")

    def outside(f):
        del f["tensors/norm.bias"]
        f.create_dataset("tensors/norm.bias", (8,), "f4", external=[("other.bin", 0, 32)])

    def huge(f):
        del f["tensors/norm.bias"]
        f.create_dataset("tensors/norm.bias", (2 ** 61, 2 ** 61), "f4", chunks=(1, 1024))

    def checksum(f):
        del f["tensors/norm.bias"]
        array = f.create_dataset("tensors/norm.bias", data=np.zeros(8, "f4"), chunks=(8,), fletcher32=True)
        array.id.write_direct_chunk((0,), bytes(32) + b"ABCD")

    for change, kind in ((external, "E_UNSUPPORTED"), (soft, "E_UNSUPPORTED"), (virtual, "E_UNSUPPORTED"),
                         (outside, "E_UNSUPPORTED"), (lengths, "E_DTYPE"), (rank, "E_SHAPE"), (extent, "E_TRUNC"),
                         (huge, "E_OVERFLOW"), (filtered, "E_UNSUPPORTED"), (integers, "E_DTYPE"), (checksum, "E_CRC")):
        write(change.__name__, kind, change)
    whole = (folder / "h5-integers--E_DTYPE").read_bytes()
    (folder / "h5-cut--E_MAGIC").write_bytes(whole[:len(whole) // 2])


# ---------------------------------------------------------------- containers that must be refused, around a whole network

def entries_of(weights=None, extra=b"", method=0, prefix="a"):
    """The entries of a .pth of a whole network: what is refused is refused for what was changed."""
    pairs, storages = [], []
    for i, (n, t) in enumerate((weights or tiny()).items()):
        pairs.append(short(n) + tensor(list(t.shape), store=storage(str(i), count=t.size)))
        storages.append(Entry(f"{prefix}/data/{i}", raw(t), method=method))
    return [Entry(f"{prefix}/data.pkl", whole(b"}(" + b"".join(pairs) + extra + b"u"), method=method)] + storages + \
        [Entry(f"{prefix}/version", b"3\n")]


def packed(data, behind=b"", flush=zlib.Z_FINISH):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(data) + c.flush(flush) + behind


def with_body(entries, k, body, method=8, **lies):
    """The k-th entry says what it said; its bytes are others."""
    e = entries[k]
    entries[k] = Entry(e.name, b"", **{**dict(csize=len(body), usize=e.f["usize"], crc=e.f["crc"]), **lies})
    entries[k].body, entries[k].f["method"] = body, method
    return zip_file(entries)


def flat(weights, places, count, method=8, fill=None, strides=None):
    """All tensors in one storage, those with `strides` scattered."""
    data = np.zeros(count, "<f4") if fill is None else fill
    pairs = []
    for n, t in weights.items():
        t = np.asarray(t)
        if not strides:
            data[places[n]:places[n] + t.size] = t.reshape(-1)
        pairs.append(short(n) + tensor(list(t.shape), strides and strides[n], places[n], storage(count=count)))
    return [Entry("a/data.pkl", whole(b"}(" + b"".join(pairs) + b"u")), Entry("a/data/0", data.tobytes(), method=method),
            Entry("a/version", b"3\n")]


def places_of(weights, first=0):
    at = np.cumsum([first] + [np.asarray(t).size for t in weights.values()])
    return dict(zip(weights, map(int, at)))


def two_archives():
    """An end record whose comment holds a directory and an end record: each reader may take another one."""
    entries = entries_of()
    good = zip_file(entries)
    at = struct.unpack("<I", good[-6:-2])[0]
    locals_, directory = good[:at], good[at:-22]

    def end(at, comment):
        n = len(entries)
        return struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, n, n, len(directory), at, len(comment)) + comment

    return locals_ + directory + end(at, directory + end(at + len(directory) + 22, b""))


def bad_zip_frames():
    good = zip_file(entries_of())
    yield "zip-two-ends", two_archives(), "E_RANGE"
    yield "zip-prepended", b"PK\x03\x04" + bytes(60) + good, "E_SYNTAX E_RANGE"
    for where, what in ((4, "disk"), (6, "directory-disk"), (8, "entries-here")):
        yield f"zip-{what}", good[:-22 + where] + b"\x01\x00" + good[-20 + where:], "E_UNSUPPORTED"
    yield "zip-strong", zip_file(entries_of() + [Entry("a/x", b"", flags=64)]), "E_UNSUPPORTED"
    yield "zip-name", zip_file(entries_of() + [Entry("a/" + "x" * 1023, b"")]), "E_LIMIT"
    yield "zip-deep-pickle", zip_file(entries_of(prefix="a/b")), "E_MISSING"
    directory = len(good) - 22 - struct.unpack("<I", good[-6:-2])[0]
    for case, record in (("magic", dict(signature=0)), ("entries", dict(entries=3)), ("disk", dict(disk=1)),
                         ("directory", dict(at=7)), ("locator", dict(locator=1 << 40)), ("locator-disk", dict(locator_disk=1))):
        yield f"zip-wide-{case}", with_zip64(good, directory, **record), "E_RANGE"
    n = 65537
    directory = bytes(46 * n)
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, n, n, len(directory), 4)
    yield "zip-entries-limit", b"PK\x03\x04" + directory + end64 + struct.pack("<IIQI", 0x07064B50, 0, 4 + len(directory), 1) + \
        struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, len(directory), 4, 0), "E_LIMIT"


def sparse_files(folder):
    """Large, and almost nothing on the disk."""
    size = (64 << 20) + 1
    with open(folder / "zip-directory-limit--E_LIMIT", "wb") as f:
        f.write(b"PK\x03\x04")
        f.seek(30 + size)
        f.write(struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, size, 30, 0))
    with open(folder / "legacy-limit--E_LIMIT", "wb") as f:  # an object of 75 MiB of texts
        f.write(b"".join(pickle.dumps(o, 2) for o in (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True))) + b"\x80\x02")
        for _ in range(5):
            f.write(b"X" + struct.pack("<I", 15 << 20))
            f.seek(15 << 20, 1)
            f.write(b"0")
        f.write(b"}." + pickle.dumps([], 2))


def with_zip64(good, size, signature=0x06064B50, entries=None, disk=0, at=None, locator=None, locator_disk=0):
    """The archive with a zip64 record and its locator, one number of which is wrong."""
    n = struct.unpack("<H", good[-12:-10])[0]
    record = struct.pack("<IQHHIIQQQQ", signature, 44, 45, 45, disk, 0, entries or n, entries or n, size,
                         len(good) - 22 - size if at is None else at)
    return good[:-22] + record + struct.pack("<IIQI", 0x07064B50, locator_disk, len(good) - 22 if locator is None else locator, 1) + \
        good[-22:]


def bad_zip_entries():
    w, k = tiny(), 3
    data = raw(list(w.values())[k - 1])
    yield "zip-longer", with_body(entries_of(), k, packed(data + bytes(1 << 20))), "E_RANGE"
    yield "zip-shorter", with_body(entries_of(), k, packed(data[:-1])), "E_TRUNC"
    yield "zip-no-end", with_body(entries_of(), k, packed(data, flush=zlib.Z_SYNC_FLUSH)), "E_TRUNC"
    yield "zip-behind-stream", with_body(entries_of(), k, packed(data, b"junkjunk")), "E_RANGE"
    for case, body, method in (("stored", data, 0), ("deflated", packed(data), 8)):
        yield f"zip-crc-{case}", with_body(entries_of(), k, body, method, crc=7), "E_CRC"
    yield "storage-missing", zip_file([e for e in entries_of() if e.name != "a/data/5"]), "E_MISSING"
    numbers = sum(t.size for t in w.values())
    # a wrong byte behind the last tensor of a storage: no tensor has it, the checksum does
    flipped = flat(w, places_of(w), numbers + 1000, method=0)
    flipped[1].body = flipped[1].body[:-1] + b"\1"
    yield "zip-flat-flipped", zip_file(flipped), "E_CRC"
    # in time: a network at the end of a long storage; tensors that lie over each other; a root full of one dict
    yield "pth-far", zip_file(flat(w, places_of(w, (32 << 20) - numbers), 32 << 20)), "E_LIMIT"
    n = 1 << 20
    over = {}
    for name_, t in w.items():
        over[name_] = [1] * t.ndim
        long = max(range(t.ndim), key=lambda i: t.shape[i])
        over[name_][long] = (n - 100000) // t.shape[long]
    yield "pth-over", zip_file(flat(w, dict.fromkeys(w, 0), n, strides=over)), "E_LIMIT"
    n = 60000
    yield "pth-square", zip_file([Entry("a/data.pkl", b"\x80\x02}q\0(" + b"NN" * n + b"u0" + short("k") + b"q\x010}(" + b"h\x01h\0" * n + b"u.",
                                        method=8)]), "E_MISSING"
    one = b"\x80\x02}q\0(" + b"NN" * n + short("t") + tensor([1]) + b"u0" + short("k") + b"q\x010}(" + b"h\x01h\0" * n + b"u."
    yield "pth-square-tensor", zip_file([Entry("a/data.pkl", one), Entry("a/data/0", bytes(24))]), "E_LIMIT"
    # in memory: many values in few bytes
    yield "pth-inflated-pickle", zip_file([Entry("a/data.pkl", b"\x80\x02" + b"N0" * (8 << 20) + b"}.", method=8)]), "E_LIMIT"
    yield "pth-values", zip_file([Entry("a/data.pkl", b"\x80\x02" + b")0" * 400000 + b"}.", method=8)]), "E_LIMIT"
    yield "pth-memo", zip_file([Entry("a/data.pkl", b"\x80\x02N" + b"\x94" * 900000 + b"0}.", method=8)]), "E_LIMIT"
    many = b"\x80\x02" + short("k") + b"q\0" + tensor([1]) + b"q\1}(" + b"h\0h\1" * 65537 + b"u"
    yield "pth-tensors-limit", zip_file([Entry("a/data.pkl", many + b"q\x02000h\2."), Entry("a/data/0", bytes(24))]), "E_LIMIT"
    yield "pth-name-limit", zip_file(entries_of(extra=short("head." + "x" * 1020) + tensor([1], store=storage(count=D)))), "E_LIMIT"


def bad_strides():
    """Tensors of one number that claim to be of many, where they would be read."""
    shapes = {n: list(t.shape) for n, t in tiny().items()}

    def spread(**changed):
        # every tensor is the one number again and again
        all_ = {n: tensor(s, [0] * len(s), store=storage(count=1)) for n, s in {**shapes, **changed}.items()}
        return with_storages(dict_of(**all_), bytes(4))

    wide = {}
    for i in range(DEPTH):
        wide.update({f"blocks.{i}.mlp.fc1.weight": [65536, 8], f"blocks.{i}.mlp.fc1.bias": [65536], f"blocks.{i}.mlp.fc2.weight": [8, 65536]})
    yield "stride-zero", spread(**wide), "E_LIMIT"
    # 2 * 10^11 numbers: as wide and deep as a network may be
    w, h = 16384, 65536
    huge = {"cls_token": [1, 1, w], "pos_embed": [1, 5, w], "patch_embed.proj.weight": [w, 3, 4, 4], "patch_embed.proj.bias": [w],
            "norm.weight": [w], "norm.bias": [w]}
    for i in range(64):
        for n, s in (("norm1.weight", [w]), ("norm1.bias", [w]), ("attn.qkv.weight", [3 * w, w]), ("attn.qkv.bias", [3 * w]),
                     ("attn.proj.weight", [w, w]), ("attn.proj.bias", [w]), ("norm2.weight", [w]), ("norm2.bias", [w]),
                     ("mlp.fc1.weight", [h, w]), ("mlp.fc1.bias", [h]), ("mlp.fc2.weight", [w, h]), ("mlp.fc2.bias", [w])):
            huge[f"blocks.{i}.{n}"] = s
    yield "stride-zero-huge", spread(**huge), "E_LIMIT"


def bad_headers():
    """Headers of safetensors and what is longer than a legacy file may be."""
    one = '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    yield "safe-newline", safe_file(one + "\n\t", bytes(8), pad=False), "E_SYNTAX"
    yield "safe-list-limit", safe_file('{"a":{"dtype":"F32","shape":[' + "0," * 7000000 + '0],"data_offsets":[0,0]}}'), "E_LIMIT"
    yield "safe-fields-limit", safe_file("{" + ",".join('"%d":{%s}' % (i, ",".join('"%d":1' % k for k in range(4000))) for i in range(100)) + "}"), "E_LIMIT"
    yield "safe-metadata-limit", safe_file('{"__metadata__":{' + ",".join('"%d":""' % i for i in range(5000)) + "}}"), "E_LIMIT"
    for n in (65537, 70000):
        yield f"safe-tensors-{n}", safe_file("{" + ",".join('"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i for i in range(n)) +
                                             "}"), "E_LIMIT"
    yield "safe-name-limit", safe_file(one.replace("a", "a" * 1025, 1), bytes(8)), "E_LIMIT"
    yield "legacy-unknown-type", save(tiny(), legacy=True).replace(b"FloatStorage", b"OtherStorage"), "E_UNSUPPORTED"


def bad_arrays_by_hand():
    good = jax(tiny(), HEADS)
    crc = bytearray(zip_of(good))
    crc[crc.index(good["cls"].tobytes())] ^= 1
    yield "npz-crc", bytes(crc), "E_CRC"
    entries = [Entry(n + ".npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': %s, }" % repr(a.shape), np.ascontiguousarray(a).tobytes()))
               for n, a in good.items()]
    yield "npz-name-limit", zip_file(entries + [Entry("x" * 1025 + ".npy", entries[0].body)]), "E_LIMIT"


def bad_hdf5_of_others(folder):
    w = tiny()

    def write(name, kind, change, **options):
        with h5py.File(folder / f"h5-{name}--{kind}", "w", **options) as f:
            f.attrs["num_heads"] = HEADS
            for n, t in w.items():
                f["tensors/" + n] = t
            change(f)

    def attribute(name, value):
        return lambda f: f.attrs.__setitem__(name, value)

    def chunk(f):  # 48 MiB of zeros for eight numbers
        del f["tensors/norm.bias"]
        f.create_dataset("tensors/norm.bias", (8,), "f4", maxshape=(None,), chunks=(12 << 20,), compression="gzip")
        f["tensors/norm.bias"][...] = 0

    def compound(f):
        del f["tensors/norm.bias"]
        f["tensors/norm.bias"] = np.zeros(8, [("re", "f4"), ("im", "f4")])

    def unmarked(f):  # halves of bfloat16 only if the attribute is 1
        del f["tensors/norm.bias"]
        f["tensors/norm.bias"] = np.zeros(8, "u2")
        f["tensors/norm.bias"].attrs["bfloat16"] = 0

    def extra(link):
        return lambda f: f.__setitem__("tensors/extra", link)

    def bomb(f):  # 256 MiB of zeros in one leading row, of which the digest is to be checked
        f.attrs["digest"] = np.bytes_("0" * 32)
        f.create_dataset("tensors/head.weight", (1, 64 << 20), "f4", chunks=(1, 4 << 20), compression="gzip", fillvalue=1)
        for i in range(16):
            f["tensors/head.weight"].id.write_direct_chunk((0, i * (4 << 20)), zeros)

    zeros = zlib.compress(bytes(16 << 20), 9)
    for name_, kind, change in (("format", "E_MAGIC", attribute("format", np.bytes_("other"))),
                                ("format-number", "E_MAGIC", attribute("format", 7)),
                                ("version", "E_VERSION", attribute("format_version", np.uint32(2))),
                                ("version-text", "E_VERSION", attribute("format_version", "1")),
                                ("patch", "E_SHAPE", attribute("patch_size", np.int32(16))),
                                ("soft-extra", "E_UNSUPPORTED", extra(h5py.SoftLink("/tensors/norm.weight"))),
                                ("external-extra", "E_UNSUPPORTED", extra(h5py.ExternalLink("/etc/passwd", "/x"))),
                                ("compound", "E_DTYPE", compound), ("unmarked", "E_DTYPE", unmarked), ("chunk", "E_LIMIT", chunk),
                                ("bomb", "E_LIMIT", bomb)):
        write(name_, kind, change)


def main():
    folder = pathlib.Path(sys.argv[1])
    for below in ("good", "bad", "pickles", "valid"):
        shutil.rmtree(folder / below, ignore_errors=True)  # an earlier version's files may have had other names
        (folder / below).mkdir(parents=True)
    table = []
    by_hand_files(folder / "good", table)
    (folder / "reference.h5").unlink(missing_ok=True)
    if torch:
        with h5py.File(folder / "reference.h5", "w") as reference:
            good_files(folder / "good", table, reference)
            positions(reference)
    (folder / "good.txt").write_text("\n".join(table) + "\n")
    for makes in (bad_zips, bad_tensors, bad_weights, bad_legacy, bad_safetensors, bad_arrays, bad_others,
                  bad_zip_frames, bad_zip_entries, bad_strides, bad_headers, bad_arrays_by_hand):
        for case, content, kind in makes():
            (folder / "bad" / f"{case}--{kind.replace(' ', '+')}").write_bytes(content)
    bad_hdf5(folder / "bad")
    bad_hdf5_of_others(folder / "bad")
    sparse_files(folder / "bad")
    for case, content, kind in pickles():
        (folder / "pickles" / f"{case}--{kind}").write_bytes(content)
    w = tiny()
    (folder / "valid" / "tiny.pth").write_bytes(save(w))
    (folder / "valid" / "tiny-legacy.pth").write_bytes(save(w, legacy=True))
    (folder / "valid" / "tiny.safetensors").write_bytes(safetensors(w))
    (folder / "valid" / "v2.npz").write_bytes(zip_of({n: (a.view("u4") >> 16).astype("u2").view("V2") for n, a in
                                                      ((n, np.ascontiguousarray(a)) for n, a in jax(w, HEADS).items())}))
    (folder / "valid" / "tiny.npz").write_bytes(zip_of(jax(w, HEADS)))
    (folder / "valid" / "by-hand.pth").write_bytes(zip_file(entries_of()))
    (folder / "valid" / "flat.pth").write_bytes(zip_file(flat(w, places_of(w), sum(t.size for t in w.values()))))
    columns = zip_of({"x": np.asfortranarray(np.arange(240, dtype="f4").reshape(2, 3, 4, 5, 2))})
    assert b"'fortran_order': True" in columns
    (folder / "valid" / "columns.npz").write_bytes(columns)


if __name__ == "__main__":
    main()

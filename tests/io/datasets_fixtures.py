"""Small data sets as their makers publish them, and broken ones, in the current folder.

    datasets_fixtures.py

Status 77: a Python package is missing.

good/ has data sets written by NumPy, SciPy, Pillow, gzip and csv; of image n, the value at row y, column x, channel c is
(37 n + 7 y + 13 x + 29 c) mod 256 and the label is 3 n + 1 modulo the number of classes, counted within each part.
bad/ has broken ones; each line of bad.txt names a kind, a folder and the kind of fault that reading must end in.
"""
import csv
import gzip
import hashlib
import os
import pathlib
import pickle
import random
import shutil
import struct
import sys
import zlib

try:
    import numpy as np
    import scipy.io
    from PIL import Image
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

COUNT = {"train": 15, "test": 3}  # images of each part; of CIFAR-10, three in each batch


def pixels(n, height, width, channels):
    k, y, x, c = np.ogrid[:n, :height, :width, :channels]
    return ((37 * k + 7 * y + 13 * x + 29 * c) % 256).astype("u1")


def labels(n, classes):
    return [(3 * k + 1) % classes for k in range(n)]


def write(path, data):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


# ---------------------------------------------------------------- CIFAR

def planes(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), 3072)


def parts_of_cifar(fine):
    """(binary name, Python name, images, labels) of each file."""
    classes = 100 if fine else 10
    train, test = pixels(15, 32, 32, 3), pixels(3, 32, 32, 3)
    if fine:
        yield "train.bin", "train", train, labels(15, classes)
        yield "test.bin", "test", test, labels(3, classes)
        return
    for k in range(5):
        yield f"data_batch_{k + 1}.bin", f"data_batch_{k + 1}", train[3 * k:3 * k + 3], labels(15, 10)[3 * k:3 * k + 3]
    yield "test_batch.bin", "test_batch", test, labels(3, 10)


def records(images, names, fine):
    return b"".join((bytes((n % 20, n)) if fine else bytes((n,))) + row.tobytes() for row, n in zip(planes(images), names))


def python2(data, names, key):
    """What Python 2's cPickle wrote with protocol 2: str as SHORT_BINSTRING and BINSTRING, an array by _reconstruct."""
    def text(b):
        return b"U" + bytes((len(b),)) + b if len(b) < 256 else b"T" + struct.pack("<i", len(b)) + b

    def number(i):
        return b"K" + bytes((i,)) if i < 256 else b"M" + struct.pack("<H", i)
    array = (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R("
             + number(1) + number(len(names)) + number(3072) + b"\x86cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1)
             + b"\x87R(" + number(3) + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + number(0) + b"tb\x89"
             + text(data) + b"tb")
    coarse = text(b"coarse_labels") + b"](" + b"".join(number(n % 20) for n in names) + b"e" if key == b"fine_labels" else b""
    return (b"\x80\x02}(" + text(b"batch_label") + text(b"fixture") + coarse + text(key) + b"](" +
            b"".join(map(number, names)) + b"e" + text(b"data") + array + b"u.")


def names_of(classes):
    return [f"class {k:02d}" for k in range(classes)]


def cifar():
    for fine in (False, True):
        classes, kind = (100, "cifar100") if fine else (10, "cifar10")
        key = "fine_labels" if fine else "labels"
        for binary, python, images, names in parts_of_cifar(fine):
            rows = planes(images)
            write(f"good/{kind}-binary/{binary}", records(images, names, fine))
            write(f"good/{kind}-python2/{'cifar-100-python' if fine else 'cifar-10-batches-py'}/{python}",
                  python2(rows.tobytes(), names, key.encode()))
            write(f"good/{kind}-python3/{python}", pickle.dumps({"data": rows, key: names, "filenames": ["a"]}, 2))
        text = "".join(name + "\n" for name in names_of(classes)) + "\n"
        meta = {("fine_label_names" if fine else "label_names"): names_of(classes)}
        write(f"good/{kind}-binary/{'fine_label_names.txt' if fine else 'batches.meta.txt'}", text)
        meta_name = "meta" if fine else "batches.meta"
        folder = "cifar-100-python" if fine else "cifar-10-batches-py"
        write(f"good/{kind}-python2/{folder}/{meta_name}", pickle.dumps(meta, 2))
        write(f"good/{kind}-python3/{meta_name}", pickle.dumps(meta, 2))


# ---------------------------------------------------------------- MNIST

def idx(array, kind=8):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


MNIST = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")}


def mnist_files():
    for part, (images, names) in MNIST.items():
        yield images, idx(pixels(COUNT[part], 28, 28, 1)[..., 0])
        yield names, idx(np.array(labels(COUNT[part], 10), "u1"))


def mnist():
    for name, data in mnist_files():
        write(f"good/mnist/{name}", data)
        write(f"good/mnist-gz/raw/{name}.gz", gzip.compress(data))
        write(f"good/mnist-members/MNIST/raw/{name}.gz", gzip.compress(data[:30]) + gzip.compress(data[30:]))
        write(f"good/mnist-trailing/{name}.gz", gzip.compress(data) + b"garbage")


def whole():
    """As many images as were published, all black: nothing but the digests is wrong."""
    for (images, names), n in ((MNIST["train"], 60000), (MNIST["test"], 10000)):
        for name, shape in ((images, (n, 28, 28)), (names, (n,))):
            write(f"good/mnist-whole/{name}.gz", gzip.compress(idx(np.zeros(shape, "u1")), 1))
    write("good/cifar100-whole/fine_label_names.txt", "".join(name + "\n" for name in names_of(100)))
    for name, n in (("train", 50000), ("test", 10000)):
        write(f"good/cifar100-whole/{name}.bin", b"")
        os.truncate(f"good/cifar100-whole/{name}.bin", 3074 * n)


# ---------------------------------------------------------------- SVHN

def svhn_part(part):
    y = np.array(labels(COUNT[part], 10))[:, None]
    return pixels(COUNT[part], 32, 32, 3).transpose(1, 2, 3, 0), np.where(y == 0, 10, y)


def mat_element(kind, raw):
    return struct.pack("<II", kind, len(raw)) + raw + b"\0" * (-len(raw) % 8)


def mat_array(name, shape, raw, array_class=9, kind=2, flags=0, small=False):
    tag = struct.pack("<HH", 1, len(name)) + name.ljust(4, b"\0") if small else mat_element(1, name)
    body = (mat_element(6, struct.pack("<II", array_class | flags, 0)) + mat_element(5, struct.pack(f"<{len(shape)}i", *shape))
            + tag + mat_element(kind, raw))
    return struct.pack("<II", 14, len(body)) + body


def mat_file(arrays, compress=False, header=b"MATLAB 5.0 MAT-file, fixture".ljust(124) + b"\0\1IM"):
    if compress:
        arrays = [struct.pack("<II", 15, len(z)) + z for z in map(zlib.compress, arrays)]
    return header + b"".join(arrays)


def bomb(start, zeros):
    """A compressed element: `start`, and so many zeros behind it."""
    z = zlib.compressobj(1)
    packed = z.compress(start) + b"".join(z.compress(bytes(1 << 20)) for _ in range(zeros >> 20)) \
        + z.compress(bytes(zeros & (1 << 20) - 1)) + z.flush()
    return struct.pack("<II", 15, len(packed)) + packed


def svhn_arrays(part, **y_form):
    x, y = svhn_part(part)
    return [mat_array(b"X", x.shape, x.tobytes("F"), small=True), mat_array(b"y", y.shape, y.astype("u1").tobytes(), **y_form)]


def svhn():
    for part in COUNT:
        x, y = svhn_part(part)
        name = f"{part}_32x32.mat"
        for folder, compress, extra in (("plain", False, {}), ("compressed", True, {}),
                                        ("extra", True, {"notes": {"a": 1, "b": "text"}, "more": np.arange(5.0)})):
            os.makedirs(f"good/svhn-{folder}", exist_ok=True)
            scipy.io.savemat(f"good/svhn-{folder}/{name}", {"X": x, "y": y.astype("u1"), **extra}, do_compression=compress)
        os.makedirs("good/svhn-double", exist_ok=True)
        scipy.io.savemat(f"good/svhn-double/{name}", {"y": y.astype("f8"), "X": x}, do_compression=True)
        write(f"good/svhn-zero/{name}", mat_file([mat_array(b"X", x.shape, x.tobytes("F")),
                                                  mat_array(b"y", y.shape, (y % 10).astype("u1").tobytes())]))
        for k, (kind, to) in enumerate(((4, "u2"), (5, "i4"), (9, "f8"))):  # doubles stored as other types
            write(f"good/svhn-stored-{to}/{name}",
                  mat_file([mat_array(b"X", x.shape, x.tobytes("F")),
                            mat_array(b"y", y.shape, y.astype(to).tobytes(), array_class=6, kind=kind)], k == 1))
        write(f"good/svhn-narrow/{name}", mat_file(svhn_arrays(part, array_class=6), True))  # doubles stored as bytes


def loadable():
    """What was written by hand is what SciPy reads, so that a valid file cannot be one of our own making."""
    for folder in pathlib.Path("good").glob("svhn-*"):
        for part in COUNT:
            x, y = svhn_part(part)
            read = scipy.io.loadmat(folder / f"{part}_32x32.mat")
            assert read["X"].dtype == np.uint8 and np.array_equal(read["X"], x), folder
            assert np.array_equal(read["y"], y % 10 if folder.name == "svhn-zero" else y), folder


# ---------------------------------------------------------------- folders of images

def save(path, n, side=(28, 28), mode="RGB"):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels(n + 1, side[0], side[1], 3)[n]
    Image.fromarray(image).convert(mode).save(path, format="PNG" if path.suffix == ".png" else "JPEG")


def notmnist():
    for folder, count in (("Train", 4), ("Test", 2)):
        for k, letter in enumerate("ABCDEFGHIJ"):
            for i in range(count):
                save(f"good/notmnist/{folder}/{letter}/{'QWER'[i]}GVtb2NyYXRpY2FCb2xk{k}==.png", k + i, mode="L")
    write("good/notmnist/Train/A/RGVtb2NyYXRpY2FCb2xkT2xkc3R5bGUgQm9sZC50dGY=.png", b"")


def walked(folder, names):
    """Names in torchvision's order: its own function where it is installed."""
    try:
        from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset
        found = make_dataset(folder, {name: k for k, name in enumerate(names)}, IMG_EXTENSIONS)
        return [path for path, _ in found]
    except ImportError:
        suffixes = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
        return [os.path.join(root, file) for name in names for root, _, files in sorted(os.walk(f"{folder}/{name}"))
                for file in sorted(files) if file.lower().endswith(suffixes)]


def folder():
    names = ["B", "a", "a-b", "\u00e9t\u00e9"]
    files = ["z.JPEG", "a.png", "sub/1.jpg", "sub-x/1.jpg", "sub/deep/2.PNG", "10.jpg", "9.jpg", "\u4e2d.jpg", "notes.txt"]
    for part, count in (("train", 9), ("test", 3)):
        for name in names:
            for k, file in enumerate(files[:count]):
                if file.endswith(".txt"):
                    write(f"good/folder/{part}/{name}/{file}", "not an image")
                else:
                    save(f"good/folder/{part}/{name}/{file}", k, (8 + k, 9))
        write(f"good/folder-{part}.txt", "".join(path[len("good/folder/"):] + "\n" for path in walked(f"good/folder/{part}", names)))
    write("good/folder/train/.ipynb_checkpoints/x.jpg", b"")
    write("good/folder/train/a/._z.jpg", b"")
    write("good/folder/__MACOSX/x.jpg", b"")
    for name, count in (("a", 2), ("b", 3), ("c", 11)):  # of which less than one in five may not be none
        for k in range(count):
            write(f"good/undivided/{name}/{k:02d}.jpg", b"")
    shutil.copytree("good/folder", "good/folder-val")
    write("good/folder-val/val/a/x.jpg", b"")


def imagenet_r():
    wnids = [f"n{k:08d}" for k in (30, 7, 500, 21)]
    for wnid in wnids:
        for i in range(10):
            save(f"good/imagenet-r/{wnid}/art_{i}.jpg", i, (20 + i, 30))
    write("good/imagenet-r/README.txt", "a note")
    listing = sorted(f"{wnid}/art_{i}.jpg" for wnid in wnids for i in range(10))
    test = listing[1::5]
    for part, files in (("train", [f for f in listing if f not in test]), ("test", test)):
        numbers = "".join(f"- {wnids.index(f.split('/')[0])}\n" for f in files)
        write(f"good/coda-{part}.yaml", "data:\n" + "".join(f"- data/imagenet-r/{f}\n" for f in files) + "targets:\n" + numbers)
        for f in files:
            os.makedirs(os.path.dirname(f"good/imagenet-r-split/{part}/{f}"), exist_ok=True)
            shutil.copy(f"good/imagenet-r/{f}", f"good/imagenet-r-split/{part}/{f}")
    write("good/imagenet-r-split/__MACOSX/n00000007/x.jpg", b"")
    write("good/imagenet-r-split/.cache/x.jpg", b"")
    write("good/imagenet-r.txt", "".join(f + "\n" for f in listing))
    write("good/coda-test.txt", "".join(f + "\n" for f in test))


def shuffles():
    """Lines "seed n items": what this Python shuffles."""
    for seed in (0, 1, 40, 42, 44, 2**32 - 1, 2**32 + 42, 2**63 + 1):
        for n in (1, 2, 5, 10, 100, 257):
            items = list(range(n))
            random.seed(seed)
            random.shuffle(items)
            yield " ".join(map(str, (seed, n, *items))) + "\n"


def permutations():
    """The same of torch."""
    import torch
    for seed in (0, 40, 42, 44, 2**32 - 1):
        for n in (1, 2, 10, 1000, 30000):
            items = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
            yield " ".join(map(str, (seed, n, *items))) + "\n"


def split():
    """The digest of the test images that torch draws from 30,000 names."""
    import torch
    order = torch.randperm(30000, generator=torch.Generator().manual_seed(42)).tolist()
    test = sorted(f"n{k % 200:08d}/{k:05d}.jpg" for k in order[24000:])
    write("good/split.txt", hashlib.sha256("".join(f + "\n" for f in test).encode()).hexdigest())


CUB = ["001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Sooty_Albatross"]


def cub_lists():
    """The four lists, and of each image (id, file, class, is it for training)."""
    images = [(k + 1, f"{CUB[k // 4]}/{'bdac'[k % 4]}_{k:04d}.jpg", k // 4 + 1, k % 3 != 0) for k in range(12)]
    return images, {
        "classes.txt": "".join(f"{k + 1} {name}\n" for k, name in enumerate(CUB)),
        "images.txt": "".join(f"{i} {file}\r\n" for i, file, _, _ in images),
        "train_test_split.txt": "".join(f"{i} {int(train)}\n" for i, _, _, train in reversed(images)),
        "image_class_labels.txt": "".join(f"{i} {c}\n" for i, _, c, _ in images[5:] + images[:5])}


def cub():
    images, lists = cub_lists()
    for name, text in lists.items():
        write(f"good/cub200/{name}", text)
    expected = {"train": [], "test": []}
    for i, file, c, train in images:
        save(f"good/cub200/images/{file}", i, (11, 13), "L" if i == 4 else "RGB")
        part = "train" if train else "test"
        save(f"good/cub200-split/{part}/{file}", i, (11, 13), "L" if i == 4 else "RGB")
        expected[part].append((c - 1, file))
    for part, rows in expected.items():
        write(f"good/cub200-{part}.txt", "".join(f"{label} {file}\n" for label, file in sorted(rows)))


def tiny():
    wnids = ["n03", "n01", "n02"]
    write("good/tiny/wnids.txt", "".join(w + "\n" for w in wnids))
    for w in wnids:
        for i in range(3):
            save(f"good/tiny/train/{w}/images/{w}_{i}.JPEG", i, (64, 64))
        write(f"good/tiny/train/{w}/{w}_boxes.txt", f"{w}_0.JPEG\t0\t0\t9\t9\n")
    rows = []
    for i in range(7):
        save(f"good/tiny/val/images/val_{i}.JPEG", i, (64, 64))
        save(f"good/tiny-sorted/test/{wnids[i % 3]}/images/val_{i}.JPEG", i, (64, 64))
        rows.append((wnids[i % 3], f"val_{i}.JPEG"))
    save("good/tiny/test/images/test_0.JPEG", 0)
    write("good/tiny/val/val_annotations.txt", "".join(f"{f}\t{w}\t0\t32\t44\t62\n" for w, f in rows))
    shutil.copytree("good/tiny/train", "good/tiny-sorted/train")
    write("good/tiny-test.txt", "".join(f"{sorted(wnids).index(w)} {f}\n" for w, f in sorted(rows)))


def manifests():
    rows = [("b/x,1.jpg", "zebra", "train", "1"), ('b/"q".jpg', "cat", "test", "0"), ("b/\u00fc.jpg", "cat", "", "0"),
            ("b/x,1.jpg", "zebra", "test", "1"), ("b/v.jpg", "dog", "val", "1"), ("b/w.jpg", "dog", "train", "1")]
    os.makedirs("good/csv", exist_ok=True)
    with open("good/csv/manifest.csv", "w", newline="", encoding="utf-8-sig") as f:  # a byte order mark, CRLF
        out = csv.writer(f)
        out.writerow(["label", "task", "path", "split", "remark"])
        out.writerows([label, task, path, part, "two\nlines"] for path, label, part, task in rows)
    for k, row in enumerate(rows):
        save(f"good/csv/{row[0]}", k)
    write("good/csv-ids/list.csv", "path,label\na.jpg,1\nb.jpg,0\nc.jpg,02\n" + "path.jpg,1\n")
    write("good/csv-ids/manifest.csv", "path,label,split\na.jpg,1,test\nb.jpg,0,\nc.jpg,02,train")
    write("good/csv-classes/classes.txt", "7\ncat\n12\n")
    write("good/csv-classes/manifest.csv", "path,label,split\na.jpg,7,test\nb.jpg,cat,train\nc.jpg,12,train\n")


# ---------------------------------------------------------------- what is broken

BAD = []


def bad(kind, code, files, base=None):
    """A broken data set: `files` on top of a copy of the folder `base`; None removes a file."""
    folder = f"bad/{kind}/{len(BAD):03d}"
    BAD.append(f"{kind} {folder} {code}\n")
    if base:
        shutil.copytree(base, folder, symlinks=True)
    for name, data in files.items():
        if data is None:
            os.remove(f"{folder}/{name}")
        else:
            write(f"{folder}/{name}", data)
    return folder


def bad_cifar():
    good = pathlib.Path("good/cifar10-binary/test_batch.bin").read_bytes()
    base = "good/cifar10-binary"
    bad("cifar10", "E_TRUNC", {"test_batch.bin": good[:-1]}, base)
    bad("cifar10", "E_TRUNC", {"test_batch.bin": good + b"x"}, base)
    bad("cifar10", "E_TRUNC", {"test_batch.bin": b""}, base)
    bad("cifar10", "E_RANGE", {"test_batch.bin": b"\x0a" + good[1:]}, base)
    bad("cifar10", "E_RANGE", {"batches.meta.txt": "one\ntwo\n"}, base)
    bad("cifar10", "E_DUP", {"batches.meta.txt": "one\n" * 10}, base)
    good, base = pathlib.Path("good/cifar100-binary/test.bin").read_bytes(), "good/cifar100-binary"
    bad("cifar100", "E_TRUNC", {"test.bin": good[:-1]}, base)
    bad("cifar100", "E_TRUNC", {"test.bin": good + b"x"}, base)
    bad("cifar100", "E_RANGE", {"test.bin": b"\x00\x64" + good[2:]}, base)
    bad("cifar100", "E_RANGE", {"test.bin": b"\x14\x00" + good[2:]}, base)
    base, rows, names = "good/cifar100-python3", planes(pixels(3, 32, 32, 3)), labels(3, 100)

    def pickled(data=rows, fine=names, **more):
        return {"test": pickle.dumps({"data": data, "fine_labels": fine, **more}, 2)}
    bad("cifar100", "E_DTYPE", pickled(rows.astype("<f4")), base)
    bad("cifar100", "E_SHAPE", pickled(rows[:, :3071].copy()), base)
    bad("cifar100", "E_SHAPE", pickled(rows.reshape(3, 3, 1024)), base)
    bad("cifar100", "E_UNSUPPORTED", pickled(np.asfortranarray(rows)), base)
    bad("cifar100", "E_RANGE", pickled(fine=[1, 2, 100]), base)
    bad("cifar100", "E_RANGE", pickled(fine=[1, 2, -1]), base)
    bad("cifar100", "E_RANGE", pickled(fine=[1, 2]), base)
    bad("cifar100", "E_RANGE", pickled(coarse_labels=[1, 2, 20]), base)
    bad("cifar100", "E_DTYPE", pickled(fine=[1, 2, "three"]), base)
    bad("cifar100", "E_DTYPE", pickled(fine=(1, 2, 3)), base)
    bad("cifar100", "E_DTYPE", pickled("not an array"), base)
    bad("cifar100", "E_MISSING", {"test": pickle.dumps({"data": rows}, 2)}, base)
    bad("cifar100", "E_MISSING", {"test": pickle.dumps({"fine_labels": names}, 2)}, base)
    bad("cifar100", "E_DTYPE", {"test": pickle.dumps([1, 2, 3], 2)}, base)
    whole = python2(rows.tobytes(), names, b"fine_labels")
    blob = whole.replace(b"T" + struct.pack("<i", rows.size) + rows.tobytes(),
                         b"T" + struct.pack("<i", rows.size - 5) + rows.tobytes()[:-5])
    bad("cifar100", "E_TRUNC", {"test": blob}, base)
    bad("cifar100", "E_TRUNC", {"test": whole[:-100]}, base)


def bad_idx():
    train, names = MNIST["train"]
    files = dict(mnist_files())
    images = files[train]
    zipped = gzip.compress(images)
    base = "good/mnist"
    only_gz = {train: None}
    for code, data in (("E_SHAPE", b"\0\0\x08\x02" + images[4:]), ("E_DTYPE", b"\0\0\x0d\x03" + images[4:]),
                       ("E_OVERFLOW", images[:4] + b"\xff" * 12), ("E_LIMIT", images[:4] + struct.pack(">III", 1 << 31, 1, 1)),
                       ("E_TRUNC", images[:-1]), ("E_RANGE", images + b"x"), ("E_TRUNC", images[:9]), ("E_TRUNC", b""),
                       ("E_MAGIC", b"PK\3\4" + images[4:]), ("E_MAGIC", zipped),
                       ("E_SHAPE", idx(pixels(15, 28, 27, 1)[..., 0])), ("E_RANGE", idx(pixels(14, 28, 28, 1)[..., 0]))):
        bad("mnist", code, {train: data}, base)
    bad("mnist", "E_RANGE", {names: idx(np.full(15, 10, "u1"))}, base)
    bad("mnist", "E_RANGE", {names: idx(np.zeros(14, "u1"))}, base)
    for code, data in (("E_TRUNC", zipped[:-1]), ("E_TRUNC", zipped[:len(zipped) // 2]), ("E_MAGIC", images),
                       ("E_RANGE", gzip.compress(images + b"x")), ("E_RANGE", gzip.compress(images + bytes(1 << 24))),
                       ("E_TRUNC", gzip.compress(images[:-1])), ("E_CRC", zipped[:-8] + b"\0\0\0\0" + zipped[-4:]),
                       ("E_TRUNC", gzip.compress(struct.pack(">IIII", 0x803, 1 << 20, 28, 28)))):
        bad("mnist", code, {**only_gz, train + ".gz": data}, base)


def bad_mat():
    x, y = svhn_part("train")
    raw, names = x.tobytes("F"), y.astype("u1").tobytes()
    name = "train_32x32.mat"

    def one(code, data):
        bad("svhn", code, {name: data}, "good/svhn-plain")

    def two(code, first=None, second=None, **how):
        one(code, mat_file([first or mat_array(b"X", x.shape, raw), second or mat_array(b"y", y.shape, names)], **how))
    good = mat_file(svhn_arrays("train"), True)
    header = b"MATLAB 5.0 MAT-file, fixture".ljust(124)
    two("E_UNSUPPORTED", header=header + b"\1\0MI")
    two("E_VERSION", header=b"MATLAB 7.3 MAT-file, fixture".ljust(124) + b"\0\2IM")
    two("E_VERSION", header=header + b"\0\2IM")
    two("E_MAGIC", header=header + b"\0\1XX")
    for cut in (0, 100, 128 + 4, 128 + 20, len(good) // 2, len(good) - 1):
        one("E_MISSING" if cut == 128 else "E_TRUNC", good[:cut])
    one("E_TRUNC", good[:132] + struct.pack("<I", 0x7fffffff) + good[136:])
    one("E_CRC", good[:160] + b"\xff" * 40 + good[200:])
    one("E_CRC", mat_file([struct.pack("<II", 15, 40) + b"\x01" * 40]))
    one("E_SYNTAX", mat_file([mat_element(9, b"12345678")]))
    element = mat_array(b"X", x.shape, raw)
    z = zlib.compress(element + b"more")
    one("E_LIMIT", mat_file([struct.pack("<II", 15, len(z)) + z, mat_array(b"y", y.shape, names)]))
    z = zlib.compress(element)
    one("E_RANGE", mat_file([struct.pack("<II", 15, len(z) + 3) + z + b"abc", mat_array(b"y", y.shape, names)]))
    z = zlib.compress(element)[:-4] + b"\0\0\0\0"
    one("E_CRC", mat_file([struct.pack("<II", 15, len(z)) + z, mat_array(b"y", y.shape, names)]))
    z = zlib.compress(element[:8 + 56] + struct.pack("<II", 2, len(raw)))
    one("E_TRUNC", mat_file([struct.pack("<II", 15, len(z)) + z, mat_array(b"y", y.shape, names)]))
    head = mat_array(b"X", (32, 32, 3, 15000), b"")[8:-8] + struct.pack("<II", 2, 3072 * 15000)
    head = struct.pack("<II", 14, len(head) + 3072 * 15000) + head
    one("E_RANGE", mat_file([bomb(head, 3072 * 15000), mat_array(b"y", y.shape, names)]))
    many = 80_000  # 245 MB of pixels in a megabyte: more than were published, behind the variable, as its name
    head = mat_array(b"X", (32, 32, 3, many), b"")[8:-8] + struct.pack("<II", 2, 3072 * many)
    size = len(head) + 3072 * many
    one("E_LIMIT", mat_file([bomb(struct.pack("<II", 14, size) + head, 3072 * many), mat_array(b"y", (many, 1), bytes(many))]))
    one("E_LIMIT", mat_file([bomb(element, 3072 * many), mat_array(b"y", y.shape, names)]))
    head = element[8:8 + 56 - 16] + struct.pack("<II", 1, 3072 * many)
    one("E_LIMIT", mat_file([bomb(struct.pack("<II", 14, size) + head, 3072 * many), mat_array(b"y", y.shape, names)]))
    small = struct.pack("<HH", 1, 5) + b"XXXX"
    body = element[8:].replace(mat_element(1, b"X"), small)
    one("E_RANGE", mat_file([struct.pack("<II", 14, len(body)) + body]))
    two("E_DTYPE", mat_array(b"X", x.shape, raw, array_class=2))
    two("E_DTYPE", mat_array(b"X", x.shape, raw, array_class=8))
    two("E_DTYPE", mat_array(b"X", x.shape, raw, kind=1))
    for stored, to in ((9, "f8"), (4, "u2"), (5, "i4")):  # of class uint8, and not bytes in the file
        two("E_DTYPE", mat_array(b"X", x.shape, x.astype(to).tobytes("F"), kind=stored))
    two("E_DTYPE", second=mat_array(b"y", y.shape, names, array_class=6, kind=1))
    two("E_DTYPE", second=mat_array(b"y", y.shape, y.astype("f4").tobytes(), array_class=6, kind=7))
    one("E_VERSION", good[:512] + b"\x89HDF\r\n\x1a\n" + good[520:])
    one("E_VERSION", b"HDF5 behind other bytes".ljust(512) + b"\x89HDF\r\n\x1a\n" + bytes(100))
    two("E_DTYPE", second=mat_array(b"y", y.shape, names, array_class=4))
    two("E_UNSUPPORTED", mat_array(b"X", x.shape, raw, flags=0x0800))
    two("E_SHAPE", mat_array(b"X", (32, 32, 3), raw[:3072]))
    two("E_SHAPE", mat_array(b"X", (0, 32, 3, 15), b""))
    two("E_SHAPE", mat_array(b"X", (32, 32, 15, 3), raw))
    two("E_RANGE", mat_array(b"X", (32, 32, -3, 15), raw))
    two("E_OVERFLOW", mat_array(b"X", (1 << 30, 1 << 30, 1 << 30, 4), raw))
    two("E_RANGE", mat_array(b"X", (32, 32, 3, 16), raw))
    two("E_RANGE", mat_array(b"X", (32, 32, 3, 14), raw[:3072 * 14]))
    two("E_RANGE", second=mat_array(b"y", y.shape, b"\x0b" + names[1:]))
    two("E_RANGE", second=mat_array(b"y", y.shape, b"\0\x0a" + names[2:]))
    two("E_RANGE", second=mat_array(b"y", y.shape, np.full(15, 1.5).tobytes(), array_class=6, kind=9))
    two("E_RANGE", second=mat_array(b"y", y.shape, np.full(15, np.nan).tobytes(), array_class=6, kind=9))
    two("E_MISSING", second=mat_array(b"z", y.shape, names))
    two("E_DUP", second=mat_array(b"X", x.shape, raw))


def bad_folders():
    base = "good/folder"
    folder = bad("folder", "E_MISSING", {}, base)
    os.makedirs(folder + "/train/empty")
    os.makedirs(folder + "/test/empty")
    folder = bad("folder", "E_MISSING", {}, base)
    shutil.rmtree(folder + "/test")
    folder = bad("folder", "E_MISSING", {}, base)
    shutil.rmtree(folder + "/test/B")
    folder = bad("folder", "E_MISSING", {"note.txt": "nothing here"})
    folder = bad("folder", "E_PATH", {}, base)
    os.symlink("loop", folder + "/train/loop")
    folder = bad("folder", "E_PATH", {}, base)
    os.symlink("/etc", folder + "/train/a/out")
    folder = bad("folder", "E_PATH", {}, base)
    os.symlink("../../../../../good/folder/train/a/9.jpg", folder + "/train/a/out.jpg")
    folder = bad("folder", "E_LIMIT", {}, base)
    os.symlink("..", folder + "/train/a/up")
    folder = bad("folder", "E_PATH", {}, base)
    shutil.copy("good/folder/train/a/9.jpg", folder + "/train/a/back\\slash.jpg")
    bad("folder", "E_UNSUPPORTED", {"c/x.jpg": b""}, base)
    bad("folder", "E_MISSING", {"a/1.jpg": b"", "a/2.jpg": b"", "b/1.jpg": b""})  # one image is not enough to divide
    bad("imagenet-r", "E_UNSUPPORTED", {"n00000001/x.jpg": b""}, "good/imagenet-r-split")
    folder = bad("imagenet-r", "E_MISSING", {}, "good/imagenet-r-split")
    shutil.rmtree(folder + "/test")
    folder = bad("notmnist", "E_MISSING", {}, "good/notmnist")
    shutil.rmtree(folder + "/Test/J")
    os.makedirs(folder + "/Test/J")


def bad_cub():
    _, lists = cub_lists()

    def one(code, name, change):
        bad("cub200", code, {name: change(lists[name])}, "good/cub200")
    one("E_MISSING", "images.txt", lambda t: t.replace("3 ", "30 ", 1))
    one("E_DUP", "images.txt", lambda t: t.replace("3 ", "2 ", 1))
    one("E_SYNTAX", "images.txt", lambda t: t.replace("3 ", "three ", 1))
    one("E_SYNTAX", "images.txt", lambda t: t.replace("3 ", "3", 1))
    one("E_RANGE", "images.txt", lambda t: t.replace("3 ", "0 ", 1))
    one("E_RANGE", "images.txt", lambda t: t.replace("3 ", "99999999999 ", 1))
    for wrong in ("../../etc/passwd", "/etc/passwd", CUB[0] + "//a.jpg", CUB[0] + "/../a.jpg", "a.jpg", CUB[0] + "/b/c.jpg", "a\\b/c"):
        one("E_PATH", "images.txt", lambda t: t.replace(CUB[0] + "/a_0002.jpg", wrong))
    one("E_SYNTAX", "images.txt", lambda t: t.replace("a_0002", "a\0"))
    one("E_DUP", "images.txt", lambda t: t.replace("a_0002", "b_0000"))
    one("E_RANGE", "image_class_labels.txt", lambda t: t.replace("12 3", "12 2"))
    one("E_RANGE", "image_class_labels.txt", lambda t: t.replace("12 3", "12 4"))
    one("E_MISSING", "image_class_labels.txt", lambda t: t.replace("12 3\n", ""))
    one("E_RANGE", "train_test_split.txt", lambda t: t.replace("12 1", "12 2"))
    one("E_SYNTAX", "train_test_split.txt", lambda t: t.replace("12 1", "12 yes"))
    one("E_RANGE", "classes.txt", lambda t: t.replace("1 001", "1 009"))
    one("E_MISSING", "classes.txt", lambda t: "")


def bad_tiny():
    text = pathlib.Path("good/tiny/val/val_annotations.txt").read_text()

    def one(code, change):
        bad("tiny-imagenet", code, {"val/val_annotations.txt": change(text)}, "good/tiny")
    one("E_SYNTAX", lambda t: t.replace("\t", " "))
    one("E_SYNTAX", lambda t: t.replace("\t62", ""))
    one("E_RANGE", lambda t: t.replace("n02", "n99"))
    one("E_PATH", lambda t: t.replace("val_0", "../val_0"))
    one("E_DUP", lambda t: t + t.splitlines()[0] + "\n")
    bad("tiny-imagenet", "E_MISSING", {"wnids.txt": "n01\nn02\n"}, "good/tiny")


def bad_csv():
    head = "path,label,split\n"
    good = head + "a.jpg,cat,train\nb.jpg,dog,test\n"
    for code, text in (("E_MISSING", ""), ("E_MISSING", "\n\n"), ("E_MISSING", head), ("E_MISSING", good.replace("label", "class")),
                       ("E_MISSING", good.replace("path", "file")), ("E_DUP", good.replace("split", "label")),
                       ("E_SYNTAX", good + "c.jpg,cat\n"), ("E_SYNTAX", good + "c.jpg,cat,train,more\n"),
                       ("E_SYNTAX", good + '"c.jpg,cat,train\n'), ("E_SYNTAX", good + '"c".jpg,cat,train\n'),
                       ("E_SYNTAX", good + 'c".jpg,cat,train\n'), ("E_SYNTAX", good + "c\0.jpg,cat,train\n"),
                       ("E_SYNTAX", good.encode() + b"c\xff.jpg,cat,train\n"), ("E_SYNTAX", good.encode() + b"\xc0\xaf,cat,train\n"),
                       ("E_SYNTAX", good + "c.jpg,7,train\n"), ("E_SYNTAX", good + "c.jpg,cat,training\n"),
                       ("E_SYNTAX", good + "c.jpg,,train\n"),
                       ("E_MISSING", head + "a.jpg,0,train\nb.jpg,2,test\n"), ("E_RANGE", head + "a.jpg,0,train\nb.jpg,65536,test\n"),
                       ("E_RANGE", head + "a.jpg,0,train\nb.jpg,99999999999999999999,test\n"),
                       ("E_LIMIT", good + "c.jpg," + "x" * (1 << 20) + ",train\n"), ("E_LIMIT", good + "c.jpg,cat" + "," * 300 + "\n"),
                       ("E_LIMIT", good + '"' + "x" * (1 << 20) + '",cat,train\n'), ("E_SYNTAX", good + "c.jpg," + "x" * 256 + ",train\n"),
                       ("E_PATH", good + "../c.jpg,cat,train\n"), ("E_PATH", good + "/c.jpg,cat,train\n"),
                       ("E_PATH", good + "x//c.jpg,cat,train\n"), ("E_PATH", good + ",cat,train\n"),
                       ("E_PATH", good + "x/./c.jpg,cat,train\n"), ("E_PATH", good + '"x\ny.jpg",cat,train\n'),
                       ("E_DUP", good + "a.jpg,dog,\n"), ("E_MISSING", head + "a.jpg,cat,train\nb.jpg,dog,train\n"),
                       ("E_RANGE", "path,label,task\na,x,0\nb,x,1\n"), ("E_RANGE", "path,label,task\na,x,-1\n"),
                       ("E_MISSING", "path,label,task\na,x,0\nb,y,2\n")):
        bad("csv", code, {"manifest.csv": text})
    bad("csv", "E_RANGE", {"manifest.csv": good, "classes.txt": "cat\nhorse\n"})
    bad("csv", "E_RANGE", {"manifest.csv": head + "a,0,train\nb,1,test\n", "classes.txt": "cat\n"})
    bad("csv", "E_DUP", {"manifest.csv": good, "classes.txt": "cat\ncat\n"})


def main():
    for folder_name in ("good", "bad"):
        shutil.rmtree(folder_name, ignore_errors=True)
    for make in (cifar, mnist, whole, svhn, loadable, notmnist, folder, imagenet_r, cub, tiny, manifests):
        make()
    for make in (bad_cifar, bad_idx, bad_mat, bad_folders, bad_cub, bad_tiny, bad_csv):
        make()
    write("bad.txt", "".join(BAD))
    write("good/shuffles.txt", "".join(shuffles()))
    try:
        write("good/permutations.txt", "".join(permutations()))
        split()
    except ImportError:
        pass


if __name__ == "__main__":
    main()

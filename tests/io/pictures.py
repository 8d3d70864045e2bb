#!/usr/bin/env python3
"""pictures.py FOLDER: pictures of every kind that io/picture.h reads, and what Pillow makes of each picture in the folder.

For NAME.pic, also those that were there before, NAME.rgb holds height and width (32 bits, little-endian) and the bytes of
Image.convert("RGB"); it is empty where Pillow cannot read the picture.
"""
import io
import os
import random
import struct
import sys
import zlib

try:
    import numpy as np
    from PIL import Image
except ImportError:
    sys.exit(77)

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
rng = random.Random(5)


def noise(height, width, channels):
    """A smooth field under some noise, so that JPEG's rounding shows."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 90 * np.sin(x / rng.uniform(2, 30) + c) * np.cos(y / rng.uniform(2, 30)) for c in range(channels)]
    field = np.stack(planes, -1) + np.random.RandomState(rng.randrange(1 << 30)).normal(0, 20, (height, width, channels))
    return np.clip(field, 0, 255).astype("u1")


def packed(rows, depth):
    """Rows of values (height, width * channels) as PNG packs them, each behind filter type 0."""
    out = b""
    for row in rows:
        if depth == 16:
            body = b"".join(struct.pack(">H", v) for v in row)
        elif depth == 8:
            body = bytes(row)
        else:
            bits = "".join(format(v, "0%db" % depth) for v in row)
            bits += "0" * (-len(bits) % 8)
            body = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        out += b"\0" + body
    return out


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(values, kind, depth, interlaced, extra=b""):
    """values: (height, width, channels) of integers."""
    height, width, _ = values.shape
    rows = lambda v: packed(v.reshape(v.shape[0], -1).tolist(), depth) if v.size else b""
    if interlaced:
        data = b"".join(rows(values[y::dy, x::dx]) for x, y, dx, dy in ADAM7)
    else:
        data = rows(values)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data)) +
            chunk(b"IEND", b""))


def png_pictures():
    for kind, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (0, 1):
                height, width = rng.randint(1, 20), rng.randint(1, 20)
                low = 300 if kind == 0 and depth == 16 else 1 << depth
                values = np.random.RandomState(rng.randrange(1 << 30)).randint(0, low, (height, width, CHANNELS[kind]))
                extra = b""
                if kind == 3:
                    extra = chunk(b"PLTE", bytes(rng.randrange(256) for _ in range(3 << depth)))
                    if interlaced:
                        extra += chunk(b"tRNS", bytes(rng.randrange(256) for _ in range(1 << depth)))
                if kind in (0, 2) and interlaced:
                    extra = chunk(b"tRNS", struct.pack(">H", 1) * CHANNELS[kind])
                if depth == 8:
                    extra = chunk(b"gAMA", struct.pack(">I", 100000)) + extra
                yield "png-%d-%d-%d" % (kind, depth, interlaced), png(values, kind, depth, interlaced, extra)


def saved(image, **options):
    out = io.BytesIO()
    image.save(out, **options)
    return out.getvalue()


def jpeg_pictures():
    for i in range(60):
        mode = rng.choice(["RGB", "RGB", "RGB", "L", "CMYK"])
        shape = rng.randint(1, 90), rng.randint(1, 90)
        image = Image.fromarray(noise(*shape, len(Image.new(mode, (1, 1)).getbands())).squeeze(-1)
                                if mode == "L" else noise(*shape, 3 if mode == "RGB" else 4), mode)
        options = {"format": "JPEG", "quality": rng.choice([3, 20, 50, 75, 90, 100]),
                   "progressive": rng.random() < 0.4, "optimize": rng.random() < 0.4}
        if mode == "RGB":
            options["subsampling"] = rng.choice([0, 1, 2])
        if i % 7 == 0:
            exif = Image.Exif()
            exif[0x0112] = 6  # turned by a quarter: to be ignored
            options["exif"] = exif
        bytes_ = saved(image, **options)
        yield "jpeg-%s-%d" % (mode.lower(), i), bytes_
        if mode == "CMYK":  # the same samples called YCCK
            at = bytes_.index(b"Adobe") + 11
            yield "jpeg-ycck-%d" % i, bytes_[:at] + b"\2" + bytes_[at + 1:]
        if i % 10 == 0:
            yield "jpeg-tail-%d" % i, bytes_ + b"behind the end"
            at = 4 + int.from_bytes(bytes_[4:6], "big")  # behind the first segment
            yield "jpeg-between-%d" % i, bytes_[:at] + b"\0\1\2" + bytes_[at:]


def pnm_pictures():
    for channels, magic in ((1, b"P5"), (3, b"P6")):
        for largest in (1, 15, 100, 255, 256, 1000, 65535):
            height, width = rng.randint(1, 9), rng.randint(1, 9)
            values = [rng.randint(0, min(largest, 700)) for _ in range(height * width * channels)]
            body = b"".join(struct.pack(">H" if largest > 255 else "B", v) for v in values)
            yield ("pnm-%d-%d" % (channels, largest),
                   magic + b"\n# a comment\n%d %d\t%d\n" % (width, height, largest) + body)


def main():
    folder = sys.argv[1]
    for pictures in (png_pictures, jpeg_pictures, pnm_pictures):
        for name, data in pictures():
            with open(os.path.join(folder, name + ".pic"), "wb") as out:
                out.write(data)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".pic"):
            path = os.path.join(folder, name)
            with open(path[:-3] + "rgb", "wb") as out:
                try:
                    with Image.open(path) as image:
                        rgb = np.asarray(image.convert("RGB"))
                    out.write(struct.pack("<II", *rgb.shape[:2]) + rgb.tobytes())
                except Exception as error:  # what Pillow says is its own affair
                    print(name, error)


main()

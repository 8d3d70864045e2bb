#!/usr/bin/env python3
"""pixels.py FILE SEED: random images and what the Pillow of this machine makes of them, for tests/model/test_image.c.

Cases follow one another, each of 13 little-endian 32-bit integers, a 32-bit float, the image's bytes and the result's:
    what             0 resize, 1 the training side (crop, resize, flip, brightness), 2 the test side (resize, crop the centre)
    height, width, channels; new height, new width (2: of the crop); filter (0 bilinear, 1 bicubic)
    top, left, height, width of the crop; flip; 0
    brightness, a factor
"""
import random
import struct
import sys

try:
    import numpy as np
    from PIL import Image, ImageEnhance
except ImportError:
    sys.exit(77)

FILTERS = [Image.BILINEAR, Image.BICUBIC]
RESIZES, TRAININGS, TESTS = 400, 300, 200
rng = random.Random(int(sys.argv[2]))


def side(most):
    """Any, but small ones as often as large ones."""
    return rng.randint(1, rng.choice([4, 40, most]))


def draw():
    """Noise, or steep edges, which overshoot under the bicubic filter."""
    height, width, channels = side(400), side(400), rng.choice([1, 3])
    pixels = np.random.RandomState(rng.randrange(1 << 31)).randint(0, 256, (height, width, channels)).astype("u1")
    if rng.random() < 0.5:
        pixels = np.where(pixels < 128, 0, 255).astype("u1")
    return pixels, Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def put(out, what, pixels, size, kind, result, box=(0, 0, 0, 0), flip=0, brightness=1.0):
    out.write(struct.pack("<13if", what, *pixels.shape, *size, kind, *box, flip, 0, brightness))
    out.write(pixels.tobytes() + result.tobytes())


def resize(out):
    pixels, image = draw()
    height, width, kind = side(300), side(300), rng.randint(0, 1)
    put(out, 0, pixels, (height, width), kind, image.resize((width, height), FILTERS[kind]))


def train(out):
    pixels, image = draw()
    new, kind, flip = side(120), rng.randint(0, 1), rng.randint(0, 1)
    height, width = rng.randint(1, image.height), rng.randint(1, image.width)
    top, left = rng.randint(0, image.height - height), rng.randint(0, image.width - width)
    factor = float(np.float32(rng.uniform(1 - 63 / 255, 1 + 63 / 255)))
    result = image.crop((left, top, left + width, top + height)).resize((new, new), FILTERS[kind])
    if flip:
        result = result.transpose(Image.FLIP_LEFT_RIGHT)
    result = ImageEnhance.Brightness(result).enhance(factor)
    put(out, 1, pixels, (new, new), kind, result, (top, left, height, width), flip, factor)


def test(out):
    """As torchvision's Resize and CenterCrop."""
    pixels, image = draw()
    new = side(120)
    shorter = (new * 256 + 112) // 224
    if image.width <= image.height:
        width, height = shorter, int(shorter * image.height / image.width)
    else:
        width, height = int(shorter * image.width / image.height), shorter
    top, left = int(round((height - new) / 2.0)), int(round((width - new) / 2.0))
    result = image.resize((width, height), Image.BICUBIC).crop((left, top, left + new, top + new))
    put(out, 2, pixels, (new, new), 1, result)


with open(sys.argv[1], "wb") as out:
    for function, count in ((resize, RESIZES), (train, TRAININGS), (test, TESTS)):
        for _ in range(count):
            function(out)

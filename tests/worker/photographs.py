#!/usr/bin/env python3
"""photographs.py FOLDER SIDE: a data set of pictures of different sizes, and what torchvision makes of its test images.

FOLDER/train/CLASS/NAME and FOLDER/test/CLASS/NAME are JPEG and PNG files, coloured and grey, some PNGs with the suffix .jpg; FOLDER.f32 holds the network's
input (3, SIDE, SIDE) for every test image, class by class and by name, as the transform `default` defines it; without
torchvision it is not written.
"""
import os
import random
import sys

try:
    import numpy as np
    from PIL import Image
except ImportError:
    sys.exit(77)
try:
    from torchvision import transforms as T
except ImportError:
    T = None

CLASSES, COUNTS = 6, {"train": 12, "test": 6}
folder, side = sys.argv[1], int(sys.argv[2])
rng = random.Random(11)
noise = np.random.RandomState(12)


def picture(label):
    """Stripes with the class's direction and colour."""
    height, width = rng.randint(9, 60), rng.randint(9, 60)
    y, x = np.mgrid[0:height, 0:width] * (24.0 / max(height, width))
    angle = np.pi * label / CLASSES
    wave = np.sin((0.6 + 0.3 * (label % 3)) * (x * np.cos(angle) + y * np.sin(angle)))
    colour = [60 * ((label + 1) >> c & 1) - 30 for c in range(3)]
    planes = np.stack([128 + 60 * wave + c for c in colour], -1) + noise.normal(0, 15, (height, width, 3))
    return Image.fromarray(np.clip(planes, 0, 255).astype("u1"))


for part, count in COUNTS.items():
    for label in range(CLASSES):
        where = os.path.join(folder, part, "class %d" % label)
        os.makedirs(where)
        for i in range(count):
            image = picture(label)
            if i % 5 == 3:
                image = image.convert("L")
            if i % 4 == 1:  # one of them under the name of another format
                image.save(os.path.join(where, "%02d.%s" % (i, "jpg" if i == 5 else "png")), "png")
            else:
                path = os.path.join(where, "%02d.jpg" % i)
                image.save(path, quality=rng.choice([60, 90]), progressive=i % 3 == 0)
                if part == "train" and label == 2 and i == 4:  # something between two segments
                    with open(path, "r+b") as file:
                        data = file.read()
                        at = 4 + int.from_bytes(data[4:6], "big")
                        file.seek(at)
                        file.write(b"\0\1\2" + data[at:])

if T is None:
    sys.exit(0)
transform = T.Compose([
    T.Resize((side * 256 + 112) // 224, interpolation=T.InterpolationMode.BICUBIC),
    T.CenterCrop(side),
    T.ToTensor(),
])
with open(folder + ".f32", "wb") as out:
    for label in sorted(os.listdir(os.path.join(folder, "test"))):
        where = os.path.join(folder, "test", label)
        for name in sorted(os.listdir(where)):
            with Image.open(os.path.join(where, name)) as image:
                out.write(transform(image.convert("RGB")).numpy().astype("<f4").tobytes())

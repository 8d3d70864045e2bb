#!/usr/bin/env python3
"""photographs.py FOLDER [COUNT]: a folder of COUNT (3000) JPEGs like ImageNet-R's, for bench_import.

FOLDER/class-NNN/NNNNN.jpg, 200 classes, sides of 200 to 700 pixels (500 by 375 in the middle), quality 75 to 95, one in ten
progressive, one in twenty grey.
"""
import os
import random
import sys

import numpy as np
from PIL import Image

folder, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000
rng, noise = random.Random(1), np.random.RandomState(2)


def scene():
    """Soft shapes with edges and some grain, 1100 pixels square."""
    small = Image.fromarray(noise.randint(0, 256, (9, 9, 3)).astype("u1")).resize((1100, 1100), Image.BICUBIC)
    edges = Image.fromarray((noise.rand(70, 70, 3) > 0.93).astype("u1") * 90).resize((1100, 1100), Image.NEAREST)
    grain = noise.normal(0, 6, (1100, 1100, 3))
    return Image.fromarray(np.clip(np.asarray(small, "f4") + np.asarray(edges, "f4") - 20 + grain, 0, 255).astype("u1"))


scenes = [scene() for _ in range(20)]
for i in range(count):
    where = os.path.join(folder, "class-%03d" % (i % 200))
    os.makedirs(where, exist_ok=True)
    width, height = int(rng.triangular(200, 700, 500)), int(rng.triangular(200, 600, 375))
    left, top = rng.randrange(1100 - width), rng.randrange(1100 - height)
    image = scenes[i % len(scenes)].crop((left, top, left + width, top + height))
    if i % 20 == 7:
        image = image.convert("L")
    image.save(os.path.join(where, "%05d.jpg" % i), quality=rng.randint(75, 95), progressive=i % 10 == 3)

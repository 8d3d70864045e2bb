#!/usr/bin/env python3
"""Writes tests/reference/image.h5: what Pillow and torchvision make of random images, for tests/model/test_image.c.

    /usr/bin/python3 tests/reference/image.py [FILE]

Arrays (pixels of all cases of a group follow one another in one flat array):

    name                type  shape     meaning
    resize/cases        i32   (n, 6)    height, width, channels, new height, new width, filter (0 bilinear, 1 bicubic)
    resize/in, out      u8    flat      PIL.Image.resize
    crop/cases          f64   (n, 7)    height, width, least area; top, left, height, width of RandomResizedCrop.get_params
    crop/words          i64   (n, 22)   the numbers of torch's generator that it used
    centre/cases        i32   (n, 5)    height, width, side; new height, new width of Resize(side)
    centre/boxes        i32   (n, 2)    top, left of CenterCrop(side) of that
    test/cases          i32   (n, 5)    pipeline (0 plain, 1 cifar, 2 default), height, width, channels, side
    test/in             u8    flat      image
    test/out            f32   flat      the test-time pipeline, (3, side, side)
    train/cases         i32   (n, 10)   as test/cases; then top, left, height, width, flip
    train/brightness    f32   (n)       factor
    train/in, train/out               the training pipeline with these draws
"""
import os
import sys

import h5py
import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F

BILINEAR, BICUBIC = T.InterpolationMode.BILINEAR, T.InterpolationMode.BICUBIC
FILTERS = [Image.BILINEAR, Image.BICUBIC]
NORMALISE = T.Normalize((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
SEED = 20240607
random = np.random.RandomState(SEED)


def draw_image(height, width, channels):
    """Noise, or for every other image steep edges, which overshoot under the bicubic filter."""
    pixels = random.randint(0, 256, (height, width, channels)).astype(np.uint8)
    if random.randint(2):
        pixels = np.where(pixels < 128, 0, 255).astype(np.uint8)
    return pixels


def to_pil(pixels):
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def flat(arrays, dtype):
    return np.concatenate([np.asarray(a, dtype).ravel() for a in arrays])


def resize_group(n):
    cases, inputs, outputs = [], [], []
    for i in range(n):
        height, width = random.randint(1, 41, 2)
        new_height, new_width = random.randint(1, 61, 2)
        if i % 10 == 3:
            new_height = height
        if i % 10 == 4:
            new_width = width
        if i % 20 == 5:
            new_height, new_width = height, width
        if i % 10 == 6:
            height, width, new_height, new_width = 3 * height, 3 * width, 1 + new_height // 8, 1 + new_width // 8
        channels, kind = [1, 3][random.randint(2)], i % 2
        pixels = draw_image(height, width, channels)
        cases.append((height, width, channels, new_height, new_width, kind))
        inputs.append(pixels)
        outputs.append(to_pil(pixels).resize((int(new_width), int(new_height)), FILTERS[kind]))
    return {"cases": np.array(cases, np.int32), "in": flat(inputs, np.uint8), "out": flat(outputs, np.uint8)}


def crop_group(n):
    cases, words = [], []
    for i in range(n):
        height, width = (int(v) for v in random.randint(1, 600, 2))
        if i % 5 == 0:  # few ratios fit, so that several tries and the central box occur
            height, width = (1 + height % 8, width) if i % 2 else (height, 1 + width % 8)
        least = float(np.float32([0.4, 0.08, 0.05, 0.9][i % 4]))
        seed = 1000 + i
        torch.manual_seed(seed)
        box = T.RandomResizedCrop.get_params(Image.new("L", (width, height)), (least, 1.0), (3 / 4, 4 / 3))
        # torch and NumPy's RandomState seed the same Mersenne Twister in the same way
        words.append(np.random.RandomState(seed)._bit_generator.random_raw(22))
        cases.append((height, width, least) + box)
    return {"cases": np.array(cases, np.float64), "words": np.array(words).astype(np.int64)}


def centre_group(n):
    cases, boxes = [], []
    for _ in range(n):
        height, width, side = (int(v) for v in random.randint(1, 500, 3))
        resized = T.Resize(side)(Image.new("L", (width, height)))
        crop = max(1, side * 7 // 8)
        found = []
        F_crop = F.crop
        try:  # the offsets are local to center_crop, which hands them to crop
            F.crop = lambda image, top, left, h, w: found.extend((top, left))
            F.center_crop(resized, [crop, crop])
        finally:
            F.crop = F_crop
        cases.append((height, width, side, resized.size[1], resized.size[0]))
        boxes.append(found)
    return {"cases": np.array(cases, np.int32), "boxes": np.array(boxes, np.int32)}


def pipeline_test(which, side):
    if which == 0:
        return T.Compose([T.Resize((side, side), BILINEAR), T.ToTensor()])
    larger = round(side * 256 / 224)
    steps = [T.Resize(larger, BICUBIC), T.CenterCrop(side), T.ToTensor()]
    return T.Compose(steps + [NORMALISE] if which == 1 else steps)


def draw_shape():
    return [int(v) for v in random.randint(8, 64, 2)] + [[1, 3][random.randint(2)], int(random.choice([8, 20, 28, 33]))]


def test_group(n):
    cases, inputs, outputs = [], [], []
    for i in range(n):
        height, width, channels, side = draw_shape()
        pixels = draw_image(height, width, channels)
        cases.append((i % 3, height, width, channels, side))
        inputs.append(pixels)
        outputs.append(pipeline_test(i % 3, side)(to_pil(pixels).convert("RGB")))
    return {"cases": np.array(cases, np.int32), "in": flat(inputs, np.uint8), "out": flat(outputs, np.float32)}


def train_group(n):
    cases, factors, inputs, outputs = [], [], [], []
    for i in range(n):
        which = i % 3
        height, width, channels, side = draw_shape()
        pixels = draw_image(height, width, channels)
        box = T.RandomResizedCrop.get_params(to_pil(pixels), (0.08, 1.0), (3 / 4, 4 / 3))
        flip = int(random.randint(2))
        factor = float(np.float32(random.uniform(1 - 63 / 255, 1 + 63 / 255))) if which == 1 else 1.0
        image = F.resized_crop(to_pil(pixels).convert("RGB"), *box, (side, side), BICUBIC if which == 1 else BILINEAR)
        image = F.hflip(image) if flip else image
        image = F.to_tensor(F.adjust_brightness(image, factor))
        cases.append((which, height, width, channels, side) + box + (flip,))
        factors.append(factor)
        inputs.append(pixels)
        outputs.append(NORMALISE(image) if which == 1 else image)
    return {"cases": np.array(cases, np.int32), "brightness": np.array(factors, np.float32),
            "in": flat(inputs, np.uint8), "out": flat(outputs, np.float32)}


def main():
    torch.manual_seed(SEED)
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "image.h5")
    groups = {"resize": resize_group(60), "crop": crop_group(200), "centre": centre_group(60),
              "test": test_group(12), "train": train_group(12)}
    with h5py.File(path, "w", track_order=False) as out:
        out.attrs["seed"] = SEED
        for library in (PIL, torch, torchvision):
            out.attrs[library.__name__] = str(library.__version__)
        for group, arrays in groups.items():
            for name, values in arrays.items():
                out.create_dataset(group + "/" + name, data=values, compression="gzip", compression_opts=9, shuffle=True,
                                   track_times=False)


if __name__ == "__main__":
    main()

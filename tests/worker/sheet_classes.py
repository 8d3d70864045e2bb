"""Which classes are on which contact sheet, told by colours.

    sheet_classes.py STEM TASK ...

STEM-1.png must show the images of the first TASK, a list like "5,0", one class a row from the top, and nothing of other classes;
"shuffled:SEED:CLASSES:TASKS" stands for the tasks that Python's own random.shuffle() makes.  The images of class c have one colour
everywhere, colour(c).  Status 77: Pillow is missing.
"""
import random
import sys

try:
    from PIL import Image
except ImportError as error:
    print(error)
    sys.exit(77)


def colour(c):
    return 250, 40 * c, 3


def tasks_of(words):
    if not words[0].startswith("shuffled:"):
        return [[int(c) for c in word.split(",")] for word in words]
    seed, classes, tasks = map(int, words[0].split(":")[1:])
    order = list(range(classes))
    random.seed(seed)
    random.shuffle(order)
    return [order[i:i + classes // tasks] for i in range(0, classes, classes // tasks)]


def shown(path):
    """The classes whose colours are on a sheet, from the top."""
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    known, classes = {colour(c): c for c in range(7)}, []
    for y in range(height):
        here = {known[p] for p in (picture.getpixel((x, y)) for x in range(width)) if p in known}
        assert len(here) <= 1, f"{path}: row {y} shows several classes, {here}"
        classes += [c for c in here if c not in classes[-1:]]
    return classes


def main():
    for k, expected in enumerate(tasks_of(sys.argv[2:])):
        path = f"{sys.argv[1]}-{k + 1}.png"
        assert shown(path) == expected, f"{path} shows the classes {shown(path)}, expected {expected}"


if __name__ == "__main__":
    main()

"""Open the results of a sweep with nothing but h5py and pandas.

    from sweep import open_sweep
    sweep = open_sweep("runs/gate-ablation")
    sweep.trials            # a DataFrame for each table: trials, accuracy, training, attempts, stages, options
    sweep.about["commit"]   # provenance: every text that the file carries about itself
    sweep.units("trials")   # {"faa": "%", "seconds": "s", ...}

results.h5 is replaced as a whole while a sweep runs: open it, read it, close it, and what you have is one moment of the sweep.
"""
import os

import h5py
import pandas


class Sweep:
    def __init__(self, path):
        self.path = os.path.join(path, "results.h5") if os.path.isdir(path) else path
        with h5py.File(self.path) as file:
            self.about = {name: _text(value) for name, value in file.attrs.items()}
            self._units = {name: {key[: -len(".unit")]: _text(value) for key, value in file[name].attrs.items()
                                  if key.endswith(".unit")} for name in TABLES}
            for name in TABLES:
                setattr(self, name, _frame(file[name]))

    def units(self, table):
        return self._units[table]

    def varied(self):
        """The options that differ between trials, seeds left out."""
        columns = list(self.trials.columns)
        between = columns[columns.index("seed") + 1 : columns.index("faa")]
        options = ["method", "dataset", "backbone"] + [name for name in between if not name.startswith("seeds_")]
        return [name for name in options if self.trials[name].nunique() > 1]


TABLES = ("trials", "accuracy", "training", "attempts", "stages", "options")


def _text(value):
    return value.decode() if isinstance(value, bytes) else value


def _frame(table):
    """A compound data set as a DataFrame; fixed-length UTF-8 becomes str."""
    frame = pandas.DataFrame(table[:])
    for name in frame.columns:
        if table.dtype[name].kind == "S":
            frame[name] = frame[name].str.decode("utf-8")
    return frame


def open_sweep(path):
    return Sweep(path)

"""The examples of docs/python say what `sluice report` says.

    python_examples.py SOURCE_FOLDER PROGRAM

Ends with 77 (skipped) where h5py or pandas is missing.
"""
import csv
import io
import math
import pathlib
import subprocess
import sys

try:
    import h5py  # noqa: F401
    import pandas  # noqa: F401
except ImportError:
    sys.exit(77)

source, program = pathlib.Path(sys.argv[1]), sys.argv[2]
results = str(source / "tests" / "fuzz" / "corpus" / "results" / "four-settings.h5")
sys.path.insert(0, str(source / "docs" / "python"))

from ablation import ablation  # noqa: E402
from curves import curves  # noqa: E402
from paired import paired  # noqa: E402
from sweep import open_sweep  # noqa: E402


def report(table, *arguments):
    out = subprocess.run([program, "report", results, "--table", table, "--format", "csv", *arguments], check=True,
                         capture_output=True, text=True).stdout
    return list(csv.DictReader(io.StringIO(out)))


def same(ours, theirs, what):
    ours = float(ours) if ours != "" else math.nan
    if not (math.isnan(ours) and math.isnan(theirs)) and not abs(ours - theirs) < 1e-9:
        sys.exit(f"{what}: the report says {ours}, pandas {theirs}")


sweep = open_sweep(results)
assert sweep.units("trials")["faa"] == "%" and sweep.about["sweep_name"] == "sample"

table, rows = ablation(sweep), report("ablation")
assert len(table) == len(rows) == 4
for row in rows:
    key = (row["method"], row["gate.activation"], int(row["prompt.length"]))
    for metric in ("faa", "caa", "ffm"):
        same(row[metric + "_mean"], table.loc[key, (metric, "mean")], f"{metric} of {key}")
        same(row[metric + "_sd"], table.loc[key, (metric, "std")], f"deviation of {metric} of {key}")

table, rows = curves(sweep), report("curves")
assert len(table) == len(rows)
for row in rows:
    key = (row["method"], row["gate.activation"], int(row["prompt.length"]))
    for task in range(3):
        same(row[f"task_{task}_mean"], table.loc[key, task], f"curve of {key}")

table = paired(sweep, "prompt_length", "5")
rows = report("differences", "--baseline", "prompt.length=5")
assert len(table) == len(rows) == 2
for row in rows:
    key = (int(row["prompt.length"]), row["method"], row["gate.activation"])
    same(row["difference_mean"], table.loc[key, "mean"], f"difference of {key}")
    same(row["difference_sd"], table.loc[key, "std"], f"deviation of the difference of {key}")

for script in ("follow.py", "ablation.py", "curves.py"):
    subprocess.run([sys.executable, str(source / "docs" / "python" / script), results], check=True, stdout=subprocess.DEVNULL)
subprocess.run([sys.executable, str(source / "docs" / "python" / "checkpoint.py"), results], check=True, stdout=subprocess.DEVNULL)

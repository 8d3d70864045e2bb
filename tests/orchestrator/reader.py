"""results.h5, opened again and again by h5py while a sweep runs: it always opens, and no trial is there in part.

    reader.py PROGRAM [TRIALS [SECONDS]]

PROGRAM is fake_sluice, whose trainer learns nothing.  SECONDS: how long a stage takes (0.03).  Ends with 77 (skipped) where h5py
or numpy is missing.
"""
import os
import pathlib
import subprocess
import sys
import time

try:
    import h5py
    import numpy
except ImportError:
    sys.exit(77)

program = str(pathlib.Path(sys.argv[1]).resolve())
trials = int(sys.argv[2]) if len(sys.argv) > 2 else 40
seconds = sys.argv[3] if len(sys.argv) > 3 else "0.03"
TASKS = 3
TABLES = ("trials", "accuracy", "training", "attempts", "stages", "options")


def check(condition, what):
    if not condition:
        sys.exit(what)


def read(path):
    """Every byte of every table, and all attributes."""
    with h5py.File(path, "r") as file:
        return {name: file[name][:] for name in TABLES}, dict(file.attrs)


def examine(tables, about, where):
    done = tables["trials"][tables["trials"]["status"] == b"done"]
    after = tables["accuracy"][tables["accuracy"]["phase"] == b"after"]
    check(len(tables["trials"]) == trials, f"{where}: {len(tables['trials'])} trials")
    check(len(tables["options"]) % trials == 0, f"{where}: some trials have options that others lack")
    check(about["sweep_name"] == b"reader" and len(about["sweep_yaml"]) > 100, f"{where}: no provenance")
    finished = set(tables["stages"]["stage_key"])
    for trial in done:
        rows = after[after["trial"] == trial["trial"]]
        check(numpy.isfinite(trial["faa"]) and numpy.isfinite(trial["ffm"]), f"{where}: trial {trial['trial']} without a result")
        check(len(rows) == TASKS * (TASKS + 1) // 2, f"{where}: trial {trial['trial']} with {len(rows)} accuracies")
        last = rows[rows["after_task"] == TASKS - 1]["accuracy"]
        check(abs(last.mean() - trial["faa"]) < 1e-9, f"{where}: trial {trial['trial']} contradicts its accuracies")
        check(trial["key"] in finished, f"{where}: trial {trial['trial']} is done, its last stage is not")
    ended = tables["attempts"][tables["attempts"]["outcome"] == b"done"]
    check(set(ended["stage_key"]) == finished, f"{where}: attempts and stages disagree")
    return len(done)


os.environ.update(FAKE_SECONDS=seconds, SLUICE_BACKBONES=os.getcwd(), SLUICE_DATA=os.getcwd())
subprocess.run(["rm", "-rf", "reader"], check=True)
subprocess.run([program, "props", "."], check=True)
pathlib.Path("reader.yaml").write_text(
    "name: reader\ntrial: {method: norga, backbone: vit-tiny, dataset: {name: tiny, tasks: %d}}\ngrid: {seed: 0..%d}\n"
    % (TASKS, trials - 1))
results = pathlib.Path("reader/results.h5")
opened, versions, before = 0, set(), 0
with open("reader.txt", "w") as log:
    run = subprocess.Popen([program, "run", "reader.yaml", "--out", "reader", "--ranks", "2"], stdout=log, stderr=log)
    start = time.time()
    while run.poll() is None or not opened:
        check(time.time() - start < 600, "the run does not end")
        if not results.exists():  # before the first time; never again
            check(not opened, "results.h5 has gone")
            check(run.poll() is None or results.exists(), "a run without results.h5")
            continue
        tables, about = read(results)
        now = examine(tables, about, f"reading {opened}") if about["digest"] not in versions else before
        check(now >= before, f"reading {opened}: fewer trials are done than before")
        opened, before = opened + 1, now
        versions.add(about["digest"])
check(run.returncode == 0, pathlib.Path("reader.txt").read_text())
tables, about = read(results)
check(examine(tables, about, "the end") == trials, "some trials are not done at the end")
check(len(versions) >= 2, f"only {len(versions)} version of the file was seen: the sweep is too short")
print(f"{opened} readings of {len(versions)} versions in {time.time() - start:.0f} s, all complete")

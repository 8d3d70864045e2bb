"""The whole quickstart sweep through a real SLURM, in jobs whose time limit is far too short: it must come to the same results as an
undisturbed run.  Takes two such runs' time, so CTest runs a small sweep instead (test_cluster.py); this is for a person:

    quickstart.py SLUICE CALM [MINUTES]

CALM: the output folder of an undisturbed run, which is made if it is not there.  Works in the current folder.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import h5py

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cluster as slurm

SLUICE, CALM = os.path.realpath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
MINUTES = int(sys.argv[3]) if len(sys.argv) > 3 else 2
SWEEP = pathlib.Path(__file__).resolve().parents[2] / "sweeps" / "quickstart.yaml"
HERE = pathlib.Path.cwd()


def results(folder):
    """All tables but what depends on when and where something ran."""
    with h5py.File(folder / "results.h5") as f:
        trials, accuracy, stages = (f[name][:] for name in ("trials", "accuracy", "stages"))
        names = [n for n in trials.dtype.names if n not in ("seconds", "core_seconds", "attempts")]
        return (sorted(str(row) for row in accuracy), [str(tuple(row[n] for n in names)) for row in trials],
                sorted((row["stage_key"], row["digest"]) for row in stages))


def main():
    reason = slurm.lacking()
    if reason:
        sys.exit(f"quickstart.py: {reason}")
    if not (CALM / "results.h5").exists():
        subprocess.run([SLUICE, "run", SWEEP, "--out", CALM], check=True)
    folder, short = HERE / "quickstart-short", HERE / "short.yaml"
    shutil.rmtree(folder, ignore_errors=True)
    short.write_text(f"defaults: [{SWEEP}]\nslurm: {{ranks_per_node: 3, time: {MINUTES}m}}\n")
    with slurm.Cluster(HERE / "cluster", cpus=[4]) as c:
        began = time.monotonic()
        said = subprocess.run([SLUICE, "submit", short, "--out", folder], env=c.environment, check=True, text=True,
                              capture_output=True).stdout
        print(said)
        job = re.search(r"submitted as job (\d+)", said)[1]
        while True:
            text = c.run(["scontrol", "--oneliner", "show", "job", job])
            shown = dict(word.split("=", 1) for word in text.split() if "=" in word)
            if shown["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"):
                break
            time.sleep(2)
        print(f"job {job}: {shown['JobState']} after {1 + int(shown['Restarts'])} starts, {time.monotonic() - began:.0f} s")
        if shown["JobState"] != "COMPLETED" or not int(shown["Restarts"]):
            sys.exit("\n".join(p.read_text(errors="replace") for p in sorted(folder.glob("log/slurm-*.log"))))
    if results(folder) != results(CALM):
        sys.exit("other results than the undisturbed run's")
    print("the same results as the undisturbed run's")


if __name__ == "__main__":
    main()

"""The ablation table of a sweep in pandas: mean and standard deviation over seeds.

    python3 ablation.py runs/gate-ablation [--csv]
"""
import sys

from sweep import open_sweep


def ablation(sweep):
    options = sweep.varied() or ["method"]
    done = sweep.trials[sweep.trials.status == "done"]
    return done.groupby(options, sort=False)[["faa", "caa", "ffm"]].agg(["mean", "std", "count"])


if __name__ == "__main__":
    table = ablation(open_sweep(sys.argv[1]))
    print(table.to_csv() if "--csv" in sys.argv else table.round(2).to_string())

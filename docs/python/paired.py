"""Differences to a baseline, paired by seed.

    python3 paired.py runs/gate-ablation gate_activation none
"""
import sys

from sweep import open_sweep


def paired(sweep, option, baseline, metric="faa"):
    """metric of each value of `option` less that of `baseline`, for trials that are otherwise the same."""
    keys = [name for name in sweep.varied() if name != option] + ["seed"]
    done = sweep.trials[sweep.trials.status == "done"]
    base = done[done[option].astype(str) == baseline][keys + [metric]]
    both = done[done[option].astype(str) != baseline].merge(base, on=keys, suffixes=("", "_baseline"))
    both["difference"] = both[metric] - both[metric + "_baseline"]
    return both.groupby([option] + keys[:-1], sort=False).difference.agg(["mean", "std", "count"])


if __name__ == "__main__":
    print(paired(open_sweep(sys.argv[1]), sys.argv[2], sys.argv[3]).round(3).to_string())

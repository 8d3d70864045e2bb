"""Follow a running sweep: a line whenever another trial has ended.

    python3 follow.py runs/gate-ablation [SECONDS]
"""
import sys
import time

from sweep import open_sweep


def standing(sweep):
    counts = sweep.trials.status.value_counts()
    return ", ".join(f"{counts[status]} {status}" for status in ("done", "failed", "pruned", "running", "waiting")
                     if status in counts)


if __name__ == "__main__":
    last, until = None, time.time() + float(sys.argv[2] if len(sys.argv) > 2 else "inf")
    while True:
        sweep = open_sweep(sys.argv[1])
        if standing(sweep) != last:
            last = standing(sweep)
            print(last, flush=True)
        if time.time() > until or not sweep.trials.status.isin(["running", "waiting"]).any():
            break
        time.sleep(2)

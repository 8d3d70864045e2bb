"""Average accuracy over the tasks seen, after each task: a row for each setting, a column for each task.

    python3 curves.py runs/gate-ablation
"""
import sys

from sweep import open_sweep


def curves(sweep):
    options = sweep.varied() or ["method"]
    after = sweep.accuracy[sweep.accuracy.phase == "after"]
    seen = after.groupby(["trial", "after_task"]).accuracy.agg(["mean", "count"]).reset_index()
    seen = seen[seen["count"] == seen.after_task + 1]  # all tasks seen so far were evaluated
    done = sweep.trials[sweep.trials.status == "done"][["trial"] + options]
    return done.merge(seen, on="trial").pivot_table(index=options, columns="after_task", values="mean", sort=False)


if __name__ == "__main__":
    print(curves(open_sweep(sys.argv[1])).round(2).to_string())

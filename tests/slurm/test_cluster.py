"""sluice submit through a real SLURM of two nodes, with a trainer that learns nothing.

    test_cluster.py BATCH_SLUICE

Works in the current folder.  Exit status 77: no SLURM can be started here.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import h5py

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cluster as slurm

SLUICE = os.path.realpath(sys.argv[1])
HERE = pathlib.Path.cwd()
SWEEP = """\
name: small
trial: {{method: norga, backbone: vit-tiny, dataset: {{name: tiny, tasks: 2}}}}
slurm: {{ranks_per_node: 1, {settings}}}
"""
NASTY = """a 'b' "c" $(touch pwned) `touch pwned`; touch pwned # 100% & \\ end"""


def check(truth, what):
    if not truth:
        raise AssertionError(what)


class Job:
    """A submission of a sweep into a folder of its own; stages take `seconds`."""

    def __init__(self, cluster, name, settings, seconds=0.01, folder=None):
        self.cluster, self.name = cluster, name
        self.folder = HERE / (folder or name)
        self.sweep = HERE / f"{name}.yaml"
        self.sweep.write_text(SWEEP.format(settings=settings))
        subprocess.run(["rm", "-rf", "--", self.folder], check=True)
        self.seconds = seconds

    def call(self, command):
        environment = {**self.cluster.environment, "SLUICE_BACKBONES": str(HERE), "SLUICE_DATA": str(HERE),
                       "FAKE_SECONDS": str(self.seconds)}
        return subprocess.run([SLUICE, command, self.sweep, "--out", self.folder], env=environment, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=100)

    def submit(self):
        done = self.call("submit")
        check(done.returncode == 0, f"{self.name}: submit: {done.returncode} {done.stderr}")
        check("1 trials, 9 stages" in done.stdout, f"{self.name}: another estimate: {done.stdout}")
        self.id = done.stdout.split("submitted as job ")[1].split(";")[0]
        return self

    def show(self):
        """What scontrol says of the job, as a dictionary; a value ends where the line or the next KEY= begins."""
        text = self.cluster.run(["scontrol", "--oneliner", "show", "job", self.id])
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def log(self):
        return "".join(p.read_text(errors="replace") for p in sorted(self.folder.glob("log/slurm-*.log")))

    def wait(self, states, seconds=90, finished=None):
        """Until the job is in one of the states, and at least `finished` stages are."""
        end = time.monotonic() + seconds
        while True:
            state = self.show()["JobState"]
            ready = finished is None or self.finished() >= finished
            if state in states and ready:
                return state
            if time.monotonic() > end or (state in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")
                                          and state not in states):
                raise AssertionError(f"{self.name}: is {state}, not {states}\n{self.log()}{self.cluster.logs()}")
            time.sleep(0.5)

    def finished(self):
        return len(list(self.folder.glob("checkpoints/*.h5")))


def results(folder):
    """What a run came to, without times: accuracies, the state of its trials, digests of its stages."""
    with h5py.File(folder / "results.h5") as f:
        accuracy = f["accuracy"][:]
        names = [n for n in accuracy.dtype.names]
        return (sorted(str(tuple(row[n] for n in names)) for row in accuracy),
                [(row["status"], row["faa"]) for row in f["trials"][:]],
                sorted((row["stage_key"], row["digest"]) for row in f["stages"][:]))


def refusals(c):
    """What sbatch refuses, or is not there to take, is told, with status 2; --dry-run needs no SLURM."""
    job = Job(c, "refused", "partition: nowhere")
    done = job.call("submit")
    check(done.returncode == 2 and "sbatch refused the job" in done.stderr and "partition" in done.stderr, done)
    done = subprocess.run([SLUICE, "submit", job.sweep, "--out", job.folder], text=True, capture_output=True,
                          env={"PATH": "/nonexistent", "SLUICE_BACKBONES": str(HERE), "SLUICE_DATA": str(HERE)})
    check(done.returncode == 2 and "there is no sbatch here" in done.stderr, done)
    done = subprocess.run([SLUICE, "submit", job.sweep, "--dry-run"], text=True, capture_output=True,
                          env={"PATH": "/nonexistent"})
    check(done.returncode == 0 and done.stdout.startswith("#!/bin/bash\n#SBATCH --job-name=\"small\"\n"), done)
    check(done.stderr == "", done)


def nasty_values(c):
    """sbatch reads quoted values as they were meant, the output folder's name among them."""
    yaml = "".join(f"\\x{ord(letter):02X}" for letter in f"--comment={NASTY}")
    job = Job(c, "nasty", f'additional: [--hold, "{yaml}"]', folder='it\'s "100%" $(touch pwned) #').submit()
    text = c.run(["scontrol", "show", "job", job.id])
    check(f"Comment={NASTY} \n" in text or f"Comment={NASTY}\n" in text, text)
    check("JobName=small\n" in text, text)
    c.run(["scontrol", "release", job.id])
    return job


def nasty_is_done(job):
    job.wait(["COMPLETED"])
    check((job.folder / "log" / f"slurm-{job.id}.log").exists(), "the log is somewhere else")
    check(not list(HERE.glob("**/pwned")), "a value was executed")


def two_nodes(c):
    """mpirun and srun reach the other node."""
    wide = [Job(c, "wide", "nodes: 2, time: 10m").submit(),
            Job(c, "wide_srun", "nodes: 2, launcher: srun, time: 10m").submit()]
    for job in wide:
        job.wait(["COMPLETED"])
        check(job.show()["NodeList"] == "n[1-2]", job.show())
        check(f"launch task StepId={job.id}.0" in (c.folder / "slurmd.n2.log").read_text(),
              f"{job.name}: nothing was started on the other node")
    return [(job, 0) for job in wide]


def node(c, name, state):
    c.run(["scontrol", "update", f"NodeName={name}", f"State={state}", "Reason=test"])


def nodes_fail(c):
    """A drained node lets its job end; a node that fails gives its job back to the queue."""
    drained = Job(c, "drained", "exclude: n1, time: 10m", seconds=0.3).submit()
    drained.wait(["RUNNING"], finished=1)
    node(c, "n2", "DRAIN")
    drained.wait(["COMPLETED"])
    check(drained.show()["Restarts"] == "0", "draining has ended a job")
    node(c, "n2", "RESUME")
    failed = Job(c, "failed", "exclude: n1, time: 10m", seconds=0.5).submit()
    failed.wait(["RUNNING"], finished=1)
    node(c, "n2", "DOWN")  # its slurmd answers, so it will soon be back in service
    failed.wait(["PENDING"])
    return drained, failed


def preemption(c):
    """A job that has to make room comes back by itself."""
    preempted = Job(c, "preempted", "exclude: n1, time: 10m", seconds=0.5).submit()
    preempted.wait(["RUNNING"], finished=1)
    c.run(["sbatch", "--partition=urgent", "--nodelist=n2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"])
    preempted.wait(["PENDING"])
    return preempted


def tests(c):
    c.run([SLUICE, "props", "."])
    calm = Job(c, "calm", "time: 1h")
    check(calm.call("run").returncode == 0, "an undisturbed run fails")
    refusals(c)

    wide = two_nodes(c)
    # SLURM's signal comes 10 to 40 s before the limit: nine stages of 6 s never fit.
    short = Job(c, "short", "exclude: n2, time: 60s", seconds=6).submit()
    killed = Job(c, "killed", "exclude: n2, launcher: srun, time: 10m", seconds=0.5).submit()
    cancelled = Job(c, "cancelled", "exclude: n2, time: 10m", seconds=1).submit()
    requeued = Job(c, "requeued", "exclude: n2, time: 10m", seconds=0.5).submit()
    nasty = nasty_values(c)

    cancelled.wait(["RUNNING"], finished=1)
    c.run(["scancel", cancelled.id])
    requeued.wait(["RUNNING"], finished=1)
    c.run(["scontrol", "requeue", requeued.id])
    killed.wait(["RUNNING"], finished=1)
    c.run(["scancel", "--signal=KILL", f"{killed.id}.0"])
    cancelled.wait(["CANCELLED"])
    check(cancelled.show()["Restarts"] == "0", "a cancelled job came again")
    check(cancelled.finished() < 9, "it was over before it was cancelled")
    cancelled.seconds = 0.01
    cancelled.submit()
    nasty_is_done(nasty)
    drained, failed = nodes_fail(c)
    failed.wait(["COMPLETED"])
    preempted = preemption(c)

    for job, restarts in (*wide, (cancelled, 0), (requeued, 1), (killed, 1), (drained, 0), (failed, 1), (preempted, 1),
                          (short, 1)):
        job.wait(["COMPLETED"], 300)
        check(int(job.show()["Restarts"]) >= restarts, f"{job.name}: {job.show()['Restarts']} restarts")
        check(results(job.folder) == results(calm.folder), f"{job.name}: other results than an undisturbed run")
        print(f"{job.name}: done after {1 + int(job.show()['Restarts'])} starts")
    check("goes on in another job" in short.log(), short.log())
    check("ends with status 137" in killed.log(), killed.log())


def main():
    reason = slurm.lacking()
    if reason:
        print(f"skipped: {reason}")
        return 77
    folder = HERE / "cluster"
    if len(str(folder)) > 80: # the name of a socket must fit into 107 bytes
        folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm"))
    with slurm.Cluster(folder, nodes=2, cpus=6) as c:
        try:
            tests(c)
        except Exception:
            print(c.run(["scontrol", "show", "job"], check=False), c.logs(), sep="\n")
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())

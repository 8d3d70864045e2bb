"""sluice submit through a real SLURM of two nodes: with a trainer that learns nothing, and once with the real one.

    test_cluster.py BATCH_SLUICE SLUICE

Works in the current folder.  Exit status 77: no SLURM can be started here.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import h5py

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cluster as slurm

FAKE, REAL = (os.path.realpath(program) for program in sys.argv[1:3])
SOURCE = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path.cwd()
SMALL = "trial: {method: norga, backbone: vit-tiny, dataset: {name: tiny, tasks: 2}}\n"
GRID = SMALL + "grid: {gate.activation: [tanh, gelu], seed: 0..2}\n"
NASTY = """a 'b' "c" $(touch pwned) `touch pwned`; touch pwned # 100% & \\ end"""
OVER = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def check(truth, what):
    if not truth:
        raise AssertionError(what)


class Job:
    """A submission of a sweep into a folder of its own; stages take `seconds`."""

    def __init__(self, cluster, name, settings, seconds=0.01, folder=None, body=SMALL, words=()):
        self.cluster, self.name, self.words = cluster, name, words
        self.folder = HERE / (folder or name)
        self.sweep = HERE / f"{name}.yaml"
        self.sweep.write_text(f"name: small\n{body}slurm: {{ranks_per_node: 1, {settings}}}\n")
        subprocess.run(["rm", "-rf", "--", self.folder], check=True)
        self.environment = {"SLUICE_BACKBONES": str(HERE), "SLUICE_DATA": str(HERE), "FAKE_SECONDS": str(seconds)}
        self.program, self.submitted = FAKE, 0

    def call(self, *words):
        return subprocess.run([self.program, *words], env={**self.cluster.environment, **self.environment}, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=200)

    def submit(self, *words):
        done = self.call("submit", self.sweep, "--out", self.folder, *self.words, *words)
        check(done.returncode == 0, f"{self.name}: submit: {done.returncode} {done.stderr}")
        self.said = done.stdout
        self.id = re.search(r"submitted as (?:job|array) (\d+)", done.stdout)[1]
        check((self.folder / "jobs").read_text().split()[-1] == self.id, "the job was not written down")
        return self

    def status(self):
        done = self.call("status", self.folder)
        check(done.returncode == 0, f"{self.name}: status: {done.returncode} {done.stderr}")
        return done.stdout

    def show(self, element=None):
        """What scontrol says of the job, as a dictionary; a value ends where the line or the next KEY= begins."""
        text = self.cluster.run(["scontrol", "--oneliner", "show", "job", f"{self.id}{element or ''}"])
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def log(self):
        return "".join(p.read_text(errors="replace") for p in sorted(self.folder.glob("log/slurm-*.log")))

    def wait(self, states, seconds=120, finished=None, element=None):
        """Until the job is in one of the states, and at least `finished` stages are."""
        end = time.monotonic() + seconds
        while True:
            state = self.show(element)["JobState"]
            ready = finished is None or self.finished() >= finished
            if state in states and ready:
                return state
            if time.monotonic() > end or (state in OVER and state not in states):
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
                [(row["trial"], row["key"], row["status"], str(row["faa"])) for row in f["trials"][:]],
                sorted((row["stage_key"], row["digest"]) for row in f["stages"][:]))


def refusals(c):
    """What sbatch refuses, or is not there to take, is told, with status 2; --dry-run needs no SLURM."""
    job = Job(c, "refused", "partition: nowhere")
    done = job.call("submit", job.sweep, "--out", job.folder)
    check(done.returncode == 2 and "sbatch refused the job" in done.stderr and "partition" in done.stderr, done)
    check("1 trials, 9 stages" in done.stdout, f"another estimate: {done.stdout}")
    check("GFLOP/s a core, as measured on this machine" in done.stdout, done.stdout)
    check(job.call("status", job.folder).returncode == 2, "a folder without a job has a status")
    lonely = {"PATH": "/nonexistent", "SLUICE_BACKBONES": str(HERE), "SLUICE_DATA": str(HERE)}
    done = subprocess.run([FAKE, "submit", job.sweep, "--out", job.folder], text=True, capture_output=True, env=lonely)
    check(done.returncode == 2 and "there is no sbatch here" in done.stderr, done)
    for words in ([], ["--array", "1"]):
        done = subprocess.run([FAKE, "submit", job.sweep, "--dry-run", *words], text=True, capture_output=True,
                              env=lonely)
        check(done.returncode == 0 and done.stdout.startswith("#!/bin/bash\n#SBATCH --job-name=\"small\"\n"), done)
        check(done.stderr == "", done)
    for words, says in ((["--array", "2"], "2 shards of 1 trials"), (["--array", "1.5"], "a whole number of shards")):
        done = job.call("submit", job.sweep, "--out", job.folder, *words)
        check(done.returncode == 2 and says in done.stderr, done)


def nasty_values(c):
    """sbatch reads quoted values as they were meant, the output folder's name among them."""
    yaml = "".join(f"\\x{ord(letter):02X}" for letter in f"--comment={NASTY}")
    job = Job(c, "nasty", f'additional: [--hold, "{yaml}"]', folder='it\'s "100%" $(touch pwned) #').submit()
    text = c.run(["scontrol", "show", "job", job.id])
    check(f"Comment={NASTY} \n" in text or f"Comment={NASTY}\n" in text, text)
    check("JobName=small\n" in text, text)
    check(f"it has not begun\njob {job.id} is pending (JobHeldUser)" in job.status(), job.status())
    done = job.call("submit", job.sweep, "--out", job.folder)
    check(done.returncode == 2 and f"job {job.id} of this folder is still there (PENDING)" in done.stderr, done)
    c.run(["scontrol", "release", job.id])
    return job


def nasty_is_done(job):
    job.wait(["COMPLETED"])
    check((job.folder / "log" / f"slurm-{job.id}.log").exists(), "the log is somewhere else")
    check(not list(HERE.glob("**/pwned")), "a value was executed")


def workers_by_node(folder):
    """How many workers SLURM has put on which node, by their environment."""
    live, nodes = json.loads((folder / "live.json").read_text()), {}
    for worker in live["worker"]:
        try:
            environment = pathlib.Path(f"/proc/{worker['pid']}/environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has just left
        name = next(v.split(b"=")[1].decode() for v in environment if v.startswith(b"SLURMD_NODENAME="))
        nodes[name] = nodes.get(name, 0) + 1
    return nodes


def two_nodes(c):
    """mpirun and srun reach the other node, and fill nodes of different size as they are.  Both nodes are one host with one
    /dev/shm, so they must not speak through that."""
    wide = []
    setup = 'setup: ["export OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=lo"]'
    for launcher in ("mpirun", "srun"):
        job = Job(c, f"wide_{launcher}", f"nodes: 2, time: 10m, launcher: {launcher}, {setup}", 0.7)
        job.sweep.write_text(job.sweep.read_text().replace("ranks_per_node: 1, ", ""))
        job.submit().wait(["RUNNING"], finished=1)
        for _ in range(20):
            nodes = workers_by_node(job.folder)
            if sum(nodes.values()) == 9:
                break
            time.sleep(0.2)
        check(nodes == {"n1": 6, "n2": 3}, f"{job.name}: {nodes}")
        check(re.search(rf"job {job.id} is running, 0:0\d:\d\d left", job.status()), job.status())
        wide.append(job)
    for job in wide:
        job.wait(["COMPLETED"])
        check(job.show()["NodeList"] == "n[1-2]", job.show())
        check(f"job {job.id}" not in job.status(), job.status())
    return [(job, 0) for job in wide]


def node(c, name, state):
    c.run(["scontrol", "update", f"NodeName={name}", f"State={state}", "Reason=test"])


def nodes_fail(c):
    """A drained node lets its job end; a node that fails gives its job back to the queue."""
    drained = Job(c, "drained", "exclude: n1, time: 10m", seconds=0.5).submit()
    drained.wait(["RUNNING"], finished=1)
    node(c, "n2", "DRAIN")
    drained.wait(["COMPLETED"])
    check(drained.show()["Restarts"] == "0", "draining has ended a job")
    node(c, "n2", "RESUME")
    failed = Job(c, "failed", "exclude: n1, time: 10m", seconds=1).submit()
    failed.wait(["RUNNING"], finished=1)
    node(c, "n2", "DOWN")  # its slurmd answers, so it will soon be back in service
    failed.wait(["PENDING"])
    return drained, failed


def preemption(c):
    """A job that has to make room comes back by itself."""
    preempted = Job(c, "preempted", "exclude: n1, time: 10m", seconds=1).submit()
    preempted.wait(["RUNNING"], finished=1)
    c.run(["sbatch", "--partition=urgent", "--nodelist=n2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"])
    preempted.wait(["PENDING"])
    return preempted


def cancelling(c):
    """sluice cancel ends a running job, which does not come again, and one that waits; submitting again continues."""
    running = Job(c, "stopped", "exclude: n2, time: 10m", seconds=2).submit()
    waiting = Job(c, "waiting", "additional: [--hold]").submit()
    done = waiting.call("cancel", waiting.folder)
    check(done.returncode == 0 and "1 job of SLURM cancelled" in done.stdout, done)
    check(waiting.wait(["CANCELLED"]), "it is still there")
    running.wait(["RUNNING"], finished=1)
    done = running.call("cancel", running.folder)
    check(done.returncode == 0 and "stopped" in done.stdout, done)
    running.wait(["CANCELLED", "FAILED"])  # FAILED: the run had stopped, and its job ended, before SLURM was asked to cancel it
    check("1 job of SLURM cancelled" in done.stdout or running.show()["JobState"] == "FAILED", done)
    check(running.finished() < 9, "it was over before it was cancelled")
    running.environment["FAKE_SECONDS"] = "0.01"
    return running.submit()


def array(c):
    """Shards side by side, one element requeued, and two shards in one element where there may be only two."""
    shards = Job(c, "shards", "exclude: n2, time: 10m, max_jobs: 2", seconds=0.1, body=GRID).submit("--array", "3")
    check("array" in shards.said and "of 2 elements for 3 shards" in shards.said, shards.said)
    return shards


def array_is_done(shards, whole):
    for element in ("_1", "_2"):
        shards.wait(["COMPLETED"], 200, element=element)
    check(int(shards.show("_2")["Restarts"]) >= 1, "the element was not requeued")
    check("shard 3 of 3 is finished" in shards.status(), shards.status())
    done = shards.call("merge", shards.folder)
    check(done.returncode == 0 and "6 of 6 trials are done" in done.stdout, done)
    check(results(shards.folder) == results(whole), "the merged shards differ from an undisturbed run")


def refused_array(c):
    """More shards than an array of this cluster may have elements; and what happens without room for any."""
    many = "trial: {backbone: vit-tiny, dataset: {name: tiny, tasks: 2}}\ngrid: {seed: 0..149}\n"
    job = Job(c, "many", "additional: [--hold]", body=many).submit("--array", "120")
    check("of 100 elements for 120 shards" in job.said, job.said)
    check(job.call("cancel", job.folder).returncode == 0, "it is not cancelled")


def quickstart(c):
    """The real trainer on the quickstart sweep, made small: jobs that believe they end after 26 seconds, until it is done.  (A
    time limit of SLURM's own is whole minutes.)"""
    if os.environ.get("SANITIZED"):
        print("quickstart: left out: the real trainer is too slow with sanitizers")
        return None
    small = ["method=sequential,norga,joint", "gate.activation=tanh", "prompt.length=5,10", "seed=0", "train.epochs=1",
             "tii.epochs=2", "dataset.train_per_class=30", "dataset.test_per_class=10"]
    job = Job(c, "quickstart", "")
    job.program, job.environment = REAL, {"OMP_NUM_THREADS": "1"}
    job.sweep = HERE / "quickstart.yaml"
    setup = "export SLURM_JOB_END_TIME=$(($(date +%s) + 26))"
    job.sweep.write_text(f"defaults: [{SOURCE / 'sweeps' / 'quickstart.yaml'}]\nslurm:\n  ranks_per_node: 1\n  time: 10m\n"
                         f"  exclude: n2\n  setup: ['{setup}']\n")
    job.words = small
    calm = HERE / "quickstart-calm"
    subprocess.run(["rm", "-rf", "--", calm], check=True)
    done = job.call("run", job.sweep, *small, "--ranks", "2", "--threads", "1", "--out", calm)
    if done.returncode == 2 and "fashion-mnist" in done.stderr:
        print(f"quickstart: left out: {done.stderr}")
        return None
    check(done.returncode == 0, done)
    return job.submit()


def quickstart_is_done(job):
    if not job:
        return
    job.wait(["COMPLETED"], 300)
    check(int(job.show()["Restarts"]) >= 1, "it was done in one job")
    check("out of time" in job.log(), job.log())
    check(results(job.folder) == results(HERE / "quickstart-calm"), "quickstart: other results than an undisturbed run")
    print(f"quickstart: done after {1 + int(job.show()['Restarts'])} starts")


def tests(c):
    c.run([FAKE, "props", "."])
    calm, whole = Job(c, "calm", "time: 1h"), Job(c, "whole", "time: 1h", body=GRID)
    for job in (calm, whole):
        check(job.call("run", job.sweep, "--out", job.folder).returncode == 0, "an undisturbed run fails")
    refusals(c)

    wide = two_nodes(c)
    small = quickstart(c)
    # SLURM's signal comes 10 to 40 s before the limit: nine stages of 6 s never fit.
    short = Job(c, "short", "exclude: n2, time: 60s", seconds=6).submit()
    nasty = nasty_values(c)
    killed = Job(c, "killed", "exclude: n2, launcher: srun, time: 10m", seconds=2).submit()
    cancelled = Job(c, "cancelled", "exclude: n2, time: 10m", seconds=2).submit()
    requeued = Job(c, "requeued", "exclude: n2, time: 10m", seconds=2).submit()
    cancelled.wait(["RUNNING"], finished=1)
    c.run(["scancel", cancelled.id])
    requeued.wait(["RUNNING"], finished=1)
    c.run(["scontrol", "requeue", requeued.id])
    killed.wait(["RUNNING"], finished=1)
    c.run(["scancel", "--signal=KILL", f"{killed.id}.0"])
    cancelled.wait(["CANCELLED"])
    check(cancelled.show()["Restarts"] == "0", "a cancelled job came again")
    check(cancelled.finished() < 9, "it was over before it was cancelled")
    cancelled.environment["FAKE_SECONDS"] = "0.01"
    cancelled.submit()
    shards = array(c)
    nasty_is_done(nasty)
    shards.wait(["RUNNING"], element="_2")
    c.run(["scontrol", "requeue", f"{shards.id}_2"])
    stopped = cancelling(c)
    drained, failed = nodes_fail(c)
    refused_array(c)
    failed.wait(["COMPLETED"])
    preempted = preemption(c)

    for job, restarts in (*wide, (cancelled, 0), (requeued, 1), (killed, 1), (stopped, 0), (drained, 0), (failed, 1),
                          (preempted, 1), (short, 1)):
        job.wait(["COMPLETED"], 300)
        check(int(job.show()["Restarts"]) >= restarts, f"{job.name}: {job.show()['Restarts']} restarts")
        check(results(job.folder) == results(calm.folder), f"{job.name}: other results than an undisturbed run")
        print(f"{job.name}: done after {1 + int(job.show()['Restarts'])} starts")
    check("and work left" in short.log(), short.log())
    check("ends with status 137" in killed.log(), killed.log())
    array_is_done(shards, whole.folder)
    quickstart_is_done(small)


def main():
    reason = slurm.lacking()
    if reason:
        print(f"skipped: {reason}")
        return 77
    folder = HERE / "cluster"
    if len(str(folder)) > 80: # the name of a socket must fit into 107 bytes
        folder = pathlib.Path(tempfile.mkdtemp(prefix="slurm"))
    with slurm.Cluster(folder, cpus=[6, 3]) as c:
        try:
            tests(c)
        except Exception:
            print(c.run(["scontrol", "show", "job"], check=False), c.logs(), sep="\n")
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())

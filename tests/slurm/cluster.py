"""A real SLURM for the time of a test: munged, slurmctld and a slurmd for each node, all on this machine, with files and ports
of their own.

    with Cluster(folder, cpus=[6, 3]) as cluster:
        cluster.run(["sbatch", "job.sh"])

The nodes are n1, n2, ...; each believes that it has as many CPUs as the list says.  Jobs of the partition `urgent` send those of the other,
`debug`, back into the queue.  Everything lies below `folder`; nothing of a SLURM that this machine may have is read, written or stopped.
"""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PROGRAMS = ["munged", "munge", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel", "srun"]

CONFIG = """\
ClusterName=sluicetest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits for as long as a credential lives.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
TmpFS={folder}/tmp.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MailProg=/bin/true
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
MaxArraySize=101
"""
# Nothing here uses control groups, and a bare chroot or a container may have none; without this slurmd looks for them.
CGROUP_CONFIG = "CgroupPlugin=cgroup/v1\n"
PARTITIONS = """\
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} State=UNKNOWN\n"


def lacking():
    """Why no cluster can be started here, or None."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if not shutil.which(program, path=path)]
    if missing:
        return f"SLURM is not installed here ({', '.join(missing)}); as root: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "only root can start slurmd"
    if not pathlib.Path("/proc/self/stat").exists():
        return "/proc is not mounted, and slurmd follows processes there"
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return f"this host's name, {socket.gethostname()}, has no address, and SLURM's daemons ask for it"
    return None


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    def __init__(self, folder, cpus):
        self.folder = pathlib.Path(folder).resolve()
        self.cpus = {f"n{i}": count for i, count in enumerate(cpus, 1)}
        self.nodes = list(self.cpus)
        self.host = socket.gethostname().split(".")[0]
        self.daemons = []
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("SLURM", "SBATCH", "OMPI", "PMI"))}
        self.environment["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        self.environment["SLURM_CONF"] = str(self.folder / "slurm.conf")

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        for sub in ("state", *(f"tmp.{node}" for node in self.nodes)):
            (self.folder / sub).mkdir(parents=True)
        os.chmod(self.folder, 0o755)
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        os.chmod(self.folder / "munge.key", 0o400)
        self.write_config()
        self.daemon("munged", "--foreground", "--force", f"--socket={self.folder}/munge.socket",
                    f"--key-file={self.folder}/munge.key", f"--log-file={self.folder}/munged.log",
                    f"--pid-file={self.folder}/munged.pid", f"--seed-file={self.folder}/munged.seed")
        self.wait_for("munged", lambda: (self.folder / "munge.socket").exists())
        self.daemon("slurmctld", "-D", "-i", "-f", f"{self.folder}/slurm.conf")
        for node in self.nodes:
            self.daemon("slurmd", "-D", "-N", node, "-f", f"{self.folder}/slurm.conf")
        self.wait_for("a node", lambda: self.states() == {"idle"})

    def write_config(self):
        controller_port, *node_ports = free_ports(1 + len(self.nodes))
        text = CONFIG.format(folder=self.folder, host=self.host, controller_port=controller_port)
        for node, port in zip(self.nodes, node_ports):
            text += NODE.format(name=node, host=self.host, port=port, cpus=self.cpus[node])
        (self.folder / "slurm.conf").write_text(text + PARTITIONS)
        (self.folder / "cgroup.conf").write_text(CGROUP_CONFIG)

    def states(self):
        return set(self.run(["sinfo", "-h", "-N", "-o", "%T"], check=False).split())

    def daemon(self, *command):
        log = open(self.folder / f"{command[0]}.out", "ab")
        self.daemons.append(subprocess.Popen(command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, start_new_session=True))

    def wait_for(self, what, ready, seconds=30):
        end = time.monotonic() + seconds
        while not ready():
            dead = [d.args[0] for d in self.daemons if d.poll() is not None]
            if dead or time.monotonic() > end:
                raise RuntimeError(f"{what} is not there after {seconds} s; ended: {dead}\n{self.logs()}")
            time.sleep(0.2)

    def logs(self):
        text = ""
        for path in sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")]):
            text += f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:]) + "\n"
        return text

    def run(self, command, check=True, **options):
        """Standard output of a command that knows this cluster."""
        done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, **options)
        if check and done.returncode:
            raise RuntimeError(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def stop(self):
        """Cancel what still runs, then end our own daemons, last started first."""
        if len(self.daemons) == 2 + len(self.nodes):
            self.run(["scancel", "--full", "--signal=KILL", "--user=root"], check=False)
            self.run(["scancel", "--user=root"], check=False)
            end = time.monotonic() + 8
            while self.run(["squeue", "-h"], check=False).strip() and time.monotonic() < end:
                time.sleep(0.2)
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self.daemons = []

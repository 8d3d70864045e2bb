#!/bin/bash
#SBATCH --job-name="short"
#SBATCH --output="/home/ada/runs/short/log/slurm-%j.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@10
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=3
#SBATCH --time="0-00:01:30"
#SBATCH --mem="64G"

# Written by `sluice submit`: one job of a sweep, which asks to be run again while work is left.

sluice='/opt/sluice/bin/sluice'
root='/home/ada/runs/short'
arguments=(
    '/home/ada/short.yaml'
    --out "$root"
)
job=$SLURM_JOB_ID
record=$root/log/slurm-fruitless # how many jobs in a row have come no further
began=$record.began
most_fruitless=3
cpus=3 # of a rank
ranks=4

progressed() { # has a checkpoint, or a part of one, been written since the job began?
    local out file
    for out in "${outs[@]}"; do
        for file in "$out"/checkpoints/*; do
            [[ ! $file -nt $began ]] || return 0
        done
    done
    return 1
}

child='' signals=0 last=''
# shellcheck disable=SC2317 # the traps call it
forward() { # a signal came: pass it on
    signals=$((signals + 1))
    [[ $last == TERM ]] || last=$1
    [[ -z $child ]] || kill -s "$1" "$child" 2>/dev/null
}
trap 'forward USR1' USR1
trap 'forward USR2' USR2
trap 'forward TERM' TERM

run() { # sluice run; sets status
    export SLURM_MPI_TYPE="${SLURM_MPI_TYPE:-pmix}"
    unset SLURM_NTASKS_PER_NODE SLURM_CPUS_PER_TASK SLURM_NTASKS SLURM_NPROCS
    srun --ntasks="$((ranks + 1))" --overcommit --cpu-bind=none --kill-on-bad-exit=0 --wait=0 \
        "$sluice" run "${arguments[@]}" --threads "$cpus" &
    child=$!
    [[ -z $last ]] || kill -s "$last" "$child" 2>/dev/null
    seen=-1
    while ((seen != signals)); do # wait returns early when a signal comes
        seen=$signals
        wait "$child"
        status=$?
    done
    child=''
}

incomplete() { # run again?  A crash counts too
    ((status == 75 || status > 128))
}

cancelled() { # since the job began, sluice cancel has asked the run to stop, and is about to end the job
    local out
    for out in "${outs[@]}"; do
        [[ ! $out/stop -nt $began ]] || return 0
    done
    return 1
}

again() {
    echo "sluice: slurm.continue is no: sluice submit continues the sweep"
}

touch "$began"
outs=("$root")
run

if ! incomplete; then # it is finished, or cannot go on
    rm -f "$record" "$began"
    exit "$status"
fi
if cancelled; then
    echo "sluice: the run was cancelled; sluice submit continues the sweep"
    exit 75
fi
if [[ $last == TERM ]]; then
    echo "sluice: job $job was told to end; unless SLURM brings it back, sluice submit continues the sweep"
    exit 75
fi
fruitless=0
if ! progressed; then
    [[ -r $record ]] && read -r fruitless <"$record"
    [[ $fruitless =~ ^[0-9]$ ]] || fruitless=0
    fruitless=$((fruitless + 1))
fi
echo "$fruitless" >"$record"
if ((fruitless >= most_fruitless)); then
    rm -f "$record" "$began"
    echo "sluice: $fruitless jobs in a row have come no further; giving up.  A longer slurm.time may help."
    exit 75
fi
echo "sluice: job $job ends with status $status and work left"
again
exit 75

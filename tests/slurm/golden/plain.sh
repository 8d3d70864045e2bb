#!/bin/bash
#SBATCH --job-name="gate-ablation"
#SBATCH --output="/home/ada/runs/gate-ablation/log/slurm-%j.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@20
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --mem="0"

# Written by `sluice submit`: one job of a sweep, which asks to be run again while work is left.

sluice='/opt/sluice/bin/sluice'
root='/home/ada/runs/gate-ablation'
arguments=(
    '/home/ada/gates.yaml'
    --out "$root"
)
job=$SLURM_JOB_ID
record=$root/log/slurm-fruitless # how many jobs in a row have come no further
began=$record.began
most_fruitless=3
cpus=1 # of a rank
ranks=0 tasks='' # as many as the cores of the nodes allow; SLURM says 36(x2),24
IFS=, read -ra groups <<<"${SLURM_JOB_CPUS_PER_NODE:-}"
for group in "${groups[@]}"; do
    [[ $group =~ ^([0-9]+)(\(x([0-9]+)\))?$ ]] || continue
    fit=$((BASH_REMATCH[1] < cpus ? 1 : BASH_REMATCH[1] / cpus)) nodes=${BASH_REMATCH[3]:-1}
    ranks=$((ranks + fit * nodes)) tasks+=,$fit"(x$nodes)"
done
((ranks > 0)) || ranks=1
[[ -z $tasks ]] || export SLURM_TASKS_PER_NODE=${tasks#,}

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
    "$sluice" run "${arguments[@]}" --ranks "$ranks" --threads "$cpus" &
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

submit() { # this job's successor
    local answer
    if answer=$(sbatch --parsable "$root/job.sh"); then
        echo "${answer%%;*}" >>"$root/jobs"
        echo "sluice: job ${answer%%;*} goes on"
    else
        echo "sluice: no other job can be submitted; sluice submit continues the sweep"
    fi
}

again() { # this job, once more; where that is forbidden, another one like it
    scontrol requeue "$job" || [[ $last == TERM ]] || submit # it was being cancelled
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

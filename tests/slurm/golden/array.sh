#!/bin/bash
#SBATCH --job-name="wide"
#SBATCH --output="/home/ada/runs/wide/log/slurm-%A_%a.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --array=1-100
#SBATCH --signal=B:USR1@20
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=1
#SBATCH --time="0-08:00:00"

# Written by `sluice submit`: some shards of a sweep, which asks to be run again while work is left.

sluice='/opt/sluice/bin/sluice'
root='/home/ada/runs/wide'
arguments=(
    '/home/ada/wide.yaml'
    --out "$root"
)
job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
record=$root/log/slurm-fruitless-$SLURM_ARRAY_TASK_ID # how many jobs in a row have come no further
began=$record.began
most_fruitless=3
shards=250 elements=100 # of the sweep, of the array
cpus=1 # of a rank
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
    "$sluice" run "${arguments[@]}" "$@" --ranks "$ranks" --threads "$cpus" &
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

submit() { # this element's successor
    local answer
    if answer=$(sbatch --parsable --array="$SLURM_ARRAY_TASK_ID" "$root/job.sh"); then
        echo "${answer%%;*}" >>"$root/jobs"
        echo "sluice: job ${answer%%;*} goes on"
    else
        echo "sluice: no other job can be submitted; sluice submit continues the sweep"
    fi
}

again() {
    submit
}

touch "$began"
outs=() worst=0
for ((shard = SLURM_ARRAY_TASK_ID; shard <= shards; shard += elements)); do
    outs+=("$root/shard-$shard-of-$shards")
    run --shard "$shard/$shards"
    ! incomplete || break
    ((status <= worst)) || worst=$status
done
incomplete || status=$worst

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

#!/bin/bash
#SBATCH --job-name="gate-ablation"
#SBATCH --output="/home/ada/runs/gate-ablation/log/slurm-%j.log"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@60
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --mem="0"

# Written by `sluice submit`: one job of a sweep, which asks to be run again while work is left.

sluice='/opt/sluice/bin/sluice'
out='/home/ada/runs/gate-ablation'
arguments=(
    '/home/ada/gates.yaml'
    --out "$out"
)
record=$out/log/slurm-fruitless # how many jobs in a row have finished nothing
most_fruitless=3
cpus=1 # of a rank
ranks=0 # as many as the cores of the nodes allow; SLURM says 36(x2),24
IFS=, read -ra groups <<<"${SLURM_JOB_CPUS_PER_NODE:-}"
for group in "${groups[@]}"; do
    [[ $group =~ ^([0-9]+)(\(x([0-9]+)\))?$ ]] || continue
    fit=$((BASH_REMATCH[1] / cpus))
    ranks=$((ranks + fit * ${BASH_REMATCH[3]:-1}))
done
((ranks > 0)) || ranks=1

if [[ -z ${SLURM_JOB_END_TIME:-} ]]; then # an older SLURM does not say when the job must end
    if end=$(squeue --noheader --job="$SLURM_JOB_ID" --format=%e) && end=$(date --date="$end" +%s 2>/dev/null); then
        export SLURM_JOB_END_TIME=$end
    fi
fi

finished() { # how many stages have left their checkpoint
    local files=("$out"/checkpoints/*.h5)
    if [[ -e ${files[0]} ]]; then echo "${#files[@]}"; else echo 0; fi
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

before=$(finished)
"$sluice" run "${arguments[@]}" --ranks "$ranks" --threads "$cpus" &
child=$!
[[ -z $last ]] || kill -s "$last" "$child" 2>/dev/null
seen=-1
while ((seen != signals)); do # wait returns early when a signal comes
    seen=$signals
    wait "$child"
    status=$?
done

if ((status != 75 && status <= 128)); then # it is finished, or cannot go on
    rm -f "$record"
    exit "$status"
fi
if [[ $last == TERM ]]; then
    echo "sluice: job $SLURM_JOB_ID was told to end; unless SLURM brings it back, sluice submit continues the sweep"
    exit 75
fi
if [[ $signals -eq 0 && -e $out/stop ]]; then
    echo "sluice: the sweep was cancelled; sluice submit continues it"
    exit 75
fi
fruitless=0
if (($(finished) <= before)); then
    [[ -r $record ]] && read -r fruitless <"$record"
    [[ $fruitless =~ ^[0-9]$ ]] || fruitless=0
    fruitless=$((fruitless + 1))
fi
echo "$fruitless" >"$record"
if ((fruitless >= most_fruitless)); then
    rm -f "$record"
    echo "sluice: $fruitless jobs in a row finished no stage; not requeued.  A longer slurm.time may help."
    exit 75
fi
echo "sluice: job $SLURM_JOB_ID ends with status $status and work left; requeueing it"
scontrol requeue "$SLURM_JOB_ID" || echo "sluice: cannot requeue; sluice submit continues the sweep"
exit 75

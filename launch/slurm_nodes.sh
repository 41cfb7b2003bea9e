#!/usr/bin/env bash
# Trains over several SLURM nodes: one job, one process per task of srun.
#
#   launch/slurm_nodes.sh --workdir=/shared/W --nodes=4 --tasks_per_node=8 \
#       --gres=gpu:8 -- --config=configs/glue_bam.py:mnli,qqp
#
# --workdir=DIR        on a file system that all nodes see (needed)
# --nodes=N            how many there are (needed)
# --tasks_per_node=N   processes on each: one per GPU; 1
# --python=PATH        the Python that has bam_jax; python
# --time=LIMIT         of the job; 24:00:00
# --gres=WHAT          of each node, as gpu:8; nothing
# --cpus=N             of each process; 8
# --mem=SIZE           of each node; 64G
# --partition=NAME     the cluster's default
# --account=NAME       yours
# --dry_run            prints the batch script and submits nothing
# After -- come the flags of bam_jax.main.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/common.sh
source "$here/common.sh"

declare -A flag=(
  [workdir]='' [nodes]='' [tasks_per_node]=1 [python]=python [time]=24:00:00
  [gres]='' [cpus]=8 [mem]=64G [partition]='' [account]=''
)
needed=(workdir=/shared/W nodes=2)
parse "$@"
number nodes
number tasks_per_node
number cpus
own workdir config.share coordinator processes process

script() {
  local name
  cat <<EOF
#!/usr/bin/env bash
#SBATCH --job-name=bam_jax
#SBATCH --nodes=${flag[nodes]}
#SBATCH --ntasks-per-node=${flag[tasks_per_node]}
#SBATCH --cpus-per-task=${flag[cpus]}
#SBATCH --mem=${flag[mem]}
#SBATCH --time=${flag[time]}
#SBATCH --requeue
#SBATCH --open-mode=append
EOF
  for name in gres partition account; do
    [[ -z ${flag[$name]} ]] || echo "#SBATCH --$name=${flag[$name]}"
  done
  cat <<EOF
# A minute before the time is up: the state is saved, the exit code is 3.
#SBATCH --signal=TERM@60

code=0
# jax finds the peers by what srun sets.
srun --kill-on-bad-exit=0 $(shown "${flag[python]}" -m bam_jax.main \
    --workdir="${flag[workdir]}" "${args[@]}") || code=\$?
# 3: stopped with all saved; 4: a process was lost. The same command goes on.
if [[ \$code == 3 || \$code == 4 ]]; then
  scontrol requeue "\$SLURM_JOB_ID"
fi
exit "\$code"
EOF
}

if [[ $dry_run ]]; then
  script
else
  script | sbatch
fi

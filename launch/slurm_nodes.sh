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

# jax finds the peers by what srun sets. 3: stopped with all saved; 4: a process
# was lost.
again='3 4'
head=(
  --nodes="${flag[nodes]}"
  --ntasks-per-node="${flag[tasks_per_node]}"
)
command=(
  srun --kill-on-bad-exit=0 "${flag[python]}" -m bam_jax.main
  --workdir="${flag[workdir]}" "${args[@]}"
)
slurm

#!/usr/bin/env bash
# Fans a study out under SLURM: an array of commands on one shared workdir, of
# which each trains the trials that no other has claimed.
#
#   launch/slurm_trials.sh --workdir=/shared/W --commands=8 --gres=gpu:1 -- \
#       --config=configs/glue_bam.py:rte,mrpc --config.trials=5
#
# --workdir=DIR     on a file system whose locks hold between machines (needed)
# --commands=N      how many there are (needed)
# --python=PATH     the Python that has bam_jax; python
# --time=LIMIT      of each; 24:00:00
# --gres=WHAT       of each, as gpu:1; nothing
# --cpus=N          of each; 8
# --mem=SIZE        of each; 32G
# --partition=NAME  the cluster's default
# --account=NAME    yours
# --dry_run         prints the batch script and submits nothing
# After -- come the flags of bam_jax.main.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/common.sh
source "$here/common.sh"

declare -A flag=(
  [workdir]='' [commands]='' [python]=python [time]=24:00:00 [gres]=''
  [cpus]=8 [mem]=32G [partition]='' [account]=''
)
needed=(workdir=/shared/W commands=8)
parse "$@"
number commands
number cpus
own workdir config.share coordinator processes process

# 3: stopped with all saved.
again='3'
head=(
  --array="0-$((flag[commands] - 1))"
  --ntasks=1
)
command=(
  srun --ntasks=1 "${flag[python]}" -m bam_jax.main
  --workdir="${flag[workdir]}" --config.share=True "${args[@]}"
)
slurm

#!/usr/bin/env bash
# Trains on a TPU slice: asks for it in the queue, waits, starts the same command
# on all workers, asks anew when it is taken away, and gives it back at the end.
#
#   launch/tpu_pod.sh --name=bam --zone=us-central2-b \
#       --accelerator_type=v4-32 --runtime_version=tpu-ubuntu2204-base \
#       --workdir=/mnt/shared/W --setup='bash /mnt/shared/setup.sh' \
#       --python=/mnt/shared/venv/bin/python -- \
#       --config=configs/glue_bam.py:mnli,qqp
#
# --name=NAME              of the request and its node (needed)
# --zone=ZONE              (needed)
# --accelerator_type=TYPE  (needed)
# --runtime_version=NAME   of the virtual machines' image (needed)
# --workdir=DIR            that all workers see (needed)
# --setup=COMMAND          mounts it and installs bam_jax on a worker; nothing
# --python=PATH            the Python that has bam_jax; python3
# --project=ID             gcloud's default
# --spot=yes|no            cheaper, and taken away at any time; yes
# --retries=N              how often it is asked for again; 20
# --poll=SECONDS           between two looks at the queue; 30
# --keep=yes|no            keeps the slice, and its bill, at the end; no
# --dry_run                prints the commands and does nothing
# --teardown=yes           only gives the slice back
# After -- come the flags of bam_jax.main.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/common.sh
source "$here/common.sh"

declare -A flag=(
  [name]='' [zone]='' [accelerator_type]='' [runtime_version]='' [workdir]=''
  [setup]='' [python]=python3 [project]='' [spot]=yes [retries]=20 [poll]=30
  [keep]=no [teardown]=no
)
needed=(
  name=bam zone=us-central2-b accelerator_type=v4-32
  runtime_version=tpu-ubuntu2204-base workdir=/mnt/shared/W
)
for each in "$@"; do
  [[ $each == -- ]] && break
  # To give it back, its name and place are enough.
  [[ $each != --teardown=yes ]] || needed=(name=bam zone=us-central2-b)
done
parse "$@"
for each in spot keep teardown; do
  [[ ${flag[$each]} == yes || ${flag[$each]} == no ]] ||
    fail "--$each is '${flag[$each]}'; it is yes or no"
done

place=(--zone="${flag[zone]}")
[[ -z ${flag[project]} ]] || place+=(--project="${flag[project]}")
queue=(gcloud compute tpus queued-resources)

give_back() {
  run "${queue[@]}" delete "${flag[name]}" "${place[@]}" --force --quiet
}

if [[ ${flag[teardown]} == yes ]]; then
  give_back
  exit
fi
number retries
own workdir config.share coordinator processes process

ask() {
  local extra=()
  [[ ${flag[spot]} == no ]] || extra=(--spot)
  run "${queue[@]}" create "${flag[name]}" --node-id="${flag[name]}" \
    "${place[@]}" --accelerator-type="${flag[accelerator_type]}" \
    --runtime-version="${flag[runtime_version]}" "${extra[@]}"
}

state() {
  run "${queue[@]}" describe "${flag[name]}" "${place[@]}" \
    --format='value(state.state)'
}

# Returns when the slice is there; 1 = it will not come.
await() {
  local now
  if [[ $dry_run ]]; then
    state
    return
  fi
  while true; do
    now=$(state)
    echo "${flag[name]}: $now"
    case $now in
      ACTIVE) return 0 ;;
      FAILED | SUSPENDING | SUSPENDED) return 1 ;;
    esac
    sleep "${flag[poll]}"
  done
}

command="$(shown "${flag[python]}" -m bam_jax.main \
  --workdir="${flag[workdir]}" "${args[@]}")"
# gcloud need not hand the code of a worker on.
command+=" || { code=\$?; echo \"bam_jax: exit \$code\"; exit \$code; }"

everywhere() {
  run gcloud compute tpus tpu-vm ssh "${flag[name]}" "${place[@]}" \
    --worker=all --command="$1"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
hint="the slice is still yours: $0 --name=${flag[name]} --zone=${flag[zone]} --teardown=yes"

for ((attempt = 0; attempt <= flag[retries]; attempt++)); do
  ask
  if await; then
    [[ -z ${flag[setup]} ]] || everywhere "${flag[setup]}" ||
      echo "the setup fails on a worker" >&2
    # As long as the slice is there, a command that was stopped goes on.
    while true; do
      code=0
      everywhere "$command" 2>&1 | tee "$log" || code=$?
      if [[ $code == 0 ]]; then
        [[ ${flag[keep]} == yes ]] || give_back
        exit 0
      fi
      [[ $(state) == ACTIVE ]] || break
      if ! grep -q '^bam_jax: exit [34]$' "$log"; then
        echo "error: the command ended with a fault of its own; $hint" >&2
        exit 1
      fi
    done
  fi
  echo "${flag[name]} was taken away or never came; it is asked for anew" >&2
  give_back
done
echo "error: given up after ${flag[retries]} retries; the same command goes on" >&2
exit 1

#!/usr/bin/env bash
# Trains over several pods by a Kubernetes JobSet: fills in jobset.yaml and
# applies it.
#
#   launch/jobset.sh --name=bam --image=REGISTRY/bam_jax:TAG --pods=4 \
#       --claim=shared --workdir=/shared/W --gpus=8 -- \
#       --config=configs/glue_bam.py:mnli,qqp
#
# --name=NAME        of the JobSet: letters, digits and dashes (needed)
# --image=IMAGE      that has bam_jax and its configs (needed)
# --pods=N           one process each (needed)
# --claim=NAME       a volume claim that all pods can write, at /shared (needed)
# --workdir=DIR      below /shared (needed)
# --gpus=N           of each pod; 0
# --cpus=N           of each pod; 8
# --memory=SIZE      of each pod; 32Gi
# --restarts=N       after a lost process or another failure; 20
# --namespace=NAME   kubectl's default
# --dry_run          prints the JobSet and applies nothing
# --teardown=yes     deletes the JobSet; the volume stays
# After -- come the flags of bam_jax.main.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=launch/common.sh
source "$here/common.sh"

declare -A flag=(
  [name]='' [image]='' [pods]='' [claim]='' [workdir]='' [gpus]=0 [cpus]=8
  [memory]=32Gi [restarts]=20 [namespace]='' [teardown]=no
)
needed=(
  name=bam image=REGISTRY/bam_jax:TAG pods=4 claim=shared workdir=/shared/W
)
for each in "$@"; do
  [[ $each == -- ]] && break
  [[ $each != --teardown=yes ]] || needed=(name=bam)
done
parse "$@"
[[ ${flag[name]} =~ ^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$ ]] ||
  fail "--name is '${flag[name]}'; it is small letters, digits and dashes, 42 at most"
kubectl=(kubectl)
[[ -z ${flag[namespace]} ]] || kubectl+=(--namespace="${flag[namespace]}")
if [[ ${flag[teardown]} == yes ]]; then
  run "${kubectl[@]}" delete jobset "${flag[name]}"
  exit
fi
for each in pods cpus restarts; do number "$each"; done
[[ ${flag[gpus]} =~ ^[0-9]+$ ]] || fail "--gpus is '${flag[gpus]}'; it is 0 or more"
[[ ${flag[workdir]} == /shared/* ]] ||
  fail "--workdir is ${flag[workdir]}; it lies below /shared, where --claim is"
own workdir config.share coordinator processes process

# A YAML string in single quotes.
quoted() {
  printf "'%s'" "${1//\'/\'\'}"
}

filled() {
  local line each
  while IFS= read -r line || [[ -n $line ]]; do
    case $line in
      \#*) continue ;;
      *@ARGS@*)
        for each in --workdir="${flag[workdir]}" "${args[@]}"; do
          # Kubernetes itself replaces $(NAME); $$ keeps a dollar.
          printf '%s- %s\n' "${line%%@ARGS@*}" "$(quoted "${each//\$/\$\$}")"
        done
        continue
        ;;
      *@GPUS@*)
        # A machine without them knows no such resource.
        ((flag[gpus])) || continue
        ;;
    esac
    line=${line//@NAME@/${flag[name]}}
    line=${line//@IMAGE@/$(quoted "${flag[image]}")}
    line=${line//@PODS@/${flag[pods]}}
    line=${line//@CLAIM@/$(quoted "${flag[claim]}")}
    line=${line//@GPUS@/${flag[gpus]}}
    line=${line//@CPUS@/${flag[cpus]}}
    line=${line//@MEMORY@/$(quoted "${flag[memory]}")}
    line=${line//@RESTARTS@/${flag[restarts]}}
    printf '%s\n' "$line"
  done <"$here/jobset.yaml"
}

if [[ $dry_run ]]; then
  filled
else
  filled | "${kubectl[@]}" apply -f -
fi

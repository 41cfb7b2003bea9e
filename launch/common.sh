# shellcheck shell=bash disable=SC2154
# What the scripts of this folder share. A script sets `flag` (names and
# defaults) and `needed` (name=example of those without a default), then calls
# `parse "$@"`; what follows -- comes back in `args`.

((BASH_VERSINFO[0] >= 4)) || {
  echo "error: bash $BASH_VERSION is too old; bash 4 or newer is needed" >&2
  exit 2
}

args=()
dry_run=

fail() {
  echo "error: $*" >&2
  exit 2
}

# Prints the comment at the head of the script.
usage() {
  sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

parse() {
  local name each
  while (($#)); do
    case $1 in
      --help | -h)
        usage
        exit 0
        ;;
      --dry_run) dry_run=1 ;;
      --)
        shift
        args=("$@")
        break
        ;;
      --*=*)
        name=${1%%=*}
        name=${name#--}
        [[ -v flag[$name] ]] || fail "there is no flag --$name; see --help"
        # shellcheck disable=SC2004  # names, not numbers
        flag[$name]=${1#*=}
        ;;
      *) fail "'$1' is not --NAME=VALUE (after -- come those of bam_jax.main); see --help" ;;
    esac
    shift
  done
  for each in "${needed[@]}"; do
    name=${each%%=*}
    [[ -n ${flag[$name]} ]] || fail "--$name is missing: --$each; see --help"
  done
}

# Refuses a value that does not match: number NAME.
number() {
  [[ ${flag[$1]} =~ ^[1-9][0-9]*$ ]] ||
    fail "--$1 is '${flag[$1]}'; it is a whole number above 0"
}

# Refuses arguments without --config, or with what the script sets itself.
own() {
  local each name
  [[ " ${args[*]}" == *" --config="* ]] ||
    fail "nothing to run: -- --config=configs/glue_bam.py:rte,mrpc; see --help"
  for each in "${args[@]}"; do
    for name in "$@"; do
      [[ $each != "--$name" && $each != "--$name="* ]] ||
        fail "$each is set by this script; leave it out after --"
    done
  done
}

# Prints a command as it can be typed.
shown() {
  local text
  text=$(printf '%q ' "$@")
  printf '%s\n' "${text% }"
}

# Does a command, or says what it would be.
run() {
  if [[ $dry_run ]]; then
    shown "$@"
  else
    "$@"
  fi
}

# Submits a SLURM job, or says what it would be. Taken from the script: `head`,
# options of the job; `command`, what it does; `again`, the exit codes after
# which the same command goes on; and the flags that both kinds of job have.
slurm() {
  if [[ $dry_run ]]; then
    batch
  else
    batch | sbatch
  fi
}

batch() {
  local each name
  echo '#!/usr/bin/env bash'
  echo '#SBATCH --job-name=bam_jax'
  for each in "${head[@]}" --cpus-per-task="${flag[cpus]}" \
    --mem="${flag[mem]}" --time="${flag[time]}" --requeue --open-mode=append; do
    echo "#SBATCH $each"
  done
  for name in gres partition account; do
    [[ -z ${flag[$name]} ]] || echo "#SBATCH --$name=${flag[$name]}"
  done
  cat <<EOF
# A minute before the time is up: the state is saved, the exit code is 3.
#SBATCH --signal=TERM@60

code=0
$(shown "${command[@]}") || code=\$?
# The same command goes on from where it ended.
case \$code in ${again// / | })
  scontrol requeue "\$SLURM_JOB_ID" ;;
esac
exit "\$code"
EOF
}

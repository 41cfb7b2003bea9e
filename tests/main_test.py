"""The command as typed: exit codes, sentences, signals and what is left."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from bam_jax import main
from tests import small

ROOT = Path(__file__).resolve().parent.parent
QUICK = "--config=configs/quickstart.py"


def command(*args) -> list[str]:
  return [sys.executable, "-m", "bam_jax.main", *args]


def ran(*args) -> subprocess.CompletedProcess:
  return subprocess.run(
    command(*args), cwd=ROOT, capture_output=True, text=True, check=False
  )


@pytest.mark.parametrize(
  ("args", "said"),
  [
    ([], "--config is missing: --config=configs/quickstart.py; see --help"),
    ([QUICK], "--workdir is missing: --workdir=W, any directory; see --help"),
    (
      ["--config=configs/quickstrat.py", "--workdir=W"],
      "no config file 'configs/quickstrat.py'; "
      "did you mean configs/quickstart.py?",
    ),
    (
      [QUICK, "--workdir=W", "--config.optim.warmpu=0.2"],
      "no config key 'optim.warmpu'; did you mean --config.optim.warmup?",
    ),
    (
      ["--config", "configs/quickstart.py", "--config.trails", "2"],
      "no config key 'trails'; did you mean --config.trials?",
    ),
    (
      [QUICK, "--workdir=W", "--config.trials=two"],
      "config key trials is 'two', which is no whole number as in "
      "--config.trials=1",
    ),
    (
      [QUICK, "--workdir=W", "--config.single=3"],
      "config key single is a group",
    ),
    ([QUICK, "--wrokdir=W"], "no flag --wrokdir"),
    ([QUICK, "--workdir=W", "rte"], "'rte' is not a flag; see --help"),
    (
      ["--config=configs/paper.py:tabel4", "--workdir=W"],
      "did you mean table4?",
    ),
  ],
)
def test_a_wrong_command_is_one_sentence_and_code_2(args, said):
  done = ran(*args)
  assert done.returncode == 2
  assert done.stdout == ""
  assert said in done.stderr
  assert done.stderr.startswith("error: ")
  assert done.stderr.count("\n") == 1
  assert not (ROOT / "W").exists()


def test_help_tells_every_key_and_every_experiment():
  done = ran("--help")
  assert done.returncode == 0
  assert done.stderr == ""
  for part in (
    "--config.optim.warmup = 0.1",
    "# Share of the steps in which the rate rises.",
    "configs/quickstart.py",
    "Exit codes: 0 done",
  ):
    assert part in done.stdout
  assert "ConfigDict" not in done.stdout
  assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_sentence_of_the_systems_errors_has_no_number():
  error = PermissionError(13, "Permission denied", "W/config.json")
  assert main.sentence(error) == "W/config.json: Permission denied"
  assert main.sentence(ValueError("no task")) == "no task"


@pytest.fixture(scope="module")
def long_run(small_run):
  """A run with checkpoints, long enough to be interrupted, uninterrupted."""
  changes = dict(
    methods="single", tasks="cola", max_steps=60, checkpoint_every=4
  )
  config = small.settings(small_run.glue, small_run.encoder, **changes)
  config.single.epochs = 10.0
  small.execute(config, small_run.root / "long")
  flags = [
    f"--config.{key}={value}"
    for key, value in {
      **changes,
      "data.glue_dir": small_run.glue,
      "encoder": small_run.encoder,
      "max_length": config.max_length,
      "log_every": config.log_every,
      "eval_batch_size": config.eval_batch_size,
      "data.packing": config.data.packing,
      **{
        f"{kind}.{key}": config[kind][key]
        for kind in small.STAGES
        for key in ("batch_size", "rate", "epochs")
      },
    }.items()
  ]
  return config, small_run.root / "long", flags


def interrupted(flags, workdir, number, compiled) -> tuple[int, str, str]:
  """Starts the command and sends a signal once there is a checkpoint."""
  process = subprocess.Popen(
    command("--config=configs/glue_bam.py", f"--workdir={workdir}", *flags),
    cwd=ROOT,
    env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(compiled)},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  place = workdir / "runs" / "single.cola" / "checkpoints" / "training-0-0"
  # Orbax renames a checkpoint to its step when it is whole.
  while process.poll() is None and not (place / "4").exists():
    time.sleep(0.01)
  process.send_signal(number)
  out, err = process.communicate()
  return process.returncode, out, err


def outcome(workdir) -> tuple:
  return (
    json.loads((workdir / "results.json").read_text())["methods"],
    (workdir / "runs" / "single.cola" / "metrics.jsonl").read_bytes(),
  )


def test_killed_in_the_middle_it_goes_on_to_the_same_bytes(
  long_run, compiled, tmp_path
):
  config, whole, flags = long_run
  code, _, err = interrupted(flags, tmp_path / "W", signal.SIGKILL, compiled)
  assert code == -signal.SIGKILL, err
  assert not (tmp_path / "W" / "results.json").exists()
  small.execute(config, tmp_path / "W")
  assert outcome(tmp_path / "W") == outcome(whole)
  left = tmp_path / "W" / "runs" / "single.cola" / "checkpoints"
  assert [path.name for path in left.iterdir()] == ["seed-0"]


def test_a_polite_signal_saves_exits_3_and_goes_on(
  long_run, compiled, tmp_path
):
  config, whole, flags = long_run
  code, out, err = interrupted(flags, tmp_path / "W", signal.SIGTERM, compiled)
  assert code == 3, err
  assert "stopped after step" in out
  assert "the same command goes on from there" in out
  assert "Traceback" not in err
  small.execute(config, tmp_path / "W")
  assert outcome(tmp_path / "W") == outcome(whole)


def test_an_unfit_task_is_code_2_and_leaves_no_workdir(tmp_path):
  done = ran(f"{QUICK}:sentimnt", f"--workdir={tmp_path / 'W'}")
  assert done.returncode == 2
  assert done.stderr.count("\n") == 1
  assert "did you mean 'sentiment'?" in done.stderr
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
  ("part", "said"),
  [
    ("smoke", "select.by is 'x'; it is one of last, average, mine"),
    ("smoke,sentiment", "has mine, but tasks are sentiment; name one"),
  ],
)
def test_a_part_of_a_config_names_no_tasks(tmp_path, part, said):
  (tmp_path / "t.csv").write_text("text,label\na dog,no\na cat,yes\nno,yes\n")
  (tmp_path / "t.toml").write_text(
    '[mine]\ntrain = "t.csv"\ndev_share = 0.5\ntext = "text"\n'
    'label = "label"\nmetric = "accuracy"\nlabels = ["no", "yes"]\n'
  )
  done = ran(
    f"--config=configs/paper.py:{part}",
    f"--config.tasks_file={tmp_path}/t.toml",
    f"--workdir={tmp_path}/W",
    "--config.select.by=x",
  )
  assert done.returncode == 2
  assert said in done.stderr

"""The working directory: whose it is, what is refused, nothing half."""

import json

import pytest

from bam_jax.runtime import files
from bam_jax.study import workdir
from bam_jax.study.workdir import Workdir
from configs import common


def test_a_directory_made_with_other_settings_is_refused(tmp_path):
  config = common.base()
  Workdir(tmp_path).open(config)
  before = (tmp_path / "config.json").read_bytes()
  config.optim.clip = 2.5
  config.tasks = "rte"
  with pytest.raises(ValueError, match="other settings") as error:
    Workdir(tmp_path).open(config)
  said = str(error.value)
  assert "optim.clip: 1.0 there, 2.5 asked" in said
  assert "tasks: 'cola,sst2,mrpc,stsb,qqp,mnli,qnli,rte' there" in said
  assert "warmup" not in said
  assert (tmp_path / "config.json").read_bytes() == before


def test_a_key_that_is_off_makes_no_difference(tmp_path, monkeypatch):
  monkeypatch.setitem(workdir.NEUTRAL, "optim.ema", 0.0)
  config = common.base()
  Workdir(tmp_path).open(config)
  # As tomorrow's version has it: off first, then on.
  with config.unlocked():
    config.optim.ema = 0.0
  Workdir(tmp_path).open(config)
  config.optim.ema = 0.9
  with pytest.raises(ValueError, match=r"optim.ema: 0.0 there, 0.9 asked"):
    Workdir(tmp_path).open(config)


def test_a_key_that_one_version_lacks_is_a_difference(tmp_path):
  config = common.base()
  Workdir(tmp_path).open(config)
  del config["head_dropout"]
  with pytest.raises(ValueError, match=r"head_dropout: 0\.1 there, None"):
    Workdir(tmp_path).open(config)


def test_more_trials_methods_and_speed_are_no_other_settings(tmp_path):
  config = common.base()
  Workdir(tmp_path).open(config)
  config.trials, config.methods, config.log_every = 7, "multi", 3
  config.stage, config.mesh.data, config.micro_rows = "report", 4, 2
  Workdir(tmp_path).open(config)
  assert Workdir(tmp_path).made()["config"]["trials"] == 7


def test_another_trial_in_an_ensemble_makes_other_students(tmp_path):
  config = common.base()
  config.teacher.trials = "ensemble"
  Workdir(tmp_path).open(config)
  config.trials = 2
  with pytest.raises(ValueError, match="trials: 1 there, 2 asked"):
    Workdir(tmp_path).open(config)


def test_so_it_does_where_a_variant_taught_by_all_was_asked_for(tmp_path):
  config = common.base()
  Workdir(tmp_path).open(config)
  config.trials = 3
  config.variants = {"all": {"teacher": {"trials": "ensemble"}}}
  Workdir(tmp_path).open(config)
  config.trials = 4
  for known in (config.variants, {}):
    config.variants = known
    with pytest.raises(ValueError, match="trials: 3 there, 4 asked"):
      Workdir(tmp_path).open(config)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_is_a_sentence(tmp_path, below):
  (tmp_path / "W").write_text("mine")
  with pytest.raises(ValueError, match=r"cannot be written .*--workdir"):
    Workdir(tmp_path / "W" / below).open(common.base())
  assert (tmp_path / "W").read_text() == "mine"


@pytest.mark.parametrize("content", ["[1]", '{"model": 2}'])
def test_another_programs_config_is_not_overwritten(tmp_path, content):
  (tmp_path / "config.json").write_text(content)
  with pytest.raises(ValueError, match="not a config of bam_jax"):
    Workdir(tmp_path).open(common.base())
  assert (tmp_path / "config.json").read_text() == content


def test_damaged_scores_name_their_file_and_the_cure(tmp_path):
  file = tmp_path / "runs" / "multi" / "scores.json"
  file.parent.mkdir(parents=True)
  file.write_text('{"0": ')
  with pytest.raises(ValueError, match=rf"{file} is not JSON.*delete {file}"):
    Workdir(tmp_path).scores("multi")


def test_a_broken_config_that_may_be_the_users_is_not_called_one_to_delete(
  tmp_path,
):
  (tmp_path / "config.json").write_text('{"name": "mine",}')
  with pytest.raises(ValueError, match=r"is not JSON.*take another") as error:
    Workdir(tmp_path).open(common.base())
  assert "delete" not in str(error.value)


@pytest.mark.parametrize("key", ["encoder", "data.glue_dir", "init_from"])
@pytest.mark.parametrize(
  "spelling",
  ["{}/", "./{}", "../here/{}", "{}/../{}", "link", "/{}", "elsewhere"],
)
def test_another_spelling_of_a_path_is_the_same_setting(
  tmp_path, monkeypatch, key, spelling
):
  here = tmp_path / "here"
  (here / "enc").mkdir(parents=True)
  (here / "link").symlink_to("enc")
  monkeypatch.chdir(here)

  def config(path):
    found = common.base()
    with found.unlocked():
      found.update_from_flattened_dict({key: path})
    return found

  place = Workdir(tmp_path / "W")
  place.open(config("enc"))
  if spelling == "elsewhere":
    # What was typed as "enc" is ../here/enc seen from there.
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    place.check(config("../here/enc"))
  absolute = str(here / "enc")
  asked = absolute if spelling == "/{}" else spelling.format("enc", "enc")
  if spelling != "elsewhere":
    place.check(config(asked))
  (here / "other").mkdir()
  with pytest.raises(ValueError, match=f"{key}: 'enc' there"):
    place.check(config(str(here / "other")))


def test_files_of_teachers_are_the_same_by_another_spelling(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  for name in ("a.jsonl", "b.jsonl"):
    (tmp_path / name).touch()
  config = common.base()
  config.teacher.files = "cola=a.jsonl,rte=b.jsonl"
  place = Workdir(tmp_path / "W")
  place.open(config)
  config.teacher.files = f"cola=./a.jsonl,rte={tmp_path}/b.jsonl"
  place.check(config)
  config.teacher.files = "cola=b.jsonl,rte=a.jsonl"
  with pytest.raises(ValueError, match=r"teacher\.files: 'cola=a"):
    place.check(config)


def test_scores_are_kept_per_seed_in_the_order_of_seeds(tmp_path):
  place = Workdir(tmp_path)
  for seed in (10, 2, 0):
    place.record("multi.rte", seed, {"scores": seed})
  place.record("multi.rte", 2, {"scores": 5})
  assert list(place.scores("multi.rte").items()) == [
    ("0", {"scores": 0}),
    ("2", {"scores": 5}),
    ("10", {"scores": 10}),
  ]


def test_names_of_groups_of_keys():
  tree = {"a": 1, "b": {"c": 2, "d": {"e": 3}}}
  assert files.flatten(tree) == {"a": 1, "b.c": 2, "b.d.e": 3}
  shaping = workdir.shaping(
    {"mesh": {"data": 1}, "data": {"beam": "DirectRunner"}, "x": (1,)}
  )
  assert shaping == {"x": [1]}


def test_equal_settings_have_equal_hashes_in_any_order():
  assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1})
  assert files.digest({"a": 1}) != files.digest({"a": 2})


def test_opening_clears_only_what_a_killed_command_had_half_deleted(tmp_path):
  config = common.base()
  Workdir(tmp_path).open(config)
  checkpoints = tmp_path / "runs" / "multi.rte" / "checkpoints"
  for name in ("discarded/12/state", "seed-0", "training-1-1/3"):
    (checkpoints / name).mkdir(parents=True)
  Workdir(tmp_path).open(config)
  left = sorted(path.name for path in checkpoints.iterdir())
  assert left == ["seed-0", "training-1-1"]


def test_a_directory_made_before_a_key_came_has_it_off(tmp_path):
  made = common.base().to_dict()
  del made["single"]["min_steps"], made["masking"], made["encoder_frozen"]
  W = Workdir(tmp_path)
  W.file.write_text(json.dumps({"config": made}))
  found = W.config()
  assert found.to_dict() == common.base().to_dict()


@pytest.mark.parametrize("content", ["{}", '{"config": 3}'])
def test_a_directory_without_a_config_is_none_of_ours(tmp_path, content):
  W = Workdir(tmp_path)
  W.file.write_text(content)
  with pytest.raises(ValueError, match=r"no config\.json with a config in it"):
    W.config()

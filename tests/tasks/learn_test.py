"""What tasks choose for themselves: read, joined, refused by name and place."""

import dataclasses
import re

from ml_collections import ConfigDict
import pytest

from bam_jax.stages import checks, idle
from bam_jax.study import experiment, lineage
from bam_jax.study.workdir import NEUTRAL
from bam_jax.tasks import description, learn
from bam_jax.tasks import own as own_tasks
from bam_jax.tasks.learn import Learn
from bam_jax.tasks.table import TASKS
from bam_jax.training import heads
from configs import common

FILE = """\
[pets]
train = "pets.csv"
dev = "dev.csv"
text = ["question", "answer"]
label = "verdict"
labels = ["no", "yes"]
metric = "accuracy"
"""


def asked(**changes):
  c = common.base()
  c.tasks = "rte,stsb,mnli"
  c.update_from_flattened_dict(changes)
  return experiment.read(c)


def of_file(tmp_path, more):
  path = tmp_path / "t.toml"
  path.write_text(FILE + more, "utf-8")
  return own_tasks.table(own_tasks.read(path), path)["pets"]


def test_a_tasks_file_says_it_beside_the_other_keys(tmp_path):
  task = of_file(tmp_path, 'dropout = 0\nloss = "js"\nweight = 2\n')
  assert task.learn == Learn(dropout=0.0, loss="js", weight=2.0)
  assert of_file(tmp_path, "").learn == Learn()


@pytest.mark.parametrize(
  ("line", "said"),
  [
    ("dropout = 1", "line 8: pets.dropout = 1 is a share, from 0 to below 1"),
    ('dropout = "0.1"', "pets.dropout = '0.1' is a share"),
    ("weight = 0", "line 8: pets.weight = 0 is a number above 0"),
    ("weight = true", "pets.weight = True is a number above 0"),
    ("loss = 3", "pets.loss = 3 is a text in quotes"),
    ("los = 3", "did you mean 'loss'?"),
  ],
)
def test_a_tasks_file_is_refused_by_its_line(tmp_path, line, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    of_file(tmp_path, line + "\n")


def test_the_config_says_it_of_all_or_of_some():
  it = asked(**{"learn.dropout": "0.25", "learn.loss": "rte=kl, mnli=js"})
  found = {task.name: task.learn for task in it.trained_tasks}
  assert found == {
    "rte": Learn(dropout=0.25, loss="kl"),
    "stsb": Learn(dropout=0.25),
    "mnli": Learn(dropout=0.25, loss="js"),
  }


def test_the_config_comes_after_the_tasks_file(tmp_path):
  of_file(tmp_path, 'loss = "js"\nkd_loss = "kl"\n')
  c = common.base()
  c.tasks_file, c.tasks = str(tmp_path / "t.toml"), "pets"
  c.learn.loss, c.teacher.mix = "pets=hellinger", "losses"
  (tmp_path / "pets.csv").write_text("question,answer,verdict\n")
  (tmp_path / "dev.csv").write_text("question,answer,verdict\n")
  (task,) = experiment.read(c).trained_tasks
  assert task.learn == Learn(loss="hellinger", kd_loss="kl")


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    (
      {"loss": "rte=kk"},
      "learn.loss of rte is 'kk'; as loss of classification",
    ),
    ({"loss": "rte=hellingr"}, "did you mean 'hellinger'?"),
    ({"loss": "rte=symkl"}, "it is one of ce, focal, kl, js, hellinger"),
    ({"loss": "rte=ce:smoothing=1"}, "smoothing=NUMBER, from 0 to below 1"),
    (
      {"loss": "rte=focal:gama=2"},
      "no option 'gama=2'; focal has gamma=NUMBER",
    ),
    ({"loss": "rte=js:gamma=1"}, "has no option 'gamma=1'; js has none"),
    ({"class_weight": "rte=1/2/3"}, "entailment, not_entailment in this order"),
    ({"class_weight": "rte=even"}, "is balanced, or a number above 0 for each"),
    (
      {"class_weight": "stsb=balanced"},
      "is for classification; stsb is of kind",
    ),
    ({"loss": "stsb=ce"}, "as loss of regression it is one of mse"),
    ({"loss": "ce"}, "learn.loss of stsb is 'ce'"),
    ({"loss": "ret=ce"}, "with tasks of rte, stsb, mnli; did you mean 'rte'?"),
    ({"loss": "ce,rte=kl"}, "learn.loss has 'ce'; it is one value for all"),
    ({"loss": "rte="}, "learn.loss has 'rte='"),
    ({"loss": "rte=ce,rte=kl"}, "learn.loss names rte twice"),
    ({"dropout": "rte=1"}, "'rte=1'; it is a share, from 0 to below 1"),
    ({"weight": "rte=inf"}, "'rte=inf'; it is a number above 0"),
    ({"weight": "much"}, "'much'; it is a number above 0"),
    (
      {"head": "rte=mpl"},
      "tower, san, project, pair, bilinear, attention; did you mean 'mlp'?",
    ),
    ({"head": "rte=tags"}, "as head of classification it is one of linear"),
    ({"head": "rte=san:turn=3"}, "no option 'turn'; san has turns, answer_dr"),
    ({"head": "rte=san:turns=0"}, "has turns=0; it is a whole number, 1 or"),
    ({"head": "rte=san:turns=2.5"}, "has turns=2.5; it is a whole number"),
    ({"head": "rte=san:answer_dropout=1"}, "answer_dropout=1; it is a share"),
    ({"head": "rte=mlp:wide"}, "has 'wide' behind mlp; it is OPTION=NUMBER"),
    ({"head": "rte=linear:x=1"}, "no option 'x'; linear has none"),
    ({"pool": "rte=men"}, "one of cls, mean, late; did you mean 'mean'?"),
    ({"layers": "rte=all"}, "it is one of last, mix"),
    (
      {"layers": "rte=mix"},
      "token, project, pair, bilinear, attention, and that of rte is linear",
    ),
    (
      {"head": "rte=tower", "pool": "late"},
      "and the head tower of rte reads all tokens; name the tasks",
    ),
    ({"head_of": "rte=mlni"}, "one of rte, stsb, mnli; did you mean 'mnli'?"),
    (
      {"head_of": "rte=mnli"},
      "has a head for 3 of classification, and rte has",
    ),
    ({"head_of": "stsb=rte"}, "heads are shared by tasks of one shape"),
    ({"kd_loss": "kl"}, "set --config.teacher.mix=losses"),
    ({"adv_loss": "rte=kl"}, "smart_mtdnn, vat: --config.adversary.kind=rdrop"),
  ],
)
def test_what_cannot_be_is_one_sentence(changes, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    checks.settings(asked(**{f"learn.{k}": v for k, v in changes.items()}))


def test_a_head_for_two_texts_is_not_for_one():
  c = common.base()
  c.tasks, c.learn.head = "cola,rte", "san"
  with pytest.raises(ValueError, match="of cola is 'san'; reads two texts"):
    checks.settings(experiment.read(c))
  c.learn.head = "rte=san:turns=3,cola=mlp:width=9"
  cola, rte = experiment.read(c).trained_tasks
  specs = heads.specs([cola, rte], regression_output="linear")
  assert [each.options for each in specs] == [(("width", 9),), (("turns", 3),)]
  c.tasks, c.learn.head = "rte", "mlp:width=5"
  (rte,) = experiment.read(c).trained_tasks
  assert heads.spec(rte).option("width") == 5


def sharing(**changes):
  c = common.base()
  c.tasks = "rte,qnli,qqp,mrpc"
  c.update_from_flattened_dict({f"learn.{k}": v for k, v in changes.items()})
  checks.settings(it := experiment.read(c))
  return [heads.spec(task) for task in it.trained_tasks]


def test_a_shared_head_is_built_as_its_owners():
  rte, qnli, qqp, mrpc = sharing(head="rte=mlp", head_of="qnli=rte,qqp=rte")
  assert [each.head for each in (rte, qnli, qqp, mrpc)] == [
    *["mlp"] * 3,
    "linear",
  ]
  assert [each.parameters for each in (rte, qnli, qqp, mrpc)] == [
    *["rte"] * 3,
    "mrpc",
  ]
  late = sharing(pool="rte=late", head_of="qnli=rte")
  assert [each.pool for each in late] == ["late", "late", "cls", "cls"]
  # Said of all, it is the owner's own.
  assert {each.parameters for each in sharing(head_of="rte")} == {"rte"}


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"head_of": "rte=qnli,qnli=qqp"}, "shares a head itself; name that one's"),
    (
      {"head_of": "rte=qqp", "head": "rte=mlp"},
      "is built as linear, and rte as",
    ),
    (
      {"head_of": "rte=qqp", "head": "pair", "layers": "rte=mix,qqp=last"},
      "reads the layers last, and rte asks for mix; leave its layers out",
    ),
    (
      {"head_of": "rte=qqp", "pool": "rte=mean"},
      "reads by the pool cls, and rte asks for mean; leave its pool out",
    ),
  ],
)
def test_a_head_that_cannot_be_shared_is_one_sentence(changes, said):
  with pytest.raises(ValueError, match=re.escape(said)):
    sharing(**changes)


def test_labels_of_another_order_share_no_head():
  turned = TASKS["rte"].labels[::-1]
  rte = dataclasses.replace(TASKS["rte"], learn=Learn(head_of="qnli"))
  known = {"rte": rte, "qnli": TASKS["qnli"]}
  assert heads.fault(rte, known) is None
  found = heads.fault(dataclasses.replace(rte, labels=turned), known)
  assert found[0] == "head_of" and "write labels alike" in found[1]


def test_a_head_stays_what_it_is_from_stage_to_stage():
  c = common.base()
  c.tasks, c.methods = "rte,mrpc", "multi+finetune@wide"
  c.variants = ConfigDict({"wide": {"learn": {"head": "rte=mlp"}}})
  said = "the head of rte is linear of cls (last), and has mlp of cls (last)"
  with pytest.raises(ValueError, match=re.escape(said)):
    checks.settings(experiment.read(c))
  c.variants = ConfigDict({"wide": {"learn": {"pool": "rte=late"}}})
  said = r"is linear of cls \(last\), and has linear of l"
  with pytest.raises(ValueError, match=said):
    checks.settings(experiment.read(c))


def test_a_temperature_is_for_a_loss_of_its_own():
  with pytest.raises(
    ValueError, match=r"temperature is 2\.0, but teacher\.mix"
  ):
    checks.settings(asked(**{"teacher.temperature": 2.0}))
  changes = {"teacher.temperature": 2.0, "teacher.mix": "losses"}
  checks.settings(asked(**changes, **{"learn.kd_loss": "rte=nskl"}))


def test_an_objective_that_cannot_be_is_refused_with_its_line(
  tmp_path,
):
  of_file(tmp_path, 'adv_loss = "mse"\n')
  c = common.base()
  c.tasks_file, c.tasks = str(tmp_path / "t.toml"), "pets"
  for name in ("pets", "dev"):
    (tmp_path / f"{name}.csv").write_text("question,answer,verdict\n")
  said = "t.toml line 8: pets.adv_loss = 'mse' as adv_loss of classification"
  with pytest.raises(ValueError, match=re.escape(said)):
    checks.settings(experiment.read(c))


def test_what_nothing_looks_at_is_said(tmp_path, capsys):
  of_file(tmp_path, 'kd_loss = "js"\nadv_loss = "kl"\n')
  c = common.base()
  c.tasks_file, c.tasks = str(tmp_path / "t.toml"), "pets"
  for name in ("pets", "dev"):
    (tmp_path / f"{name}.csv").write_text("question,answer,verdict\n")
  idle.tell(experiment.read(c))
  said = capsys.readouterr().out
  assert "kd_loss of pets is not looked at: teacher.mix is targets" in said
  assert "adv_loss of pets is not looked at: adversary.kind is none" in said
  c.methods, c.adversary.kind = "single", "rdrop"
  idle.tell(experiment.read(c))
  assert not capsys.readouterr().out
  # It has an adversary that compares nothing.
  c.adversary.kind = "freelb"
  idle.tell(experiment.read(c))
  said = capsys.readouterr().out
  assert "adv_loss of pets is not looked at: adversary.kind is freelb" in said


def test_a_head_is_what_its_task_has_chosen():
  learned = Learn(loss="kl", kd_loss="js", adv_loss="symkl", dropout=0.3)
  task = dataclasses.replace(TASKS["rte"], learn=learned)
  (spec,) = heads.specs([task], regression_output="sigmoid")
  assert [spec.objective(r) for r in ("loss", "kd_loss", "adv_loss")] == [
    "kl",
    "js",
    "symkl",
  ]
  assert spec.dropout == 0.3
  (plain,) = heads.specs([TASKS["rte"]], regression_output="sigmoid")
  assert (plain.objective("kd_loss"), plain.dropout) == ("ce", None)
  assert description.Head.of(task).learn == learned


def learned(it, run, **changes):
  c = it.config.copy_and_resolve_references()
  c.update_from_flattened_dict(changes)
  return lineage.learned(it.learned(it.tasks_of(run), c), run, c)


def test_a_trial_is_another_only_where_it_looks_at_what_is_chosen():
  it = asked(methods="single->multi")
  single = next(run for run in it.runs if run.name == "single.rte")
  multi = next(run for run in it.runs if run.kind == "multi")
  none = {"rte": {}, "stsb": {}, "mnli": {}}
  assert learned(it, single) == {"rte": {}} and learned(it, multi) == none
  kd = {"learn.kd_loss": "rte=kl", "teacher.mix": "losses"}
  assert learned(it, single, **kd) == {"rte": {}}
  assert learned(it, multi, **kd) == none | {"rte": {"kd_loss": "kl"}}
  adv = {"learn.adv_loss": "rte=kl"}
  assert learned(it, multi, **adv) == none
  found = learned(it, single, **adv, **{"adversary.kind": "rdrop"})
  assert found == {"rte": {"adv_loss": "kl"}}
  # What the kind has anyhow is no choice.
  usual = {"learn.loss": "rte=ce,stsb=mse", "learn.weight": "1"}
  assert learned(it, multi, **usual) == none
  assert learned(it, single, **{"learn.weight": "rte=2"}) == {
    "rte": {"weight": 2.0}
  }


def test_without_a_choice_a_study_is_the_one_that_it_was():
  assert {f"learn.{key}" for key in learn.KEYS} <= NEUTRAL.keys()
  said = lineage.shaped(asked(), asked().runs[-1])
  assert not [key for key in said if "learn" in key or "mix" in key]


@pytest.mark.parametrize("raw", [{"loss": 3}, {"what": ""}, {"weight": "1"}])
def test_json_of_anybody_is_looked_at(raw):
  with pytest.raises(TypeError):
    learn.parse(raw)
  assert learn.parse(dataclasses.asdict(Learn(weight=2.0))).weight == 2.0

"""Every wrong setting, text and soft label is one sentence and exit code 2.

The table is easy to extend: a new way to go wrong is one more `Case`. What is
wrong with encoders, tokenizers and working directories is in
bad_encoder_test.py; what is wrong with checkpoints belongs there too.
"""

import gzip
import io
import json

import pyarrow as pa
from pyarrow import parquet
import pytest

from bam_jax.stages import recipe
from tests import small
from tests.refusals import (
  Case,
  arranged,
  command,
  directory,
  link,
  refused,
  renamed,
)

STUDENT = "--config.methods=single->multi"
SOFT = f"{STUDENT} --config.teacher.files=cola={{root}}/soft"
HUB = "--config.data.glue_dir="
COLA = "glue/CoLA/train.tsv"
STSB = "glue/STS-B/train.tsv"
HEAD = "index\tsentence1\tsentence2\tscore\n"


def soft(**first) -> str:
  """Returns soft labels of CoLA's 50 rows, the first as told."""
  rows = [{"index": i, "probs": [0.25, 0.75]} for i in range(50)]
  rows[0] = {"index": 0, **first}
  return "".join(json.dumps(row) + "\n" for row in rows)


def table(**columns) -> bytes:
  """Returns a Parquet file."""
  file = io.BytesIO()
  parquet.write_table(pa.table(columns), file)
  return file.getvalue()


def hub(data: bytes) -> dict[str, bytes]:
  """Returns what the hub answers for CoLA's training rows."""
  return {"hub/cola/train-00000-of-00001.parquet": data}


def labelled(label, sentence=("a", "b")) -> dict[str, bytes]:
  return hub(table(sentence=sentence, label=label))


SETTINGS = (
  # id, flag, what is said
  ("task", "tasks=cola,rtte", "no task 'rtte'; did you mean 'rte'?"),
  ("task-case", "tasks=RTE", "no task 'RTE'; did you mean 'rte'?"),
  ("task-none", "tasks=", "no task named; choose from cola, sst2"),
  ("task-comma", "tasks=,", "no task named; choose from cola, sst2"),
  ("task-twice", "tasks=cola,cola", "task 'cola' is named twice"),
  ("task-test-only", "tasks=ax", "hold nothing to train on; add one"),
  ("task-path", "tasks=../rte", "no task '../rte'"),
  ("method", "methods=singel", "did you mean 'single'?"),
  ("method-none", "methods=", "name each once"),
  ("method-twice", "methods=single,single", "name each once"),
  ("method-arrow", "methods=->", "method '->' has ''"),
  ("method-open", "methods=single->", "method 'single->' has ''"),
  ("method-kind", "methods=finetune", "has 'finetune'; a method is a chain"),
  ("method-plus", "methods=+finetune", "method '+finetune' has ''"),
  ("claim", "claims=multi", "claims has 'multi'; a claim is 'METHOD > METH"),
  ("claim-margin", "claims_margin=0", "claims_margin is 0.0; it is above 0"),
  ("group", "mesh=3", "mesh is a group; set one of it: mesh.data, mesh.fsdp"),
  ("stage", "stage=trian", "did you mean 'train'?"),
  ("stage-none", "stage=", "stage is ''; it is all or train or teach"),
  ("span-longest", "span.longest=0", "span.longest is 0; it is 1 or more"),
  ("span-stride", "span.stride=-1", "span.stride is -1; it is 0 or more"),
  ("stage-early", "stage=predict", "start with --config.stage=train"),
  ("trials-word", "trials=two", "trials is 'two', which is no whole number"),
  ("trials-float", "trials=1.5", "trials is '1.5', which is no whole"),
  ("trials-none", "trials=", "trials is '', which is no whole number"),
  ("trials-zero", "trials=0", "trials is 0; it is 1 or more"),
  ("trials-many", "trials=9999999999", "and below 2147483648"),
  ("at-once", "trials_at_once=-1", "trials_at_once is -1; it is 0 or more"),
  ("seed", "seed=-1", "seed is -1; it is 0 or more"),
  ("seed-large", "seed=3000000000", "seed is 3000000000; it is 0 or more, and"),
  ("steps", "max_steps=-1", "max_steps is -1; it is 0 or more"),
  ("submit", "submit=tasks", "average or task or study; did you mean 'task'?"),
  ("dtype", "dtype=float23", "did you mean 'float32'?"),
  ("remat", "remat=maybe", "remat is 'maybe', which is no True or False"),
  ("length", "max_length=4", "max_length is 4; a pair of sentences needs 5"),
  ("length-less", "max_length=-5", "max_length is -5; it is from 1 to"),
  ("length-more", "max_length=41", "40 positions; try --config.max_length=40"),
  ("dropout", "head_dropout=1", "head_dropout is 1.0; it is a share"),
  ("epochs", "single.epochs=0", "single.epochs is 0.0; it is above 0"),
  ("epochs-inf", "multi.epochs=inf", "multi.epochs is inf; it is above 0"),
  ("batch", "single.batch_size=0", "single.batch_size is 0; it is above 0"),
  ("rate", "finetune.rate=nan", "finetune.rate is nan; it is above 0"),
  ("decay", "multi.layer_decay=-1", "multi.layer_decay is -1.0; it is above"),
  ("b1", "optim.b1=1", "optim.b1 is 1.0; it is a share"),
  ("eps", "optim.eps=0", "optim.eps is 0.0; it is above 0"),
  ("clip", "optim.clip=nan", "optim.clip is nan; it is 0 or more"),
  ("weight-decay", "optim.weight_decay=-1", "optim.weight_decay is -1.0"),
  ("warmup", "optim.warmup=nan", "use 0 <= warmup < 1"),
  ("warmup-join", "optim.warmup_join=brt", "did you mean 'bert'?"),
  ("lambda", "teacher.schedule=linaer", "did you mean 'linear'?"),
  ("lambda-value", "teacher.value=1.5", "teacher.value is 1.5; it is from 0"),
  ("lambda-options", "teacher.schedule=linear_schedule", "needs the options"),
  ("teachers", "teacher.trials=all", "one of first, matched, ensemble"),
  ("soft-entry", "teacher.files=cola", "it is TASK=FILE with a task of cola"),
  ("soft-task", "teacher.files=rte=x.jsonl", "with a task of cola,stsb"),
  ("soft-absent", "teacher.files=cola=x.jsonl", "x.jsonl, which is not there"),
  ("mix", "teacher.mix=loses", "did you mean 'losses'?"),
  ("head", "learn.head=cola=mpl", "did you mean 'mlp'?"),
  ("pool", "learn.pool=men", "learn.pool of cola is 'men'; it is one of cls,"),
  ("sampling", "sampling.kind=pwoer", "did you mean 'power'?"),
  ("exponent", "sampling.exponent=nan", "exponent is nan; it is a finite"),
  ("exponent-large", "sampling.exponent=1e9", "leaves a task no chance"),
  ("temperature", "sampling.temperature=0", "temperature is 0.0; it is above"),
  ("scale", "sampling.loss_scale=log", "uniform, proportional, power"),
  ("reduction", "loss.reduction=max", "loss.reduction is 'max'; it is sum or"),
  ("adversary", "adversary.kind=smrt", "did you mean 'smart'?"),
  ("adversary-key", "adversary.steps=2", "is none, which does not read it"),
  ("adversary-steps", "adversary.steps=0", "steps is 0; it is 1 or more, or"),
  ("adversary-ball", "adversary.epsilon=0", "epsilon is 0.0; it is above 0"),
  ("adversary-norm", "adversary.norm=3", "it is paper or inf or 2 or 1"),
  ("output", "loss.regression_output=tanh", "it is sigmoid or linear"),
  ("holdout", "data.holdout=1", "data.holdout is 1.0; it is a share"),
  ("holdout-less", "data.holdout=0.001", "leave some on both sides"),
  ("shapes", "data.row_shapes=0", "data.row_shapes is 0; it is 1 or more"),
  ("suite", "data.synthetic_seed=-1", "data.synthetic_seed is -1"),
  ("mesh", "mesh.data=3", "does not divide over 1 devices"),
  ("mesh-two", "mesh.fsdp=-1", "does not divide over 1 devices"),
  ("micro-rows", "micro_rows=3", "multi.batch_size=8 without packing does not"),
  ("eval-batch", "eval_batch_size=0", "eval_batch_size is 0; it is 1 or more"),
  ("log", "log_every=0", "log_every is 0; it is 1 or more"),
  ("checkpoint", "checkpoint_every=0", "checkpoint_every is 0; it is 1"),
  ("key", "trails=2", "did you mean --config.trials?"),
  ("key-deep", "optim.warmpu=1", "did you mean --config.optim.warmup?"),
  ("key-group", "teacher.options=1", "one of it: teacher.options.NAME"),
)
CASES = [
  *(Case(id, said, f"--config.{flag}") for id, flag, said in SETTINGS),
  Case("flag", "no flag --wrokdir", "--wrokdir=W"),
  Case("word", "'rte' is not a flag", "rte"),
  Case("config", "did you mean configs/quickstart.py?", config="quickstrt.py"),
  Case("config-none", "no config file ''", config=""),
  Case("config-part", "study 'x' is none of", config="configs/paper.py:x"),
  Case("config-file", "README.md", config="README.md"),
  Case(
    "copies",
    "an exponent of 1000000000.0 leaves a task no copy",
    "--config.sampling.kind=copies --config.sampling.exponent=1e9",
  ),
  Case(
    "copies-reference",
    "not wnli; set --config.sampling.reference_sizes=False",
    "--config.sampling.kind=copies --config.sampling.reference_sizes=True"
    " --config.tasks=cola,wnli",
  ),
  # GLUE files
  Case(
    "glue-absent",
    "there is no GLUE folder {root}/nowhere",
    "--config.data.glue_dir={root}/nowhere",
  ),
  Case(
    "glue-user",
    "there is no GLUE folder",
    "--config.data.glue_dir=~nobody-of-this-name/x",
  ),
  Case(
    "glue-file",
    "there is no GLUE folder {root}/glue/CoLA/train.tsv",
    "--config.data.glue_dir={root}/glue/CoLA/train.tsv",
  ),
  Case("tsv-absent", "lacks the train split of cola", files={COLA: None}),
  Case(
    "tsv-name", "lacks the train split", files={COLA: renamed("training.tsv")}
  ),
  Case("tsv-folder", "lacks the train split", files={COLA: directory}),
  Case("tsv-link", "lacks the train split", files={COLA: link("/nowhere")}),
  Case("tsv-empty", "CoLA/train.tsv holds no rows", files={COLA: ""}),
  Case("tsv-blank", "CoLA/train.tsv holds no rows", files={COLA: "\n\r\n\n"}),
  Case("tsv-header-only", "STS-B/train.tsv holds no rows", files={STSB: HEAD}),
  Case(
    "tsv-dev-empty",
    "STS-B/dev.tsv holds no rows",
    files={"glue/STS-B/dev.tsv": HEAD},
  ),
  Case(
    "tsv-textless",
    "CoLA/train.tsv has no text in any row",
    files={COLA: "src\t1\t\t \n" * 50},
  ),
  Case(
    "tsv-second-textless",
    "STS-B/train.tsv has no text in any row, column 2 of 2",
    files={STSB: HEAD + "0\ta\t\t1\n" * 50},
  ),
  Case(
    "tsv-bytes",
    "train.tsv line 2 is not UTF-8 (byte 7, the last of",
    files={COLA: b"src\t1\t\ta\nsrc\t1\t\t\xff\n"},
  ),
  Case(
    "tsv-utf16",
    "train.tsv is UTF-16 text; save it again as UTF-8",
    files={COLA: "src\t1\t\ta\n".encode("utf-16")},
  ),
  Case(
    "tsv-nul",
    "line 1 has a NUL byte, which no text has; fetch it again",
    files={STSB: b"\0" * 5000},
  ),
  Case(
    "tsv-zip", "train.tsv is a ZIP archive", files={COLA: b"PK\3\4" + bytes(99)}
  ),
  Case(
    "tsv-commas",
    "train.tsv line 1: 1 columns instead of 4",
    files={COLA: "src,1,,a\nsrc,0,,b\n"},
  ),
  Case(
    "tsv-cells",
    "train.tsv line 2: 3 columns instead of 4; the columns are ['index',",
    files={STSB: HEAD + "0\ta\tb\n"},
  ),
  Case(
    "tsv-twice",
    "the header has the column 'sentence1' more than once",
    files={STSB: HEAD.replace("index", "sentence1") + "0\ta\tb\t1\n"},
  ),
  Case(
    "tsv-columns",
    "needs the columns ['sentence1', 'sentence2', 'score']",
    files={STSB: "a\tb\n0\t1\n"},
  ),
  Case(
    "tsv-unlabelled",
    "train.tsv has no column 'score'",
    files={STSB: "sentence1\tsentence2\na\tb\n"},
  ),
  Case(
    "label-class",
    "train.tsv line 1: cola has no label '2'; it must be 0, 1",
    files={COLA: "src\t2\t\ta\n"},
  ),
  Case(
    "label-none",
    "train.tsv line 2: cola has no label ''; it must be 0, 1",
    files={COLA: "src\t1\t\ta\nsrc\t\t\ta\n"},
  ),
  Case(
    "label-long",
    "train.tsv line 1: cola has no label 'xxx",
    files={COLA: f"src\t{'x' * 9999}\t\ta\n"},
  ),
  *(
    Case(
      f"label-{value}",
      f"train.tsv line 3: stsb has no label '{value}'; it must be from 0 to 5",
      files={STSB: f"{HEAD}0\ta\tb\t5\n1\ta\tb\t{value}\n"},
    )
    for value in ("5.001", "-0.1", "nan", "inf", "1_0", "٣", "", "1,5")
  ),
  Case(
    "gzip",
    "train.tsv.gz is not compressed, though its name ends in .gz",
    files={COLA: None, f"{COLA}.gz": b"no gzip"},
  ),
  Case(
    "gzip-cut",
    "train.tsv.gz cannot be read after line",
    files={COLA: None, f"{COLA}.gz": gzip.compress(b"src\t1\t\ta\n" * 99)[:-9]},
  ),
  # Parquet files of the hub
  Case("hub-text", "not a whole Parquet file", HUB, hub(b"<html>")),
  Case("hub-none", "not a whole Parquet file", HUB, hub(b"")),
  Case("hub-cut", "not a whole Parquet file", HUB, hub(table(a=[1])[:-9])),
  Case("hub-column", "has no column 'sentence'", HUB, hub(table(label=[1]))),
  Case(
    "hub-rows",
    "parquet holds no rows",
    HUB,
    hub(table(sentence=pa.array([], "string"), label=pa.array([], "int64"))),
  ),
  Case("hub-label", "row 1: cola has no label 2; it", HUB, labelled([0, 2])),
  Case("hub-minus", "row 0: cola has no label -1; it", HUB, labelled([-1, 1])),
  Case("hub-null", "row 1: no value in column", HUB, labelled([0, None])),
  Case("hub-float", "is double, not whole numbers", HUB, labelled([0.0, 1.0])),
  Case("hub-bool", "is bool, not whole numbers", HUB, labelled([True, False])),
  Case(
    "hub-number",
    "column 'sentence' is int64, not text",
    HUB,
    labelled([0, 1], sentence=[3, 4]),
  ),
  Case(
    "hub-bytes",
    "column 'sentence' is binary, not text",
    HUB,
    labelled([0, 1], sentence=[b"a", b"b"]),
  ),
  Case(
    "hub-textless",
    "has no text in any row",
    HUB,
    labelled([0, 1], sentence=["", " "]),
  ),
  # Soft labels
  *(
    Case(f"soft-{id}", said, f"{SOFT}.jsonl", {"soft.jsonl": content})
    for id, content, said in (
      ("empty", "", "soft.jsonl lack rows: 0, 1, 2, 3, 4 and 45 more of 50"),
      ("bytes", b"\xff", "soft.jsonl line 1 is not UTF-8 (byte 0, the last"),
      ("utf16", soft().encode("utf-16"), "soft.jsonl is UTF-16 text; save"),
      ("json", '{"index": ', "soft.jsonl line 1 is not JSON"),
      ("deep", "[" * 99_999, "soft.jsonl line 1 is not JSON"),
      ("digits", f"[{'1' * 9999}]", "soft.jsonl line 1 is not JSON"),
      ("list", "[0, 1]", "line 1 is not a JSON object: [0, 1]"),
      ("index", "{}", "line 1: index is None; cola has the rows 0 to 49"),
      ("outside", '{"index": 50}', "line 1: index is 50; cola has the rows"),
      ("twice", soft(probs=[0, 1]) * 2, "line 51: index 0 is at"),
      ("name-twice", '{"index": 0, "index": 1}', "name 'index' comes twice"),
      ("lacking", soft(probs=[0, 1])[:-40], "line 49 is not JSON"),
      ("kind", soft(value=1.0), "line 1 has value; a row of cola has probs"),
      ("both", soft(probs=[0, 1], logits=[0, 1]), "has probs and logits"),
      ("width", soft(probs=[1.0]), "cola needs 2 numbers, for unacceptable"),
      ("text", soft(probs=["0", "1"]), "not finite numbers"),
      ("nan", soft(probs=[0.5, float("nan")]), "[0.5, nan], not finite"),
      ("inf", soft(logits=[0.5, float("inf")]), "[0.5, inf], not finite"),
      ("huge", soft(logits=[0.5, 10**400]), "not finite numbers"),
      ("beyond-f32", soft(logits=[0.5, 1e39]), "1e+39], not finite"),
      ("sum", soft(probs=[0.5, 0.6]), "sum to 1.1; probabilities are not"),
      ("names", soft(probs={"yes": 1, "no\n": 0}), r"names ['yes', 'no\n']"),
      ("nested", soft(probs=[[[0.5]], 1]), "not finite numbers"),
    )
  ),
  Case("soft-suffix", "from .jsonl and", f"{SOFT}.csv", {"soft.csv": soft()}),
  Case(
    "soft-parquet",
    "soft.parquet is not a whole Parquet file",
    f"{SOFT}.parquet",
    {"soft.parquet": b"PAR1"},
  ),
  Case(
    "soft-parquet-row",
    "soft.parquet row 1: index is None",
    f"{SOFT}.parquet",
    {"soft.parquet": table(index=[0, None], probs=[[0.5, 0.5]] * 2)},
  ),
  Case("soft-folder", "no run that is finished with", SOFT, {"soft/x": ""}),
  Case(
    "soft-untaught",
    "a finished run that has not taught cola; type the command that trained it"
    " with --workdir={root}/V --config.methods=single-\\>single --config.stage",
    f"{STUDENT} --config.teacher.files=cola={{root}}/V/runs/single.cola",
    {"V/runs/single.cola/scores.json": '{"0": {"scores": {"cola": {}}}}'},
  ),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  root = tmp_path_factory.mktemp("inputs")
  return small.write_glue(root / "glue"), small.write_encoder(root / "encoder")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_bad_input_is_one_sentence_and_code_2(
  case, inputs, tmp_path, monkeypatch, compiled
):
  refused(case, inputs, tmp_path, monkeypatch)


def test_the_same_inputs_without_a_fault_are_accepted(
  inputs, tmp_path, monkeypatch, compiled
):
  # Else every case above might be refused for what all have in common.
  def train(here, *, teaching):
    raise ValueError("nothing was wrong")

  monkeypatch.setattr(recipe, "train", train)
  fine = Case(
    "fine",
    "nothing was wrong",
    f"{SOFT}.jsonl",
    {
      "glue/CoLA/dev.tsv": "src\t1\t\ta\n" * 9,  # of one class only
      "soft.jsonl": soft(logits=[0.5, -3]),
    },
  )
  arguments = arranged(fine, inputs, tmp_path, monkeypatch)
  code, _, err = command(arguments, monkeypatch)
  assert (code, err) == (2, "error: nothing was wrong\n")

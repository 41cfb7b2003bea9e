"""Models out: what is exported loads elsewhere and says the same there."""

import json
import math
import os
from pathlib import Path
import shutil
import subprocess
import sys

from flax import traverse_util
import jax
import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers, trainers
import torch
import transformers

import bam_jax
from bam_jax import export
from bam_jax.data.sources import readers
from bam_jax.hf import classifiers, families, weights
from bam_jax.hf import directory as hf
from bam_jax.inference import export as directories
from bam_jax.inference import model as inference
from bam_jax.inference import rows as rows_lib
from bam_jax.inference import trained
from bam_jax.study import predictions
from bam_jax.tasks import description as heads_lib
from bam_jax.tasks.table import TASKS
from tests import small, unigram
from tests.hf import families_test

TEXTS = (
  ["the old dog sees", "no", "a bird here", "the red cat sees no dog"],
  ["a cat", "the bird sees the old red dog", "no bird", "here"],
)
MULTI = "multi.cola+stsb"


@pytest.fixture(scope="module", autouse=True)
def quiet():
  """Keeps transformers from printing what a test looks at anyway."""
  before = transformers.logging.get_verbosity()
  transformers.logging.set_verbosity_error()
  yield
  transformers.logging.set_verbosity(before)


def write_words(folder, family):
  """Writes a tokenizer of the family's kind; returns its size."""
  if family in ("bert", "electra", "distilbert"):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *small.WORDS]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return len(words)
  if family == "deberta-v2":
    return unigram.write(folder, TEXTS[0] + TEXTS[1])
  special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
  single, pair = "<s> $A </s>", "<s> $A </s> </s> $B </s>"
  if family == "modernbert":
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]"
  if family == "eurobert":
    special = ["<|begin|>", "<|pad|>", "<|end|>", "<|other|>", "<|mask|>"]
    single = "<|begin|> $A <|end|>"
    pair = f"{single} $B <|end|>"
  backend = tokenizers.Tokenizer(models.BPE())
  backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
  alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
  backend.train_from_iterator(
    TEXTS[0],
    trainers.BpeTrainer(
      special_tokens=special, initial_alphabet=alphabet, show_progress=False
    ),
  )
  if family == "roberta":
    backend.model.save(str(folder))
    return backend.get_vocab_size()
  marks = special[::2][:2]
  backend.post_processor = tokenizers.processors.TemplateProcessing(
    single=single,
    pair=pair,
    special_tokens=[(word, backend.token_to_id(word)) for word in marks],
  )
  transformers.PreTrainedTokenizerFast(
    tokenizer_object=backend, cls_token=marks[0], sep_token=marks[1],
    pad_token=special[1], unk_token=special[3],
    model_input_names=["input_ids", "attention_mask"],
  ).save_pretrained(folder)  # fmt: skip
  return backend.get_vocab_size()


def random_model(name, folder, *, output="sigmoid", tasks=("mnli", "stsb")):
  """A model of a family with random parameters, heads and a tokenizer."""
  theirs = families_test.CONFIGS[name].to_dict()
  folder.mkdir()
  size = write_words(folder, theirs["model_type"])
  changes = dict(vocab_size=size, max_position_embeddings=40)
  changes |= dict(pad_token_id=1 if size > 100 else 0)
  (folder / "config.json").write_text(json.dumps(theirs | changes))
  config = hf.read_config(folder / "config.json")
  rng = np.random.default_rng(0)
  flat = {
    path: rng.normal(size=shape, scale=0.3).astype(np.float32)
    for path, shape in weights.shapes(config).items()
  }
  heads = {
    name: {
      "kernel": rng.normal(size=(config.width, TASKS[name].classes)),
      "bias": rng.normal(size=TASKS[name].classes),
    }
    for name in tasks
  }
  heads = jax.tree.map(np.float32, heads)
  params = traverse_util.unflatten_dict(flat, sep="/") | {"heads": heads}
  said = heads_lib.Description(
    heads=tuple(heads_lib.Head.of(TASKS[name]) for name in tasks),
    regression_output=output,
    max_length=30,
    dtype="float32",
  )
  return trained.Trained(config, params, said, folder, {})


def theirs_of(folder):
  """Transformers' model, which has to have found all it looked for."""
  model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
    folder, output_loading_info=True
  )
  assert not any(info.values()), info
  return model.eval()


def theirs_on(folder, *texts):
  """Transformers' logits f32[N, C] through the tokenizer in the folder."""
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
  inputs = tokenizer(*texts, padding=True, return_tensors="pt")
  with torch.no_grad():
    return theirs_of(folder)(**inputs).logits.numpy()


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
  "name", [n for n in families_test.CONFIGS if n != "electra-square"]
)
def test_transformers_computes_the_same_of_every_family(name, tmp_path):
  found = random_model(name, tmp_path / "run")
  want = inference.Model(found).logits(["mnli", "stsb"], TEXTS)
  directories.write_classifier(tmp_path / "a", found, "mnli", overwrite=False)
  got = theirs_on(tmp_path / "a", *TEXTS)
  assert np.ptp(want["mnli"]) > 0.1
  assert np.abs(got - want["mnli"]).max() < 1e-5
  directories.write_classifier(tmp_path / "b", found, "stsb", overwrite=False)
  number = theirs_on(tmp_path / "b", *TEXTS)
  assert np.abs(sigmoid(number[:, 0]) - want["stsb"][:, 0]).max() < 1e-5
  # And back again, to the bit.
  again = trained.load(tmp_path / "a", trial=None, tasks=("mnli",))
  assert again.config == found.config
  assert again.description == found.description.alone("mnli")
  heads = {"mnli": found.params["heads"]["mnli"]}
  jax.tree.map(
    np.testing.assert_array_equal, again.params, found.params | {"heads": heads}
  )


def test_every_family_has_a_head_in_transformers():
  assert classifiers.SEQUENCES.keys() == set(families.PUBLISHED)
  for layout in classifiers.SEQUENCES.values():
    assert hasattr(transformers, layout.model)


def test_a_family_without_a_head_there_is_refused(monkeypatch, tmp_path):
  found = random_model("bert", tmp_path / "run")
  monkeypatch.delitem(classifiers.SEQUENCES, "bert")
  with pytest.raises(
    ValueError, match=r"no SequenceClassification .*--task=all"
  ):
    directories.write_classifier(tmp_path / "a", found, "mnli", overwrite=False)
  assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_config_says_how_a_number_becomes_a_value(output, tmp_path):
  found = random_model("bert", tmp_path / "run", output=output)
  directories.write_classifier(tmp_path / "a", found, "stsb", overwrite=False)
  config = transformers.AutoConfig.from_pretrained(tmp_path / "a")
  assert (config.problem_type, config.num_labels) == ("regression", 1)
  numbers = theirs_on(tmp_path / "a", *TEXTS)[:, 0]
  formula = config.bam_jax["value"]
  assert f"`{formula}`" in (tmp_path / "a/README.md").read_text()
  known = {"exp": math.exp, "min": min, "max": max}
  got = [eval(formula, known, {"x": x}) for x in numbers]
  want = bam_jax.load(tmp_path / "a")("stsb", *TEXTS)
  assert got == pytest.approx([each.value for each in want], abs=5e-5)


def test_labels_travel_by_name(tmp_path):
  found = random_model("bert", tmp_path / "run")
  directories.write_classifier(tmp_path / "a", found, "mnli", overwrite=False)
  config = transformers.AutoConfig.from_pretrained(tmp_path / "a")
  labels = ("contradiction", "entailment", "neutral")
  assert config.id2label == dict(enumerate(labels))
  assert config.label2id == {name: i for i, name in enumerate(labels)}
  assert config.problem_type == "single_label_classification"
  logits = theirs_on(tmp_path / "a", *TEXTS)
  answers = bam_jax.load(tmp_path / "a")("mnli", *TEXTS)
  for row, answer in zip(logits, answers, strict=True):
    assert answer.label == config.id2label[row.argmax()]
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert max(answer.probabilities, key=answer.probabilities.get) == (
      answer.label
    )


def command(*flags):
  export.main([f"--{flag}" for flag in flags])


def test_a_finished_run_becomes_a_directory(small_run, tmp_path, capsys):
  run, out = small_run.workdir / "runs" / MULTI, tmp_path / "new" / "out"
  command(f"run={run}", "task=cola", f"out={out}")
  assert f"wrote {out}: cola of {run}, trial 0" in capsys.readouterr().out
  kept = predictions.read(predictions.path(run, 0))
  dev = readers.load(
    TASKS["cola"], "validation", glue_dir=str(small_run.glue), seed=0
  )
  rows = kept["cola", "validation"]
  got = theirs_on(out, dev.texts[0])[rows.index]
  assert np.abs(got - rows.logits[:, :2]).max() < 1e-5
  card = (out / "README.md").read_text()
  scores = json.loads((run / "scores.json").read_text())["0"]["scores"]["cola"]
  for metric, value in scores.items():
    assert f"| cola | 21 | {metric} | {value:.2f} |" in card
  made = json.loads((small_run.workdir / "config.json").read_text())
  assert f"commit `{made['commit']}`" in card
  # Nothing says where things lay on this machine.
  files = [f for f in out.rglob("*") if f.suffix in (".json", ".md")]
  assert {"config.json", "README.md"} < {f.name for f in files}
  for file in files:
    assert str(small_run.root) not in file.read_text()
  assert list(out.parent.iterdir()) == [out]


def test_all_heads_come_back(small_run, tmp_path):
  run, out = small_run.workdir / "runs" / MULTI, tmp_path / "out"
  command(f"run={run}", "task=all", f"out={out}")
  ours, again = bam_jax.load(run), bam_jax.load(out)
  jax.tree.map(
    np.testing.assert_array_equal, again.trained.params, ours.trained.params
  )
  assert again.trained.description == ours.trained.description
  assert again("all", TEXTS[0]) == ours("all", TEXTS[0])
  _, info = transformers.AutoModel.from_pretrained(
    out, output_loading_info=True
  )
  assert not any(info.values()), info
  assert str(small_run.root) not in (out / "heads.json").read_text()


def test_the_program_runs_in_another_process(small_run, tmp_path):
  run, out = small_run.workdir / "runs" / MULTI, tmp_path / "out"
  command(f"run={run}", "task=all", f"out={out}", "format=stablehlo")
  model = bam_jax.load(run)
  rows = inference.featurise(model.tokenizer, TEXTS, None, max_length=32)
  batch = rows_lib.lay_out(rows, np.arange(2), size=4, width=19)
  np.savez(tmp_path / "in.npz", **{k: batch[k] for k in directories.INPUTS})
  code = (
    "import sys, numpy as np; from jax import export\n"
    "f = export.deserialize(bytearray(open(sys.argv[1], 'rb').read()))\n"
    "given = np.load(sys.argv[2])\n"
    "out = f.call(*(given[k] for k in sys.argv[4:]))\n"
    "one = f.call(*(given[k][:1] for k in sys.argv[4:]))\n"
    "assert all(np.allclose(one[k], out[k][:1], atol=1e-6) for k in out)\n"
    "np.savez(sys.argv[3], **out)"
  )
  files = [out / directories.PROGRAM, tmp_path / "in.npz", tmp_path / "out.npz"]
  ran = subprocess.run(
    [sys.executable, "-c", code, *map(str, files), *directories.INPUTS],
    capture_output=True,
    text=True,
  )
  assert ran.returncode == 0, ran.stderr
  got, want = (
    np.load(tmp_path / "out.npz"),
    model.logits(list(model.heads), TEXTS),
  )
  for name in model.heads:
    np.testing.assert_allclose(got[name], want[name], atol=1e-6)


def test_nothing_is_overwritten_unasked(small_run, tmp_path, capsys):
  flags = f"run={small_run.workdir / 'runs' / MULTI}", f"out={tmp_path / 'out'}"
  command(*flags, "task=stsb")
  before = (tmp_path / "out/config.json").read_bytes()
  with pytest.raises(SystemExit) as ended:
    command(*flags, "task=cola")
  assert ended.value.code == 2
  assert "out exists; " in capsys.readouterr().err
  assert (tmp_path / "out/config.json").read_bytes() == before
  command(*flags, "task=cola", "overwrite")
  assert (tmp_path / "out/config.json").read_bytes() != before
  assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_overwriting_takes_no_directory_of_other_things(small_run, tmp_path):
  (tmp_path / "thesis.tex").write_text("years of work")
  flags = f"run={small_run.workdir / 'runs' / MULTI}", f"out={tmp_path}"
  with pytest.raises(SystemExit):
    command(*flags, "task=cola", "overwrite")
  assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
  ("flag", "said"),
  [
    ("task=rte", f"runs/{MULTI} has --task=cola, stsb"),
    ("trial=3", "no finished trial 3; give --trial=0"),
    ("run=/nowhere", "/nowhere is no finished run and no exported model"),
  ],
)
def test_mistakes_are_one_sentence(small_run, tmp_path, capsys, flag, said):
  flags = {
    "run": small_run.workdir / "runs" / MULTI,
    "task": "cola",
    "out": tmp_path / "out",
  }
  with pytest.raises(SystemExit) as ended:
    command(*(f"{key}={value}" for key, value in flags.items()), flag)
  assert ended.value.code == 2
  assert said in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


def test_real_text_through_a_real_encoder(minilm, glue_dir, tmp_path):
  config, params, directory = hf.load_encoder(minilm)
  random = random_model("bert", tmp_path / "run", tasks=("mrpc",))
  rng = np.random.default_rng(1)
  head = {"kernel": rng.normal(size=(384, 2)), "bias": rng.normal(size=2)}
  params["heads"] = {"mrpc": jax.tree.map(np.float32, head)}
  said = bam_jax.tasks.description.dataclasses.replace(
    random.description, max_length=128
  )
  found = trained.Trained(config, params, said, Path(directory), {})
  directories.write_classifier(tmp_path / "a", found, "mrpc", overwrite=False)
  dev = readers.load(
    TASKS["mrpc"], "validation", glue_dir=str(glue_dir), seed=0
  )
  texts = [column[:20] for column in dev.texts]
  want = inference.Model(found).logits(["mrpc"], texts)["mrpc"]
  got = theirs_on(tmp_path / "a", *texts)
  assert np.ptp(want) > 0.1
  assert np.abs(got - want).max() < 1e-5


def test_a_run_answers_without_its_encoder(small_run, tmp_path):
  workdir = Path(shutil.copytree(small_run.workdir, tmp_path / "W"))
  made = json.loads((workdir / "config.json").read_text())
  made["config"]["encoder"] = made["config"]["data"]["glue_dir"] = "/gone"
  (workdir / "config.json").write_text(json.dumps(made))
  model = bam_jax.load(workdir / "runs" / MULTI)
  want = bam_jax.load(small_run.workdir / "runs" / MULTI)("stsb", *TEXTS)
  assert model("stsb", *TEXTS) == want
  # One letter changed in the vocabulary would quietly change every answer.
  vocabulary = workdir / "runs" / MULTI / "model" / "vocab.txt"
  os.chmod(vocabulary, 0o644)
  vocabulary.write_text(vocabulary.read_text().replace("dog", "dig"))
  with pytest.raises(ValueError, match=r"vocab\.txt"):
    bam_jax.load(workdir / "runs" / MULTI)

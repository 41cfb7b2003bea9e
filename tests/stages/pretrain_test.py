"""Pre-training whole: text to an encoder that others load, and go on from."""

import gzip
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import torch
import transformers

import bam_jax
from bam_jax import export
from bam_jax.data.sources import neighbours
from bam_jax.hf import directory as hf
from bam_jax.hf import masked
from bam_jax.study import predictions
from bam_jax.training import loop
from bam_jax.training.checkpoint import load_params
from configs import pretrain
from tests import masked as masked_head
from tests import small

SIZES = dict(layers=1, width=16, heads=2, mlp=24, vocab_size=80)
TEXT = "mlm"


def write(folder):
  """Writes documents of the few words, in one file of blocks and one of lines.

  Returns:
    What data.text is.
  """
  rng = np.random.default_rng(6)

  def line():
    return " ".join(rng.choice(small.WORDS, size=rng.integers(5, 20))) + "s."

  blocks = ["\n".join(line() for _ in range(3)) for _ in range(25)]
  (folder / "a.txt").write_text("\n\n".join(blocks) + "\n")
  with gzip.open(folder / "b.txt.gz", "wt") as file:
    file.write("\n".join(line() for _ in range(20)))
  return f"{folder}/a.txt,{folder}/b.txt.gz"


def config(text, **changes):
  """Returns the config of a run of some steps."""
  c = pretrain.get_config()
  c.scratch.update(SIZES)
  c.data.text, c.max_length, c.max_steps, c.log_every = text, 14, 30, 10
  c.single.batch_size, c.single.rate, c.checkpoint_every = 8, 1e-2, 10
  c.update_from_flattened_dict(
    {key.replace("__", "."): value for key, value in changes.items()}
  )
  return c


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """An encoder from scratch."""
  root = tmp_path_factory.mktemp("pretrain")
  text = write(root)
  small.execute(config(text), root / "W")
  return SimpleNamespace(root=root, text=text, workdir=root / "W")


def params_of(workdir, name="single.mlm"):
  return load_params(workdir / "runs" / name / "checkpoints" / "seed-0")[0]


def logits_of(model, tokenizer):
  texts = ["the old dog [MASK] a [MASK] here .", "no cat"]
  given = tokenizer(texts, padding=True, return_tensors="pt")
  with torch.no_grad():
    return model.eval()(**given).logits.numpy(), given


def test_transformers_says_the_same_words(run):
  folder = run.workdir / "encoder"
  model, said = transformers.AutoModelForMaskedLM.from_pretrained(
    folder, output_loading_info=True
  )
  assert not said["missing_keys"] and not said["unexpected_keys"]
  tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
  got, given = logits_of(model, tokenizer)
  # The same by ours, from what the run has kept.
  config = hf.read_config(folder / hf.CONFIG)
  net = masked_head.net(config)
  params = params_of(run.workdir)
  batch = masked_head.batch(given["input_ids"], given["attention_mask"])
  want = net.apply({"params": params}, batch, train=False)["vocabulary"]
  there = given["attention_mask"].numpy() > 0
  np.testing.assert_allclose(got[there], want[there], atol=1e-5)
  assert np.ptp(got) > 1


def test_it_is_learned_and_its_perplexity_told(run):
  found = json.loads((run.workdir / "results.json").read_text())
  record = found["methods"]["single"][TEXT]
  assert record["metric"] == "accuracy" and record["scores"][0] > 10
  (perplexity,) = record["all"]["perplexity"]
  # Of eighty words and marks; these are about thirty.
  assert 2 < perplexity < 30
  file = predictions.path(run.workdir / "runs" / "single.mlm", 0)
  dev = predictions.read(file)[TEXT, "validation"]
  nats, right, tokens = dev.logits.astype(np.float64).sum(0)
  assert perplexity == pytest.approx(np.exp(nats / tokens))
  assert record["scores"][0] == pytest.approx(100 * right / tokens)
  assert tokens > 4
  report = (run.workdir / "report" / "report.md").read_text()
  assert f"| mlm | perplexity | {len(dev.index)} |" in report


def test_the_same_command_trains_nothing_again(run, capsys, monkeypatch):
  def trained(*args, **more):
    raise AssertionError("trained again")

  monkeypatch.setattr(loop, "train", trained)
  before = (run.workdir / "encoder" / hf.WEIGHTS).stat().st_mtime_ns
  small.execute(config(run.text), run.workdir)
  assert (run.workdir / "encoder" / hf.WEIGHTS).stat().st_mtime_ns == before
  with pytest.raises(
    ValueError, match=r"masking\.share: 0\.15 there, 0\.3 ask"
  ):
    small.execute(config(run.text, masking__share=0.3), run.workdir)


def test_a_run_that_was_stopped_goes_on_in_the_same_bits(run, tmp_path):
  asked = []

  def stop():
    asked.append(1)
    return len(asked) == 14

  c = config(run.text)
  with pytest.raises(loop.Stopped):
    small.execute(c, tmp_path / "W", stop)
  small.execute(c, tmp_path / "W")
  ours, again = (
    (each / "encoder" / hf.WEIGHTS).read_bytes()
    for each in (run.workdir, tmp_path / "W")
  )
  assert ours == again


def test_it_goes_on_from_an_encoder_with_its_head(run, tmp_path):
  folder = run.workdir / "encoder"
  c = config(run.text, encoder=str(folder), max_steps=1, single__rate=1e-9)
  small.execute(c, tmp_path / "W")
  # Its vocabulary, its table and its head.
  ours, again = (
    {**hf.load_encoder(each / "encoder")[1], "head": head}
    for each in (run.workdir, tmp_path / "W")
    for head in [
      masked.read(
        each / "encoder", hf.read_config(each / "encoder" / hf.CONFIG)
      )
    ]
  )
  assert ours["head"]
  for one, two in zip(
    *(jax.tree.leaves(tree) for tree in (ours, again)), strict=True
  ):
    np.testing.assert_allclose(one, two, atol=1e-6)
  results = [
    json.loads((each / "results.json").read_text())["methods"]["single"][TEXT]
    for each in (run.workdir, tmp_path / "W")
  ]
  assert results[0]["scores"] == pytest.approx(results[1]["scores"], abs=0.1)


def test_beside_another_task_in_the_same_batches(run, tmp_path):
  glue = small.write_glue(tmp_path / "glue")
  (tmp_path / "tasks.toml").write_text(
    f'[text]\nkind = "mlm"\ntrain = "{run.root}/b.txt.gz"\n'
    f'dev = "{run.root}/a.txt"\n'
    f'[after]\nkind = "next_sentence"\ntrain = "{run.root}/a.txt"\n'
    "dev_share = 0.2\n"
  )
  c = small.settings(
    glue,
    run.workdir / "encoder",
    tasks_file=str(tmp_path / "tasks.toml"),
    tasks="cola,text,after",
    methods="single->multi",
    max_length=14,
    max_steps=3,
    data__packing=True,
  )
  small.execute(c, tmp_path / "W")
  found = json.loads((tmp_path / "W" / "results.json").read_text())
  assert {*found["methods"]["single->multi"]} == {*("cola", "text", "after")}
  # They are trained for the other's sake, and do not count in the average.
  (score,) = found["methods"]["single->multi"]["cola"]["scores"]
  assert found["average"]["single->multi"] == [score]
  # Nobody teaches it.
  there = {
    path.name for path in (tmp_path / "W" / "data" / "teachers").iterdir()
  }
  assert there == {"single.cola"}
  folder = tmp_path / "W" / "runs" / "single-to-multi.cola+text+after"
  model = bam_jax.load(folder)
  assert [*model.heads] == ["cola"]
  assert model("cola", ["the old dog"])[0].label
  out = tmp_path / "M"
  export.main([f"--run={folder}", "--task=text", f"--out={out}"])
  theirs = transformers.AutoModelForMaskedLM.from_pretrained(out)
  tokenizer = transformers.AutoTokenizer.from_pretrained(out)
  got, given = logits_of(theirs, tokenizer)
  net = masked_head.net(hf.read_config(out / hf.CONFIG), "text")
  batch = masked_head.batch(given["input_ids"], given["attention_mask"])
  params = params_of(tmp_path / "W", "single-to-multi.cola+text+after")
  want = net.apply({"params": params}, batch, train=False)["vocabulary"]
  there = given["attention_mask"].numpy() > 0
  np.testing.assert_allclose(got[there], want[there], atol=1e-5)
  assert "fill-mask" in (out / "README.md").read_text()
  export.main([f"--run={folder}", "--task=all", f"--out={tmp_path / 'A'}"])
  assert bam_jax.load(tmp_path / "A")("cola", ["a dog"])[0].label
  export.main([f"--run={folder}", "--task=after", f"--out={tmp_path / 'N'}"])
  pairs = transformers.AutoModelForSequenceClassification.from_pretrained(
    tmp_path / "N"
  )
  assert pairs.config.id2label == dict(enumerate(neighbours.LABELS))
  with pytest.raises(ValueError, match="nobody can; leave the method or the"):
    small.execute(
      small.settings(
        glue,
        run.workdir / "encoder",
        tasks_file=str(tmp_path / "tasks.toml"),
        tasks="text",
        methods="single->single",
      ),
      tmp_path / "V",
    )
  assert not (tmp_path / "V").exists()

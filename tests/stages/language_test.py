"""A language model in both directions, and heads over what it has learned."""

import json

import jax
import numpy as np
import pytest

import bam_jax
from bam_jax.hf import directory as hf
from bam_jax.models.mixing import MIX
from bam_jax.stages import masks, session
from bam_jax.stages.samples import samples_of
from bam_jax.study.workdir import Workdir
from bam_jax.training.checkpoint import load_params
from tests import small
from tests.stages.pretrain_test import write

BILSTM = {
  "scratch__kind": "bilstm",
  "scratch__directions": "apart",
  "scratch__layers": 2,
  "scratch__width": 12,
  "scratch__filters": 20,
  "scratch__words_width": 5,
  "scratch__skip": True,
  "scratch__vocab_size": 80,
}


def config(glue, text, **changes):
  """Returns the config of a language model and a frozen head."""
  c = small.settings(glue, "scratch", **BILSTM)
  c.tasks, c.methods, c.data.text = "stsb", "lm+frozen", text
  c.learn.head, c.learn.layers = "stsb=pair:width=6", MIX
  c.max_length, c.max_steps, c.data.packing = 14, 40, True
  c.loss.reduction = "mean"
  c.update_from_flattened_dict(
    {key.replace("__", "."): value for key, value in changes.items()}
  )
  return c


def params(workdir, run):
  return load_params(workdir / "runs" / run / "checkpoints/seed-0")[0]


def held_as_trained(c, workdir, task):
  """Asserts that a dry run counts what is trained on, sides and all."""
  here = session.opened(c, Workdir(workdir))
  sampled = samples_of(here)[task]
  (mine,) = (t for t in here.experiment.trained_tasks if t.name == task)
  trained = here.materials.corpus.train(mine)
  for found in (lambda x: x.tokens, lambda x: x.types, lambda x: x.words.at):
    np.testing.assert_array_equal(found(sampled), found(trained))
  assert sampled.words.sides == trained.words.sides > 0


def test_it_is_trained_and_heads_learn_over_it_as_it_stands(
  small_run, tmp_path
):
  workdir, c = tmp_path / "W", config(small_run.glue, write(tmp_path))
  small.execute(c, workdir)
  held_as_trained(c, workdir, "lm")
  scores = json.loads((workdir / "runs/single.lm/scores.json").read_text())
  found = scores["0"]["scores"]["lm"]
  # Of eighty words and marks; these are about thirty.
  assert 2 < found["perplexity"] < 40
  share = 100 * (1 - found["perplexity"] / 250)
  assert found["perplexity_share"] == pytest.approx(share, abs=1e-3)
  before, after = (
    params(workdir, run) for run in ("single.lm", "lm+frozen.stsb")
  )
  jax.tree.map(np.testing.assert_array_equal, after["bilstm"], before["bilstm"])
  # Of two layers each: what the first one reads is of another width.
  for name, head in (("lm", before), ("stsb", after)):
    assert head["heads"].keys() == {name}
    assert head["heads"][name]["layers"]["weights"].shape == (2,)
    assert np.ptp(head["heads"][name]["layers"]["weights"]) > 0
  # What others go on from, by its letters.
  there, kept, _ = hf.load_encoder(workdir / "encoder")
  assert there.kind == "bilstm" and there.pieces.endswith("\ncats")
  assert there.pieces.count("\n") + 1 == there.vocab_size
  jax.tree.map(np.testing.assert_array_equal, kept["bilstm"], after["bilstm"])
  # It answers, each pair as alone.
  model = bam_jax.load(workdir / "runs" / "lm+frozen.stsb")
  pairs = [("the old dog", "a red bird sees no cat"), ("a cat", "the cat")]
  said = model("stsb", *map(list, zip(*pairs, strict=True)))
  for (one, two), each in zip(pairs, said, strict=True):
    assert each.value == pytest.approx(model("stsb", [one], [two])[0].value)


def test_a_text_is_said_from_another_by_any_encoder(small_run, tmp_path):
  rng = np.random.default_rng(2)
  source = [rng.choice(small.WORDS, size=4) for _ in range(150)]
  # Its words the other way round.
  for name, lines in (("a", source), ("b", [each[::-1] for each in source])):
    text = "\n".join(map(" ".join, lines))
    (tmp_path / f"{name}.txt").write_text(text)
  (tmp_path / "tasks.toml").write_text(
    '[turned]\nkind = "seq2seq"\ntrain = ["a.txt", "b.txt"]\ndev_share = 0.2\n'
  )
  c = small.settings(
    small_run.glue,
    small_run.encoder,
    tasks_file=str(tmp_path / "tasks.toml"),
    tasks="turned",
    methods="single",
    max_length=14,
    max_steps=60,
    learn__head="decoder:width=8",
    loss__reduction="mean",
    data__packing=True,
  )
  small.execute(c, tmp_path / "W")
  held_as_trained(c, tmp_path / "W", "turned")
  found = json.loads((tmp_path / "W/results.json").read_text())
  record = found["methods"]["single"]["turned"]
  # Four of ten words and the end of each, of which that alone is easy.
  (perplexity,) = record["all"]["perplexity"]
  assert 1 < perplexity < 7.5
  assert record["metric"] == "perplexity_share"
  with pytest.raises(
    ValueError, match=r"says words of plain text alone \(turn"
  ):
    bam_jax.load(tmp_path / "W/runs/single.turned")


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"scratch__directions": "together"}, "a bilstm, read both sides of every"),
    ({"scratch__kind": "bert", "scratch__heads": 2}, "a bert, read both sides"),
  ],
)
def test_who_has_read_a_token_does_not_say_it(
  small_run, tmp_path, changes, said
):
  if "scratch__kind" in changes:
    changes |= {
      f"scratch__{key}": off
      for key, off in (
        *(("directions", "together"), ("filters", 0)),
        *(("words_width", 0), ("skip", False)),
      )
    }
  c = config(small_run.glue, write(tmp_path), **changes)
  found = session.opened(c, Workdir(tmp_path / "W")).materials
  with pytest.raises(ValueError, match=said) as refused:
    masks.check(found, found.encoder.shape)
  # A BiLSTM has no head for masked words.
  able = c.scratch.kind == "bert"
  assert ("take mlm in place of lm" in str(refused.value)) is able

"""What the stage of pairs of texts refuses, and what to type in its place."""

import re

import pytest

from bam_jax.stages import checks, contrasting
from bam_jax.study import experiment as experiments
from configs import less_is_more
from tests.stages.contrast_test import opened


@pytest.mark.parametrize(
  ("changes", "words"),
  [
    (dict(contrast__task=""), "type --config.contrast.task="),
    (dict(contrast__task="stsbb"), "did you mean 'stsb'"),
    (dict(contrast__task="cola"), "reads one text"),
    (dict(contrast__share=1.0), "above 0 and below 1"),
    (dict(contrast__share=0.001), "leave some on both sides"),
    (dict(contrast__loss="margins"), "did you mean 'margin'"),
    (dict(contrast__loss="simcse"), "and stsb has numbers"),
    (dict(contrast__alike="yes"), "has numbers, which"),
    (dict(contrast__task="rte", contrast__alike="entails"), "entailment"),
    (dict(contrast__task="mnli"), "contradiction, entailment, neutral"),
    (
      dict(contrast__task="rte", contrast__loss="simcse", micro_rows=4),
      "set --config.micro_rows=0",
    ),
    (dict(contrast__temperature=0.1), "take simcse or simcse_unsupervised"),
    (dict(contrast__max_length=41), "try --config.contrast.max_length=40"),
    (
      dict(contrast__task="cola", contrast__loss="simcse_unsupervised"),
      "--config.contrast.patience=0",
    ),
    (dict(methods="single", contrast__pool="mean"), "take one, as"),
    (dict(methods="contrast"), "as contrast+multi"),
    (dict(methods="single->contrast"), "as contrast+multi"),
    (dict(contrast__pool="late"), "it is cls or mean"),
    (
      dict(
        contrast__task="cola",
        contrast__loss="simcse_unsupervised",
        contrast__patience=0,
        contrast__alike="yes",
      ),
      "contrast.alike is 'yes', and cola has one text a row",
    ),
    (
      dict(
        contrast__task="cola",
        contrast__loss="simcse_unsupervised",
        contrast__patience=0,
        optim__schedule="plateau",
        single__rate=1e-3,
        optim__warmup_join="continuous",
        select__by="average",
        eval_every=2,
      ),
      "cola, of one text, has no pairs on dev",
    ),
    (
      dict(contrast__share=0.99, data__holdout=0.5),
      "training rows of stsb that are not held out it takes",
    ),
  ],
)
def test_what_cannot_be_is_said_in_a_sentence(small_run, changes, words):
  plain = dict(contrast__loss="margin", contrast__pool="cls")
  with pytest.raises(ValueError, match=re.escape(words)) as refused:
    checks.check(opened(small_run, **(plain | changes)))
  assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
  ("methods", "change", "words"),
  [
    # Another run has the variant's stage; this one would be multi again.
    (
      "contrast@other+multi,multi@other",
      {"contrast": {"loss": "margin_cosine"}},
      "has no such stage of its own",
    ),
    (
      "contrast@other+multi",
      {"adversary": {"kind": "vat"}},
      "changes adversary.kind, which contrast@other.quora does not read",
    ),
  ],
)
def test_a_variant_that_changes_nothing_is_refused(methods, change, words):
  config = less_is_more.get_config("smoke")
  config.variants, config.methods = {"other": change}, methods
  with pytest.raises(ValueError, match=words):
    contrasting.check(experiments.read(config))


def test_dev_without_a_pair_that_is_alike_cannot_say_which_epoch_is_best(
  small_run,
):
  changes = dict(
    contrast__task="rte", contrast__loss="simcse", data__dev_limit="1"
  )
  said = set()
  # The first row of dev has one of the two labels.
  for alike in ("entailment", "not_entailment"):
    try:
      checks.check(opened(small_run, **changes, contrast__alike=alike))
    except ValueError as error:
      said.add(str(error))
  (refused,) = said
  assert (
    "that are alike" in refused and "raise --config.data.dev_lim" in refused
  )

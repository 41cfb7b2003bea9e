"""Cosines are those of transformers' vectors, and only pairs are taken."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
import transformers

from bam_jax import similarity
from tests import small


@pytest.fixture(scope="module")
def there(tmp_path_factory):
  """A GLUE folder and a random encoder."""
  folder = tmp_path_factory.mktemp("similarity")
  glue = small.write_glue(folder / "glue")
  return glue, small.write_encoder(folder / "encoder", init_std=0.3)


def vectors(encoder, texts, pool):
  """Returns transformers' vectors, each text alone, f[N, D]."""
  tokenizer = transformers.BertTokenizerFast(str(encoder / "vocab.txt"))
  model = transformers.BertModel.from_pretrained(encoder).eval()
  found = []
  for text in texts:
    with torch.no_grad():
      batch = tokenizer(text, return_tensors="pt")
      hidden = model(**batch).last_hidden_state[0]
    found.append((hidden[0] if pool == "cls" else hidden.mean(0)).numpy())
  return np.stack(found)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_the_correlation_is_that_of_transformers_vectors(there, pool, capsys):
  glue, encoder = there
  similarity.main([f"--run={encoder}", f"--pool={pool}", f"--glue-dir={glue}"])
  rows = pd.read_csv(glue / "STS-B" / "dev.tsv", sep="\t")
  one, two = (
    torch.tensor(vectors(encoder, rows[name], pool))
    for name in ("sentence1", "sentence2")
  )
  near = torch.nn.functional.cosine_similarity(one, two).numpy()
  wanted = 100 * scipy.stats.spearmanr(near, rows["score"]).statistic
  said = capsys.readouterr().out
  assert said.startswith(f"stsb validation, {len(rows)} pairs, {pool}: ")
  found = float(said.partition("spearman ")[2].partition(",")[0])
  assert found == pytest.approx(wanted, abs=0.02)


def test_a_vector_without_length_is_near_to_nothing():
  one = np.array([[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]])
  two = np.array([[4.0, 3.0], [1.0, 2.0], [2.0, 0.0]])
  np.testing.assert_allclose(similarity.cosines(one, two), [0.96, 0, -1])


@pytest.mark.parametrize(
  ("flag", "words"),
  [
    ("--task=cola", "two texts with a number or two labels"),
    ("--task=mnli", "two texts with a number or two labels"),
    ("--task=stsbb", "did you mean 'stsb'"),
    ("--split=test", "stsb has labels in train, validation"),
    ("--glue-dir=/nowhere", "folder /nowhere; type --glue-dir=FOLDER"),
  ],
)
def test_what_is_no_pair_with_a_label_is_refused(there, flag, words, capsys):
  glue, encoder = there
  with pytest.raises(SystemExit) as error:
    similarity.main(
      [f"--run={encoder}", "--pool=cls", f"--glue-dir={glue}", flag]
    )
  assert error.value.code == 2
  assert words in capsys.readouterr().err

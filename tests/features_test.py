"""Vectors of raw text are transformers' hidden states, and none is lost."""

import io
import json

import numpy as np
import pyarrow as pa
from pyarrow import parquet
import pytest
import torch
import transformers

from bam_jax import features
from bam_jax.inference import features as extracting
from bam_jax.inference import model as inference
from bam_jax.inference import streams
from tests import small
from tests.hf.families_test import CONFIGS

MULTI = "multi.cola+stsb"
# Of different lengths, with words of several tokens, one that is unknown.
TEXTS = ("a bc abc", "cab", "b a cab abc ? abcab", "")
PIECES = ["a", "b", "c", "##a", "##b", "##c", "abc"]


@pytest.fixture(
  scope="module",
  params=[
    "bert",
    "electra",
    "distilbert",
    "modernbert",
    "deberta",
    "eurobert-grouped",
  ],
)
def encoder(request, tmp_path_factory):
  """The directory of a random encoder, as transformers writes it."""
  folder = tmp_path_factory.mktemp(request.param)
  words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PIECES]
  words += [f"unused{i}" for i in range(61 - len(words))]
  (folder / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
  torch.manual_seed(0)
  model = transformers.AutoModel.from_config(CONFIGS[request.param]).eval()
  for weight in model.parameters():
    torch.nn.init.normal_(weight, std=0.3)
  model.save_pretrained(folder)
  return folder


def extract(folder, texts, *, layers=(0, 1, -1), pool, **settings):
  """Returns the table of texts, of one column or two."""
  found = extracting.Extractor(
    extracting.load(str(folder), trial=None),
    layers=layers,
    pool=pool,
    max_length=settings.pop("max_length", None),
  )
  columns = [texts] if isinstance(texts[0], str) else list(texts)
  return found(columns)


def hidden(folder, texts):
  """Returns transformers' hidden states: [L + 1] of f32[B, S, D]; and words."""
  tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
  batch = tokenizer(list(texts), padding=True, return_tensors="pt")
  model = transformers.AutoModel.from_pretrained(
    folder, attn_implementation="eager"
  ).eval()
  with torch.no_grad():
    found = model(
      input_ids=batch["input_ids"],
      attention_mask=batch["attention_mask"],
      output_hidden_states=True,
    ).hidden_states
  owners = [batch.word_ids(i) for i in range(len(texts))]
  return [each.numpy() for each in found], batch, owners


def listed(table, column):
  """Returns a column as a list of arrays, one for each text."""
  return [np.array(row, np.float32) for row in table[column].to_pylist()]


def test_every_layer_is_transformers(encoder):
  table = extract(encoder, TEXTS, pool="tokens")
  wanted, batch, _ = hidden(encoder, TEXTS)
  last = len(wanted) - 1
  assert table.column_names == ["tokens", *(f"layer_{i}" for i in (0, 1, last))]
  lengths = batch["attention_mask"].sum(1).tolist()
  for layer in (0, 1, last):
    found = listed(table, f"layer_{layer}")
    assert [len(each) for each in found] == lengths
    for row, mine in enumerate(found):
      np.testing.assert_allclose(
        mine, wanted[layer][row, : lengths[row]], rtol=1e-5, atol=1e-5
      )
  tokenizer = transformers.BertTokenizerFast(str(encoder / "vocab.txt"))
  assert table["tokens"].to_pylist() == [
    tokenizer.convert_ids_to_tokens(ids[:length])
    for ids, length in zip(batch["input_ids"], lengths, strict=True)
  ]


def test_pools_are_of_these_tokens(encoder):
  tokens = extract(encoder, TEXTS, pool="tokens")
  first = listed(extract(encoder, TEXTS, pool="cls"), "layer_1")
  means = listed(extract(encoder, TEXTS, pool="mean"), "layer_1")
  words = extract(encoder, TEXTS, pool="words")
  *_, owners = hidden(encoder, TEXTS)
  for row, mine in enumerate(listed(tokens, "layer_1")):
    np.testing.assert_allclose(first[row], mine[0], atol=1e-6)
    np.testing.assert_allclose(means[row], mine.mean(0), atol=1e-5)
    numbers = sorted({owner for owner in owners[row] if owner is not None})
    wanted = [
      mine[[owner == n for owner in owners[row][: len(mine)]]].mean(0)
      for n in numbers
    ]
    found = words["layer_1"][row].as_py()
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
      np.testing.assert_allclose(ours, theirs, atol=1e-5)
  for row, text in enumerate(TEXTS):
    places = zip(
      words["start"][row].as_py(), words["end"][row].as_py(), strict=True
    )
    said = [text[a:b] for a, b in places]
    assert said == text.split() == words["words"][row].as_py()


@pytest.mark.parametrize("encoder", ["bert"], indirect=True)
def test_words_that_are_cut_away_are_null(encoder, tmp_path):
  # [CLS] a b ##c [SEP]: the third word is not read.
  table = extract(encoder, ["a bc abc"], pool="words", max_length=5)
  parquet.write_table(table, tmp_path / "x.parquet")
  kept = parquet.read_table(tmp_path / "x.parquet")["layer_1"][0].as_py()
  assert [each is None for each in kept] == [False, False, True]
  whole = extract(encoder, ["a bc"], pool="words")["layer_1"][0].as_py()
  np.testing.assert_allclose(kept[:2], whole, atol=1e-5)


def main(capfd, *flags):
  """Returns the exit code of the command and what it says."""
  try:
    features.main(list(flags))
  except SystemExit as stop:
    return stop.code, capfd.readouterr().err
  return 0, capfd.readouterr().err


def test_a_run_and_its_export_give_the_same(small_run, tmp_path, capfd):
  from bam_jax import export

  run = small_run.workdir / "runs" / MULTI
  export.main([f"--run={run}", "--task=all", f"--out={tmp_path / 'M'}"])
  pairs = tmp_path / "pairs.jsonl"
  rows = [{"sentence1": "a b", "sentence2": f"c {'d ' * n}"} for n in range(3)]
  pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
  found = []
  for place in (run, tmp_path / "M"):
    out = tmp_path / "out.parquet"
    code, said = main(
      capfd,
      f"--run={place}",
      "--layers=-1",
      "--pool=mean",
      f"--input={pairs}",
      f"--out={out}",
    )
    assert code == 0, said
    found.append(parquet.read_table(out))
  assert found[0].num_rows == 3
  assert found[0] == found[1]
  # What a text is read beside changes its vectors.
  values = np.array(found[0].column(0).to_pylist())
  assert np.abs(values[0] - values[1]).max() > 1e-3


def test_the_command_offers_every_pool():
  (pool,) = (a for a in features.parser()._actions if a.dest == "pool")
  assert tuple(pool.choices) == tuple(extracting.POOLS)


class Stub:
  """Vectors that cost nothing: the length of each text."""

  def __call__(self, texts):
    assert len(texts[0]) <= inference.BATCH
    return pa.table({"layer_0": [[float(len(text))] for text in texts[0]]})


def test_rows_are_written_in_their_order_as_they_come():
  lines = [b"%s\n" % (b"a" * (n % 7 + 1)) for n in range(2 * features.ROWS + 9)]
  reader = streams.Reader(
    io.BufferedReader(io.BytesIO(b"".join(lines))), layouts=[("text",)]
  )
  written = []
  features.stream(Stub(), reader, written.append, lambda n: None)
  assert [len(table) for table in written] == [features.ROWS] * 2 + [9]
  found = pa.concat_tables(written)["layer_0"].to_pylist()
  assert found == [[float(n % 7 + 1)] for n in range(len(lines))]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  return small.write_encoder(tmp_path_factory.mktemp("plain") / "encoder")


def test_a_bad_line_leaves_no_file_half_written(plain, tmp_path, capfd):
  bad = tmp_path / "in.jsonl"
  bad.write_text('{"text": "a"}\n{"text": 3}\n', "utf-8")
  flags = [f"--run={plain}", "--layers=0", "--pool=cls", f"--input={bad}"]
  code, said = main(capfd, *flags, f"--out={tmp_path / 'out.parquet'}")
  assert code == 2
  assert "line 2" in said
  assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_no_texts_are_a_file_without_rows(plain, tmp_path, capfd):
  empty, out = tmp_path / "in.tsv", tmp_path / "out.parquet"
  empty.write_text("text\n", "utf-8")
  flags = [f"--run={plain}", "--layers=0,1", "--pool=words"]
  code, said = main(capfd, *flags, f"--input={empty}", f"--out={out}")
  assert code == 0, said
  table = parquet.read_table(out)
  assert table.num_rows == 0
  assert table.column_names == ["words", "start", "end", "layer_0", "layer_1"]


@pytest.mark.parametrize(
  ("flags", "said"),
  [
    (["--layers=9"], "no layer 9; the encoder has 0 (its embeddings) to "),
    (["--layers=-9"], "no layer -9"),
    (["--layers=0,-2,0"], "layer 0 is asked for twice"),
    (["--max-length=99999"], "max_length is 99999"),
    (["--max-length=0"], "max_length is 0"),
    (["--run=nowhere/at/all"], "nowhere/at/all"),
    (["--trial=3"], "no trials to choose from"),
    (["--layers=x"], "'x' is no list of layers; it is whole numbers"),
    (["--pool=max"], "invalid choice: 'max'"),
    (["--pool=words", "--input-format=tsv"], "words are of one text"),
  ],
)
def test_a_wrong_flag_is_one_sentence(plain, tmp_path, capfd, flags, said):
  pairs = tmp_path / "pairs.tsv"
  pairs.write_text("text\ttext_pair\na\tb\n", "utf-8")
  usual = [f"--run={plain}", "--layers=0", "--pool=cls", f"--input={pairs}"]
  out = tmp_path / "out.parquet"
  code, got = main(capfd, *usual, *flags, f"--out={out}")
  assert code == 2
  assert said in got
  assert not out.exists()

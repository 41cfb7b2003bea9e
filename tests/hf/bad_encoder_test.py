"""Every wrong encoder, tokenizer, start and working directory is one sentence.

The table goes on from bad_input_test.py; cases of checkpoints and locks belong
here.
"""

import json
import struct

import numpy as np
import pytest

from tests import small
from tests.refusals import (
  Case,
  arranged,
  command,
  directory,
  keys,
  link,
  octets,
  refused,
  renamed,
  tensors,
)

CONFIG = "encoder/config.json"
WEIGHTS = "encoder/model.safetensors"
VOCAB = "encoder/vocab.txt"
TOKENIZER = "encoder/tokenizer.json"
SETTINGS = "encoder/tokenizer_config.json"
WORD = "embeddings.word_embeddings.weight"
MANY = "9" * 5000


def header(**changes):
  """Replaces the header's length by `size` and its bytes by `text`."""

  def change(data: bytes) -> bytes:
    size = int.from_bytes(data[:8], "little")
    text = changes.get("text", data[8 : 8 + size])
    size = changes.get("size", len(text))
    return struct.pack("<Q", size) + text + data[8 + size :]

  return octets(change)


def one_tensor(shape, offsets, data=b"12345678", name="a") -> bytes:
  """Returns a safetensors file of a single tensor, whatever it claims."""
  entry = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
  text = json.dumps({name: entry}).encode()
  return struct.pack("<Q", len(text)) + text + data


def twice(data: bytes) -> bytes:
  """Gives the first tensor of a file again, with another meaning."""
  size = int.from_bytes(data[:8], "little")
  entries = json.loads(data[8 : 8 + size])
  entry = json.dumps({WORD: entries[WORD] | {"dtype": "I32"}})
  text = entry.encode()[:-1] + b"," + data[9 : 8 + size]
  return struct.pack("<Q", len(text)) + text + data[8 + size :]


def without(part: str):
  return tensors(lambda t: {k: v for k, v in t.items() if part not in k})


def changed(change):
  return tensors(lambda t: {k: change(v) for k, v in t.items()})


CASES = [
  # Names
  *(
    Case(f"name-{id}", said, f"--config.encoder={name}")
    for id, name, said in (
      ("none", "", "encoder '' is not a directory"),
      ("path", "/nowhere/at/all", "encoder '/nowhere/at/all' is not a dir"),
      ("user", "~nobody-of-this-name/x", "is not a directory; give"),
      ("dots", "../../../nowhere", "is not a directory; give"),
      ("hub", "no-such/encoder", "could not be fetched from the Hugging Face"),
      ("file", "{root}/encoder/vocab.txt", "vocab.txt is a file; give a dir"),
      ("folder", "{root}/glue", "glue has no config.json; give a directory"),
      ("url", "https://x.y/z", "'https://x.y/z' is not a directory"),
    )
  ),
  Case("layers", "has 1; give 1 to 1", "--config.encoder_layers=2"),
  Case("layers-less", "encoder_layers is -1", "--config.encoder_layers=-1"),
  *(
    Case(
      f"scratch-{key}",
      said,
      f"--config.encoder=scratch --config.scratch.{key}={value}",
    )
    for key, value, said in (
      ("heads", 7, "width 128 is not a multiple of its 7 heads; try width 133"),
      ("layers", 0, "scratch.layers is 0; it is from 1 to 100000"),
      ("mlp", 10**15, "scratch.mlp is 1000000000000000; it is from 1 to"),
      ("dropout", 1, "encoder hidden_dropout is 1.0"),
      ("init_std", "nan", "scratch.init_std is nan; it is above 0"),
      ("kind", "lstm", "scratch.kind is 'lstm'; it is bert or deberta or"),
      ("tokenizer", "{root}/no", "scratch.tokenizer '{root}/no' is not a dir"),
    )
  ),
  *(
    Case(f"not-{key}", said, f"--config.{key}={value}")
    for key, value, said in (
      ("scratch.kind", "bilstm", "but encoder is {root}/encoder, which is not"),
      ("scratch.tokenizer", "{root}/encoder", "set --config.encoder=scratch"),
    )
  ),
  *(
    Case(
      f"{kind}-{key}",
      said,
      f"--config.encoder=scratch --config.scratch.kind={kind} "
      f"--config.{key}={value}",
    )
    for kind, key, value, said in (
      ("bert", "encoder_layers", 1, "encoder is scratch, which has as many la"),
      ("bilstm", "encoder_every", 2, "encoder is scratch, which has as many"),
      ("bilstm", "scratch.width", 13, "a bilstm has two directions of half"),
      ("bilstm", "attention_dropout", 0.1, "a bilstm has no attention; leave"),
      ("bilstm", "attention", "splash", "a bilstm has no attention; leave it"),
    )
  ),
  # config.json
  *(
    Case(f"config-{id}", f"config.json {said}", files={CONFIG: content})
    for id, content, said in (
      ("empty", "", "is not JSON (Expecting value"),
      ("bytes", b"\xff{}", "is not JSON ('utf-8' codec"),
      ("deep", "[" * 99_999, "is not JSON (maximum recursion"),
      ("digits", f'{{"vocab_size": {MANY}}}', "is not JSON (Exceeds the limit"),
      ("list", "[]", "is not a JSON object; mend it"),
    )
  ),
  Case("config-absent", "has no config.json", files={CONFIG: None}),
  Case("config-folder", "has no config.json", files={CONFIG: directory}),
  *(
    Case(f"config-{key}-{i}", said, files={CONFIG: keys(**{key: value})})
    for i, (key, value, said) in enumerate(
      (
        ("model_type", "gpt2", "says model_type 'gpt2'; this encoder is one"),
        ("model_type", ["bert"], "says model_type ['bert']; this encoder is"),
        ("hidden_act", "relu", "'gelu' or 'gelu_python', give a directory"),
        ("is_decoder", True, "says is_decoder True; this encoder is a bert"),
        ("hidden_size", "16", "says hidden_size '16'; it has to be a whole"),
        ("hidden_size", True, "says hidden_size True; it has to be a whole"),
        ("hidden_size", 18, "shape: embeddings.LayerNorm.bias is [16], con"),
        ("hidden_size", 2**31, "it is 0 or more, and below 2147483648"),
        ("num_hidden_layers", 0, "encoder layers is 0; give at least 1"),
        ("num_hidden_layers", -1, "says num_hidden_layers -1; it is 0 or"),
        ("num_hidden_layers", 1.0, "1.0; it has to be a whole number"),
        ("num_hidden_layers", 2, "missing: encoder.layer.1.attention.self.q"),
        ("num_hidden_layers", 10**9, "says 1000000000, the file has 23 tens"),
        ("num_hidden_layers", 10**99, "000; it is 0 or more, and below 21"),
        ("num_attention_heads", 3, "not a multiple of its 3 heads; try"),
        ("vocab_size", 16, f"shape: {WORD} is [15, 16], config.json says [16,"),
        ("vocab_size", 10**8, f"{WORD} is [15, 16], config.json says [100000"),
        ("pad_token_id", 15, "says pad_token_id 15; its vocab_size is only 15"),
        ("layer_norm_eps", float("nan"), "says layer_norm_eps nan; it is 0 or"),
        ("layer_norm_eps", "small", "'small'; it has to be a number"),
        ("hidden_dropout_prob", 1, "encoder hidden_dropout is 1; give 0 or"),
        ("attention_probs_dropout_prob", -0.1, "-0.1; it is 0 or more"),
      )
    )
  ),
  # model.safetensors
  *(
    Case(f"weights-{id}", said, files={WEIGHTS: content})
    for id, content, said in (
      ("absent", None, "has no model.safetensors in"),
      ("folder", directory, "has no model.safetensors in"),
      ("link", link("/nowhere"), "only ['config.json', 'vocab.txt']; give one"),
      ("device", link("/dev/zero"), "has no model.safetensors in"),
      ("empty", b"", "not a whole safetensors file"),
      ("text", b"<html>" * 99, "not a whole safetensors file"),
      ("cut", octets(lambda d: d[:-1]), "not a whole safetensors file"),
      ("longer", octets(lambda d: d + b"x"), "not a whole safetensors file"),
      ("header-huge", header(size=1 << 60), "header too large"),
      ("header-long", header(size=90_000_000), "invalid header length"),
      ("header-text", header(text=b"{" * 50), "not a whole safetensors file"),
      ("header-deep", header(text=b'{"a":' * 999), "not a whole safetensors"),
      ("terabytes", one_tensor([1 << 40], [0, 1 << 42]), "not a whole"),
      ("overflow", one_tensor([1 << 62] * 2, [0, 8]), "not a whole"),
      ("outside", one_tensor([2], [8, 16]), "not a whole safetensors file"),
      (
        "name",
        one_tensor([2], [0, 8], name="a\nb"),
        "missing: embeddings.word",
      ),
      ("twice", octets(twice), f"belong together: twice: {WORD}"),
      ("lacks", without("query.weight"), "missing: encoder.layer.0.attention"),
      ("more", tensors(lambda t: t | {"x\ny": np.ones(1)}), "unexpected: x y"),
      ("none", tensors(lambda t: {}), "the file has 0 tensors"),
      ("int", changed(lambda x: x.astype(np.int32)), "I32, not a float"),
      ("nan", changed(lambda x: x * np.float32("nan")), "has NaN or infinity"),
      ("wide", changed(lambda x: x + np.float64(1e300)), "has NaN or infinity"),
      ("pickle-bin", renamed("pytorch_model.bin"), "a pickle, which can run"),
      ("pickle-pt", renamed("model.pt"), "a pickle, which can run any code"),
      ("pickle-pkl", renamed("model.pkl"), "a pickle, which can run any code"),
    )
  ),
  Case(
    "weights-sharded",
    "has its weights in several files",
    files={
      WEIGHTS: renamed("model-00001-of-00002.safetensors"),
      f"{WEIGHTS}.index.json": '{"weight_map": {"a": "../../etc/passwd"}}',
    },
  ),
  # The tokenizer
  *(
    Case(f"tokenizer-{id}", said, files={file: content})
    for id, file, content, said in (
      ("absent", VOCAB, None, "neither tokenizer.json nor vocab.txt"),
      ("folder", VOCAB, directory, "neither tokenizer.json nor vocab.txt"),
      ("empty", VOCAB, "", "vocab.txt has no [UNK], which WordPiece needs"),
      (
        "fastbpe",
        VOCAB.replace("vocab.txt", "bpe.codes"),
        "a n</w> 9\n",
        "has bpe.codes and no tokenizer.json, so a tokenizer that cuts by "
        "fastBPE what another program has cut into words (PhoBERT: VnCoreNLP)"
        ", and neither is run here; take an encoder whose tokenizer.json says "
        "it all, such as --config.encoder=FacebookAI/xlm-roberta-base",
      ),
      (
        "phobert",
        SETTINGS,
        '{"tokenizer_class": "PhobertTokenizer"}',
        "of the class PhobertTokenizer, which cuts by fastBPE, and asks for "
        "words cut by VnCoreNLP; its files alone do not say how a text is "
        "read, so take an encoder whose tokenizer.json says it all, such as",
      ),
      ("bytes", VOCAB, b"[UNK]\n\xff\n", "vocab.txt is not UTF-8"),
      ("special", VOCAB, "[UNK]\n[SEP]\n", "has no [CLS], [PAD]; a vocabul"),
      (
        "longer",
        VOCAB,
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n" + "word\n" * 12,
        "has ids up to 15, the model's embedding only 15 rows",
      ),
      ("json", TOKENIZER, "", "tokenizer.json is not JSON"),
      ("json-bytes", TOKENIZER, b"\xff", "tokenizer.json is not JSON"),
      ("json-deep", TOKENIZER, "[" * 99_999, "tokenizer.json is not JSON"),
      ("json-list", TOKENIZER, "[]", "tokenizer.json is not a JSON object"),
      ("json-none", TOKENIZER, "{}", "tokenizer.json is not a tokenizer"),
      ("json-part", TOKENIZER, '{"normalizer": 3}', "is not a tokenizer"),
      (
        "json-unknown",
        TOKENIZER,
        json.dumps(
          {
            "added_tokens": [],
            "model": {
              "type": "WordPiece",
              "unk_token": "[UNK]",
              "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 9,
              "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2},
            },
          }
        ),
        "cannot read a sentence",
      ),
      ("settings", SETTINGS, "{", "tokenizer_config.json is not JSON"),
      ("settings-list", SETTINGS, "[]", "config.json is not a JSON object"),
      (
        "settings-class",
        SETTINGS,
        '{"tokenizer_class": "KoBertTokenizer"}',
        "KoBertTokenizer, which cuts words by SentencePiece",
      ),
      (
        "added",
        "encoder/added_tokens.json",
        '{"[E1]": 15, "[E2]": 17}',
        "added word '[E2]' has id 17, but beside the vocabulary of 15 words",
      ),
      (
        "settings-case",
        SETTINGS,
        '{"do_lower_case": "yes"}',
        "says do_lower_case 'yes'; it is true or false",
      ),
    )
  ),
  # What the hub answers for a model
  *(
    Case(
      f"hub-{id}",
      said,
      "--config.encoder=someone/bert",
      {f"model/{name}": content},
    )
    for id, name, content, said in (
      ("config", "config.json", "<html>", "model/config.json is not JSON"),
      ("other", "config.json", '{"model_type": "t5"}', "model_type 't5'"),
      ("weights", "config.json", "{}", "someone/bert has no model.safetensors"),
      ("none", "README.md", "", "has no config.json"),
    )
  ),
  # What a run starts from
  *(
    Case(f"init-{id}", said, f"--config.init_from={{root}}/{name}", files)
    for id, name, files, said in (
      ("absent", "nowhere", {}, "nowhere, which holds no finished run"),
      ("file", "x", {"x": ""}, "x, which holds no finished run"),
      ("empty", "R", {"R/x": ""}, "R, which holds no finished run"),
      (
        "half",
        "R",
        {"R/checkpoints/seed-0.orbax-checkpoint-tmp/x": ""},
        "R, which holds no finished run",
      ),
      (
        "rubbish",
        "R",
        {"R/checkpoints/seed-0/x": "x"},
        "{root}/R/checkpoints/seed-0 cannot be read",
      ),
    )
  ),
  Case("init-part", "it is encoder or all", "--config.init_part=heads"),
  # The working directory
  *(
    Case(f"workdir-{id}", said, f"--workdir={{root}}/{name}", files)
    for id, name, files, said in (
      ("file", "x", {"x": "mine"}, "x cannot be written"),
      ("below-file", "x/W", {"x": "mine"}, "x/W cannot be written"),
      ("json", "W", {"W/config.json": "{"}, "config.json is not JSON"),
      ("bytes", "W", {"W/config.json": b"\xff"}, "config.json is not JSON"),
      ("empty", "W", {"W/config.json": ""}, "config.json is not JSON"),
      ("list", "W", {"W/config.json": "[1]"}, "is not a config of bam_jax"),
      ("foreign", "W", {"W/config.json": '{"a": 1}'}, "is not a config of bam"),
      (
        "other",
        "W",
        {"W/config.json": '{"config": {"seed": 7}}'},
        "was made with other settings (",
      ),
      (
        "other-value",
        "W",
        {"W/config.json": '{"config": {"seed": 7}}'},
        "seed: 7 there, 0 asked",
      ),
    )
  ),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  root = tmp_path_factory.mktemp("inputs")
  return small.write_glue(root / "glue"), small.write_encoder(root / "encoder")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_bad_encoder_is_one_sentence_and_code_2(
  case, inputs, tmp_path, monkeypatch, compiled
):
  refused(case, inputs, tmp_path, monkeypatch)


def test_code_that_a_directory_names_is_never_looked_at(
  inputs, tmp_path, monkeypatch, compiled
):
  from bam_jax.stages import recipe

  def train(here, *, teaching):
    raise ValueError("nothing was wrong")

  monkeypatch.setattr(recipe, "train", train)
  code = {"AutoModel": "evil.Model", "AutoTokenizer": ["evil.T", None]}
  evil = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
  fine = Case(
    "fine",
    "",
    files={
      CONFIG: keys(auto_map=code, custom_pipelines={"x": {"impl": "evil.P"}}),
      SETTINGS: json.dumps(
        {"auto_map": code, "tokenizer_class": None, "do_lower_case": None}
      ),
      "encoder/evil.py": evil,
      "encoder/__init__.py": evil,
      "encoder/modeling_bert.py": evil,
    },
  )
  arguments = arranged(fine, inputs, tmp_path, monkeypatch)
  code, _, err = command(arguments, monkeypatch)
  assert (code, err) == (2, "error: nothing was wrong\n")
  assert not (tmp_path / "encoder" / "ran").exists()

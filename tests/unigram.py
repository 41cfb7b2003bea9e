"""A small tokenizer as DeBERTa-v3's is: pieces that are likely together."""

import json
from pathlib import Path

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]


def write(folder: Path, texts: list[str], *, pieces: int = 60) -> int:
  """Writes tokenizer.json and its settings as published; returns its size.

  Args:
    folder: where to.
    texts: what pieces are learned from.
    pieces: how many are learned at most; of few texts every word is one, too.
  """
  backend = tokenizers.Tokenizer(models.Unigram())
  backend.normalizer = normalizers.Sequence(
    [
      normalizers.Replace(tokenizers.Regex(r"\s{2,}|[\n\r\t]"), " "),
      normalizers.NFC(),
      normalizers.Strip(left=False, right=True),
    ]
  )
  backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
  backend.train_from_iterator(
    texts,
    trainers.UnigramTrainer(
      vocab_size=pieces,
      special_tokens=SPECIAL,
      unk_token="[UNK]",
      show_progress=False,
    ),
  )
  if len(texts) < 20:
    state = json.loads(backend.to_str())
    known = {piece for piece, _ in state["model"]["vocab"]}
    words = {f"\u2581{word}" for text in texts for word in text.split()}
    state["model"]["vocab"] += [[word, -1.0] for word in sorted(words - known)]
    backend = tokenizers.Tokenizer.from_str(json.dumps(state))
  # It stands behind all pieces, as in the published ones.
  backend.add_special_tokens(["[MASK]"])
  backend.post_processor = processors.TemplateProcessing(
    single="[CLS]:0 $A:0 [SEP]:0",
    pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
    special_tokens=[(w, backend.token_to_id(w)) for w in ("[CLS]", "[SEP]")],
  )
  backend.save(str(folder / "tokenizer.json"))
  settings = {
    "tokenizer_class": "DebertaV2Tokenizer",
    "do_lower_case": False,
    "split_by_punct": False,
    "vocab_type": "spm",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
  }
  (folder / "tokenizer_config.json").write_text(json.dumps(settings))
  return backend.get_vocab_size()

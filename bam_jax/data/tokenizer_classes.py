"""Which classes of tokenizers the files of a directory can give.

A vocabulary alone does not say how a text is cut into words. Its class does,
and some classes cut by programs that no file describes.
"""

from collections.abc import Mapping
from pathlib import Path
import reprlib
from typing import Any

WHOLE = "tokenizer.json"
VOCABULARY = "vocab.txt"
PAIRS = "vocab.json"
CODES = "bpe.codes"
SETTINGS = "tokenizer_config.json"
# Names without "Tokenizer", "TokenizerFast". These cut as BERT does: vocab.txt
# and a few switches say the rest.
_WORD_PIECES = frozenset(
  {
    "Bert",
    "DistilBert",
    "Electra",
    "MobileBert",
    "ConvBert",
    "SqueezeBert",
    "LayoutLM",
    "Lxmert",
    "Nezha",
    "Ernie",
  }
)
# These cut as GPT-2 does: vocab.json and merges.txt say the rest.
_BYTE_PAIRS = frozenset({"GPT2", "Roberta", "Bart", "Longformer", "LED", "MVP"})
# These are written whole into tokenizer.json and nowhere else that is read.
# fmt: off
_WHOLE = frozenset({
  "PreTrained", "XLMRoberta", "Camembert", "Albert", "XLNet", "T5", "MPNet",
  "Deberta", "DebertaV2", "BigBird", "RemBert", "Reformer", "FNet", "Funnel",
  "Herbert", "Barthez", "MBart", "MBart50", "Pegasus", "Nllb", "Llama", "Gemma",
  "Qwen2", "CodeGen", "CLIP", "Blenderbot", "GPTNeoX", "Cohere",
})
# fmt: on
# What these do stands in no file, whatever else lies there.
_ELSEWHERE = {
  "BertJapanese": "cuts words by MeCab, Sudachi or Juman++",
  "BertJapaneseCharacter": "cuts words by MeCab",
  "KoBert": "cuts words by SentencePiece and a vocabulary of its own",
  "Bertweet": "rewrites tweets and cuts by fastBPE",
  "Phobert": "cuts by fastBPE, and asks for words cut by VnCoreNLP",
  "ByT5": "reads bytes",
  "Perceiver": "reads bytes",
  "Canine": "reads characters by their number",
  "CharacterBert": "reads characters",
  "XLM": "cuts words by Moses",
  "Flaubert": "cuts words by Moses",
}
_ANOTHER = (
  f"take an encoder whose {WHOLE} says it all, such as "
  "--config.encoder=FacebookAI/xlm-roberta-base, which reads a hundred "
  "languages"
)
_CONVERT = (
  "python -c \"from transformers import AutoTokenizer as A; A.from_pretrained('"
  "{0}').save_pretrained('{0}')\""
)


def check(
  directory: Path, settings: Mapping[str, Any], config: Mapping[str, Any]
) -> str:
  """Refuses a class that the files of a directory cannot give.

  Args:
    directory: where they are.
    settings: what tokenizer_config.json says.
    config: what config.json says, whose class counts where the other has none.

  Returns:
    What has to be said of the class, or "".

  Raises:
    ValueError: the class is another program's, or needs other files.
  """
  said = settings.get("tokenizer_class") or config.get("tokenizer_class")
  if said is not None and not isinstance(said, str):
    raise ValueError(
      f"{directory / SETTINGS} says tokenizer_class {reprlib.repr(said)}; it "
      "is the name of a class"
    )
  if settings.get("word_tokenizer_type", "basic") != "basic" or (
    settings.get("subword_tokenizer_type", "wordpiece") != "wordpiece"
  ):
    said = "BertJapaneseTokenizer"
  there = [n for n in (WHOLE, VOCABULARY, PAIRS) if (directory / n).is_file()]
  # PhoBERT's; its class may be said nowhere.
  if WHOLE not in there and said is None and (directory / CODES).is_file():
    raise ValueError(
      f"{directory} has {CODES} and no {WHOLE}, so a tokenizer that cuts by "
      "fastBPE what another program has cut into words (PhoBERT: VnCoreNLP), "
      f"and neither is run here; {_ANOTHER}"
    )
  if said is None or not there:
    return ""
  name = said.removesuffix("Fast").removesuffix("Tokenizer")
  if how := _ELSEWHERE.get(name):
    raise ValueError(
      f"{directory} has a tokenizer of the class {said}, which {how}; its "
      f"files alone do not say how a text is read, so {_ANOTHER}"
    )
  if WHOLE in there:
    known = _WORD_PIECES | _BYTE_PAIRS | _WHOLE
    whose = (
      said.endswith("Fast") or name in known or said == "TokenizersBackend"
    )
    return "" if whose else (
      f"tokenizer_class is {said}, which is not known here; {WHOLE} alone is "
      "followed"
    )  # fmt: skip
  gives = {VOCABULARY: _WORD_PIECES, PAIRS: _BYTE_PAIRS}
  if any(name in gives[file] for file in there):
    return ""
  if name in _WORD_PIECES | _BYTE_PAIRS | _WHOLE:
    cure = (
      f"write {WHOLE} once, where transformers and sentencepiece are "
      f"installed, by typing: {_CONVERT.format(directory)}"
    )
  else:
    cure = f"that class is code that is not run here; take one with {WHOLE}"
  raise ValueError(
    f"{directory} has a tokenizer of the class {said}, which {there[0]} alone "
    f"does not give; {cure}"
  )

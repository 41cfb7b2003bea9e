"""Plain text that cannot be learned from is one sentence and exit code 2."""

import gzip

import pytest
import tokenizers
from tokenizers import models

from tests import small
from tests.refusals import Case, directory, refused, replaced

CONFIG = "configs/pretrain.py"
TEXT = "--config.data.text={root}/a.txt"
GOOD = "the old dog\n\na cat sees\nthe bird\n"
SCRATCH = f"{TEXT} --config.encoder=scratch"
TASKS = "--config.tasks_file={root}/t.toml --config.tasks=text"
ENTRY = '[text]\nkind = "mlm"\ntrain = "a.txt"\n'


def wordless(path):
  """Writes a tokenizer of letters that takes a text for one word."""
  pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdet ", "ab"]
  made = tokenizers.Tokenizer(
    models.BPE({name: i for i, name in enumerate(pieces)}, [("a", "b")])
  )
  made.add_special_tokens(pieces[:5])
  made.save(str(path))


def case(id, said, text=GOOD, flags=TEXT, **files):
  """Returns a case of a.txt, whose path is in {root}."""
  found = {"a.txt": text} if text is not None else {}
  found |= files
  return Case(id, said, flags=flags, files=found, config=CONFIG)


CASES = (
  case("missing", "there is no file {root}/a.txt", text=None),
  case("empty", "{root}/a.txt has no text; give a file with some", text=""),
  case("blank", "{root}/a.txt has no text", text=" \n\n\t\n"),
  case("directory", "{root}/a.txt is a directory; name", text=directory),
  case("image", "{root}/a.txt", text=b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
  case("binary", "a NUL byte, which no text has", text=b"a dog\0\n\na cat\n"),
  case("latin", "{root}/a.txt line 1 is not UTF-8", text=b"caf\xe9\n"),
  case(
    "not-gzip",
    "is not compressed, though its name ends in .gz",
    flags="--config.data.text={root}/b.txt.gz",
    **{"b.txt.gz": "the old dog\n"},
  ),
  case(
    "cut-gzip",
    "damaged or cut off",
    flags="--config.data.text={root}/b.txt.gz",
    **{"b.txt.gz": gzip.compress(GOOD.encode() * 99)[:-9]},
  ),
  case(
    "table",
    "{root}/b.csv is not named as plain text, which is read from .txt",
    flags="--config.data.text={root}/a.txt,{root}/b.csv",
    **{"b.csv": "text\na dog\n"},
  ),
  case("pattern", "no file matches", flags="--config.data.text={root}/z*.txt"),
  case("alone", "a.txt is one document, and mlm is scored", text="a dog\n"),
  case("none", "say which: --config.data.text=a.txt,b.txt.gz", flags=""),
  case(
    "not-trained",
    "which the task mlm reads, and tasks are cola; type --config.tasks=cola,",
    flags=f"{TEXT} --config.tasks=cola",
  ),
  case(
    "no-sentences",
    "1 of 2 documents of next (train) have two sentences, and a sentence of",
    text="The old dog. It sees.\n\na cat sees\n\nthe bird\n",
    flags=f"{TEXT} --config.tasks=mlm,next --config.methods=multi",
  ),
  case(
    "next-alone",
    "which the task mlm reads, and tasks are next; type --config.tasks=next,",
    flags=f"{TEXT} --config.tasks=next",
  ),
  case(
    "next-taught",
    "would have mlm, next taught, which nobody can",
    flags=f"{TEXT} --config.tasks=mlm,next --config.methods=single->multi",
  ),
  case(
    "next-labels",
    "labels of text are ['a', 'b']; kind next_sentence makes its own",
    flags=TASKS,
    **{
      "t.toml": ENTRY.replace("mlm", "next_sentence") + 'labels = ["a", "b"]\n'
    },
  ),
  case(
    "vocabulary",
    "scratch.vocab_size is 20; the 10 letters of the text",
    flags=f"{SCRATCH} --config.scratch.vocab_size=20",
  ),
  case(
    "lstm",
    "the encoder is a bilstm, which has no head for masked words",
    flags=f"{SCRATCH} --config.scratch.kind=bilstm --config.scratch.heads=1",
  ),
  case(
    "no-mask",
    "has no [MASK], which stands for the words that mlm masks",
    **{"encoder/vocab.txt": replaced("[MASK]", "mask")},
  ),
  case(
    "no-words",
    "does not divide text into words before it cuts pieces",
    **{"encoder/tokenizer.json": wordless},
  ),
  case(
    "share-none",
    "masking.share is 0.0; it is a share, above 0 and below 1",
    flags=f"{TEXT} --config.masking.share=0",
  ),
  case(
    "share-all",
    "masking.share is 1.0; it is a share, above 0",
    flags=f"{TEXT} --config.masking.share=1",
  ),
  case(
    "taught",
    "method 'single->single' would have mlm taught, which nobody can",
    flags=f"{TEXT} --config.methods=single->single",
  ),
  case(
    "less-is-better",
    "metric = 'perplexity' begins with perplexity, of which less is better",
    flags=TASKS,
    **{"t.toml": ENTRY + 'metric = "perplexity"\n'},
  ),
  case(
    "column",
    "text.text = 'words' is for files with columns, and kind mlm reads plain",
    flags=TASKS,
    **{"t.toml": ENTRY + 'text = "words"\n'},
  ),
  case(
    "labels",
    "labels = ['a', 'b'] is for tasks of other kinds than mlm",
    flags=TASKS,
    **{"t.toml": ENTRY + 'labels = ["a", "b"]\n'},
  ),
  case(
    "twice",
    "and makes a task mlm, which {root}/t.toml has too",
    flags=f"{TEXT} --config.tasks_file={{root}}/t.toml --config.tasks=mlm",
    **{"t.toml": ENTRY.replace("[text]", "[mlm]")},
  ),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  root = tmp_path_factory.mktemp("inputs")
  return small.write_glue(root / "glue"), small.write_encoder(root / "encoder")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_bad_text_is_one_sentence_and_code_2(
  case, inputs, tmp_path, monkeypatch
):
  refused(case, inputs, tmp_path, monkeypatch)

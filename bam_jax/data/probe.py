"""What a tokenizer makes of sentences that tell tokenizers apart.

Two readings of the same files, or a file that was changed by hand, give other
ids without any error; a few hundred sentences of many scripts show it.
"""

from collections.abc import Callable, Iterator, Sequence
import re
import unicodedata

import tokenizers

_TEXTS = (
  "The quick brown fox jumps over the lazy dog.",
  "Café, naïve résumé; Ångström's smörgåsbord. Ünïcödé",
  "McDonald's isn't, we'll, they've, o'clock, rock-n-roll",
  "In 1984 he paid $1,234.56 (or 7.5%) for 3rd-hand COVID-19 masks.",
  "iPhone NASA USA UTF8 camelCase snake_case kebab-case",
  "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
  "see https://example.com/a?b=c&d=e#f or mail a.b+c@example.org",
  "tabs\tand  two  spaces \n and lines \r\n end ",
  " leads with a space",
  "“quotes” ‘single’ «guillemets» „low“ — dash … ellipsis",
  "x = y * (z + 1) / 2 != 3 && a <= b || ~c ^ d % e @ f",
  "{'json': [1, 2.5e-3, null], \"t\": true} <b>html</b> &amp;",
  "Straße weiß Öl GROSSE Äpfel",
  "El niño comió piñas ¿verdad? ¡sí!",
  "L'été, où êtes-vous ? Ça va très bien.",
  "Zażółć gęślą jaźń; Příliš žluťoučký kůň",
  "İstanbul'da ışık ığdır IĞDIR",
  "Tiếng Việt có nhiều dấu thanh điệu",
  "Съешь же ещё этих мягких французских булок",
  "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία ΑΣ",
  "שלום עולם בְּרֵאשִׁית",
  "مرحبا بالعالم وَالسَّلَامُ",
  "नमस्ते दुनिया हिन्दी में",
  "আমি বাংলায় গান গাই",
  "தமிழ் மொழி அழகு",
  "สวัสดีชาวโลก ภาษาไทย",
  "你好,世界!今天天气很好。",
  "繁體中文與简体中文 mixed with English",
  "日本語のテキスト、カタカナとひらがな。",
  "㈱ﾃｽﾄ ＦＵＬＬ ｗｉｄｔｈ １２３",
  "안녕하세요 세계 영화가 정말 재미있었다",
  "emoji 😀 👍🏽 👨‍👩‍👧‍👦 🇩🇪 ❤️ ☺",
  "rare 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 ꙮ ﷽ ½ ² ™ ﬁ ligature",
  "zero\u200bwidth\u00a0nbsp\u00adsoft\ufeffbom\u2028line",
  "e\u0301 versus \u00e9, A\u030a versus \u00c5",
  "▁under Ġbyte ##piece </w> @@ ##ing",
  "[CLS] [SEP] [PAD] [MASK] [UNK] [E1] x [/E1] [unused1]",
  "<s> </s> <pad> <mask> <unk> <bos> <eos> <cls> <sep>",
  "a <mask> b[MASK]c <e1>Bill</e1> [E2]Apple[/E2] @USER #tag",
  "",
  # For private use, in no vocabulary.
  "\ue000",
  "0123456789 0 00 000 12345678901234567890",
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
)
_CHANGES: tuple[Callable[[str], str], ...] = (
  str,
  str.upper,
  str.lower,
  str.title,
  lambda text: unicodedata.normalize("NFD", text),
  lambda text: f"  {text}  !",
  lambda text: text.replace(" ", ""),
)
SENTENCES = tuple(
  dict.fromkeys(change(text) for text in _TEXTS for change in _CHANGES)
)
# So many words are named; the others are counted.
_MOST = 3
# How a vocabulary of bytes writes a line's end.
_NEWLINE = "\u010a"
_CURE = (
  "write a normalizer to tokenizer.json or, where that has BERT's or is not"
  " there, do_lower_case to tokenizer_config.json:"
)
_BRACKETS = re.compile(r"\[.*\]|<.*>")


def read(backend: tokenizers.Tokenizer) -> list[list[int]]:
  """Returns the ids of all sentences, without special ones around them."""
  found = backend.encode_batch(list(SENTENCES), add_special_tokens=False)
  return [each.ids for each in found]


def difference(
  one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]
) -> str:
  """Returns in how many sentences two readings differ, and one; or ""."""
  texts = [
    text
    for text, a, b in zip(SENTENCES, one, other, strict=True)
    if list(a) != list(b)
  ]
  if not texts:
    return ""
  shortest = min(texts, key=len)
  return f"{len(texts)} of {len(SENTENCES)} sentences, as {shortest!r},"


def seen(backend: tokenizers.Tokenizer, text: str) -> list[str]:
  """Returns the words that a text is cut into before any vocabulary."""
  if backend.normalizer is not None:
    text = backend.normalizer.normalize_str(text)
  if backend.pre_tokenizer is None:
    return [text]
  return [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]


# What a tokenizer does with a text, by the key that asks for it.
DOES: dict[str, Callable[[tokenizers.Tokenizer], bool]] = {
  "do_lower_case": lambda b: "A" not in "".join(seen(b, "A")),
  "strip_accents": lambda b: (
    "".join(seen(b, "\u00e9")).strip("\u2581\u0120") == "e"
  ),
  "tokenize_chinese_chars": lambda b: len(seen(b, "\u4e2d\u56fd")) > 1,
}


def unreached(backend: tokenizers.Tokenizer) -> Iterator[str]:
  """Yields what of the vocabulary no text can ever reach, in sentences."""
  added = {t.content for t in backend.get_added_tokens_decoder().values()}
  words = [
    word
    for word in backend.get_vocab(with_added_tokens=False)
    if word not in added and not _BRACKETS.fullmatch(word)
  ]
  if backend.token_to_id(_NEWLINE) is not None:
    # Letters stand for bytes there, capital ones too, each alone as well.
    words = [w for w in words if len(w) > 2 and w.isascii()]
  capital = [word for word in words if word != word.lower()]
  lowers, normalizer = DOES["do_lower_case"](backend), backend.normalizer
  if lowers and normalizer is not None:
    lost = [w for w in capital if normalizer.normalize_str(w) != w]
    if lost:
      more = f" and {len(lost) - _MOST} more" * (len(lost) > _MOST)
      some = ", ".join(sorted(lost)[:_MOST])
      yield (
        f"the vocabulary has words with capital letters ({some}{more}), which "
        "no text reaches, because texts are lower-cased; if the encoder is "
        f"cased, {_CURE} false"
      )
  if not lowers and not capital and any(w != w.upper() for w in words):
    yield (
      "no word of the vocabulary has a capital letter, but texts are not "
      f"lower-cased; if the encoder is uncased, {_CURE} true"
    )

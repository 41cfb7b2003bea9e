"""What tells one family of encoders from another on disk."""

from collections.abc import Callable, Mapping
import dataclasses
import reprlib
from typing import Any

from bam_jax.models.bert import BertConfig
from bam_jax.models.bilstm import BilstmConfig
from bam_jax.models.deberta import DebertaConfig
from bam_jax.models.eurobert import EuroBertConfig

# What config.json is read into.
Config = BertConfig | DebertaConfig | BilstmConfig | EuroBertConfig
Raw = Mapping[str, Any]
Fields = tuple[tuple[str, str, Any], ...]

# No size of an encoder is larger, and sizes of sizes still fit 64 bits.
_BOUND = 2**31


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """The files of one family.

  Attributes:
    name: `model_type` in config.json.
    model: the class of transformers that holds the encoder alone; "" = it has
      none, and the files are our own.
    prefix: of the encoder's tensors where a file holds more than them.
    modules: ours, theirs, kind; `{i}` is the layer. Several of ours, joined by
      "+", lie in one of theirs, one after the other. What a configuration does
      without (biases, a table, the first norm) is not looked for.
    dropped: tensors that a file may hold and that we do not want.
    fields: the configuration's field, config.json's key, what it is where the
      key is absent. Two keys of one field have to agree.
    fixed: what else decides the arithmetic, with the values that are computed;
      the first is what an absent key means.
    facts: fields of the configuration that no key decides.
    padded: the position table starts with rows up to pad_id that no example
      uses, as in fairseq.
    encoder: what computes it, a name of `encoders.ENCODERS`.
    read_layers: config.json and the number of layers -> fields that differ by
      layer, or that take more than one key.
    write_layers: the way back.
  """

  name: str
  model: str
  prefix: str
  modules: tuple[tuple[str, str, str], ...]
  dropped: tuple[str, ...]
  fields: Fields
  fixed: Mapping[str, tuple]
  facts: Mapping[str, Any]
  padded: bool = False
  encoder: str = "bert"
  read_layers: Callable[[Raw, int], dict[str, Any]] = lambda raw, layers: {}
  write_layers: Callable[[Any], dict[str, Any]] = lambda config: {}


def typed(raw: Raw, key: str, default: Any) -> Any:
  """Returns the value of a key, which is of its default's type.

  Args:
    raw: what config.json holds.
    key: a key of it; absent or null means the default.
    default: a bool, a whole number, a number or a text.

  Raises:
    ValueError: the value is of another type, negative or far too large.
  """
  value = default if raw.get(key) is None else raw[key]
  kind, words = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
  }[type(default)]
  # JSON's true is Python's 1, so isinstance would not do.
  if type(value) not in kind:
    raise ValueError(f"says {key} {reprlib.repr(value)}; it has to be {words}")
  # NaN is refused too.
  if kind != (str,) and not 0 <= value < _BOUND:
    raise ValueError(
      f"says {key} {reprlib.repr(value)}; it is 0 or more, and below {_BOUND}"
    )
  return value

"""What other programs leave in a directory in place of an encoder, by name.

Each is told by a file of its own, so nothing of it is loaded to know it.
"""

from collections.abc import Callable
import fnmatch
import json
from pathlib import Path
import re
import reprlib
import shlex
from typing import Any

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
ADAPTER = "adapter_config.json"
MODULES = "modules.json"

# What torch.save and pickle.dump are told to write.
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")
# Those of them in which trainers keep all but the weights.
_STATES = (
  *("optimizer*", "scheduler*", "scaler*", "training_args*"),
  *("rng_state*", "random_states*", "custom_checkpoint*", "sampler*"),
)
_CONVERT = (
  "import sys, torch; from safetensors.torch import save_file; "
  "d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); "
  "d = d.get('state_dict', d.get('model_state_dict', d)); "
  "save_file({k: v.clone().contiguous() for k, v in d.items() "
  "if torch.is_tensor(v)}, sys.argv[2])"
)
_OLDER = (
  "transformers 4, where {library} is installed, converts it: "
  "AutoModel.from_pretrained(DIR, {flag}=True).save_pretrained(NEW)"
)
_SOURCE = (
  "which cannot be trained on; give the directory of the model that it was "
  "made from"
)


def refuse(directory: Path) -> None:
  """Refuses a directory that is something else than a model's.

  Args:
    directory: that is there.

  Raises:
    ValueError: what it holds instead is named.
    OSError: it cannot be read.
  """
  if (directory / ADAPTER).is_file():
    raise ValueError(_adapter(directory))
  if not (directory / CONFIG).is_file():
    raise ValueError(_no_config(directory))


def no_weights(name: str | Path, directory: Path) -> str:
  """Returns what to say of a directory without model.safetensors.

  Args:
    name: as the user has it.
    directory: where it is; elsewhere where it came from the hub, and then not
      all of its files are here.
  """
  there = sorted(each.name for each in directory.iterdir())
  if kind := _kind(directory, there):
    return f"{directory} {kind}"
  found = [each for each in there if (directory / each).is_file()]
  more = ""
  if not Path(name).exists():
    more = (
      f" (to learn how what the hub has of it can be used, type `hf download "
      f"{name} --local-dir DIR` and give DIR)"
    )
  return (
    f"encoder {name} has no {WEIGHTS} in {directory}, only "
    f"{reprlib.repr(found)}; give one that has{more}"
  )


def _adapter(directory: Path) -> str:
  """The sentence for what peft writes."""
  said = _object(directory / ADAPTER)
  kind, base = said.get("peft_type"), said.get("base_model_name_or_path")
  of = f" of {reprlib.repr(base)}" if base else ""
  return (
    f"{directory} holds {ADAPTER}, so an adapter"
    + (f" ({reprlib.repr(kind)})" if kind else "")
    + f"{of} and not an encoder; merge it, where peft is installed, by "
    "merge_and_unload() and save that with save_pretrained in a directory of "
    "its own"
  )


def _no_config(directory: Path) -> str:
  """The sentence for a directory without config.json."""
  there = []
  if directory.is_dir():
    there = sorted(each.name for each in directory.iterdir())
  inside = _transformer(directory)
  if inside:
    return (
      f"{directory} is a model of sentence-transformers, whose encoder lies in "
      f"{inside}; give that directory"
    )
  steps = sorted(
    int(found[1])
    for found in (re.fullmatch(r"checkpoint-(\d+)", each) for each in there)
    if found
  )
  if steps:
    more = f", the last of {len(steps)}" if len(steps) > 1 else ""
    return (
      f"{directory} has no {CONFIG}, but checkpoints of a trainer; give one, "
      f"such as {directory / f'checkpoint-{steps[-1]}'}{more}"
    )
  if WEIGHTS in there:
    return (
      f"{directory} has no {CONFIG} beside its {WEIGHTS}; put there the "
      f"{CONFIG} of the model that was trained, and its tokenizer's files"
    )
  if kind := _kind(directory, there):
    return f"{directory} has no {CONFIG} and {kind}"
  return (
    f"{directory} has no {CONFIG}; give a directory with {CONFIG}, {WEIGHTS} "
    "and tokenizer.json or vocab.txt"
  )


def _kind(directory: Path, there: list[str]) -> str:
  """Says what lies in a directory; "" = nothing that is known."""
  for patterns, said in _KINDS:
    names = [
      each
      for each in there
      if any(fnmatch.fnmatch(each, one) for one in patterns)
      and not any(fnmatch.fnmatch(each, one) for one in _STATES)
      and (directory / each).is_file()
    ]
    # What transformers writes comes before what somebody has named.
    names.sort(key=lambda each: not each.startswith("pytorch_model"))
    if names:
      if callable(said):
        return said(directory, names[0])
      return said.format(directory=directory, name=names[0])
  return ""


def _shards(directory: Path, index: str) -> str:
  """The words for weights in several files; those that are missing named."""
  named = _object(directory / index).get("weight_map")
  named = named.values() if isinstance(named, dict) else ()
  parts = sorted(set(map(str, named)))
  # An index may name anything; only what lies beside it is looked for.
  gone = [
    part
    for part in parts
    if "/" not in part and not (directory / part).is_file()
  ]
  lacks = (
    f", and {len(gone)} of {len(parts)} are missing ({reprlib.repr(gone)}), "
    "which have to be fetched first"
    if gone
    else ""
  )
  return (
    f"has its weights in several files{lacks}; an encoder is read from one "
    f"{WEIGHTS}: save it again as one, by transformers' save_pretrained with "
    "max_shard_size='10GB'"
  )


def _pickle(directory: Path, name: str) -> str:
  """The words for weights that only running code can read."""
  old, new = directory / name, directory / WEIGHTS
  return (
    "has its weights as a pickle, which can run any code when it is read; "
    "convert it once, where torch is installed, by typing: "
    f'python -c "{_CONVERT}" {shlex.quote(str(old))} {shlex.quote(str(new))}'
  )


def _transformer(directory: Path) -> Path | None:
  """Returns where sentence-transformers keeps its encoder, if elsewhere."""
  modules = _json(directory / MODULES)
  for module in modules if isinstance(modules, list) else ():
    if not isinstance(module, dict):
      continue
    path = str(module.get("path", ""))
    if re.fullmatch(r"[\w-]+", path) and (directory / path / CONFIG).is_file():
      return directory / path
  return None


def _json(path: Path) -> Any:
  """Returns what a file of others says; {} where it cannot be read."""
  try:
    found = json.loads(path.read_text("utf-8"))
  except (OSError, ValueError, RecursionError):
    return {}
  return found


def _object(path: Path) -> dict:
  """Returns the object of a file of others; {} where there is none."""
  found = _json(path)
  return found if isinstance(found, dict) else {}


# A file that tells the kind -> what lies there, and what to do about it; the
# first that is there is said.
_KINDS: tuple[tuple[tuple[str, ...], str | Callable[[Path, str], str]], ...] = (
  (("model.safetensors.index.json", "pytorch_model.bin.index.json"), _shards),
  (
    ("zero_to_fp32.py",),
    "holds DeepSpeed's parts of a model; in it, type: python zero_to_fp32.py "
    ". . --safe_serialization",
  ),
  (
    ("*.distcp",),
    "holds torch's parts of a model; type: accelerate merge-weights "
    "{directory} NEW",
  ),
  (_PICKLES, _pickle),
  (
    ("*.safetensors",),
    f"has its weights in {{name}}, and they are read from {WEIGHTS}; if it "
    "holds the whole encoder, give it that name",
  ),
  (
    ("tf_model.h5",),
    "holds a TensorFlow model; "
    + _OLDER.format(library="TensorFlow", flag="from_tf"),
  ),
  (
    ("flax_model.msgpack",),
    "holds a Flax model of transformers; "
    + _OLDER.format(library="Flax", flag="from_flax"),
  ),
  (
    ("*.ckpt.index", "*.ckpt.meta"),
    "holds a TensorFlow checkpoint, as the original BERT code writes it; take "
    "the same model from the Hugging Face hub, or convert it by transformers "
    "4's convert_bert_original_tf_checkpoint_to_pytorch",
  ),
  (("saved_model.pb",), f"holds a TensorFlow program, {_SOURCE}"),
  (("*.onnx",), f"holds an ONNX program, {_SOURCE}"),
  (("*.gguf",), f"holds a GGUF model, {_SOURCE}"),
  (("openvino_model.xml",), f"holds an OpenVINO program, {_SOURCE}"),
)

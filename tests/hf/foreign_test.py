"""What other trainers leave: read and said, or refused by its own name."""

import json
import shutil
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors import numpy as st

from bam_jax.hf import classifiers, tensor_files
from bam_jax.hf import directory as hf
from bam_jax.runtime import console
from tests import small
from tests.refusals import Case, keys, refused, renamed, tensors

CONFIG = "encoder/config.json"
WEIGHTS = "encoder/model.safetensors"
QUERY = "encoder.layer.0.attention.self.query.weight"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\n"


def prefixed(*prefixes, also=()):
  """Puts something before every name, once for each of the prefixes."""
  extra = {name: np.zeros(3, np.float32) for name in also}
  return tensors(
    lambda t: {f"{p}{k}": v for p in prefixes for k, v in t.items()} | extra
  )


def cast(kind):
  return tensors(lambda t: {k: v.astype(kind) for k, v in t.items()})


def named(old, new):
  return tensors(
    lambda t: {new if k == old else k: v for k, v in t.items()},
  )


def cut(path):
  path.write_bytes(path.read_bytes()[:-7])


def index(*parts):
  return json.dumps({"weight_map": {f"t{i}": p for i, p in enumerate(parts)}})


def gone(*names, **others):
  """Files that take the place of the weights."""
  return {WEIGHTS: None} | {f"encoder/{name}": b"x" for name in names} | others


CASES = [
  # What lies there in place of an encoder
  Case(
    "adapter",
    "adapter_config.json, so an adapter ('LORA') of 'bert-base' and not an",
    files={
      **gone("adapter_model.safetensors"),
      CONFIG: None,
      "encoder/adapter_config.json": json.dumps(
        {"peft_type": "LORA", "base_model_name_or_path": "bert-base"}
      ),
    },
  ),
  Case(
    "adapter-beside-its-base",
    "so an adapter and not an encoder; merge it",
    files={"encoder/adapter_config.json": "["},
  ),
  Case(
    "sentence-transformers",
    "whose encoder lies in {root}/encoder/0_Transformer; give that directory",
    files={
      CONFIG: lambda path: (
        shutil.copytree(path.parent, path.parent / "0_Transformer")
        and path.unlink()
      ),
      "encoder/modules.json": json.dumps(
        [
          {"idx": 0, "path": "0_Transformer"},
          {"idx": 1, "path": "1_Pooling"},
        ]
      ),
    },
  ),
  Case(
    "trainer-output",
    "checkpoints of a trainer; give one, such as "
    "{root}/encoder/checkpoint-1000, the last of 2",
    files={
      **gone("checkpoint-500/x", "checkpoint-1000/x"),
      CONFIG: None,
    },
  ),
  Case(
    "accelerate-state",
    "has no config.json beside its model.safetensors; put there",
    files={CONFIG: None, "encoder/optimizer.bin": b"x"},
  ),
  *(
    Case(f"only-{name}", said, files=gone(*names))
    for name, names, said in (
      ("trainer", ("optimizer.pt", "pytorch_model.bin"), "/pytorch_model.bin "),
      ("states", ("optimizer.pt", "training_args.bin"), "has no model.safet"),
      ("lightning", ("epoch=1-step=9.ckpt",), "{root}/encoder/epoch=1-step=9"),
      ("tensorflow", ("tf_model.h5",), "holds a TensorFlow model; transformer"),
      ("flax", ("flax_model.msgpack",), "from_flax=True"),
      ("original", ("bert_model.ckpt.index",), "as the original BERT code wri"),
      ("saved", ("saved_model.pb",), "TensorFlow program, which cannot be tra"),
      ("onnx", ("model.onnx",), "an ONNX program, which cannot be trained on"),
      ("gguf", ("model.Q4.gguf",), "a GGUF model, which cannot be trained on"),
      ("openvino", ("openvino_model.xml",), "an OpenVINO program"),
      ("deepspeed", ("zero_to_fp32.py",), "python zero_to_fp32.py"),
      ("fsdp", ("__0_0.distcp",), "accelerate merge-weights {root}/encoder"),
      ("other", ("bert.safetensors",), "has its weights in bert.safetensors"),
    )
  ),
  *(
    Case(f"shards-{id}", said, files=gone(*there, **{f"encoder/{file}": text}))
    for id, file, text, there, said in (
      (
        "whole",
        "model.safetensors.index.json",
        index("a.safetensors", "b.safetensors"),
        ("a.safetensors", "b.safetensors"),
        "in several files; an encoder is read from one",
      ),
      (
        "missing",
        "model.safetensors.index.json",
        index("a.safetensors", "b.safetensors"),
        ("a.safetensors",),
        "and 1 of 2 are missing (['b.safetensors']), which have to be fetched",
      ),
      (
        "pickles",
        "pytorch_model.bin.index.json",
        index("a.bin"),
        (),
        "and 1 of 1 are missing (['a.bin'])",
      ),
      ("broken", "model.safetensors.index.json", "{", (), "in several files"),
    )
  ),
  # What cannot be trained
  Case(
    "quantised",
    "says quantization_config ('gptq'), so its weights are rounded",
    files={CONFIG: keys(quantization_config={"quant_method": "gptq"})},
  ),
  Case("int8", "is I8, not a float; give the", files={WEIGHTS: cast(np.int8)}),
  Case(
    "float8",
    "is F8_E4M3, not a float; give the model that they were made from",
    files={WEIGHTS: cast(ml_dtypes.float8_e4m3fn)},
  ),
  Case(
    "lora",
    "an adapter of peft that is not merged",
    files={
      WEIGHTS: named(QUERY, QUERY.replace("weight", "base_layer.weight")),
    },
  ),
  # Names
  Case(
    "two-encoders",
    "holds several encoders, whose tensors begin with 'passage.' and 'query.'",
    files={WEIGHTS: prefixed("query.", "passage.")},
  ),
  Case(
    "another-family",
    "holds a roberta (its tensors begin with 'roberta.'), but its config.json",
    files={WEIGHTS: prefixed("roberta.")},
  ),
  Case(
    "stray-beneath-the-prefix",
    "unexpected: module.bert.extra",
    files={WEIGHTS: prefixed("module.bert.", also=("module.bert.extra",))},
  ),
  # What is no safetensors file
  *(
    Case(f"content-{id}", said, files={WEIGHTS: content})
    for id, content, said in (
      ("pointer", POINTER, "model.safetensors is a Git LFS pointer"),
      ("empty", b"", "); it is empty"),
      ("zip", b"PK\3\4" + b"x" * 99, "it is a pickle as torch.save writes it"),
      ("html", b"<!DOCTYPE html>" * 9, "it is a web page or XML, so what was"),
      ("gguf", b"GGUF" + b"x" * 99, "it is a GGUF file"),
      ("cut", cut, "bytes are there, so it was cut short: take a whole copy"),
    )
  ),
  Case("config-pointer", "is a Git LFS pointer", files={CONFIG: POINTER}),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  root = tmp_path_factory.mktemp("inputs")
  return small.write_glue(root / "glue"), small.write_encoder(root / "encoder")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_another_program_left_is_called_by_its_name(
  case, inputs, tmp_path, monkeypatch, compiled
):
  said = refused(case, inputs, tmp_path, monkeypatch)
  # It is the user's.
  assert "delete" not in said


@pytest.fixture
def encoder(inputs, tmp_path):
  return shutil.copytree(inputs[1], tmp_path / "encoder")


@pytest.fixture
def told(monkeypatch):
  """What was said, line by line."""
  lines = []
  monkeypatch.setattr(
    console.CONSOLE, "print", lambda text, **_: lines.append(str(text))
  )
  return lines


def same(found, wanted):
  found, wanted = (
    dict(hf.traverse_util.flatten_dict(x)) for x in (found, wanted)
  )
  assert found.keys() == wanted.keys()
  for path, value in wanted.items():
    np.testing.assert_array_equal(found[path], value)


@pytest.mark.parametrize(
  ("prefix", "said"),
  [
    ("bert.", ""),
    ("module.", "'module.'"),
    ("_orig_mod.", "'_orig_mod.'"),
    ("0.auto_model.", "'0.auto_model.'"),
    ("model.", "'model.'"),
    ("model.bert.", "'model.'"),
    ("_orig_mod.module.bert.", "'_orig_mod.module.'"),
    ("_forward_module.net.encoder.", "'_forward_module.net.encoder.'"),
  ],
)
def test_what_a_wrapper_put_before_all_names_is_left_out_and_said(
  encoder, told, prefix, said
):
  _, wanted, _ = hf.load_encoder(encoder)
  prefixed(prefix)(encoder / hf.WEIGHTS)
  told.clear()
  same(hf.load_encoder(encoder)[1], wanted)
  assert len(told) == bool(said)
  assert said in "".join(told)


def test_what_lies_beside_the_encoder_is_left_out_and_said(encoder, told):
  _, wanted, _ = hf.load_encoder(encoder)
  also = ("module.fc.weight", "loss.margin", "module.classifier.weight")
  prefixed("module.bert.", also=also)(encoder / hf.WEIGHTS)
  told.clear()
  same(hf.load_encoder(encoder)[1], wanted)
  (first, second) = told
  assert "begin with 'module.'" in first
  # The head that transformers would have is no surprise.
  assert "also holds ['loss.margin', 'module.fc.weight'], which" in second


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_floats_of_any_width_are_read(encoder, kind):
  wanted = {
    k: v.astype(kind).astype(np.float32)
    for k, v in st.load_file(encoder / hf.WEIGHTS).items()
  }
  cast(kind)(encoder / hf.WEIGHTS)
  _, params, _ = hf.load_encoder(encoder)
  np.testing.assert_array_equal(
    params["bert"]["layer_0"]["query"]["kernel"], wanted[QUERY].T
  )


def test_an_encoder_without_a_pooler_says_that_one_is_drawn(encoder, told):
  tensors(lambda t: {k: v for k, v in t.items() if "pooler" not in k})(
    encoder / hf.WEIGHTS
  )
  _, params, _ = hf.load_encoder(encoder)
  assert "pooler" not in params
  assert "has no pooler" in "".join(told)


def test_a_wrapped_classifier_keeps_its_head(encoder, told):
  head = np.arange(3 * 16, dtype=np.float32).reshape(3, 16)
  also = {"classifier.weight": head, "classifier.bias": np.ones(3, np.float32)}
  tensors(
    lambda t: {
      f"module.{name}": value
      for name, value in ({f"bert.{k}": v for k, v in t.items()} | also).items()
    }
  )(encoder / hf.WEIGHTS)
  keys(
    architectures=["BertForSequenceClassification"],
    id2label={"0": "a", "1": "b", "2": "c"},
  )(encoder / hf.CONFIG)
  found = classifiers.read(encoder)
  np.testing.assert_array_equal(found.head["kernel"], head.T)
  assert "'module.'" in "".join(told)


def test_a_file_whose_header_tells_of_less_is_no_whole_one(tmp_path):
  file = tmp_path / "x.safetensors"
  entry = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
  text = json.dumps(entry).encode()
  file.write_bytes(struct.pack("<Q", len(text)) + text + b"12345")
  with (
    pytest.raises(ValueError, match=r"not a whole .*5 bytes|tells of"),
    tensor_files.opened(file),
  ):
    pass


def test_a_renamed_pickle_is_named(encoder):
  renamed("pytorch_model.bin")(encoder / hf.WEIGHTS)
  with pytest.raises(ValueError, match=r"pickle.*'state_dict'"):
    hf.load_encoder(encoder)

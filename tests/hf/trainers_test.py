"""What other trainers save gives the numbers that it gives in transformers.

Each maker trains nothing: it is the names and the parts of a file that differ.
"""

import numpy as np
import pytest
from safetensors import torch as st
import torch
import transformers

from bam_jax.hf import directory as hf
from tests.hf import families_test as families
from tests.models import bert_test as rows_of

BERT, ROBERTA, ELECTRA = (
  families.CONFIGS[name] for name in ("bert", "roberta", "electra")
)
quiet = families.quiet
# What an encoder of its family is called in transformers.
PEERS = {
  "bert": transformers.BertModel,
  "roberta": transformers.RobertaModel,
  "electra": transformers.ElectraModel,
}


def shaken(model):
  """Moves every parameter, biases and norms too; tied ones once."""
  torch.manual_seed(0)
  with torch.no_grad():
    for parameter in model.parameters():
      parameter.add_(torch.randn_like(parameter) * 0.1)
  return model.eval()


def merged_lora(folder):
  """A classifier that learned by an adapter, merged as its refusal says."""
  peft = pytest.importorskip("peft")
  model = transformers.BertForSequenceClassification(BERT)
  lora = peft.LoraConfig(
    r=2, lora_alpha=8, target_modules=["query", "value"], task_type="SEQ_CLS"
  )
  adapted = shaken(peft.get_peft_model(model, lora))
  query = model.bert.encoder.layer[0].attention.self.query
  before = query.base_layer.weight.clone()
  merged = adapted.merge_and_unload()
  after = merged.bert.encoder.layer[0].attention.self.query.weight
  assert (after - before).abs().max() > 0.01
  merged.save_pretrained(folder)
  return merged.bert


def discriminator(folder):
  """ELECTRA's, whose head no classifier has."""
  model = shaken(transformers.ElectraForPreTraining(ELECTRA))
  model.save_pretrained(folder)
  return model.electra


def with_lm_head(folder):
  """RoBERTa with the head that it was pretrained with, and no pooler."""
  model = shaken(transformers.RobertaForMaskedLM(ROBERTA))
  model.save_pretrained(folder)
  return model.roberta


def tied(folder):
  """BERT with the head whose weights are the words' own, and no pooler."""
  model = shaken(transformers.BertForMaskedLM(BERT))
  model.save_pretrained(folder)
  names = st.load_file(folder / hf.WEIGHTS).keys()
  assert not [name for name in names if "pooler" in name]
  return model.bert


def under_bert(folder):
  """RoBERTa in a user's own module, as self.bert, by torch's own names."""

  class Own(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.bert = transformers.RobertaModel(ROBERTA)
      self.out = torch.nn.Linear(ROBERTA.hidden_size, 5)

  model = shaken(Own())
  ROBERTA.save_pretrained(folder)
  st.save_file(model.state_dict(), folder / hf.WEIGHTS)
  return model.bert


# peft asks transformers for what it calls by another name now.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize(
  ("make", "pooler"),
  [
    (merged_lora, True),
    (discriminator, False),
    (with_lm_head, False),
    (tied, False),
    (under_bert, True),
  ],
)
def test_another_trainers_checkpoint_gives_its_own_numbers(
  tmp_path, make, pooler
):
  model = make(tmp_path)
  config, params, _ = hf.load_encoder(tmp_path)
  assert type(model) is PEERS[config.family]
  assert ("pooler" in params) is pooler
  examples = families.random_examples(config)[:3]
  hidden = rows_of.apply(
    params["bert"], rows_of.lay_out([[x] for x in examples], 13), config
  )
  for row, (tokens, types) in enumerate(examples):
    want = families.theirs_on(model, config, tokens, types)
    assert len(tokens) % 2 and np.abs(want).max() > 1
    assert np.abs(hidden[row, : len(tokens)] - want).max() < 1e-5

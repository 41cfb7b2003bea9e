"""The heads that transformers has for a task, by the family of the encoder.

Each family publishes a head of its own; our pooler is its first part and our
head its last, so the mapping is exact and only names differ.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

# config.json's key for which tokens are read.
POOLING = "classifier_pooling"


@dataclasses.dataclass(frozen=True)
class Layout:
  """The head of one family.

  Attributes:
    model: the class of transformers.
    pooler: module of the encoder's own file -> module of the classifier's;
      None = it reads the tokens and has no pooler.
    output: the last dense layer.
    dropout: config.json's key for the rate before it; "" = the encoder's own.
    fixed: what else config.json has to say.
    pools: of which tokens it can read, a row of `pooling.POOLS` -> what
      config.json calls that; the first is what an absent key means, "" = there
      is no key for it.
    columns: names of its columns, whatever config.json calls them; () = it
      gives one number; None = those that config.json names.
  """

  model: str
  pooler: Mapping[str, str] | None
  output: str
  dropout: str = "classifier_dropout"
  fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  pools: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: {"cls": ""}
  )
  columns: tuple[str, ...] | None = None

  def pooled(self, pool: str) -> dict[str, str]:
    """Returns what config.json has to say of which tokens are read."""
    return {POOLING: self.pools[pool]} if self.pools[pool] else {}


_ROBERTA = Layout(
  "RobertaForSequenceClassification",
  {"pooler.dense": "classifier.dense"},
  "classifier.out_proj",
)
_MODERNBERT = {"cls": "cls", "mean": "mean"}
# Of transformers' classes for a task, by the family of the encoder.
SEQUENCES = {
  "bert": Layout(
    "BertForSequenceClassification",
    {"pooler.dense": "bert.pooler.dense"},
    "classifier",
  ),
  "roberta": _ROBERTA,
  "xlm-roberta": dataclasses.replace(
    _ROBERTA, model="XLMRobertaForSequenceClassification"
  ),
  "camembert": dataclasses.replace(
    _ROBERTA, model="CamembertForSequenceClassification"
  ),
  "electra": Layout(
    "ElectraForSequenceClassification",
    {"classifier.dense": "classifier.dense"},
    "classifier.out_proj",
  ),
  "distilbert": Layout(
    "DistilBertForSequenceClassification",
    {"pre_classifier": "pre_classifier"},
    "classifier",
    dropout="seq_classif_dropout",
  ),
  "modernbert": Layout(
    "ModernBertForSequenceClassification",
    {"head.dense": "head.dense", "head.norm": "head.norm"},
    "classifier",
    pools=_MODERNBERT,
  ),
  "deberta-v2": Layout(
    "DebertaV2ForSequenceClassification",
    {"pooler.dense": "pooler.dense"},
    "classifier",
    dropout="cls_dropout",
  ),
  "eurobert": Layout(
    "EuroBertForSequenceClassification",
    {"dense": "dense"},
    "classifier",
    dropout="",
    pools={"late": "late", "cls": "bos", "mean": "mean"},
  ),
}


# Of each token. ModernBERT's reads what its pooler makes of each, not ours.
TOKENS = {
  family: Layout(
    f"{name}ForTokenClassification", None, "classifier", dropout=dropout
  )
  for family, name, dropout in (
    ("bert", "Bert", "classifier_dropout"),
    ("roberta", "Roberta", "classifier_dropout"),
    ("xlm-roberta", "XLMRoberta", "classifier_dropout"),
    ("camembert", "Camembert", "classifier_dropout"),
    ("electra", "Electra", "classifier_dropout"),
    ("distilbert", "DistilBert", ""),
    ("deberta-v2", "DebertaV2", ""),
    ("eurobert", "EuroBert", ""),
  )
}
# Of each token, how likely an answer starts and ends there. EuroBERT has none.
SPANS = {
  family: dataclasses.replace(
    layout,
    model=layout.model.replace("TokenClassification", "QuestionAnswering"),
    output="qa_outputs",
    dropout="qa_dropout" if family == "distilbert" else "",
    columns=("start", "end"),
  )
  for family, layout in TOKENS.items()
  if family != "eurobert"
}
# Of each candidate: its head has one column, whatever labels are named; of
# EuroBERT there is none.
CHOICES = {
  "bert": Layout(
    "BertForMultipleChoice",
    {"pooler.dense": "bert.pooler.dense"},
    "classifier",
    columns=(),
  ),
  **{
    family: Layout(
      f"{name}ForMultipleChoice",
      {"pooler.dense": "roberta.pooler.dense"},
      "classifier",
      dropout="",
      columns=(),
    )
    for family, name in (
      ("roberta", "Roberta"),
      ("xlm-roberta", "XLMRoberta"),
      ("camembert", "Camembert"),
    )
  },
  "electra": Layout(
    "ElectraForMultipleChoice",
    {"classifier.dense": "sequence_summary.summary"},
    "classifier",
    dropout="summary_last_dropout",
    fixed={"summary_type": "first", "summary_activation": "gelu"},
    columns=(),
  ),
  "distilbert": Layout(
    "DistilBertForMultipleChoice",
    {"pre_classifier": "pre_classifier"},
    "classifier",
    dropout="seq_classif_dropout",
    columns=(),
  ),
  "modernbert": Layout(
    "ModernBertForMultipleChoice",
    {"head.dense": "head.dense", "head.norm": "head.norm"},
    "classifier",
    pools=_MODERNBERT,
    columns=(),
  ),
  "deberta-v2": Layout(
    "DebertaV2ForMultipleChoice",
    {"pooler.dense": "pooler.dense"},
    "classifier",
    dropout="cls_dropout",
    columns=(),
  ),
}
# transformers' class for a task -> family -> its head.
LAYOUTS: Mapping[str, Mapping[str, Layout]] = {
  "SequenceClassification": SEQUENCES,
  "TokenClassification": TOKENS,
  "QuestionAnswering": SPANS,
  "MultipleChoice": CHOICES,
}

"""How what is exported for transformers is used, as its card says it."""

CLASSIFIER = """\
```python
from transformers import AutoModelForMODEL, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(DIR)
model = AutoModelForMODEL.from_pretrained(DIR)
inputs = tokenizer(TEXTS, truncation=True, max_length=MAX_LENGTH,
                   padding=True, return_tensors="pt")
logits = model(**inputs).logits
```

or `bam_jax.load(DIR)("TASK", TEXTS)` without PyTorch."""
CANDIDATES = """\
```python
from transformers import AutoModelForMODEL, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(DIR)
model = AutoModelForMODEL.from_pretrained(DIR)
inputs = tokenizer([QUESTION] * len(CANDIDATES), CANDIDATES, truncation=True,
                   max_length=MAX_LENGTH, padding=True, return_tensors="pt")
logits = model(**SHAPED).logits
```

or `bam_jax.load(DIR)("TASK", [QUESTION], [CANDIDATES])` without PyTorch."""
MASKED = """\
```python
from transformers import pipeline

fill = pipeline("fill-mask", DIR)
fill(f"words around a {fill.tokenizer.mask_token}")
```

or `--config.encoder=DIR`, to train on."""
VECTORS = """\
```python
from transformers import AutoModel, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(DIR)
model = AutoModel.from_pretrained(DIR)
inputs = tokenizer(TEXTS, truncation=True, max_length=MAX_LENGTH,
                   padding=True, return_tensors="pt")
hidden = model(**inputs).last_hidden_state
vectors = TAKEN
```

or `python -m bam_jax.features --run=DIR`, without PyTorch; and
`--config.encoder=DIR`, to train on."""
# What of the last layer is a text's vector, by its pool.
TAKEN = {
  "cls": "hidden[:, 0]",
  "mean": """(
    hidden * (mask := inputs["attention_mask"][..., None])
).sum(1) / mask.sum(1)""",
}
# transformers' class for a task -> what it is given of one question.
SHAPED = {
  "SequenceClassification": "inputs",
  "MultipleChoice": "{name: x[None] for name, x in inputs.items()}",
}
HEADS = """\
`transformers.AutoModel.from_pretrained(DIR)` loads the encoder;
`heads/TASK.safetensors` holds the last layer of each task (`weight` [C, D] and
`bias` [C]), which reads the encoder's pooled first token, or every token where
words are tagged; heads of several layers have tensors of their own, and tasks
that share a head one file; `heads.json` says what they mean.
`bam_jax.load(DIR)("all", TEXTS)` gives all answers from one pass."""

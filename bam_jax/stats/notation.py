"""How methods are written, as far as numbers and reports read it."""

FINETUNE = "+finetune"
# What comes first where no weights do: the encoder is drawn anew.
RANDOM = "random"
# What comes first where an encoder is trained alone, on pairs of texts.
CONTRAST = "contrast"
# Between tasks that are trained together first.
AND = "&"


def varied(method: str) -> tuple[str, str]:
  """Returns a method without the variant of its last stage, and that variant.

  Variants of what comes before stay where they are.
  """
  head, at, variant = method.rpartition("@")
  if not at or "+" in variant or "->" in variant:
    return method, ""
  return head, variant


def origin(method: str) -> str:
  """Returns the method to which a variant, or else a stage at its end, adds."""
  head, variant = varied(method)
  return head if variant else method.partition("+")[0]

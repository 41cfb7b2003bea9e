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
  """Returns the method to which something is added, "" where nothing is.

  The one without its variant; or else without fine-tuning after it; or else
  without all that an encoder is trained on first.
  """
  head, variant = varied(method)
  if variant:
    return head
  if method.endswith(FINETUNE):
    return method.removesuffix(FINETUNE)
  first, arrow, rest = method.partition("->")
  before, _, kind = first.rpartition("+")
  return f"{kind}{arrow}{rest}" if before else ""

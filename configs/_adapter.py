"""What tasks have of their own in the encoder, and whether it is trained."""

from ml_collections import ConfigDict


def add(c: ConfigDict) -> None:
  """Adds the keys to the settings of every experiment."""
  # --- adapters: a little of every layer for each task (docs/adapters.md)
  c.adapter = ConfigDict()
  # none; pal, projected attention, and low_rank beside each layer (Stickland &
  # Murray 2019); pal_concat, attention and a pal in one (Less is More, section
  # 4.4); houlsby, bottlenecks behind both blocks (Houlsby et al. 2019); lora,
  # on queries and values (Hu et al. 2022); lhuc, a gate on what a layer says.
  c.adapter.kind = "none"
  # Columns of the narrow product; 0 = as published: pal and pal_concat 204,
  # low_rank 100, houlsby 50, lora 8. lhuc has none.
  c.adapter.rank = 0
  # Of lora, whose product counts alpha / rank; 0 = 8, as its paper has it on
  # GLUE.
  c.adapter.alpha = 0.0
  # One for all tasks in place of one for each.
  c.adapter.shared = False
  # Whether the encoder stays as it is, and adapters, pooler and heads alone are
  # trained. It keeps no moments then, and no gradient of its weights is made.
  c.encoder_frozen = False

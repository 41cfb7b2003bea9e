"""What the Hugging Face hub's client says, fit to be shown."""

import re

# Tokens, and what stands before the @ of an address.
_SECRET = re.compile(r"hf_\w+|(?<=://)[^/@\s]+(?=@)")


def plain(text: str) -> str:
  """Returns the first line of a text, without the user's token or password.

  A server may repeat what it was sent, and the client repeats the server.

  Args:
    text: a message or an address.
  """
  # Slow to import, and a run on local files never needs it.
  import huggingface_hub

  first = text.strip().partition("\n")[0][:500]
  if token := huggingface_hub.get_token():
    first = first.replace(token, "***")
  return _SECRET.sub("***", first)

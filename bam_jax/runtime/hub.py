"""Files of the Hugging Face hub, and what its client says, fit to be shown."""

from pathlib import Path
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


def download(repository: str, name: str, revision: str, *, cure: str) -> Path:
  """Downloads a file of a data set once; returns where it is cached.

  HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE do what they always do.

  Args:
    repository: "owner/name".
    name: path of the file in it.
    revision: branch, tag or commit.
    cure: what else could be done, said where it cannot be had.

  Raises:
    ConnectionError: the file is neither in the cache nor to be had.
  """
  # Slow to import, and a run on local files never needs it.
  import huggingface_hub

  try:
    path = huggingface_hub.hf_hub_download(
      repository, name, repo_type="dataset", revision=revision
    )
  # Its errors come from several HTTP libraries and have no common base.
  except Exception as error:
    constants = huggingface_hub.constants
    why = "HF_HUB_OFFLINE is set and the cache has no copy"
    if not constants.HF_HUB_OFFLINE:
      cause = error.__cause__ or error
      why = f"{type(cause).__name__}: {plain(str(cause))}"
    raise ConnectionError(
      f"cannot get {repository} {name} from {plain(constants.ENDPOINT)}"
      f" ({why}); {cure}"
    ) from error
  return Path(path)

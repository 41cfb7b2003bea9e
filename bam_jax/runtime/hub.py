"""Files of the Hugging Face hub, and what its client says, fit to be shown."""

import errno
from pathlib import Path
import re

from absl import logging

# Tokens, and what stands before the @ of an address.
_SECRET = re.compile(r"hf_\w+|(?<=://)[^/@\s]+(?=@)")


# What the system says where the cache cannot be written.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
# Statuses of HTTP, from and to.
_STATUS = (
  (401, 403, "the hub refuses this user: hf auth login"),
  (429, 429, "too many have asked from here: wait, or: hf auth login"),
  (500, 599, "the hub is out of order: try again later"),
)
# What several HTTP libraries raise where nobody answers.
_NETWORK = (
  *("ConnectError", "ConnectionError", "ConnectTimeout", "ReadTimeout"),
  *("ProxyError", "ReadError", "RemoteProtocolError", "SSLError", "gaierror"),
  *("ConnectionRefusedError", "ConnectionResetError", "TimeoutException"),
)


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
    cure: what else could be done whatever the cause, said where it cannot be
      had; "" = nothing.

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
    raise _refusal(error, repository, name, revision, cure) from error
  return Path(path)


def listed(repository: str, revision: str) -> tuple[str, ...]:
  """Returns the names of all files of a data set, in order.

  Where the hub cannot be asked they are those in the cache, which is said: it
  may lack some.

  Args:
    repository: "owner/name".
    revision: branch, tag or commit.

  Raises:
    ConnectionError: the hub cannot be asked and the cache has none.
  """
  import huggingface_hub

  try:
    found = huggingface_hub.list_repo_files(
      repository, repo_type="dataset", revision=revision
    )
    return tuple(sorted(found))
  except Exception as error:
    refusal = _refusal(error, repository, "", revision, "")
    try:
      folder = huggingface_hub.snapshot_download(
        repository,
        repo_type="dataset",
        revision=revision,
        local_files_only=True,
      )
    except Exception:
      raise refusal from error
  logging.warning("%s; the files of it in the cache are taken", refusal)
  paths = [path for path in Path(folder).rglob("*") if path.is_file()]
  return tuple(sorted(str(path.relative_to(folder)) for path in paths))


def _refusal(
  error: Exception, repository: str, name: str, revision: str, cure: str
) -> ConnectionError:
  """Returns the sentence: what, from where, why, and what helps against it."""
  import huggingface_hub

  endpoint = plain(huggingface_hub.constants.ENDPOINT)
  why, mine = cause(error, f"datasets/{repository}", revision)
  what = f"{repository} {name}" if name else f"the files of {repository}"
  return ConnectionError(
    "; ".join(
      filter(
        None,
        (
          f"cannot get {what} from {endpoint} ({why})",
          mine,
          cure,
        ),
      )
    )
  )


def cause(
  error: BaseException, repository: str, revision: str
) -> tuple[str, str]:
  """Returns why nothing came from the hub, and what helps against that.

  Args:
    error: what its client raised; what has caused it counts too.
    repository: "owner/name" of a model, "datasets/owner/name" of a data set.
    revision: branch, tag or commit.

  Returns:
    What was seen, and the cure; "" = nobody knows one.
  """
  from huggingface_hub import constants, errors

  if constants.HF_HUB_OFFLINE:
    seen = "HF_HUB_OFFLINE is set and the cache has no copy"
    return seen, "unset it, or fill the cache where there is a connection"
  chain = [error]
  while chain[-1].__cause__ and chain[-1].__cause__ not in chain:
    chain.append(chain[-1].__cause__)
  seen = f"{type(chain[-1]).__name__}: {plain(str(chain[-1]))}"
  place = f"https://huggingface.co/{repository}"
  kinds = (
    # The first of these kinds that the error is of.
    (errors.GatedRepoError, f"ask for access at {place}, then: hf auth login"),
    (
      errors.RepositoryNotFoundError,
      f"there is no {place}, or it is private: hf auth login",
    ),
    (errors.RevisionNotFoundError, f"{place}/tree/main has no such revision"),
    (
      errors.RemoteEntryNotFoundError,
      f"name a file that {place}/tree/{revision} shows",
    ),
  )
  for each in chain:
    for kind, cure in kinds:
      if isinstance(each, kind):
        return seen, cure
    status = getattr(getattr(each, "response", None), "status_code", 0) or 0
    for low, high, cure in _STATUS:
      if low <= status <= high:
        return seen, cure
    if isinstance(each, OSError) and each.errno in _DISK:
      return seen, "the cache has no room, or is not yours: set HF_HOME"
    if type(each).__name__ in _NETWORK:
      return seen, "see whether this machine reaches it; HTTPS_PROXY may help"
  return seen, ""

"""Files of the Hugging Face hub, and what its client says, fit to be shown."""

from pathlib import Path
import re

from absl import logging

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
  from huggingface_hub import errors

  constants = huggingface_hub.constants
  place = f"https://huggingface.co/datasets/{repository}"
  cures = (
    # The first of these kinds that the error is of.
    (errors.GatedRepoError, f"ask for access at {place}, then: hf auth login"),
    (
      errors.RepositoryNotFoundError,
      f"there is no data set {place}, or it is private: hf auth login",
    ),
    (errors.RevisionNotFoundError, f"{place}/tree/main has no such revision"),
    (
      errors.RemoteEntryNotFoundError,
      f"name a file that {place}/tree/{revision} shows",
    ),
  )
  why = "HF_HUB_OFFLINE is set and the cache has no copy"
  if not constants.HF_HUB_OFFLINE:
    cause = error.__cause__ or error
    why = f"{type(cause).__name__}: {plain(str(cause))}"
  mine = next((said for kind, said in cures if isinstance(error, kind)), "")
  what = f"{repository} {name}" if name else f"the files of {repository}"
  return ConnectionError(
    "; ".join(
      filter(
        None,
        (
          f"cannot get {what} from {plain(constants.ENDPOINT)} ({why})",
          mine,
          cure,
        ),
      )
    )
  )

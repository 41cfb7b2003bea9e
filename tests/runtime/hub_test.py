"""Why nothing came from the hub, and the cure of that very cause."""

import errno
import types

from huggingface_hub import constants, errors
import pytest

from bam_jax.runtime import hub

NAME = "someone/bert"


def of(kind, status):
  """An error as the hub's client raises it for an answer."""
  answer = types.SimpleNamespace(status_code=status, headers={}, request=None)
  return kind("what the server said\nand more", response=answer)


class ConnectError(Exception):
  """What the libraries of HTTP call it, each its own."""


def caused(error, by):
  error.__cause__ = by
  return error


@pytest.mark.parametrize(
  ("error", "cure"),
  [
    (of(errors.GatedRepoError, 403), f"ask for access at https://h.*{NAME}"),
    (
      of(errors.RepositoryNotFoundError, 404),
      f"no https://.*{NAME}, or it is",
    ),
    (of(errors.RevisionNotFoundError, 404), "has no such revision"),
    (of(errors.RemoteEntryNotFoundError, 404), "name a file that"),
    (of(errors.HfHubHTTPError, 401), "refuses this user: hf auth login"),
    (of(errors.HfHubHTTPError, 429), "wait, or: hf auth login"),
    (of(errors.HfHubHTTPError, 503), "out of order: try again later"),
    (OSError(errno.ENOSPC, "No space left on device"), "no room.*set HF_HOME"),
    (PermissionError(errno.EACCES, "Permission denied"), "set HF_HOME"),
    (ConnectError("refused"), "whether this machine reaches it"),
    (RuntimeError("who knows"), ""),
  ],
)
def test_every_cause_has_its_own_cure(monkeypatch, error, cure):
  monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
  lost = errors.LocalEntryNotFoundError("cannot find the snapshot folder")
  for one in (error, caused(lost, error)):
    seen, found = hub.cause(one, NAME, "main")
    assert type(error).__name__ in seen and "\n" not in seen
    assert hub.re.search(cure, found) if cure else found == ""


def test_without_a_connection_on_purpose_that_is_the_cause(monkeypatch):
  monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
  lost = errors.LocalEntryNotFoundError("cannot find the snapshot folder")
  assert hub.cause(lost, NAME, "main") == (
    "HF_HUB_OFFLINE is set and the cache has no copy",
    "unset it, or fill the cache where there is a connection",
  )

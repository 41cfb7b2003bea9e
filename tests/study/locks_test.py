"""Who is at work in a working directory."""

import os

from bam_jax.study import locks


def test_the_lock_tells_its_holder_and_is_not_changed_by_asking(tmp_path):
  assert locks.holder(tmp_path) == ""
  assert list(tmp_path.iterdir()) == []
  with locks.lock(tmp_path):
    before = (tmp_path / "lock").read_bytes()
    assert locks.holder(tmp_path).startswith(f"process {os.getpid()} on ")
    assert (tmp_path / "lock").read_bytes() == before
    # Asking has not let go of it.
    assert locks.holder(tmp_path)
  assert locks.holder(tmp_path) == ""

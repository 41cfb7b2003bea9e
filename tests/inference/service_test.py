"""Requests for several heads of one model, by a real server."""

from concurrent.futures import ThreadPoolExecutor
import signal

from bam_jax.inference import export as directories
from bam_jax.tasks.table import TASKS
from tests.inference.heads_test import found  # noqa: F401
from tests.serve_test import ask, get, start


def test_other_tasks_share_a_pass_and_each_gets_its_own(found, tmp_path):  # noqa: F811
  """All heads but the one that is asked are as if they had not been."""
  directories.write_heads(tmp_path / "all", found, overwrite=False)
  process, address, said = start(
    tmp_path / "all", "--no-warm-up", "--wait-ms=2000", "--abstain=1"
  )
  assert address, said

  def one(task):
    asked = {"task": task, "texts": [["the dog sees", "a cat"]]}
    return ask(address, asked)[1]["answers"][0]

  with ThreadPoolExecutor(2) as pool:
    rte, mnli = pool.map(one, ("rte", "mnli"))
  told = get(address, "/metrics")
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=60)
  assert set(rte["probabilities"]) == set(TASKS["rte"].labels)
  assert set(mnli["probabilities"]) == set(TASKS["mnli"].labels)
  assert "bam_jax_pass_rows_count 1.0" in told
  assert "bam_jax_abstained_total 2.0" in told

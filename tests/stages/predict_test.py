"""Which method answers a test set."""

from bam_jax.stages import predict, session
from bam_jax.study.workdir import Workdir
from tests import small


def test_each_task_is_answered_by_its_best_method_where_all_are_asked(
  small_run, tmp_path
):
  found = {}
  for by in ("task", "study"):
    config = small.settings(
      small_run.glue, small_run.encoder, methods="multi,single", submit=by
    )
    here = session.opened(config, Workdir(tmp_path))
    for run, (cola, stsb) in {
      "multi.cola+stsb": (30, 50),
      "single.cola": (20, None),
      "single.stsb": (None, 60),
    }.items():
      scores = {"cola": {"matthews": cola}, "stsb": {"spearman": stsb}}
      here.workdir.record(run, 0, {"scores": scores})
    found[by] = [
      (method, run.name)
      for method, run, _ in (
        predict.best(here, task) for task in here.experiment.tasks
      )
    ]
  assert found == {
    "task": [("single", "single.cola"), ("single", "single.stsb")],
    "study": [("multi", "multi.cola+stsb"), ("single", "single.stsb")],
  }

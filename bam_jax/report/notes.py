"""What has to be known to read a report's tables, in sentences.

All text here is plain, as in tables.py.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from bam_jax.report import tables
from bam_jax.stats import compare, paired, ranks
from bam_jax.stats.averages import COUNTED
from bam_jax.tasks import coverage, judged
from bam_jax.tasks.origins import Course, Glue, Synthetic
from bam_jax.tasks.table import TASKS, Task

DIFFERENCES = (
  "Difference of the medians with its 95 % interval (BCa bootstrap); P(better)"
  " is the chance that a trial of the first beats one of the second (Vargha and"
  " Delaney's A, interval of Newcombe); p of each test and, in brackets, p"
  " after Holm's correction over its family. Seeds needed: trials of each"
  " method with which a Mann-Whitney test would find a difference of this size"
  " in 80 % of cases at p < 0.05, uncorrected."
)
PAIRED = (
  "Trials of one seed share the order of their examples, the start of their"
  " heads and dropout whatever the method, so paired-t and sign-flip compare"
  " trials of the same seed. bootstrap and mann-whitney-u take them as"
  " independent and so find less. All of these ask about other seeds on the"
  " same examples; multi-bootstrap and crossed-effects also about other"
  " examples."
)
CLASSES = (
  "Median over trials ± standard deviation, x100. AUROC and average precision"
  " (AP) are of the class's probability against all others. Where one class is"
  " rare, its recall tells what the average over rows does not."
)
COSTS = (
  "Medians over trials. Trials that were trained together share their time"
  " equally; compiling is in it. FLOPs are the useful ones of training: no"
  " padding, a multiplication and an addition as two. Energy is what GPUs tell"
  " of themselves, whoever used them; other devices do not tell it."
)
COVERAGE = (
  "Share of the text's tokens that are the vocabulary's word for what it does"
  " not know, share of the rows whose end is cut because they are longer than"
  " max_length, and how many of the rows are read like a row of train."
)
PUBLISHED = (
  "Clark et al. (2019), Table 1: BERT-Large, all eight tasks of GLUE and"
  " their whole train splits, medians of at least 20 trials on the dev"
  " split. Another encoder, other data or fewer tasks do not compare."
)


def warning(rows: tables.Grid) -> str:
  """The sentence that has to stand by a table of too few trials, or ""."""
  fewest = tables.counts(rows.values())[0]
  if fewest == 1:
    return "One trial: a single run proves nothing, another seed may turn it."
  if fewest < compare.MIN_TRIALS and len(rows) > 1:
    return f"{fewest} trials are too few to test a difference."
  return ""


def reading(results: Mapping) -> Iterator[str]:
  """Yields what has to be known to read the table, a sentence at a time.

  Args:
    results: what results.json holds; see `report.write` for what is optional.
  """
  columns = compare.columns(results)
  table = TASKS | judged.table(columns)
  known = [table[column] for column in columns if column in table]
  on = "the dev split"
  if tables.split(results) != "dev":
    on = "a part of train that was held out, not on dev"
  yield (
    f"Median of the trials ± standard deviation, x100, on {on}."
    " The highest median of a column is bold."
  )
  metrics: dict[str, dict[str, None]] = {}
  seeds = set()
  for records in results["methods"].values():
    for name, record in records.items():
      metrics.setdefault(record["metric"], {})[tables.column_name(name)] = None
      seeds.add(tuple(record["seeds"]))
  yield "Metrics: " + "; ".join(
    f"{metric} for {', '.join(names)}" for metric, names in metrics.items()
  )
  for task in known:
    if len(task.dev) > 1 and tables.split(results) == "dev":
      name = tables.column_name(task.name)
      yield f"{name} is {task.dev[0]}; more under Every metric."
    if not task.in_average and "average" in columns:
      yield f"{tables.column_name(task.name)} does not count in Avg."
  for name, said in _counted(results) if "average" in columns else ():
    yield f"Avg counts of {name} {said}, as the course CS224N does."
  settings = results.get("settings", {})
  layers, every = map(settings.get, ("encoder_layers", "encoder_every"))
  some = f", one layer in {every}" if every not in (None, 1) else ""
  cut = f", its first {layers} layers" if layers else ""
  yield f"Encoder: {results['encoder']}{some}{cut}"
  yield from (f"Data: {text}" for text in _data(results, known))
  for kind in ("contrast", "single", "multi", "finetune", "frozen"):
    if kind in settings and any(kind in m for m in results["methods"]):
      pairs = (f"{key} {value}" for key, value in settings[kind].items())
      yield f"{kind.capitalize()}: {', '.join(pairs)}"
  optim = settings.get("optim", {})
  if optim.get("average", "none") != "none":
    late = f"{1 - optim['average_start']:.0%}"
    stays = f", decay {optim['average_decay']:g}" * (optim["average"] == "ema")
    yield (
      f"Kept weights: the mean of those of the last {late} of each run's steps"
      f" ({optim['average']}{stays})"
    )
  if not results.get("search"):
    for variant, changes in results.get("variants", {}).items():
      pairs = (f"{key} {value}" for key, value in changes.items())
      yield f"{variant.replace('_', ' ')}: {', '.join(pairs)}"
  if settings.get("max_steps"):
    yield f"Every run was capped at {settings['max_steps']} steps."
  if len(seeds) == 1:
    (same,) = seeds
    yield f"Trials: {len(same)} (seeds {', '.join(map(str, same))})"
  yield from selection(results)
  times = [x for run in results.get("seconds", {}).values() for x in run]
  if times:
    yield f"Training time: {_time(sum(times))} for {len(times)} models"
  if device := results.get("device"):
    on = f"{device['count']} x {device['kind']}, jax {device['jax']}"
    yield f"Device of the last command: {on}"
  yield f"Commit: {results.get('commit') or 'unknown'}"


def selection(results: Mapping) -> Iterator[str]:
  """Yields which step's model was kept, and what that does to the scores.

  Nothing where the settings do not say it.
  """
  settings = results.get("settings", {})
  select, every = settings.get("select", {}), settings.get("eval_every", 0)
  by, patience = select.get("by"), select.get("patience", 0)
  each = " for each task of a run" * select.get("per_task", False)
  if by is None:
    return
  if by == "last":
    yield "Selection: none; the model of the last step, as in the paper."
    return
  what = "the mean of the run's headline scores"
  if by != "average":
    what = f"{tables.column_name(by)}, or {what} in runs without it"
  on = "dev" if tables.split(results) == "dev" else "the held-out part of train"
  text = (
    f"Selection: of every trial the best of its evaluations on {on}, one every"
    f" {every} steps{each}, by {what}"
  )
  if patience:
    text += f"; a trial ends after {patience} evaluations without a gain"
  yield f"{text}."
  yield (
    f"{on[0].upper()}{on[1:]} chose the step and gives the score as well, so"
    " the scores are higher than on rows that chose nothing."
  )


def unread(results: Mapping) -> Iterator[str]:
  """Yields what of the tasks' text is hardly read, task by task."""
  for task, splits in results.get("coverage", {}).items():
    length = results.get("settings", {}).get("max_length")
    found = coverage.parse(splits)
    yield from coverage.warnings(tables.column_name(task), found, length)


def caption(results: Mapping, rows: tables.Grid) -> str:
  """Says beside the table of scores what the page says around it."""
  counted = list(dict.fromkeys(tables.trials(row) for row in rows.values()))
  first, *_ = reading(results)
  sentences = [first, f"Trials: {', '.join(counted)}.", warning(rows)]
  sentences += [*selection(results), *family(results)]
  return " ".join(filter(None, sentences))


def _counted(results: Mapping) -> Iterator[tuple[str, str]]:
  """Yields what of scores the average counts, where it is not themselves."""
  found = {
    name: record.get("counts_as", "score")
    for records in results["methods"].values()
    for name, record in records.items()
  }
  for name, counts_as in found.items():
    if counts_as != "score":
      yield tables.column_name(name), COUNTED[counts_as].said


def _data(results: Mapping, tasks: Iterable[Task]) -> Iterator[str]:
  given = results.get("settings", {}).get("data", {})
  origins = {type(task.origin) for task in tasks}
  if Glue in origins and "glue_dir" in given:
    yield f"GLUE from {given['glue_dir'] or 'the Hugging Face hub'}"
  if Course in origins and "cs224n_dir" in given:
    yield f"CS224N's default project from {given['cs224n_dir']}"
  if Synthetic in origins and "synthetic_seed" in given:
    yield f"synthetic suite, seed {given['synthetic_seed']}"
  if own := results.get("settings", {}).get("own_tasks"):
    shown = [name for name in own if name in compare.columns(results)]
    yield f"{', '.join(shown)} from {results['settings']['tasks_file']}"
    for name in shown:
      if share := own[name].get("dev_share"):
        yield f"dev of {name} is {share} of its train file, held out"
  if results.get("data"):
    yield results["data"]


def _time(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f"{hours} h {minutes:02} min"
  return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def family(results: Mapping) -> Iterator[str]:
  """Yields what p-values are corrected for and what stars mean."""
  kinds = Counter(test["test"] for test in results.get("tests", ()))
  if not kinds:
    return
  sizes = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
  yield (
    f"Holm's correction runs over all tests of one kind, that is over every"
    f" pair and column that was tested: {sizes}. All are two-sided."
  )
  if "paired-t" in kinds:
    yield PAIRED
  if tables.stars(results):
    baselines = " and ".join(tables.method_name(m) for m in compare.BASELINES)
    yield (
      f"∗, ∗∗, ∗∗∗: better than both {baselines}, p < 0.05, 0.01, 0.001 in"
      f" {tables.primary(results)[0]['test']} tests after that correction."
    )


def spread(rows: tables.Grid) -> str:
  """Says what the intervals of `spread` are, and when they are too narrow."""
  text = "BCa bootstrap intervals of the median, x100."
  if min(tables.counts(rows.values())) < compare.MIN_INTERVAL_TRIALS:
    text += (
      f" With fewer than {compare.MIN_INTERVAL_TRIALS} trials none between them"
      " can hold the median in 95 % of cases: take it as a range."
    )
  return text


# Primary kind of test -> the exact test of as many trials, its least p, and
# what it means when that is too much.
_EXACT: Mapping[str, tuple[str, Callable[[int, int], float], str]] = {
  "paired-t": (
    "no exact test of trials that share their seeds",
    lambda a, b: paired.least_p(min(a, b)),
    "what is bold is so by Student's t, for which differences are normal",
  ),
  "bootstrap": (
    "no Mann-Whitney test",
    ranks.least_p,
    "nothing in it can be significant",
  ),
}


def tests(kind: str, number: int, trials: tuple[int, int]) -> str:
  """Says what a table of tests shows, and whether it could show anything.

  Args:
    kind: of the tests.
    number: how many there are.
    trials: of both sides, where there are most.
  """
  text = (
    f"Difference of the medians and, in brackets, p ({kind}, two-sided) after"
    f" Holm's correction for all {number} tests of the table; bold below 0.05."
  )
  if kind in _EXACT:
    exact, least_of, therefore = _EXACT[kind]
    least = least_of(*trials)
    if least * number >= 0.05:
      text += (
        f" With so few trials {exact} can have a p below"
        f" {tables.p_value(least)}, nor below"
        f" {tables.p_value(min(1.0, least * number))} when corrected:"
        f" {therefore}."
      )
  return text


def learning(results: Mapping) -> str:
  """Says what learning curves show."""
  text = (
    "Of the run that answers for each task, while it trained: the median over"
    " trials, and a band from quartile to quartile. The loss is the mean over"
    " the steps since the point before; that of a taught run is against its"
    " mixed targets, so two methods' losses do not compare."
  )
  every = results.get("settings", {}).get("eval_every")
  if every:
    each = results["settings"].get("select", {}).get("per_task", False)
    text += f" Scores are of evaluations every {every} steps"
    text += f"{' for each task of a run' * each}."
  return text


def schedules(results: Mapping) -> str:
  """Says whose schedules are drawn."""
  found = results["schedules"]
  runs = ", ".join(
    f"{kind}: {points['run']}, {points['step'][-1] + 1} steps"
    for kind, points in found.items()
  )
  text = f"Of the longest run of each kind ({runs})."
  decays = {
    kind: results.get("settings", {}).get(kind, {}).get("layer_decay", 1.0)
    for kind in found
  }
  if any(0 < decay != 1 for decay in decays.values()):
    text += " The rate is that of the heads; layers below them have less."
  if any("lambda" in points for points in found.values()):
    text += (
      " Lambda is the weight of the gold label against the teacher's; runs"
      " without a teacher have none."
    )
  return text


def command(results: Mapping) -> str:
  """Says what a command is of."""
  return (
    f"The last command that wrote this, at commit"
    f" {results.get('commit') or 'unknown'}; secrets are ***."
  )

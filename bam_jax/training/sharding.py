"""The mesh and where arrays live on it; no other file names a mesh axis.

Axes: `data` splits rows, `fsdp` splits rows and parameters, `tensor` splits
parameters within a layer. Trials, where there are several, are never split.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
import re
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
import numpy as np

from bam_jax.models.encoders import ENCODERS

P = PartitionSpec
AXES = ("data", "fsdp", "tensor")
ROWS = ("data", "fsdp")

# What each axis of an encoder's parameters is split over; see encoders.py.
SPLIT = {
  None: None,
  "width": "fsdp",
  "inner": "tensor",
  "table": ("fsdp", "tensor"),
}


def make_mesh(
  data: int,
  fsdp: int,
  tensor: int,
  *,
  devices: Sequence[jax.Device] | None = None,
) -> Mesh:
  """Returns the mesh over all devices.

  Args:
    data: devices along this axis; -1, on one axis, stands for all that are
      left.
    fsdp: the same.
    tensor: the same.
    devices: those that are not here, to compile for; None = all that are.

  Raises:
    ValueError: the axes do not multiply to the number of devices.
  """
  sizes = [data, fsdp, tensor]
  count = jax.device_count() if devices is None else len(devices)
  known = int(np.prod([n for n in sizes if n > 0]))
  if sizes.count(-1) == 1 and count % known == 0:
    sizes[sizes.index(-1)] = count // known
  if min(sizes) < 1 or int(np.prod(sizes)) != count:
    raise ValueError(
      f"mesh data={data}, fsdp={fsdp}, tensor={tensor} does not divide over "
      f"{count} devices; their product must be {count}, and one may be "
      f"-1: --config.mesh.data=-1"
    )
  # Auto: with Explicit axes nn.Embed refuses a sharded table.
  return jax.make_mesh(
    tuple(sizes), AXES, axis_types=(AxisType.Auto,) * 3, devices=devices
  )


def row_multiple(mesh: Mesh) -> int:
  """Returns what the number of rows of a batch must be a multiple of."""
  return int(np.prod([mesh.shape[axis] for axis in ROWS]))


def path_name(path: tuple) -> str:
  """Returns a tree path as "bert/layer_0/query/kernel"."""
  return "/".join(
    str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k))))
    for k in path
  )


def rules() -> list[tuple[str, PartitionSpec]]:
  """Returns (the end of a path, its spec); the first that matches counts.

  The optimiser's moments carry the paths of the parameters, so the same rules
  place them.
  """
  return [
    # Before all others: a task may be called anything.
    (r"((heads|adapters)/.+|projection/kernel)", P()),
    *(
      (pattern, P(*map(SPLIT.get, axes)))
      for kind in ENCODERS.values()
      for pattern, axes in kind.axes.items()
    ),
    # Counts, keys and scores.
    (r"(step|key|count|bad|score|waited|plateau/scale)", P()),
  ]


def spec(name: str) -> PartitionSpec:
  """Returns the spec of one leaf, without the axis of trials."""
  for pattern, found in rules():
    if re.search(rf"(^|/){pattern}$", name):
      return found
  raise ValueError(
    f"no rule in bam_jax/models/encoders.py places the array {name!r}"
  )


def state_sharding(mesh: Mesh, shapes: Any) -> Any:
  """Returns a NamedSharding per leaf of a state with a leading trial axis.

  Args:
    mesh: from `make_mesh`.
    shapes: a tree of arrays or ShapeDtypeStructs [R, ...].

  Raises:
    ValueError: an axis of an array does not divide over its mesh axes.
  """

  def place(path, leaf):
    name = path_name(path)
    found = spec(name)
    for size, axes in zip(leaf.shape[1:], found, strict=False):
      axes = (axes,) if isinstance(axes, str) else axes or ()
      parts = int(np.prod([mesh.shape[axis] for axis in axes]))
      if size % parts:
        raise ValueError(
          f"{name} has an axis of {size}, which does not divide over "
          f"{parts} devices ({', '.join(axes)}); choose smaller "
          "--config.mesh.fsdp or --config.mesh.tensor"
        )
    return NamedSharding(mesh, P(None, *found))

  return jax.tree_util.tree_map_with_path(place, shapes)


def by_rows(mesh: Mesh) -> NamedSharding | None:
  """Returns the sharding of what each row of a batch has; None = one device."""
  return NamedSharding(mesh, P(ROWS)) if mesh.size > 1 else None


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of what every device holds whole."""
  return NamedSharding(mesh, P())


def put(
  mesh: Mesh,
  read: Callable[[slice], Mapping[str, np.ndarray]],
  rows: int,
  *,
  trials: bool,
) -> dict[str, jax.Array]:
  """Sends a batch to the devices; each process reads only its devices' rows.

  Args:
    mesh: from `make_mesh`.
    read: some of the batch's rows -> arrays [B, ...], or [R, B, ...].
    rows: of the whole batch.
    trials: whether the arrays carry the axis of trials.
  """
  axis = 1 if trials else 0
  place = NamedSharding(mesh, P(*[None] * axis, ROWS))
  if place.is_fully_addressable:
    return jax.device_put(dict(read(slice(0, rows))), place)
  held = place.addressable_devices_indices_map((1, rows)[1 - axis :])
  ranges = {d: index[axis].indices(rows)[:2] for d, index in held.items()}
  parts = {each: read(slice(*each)) for each in set(ranges.values())}

  def whole(name: str) -> jax.Array:
    pieces = [jax.device_put(parts[ranges[d]][name], d) for d in held]
    local = pieces[0].shape
    shape = (*local[:axis], rows, *local[axis + 1 :])
    return jax.make_array_from_single_device_arrays(shape, place, pieces)

  return {name: whole(name) for name in next(iter(parts.values()))}


def ahead(make: Callable[[int], Any], steps: range) -> Iterator[Any]:
  """Yields the batch of every step; a thread makes the next one meanwhile.

  One batch is ready, at most, before it is asked for. What `make` raises is
  raised where its batch would have been yielded. To be closed after use.

  Args:
    make: number of a step -> its batch, on the devices.
    steps: their numbers.
  """

  def one(k: int) -> Any:
    with jax.profiler.TraceAnnotation("next batch", step=k):
      return make(k)

  with futures.ThreadPoolExecutor(1) as thread:
    coming = thread.submit(one, steps.start) if steps else None
    for k in steps:
      batch = coming.result()
      if k + 1 in steps:
        coming = thread.submit(one, k + 1)
      yield batch


def spread(tree: Any, place: Any) -> Any:
  """Sends a tree of host arrays, the same in every process, to the devices.

  Args:
    tree: arrays; those that are on the devices already stay.
    place: the sharding of every leaf.
  """

  def send(array, where):
    if isinstance(array, jax.Array) and array.sharding == where:
      return array
    if where.is_fully_addressable:
      return jax.device_put(array, where)
    array = np.asarray(array)
    return jax.make_array_from_callback(
      array.shape, where, lambda index: array[index]
    )

  return jax.tree.map(send, tree, place)

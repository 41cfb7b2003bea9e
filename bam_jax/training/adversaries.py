"""What a step's gradient is made of: one pass, or several held together.

An adversary is a gradient and not a loss, because it may take several of them.
A row of `ADVERSARIES` is named by the config's `adversary.kind`. Some look for
the perturbation of an example's vectors that changes most: a few ascents, along
which no parameter changes, and then a pass with what was found.
"""

from collections.abc import Callable, Mapping
import dataclasses
import types
from typing import Any

import jax
import jax.numpy as jnp
import optax

from bam_jax.training import objectives, perturbation, spaces
from bam_jax.training.passes import (
  OTHER_DROPOUT,
  Gradient,
  Passes,
  alone,
  mean_over,
  plain,
  summed,
)

# What a number of the config is that the adversary's paper says, and a word.
PAPER = (-1, "paper")
# What is drawn from the key of a step besides its dropouts.
NOISE = 2


@dataclasses.dataclass(frozen=True)
class Adversary:
  """A way to make a gradient.

  Attributes:
    gradient: (passes) -> the gradient.
    constants: keys of `adversary` that it reads -> what its paper has.
    reads: keys that it reads and that have a value of their own.
    fine: whether it lives on differences that bfloat16 rounds away.
    redraws: whether it lives on dropout alone.
  """

  gradient: Callable[[Passes], Gradient]
  constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  reads: tuple[str, ...] = ()
  fine: bool = False
  redraws: bool = False

  @property
  def compares(self) -> bool:
    """Whether it compares passes, and so reads a task's adv_loss."""
    return "weight" in self.reads

  @property
  def keys(self) -> tuple[str, ...]:
    """All keys that it reads."""
    return (*self.constants, *self.reads)

  def settings(self, asked: Any) -> types.SimpleNamespace:
    """Returns the keys that it reads, those not asked for as in its paper."""
    found = {key: asked[key] for key in self.keys}
    return types.SimpleNamespace(
      **{
        key: self.constants[key] if value in PAPER else value
        for key, value in found.items()
      }
    )

  def momentum(self, asked: Any, steps: int) -> optax.Schedule | None:
    """Returns what stays of the average of the parameters, by step.

    Args:
      asked: the config's `adversary`.
      steps: of the run.

    Returns:
      A schedule; None where nothing is held against an average.
    """
    mine = self.settings(asked)
    if not getattr(mine, "proximal", 0.0):
      return None
    first, later = (
      mine.momentum
      if isinstance(mine.momentum, tuple)
      else (mine.momentum, mine.momentum)
    )
    return lambda step: jnp.where(step < 0.1 * steps, first, later)

  def __call__(self, passes: Passes) -> Gradient:
    """Returns the gradient, from passes with the config's `adversary`."""
    mine = self.settings(passes.settings)
    return self.gradient(dataclasses.replace(passes, settings=mine))


def rdrop(passes: Passes) -> Gradient:
  """Returns the gradient of R-Drop (Liang et al. 2021, equation 4).

  Two passes differ in their dropout alone; an example's loss is the mean of the
  two and, `weight` times, half of how far their outputs are apart both ways.
  """

  def both(params, batch, key, share):
    outputs, one = passes.losses(params, batch, key, share)
    others, two = passes.losses(
      params, batch, jax.random.fold_in(key, OTHER_DROPOUT), share
    )
    apart = spaces.distances(passes.heads, outputs, others, batch)
    loss = (one + two) / 2 + passes.settings.weight * apart / 2
    return loss, {"distance": apart}

  return jax.grad(summed(passes, both), has_aux=True)


@dataclasses.dataclass(frozen=True)
class Ascent:
  """How an adversary looks for a perturbation.

  Attributes:
    start: (key, batch) -> where it starts, f32[B, S, D].
    climb: (shift, slope, batch) -> where a step leads.
    found: (shift) -> the perturbation, after the last step.
    apart: (perturbed outputs, clean ones, owners) -> how far they are apart;
      see `spaces.distances`.
  """

  start: Callable[[jax.Array, Mapping], jax.Array]
  climb: Callable[[jax.Array, jax.Array, Mapping], jax.Array]
  found: Callable[[jax.Array], jax.Array] = lambda shift: shift
  apart: Callable[..., jax.Array] = objectives.distance


def smoothed(passes: Passes, ascent: Ascent) -> Gradient:
  """Returns the gradient of the loss and the distance of a perturbed pass.

  `steps` ascents on how far the outputs are from those without perturbation;
  then the distance of what was found counts `weight` times. Where an average of
  the parameters is given, the distance from its outputs counts `proximal`
  times.
  """
  asked = passes.settings

  def both(params, batch, key, share, *average):
    outputs, loss = passes.losses(params, batch, key, share)
    for before in average:
      said, _ = passes.losses(before, batch, key, share)
      loss += asked.proximal * spaces.distances(
        passes.heads, outputs, jax.lax.stop_gradient(said), batch
      )
    dropout = passes.dropout(key)

    def apart(params, clean, shift):
      said, _ = passes.losses(params, batch, dropout, share, shift)
      return spaces.distances(
        passes.heads, said, clean, batch, apart=ascent.apart
      )

    # What is climbed does not depend on the parameters.
    fixed, clean = jax.lax.stop_gradient((params, outputs))
    slope = jax.grad(lambda shift: apart(fixed, clean, shift).sum())

    def step(shift, _):
      return ascent.climb(shift, slope(shift), batch), None

    shift = ascent.start(jax.random.fold_in(key, NOISE), batch)
    shift, _ = jax.lax.scan(step, shift, length=asked.steps)
    shift = ascent.found(shift)
    far = apart(params, outputs, shift)
    return loss + asked.weight * far, {"distance": far}

  return jax.grad(summed(passes, both), has_aux=True)


def smart(passes: Passes) -> Gradient:
  """Returns the gradient of SMART (Jiang et al. 2020, algorithm 1).

  From noise of deviation `noise`, `step_size` along the slope over its norm,
  then into the ball of `epsilon` of an example.
  """
  asked = passes.settings

  def climb(shift, slope, batch):
    along = perturbation.direction(slope, asked.norm, batch)
    return perturbation.BALLS[asked.norm](
      shift + asked.step_size * along, asked.epsilon, batch
    )

  return smoothed(passes, Ascent(normal(passes), climb))


def smart_mtdnn(passes: Passes) -> Gradient:
  """Returns the gradient of what MT-DNN's code calls SMART.

  `step_size` along the slope itself; then each token's vector is divided by its
  own norm and `epsilon`, so it ends at a norm of 1 and not in a ball.
  """
  asked = passes.settings

  def climb(shift, slope, batch):
    del batch
    moved = shift + asked.step_size * slope
    return perturbation.NORMALISED[asked.norm](moved, asked.epsilon)

  return smoothed(passes, Ascent(normal(passes), climb))


def normal(passes: Passes) -> Callable[[jax.Array, Mapping], jax.Array]:
  """Returns what draws normal noise of deviation `noise`."""
  return lambda key, batch: (
    passes.settings.noise * perturbation.noise(key, batch, passes.width)
  )


def vat(passes: Passes) -> Gradient:
  """Returns the gradient of virtual adversarial training (Miyato et al. 2018).

  The direction in which the outputs change most is found by power iteration at
  a length of `noise`; the perturbation has a length of `epsilon`, both of an
  example. What is added to the loss is KL(outputs, perturbed ones), through
  the perturbed ones alone.
  """
  asked = passes.settings

  def at_noise(x, batch):
    return asked.noise * perturbation.direction(x, "2", batch)

  def apart(said, clean, owned):
    return objectives.divergence(said, jax.lax.stop_gradient(clean), owned)

  return smoothed(
    passes,
    Ascent(
      start=lambda key, batch: at_noise(
        perturbation.noise(key, batch, passes.width), batch
      ),
      climb=lambda shift, slope, batch: at_noise(slope, batch),
      found=lambda shift: shift * (asked.epsilon / asked.noise),
      apart=apart,
    ),
  )


def freelb(passes: Passes) -> Gradient:
  """Returns the gradient of FreeLB (Zhu et al. 2020, algorithm 1).

  The mean over `steps` passes of the loss, each perturbed by where the slopes
  of those before have led: from uniform noise in the ball of `epsilon`,
  `step_size` along the slope over its norm, back into the ball.
  """
  asked = passes.settings
  slopes = jax.grad(summed(passes, alone(passes)), argnums=(0, 4), has_aux=True)

  def gradient(params, batch, key, share):
    def step(shift, number):
      own = key
      if not asked.shared_dropout:
        own = jax.random.fold_in(passes.dropout(key), number)
      (grads, slope), sums = slopes(params, batch, own, share, shift)
      along = perturbation.direction(slope, asked.norm, batch)
      shift = perturbation.BALLS[asked.norm](
        shift + asked.step_size * along, asked.epsilon, batch
      )
      return shift, (grads, sums)

    shift = perturbation.start_in_ball(
      jax.random.fold_in(key, NOISE),
      asked.norm,
      asked.epsilon,
      batch,
      passes.width,
    )
    return mean_over(step, shift, asked.steps)

  return gradient


_TERM = ("weight", "shared_dropout")

ADVERSARIES: Mapping[str, Adversary] = {
  "none": Adversary(plain),
  "rdrop": Adversary(rdrop, reads=("weight",), redraws=True),
  # Section 5.1 of the paper.
  "smart": Adversary(
    smart,
    dict(
      steps=1,
      step_size=1e-3,
      epsilon=1e-5,
      noise=1e-5,
      norm="inf",
      # In the first tenth of the steps, and after it.
      momentum=(0.99, 0.999),
    ),
    reads=(*_TERM, "proximal"),
    fine=True,
  ),
  # What MT-DNN's command line sets.
  "smart_mtdnn": Adversary(
    smart_mtdnn,
    dict(steps=1, step_size=1e-5, epsilon=1e-6, noise=1e-5, norm="inf"),
    reads=_TERM,
    fine=True,
  ),
  # Of the paper on text (Miyato et al. 2017) and its code.
  "vat": Adversary(
    vat, dict(steps=1, epsilon=5.0, noise=0.1), reads=_TERM, fine=True
  ),
  # Of RTE in the authors' code; they choose others for every task.
  "freelb": Adversary(
    freelb,
    dict(steps=3, step_size=0.06, epsilon=0.14, norm="2"),
    reads=("shared_dropout",),
  ),
}

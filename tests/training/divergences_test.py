"""Divergences, their values and gradients, against PyTorch in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bam_jax.models.heads import HeadSpec
from bam_jax.training import objectives
from bam_jax.training.objectives import OBJECTIVES

torch = pytest.importorskip("torch")

B, E, C = 3, 2, 4
# Of 0 columns no example; NaN stands where nobody should look.
COLUMNS = np.array([[2, 4], [3, 0], [4, 2]], np.int32)
OTHERS = np.arange(C) >= COLUMNS[..., None]


def bent(p):
  return -torch.log(1 / (p + 1e-6) - 1 + 1e-6)


def kl(a, b):
  return (a * (a.log() - b.log())).sum()


# The formulas, of the distributions p that moves and q that it is held against.
DISTANCES = {
  "ce": lambda p, q: kl(p, q) + kl(q, p),
  "focal": lambda p, q: kl(p, q) + kl(q, p),
  "kl": lambda p, q: kl(q, p),
  "symkl": lambda p, q: kl(p, q) + kl(q, p),
  "nskl": lambda p, q: 2 * (p * (bent(p) - bent(q))).sum(),
  "nssymkl": lambda p, q: 2 * ((p - q) * (bent(p) - bent(q))).sum(),
  "js": lambda p, q: (kl(p, (p + q) / 2) + kl(q, (p + q) / 2)) / 2,
  "hellinger": lambda p, q: ((p.sqrt() - q.sqrt()) ** 2).sum() / 2,
}
LOSSES = {
  "ce": lambda p, q: -(q * p.log()).sum(),
  "ce:smoothing=0.3": lambda p, q: -((0.7 * q + 0.3 / len(q)) * p.log()).sum(),
  "focal": lambda p, q: -(q * (1 - p) ** 2 * p.log()).sum(),
  "focal:gamma=0.5": lambda p, q: -(q * (1 - p) ** 0.5 * p.log()).sum(),
  "kl": lambda p, q: torch.special.xlogy(q, q).sum() - (q * p.log()).sum(),
  "js": lambda p, q: (
    (
      torch.special.xlogy(p, p)
      + torch.special.xlogy(q, q)
      - (p + q) * ((p + q) / 2).log()
    ).sum()
    / 2
  ),
  "hellinger": lambda p, q: ((p.sqrt() - q.sqrt()) ** 2).sum() / 2,
}


def drawn(seed: int) -> np.ndarray:
  logits = np.random.default_rng(seed).normal(size=(B, E, C)) * 1.5
  return np.where(OTHERS, np.nan, logits).astype(np.float32)


def theirs(formula, one, two):
  """Returns values f64[B, E] and gradients f64[B, E, C] by `one`."""
  values, slopes = np.zeros((B, E)), np.zeros((B, E, C))
  for b, e in np.argwhere(COLUMNS):
    c = COLUMNS[b, e]
    z = torch.tensor(one[b, e, :c], dtype=torch.float64, requires_grad=True)
    t = torch.tensor(two[b, e, :c], dtype=torch.float64)
    found = formula(z, t, (b, e))
    found.backward()
    values[b, e], slopes[b, e, :c] = found.item(), z.grad.numpy()
  return values, slopes


def ours(fn, one, two):
  def total(one):
    found = fn(one, two)
    return found.sum(), found

  slopes, values = jax.grad(total, has_aux=True)(jnp.asarray(one))
  return values, slopes


def owned(name: str) -> objectives.Owners:
  return objectives.Owners(jnp.asarray(COLUMNS), {name: COLUMNS > 0})


def check(got, want):
  for mine, yours in zip(got, want, strict=True):
    np.testing.assert_allclose(mine, yours, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", DISTANCES)
def test_a_distance_is_the_formula_and_its_gradient(name):
  def formula(z, t, place):
    return DISTANCES[name](z.softmax(-1), t.softmax(-1))

  one, two = drawn(0), drawn(1)
  check(
    ours(lambda *x: objectives.distance(*x, owned(name)), one, two),
    theirs(formula, one, two),
  )
  same, slope = ours(
    lambda *x: objectives.distance(*x, owned(name)), one, one.copy()
  )
  np.testing.assert_allclose(same, 0, atol=1e-6)
  assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_the_formula_also_where_the_target_has_zeros(name):
  """Of labels mixed with a teacher, and of the label alone."""
  label = np.minimum(np.arange(B * E).reshape(B, E) % C, COLUMNS - 1)
  one, two = drawn(2), drawn(3)
  for share in (1.0, 0.3):

    def formula(z, t, place, share=share):
      gold = torch.eye(len(z), dtype=torch.float64)[label[place]]
      target = share * gold + (1 - share) * t.softmax(-1)
      return LOSSES[name](z.softmax(-1), target)

    def loss(one, two, share=share):
      own = owned(name)
      gold = objectives.gold_targets(jnp.asarray(label, jnp.float32), own, C)
      soft = objectives.teacher_targets(two, own)
      targets = objectives.soft_targets(gold, soft, jnp.ones((B, E)), share)
      return objectives.example_loss(one, targets, own)

    check(ours(loss, one, two), theirs(formula, one, two))


@pytest.mark.parametrize("heat", [1.0, 2.5])
@pytest.mark.parametrize(
  "name", [n for n, each in OBJECTIVES.items() if each.wants == "logits"]
)
def test_a_teacher_is_softened_as_its_student_is(name, heat):
  def formula(z, t, place):
    z, t = z / heat, t / heat
    if name == "mse_logits":
      return heat**2 * ((z - t) ** 2).mean()
    table = LOSSES if name in LOSSES else DISTANCES
    return heat**2 * table[name](z.softmax(-1), t.softmax(-1))

  one, two = drawn(4), drawn(5)

  def loss(one, two):
    return objectives.taught_loss(one, two, owned(name), heat)

  check(ours(loss, one, two), theirs(formula, one, two))


def test_values_have_no_temperature():
  one, two = drawn(6), drawn(7)
  found = objectives.taught_loss(one, two, owned("mse"), 3.0)
  want = np.where(COLUMNS > 0, (one - two)[..., 0] ** 2, 0)
  np.testing.assert_allclose(found, want, rtol=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_nan_in_an_own_column_is_seen_wherever_two_are_compared(name):
  one, two = np.nan_to_num(drawn(8)), np.nan_to_num(drawn(9))
  one[0, 1, 0] = np.nan
  for found in (
    objectives.distance(one, two, owned(name)),
    objectives.taught_loss(one, two, owned(name), 2.0),
  ):
    assert np.argwhere(np.isnan(found)).tolist() == [[0, 1]]


def test_huge_logits_leave_every_gradient_finite():
  logits = np.where(np.arange(C) == 1, 300.0, -300.0) * np.ones((B, E, 1))
  other = np.flip(logits, -1)
  for name in OBJECTIVES:
    _, slope = ours(
      lambda *x, name=name: objectives.distance(*x, owned(name)),
      logits.astype(np.float32),
      other.astype(np.float32),
    )
    assert np.isfinite(slope).all(), name


def test_each_role_has_its_own_objective():
  spec = HeadSpec("a", 2, "logits", "ce", kd_loss="js", adv_loss="kl")
  roles = dict.fromkeys(("loss", "kd_loss", "adv_loss"), "")
  for role in roles:
    own = objectives.owners([spec], jnp.zeros(3, jnp.int32), role=role)
    (roles[role],) = own.uses
  assert roles == {"loss": "ce", "kd_loss": "js", "adv_loss": "kl"}


@pytest.mark.parametrize("name", ["focal", "ce:smoothing=0.3"])
def test_a_loss_whose_least_is_elsewhere_is_no_divergence(name):
  one, two = drawn(10), drawn(11)
  found = objectives.divergence(one, two, owned(name))
  np.testing.assert_array_equal(
    found, objectives.distance(one, two, owned("symkl"))
  )

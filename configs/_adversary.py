"""Further passes a step, which look for what confuses the model."""

from ml_collections import ConfigDict


def add(c: ConfigDict) -> None:
  """Adds the keys to the settings of every experiment."""
  # --- adversaries: further passes a step (docs/adversarial.md)
  c.adversary = ConfigDict()
  # none; rdrop, two passes with dropout of their own and their outputs held
  # together (Liang et al. 2021); or a pass whose embeddings are perturbed where
  # that changes most: of the outputs smart (Jiang et al. 2020), smart_mtdnn
  # (MT-DNN's code) and vat (Miyato et al. 2018), of the loss freelb (Zhu et al.
  # 2020). They cost 2 to 3 times a plain step.
  c.adversary.kind = "none"
  # What the distance of the passes counts beside the loss: lambda or alpha of
  # the papers. freelb adds none.
  c.adversary.weight = 1.0
  # The rest is read by those that perturb; -1 and "paper" are what the paper of
  # each has (smart: 1, 1e-3, 1e-5, 1e-5, inf). Ascents that look for the
  # perturbation, each a pass forward and one back.
  c.adversary.steps = -1
  # How far an ascent leads along the gradient over its norm; smart_mtdnn takes
  # the gradient itself. Not of vat.
  c.adversary.step_size = -1.0
  # The most that an example is perturbed, in the norm; of smart_mtdnn what is
  # added to a token's norm before it divides.
  c.adversary.epsilon = -1.0
  # Standard deviation of the noise where ascents start; of vat the length at
  # which it looks for a direction. freelb starts anywhere in its ball.
  c.adversary.noise = -1.0
  # The norm of p: inf, 2 or 1; vat knows 2 alone.
  c.adversary.norm = "paper"
  # Whether perturbed passes drop what the clean one drops; False draws anew, as
  # codes that call the model twice do. rdrop always draws anew.
  c.adversary.shared_dropout = True
  # What the distance from the outputs of earlier parameters counts, of smart:
  # mu of its Bregman proximal point method, 1 in the paper; 0 = off. It costs
  # one more pass forward, and the memory of an average of the parameters.
  c.adversary.proximal = 0.0
  # What stays of that average in a step; -1 = 0.99 in the first tenth of the
  # steps and then 0.999.
  c.adversary.momentum = -1.0

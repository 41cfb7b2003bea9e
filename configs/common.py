"""Every key of every experiment, once, with its default and its meaning.

A config file starts from `base()` and changes what its experiment is about.
The defaults are the paper's (Clark et al. 2019, section 4); where the paper is
silent they are BERT's. Nothing in bam_jax has a default of its own. Some groups
of keys have a file of their own (configs/_groups.py).
"""

from ml_collections import ConfigDict

from configs._groups import GROUPS


def base() -> ConfigDict:
  """Returns the paper's settings, all keys present."""
  c = ConfigDict()

  # --- what is run
  # Comma-separated task names; the tables show them in this order.
  c.tasks = "cola,sst2,mrpc,stsb,qqp,mnli,qnli,rte"
  # Tasks of your own: a .toml or .yaml file (docs/own-task.md). They alone are
  # trained unless `tasks` is typed, by a flag or after the config's colon.
  c.tasks_file = ""
  c.own_tasks = ConfigDict()  # what it says; read from it, never typed
  # Comma-separated chains of `single`, `multi` and `frozen` (heads alone);
  # `a->b`: a's models teach b; `+finetune` goes on with each task alone from
  # the last model; `mnli+single` and `contrast+single` start from an encoder
  # trained first (docs/intermediate.md, docs/less-is-more.md); `@name` at the
  # end trains the last stage with a variant of the settings.
  c.methods = "single,multi,single->multi"
  # Variants: name -> the keys that it changes, as {"teacher": {"value": 0.0}};
  # they are made in a config file, see configs/paper.py.
  c.variants = ConfigDict()
  # Share of their epochs, min_steps and max_steps that variants are trained
  # for: the rungs of bam_jax.tune.
  c.variants_share = 1.0
  # What the study sets out to show, named before it runs, ; between claims:
  # "single->multi > multi; multi >= single; multi > single on rte". They are
  # tested in order, each if all before it were shown; `>` of the average unless
  # `on TASK` follows, `>=` (loses less than claims_margin) of each task in it.
  c.claims = ""
  # Points that `>=` lets a method lose on a task.
  c.claims_margin = 1.0
  # all, or one stage alone: train, teach, evaluate, predict, report.
  c.stage = "all"
  # Trials (seeds) per run: seed, seed + 1, ...
  c.trials = 1
  # Trials trained together by vmap. Costs memory; gains nothing on a CPU. 0, or
  # on the command line auto: as many as the device's memory holds.
  c.trials_at_once = 1
  c.seed = 0
  # In stage predict: trained, or majority (every WNLI test row gets the larger
  # class; no model has to be trained for it, and few beat it).
  c.wnli = "trained"
  # In stage predict, which of a run's trials answers: average (the one best on
  # dev over all tasks of the run: one model, as in the paper), task (each
  # task's best: several models) or study (each task's best of all methods).
  c.submit = "average"
  # Other working directories, with commas between them: a trial finished there,
  # of the very same settings, data, encoder and teachers, is taken over.
  c.reuse = ""
  # Caps the steps of every run; the schedules scale to the cap. 0 = no cap.
  c.max_steps = 0

  # --- the encoder
  # A Hugging Face directory, a hub name, or "scratch" (see c.scratch): a BERT,
  # RoBERTa, ELECTRA, DistilBERT, ModernBERT, DeBERTa-v3 or EuroBERT.
  c.encoder = "google-bert/bert-base-uncased"
  # Keep only the first n layers of it; 0 = all.
  c.encoder_layers = 0
  # Keep only every k-th layer, the first among them; of those the first n.
  c.encoder_every = 1
  # Its last n layers and its pooler are drawn anew by the trial's seed wherever
  # a run starts from it (Zhang et al. 2021); 0 = none. docs/concepts.md
  c.reinit_layers = 0
  # Compute type: float32 or bfloat16. Parameters are always float32.
  c.dtype = "float32"
  # The kernel of attention: einsum, or splash, jax's own for a TPU: it keeps no
  # scores of pairs of tokens, which saves memory in rows of 512 and more. It
  # needs attention_dropout=0 and a mesh of one device, and knows no DeBERTa.
  c.attention = "einsum"
  # Dropout on the probabilities of attention, in training; -1 = as the encoder
  # says.
  c.attention_dropout = -1.0
  # Recompute activations in the backward pass: less memory, more time.
  c.remat = False
  # Tokens per example, special tokens included; longer ones are truncated.
  c.max_length = 128
  # Dropout on the pooled [CLS] vector, in training.
  c.head_dropout = 0.1
  # The encoder that encoder="scratch" starts from random weights.
  c.scratch = ConfigDict()
  # bert, deberta, ..., or bilstm: a bidirectional LSTM, whose width is that of
  # both directions together; it has no heads and no mlp.
  c.scratch.kind = "bert"
  # The directory or hub name of an encoder whose tokenizer it has, such as its
  # teacher's; "" = a WordPiece vocabulary of the plain text that is trained on,
  # if there is any, or else of the synthetic suite.
  c.scratch.tokenizer = ""
  c.scratch.layers = 2
  c.scratch.width = 128
  c.scratch.heads = 4
  c.scratch.mlp = 512
  c.scratch.vocab_size = 1000
  # Whether the vocabulary of plain text is of small letters without accents.
  c.scratch.lowercase = True
  c.scratch.dropout = 0.1
  # Standard deviation of its random weights; 0.02 is for a width of 768.
  c.scratch.init_std = 0.08

  # --- data
  c.data = ConfigDict()
  # The folder of the GLUE download script; "" = the Hugging Face hub.
  c.data.glue_dir = ""
  # The folder of the data of CS224N's default project: ids-sst-train.csv and so
  # on, of the tasks sst5, quora and sts (docs/less-is-more.md).
  c.data.cs224n_dir = ""
  # Adds sentence-swapped copies of symmetric tasks' training rows.
  c.data.double_unordered = True
  # Several examples in one row; False pads each to a row of its own.
  c.data.packing = True
  # Row counts that a run may compile for; each costs one compilation.
  c.data.row_shapes = 3
  # Training rows at most, of all tasks or as in "mnli=4000,qqp=4000": drawn at
  # random, the same ones for all trials, a smaller number's among a larger's;
  # of every split that is scored, the first ones. "" = all.
  c.data.limit = ""
  c.data.dev_limit = ""
  # Share of the training rows held out and scored in place of the dev set:
  # settings are chosen on it, never on dev. What goes together stays together:
  # equal and swapped rows, phrases of a sentence. 0 = none, dev is scored.
  c.data.holdout = 0.0
  # Which share of that size it is, from 0: with holdout=0.2 the folds 0 to 4
  # are all rows, each once, as bam_jax.label_errors takes them.
  c.data.fold = 0
  # Probabilities to act on (docs/calibration.md), from rows held out of train:
  c.calibration = ConfigDict()
  # their share, as data.holdout has it; dev is scored. 0 = nothing is fitted.
  c.calibration.share = 0.0
  # By what labels' thresholds are chosen: f1, precision=0.9, or TASK=f1 for
  # some tasks; "" = one half, and of classes the likeliest.
  c.calibration.threshold = ""
  # Files of plain text (.txt, .txt.gz), with commas between them, for the tasks
  # mlm, lm and next; an empty line ends a document, and where a file has none
  # each line is one. "" = there are no such tasks but in a tasks file.
  c.data.text = ""
  # The runner of Apache Beam whose workers make features and teachers' answers,
  # as in "DirectRunner --direct_num_workers=2" (docs/beam.md); "" = none.
  c.data.beam = ""
  # Of the synthetic suite (tasks acceptability, sentiment, ...).
  c.data.synthetic_seed = 0

  # --- masked words of plain text (kind mlm; docs/pretraining.md)
  c.masking = ConfigDict()
  # Share of an example's tokens that are masked; of these 80 % become [MASK],
  # 10 % another token and 10 % stay. Each step draws anew, dev is drawn once.
  c.masking.share = 0.15
  # Whether all tokens of a word are masked together.
  c.masking.whole_words = True

  # --- questions with a context (kind span)
  c.span = ConfigDict()
  # Tokens that neighbouring windows of a context share where question and
  # context are longer than max_length (run_qa's doc_stride); at most half of
  # what a window has room for.
  c.span.stride = 128
  # Tokens of an answer at most.
  c.span.longest = 30
  # By how much "no answer" has to be likelier than the best answer to be said,
  # in logits. Where every training question has an answer, it never is.
  c.span.threshold = 0.0

  # --- how tasks are mixed (section 4, "Training Details")
  c.sampling = ConfigDict()
  # Tasks in every batch: power, proportional, uniform, log, temperature,
  # annealed, or copies (the reference code's duplicated rows and loss weights).
  # One task a batch: round_robin, in turn; sequential, one task after the
  # other; sequential_epochs, the same in every epoch.
  c.sampling.kind = "power"
  # p ~ |D|^exponent, for power and copies.
  c.sampling.exponent = 0.75
  # p ~ |D|^(1/temperature), for temperature.
  c.sampling.temperature = 2.0
  # annealed: p ~ |D|^a, a from 1 in the first epoch to 1 - anneal in the last.
  c.sampling.anneal = 0.8
  # Steps of an epoch; 0 = as many as there are batches in all rows together.
  c.sampling.steps_per_epoch = 0
  # Epochs of its own rows after which a task is drawn no more, "rte=10,mrpc=5",
  # or a number for all; the others go on. "" = none ends before the run.
  c.sampling.max_epochs = ""
  # copies only: count rows and normalise weights over the eight tasks of the
  # reference code, whatever tasks are trained.
  c.sampling.reference_sizes = False
  # A weight per task on its loss, apart from sampling: uniform, proportional
  # or power: f(|D|) / max f.
  c.sampling.loss_scale = "uniform"
  c.sampling.loss_scale_exponent = 0.75

  # --- the loss
  c.loss = ConfigDict()
  # sum or mean over a batch. The sum, as in the paper, makes the clip at 1.0
  # bite at nearly every step.
  c.loss.reduction = "sum"
  # sigmoid (the paper) or linear (the reference code).
  c.loss.regression_output = "sigmoid"

  # --- what a task chooses for itself (docs/own-task.md): one value for all
  # tasks, or TASK=VALUE for some, as in "rte=js,mnli=kl". It comes after what a
  # tasks file says; "" = as the kind of the task has it.
  c.learn = ConfigDict()
  # How its head is built: linear, mlp (mlp:width=512), project; for two texts
  # tower or san (san:turns=5:answer_dropout=0.1), or encoded each by itself
  # siamese, pair, bilinear or attention (docs/own-task.md); "" = linear.
  c.learn.head = ""
  # The task whose head it shares, as in "rte=mnli"; "" = it has its own.
  c.learn.head_of = ""
  # What its head reads: cls, the first token; mean, that of all; late, all, and
  # the mean of what is made of each, as EuroBERT's own head does; "" = cls.
  c.learn.pool = ""
  # The layer that project, pair, bilinear and attention read: last, or mix, a
  # mixture of all (ELMo's); "" = last.
  c.learn.layers = ""
  # Share of what its head reads that is dropped in training; "" = head_dropout.
  c.learn.dropout = ""
  # Against its labels: of classes ce (ce:smoothing=0.1), focal
  # (focal:gamma=2), kl, js or hellinger, of numbers mse.
  c.learn.loss = ""
  # Against a teacher's outputs, with teacher.mix=losses: of classes the same,
  # symkl, mse_logits, or MT-DNN's nskl and nssymkl; "" = its loss.
  c.learn.kd_loss = ""
  # By which an adversary (not freelb) compares two passes: the same; ce and ""
  # are symkl then, of numbers the squared error.
  c.learn.adv_loss = ""
  # What rows count by their class: balanced, or a number for each class in
  # their order, 1/3; "" = all alike.
  c.learn.class_weight = ""
  # What its loss counts among those of other tasks; "" = 1.
  c.learn.weight = ""
  # What a row without a label counts, which a teacher answers; "" = 1.
  c.learn.unlabelled_weight = ""

  # --- distillation (section 3.2)
  c.teacher = ConfigDict()
  # lambda, the share of the gold label: linear (0 -> 1, teacher annealing),
  # constant (`value`), or the name of an optax schedule with its `options`.
  c.teacher.schedule = "linear"
  c.teacher.value = 0.5
  c.teacher.options = ConfigDict()
  # targets: one loss against lambda * gold + (1 - lambda) * teacher (the
  # paper); losses: lambda * loss + (1 - lambda) * kd_loss (MT-DNN, which has
  # the constant 0.5 for lambda).
  c.teacher.mix = "targets"
  # With losses: what logits of teacher and student are divided by; the term is
  # multiplied by its square.
  c.teacher.temperature = 1.0
  # Which of the teacher's trials teach: first (the reference code; the paper
  # does not say), matched (trial k teaches trial k: trials are independent), or
  # ensemble (their mean probability). See docs/distillation.md.
  c.teacher.trials = "first"
  # Soft labels made elsewhere, in place of trained teachers:
  # "rte=soft.jsonl,mrpc=soft.parquet", or a run of another working directory,
  # with any encoder, whose logits are made: "rte=W/runs/single.rte".
  c.teacher.files = ""
  # A row without a label teaches nothing where the largest probability that its
  # teacher gives is below this; 0 = off.
  c.teacher.confidence = 0.0
  # Nor where fewer of the teaching trials (teacher.trials=ensemble), or of the
  # judges, vote for its most voted label than this share; 0 = off.
  c.teacher.agreement = 0.0
  # A frozen teacher that reads along in every taught step, whose inside the
  # student matches beside all else: a finished run W/runs/NAME, an encoder's
  # directory or hub name, of the student's tokenizer; "" = none.
  c.teacher.online = ""
  # What the mean square between their hidden states counts (TinyBERT), summed
  # over layers, projected where widths differ; 0 = off.
  c.teacher.hidden_weight = 0.0
  # Which layers match, STUDENT=TEACHER, 0 the embeddings: "0=0,1=4,2=8"; "" =
  # evenly.
  c.teacher.layer_map = ""
  # What the divergence of the relations of their last layers' tokens counts, of
  # queries with keys and of values with values (MiniLM); 0 = off.
  c.teacher.relations_weight = 0.0
  # Into how many heads both are cut for it; 0 = as many as the teacher has.
  c.teacher.relation_heads = 0

  # --- the optimiser: BERT's Adam
  c.optim = ConfigDict()
  # adam, or amsgrad, which divides by the largest second moment so far (Reddi
  # et al. 2018).
  c.optim.kind = "adam"
  c.optim.b1 = 0.9
  c.optim.b2 = 0.999
  c.optim.eps = 1e-6
  c.optim.bias_correction = False
  # Decoupled, on all but biases and LayerNorm; multiplied by the rate.
  c.optim.weight_decay = 0.01
  # Global norm of the gradient.
  c.optim.clip = 1.0
  # Share of the steps in which the rate rises.
  c.optim.warmup = 0.1
  # After that: linear, it falls to 0 at the last step; plateau, it stays until
  # evaluations bring no gain (see plateau).
  c.optim.schedule = "linear"
  # The weights that are scored and kept: none, those of the step; swa, the mean
  # of all steps from optim.average_start of the run on (Izmailov et al. 2018);
  # ema, a mean of which optim.average_decay stays in each of them.
  c.optim.average = "none"
  c.optim.average_start = 0.5
  c.optim.average_decay = 0.999
  # continuous, or bert: the decay starts at step 0, so the rate drops to 0.9
  # of its peak where warm-up ends.
  c.optim.warmup_join = "continuous"

  # --- each kind of run: epochs, examples per step (of tasks with candidates:
  # questions, each with all of its own), peak rate, and alpha: the rate of
  # depth d (0 = the heads) is rate * layer_decay^d; 1.0 = off. A small task's
  # epochs are few steps: min_steps are made whatever the epochs say.
  c.single, c.multi, c.finetune = ConfigDict(), ConfigDict(), ConfigDict()
  c.single.min_steps = c.multi.min_steps = c.finetune.min_steps = 0
  c.single.epochs = 3.0
  c.single.batch_size = 32
  c.single.rate = 5e-5
  c.single.layer_decay = 0.9
  c.multi.epochs = 6.0
  c.multi.batch_size = 128
  c.multi.rate = 1e-4
  c.multi.layer_decay = 0.9
  # Section 4, "Single-Task Fine-Tuning": as `single`, but for the rate.
  c.finetune.epochs = 3.0
  c.finetune.batch_size = 32
  c.finetune.rate = 1e-5
  c.finetune.layer_decay = 0.9
  # Runs of the first methods may start from a finished run's directory
  # (W/runs/NAME) instead of the pre-trained encoder: intermediate training; or
  # from a directory of bam_jax.export, or from any classification model of
  # transformers (rte=DIR where its labels fit several tasks). Its directory is
  # `encoder` too then: the tokenizer is read from there. Of more layers than
  # the encoder has, encoder_every and encoder_layers choose.
  c.init_from = ""
  # What to take from it: encoder (heads are new) or all. A model's head is
  # matched by the names of its labels.
  c.init_part = "encoder"
  # Seed of the weights that nothing gives a run, such as its heads', in all
  # trials: bam_jax.soup takes the mean of such trials. -1 = each trial's own.
  c.init_seed = -1

  # --- losses and gradients that are not finite
  c.nonfinite = ConfigDict()
  # stop: the run ends, and its state before that step is kept to be looked at.
  # skip: that update is left out.
  c.nonfinite.policy = "stop"
  # Steps that a run may skip.
  c.nonfinite.limit = 10

  # --- the machine
  # Devices along each axis of the mesh; -1 = all that are left.
  c.mesh = ConfigDict()
  c.mesh.data = -1
  c.mesh.fsdp = 1
  c.mesh.tensor = 1
  # Rows of a micro-batch, on all devices together: a step goes over its rows by
  # so many at a time and adds up their gradients, in less memory. 0 = all.
  c.micro_rows = 0
  # Examples per forward pass in evaluation and teaching.
  c.eval_batch_size = 128
  # Steps between reads of the device's metrics (metrics.jsonl, progress).
  c.log_every = 10
  # START:STOP: steps of every run, counted from 0, whose trace is written into
  # W/runs/RUN/profile for XProf and Perfetto; "" = none.
  c.profile = ""
  # Steps between checkpoints from which a stopped run goes on.
  c.checkpoint_every = 500
  # Where the lines of metrics.jsonl are shown too: any of tensorboard, wandb
  # and mlflow, comma-separated (docs/tracking.md). "" = nowhere.
  c.trackers = "tensorboard"
  # Lets other commands with share=True work in the same workdir: each trial is
  # done by one of them (launch/README.md).
  c.share = False

  for group in GROUPS:
    group.add(c)
  return c


def with_tasks(c: ConfigDict, arg: str) -> ConfigDict:
  """Sets `c.tasks` from the part of --config after the colon, if any."""
  if arg:
    c.tasks = arg
  return c

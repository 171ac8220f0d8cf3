# %% [markdown]
# # 5 · Climbing the board
#
# You have a score. How do those at the top get theirs? They do few things that you have not seen, and they do them one
# at a time: honest validation, augmentation, test-time augmentation, ensembles. Each is one command of the kit here.
#
# The commands work on Kaggle's digits if you have downloaded them (notebook [4](04-kaggle-exercise.ipynb)) or have
# credentials, else on the small built-in sample, and say so. About forty minutes.

# %% [markdown]
# ## 1 Two kinds of luck
#
# **What to expect.** Before you try to be better, you need to know how much of an accuracy is luck.
#
# *Luck of the draw.* Validation images are a sample. With other images the same network gets another accuracy. How much
# another, is known: about $\sqrt{p(1-p)/n}$ for an accuracy $p$ on $n$ images.

# %%
import numpy as np
import pandas as pd
from IPython.display import Image, display

from kit import figures, tracking, workshop

online = workshop.credentials()
p = 0.995
for n in (1_000, 4_200, 28_000, 42_000):
    print(f"accuracy {p:.2%} on {n:6,} images: ± {np.sqrt(p * (1 - p) / n):.3%}")

# %% [markdown]
# **What was seen.** On a thousand images two networks that differ by a tenth of a per cent cannot be told apart. More
# validation images help; but every image that validates is not learned from. *Folds* give you both.
#
# **Folds.** Cut the training images into $K$ parts. Train $K$ networks, each without one of the parts, and let it
# predict that part. In the end every training image has been predicted by a network that never saw it: these are the
# *out-of-fold* predictions, and they validate on all images. The test images are predicted by all $K$ networks,
# averaged.
#
# *Luck of the seed.* Weights begin at random, images come in random order. The same recipe with another seed gives
# another network.
#
# **What to expect.** `--folds` cross-validates. `--seeds` trains the same recipe several times, with nothing but the
# seed changed, and joins the networks. It is a small network, for four epochs.

# %%
SEEDS, FOLDS = workshop.choose(3, short=2), workshop.choose(3, short=2)
SAME = f"--epochs 4 --folds {FOLDS} " + workshop.choose("", short="--limit 400 --batch-size 64")
# !python -m kit.train --config configs/digit-recognizer/fast.yaml --name plain --seeds {SEEDS} {SAME}

# %%


def results():
    """All runs so far with their out-of-fold accuracy, best first."""
    done = [run for run in tracking.every("digit-recognizer") if run.finished]
    rows = [(run.name, run.metrics()["validation_accuracy"], run.metrics()["fit_seconds"]) for run in done]
    table = pd.DataFrame(rows, columns=["run", "out-of-fold accuracy", "seconds of fit"])
    return table.sort_values("out-of-fold accuracy", ascending=False, ignore_index=True)


results()

# %% [markdown]
# **What was seen.** The runs `plain-0`, `plain-1`, … differ in nothing but luck. Whatever you try from here on should
# help by more than they differ. `plain` is their average, the first ensemble: section 4 says why it is better than most
# of its members.
#
# ## 2 Augmentation
#
# **What to expect.** More images would help, but there are no more. So make some: each time an image is shown, it is
# turned, shifted, and zoomed a little, at random. A 7 that leans is still a 7. What changes the label must not be done:
# a 6 turned upside down is a 9, and digits have no mirror images; photographs of cats have.
#
# The network never sees the same image twice, so it cannot learn images by heart. In return it needs more epochs.

# %%
CHANGES = "--rotate 10 --shift 2 --zoom 0.1"
# !python -m kit.train --config configs/digit-recognizer/fast.yaml --name augmented {CHANGES} {SAME}

# %%
display(Image(tracking.find("augmented").figures / "augmentation.png", width=900))
display(Image(tracking.find("augmented").figures / "learning-curves.png", width=900))

# %% [markdown]
# **What was seen.** Above are images as they are, and as the network saw them. Below, training is dashed and validation
# solid. With augmentation training may look *worse* than validation: the network trains on hard images and validates on
# plain ones. As long as both still rise at the end, more epochs help. Is `augmented` better than `plain-0`, which has
# the same seed and the same epochs, and by more than luck?

# %%
results()

# %% [markdown]
# ## 3 Test-time augmentation
#
# **What to expect.** If a shifted 7 is a 7, ask the network about the shifted one too. Test-time augmentation (TTA)
# predicts several views of each image and averages. It needs no training, and usually helps a little. The kit finds out
# on out-of-fold images how much the views should count.

# %%
# !python -m kit.predict augmented --tta

# %% [markdown]
# **What was seen.** The line with *validation accuracy* compares: with TTA, and without. Compare the difference with
# what augmentation gave, which cost a whole training; and with the luck from section 1.
#
# ## 4 Ensembles
#
# **What to expect.** Networks of about the same accuracy that make *different* mistakes are better together: where one
# errs, the others outvote it. Networks that make the same mistakes only confirm each other. So join what is different:
# other seeds, other augmentation, other layers.

# %%
# !python -m kit.ensemble "plain-*" augmented --name together

# %% [markdown]
# **What was seen.** Each member's accuracy, then that of the mean. The ensemble is at least close to its best member,
# and it is better the more its members disagree. Below, who disagrees with whom:

# %%
for name in ("pairwise-disagreement", "changed-images"):
    display(Image(tracking.find("together").figures / f"{name}.png", width=700))

# %% [markdown]
# Other ways to join are `--method weighted`, `hill-climb` and `stack`. They fit weights to the out-of-fold predictions.
# With few and similar members the plain mean is hard to beat, and there is nothing in it that could overfit. Each
# prints how good it is on images that its weights were not fitted on.
#
# ## 5 Where are the mistakes?
#
# **What to expect.** At the top a few hundred images decide, and it pays to look at them. `kit.evaluate` judges a run
# on its out-of-fold predictions and writes a report.

# %%
# !python -m kit.evaluate together

# %% [markdown]
# **What was seen.** Recall is low for the digits that are overlooked, precision for those that are guessed too often.
# The worst mistakes show what kind of image is missing: slanted ones ask for more rotation, thin ones for other
# augmentation. Some labels are simply wrong; nobody gets those.
#
# ## 6 Validation against the public score
#
# **What to expect.** The leaderboard is validation too, on images whose labels you do not have. It has luck like any
# other. Here are twenty *made-up* networks, really between 99.3 % and 99.7 % good. Each is validated on 42,000 images
# and scored on 7,000. Then the same a thousand times: how good is the network that you choose?

# %%
rng = np.random.default_rng(0)
truly = np.linspace(0.993, 0.997, 20)
validation, public = (rng.binomial(n, truly, (1_000, 20)) / n for n in (42_000, 7_000))
display(figures.validation_against_public(validation[0], public[0], title="twenty made-up networks"))
for by, accuracy in (("validation", validation), ("public score", public)):
    chosen = accuracy.argmax(axis=1)
    print(f"chosen by {by:12}: shows {accuracy.max(axis=1).mean():.3%}, is truly {truly[chosen].mean():.3%} good")

# %% [markdown]
# **What was seen.** Points lie beside the line by chance alone; nobody has cheated, and nothing is overfitted. The
# winner shows more than it can do, for it was also lucky: the more so, the fewer images judge. Choosing by the public
# score, you choose luck. So:
#
# - Choose by validation, with folds; use the public score to see that validation is sound.
# - A gap that is the *same* for all your submissions is fine. A gap that *grows* with each says that you have fitted
#   your choices to the validation images, or that there is a leak.
# - A difference smaller than the band in the picture is none.
#
# Your own submissions, if there are some: the kit keeps them in a ledger, with validation and public score.

# %%
if online and tracking.find("together").metrics()["source"] == "kaggle":
    print("To Kaggle:")
    # !python -m kit.submit submissions/digit-recognizer/together.csv --message "plain and augmented, joined"
    # !python -m kit.submit --list
else:
    print("Nothing is sent: that needs Kaggle's images and your credentials.")

# %% [markdown]
# ## What to take home
#
# | step | command | what it costs |
# | --- | --- | --- |
# | know your luck | `--folds 5`, `--seeds 3` | five or three times the training |
# | augment | `--rotate 10 --shift 2 --zoom 0.1` | more epochs |
# | average views | `python -m kit.predict RUN --tta` | seconds to minutes, no training |
# | join what differs | `python -m kit.ensemble RUN RUN …` | seconds, once the runs are there |
# | look | `python -m kit.evaluate RUN` | your time, and the best spent |
#
# Larger networks come last: they cost most. When you go home, start one of these, and submit tomorrow:
#
# - `python -m kit.train --config configs/digit-recognizer/single.yaml`: the best single network;
# - `python -m kit.train --config configs/digit-recognizer/top.yaml`: the ensemble for the top; it can be interrupted,
#   and goes on with `--resume`;
# - the same for photographs: `python -m kit.train --competition cifar-10 --model resnet_small`.

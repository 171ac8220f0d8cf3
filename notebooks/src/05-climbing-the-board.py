# %% [markdown]
# # 5 · Climbing the board
#
# You have a score. How do those at the top get theirs? They do a few things that you have not seen yet, and they do
# them one at a time: honest validation, augmentation, test-time augmentation, ensembles. Each is one line with the kit.
#
# The notebook works on Kaggle's digits if you have downloaded them (notebook [4](04-kaggle-exercise.ipynb)), else on
# MNIST. About forty minutes.

# %% [markdown]
# ## 1 Two kinds of luck
#
# **What to expect.** Before you improve an accuracy, find out how much of it is luck.
#
# *Luck of the draw.* Validation images are a sample. On other images the same network has another accuracy. By how much
# it varies is known: the **standard error** of an accuracy $p$ on $n$ images is $\sqrt{p(1-p)/n}$.
#
# **Your turn.** What is the standard error of an accuracy of 99.5 % on 28,000 images? Give it as a share, not in
# percent.
#
# <details><summary>Hint</summary>
#
# `np.sqrt`, with p = 0.995 and n = 28,000. It is well below one thousandth.
#
# </details>

# %% tags=["your-turn"]
import numpy as np
from IPython.display import Image, display

import kit
from kit import figures, tracking, workshop
from kit.evaluation import table
from kit.workshop import your_turn

### BEGIN SOLUTION: the standard error
standard_error = np.sqrt(0.995 * (1 - 0.995) / 28_000)
### END SOLUTION

# %%
your_turn.standard_error(standard_error, accuracy=0.995, images=28_000)
for n in (1_000, 4_200, 28_000, 42_000):
    print(f"accuracy 99.5 % on {n:6,} images: ± {np.sqrt(0.995 * 0.005 / n):.3%}")

# %% [markdown]
# **What you see.** On a thousand images nobody can tell two networks apart that differ by a tenth of a percent. More
# validation images help, but every image that validates is missing from training. *Folds* give you both.
#
# **Folds.** Cut the training images into $K$ parts. Train $K$ networks, each without one of the parts, and let each
# predict the part that it missed. Then every training image has been predicted by a network that was not trained on it:
# these are the **out-of-fold** predictions, and they validate on all images. The test images are predicted by all $K$
# networks, averaged.
#
# *Luck of the seed.* Weights begin at random, and images come in random order. The same recipe with another seed gives
# another network.
#
# **What to expect.** `folds` cross-validates. `seeds` trains the same recipe several times, with nothing but the seed
# changed, and averages the networks. The network is small and trains for four epochs.

# %%
data = kit.load("digit-recognizer", source=workshop.source("digit-recognizer"), limit=workshop.choose(0, short=400))
SAME = workshop.choose({"epochs": 4, "folds": 3}, short={"epochs": 1, "batch_size": 64})
plain = kit.fit(data, config="fast", name="plain", seeds=workshop.choose(3, short=2), **SAME)
plain

# %%
COLUMNS = ["name", "accuracy", "standard_error", "log_loss", "seconds", "differs"]
kit.runs.table("digit-recognizer")[COLUMNS]

# %% [markdown]
# **What you see.** The runs `plain-0`, `plain-1`, … differ in nothing but luck. Whatever you try from here on has to
# help by more than they differ. `plain` is their average, your first ensemble; section 4 says why it is better than
# most of its members.
#
# ## 2 Augmentation
#
# **What to expect.** More images would help, but there are no more. So make some: each time an image is used, it is
# turned, shifted and zoomed a little, at random. A 7 that leans is still a 7. Leave out what changes the label: a 6
# turned upside down is a 9, and digits have no mirror images. Photographs of cats have.
#
# The network never sees the same image twice, so it cannot learn images by heart. In return it needs more epochs.
#
# **Your bet.** `augmented` trains for the same four epochs as `plain-0`. Which has the higher out-of-fold accuracy?

# %% tags=["your-turn"]
### BEGIN SOLUTION: "plain-0" or "augmented"
bet = "plain-0"
### END SOLUTION

# %%
your_turn.bet(bet, ["plain-0", "augmented"])

# %%
augmented = kit.fit(data, config="fast", name="augmented", rotate=10, shift=2, zoom=0.1, **SAME)
augmented

# %%
results = kit.runs.table("digit-recognizer").set_index("name")
your_turn.outcome(bet, results.loc[["plain-0", "augmented"], "accuracy"], results.loc["plain-0", "standard_error"])
for name in ("augmentation", "learning-curves"):
    display(Image(augmented.figures / f"{name}.png", width=900))

# %% [markdown]
# **What you see.** Above are images as they are, and as the network saw them. Below, training is dashed and validation
# solid. With augmentation training may be *worse* than validation: the network trains on hard images and validates on
# plain ones. While both still rise at the end, more epochs help. Four are few for augmentation.
#
# ## 3 Test-time augmentation
#
# **What to expect.** If a shifted 7 is a 7, ask the network about the shifted one, too. **Test-time augmentation**
# (TTA) predicts several augmented copies of each image and averages. It needs no training and usually helps a little.
# The kit finds out on out-of-fold images how much the copies should count.

# %%
# !python -m kit.predict augmented --tta

# %% [markdown]
# **What you see.** The summary compares the accuracy with and without TTA. Compare the gain with that of augmentation,
# which cost a whole training, and with the luck of section 1.
#
# ## 4 Ensembles
#
# **What to expect.** Networks of similar accuracy that make *different* mistakes are better together: where one is
# wrong, the others outvote it. Networks that make the same mistakes only confirm each other. So combine what differs:
# other seeds, other augmentation, other layers.
#
# **Your turn.** Average the out-of-fold probabilities of `plain-0` and `augmented` yourself. `oof()` gives them as an
# array (images, classes).
#
# <details><summary>Hint</summary>
#
# An average of two arrays is their sum, divided by two.
#
# </details>

# %% tags=["your-turn"]
first, second = kit.Run("plain-0").oof(), kit.Run("augmented").oof()
### BEGIN SOLUTION: the mean of the two
mean = (first + second) / 2
### END SOLUTION

# %%
your_turn.equal(mean, (first + second) / 2, what="the average", hint="Add the two, and divide by two.")
predicted = np.isfinite(first).all(axis=1)  # with folds, every image
for name, probabilities in (("plain-0", first), ("augmented", second), ("both", (first + second) / 2)):
    right = probabilities.argmax(axis=1) == data.train_labels
    print(f"{name:10} {np.mean(right[predicted]):.3%} of {predicted.sum():,} images")

# %% [markdown]
# The kit does that with any number of runs, averages their test predictions as well, and writes the submission:

# %%
# !python -m kit.ensemble "plain-*" augmented --name together

# %% [markdown]
# **What you see.** Each member's accuracy, then that of the average. The ensemble is at least close to its best member,
# and it gains more where its members disagree more. Who disagrees with whom:

# %%
for name in ("pairwise-disagreement", "changed-images"):
    display(Image(tracking.find("together").figures / f"{name}.png", width=700))

# %% [markdown]
# Other ways to combine are `--method weighted`, `hill-climb` and `stack`. They fit weights to the out-of-fold
# predictions. With few and similar members the plain average is hard to beat, and it has nothing that could overfit.
# Each method prints its accuracy on images that its weights were not fitted to.
#
# ## 5 Where are the mistakes?
#
# **What to expect.** At the top a few hundred images decide, so study them. `evaluate` scores a run on its out-of-fold
# predictions and writes a report, `report.html` in the run's folder. (The command `python -m kit.evaluate together`
# does the same.)

# %%
found = kit.Run("together").evaluate()
print(table.summary(found), *table.mistakes(found, 5), sep="\n")
figures.confusion_matrix(data.train_labels[found.rows], found.probabilities)

# %% [markdown]
# **What you see.** Recall is low for digits that are overlooked, precision for digits that are predicted too often. The
# worst mistakes show which kind of image is missing: slanted ones ask for more rotation. Some labels are simply wrong,
# and nobody gets those.
#
# ## 6 Validation against the public score
#
# **What to expect.** The leaderboard is validation, too, on images whose labels you do not have, and with luck of its
# own. Here are twenty *made-up* networks whose true accuracy lies between 99.3 % and 99.7 %. Each is validated on
# 42,000 images and scored on 7,000. Then the same a thousand times: how good is the network that you choose?

# %%
rng = np.random.default_rng(0)
true_accuracy = np.linspace(0.993, 0.997, 20)
validation, public = (rng.binomial(n, true_accuracy, (1_000, 20)) / n for n in (42_000, 7_000))
display(figures.validation_against_public(validation[0], public[0], title="twenty made-up networks"))
for by, accuracy in (("validation", validation), ("public score", public)):
    chosen = accuracy.argmax(axis=1)
    print(f"chosen by {by:12}: shows {accuracy.max(axis=1).mean():.3%}, is {true_accuracy[chosen].mean():.3%}")

# %% [markdown]
# **What you see.** Points lie beside the line by luck alone. Nobody has cheated, and nothing overfits. The winner shows
# more than it can do, since it was also lucky, and the fewer images judge, the more so. Whoever chooses by the public
# score chooses luck. So:
#
# - Choose by validation, with folds. Use the public score to check that validation is sound.
# - A gap that is the *same* for all your submissions is fine. A gap that *grows* says that your choices overfit the
#   validation images, or that there is a leak.
# - A difference smaller than the band in the figure is no difference.
#
# Your own submissions, if there are some. The kit keeps them in a ledger, with validation accuracy and public score.

# %%
online = workshop.credentials()
if online and data.source == "kaggle":
    print("To Kaggle:")
    # !python -m kit.submit submissions/digit-recognizer/together.csv --message "plain and augmented, averaged"
    # !python -m kit.submit --list
else:
    print("Nothing is sent: that needs Kaggle's images and your credentials.")

# %% [markdown]
# ## 7 Quiz
#
# **1.** Five folds of 8,400 images each. On how many images is the out-of-fold accuracy measured?
#
# <details><summary>Answer</summary>
#
# On all 42,000. Each image is predicted once, by the one network that was not trained on it.
#
# </details>
#
# **2.** Which augmentation is wrong for digits: shift by two pixels, mirror, rotate by ten degrees?
#
# <details><summary>Answer</summary>
#
# Mirror. A mirrored 2 is no digit, and the network would learn images that never occur.
#
# </details>
#
# **3.** Two runs have 99.60 % and 99.63 % out of fold on the same 42,000 images. Which test compares them better than
# two standard errors?
#
# <details><summary>Answer</summary>
#
# McNemar's test. It counts only the images on which exactly one of the two is right, so the luck that both share drops
# out. `python -m kit.runs --compare` prints it.
#
# </details>
#
# **4.** Ten copies of one network with the same mistakes. What does their average gain?
#
# <details><summary>Answer</summary>
#
# Nothing. An ensemble lives on members that are good *and* different.
#
# </details>
#
# ## What to take home
#
# | step | command | what it costs |
# | --- | --- | --- |
# | know your luck | `--folds 5`, `--seeds 3` | five or three times the training |
# | augment | `--rotate 10 --shift 2 --zoom 0.1` | more epochs |
# | average augmented copies | `python -m kit.predict RUN --tta` | seconds to minutes, no training |
# | combine what differs | `python -m kit.ensemble RUN RUN …` | seconds, once the runs are there |
# | study the mistakes | `python -m kit.evaluate RUN` | your time, and the best spent |
#
# In Python, `kit.fit(data, model=…)` trains with all of this, and `kit.runs.table()` compares.
#
# Larger networks come last: they cost most. When you go home, start one of these, and submit tomorrow:
#
# - `python -m kit.train --config single`: the best single network;
# - `python -m kit.train --config top`: the ensemble for the top. It can be interrupted, and `--resume` goes on;
# - the same for photographs: `python -m kit.train --competition cifar-10 --model resnet_small`.

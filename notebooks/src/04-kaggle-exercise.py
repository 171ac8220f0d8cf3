# %% [markdown]
# # 4 · Exercise: from MNIST to the leaderboard
#
# Eighty minutes, and your name stands on Kaggle's leaderboard. You build a network for handwritten digits, train it,
# look at its mistakes, and submit its predictions to the competition [Digit
# Recognizer](https://www.kaggle.com/competitions/digit-recognizer).
#
# How it works: a cell with `YOUR CODE HERE` has a gap. Fill it, run the cell, then run the check below it. The check
# says ✓, or in one sentence what is still missing. Under *Hint* is a nudge, under *Solution in words* nearly all of it.
#
# | part | minutes |
# | --- | --- |
# | 1 Look at the digits, split them | 10 |
# | 2 Build, compile, train | 25 |
# | 3 Look at the mistakes | 10 |
# | 4 Kaggle: account, data, your network once more | 15 |
# | 5 Predict, write, check, submit, read the score | 15 |
# | 6 A better score | the rest |
#
# Part 4 needs a Kaggle account that has joined the competition. If you have none, make it now, in another tab.

# %% [markdown]
# ## 1 Look at the digits
#
# **What to expect.** MNIST is the digits that everybody begins with: grey images of 28 × 28 pixels, and for each a
# label, the digit that a person read. An image is an array of numbers from 0 (black) to 255 (white).

# %%
import keras
import numpy as np
import pandas as pd
from keras import layers
from sklearn.model_selection import train_test_split

from kit import figures, loaders, workshop
from kit.loaders.limit import limited
from kit.workshop import checks

mnist = loaders.load("digit-recognizer", source=workshop.choose("keras", short="sample"))
mnist = limited(mnist, workshop.choose(12_000, short=600))  # a part is enough for now, and quick
images, labels = mnist.train_images, mnist.train_labels
print("images:", images.shape, images.dtype, "from", images.min(), "to", images.max())
print("labels:", labels.shape, labels.dtype, "the first ten:", labels[:10])
figures.labelled_images(images, labels)

# %% [markdown]
# **Your turn.** Pick all sevens: every image whose label is 7, and no other.
#
# <details><summary>Hint</summary>
#
# `labels == 7` is an array of yes and no, one for each label. An array of yes and no can be an index of another array.
#
# </details>

# %%
### BEGIN SOLUTION: all images with the label 7
sevens = images[labels == 7]
### END SOLUTION

# %%
checks.examples(sevens, images, labels, digit=7)
figures.labelled_images(sevens, title="sevens")

# %% [markdown]
# **What was seen.** No two sevens are alike. Some have a bar through the stem, some lean; you would not want to write
# rules for them. That is why the network learns from examples instead.
#
# Now how many there are of each digit:

# %%
figures.label_histogram(labels)

# %% [markdown]
# **What was seen.** About as many of each digit, so that nothing needs to be balanced.
#
# ### Split
#
# **What to expect.** A network can learn its images by heart. Whether it has understood digits shows only on images
# that it never learned from. So we put a fifth aside: the *validation* images.
#
# **Your turn.** Split `images` and `labels` with scikit-learn's
# [`train_test_split`](https://scikit-learn.org/stable/modules/generated/sklearn.model_selection.train_test_split.html).
# Each digit should have its share in both parts, and the split should be the same every time.
#
# <details><summary>Hint</summary>
#
# It takes images and labels and returns four arrays: training images, validation images, training labels, validation
# labels. The size of the part to put aside is `test_size`, the shares are kept with `stratify`, and `random_state=0`
# makes it repeatable.
#
# </details>

# %%
### BEGIN SOLUTION: train_images, validation_images, train_labels, validation_labels = …
train_images, validation_images, train_labels, validation_labels = train_test_split(
    images, labels, test_size=0.2, stratify=labels, random_state=0
)
### END SOLUTION

# %%
checks.split(train_images, train_labels, validation_images, validation_labels, whole=len(images))

# %% [markdown]
# ## 2 Build, compile, train
#
# ### Build
#
# **What to expect.** A network is a stack of layers. Convolutions look for small patterns, such as an edge or a bow,
# everywhere in the image. Pooling keeps the strongest answer of each 2 × 2 patch, so that the image shrinks. At the end
# dense layers weigh all answers and give ten numbers, the *logits*: one for each digit, the largest for the likeliest.
#
# **Your turn.** Two convolutions with 3 × 3 filters, 32 in the first and 64 in the second, a pooling after each; then
# flat, a dense layer of 128, and the ten logits. The first two lines are there: the images' size, and pixels from 0–255
# to 0–1.
#
# <details><summary>Hint</summary>
#
# The layers are `layers.Conv2D(filters, size, activation="relu")`, `layers.MaxPooling2D()`, `layers.Flatten()` and
# `layers.Dense(units, activation="relu")`. Mind the comma after each. The last layer has no activation.
#
# </details>
# <details><summary>Solution in words</summary>
#
# Conv2D 32, MaxPooling2D, Conv2D 64, MaxPooling2D, Flatten, Dense 128, Dense 10.
#
# </details>

# %%
network = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        ### BEGIN SOLUTION: convolutions, poolings, dense layers
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
        ### END SOLUTION
    ]
)

# %%
checks.built(network, image_shape=(28, 28, 1), classes=10)
figures.structure(network)

# %% [markdown]
# **What was seen.** The image becomes smaller from layer to layer, and the channels become more. Most weights are not
# in the convolutions but in the first dense layer.
#
# ### Compile
#
# **What to expect.** Before it can learn, the network needs three things:
#
# - a *loss*, the number that learning makes small. Ours says how little the network believed in the right digit;
# - an *optimizer*, the rule by which each step changes the weights. Adam is a good first choice;
# - a *metric*, the number that people look at: the accuracy, the share of right answers.
#
# **Your turn.** The labels are whole numbers, and the last layer gives logits. Choose the loss that fits both.
#
# <details><summary>Hint</summary>
#
# For labels such as 7 the loss is `keras.losses.SparseCategoricalCrossentropy`. It takes the network's numbers for
# probabilities, unless it is told `from_logits=True`.
#
# </details>

# %%
network.compile(
    ### BEGIN SOLUTION: optimizer=…, loss=…, metrics=…
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
    ### END SOLUTION
)

# %%
checks.compiled(network)

# %% [markdown]
# ### Train
#
# **What to expect.** The network sees the images in batches; after each batch the weights take a step. When all images
# were seen once, an epoch is done, and Keras prints loss and accuracy, `val_…` for the validation images. The first
# epoch helps most.
#
# **Your turn.** Call `fit` with the training images and labels. Give it `epochs=EPOCHS`, `batch_size=128`, the
# validation images and labels as `validation_data`, `callbacks=[clock]` so that time is measured, and `verbose=2` for
# one line an epoch.
#
# <details><summary>Hint</summary>
#
# `network.fit(images, labels, epochs=…, batch_size=…, validation_data=(…, …), callbacks=[clock], verbose=2)`
#
# </details>

# %%
EPOCHS = workshop.choose(5, short=3)
clock = workshop.Stopwatch()
### BEGIN SOLUTION: network.fit(…)
network.fit(
    train_images,
    train_labels,
    epochs=EPOCHS,
    batch_size=128,
    validation_data=(validation_images, validation_labels),
    callbacks=[clock],
    verbose=2,
)
### END SOLUTION

# %%
checks.trained(clock)
figures.learning_curves(clock.history, "my first network")

# %% [markdown]
# **What was seen.** The loss falls and the accuracy rises, fast at first and slower later. As long as the validation's
# curve goes with the training's, the network learns about digits. Where training goes on to improve and validation
# stays, it has begun to learn its images by heart: *overfitting*.
#
# ## 3 Look at the mistakes
#
# **What to expect.** One number says how good the network is, and not what it gets wrong. Its mistakes do.
#
# **Your turn, twice.** First make probabilities of the logits: none negative, each row adding up to 1. Then find the
# rows of the wrong predictions.
#
# <details><summary>Hint for the probabilities</summary>
#
# The function is called softmax, and Keras has it: `keras.ops.softmax`.
#
# </details>
# <details><summary>Hint for the wrong rows</summary>
#
# `probabilities.argmax(axis=1)` is the likeliest digit of each row; compare it with `validation_labels`.
# `np.flatnonzero` gives the places where something is true.
#
# </details>

# %%
logits = network.predict(validation_images, verbose=0)
### BEGIN SOLUTION: probabilities from logits
probabilities = np.asarray(keras.ops.softmax(logits))
### END SOLUTION

# %%
checks.probabilities(probabilities, validation_images, classes=10)
print("the first image is a", validation_labels[0], "and the network thinks:", np.round(probabilities[0], 3))

# %%
### BEGIN SOLUTION: the row numbers of all wrong predictions
wrong = np.flatnonzero(probabilities.argmax(axis=1) != validation_labels)
### END SOLUTION

# %%
checks.mistakes(wrong, validation_labels, probabilities)
figures.confusion_matrix(validation_labels, probabilities)

# %% [markdown]
# Each row is a true digit, each column a prediction; what is off the diagonal is wrong. Which two digits does your
# network confuse most often? Here are its worst mistakes, those that it was surest of:

# %%
figures.wrong_predictions(validation_images, validation_labels, probabilities)

# %% [markdown]
# **What was seen.** Some of these you would have read at once; more training or more images would help there. Others no
# person reads for sure: nobody gets them all.
#
# ## 4 Kaggle
#
# ### Your account
#
# 1. [Make an account](https://www.kaggle.com/account/login) if you have none.
# 2. On [the competition's page](https://www.kaggle.com/competitions/digit-recognizer) press *Join Competition* and
#    accept the rules. Without that Kaggle answers every request with "forbidden".
# 3. Make a token on <https://www.kaggle.com/settings/api>, copy it, and put it where the next cell can find it; the
#    cell says where. **A token is a password: never write it into a notebook.**
#
# **What to expect.** `found`, or what to do. You can go on without a token: then nothing is sent, and the built-in
# sample takes the place of Kaggle's images.

# %%
online = workshop.credentials()

# %% [markdown]
# ### The data
#
# **What to expect.** Kaggle gives 42,000 images with labels to train on, and 28,000 without, to predict. They come as
# tables in a zip file, which the kit reads as it is.

# %%
if online:
    print("Asking Kaggle for the files.")
    # !python -m kit.download digit-recognizer
kaggle = loaders.load("digit-recognizer")
print(loaders.describe(kaggle))
kaggle = limited(kaggle, workshop.choose(0, short=600))
figures.labelled_images(kaggle.test_images, title="images to predict: no labels")

# %% [markdown]
# ### Why not submit the network from above?
#
# It would score well, and the score would mean nothing. The 28,000 images that Kaggle wants predicted *are* MNIST
# images: a network trained on MNIST may have learned the very answers. That is called a *leak*, and looking at the
# leaderboard you can see that it tempts many: scores of 1.00000 are made so. `python -m kit.submit` refuses runs of the
# kit that have seen MNIST. We train the same layers again, from new random weights, on Kaggle's own training images.
#
# **Your turn.** `clone_model` has made the layers once more, with new weights. Split Kaggle's images as above, compile,
# and fit. It may be the same code with other names.
#
# <details><summary>Hint</summary>
#
# Copy the three cells from above. The images are now `kaggle.train_images` and `kaggle.train_labels`, the network is
# `final`, the stopwatch `final_clock`.
#
# </details>

# %%
final = keras.models.clone_model(network)
final_clock = workshop.Stopwatch()
### BEGIN SOLUTION: split, compile, fit
train_images, validation_images, train_labels, validation_labels = train_test_split(
    kaggle.train_images, kaggle.train_labels, test_size=0.1, stratify=kaggle.train_labels, random_state=0
)
final.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
final.fit(
    train_images,
    train_labels,
    epochs=EPOCHS,
    batch_size=128,
    validation_data=(validation_images, validation_labels),
    callbacks=[final_clock],
    verbose=2,
)
### END SOLUTION

# %%
checks.compiled(final)
checks.split(train_images, train_labels, validation_images, validation_labels, whole=len(kaggle.train_images))
checks.trained(final_clock)
validation_accuracy = final_clock.history["val_accuracy"].iloc[-1]

# %% [markdown]
# **What was seen.** Kaggle gives more images than we took of MNIST. With more images the accuracy is usually better,
# though nothing else has changed. Remember the validation accuracy. It is your forecast of the score.
#
# ## 5 To the leaderboard
#
# ### Predict
#
# **Your turn.** Predict all test images; for each image one digit, a whole number.
#
# <details><summary>Hint</summary>
#
# `final.predict(…)` gives ten logits an image. The place of the largest is the digit: `argmax`, along which axis?
#
# </details>

# %%
### BEGIN SOLUTION: the predicted digit of every test image
digits = final.predict(kaggle.test_images, verbose=0).argmax(axis=1)
### END SOLUTION

# %%
checks.predicted(digits, kaggle)
figures.labelled_images(kaggle.test_images, digits, title="predicted")

# %% [markdown]
# **What was seen.** Look at a few: is it right? Nobody else will tell you, but for one number from Kaggle.
#
# ### Write
#
# **What to expect.** A submission is a CSV file. The first line is `ImageId,Label`; then follows a line for each test
# image: its number, counted from 1 and in order, and the digit.
#
# **Your turn.** Make a table with these two columns and write it to `path`. The numbers are in `kaggle.test_ids`.
#
# <details><summary>Hint</summary>
#
# `pd.DataFrame({"…": …, "…": …})` makes a table of columns. `to_csv(path)` writes it, and adds a column of its own, the
# index, unless it is told `index=False`.
#
# </details>

# %%
path = workshop.submission_path("my-first-network")
### BEGIN SOLUTION: a table with the columns ImageId and Label, written to path
table = pd.DataFrame({"ImageId": kaggle.test_ids, "Label": digits})
table.to_csv(path, index=False)
### END SOLUTION

# %%
checks.written(path, kaggle)
print(*path.read_text().splitlines()[:4], "…", sep="\n")

# %% [markdown]
# ### Check
#
# **What to expect.** Kaggle takes five submissions a day, wrong ones too. `--dry-run` shows what would be sent, without
# sending it: how many rows, and how the predicted digits are spread beside the training labels. If one digit is
# predicted twice as often as it occurs, something is wrong with the network.

# %%
if kaggle.source == "kaggle":
    print("What would be sent:")
    # !python -m kit.submit {path} --dry-run
else:
    print("These predictions are for the sample, so there is nothing of Kaggle's to compare them with.")

# %% [markdown]
# ### Submit
#
# **Your turn.** The same command without `--dry-run`, and with a message by which you will know the submission again:
# `--message "…"`. A line that begins with `!` is a command; `{path}` puts the path in. It uploads, waits for the score
# and prints it.
#
# <details><summary>Hint</summary>
#
# `!python -m kit.submit {path} --message "two convolutions"`. If the kit finds something strange it does not send; once
# you have looked and want it sent all the same, add `--yes`.
#
# </details>

# %%
if online and kaggle.source == "kaggle":
    print("To Kaggle:")
    ### BEGIN SOLUTION: the command, beginning with !
    # !python -m kit.submit {path} --message "two convolutions"
    ### END SOLUTION
else:
    print("Nothing is sent: that needs Kaggle's images and your credentials.")

# %% [markdown]
# ### Read the score

# %%
checks.sent(path, kaggle, validation_accuracy)

# %% [markdown]
# **What was seen.** If you have a score, it lies close to the validation accuracy, as it should: neither set of images
# was learned from. The two are not equal, because chance decides which hard images are in which set. With $n$ images
# and an accuracy of $p$, chance alone moves the accuracy by about $\sqrt{p(1-p)/n}$:

# %%
chance = np.sqrt(validation_accuracy * (1 - validation_accuracy) / len(validation_images))
print(f"validation accuracy {validation_accuracy:.4f} ± {chance:.4f}, from {len(validation_images):,} images")

# %% [markdown]
# A difference that is smaller than this says nothing about which network is better. With a score you stand on [the
# leaderboard](https://www.kaggle.com/competitions/digit-recognizer/leaderboard) now: look for your name.
#
# ## 6 A better score
#
# **What to expect.** The kit has networks that others have tuned for these digits. One command trains, writes figures
# and the CSV; `kit.submit` without a path takes the newest CSV.

# %%
FEW = workshop.choose("", short="--limit 600 --epochs 3 --batch-size 32")
# !python -m kit.train --config configs/digit-recognizer/fast.yaml --name fast {FEW}

# %%
if online and kaggle.source == "kaggle":
    print("To Kaggle:")
    # !python -m kit.submit
    # !python -m kit.submit --list

# %% [markdown]
# **What was seen.** `--list` shows your submissions, best first, each with its validation accuracy where the kit knows
# it.
#
# Where to go from here:
#
# - Change one thing in your network, train it again, and see whether validation is better by more than chance: more
#   filters, a dropout, a third convolution, more epochs.
# - `python -m kit.train --model resnet_small` takes longer and is better still.
# - Draw a digit, photograph it, and ask: `python -m kit.predict fast --images my-digit.png`.
# - [05-climbing-the-board](05-climbing-the-board.ipynb) shows what the best do: folds, augmentation, ensembles.

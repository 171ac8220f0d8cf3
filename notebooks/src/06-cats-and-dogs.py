# %% [markdown]
# # 6 · Exercise: cats and dogs, or photos of your own
#
# Ninety minutes from a folder of photos to a network that tells its classes apart. You turn the folder into a
# competition in Kaggle's form, let the kit set it up, and train three times: from scratch, on VGG16's features in plain
# Keras, and with the kit's transfer network. Then you beat them with a design of your own.
#
# It works as notebook [4](04-kaggle-exercise.ipynb) does: fill each gap, run the cell, then run the check below it. It
# prints ✓, or one sentence that says what is still missing. You should have seen notebook
# [2](02-transfer-learning.ipynb).
#
# | part | minutes |
# | --- | --- |
# | 1 The photos | 10 |
# | 2 A competition of your own | 15 |
# | 3 From scratch | 15 |
# | 4 Transfer in plain Keras | 20 |
# | 5 Transfer with the kit | 15 |
# | 6 Your own design, and the certificate | 15 |

# %% [markdown]
# ## 1 The photos
#
# Take what you like: cats and dogs, mushrooms, screws, the tools on your desk. Make a folder `photos` beside the folder
# `notebooks`, with a folder for each class in it:
#
# ```
# photos/cat/1.jpg   photos/cat/2.jpg   …
# photos/dog/1.jpg   photos/dog/2.jpg   …
# ```
#
# A hundred photos of a class are a good number, and ten are the least. JPEG, PNG, WebP, GIF, BMP and TIFF are read.
#
# **What to expect.** A line that says whose photos are used. If there is no folder `photos`, the cell looks for the
# files of Kaggle's [Dogs vs. Cats](https://www.kaggle.com/competitions/dogs-vs-cats-redux-kernels-edition). If these
# are not there either, it takes CIFAR-10's cats and dogs. Those are small, and the task is hard with them.

# %%
import pathlib

import keras
import numpy as np
import pandas as pd
from keras import layers
from keras.applications.vgg16 import preprocess_input
from sklearn.model_selection import train_test_split

import kit
from kit import figures, workshop
from kit.workshop import checks
from kit.zoo import imagenet

NAME = "cats-and-dogs"  # your competition's: small letters and hyphens
photos = workshop.photo_folder(
    "photos", per_class=workshop.choose(1_000, gpu=4_000, short=30), cifar=workshop.source("cifar-10")
)
print(*sorted(path.relative_to(photos) for path in photos.rglob("*.*"))[:3], "…", sep="\n")

# %% [markdown]
# **Your turn.** How many photos does each class have? Make a dict from the folder's name to the number of files in it,
# such as `{"cat": 120, "dog": 115}`.
#
# <details><summary>Hint</summary>
#
# `photos.iterdir()` gives the folders, `folder.name` the name of one, and `len(list(folder.iterdir()))` counts its
# files.
#
# </details>
# <details><summary>Solution in words</summary>
#
# A dict comprehension: the folder's name, a colon, the length of the list of its files, for each folder in `photos`.
#
# </details>

# %%
### BEGIN SOLUTION: a dict from each folder's name to its number of photos
counts = {folder.name: len(list(folder.iterdir())) for folder in photos.iterdir() if folder.is_dir()}
### END SOLUTION

# %%
checks.counted(counts, photos)
guess = max(counts.values()) / sum(counts.values())
print(f"Who always says the commonest class is right in {guess:.1%} of the cases. Every network has to beat that.")

# %% [markdown]
# ## 2 A competition of your own
#
# ### In Kaggle's form
#
# **What to expect.** Kaggle gives labelled images to train on, and test images without labels. The next cell copies
# your photos so: four fifths to `train/<class>/`, one fifth to `test/` under names that tell nothing. It keeps the
# answers, as Kaggle would.

# %%
folder = pathlib.Path("data") / NAME
answers = workshop.as_competition(photos, folder)
print(*sorted(str(path) for path in folder.glob("*/*"))[:5], "…", sep="\n")

# %% [markdown]
# Kaggle also gives a **sample submission**: a table of all test images in the form in which it wants the predictions.
# Yours has the columns `id`, a test photo's file name, and `label`, any class.
#
# **Your turn.** Write it to `sample`: a row for each photo in `folder / "test"`, in the order of the names.
#
# <details><summary>Hint</summary>
#
# `sorted(path.name for path in (folder / "test").iterdir())` gives the names. `pd.DataFrame({"id": …, "label": …})`
# repeats a single label for all rows. Mind `index=False`.
#
# </details>
# <details><summary>Solution in words</summary>
#
# A list of names, sorted; a DataFrame with the column `id` of these names, and the column `label` of one class;
# `to_csv(sample, index=False)`.
#
# </details>

# %%
sample = folder / "sample_submission.csv"
### BEGIN SOLUTION: a table with the columns id and label, written to sample
names = sorted(path.name for path in (folder / "test").iterdir())
pd.DataFrame({"id": names, "label": next(iter(counts))}).to_csv(sample, index=False)
### END SOLUTION

# %%
checks.sample_submission(sample, folder)

# %% [markdown]
# ### Set up
#
# **What to expect.** `kit.new` looks through the files. It finds the layout, the classes and a size for the images, and
# writes these facts to `configs/<name>/competition.yaml`. From then on every command of the kit knows your competition.
# (It never overwrites facts; so those of an earlier run of this notebook go first.)
#
# **Your turn.** Set up the competition `{NAME}` with the command `python -m kit.new`, its name, and `--yes`, which
# takes what is likely instead of asking. A line that begins with `!` is a command.
#
# <details><summary>Hint</summary>
#
# `!python -m kit.new {NAME} --data {folder} --yes`. Without `--data` it would look for a competition on Kaggle.
#
# </details>

# %%
(pathlib.Path("configs") / NAME / "competition.yaml").unlink(missing_ok=True)
### BEGIN SOLUTION: the command, beginning with !
# !python -m kit.new {NAME} --data {folder} --yes
### END SOLUTION

# %%
checks.set_up(NAME)
data = workshop.answered(kit.load(NAME), answers)
class_names = data.competition.class_names
print(data)
figures.class_examples(data.train_images, data.train_labels, class_names, per_class=workshop.choose(8, short=2))

# %% [markdown]
# **What you see.** All photos have one size now: the middle square, made smaller or left as it is. Could you tell them
# apart yourself at this size? If not, do not ask it of a network.
#
# ### Split
#
# **Your turn.** Put a fifth of `data.train_images` and `data.train_labels` aside for validation; each class with its
# share, and the same split every time.
#
# <details><summary>Hint</summary>
#
# `train_test_split(…, …, test_size=0.2, stratify=…, random_state=0)` returns training images, validation images,
# training labels, validation labels.
#
# </details>

# %%
### BEGIN SOLUTION: train_images, validation_images, train_labels, validation_labels = …
train_images, validation_images, train_labels, validation_labels = train_test_split(
    data.train_images, data.train_labels, test_size=0.2, stratify=data.train_labels, random_state=0
)
### END SOLUTION

# %%
checks.split(train_images, train_labels, validation_images, validation_labels, whole=len(data.train_images))
error = np.sqrt(0.25 / len(validation_images))
print(f"The standard error of an accuracy is at most {error:.1%} here. Mind it in every comparison below.")

# %% [markdown]
# ## 3 From scratch
#
# **What to expect.** A base line first: a small network with random weights. It has few photos to learn from, so it
# will not get far. What it reaches is what transfer has to beat.
#
# **Your turn.** Build `scratch`: images of `data.competition.image_shape` in, `len(class_names)` logits out. Take at
# least one convolution and one pooling, and an augmentation: a mirrored cat is a cat. Compile it and fit it for
# `EPOCHS` epochs, with `scratch_clock`.
#
# <details><summary>Hint</summary>
#
# `keras.Input(…)`, `layers.RandomFlip("horizontal")`, `layers.Rescaling(1 / 255)`, then two or three times a
# convolution and a pooling. `layers.GlobalAveragePooling2D()` makes one row of the rest, and a dense layer ends it.
# Optimizer, loss and `fit` are those of notebook 4.
#
# </details>
# <details><summary>Solution in words</summary>
#
# Input, RandomFlip, Rescaling, Conv2D 32, MaxPooling2D, Conv2D 64, MaxPooling2D, Conv2D 128, GlobalAveragePooling2D,
# Dropout 0.3, Dense. Adam, SparseCategoricalCrossentropy with `from_logits=True`, accuracy.
#
# </details>

# %%
EPOCHS = workshop.choose(12, gpu=30, short=2)
scratch_clock = workshop.Stopwatch()
### BEGIN SOLUTION: build, compile and fit scratch
scratch = keras.Sequential(
    [
        keras.Input(data.competition.image_shape),
        layers.RandomFlip("horizontal"),
        layers.Rescaling(1 / 255),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(128, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dropout(0.3),
        layers.Dense(len(class_names)),
    ]
)
scratch.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
scratch.fit(
    train_images,
    train_labels,
    epochs=EPOCHS,
    batch_size=32,
    validation_data=(validation_images, validation_labels),
    callbacks=[scratch_clock],
    verbose=2,
)
### END SOLUTION

# %%
checks.built(scratch, data.competition.image_shape, len(class_names))
checks.compiled(scratch)
checks.trained(scratch_clock, least=workshop.choose(guess, short=0.1))
figures.learning_curves(scratch_clock.history, "from scratch")

# %% [markdown]
# ## 4 Transfer in plain Keras
#
# ### The base
#
# **What to expect.** VGG16 without its top, for images of 96 × 96: it was made for larger photos, and needs some size.
# Its weights are looked for in `data/`, on Kaggle, in Keras's folder and on the internet. If they are nowhere, the
# notebook goes on with **random** weights and says so. Everything works then, and there is nothing to transfer: read
# the accuracies as those of random features.

# %%
SIDE = workshop.choose(96, short=32)
vgg = imagenet.vgg16_weights(download=workshop.choose(True, short=False))
print(vgg.origin)
base = keras.applications.VGG16(include_top=False, weights=vgg.file, input_shape=(SIDE, SIDE, 3))


def prepared(images):
    """Return images as VGG16 takes them: of its size, and with its preprocessing."""
    return preprocess_input(np.array(keras.ops.image.resize(images.astype("float32"), (SIDE, SIDE))))


# %% [markdown]
# **Your turn.** Freeze the base: no weight of it may learn.
#
# <details><summary>Hint</summary>
#
# A layer has `trainable`, and so has a whole network.
#
# </details>

# %%
### BEGIN SOLUTION: freeze base
base.trainable = False
### END SOLUTION

# %%
checks.frozen(base)

# %% [markdown]
# ### Features, once
#
# **What to expect.** A frozen base computes the same for a photo in every epoch. So compute it once for all photos.
# This is the slow cell of this part: a minute on two cores for 2,000 photos.
#
# **Your turn.** Compute the base's `features` of the training images, and `validation_features` of the validation
# images.
#
# <details><summary>Hint</summary>
#
# `prepared(…)` first, then `base.predict(…, verbose=0)`.
#
# </details>

# %%
### BEGIN SOLUTION: features and validation_features
features = base.predict(prepared(train_images), verbose=0)
validation_features = base.predict(prepared(validation_images), verbose=0)
### END SOLUTION

# %%
checks.features(features, base, prepared(train_images))
checks.features(validation_features, base, prepared(validation_images))

# %% [markdown]
# ### The head
#
# **Your turn.** Build a `head` on the features, with two layers or three. It begins with
# `keras.Input(features.shape[1:])` and ends with `len(class_names)` logits. Compile and fit it on the features for 20
# epochs, with `head_clock`.
#
# <details><summary>Hint</summary>
#
# `layers.GlobalAveragePooling2D()` makes 512 numbers of a photo. A `layers.BatchNormalization()` after it brings them
# to one scale. Then `layers.Dropout(0.5)` and the logits. The validation data are `validation_features` and
# `validation_labels`.
#
# </details>
# <details><summary>Solution in words</summary>
#
# Input, GlobalAveragePooling2D, BatchNormalization, Dense 128 with ReLU, Dropout 0.5, Dense. Compiled as before, and
# fitted on features and labels, with a batch size of 32.
#
# </details>

# %%
head_clock = workshop.Stopwatch()
### BEGIN SOLUTION: build, compile and fit head
head = keras.Sequential(
    [
        keras.Input(features.shape[1:]),
        layers.GlobalAveragePooling2D(),
        layers.BatchNormalization(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(len(class_names)),
    ]
)
head.compile(
    optimizer="adam",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
head.fit(
    features,
    train_labels,
    epochs=workshop.choose(20, short=2),
    batch_size=32,
    validation_data=(validation_features, validation_labels),
    callbacks=[head_clock],
    verbose=0,
)
### END SOLUTION

# %%
checks.head(head, features.shape[1:], len(class_names))
checks.compiled(head)
checks.trained(head_clock, least=workshop.choose(guess, short=0.1))
print(f"{vgg.label}, frozen")
figures.learning_curves({"from scratch": scratch_clock.history, f"head on {vgg.label}": head_clock.history})

# %% [markdown]
# **What you see.** The head learns in seconds (the pass through VGG16 is not counted). With ImageNet's weights its
# curve begins far above the end of the other one: VGG16 knew cats and dogs, and much else, before it saw your photos.
#
# Which photos does it get wrong?

# %%
probabilities = np.asarray(keras.ops.softmax(head.predict(validation_features, verbose=0)))
figures.wrong_predictions(validation_images, validation_labels, probabilities, class_names, count=8)

# %% [markdown]
# ## 5 Transfer with the kit
#
# **What to expect.** The kit's network `transfer` takes any backbone of Keras, enlarges the images inside the network,
# and computes what is frozen once, as you did. One command trains it, draws figures and predicts the test photos.
#
# **Your turn.** Train the network `transfer` with the options `backbone=VGG16`, `image_size={SIDE}` and `layer={LAYER}`
# (the block that the head stands on) on your competition: from the weights `{vgg.file}`, for 10 epochs, with a fifth of
# the photos for validation, under the name `{FROZEN}`.
#
# <details><summary>Hint</summary>
#
# `!python -m kit.train --competition … --model … --options … … … --weights … --epochs … --validation-share … --name …`
#
# </details>
# <details><summary>Solution in words</summary>
#
# `--competition {NAME} --model transfer --options backbone=VGG16 image_size={SIDE} layer={LAYER} --weights {vgg.file}
# --epochs 10 --validation-share 0.2 --name {FROZEN}`
#
# </details>

# %%
LAYER = workshop.choose("block5", short="block1")  # VGG16's last block
FROZEN = workshop.unused("frozen", NAME)  # a second time the name is frozen-2: nothing is overwritten
### BEGIN SOLUTION: the command, beginning with !
# !python -m kit.train --competition {NAME} --model transfer --options backbone=VGG16 image_size={SIDE} layer={LAYER} \
#     --weights {vgg.file} --epochs 10 --validation-share 0.2 --name {FROZEN}
### END SOLUTION

# %%
checks.run(FROZEN, NAME, model="transfer")
frozen = kit.Run(f"{NAME}/{FROZEN}")
frozen

# %% [markdown]
# With internet, other backbones are one word away. `EfficientNetV2B0` is smaller than VGG16 and knows more:
# `--options backbone=EfficientNetV2B0 image_size=96`, without `--weights`. `python -m kit.zoo transfer` lists them all.
#
# ### Submit
#
# **Your turn.** Predict the test photos with the run, and write the table: `id` from `data.test_ids`, and `label`, the
# *name* of the likeliest class.
#
# <details><summary>Hint</summary>
#
# `frozen.predict(data.test_images)` gives probabilities (photos, classes). `np.array(class_names)[…]` makes names of
# class numbers.
#
# </details>
# <details><summary>Solution in words</summary>
#
# Probabilities, `argmax(axis=1)`, names; a DataFrame with the columns `id` and `label`; `to_csv(path, index=False)`.
#
# </details>

# %%
path = workshop.submission_path("frozen-by-hand", NAME)
### BEGIN SOLUTION: a table with the columns id and label, written to path
predicted = np.array(class_names)[frozen.predict(data.test_images).argmax(axis=1)]
pd.DataFrame({"id": data.test_ids, "label": predicted}).to_csv(path, index=False)
### END SOLUTION

# %%
checks.written(path, data)
checks.sent(path, data, frozen.accuracy)

# %% [markdown]
# **What you see.** The practice board has the answers that were kept in part 2. Its score is close to the validation
# accuracy, give or take two standard errors, since no network has seen these photos.
#
# And a photo of today? Put it beside the folder `notebooks` as `my-photo.jpg`, and run this cell again.

# %%
if pathlib.Path("my-photo.jpg").exists():
    print("Your photo:")
    # !python -m kit.predict {NAME}/{FROZEN} --images my-photo.jpg
else:
    print("There is no my-photo.jpg yet.")

# %% [markdown]
# ## 6 Your own design
#
# Nothing is given now, only what counts:
#
# | criterion | limit |
# | --- | --- |
# | a run of the kit on your competition, called `{MINE}` | complete, and validated |
# | against `{FROZEN}` | changed in one thing or more: backbone, block, size, head, augmentation, fine-tuning |
# | validation accuracy | at least `LEAST` |
#
# **Your turn.** Train it with `kit.fit(data, …, name=MINE)` or with `!python -m kit.train`. A few ideas:
#
# - `options={"backbone": "VGG16", "image_size": 96, "layer": "block4"}`: a head on an earlier block sees more places;
# - `unfreeze=1`: then the last block learns, too, at a tenth of the learning rate;
# - `flip="random", feature_copies=2`: features of each photo and of its mirror image;
# - another backbone, if there is internet; more photos; `seeds=3`, three networks averaged.
#
# <details><summary>Hint</summary>
#
# `kit.fit(data, model="transfer", options={…}, weights=vgg.file, epochs=10, validation_share=0.2, name=MINE)`
#
# </details>
# <details><summary>Solution in words</summary>
#
# The hint, with the options of the first idea.
#
# </details>

# %%
MINE = workshop.unused("mine", NAME)
LEAST = workshop.choose(guess + (1 - guess) / (2 if vgg.trained else 10), short=0.1)
print(f"{MINE} has to reach {LEAST:.1%}.")
### BEGIN SOLUTION: train a run called MINE
options = {"backbone": "VGG16", "image_size": SIDE, "layer": workshop.choose("block4", short="block2")}
settings = workshop.choose({"epochs": 10}, short={"epochs": 1, "precision": "float32"})
kit.fit(data, model="transfer", options=options, weights=vgg.file, validation_share=0.2, name=MINE, **settings)
### END SOLUTION

# %%
checks.run(MINE, NAME, least=LEAST)
mine = kit.Run(f"{NAME}/{MINE}")
kit.runs.table(NAME)[["name", "accuracy", "standard_error", "seconds", "differs"]]

# %% [markdown]
# **What you see.** Compare the accuracies with the standard error. With a few hundred validation photos only large
# differences count.
#
# ### Your certificate
#
# **What to expect.** One page with what you reached: each run, its validation accuracy, its submission, and the score
# on the practice board. Write your name.

# %%
YOUR_NAME = "Your Name"
task = f"that tell {' from '.join(class_names)}" if len(class_names) == 2 else f"for {len(class_names)} kinds of photos"
entries = [
    workshop.entry(run.name, f"submissions/{NAME}/{run.name}.csv", data, run.accuracy, run.metrics().validation_images)
    for run in (frozen, mine)
]
certificate = workshop.certificate(YOUR_NAME, entries, task)
certificate.savefig("submissions/certificate-photos.png")
certificate

# %% [markdown]
# ### The real competition
#
# Kaggle's *Dogs vs. Cats Redux* scores the probability of a dog by log-loss. The kit knows it. With an account that has
# joined, and with a GPU:
#
# ```
# python -m kit.download dogs-vs-cats-redux-kernels-edition
# python -m kit.train --competition dogs-vs-cats-redux-kernels-edition --model transfer --epochs 4 --name dogs
# python -m kit.submit dogs
# ```
#
# Any other image competition begins with `python -m kit.new NAME`, as yours did.

# %% [markdown]
# ## Quiz
#
# **1.** You have 40 photos of each of two mushrooms. From scratch, or a head on a frozen network?
#
# <details><summary>Answer</summary>
#
# A head on a frozen network. From scratch, tens of thousands of weights meet 80 photos and learn them by heart.
#
# </details>
#
# **2.** All dogs were photographed outdoors, all cats indoors. Validation accuracy is 99 %. Do you trust it?
#
# <details><summary>Answer</summary>
#
# No. The network may tell grass from carpets. The validation photos have the same fault, so they cannot show it. Draw
# Grad-CAM (notebook 2), and validate on photos that break the rule.
#
# </details>
#
# **3.** You took ten photos of each dog in a row, and split at random. What is wrong?
#
# <details><summary>Answer</summary>
#
# Nearly the same photo is in training and in validation, and the accuracy is too good. Split by animal, not by photo.
#
# </details>
#
# **4.** Why may features be computed once only while there is no augmentation?
#
# <details><summary>Answer</summary>
#
# An augmented photo is another one in every epoch, and so are its features. `feature_copies=2` is the way between: a
# fixed number of augmented copies, each computed once.
#
# </details>
#
# ## Where to go from here
#
# - More photos help more than a better network. Look at the mistakes to see which.
# - `python -m kit.evaluate {NAME}/{MINE}` writes a report: confusion matrix, worst mistakes, which pixels count.
# - [05-climbing-the-board](05-climbing-the-board.ipynb): folds, test-time augmentation and ensembles work here, too.

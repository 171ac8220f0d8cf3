# %% [markdown]
# # 3 · Transfer on digits: the errors that everybody meets
#
# VGG16 was made for colour photographs of 224 × 224 pixels. Our digits are grey, 28 × 28. Whoever brings the two
# together meets the same errors, in this order:
#
# | error | what Keras says |
# | --- | --- |
# | 1 channels: the digits have one, VGG16 wants three | a traceback |
# | 2 size: the digits are too small | a traceback |
# | 3 preprocessing that is done twice | nothing |
# | 4 validation images that were never rescaled | nothing |
# | 5 a learning rate that destroys what VGG16 knows | nothing |
#
# You make all five on purpose, learn to read the tracebacks, and find those that no traceback shows. On the way the
# accuracy climbs, as you unfreeze one, two and three blocks.

# %% [markdown]
# ## 1 The digits
#
# **What to expect.** Grey images, white on black. A part of them, since VGG16 is large: a fifth of it validates.

# %%
import keras
import numpy as np
import pandas as pd
from IPython.display import display
from keras import layers
from keras.applications.vgg16 import preprocess_input
from sklearn.model_selection import train_test_split

import kit
from kit import figures, workshop
from kit.workshop import your_turn
from kit.zoo import imagenet

COUNT = workshop.choose(4_000, gpu=20_000, short=60)
data = kit.load("digit-recognizer", source=workshop.source("digit-recognizer"))
train_images, validation_images, train_labels, validation_labels = train_test_split(
    data.train_images[:COUNT],
    data.train_labels[:COUNT],
    test_size=0.2,
    stratify=data.train_labels[:COUNT],
    random_state=0,
)
print("training  ", train_images.shape, train_images.dtype, "values", train_images.min(), "to", train_images.max())
print("validation", validation_images.shape)
figures.labelled_images(train_images, train_labels, count=16)

# %% [markdown]
# **What you see.** The shape is *(images, height, width, channels)*. Keep the last three numbers in mind: 28, 28, 1.
#
# Next, VGG16's weights. If they are not to be had, the notebook goes on with random ones and says so. The errors are
# the same with any weights.

# %%
vgg = imagenet.vgg16_weights(download=workshop.choose(True, short=False))
print(vgg.origin)

# %% [markdown]
# ## 2 The first error: channels
#
# **What to expect.** We ask for a VGG16 that takes our images as they are. The line `%%expected_error` lets the
# notebook go on after the traceback; in a notebook of your own the run would stop here.

# %%
# %%expected_error
keras.applications.VGG16(include_top=False, weights="imagenet", input_shape=(28, 28, 1))

# %% [markdown]
# **How to read a traceback.**
#
# 1. Begin with the **last line**. It has the kind of error and the message. Here: the input must have 3 channels.
# 2. Look for **your own line**: the arrow in the part called *Cell*. There you called what failed.
# 3. What lies between is library code. Skip it, unless the message does not help.
#
# VGG16's first filters are 3 × 3 × **3**: they have weights for red, green and blue. An image with one channel does not
# fit. The same mistake has a second face: you build VGG16 for three channels, and then give it grey images.

# %%
base = keras.applications.VGG16(include_top=False, weights=vgg.file, input_shape=(32, 32, 3))

# %%
# %%expected_error
base.predict(train_images[:8], verbose=0)

# %% [markdown]
# **What you see.** Again the last line first. *expected* is what the network wants, *found* is what it got. `None`
# stands for any number of images. Compare the other numbers one by one, and you know what to change. (Some versions of
# Keras leave out a last number that is 1.)
#
# **Your turn.** A grey pixel is a colour with equal red, green and blue. Make images with three equal channels of
# `train_images`.
#
# <details><summary>Hint</summary>
#
# `np.repeat` repeats along an axis. The last axis is `axis=-1`.
#
# </details>

# %% tags=["your-turn"]
### BEGIN SOLUTION: an array of the shape (images, 28, 28, 3)
rgb = np.repeat(train_images, 3, axis=-1)
### END SOLUTION

# %%
your_turn.equal(
    rgb,
    np.repeat(train_images, 3, axis=-1),
    what="images with three channels",
    hint="All three channels are the same grey image.",
)

# %% [markdown]
# ## 3 The second error: size
#
# **What to expect.** Three channels now, and still 28 × 28 pixels.

# %%
# %%expected_error
keras.applications.VGG16(include_top=False, weights="imagenet", input_shape=(28, 28, 3))

# %% [markdown]
# Why 32? VGG16 halves height and width five times, and a remainder is dropped each time:

# %%
for side in (32, 28, 56):
    print(" → ".join(str(side // 2**halvings) for halvings in range(6)))

# %% [markdown]
# **What you see.** From 28 pixels nothing is left. There are two ways out: a black border, up to 32 pixels, or
# enlarging. We enlarge to **56**, exactly twice as large. Then strokes are as wide as edges in photographs, and each
# block still has some places to work on.


# %%
def enlarged(images):
    """Return grey images (n, 28, 28, 1) as (n, 56, 56, 3) float32: each pixel four times, the channel three times."""
    return images.repeat(2, axis=1).repeat(2, axis=2).repeat(3, axis=3).astype("float32")


large_train, large_validation = enlarged(train_images), enlarged(validation_images)
print(train_images.shape, "→", large_train.shape)
base = keras.applications.VGG16(include_top=False, weights=vgg.file, input_shape=(56, 56, 3))
base.trainable = False
figures.labelled_images(large_train.astype("uint8"), train_labels, count=8)

# %% [markdown]
# ## 4 The third error: preprocessing
#
# **What to expect.** Channels and size fit, and Keras accepts everything that follows. But what values should reach
# VGG16? Four ways, and one of them is clearly wrong. Which one?
#
# | way | values that reach VGG16 |
# | --- | --- |
# | as they are | 0 to 255 |
# | scaled | 0 to 1, as for most networks that one trains from scratch |
# | scaled, then `preprocess_input` | two good things, one after the other |
# | `preprocess_input` | what VGG16 was trained with |
#
# What does `preprocess_input` do? Here is one orange pixel: much red, some green, no blue.

# %%
orange = np.array([255, 128, 0], "float32").reshape(1, 1, 1, 3)
print(f"red, green, blue {orange.ravel()} becomes {preprocess_input(orange.copy()).ravel()}")

# %% [markdown]
# **What you see.** Blue comes first now, red last. From each channel the mean of ImageNet's photographs is subtracted:
# 103.9 from blue, 116.8 from green, 123.7 from red. Nothing is divided.
#
# Now we compute VGG16's features in each of the four ways. For each we note the values that go in, how much the
# features differ from image to image, and the accuracy of a head that learns from them. Features that hardly differ say
# nothing about any image.


# %%
def head_on(features):
    """A head of two layers for features (n, height, width, channels)."""
    return keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            layers.GlobalAveragePooling2D(),
            layers.Dense(256, activation="relu"),
            layers.Dense(10),
        ]
    )


def fit(network, images, labels, validation, epochs, learning_rate=0.001):
    """Compile and train a network; return a history of every epoch."""
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = workshop.Stopwatch()
    network.fit(images, labels, 32, epochs, verbose=0, validation_data=validation, callbacks=[clock])
    return clock.history


ways = {
    "as they are": lambda images: images,
    "scaled": lambda images: images / 255,
    "scaled, then preprocess_input": lambda images: preprocess_input(images / 255),
    "preprocess_input": lambda images: preprocess_input(images.copy()),
}
SOME = workshop.choose(1_000, short=40)  # fewer images are enough to see the difference
HEAD_EPOCHS = workshop.choose(15, short=1)
histories, rows = {}, []
for name in list(ways)[-workshop.choose(4, short=2) :]:
    way = ways[name]
    features = base.predict(way(large_train[:SOME]), verbose=0)
    validation_features = base.predict(way(large_validation), verbose=0)
    keras.utils.set_random_seed(0)
    validation = (validation_features, validation_labels)
    histories[name] = fit(head_on(features), features, train_labels[:SOME], validation, HEAD_EPOCHS)
    rows.append(
        {
            "way": name,
            "lowest value": way(large_train[:1]).min(),
            "highest value": way(large_train[:1]).max(),
            "features differ by": features.std(axis=0).mean() / np.abs(features).mean(),
            "validation accuracy": histories[name]["val_accuracy"].iloc[-1],
        }
    )
print(f"features of {vgg.label}")
display(pd.DataFrame(rows).set_index("way").round(3))
figures.learning_curves(histories)

# %% [markdown]
# **What you see.** Four accuracies, and not a word from Keras.
#
# - *Scaled, then `preprocess_input`* is the error. All values lie between −124 and −102, so all images look alike to
#   VGG16. Its features hardly differ, and the head has little to learn from.
# - The other three are closer to each other. The head is new, and it can learn from any features that differ from image
#   to image. On black-and-white digits it matters little which way they come, as long as all images come the same way.
# - The safe choice is the `preprocess_input` of the pre-training. Colour photographs need it more than digits: it also
#   puts the colours into the right order.
#
# (Random weights have no preprocessing that belongs to them.)
#
# **How to find such an error.** Print the lowest and the highest value right before the network. Look at whether the
# outputs differ from image to image. Two lines, and they save days.
#
# ## 5 The fourth error: validation that was never rescaled
#
# **What to expect.** A colleague scales the training images to 0 … 1, and forgets the validation images. The head has
# three dense layers of 1024, 512 and 256 neurons. It is the very network, and the very mistake, of the workshop that
# this notebook comes from.


# %%
def large_head(features):
    """Global average pooling and dense layers of 1024, 512 and 256 neurons."""
    return keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1024, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(256, activation="relu"),
            layers.Dense(10),
        ],
        name="head",
    )


train_input = large_train / 255
validation_input = large_validation

features = base.predict(train_input, verbose=0)
validation_features = base.predict(validation_input, verbose=0)
keras.utils.set_random_seed(0)
head = large_head(features)
history = fit(head, features, train_labels, (validation_features, validation_labels), HEAD_EPOCHS)
figures.learning_curves(history, f"head on {vgg.label}: what is wrong here?")

# %% [markdown]
# **What you see.** Training goes well, validation does not. In the workshop it stayed near 57 %, and it looked like
# overfitting. It is not. Overfitting grows slowly: at first validation improves with training. Here the validation loss
# is several times the training loss from the first epochs on, and never falls.
#
# **Your turn.** Find the error: the cell prints the lowest and the highest value of both inputs. Then prepare the
# validation images `large_validation` in the same way as the training images, as `mended`.
#
# <details><summary>Hint</summary>
#
# One of the two goes to 255. The training images were divided.
#
# </details>

# %% tags=["your-turn"]
for name, images in (("training", train_input), ("validation", validation_input)):
    print(f"{name:10} from {images.min():.1f} to {images.max():.1f}")
### BEGIN SOLUTION: the validation images, prepared as the training images are
mended = large_validation / 255
### END SOLUTION

# %%
your_turn.equal(mended, large_validation / 255, what="validation images", hint="Divide by 255, as for train_input.")

# %%
validation_features = base.predict(large_validation / 255, verbose=0)
loss, accuracy = head.evaluate(validation_features, validation_labels, verbose=0)
print(
    f"wrong input: {history['val_accuracy'].iloc[-1]:.1%}, mended: {accuracy:.1%} – the same network, the same weights"
)

# %% [markdown]
# **What you see.** Nothing was wrong with the network. Before you change a network, check what goes into it.
#
# The remedy that lasts is to put the preparation *into* the network. It then takes digits as they come: grey, 28 × 28,
# 0 to 255.

# %%
digits = keras.Input((28, 28, 1), name="digits")
x = layers.Concatenate()([digits, digits, digits])  # mends error 1
x = layers.UpSampling2D(2)(x)  # mends error 2
x = layers.Rescaling(1 / 255)(x)  # mends errors 3 and 4
x = base(x)
network = keras.Model(digits, head(x), name="vgg16_for_digits")
same = np.abs(
    network.predict(validation_images[:16], verbose=0) - head.predict(validation_features[:16], verbose=0)
).max()
print(f"largest difference to the steps by hand: {same:.6f}")

# %% [markdown]
# ## 6 Unfreeze one, two, three blocks
#
# **What to expect.** The head is trained. Now the last block of VGG16 may learn, then the last two, then three. Each
# time we begin again with the weights from above, with the small learning rate of 0.0001.
#
# **Your bet.** Which will be the best: `"frozen"`, `"1 block"`, `"2 blocks"` or `"3 blocks"`?

# %% tags=["your-turn"]
### BEGIN SOLUTION: one of the four
bet = "2 blocks"
### END SOLUTION

# %%
your_turn.bet(bet, ["frozen", "1 block", "2 blocks", "3 blocks"])

# %%
frozen_weights = network.get_weights()
validation = (validation_images, validation_labels)
EPOCHS = workshop.choose(2, gpu=4, short=1)
histories, results = {}, {"frozen": accuracy}
for blocks in workshop.choose((1, 2, 3), short=(1,)):
    network.set_weights(frozen_weights)
    unfrozen = tuple(f"block{number}" for number in range(6 - blocks, 6))
    base.trainable = True
    for layer in base.layers:
        layer.trainable = layer.name.startswith(unfrozen)
    name = f"{blocks} block{'s' if blocks > 1 else ''}"
    keras.utils.set_random_seed(0)
    histories[name] = fit(network, train_images, train_labels, validation, EPOCHS, learning_rate=0.0001)
    results[name] = histories[name]["val_accuracy"].iloc[-1]
    trained = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    print(f"{name}: {trained:,} weights learn, validation accuracy {results[name]:.2%}")

# %%
best = max(results.values())
error = np.sqrt(best * (1 - best) / len(validation_labels))
your_turn.outcome(bet, pd.Series(results), error)
figures.learning_curves(histories, f"{vgg.label} on digits")

# %% [markdown]
# **What you see.** With ImageNet's weights, each block that may learn brings VGG16 closer to strokes and farther from
# photographs; the workshop reached 97 to 99 %. And each block makes an epoch slower.
#
# ## 7 The fifth error: everything learns too fast
#
# **What to expect.** If some blocks are good, all blocks with large steps must be better? All 13 convolutions are
# unfrozen, and the learning rate is 0.001: Adam's default, ten times larger than above. Watch the loss.

# %%
network.set_weights(frozen_weights)
base.trainable = True
keras.utils.set_random_seed(0)
histories["all blocks, learning rate 0.001"] = fit(
    network, train_images[:SOME], train_labels[:SOME], validation, EPOCHS, learning_rate=0.001
)
print(
    f"validation accuracy {histories['all blocks, learning rate 0.001']['val_accuracy'].iloc[-1]:.1%}; guessing: 10 %"
)
figures.learning_curves(histories, "the collapse")

# %% [markdown]
# **What you see.** A collapse. The first steps are so large that they throw the weights far away from everything they
# knew: the loss jumps. Then it rests near 2.30, and every digit gets the same probability of 0.1. More epochs do not
# help, since nothing is left to build on. The remedy is to load the weights of before and to take a learning rate that
# is ten times smaller.
#
# | sign | likely cause |
# | --- | --- |
# | loss at 2.30 for ten classes and not moving | collapsed, or never learned: learning rate too large |
# | loss `nan` | learning rate far too large |
# | validation loss far above training loss from the first epochs on | the two are prepared differently |
# | validation rises, then falls, training goes on rising | overfitting |
#
# ## 8 Was it worth it?
#
# **What to expect.** The small network of notebook 1, from scratch, on the same digits.

# %%
small = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ]
)
keras.utils.set_random_seed(0)
history = fit(small, train_images, train_labels, validation, workshop.choose(10, short=1))
print(f"from scratch: {history['val_accuracy'].iloc[-1]:.2%} after {history['seconds'].iloc[-1]:.0f} seconds")
print(f"VGG16, best:  {best:.2%}; standard error {error:.2%}")

# %%
probabilities = np.asarray(keras.ops.softmax(small.predict(validation_images, verbose=0)))
figures.wrong_predictions(validation_images, validation_labels, probabilities, count=8)

# %% [markdown]
# **What you see.** Compare the difference with the standard error, and the times with each other. Photographs taught
# VGG16 edges and curves, which digits have, too. With few digits that can help. But a small network of one's own comes
# close in a fraction of the time, and with thousands of digits it needs no help. **Transfer helps most between things
# that are alike, and where images are few.**
#
# ## 9 Quiz
#
# **1.** `expected shape=(None, 64, 64, 3), found shape=(8, 64, 64, 1)`. What do you change?
#
# <details><summary>Answer</summary>
#
# The images: they have one channel and need three. The 8 against `None` is no problem: any number of images is allowed.
#
# </details>
#
# **2.** Training accuracy is 98 %, validation 12 % from the first epoch on. What do you check first?
#
# <details><summary>Answer</summary>
#
# At what goes in: lowest and highest values, channels and order of both. Then at whether images and labels of the
# validation part still belong together. It is not overfitting, which needs time to grow.
#
# </details>
#
# **3.** In which order: enlarge, a border of zeros, `preprocess_input`?
#
# <details><summary>Answer</summary>
#
# `preprocess_input` last. After it, zero is a mid-grey, and a border of zeros would be a grey frame.
#
# </details>
#
# **4.** You unfroze three blocks and forgot to compile again. What happens?
#
# <details><summary>Answer</summary>
#
# `compile` decides which weights training changes. Keras goes on as before, with the blocks frozen, or warns. Always
# compile after a change of `trainable`.
#
# </details>
#
# **5.** After the collapse the loss rests at 2.30. Why exactly there?
#
# <details><summary>Answer</summary>
#
# −ln 0.1 = 2.30. The network ignores the image and gives each of ten digits the probability 0.1.
#
# </details>
#
# ## 10 The same in one line
#
# The kit's `vgg16_transfer` has all preparation as its first layers:
#
# ```python
# data = kit.load("digit-recognizer")
# run = kit.fit(data, model="vgg16_transfer", epochs=4, unfreeze=2)
# ```
#
# As commands, and with the weights of a network of your own instead of ImageNet's, from photographs to digits:
#
# ```
# python -m kit.train --model vgg16_transfer --epochs 4 --unfreeze 2 --name vgg16-on-digits
# python -m kit.train --competition cifar-10 --model resnet_small --name photographs
# python -m kit.train --model resnet_small --weights runs/cifar-10/photographs --name from-photographs
# ```
#
# To read on: Keras's list of [pre-trained networks](https://keras.io/api/applications/) with size and accuracy
# (Xception, VGG19, MobileNet …), each with a `preprocess_input` of its own.
#
# Next: [4 · Exercise](04-kaggle-exercise.ipynb), your own way from the data to Kaggle's leaderboard.

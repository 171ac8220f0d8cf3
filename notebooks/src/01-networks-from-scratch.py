# %% [markdown]
# # 1 · Networks from scratch
#
# You draw a digit. Two hours later a network that you built reads it. On the way you learn what a neural network is,
# how it learns, and why convolutions taught machines to see. You need a little Python and no account.
#
# How to work with this notebook:
#
# - Run the cells from top to bottom with *Shift + Enter*. Change numbers and run a cell again: you cannot break
#   anything.
# - **What to expect** stands before an experiment, **What you see** after it.
# - **Your turn** asks you to write a line or two. Replace the `...`, run the cell, and run the check below it. *Hint*
#   and *Solution* fold out. A gap that you leave open does not stop the notebook.
# - **Your bet** asks you to predict a result before you see it. You remember what surprised you.
#
# The next cell prepares everything.

# %% [markdown]
# ## 1 An image is a table of numbers
#
# **Draw a digit.** Each `#` is ink, each `.` is paper. Draw your own over this one, and keep 14 rows of 14 characters.

# %%
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from keras import layers
from sklearn.model_selection import train_test_split

import kit
from kit import figures, workshop
from kit.workshop import drawings, your_turn

drawing = """
..............
..............
....#....#....
....#....#....
...##....#....
...#.....#....
...########...
.........#....
.........#....
.........#....
.........#....
.........#....
..............
..............
"""
ink = np.array([list(row) for row in drawing.split()]) == "#"
my_digit = (255 * ink.repeat(2, axis=0).repeat(2, axis=1)).astype("uint8").reshape(1, 28, 28, 1)
figures.labelled_images(my_digit, title="my digit, 28 × 28 pixels")

# %% [markdown]
# **What you see.** You typed a table of characters. NumPy made it a table of numbers, and 255 looks white. So it is
# with every image in a computer: 0 is black, 255 is white, and a colour image has three such tables, for red, green and
# blue.
#
# No network has seen your digit yet. It comes back at the end, in section 11.
#
# ## 2 What is deep learning?
#
# **Machine learning** is programming by examples. You do not write down what makes a 7 a 7. You show many sevens, and
# the program adjusts its own numbers until it tells a 7 from other digits.
#
# | kind | what it is given | what it finds | here |
# | --- | --- | --- | --- |
# | **supervised** | examples with answers, the *labels* | a rule from example to label | digit → 0 … 9 |
# | **unsupervised** | examples without labels | order in them: groups, directions | section 4 |
#
# A **neural network** is such a program. It consists of simple units in layers. A network with many layers is *deep*:
# each layer works with what the layer before it found, first edges, then curves and corners, then whole digits.
#
# Three names that you will meet:
#
# | name | what it is |
# | --- | --- |
# | **Keras** | a library to build and train networks in a few lines of Python. You write Keras in this notebook |
# | **TensorFlow**, JAX, PyTorch | libraries that compute with arrays and find gradients. Keras runs on any of them |
# | **backend** | the one that Keras runs on now. The set-up cell printed its name; your code is the same with each |
#
# ## 3 The data: from a table to arrays
#
# **What to expect.** MNIST holds grey images of 28 × 28 pixels, each a handwritten digit, with a label that says which.
# On Kaggle the digits come as a table: a row for each image, first the label, then 784 pixels. We write such a table
# ourselves and read it with pandas, as you would read Kaggle's `train.csv`.

# %%
data = kit.load("digit-recognizer", source=workshop.source("digit-recognizer"))
COUNT = workshop.choose(12_000, short=400)  # a part of the images, so that each experiment lasts seconds
columns = ["label", *(f"pixel{number}" for number in range(28 * 28))]
pathlib.Path("data").mkdir(exist_ok=True)
rows = np.column_stack([data.train_labels, data.train_images.reshape(-1, 28 * 28)])[:COUNT]
pd.DataFrame(rows, columns=columns).to_csv("data/digits.csv", index=False)

table = pd.read_csv("data/digits.csv")
table.iloc[:5, [0, 1, 2, *range(150, 160)]]

# %% [markdown]
# From the table to arrays in three steps: separate labels from pixels, *reshape* each row of 784 numbers to 28 rows of
# 28, and add one axis for the channel. A grey image has one channel, a colour image has three.

# %%
labels = table["label"].to_numpy()
pixels = table.drop(columns="label").to_numpy(dtype="uint8")
images = pixels.reshape(-1, 28, 28, 1)
print("table ", table.shape)
print("pixels", pixels.shape)
print("images", images.shape, images.dtype, "from", images.min(), "to", images.max())
print("labels", labels.shape, labels.dtype, "the first ten:", labels[:10])
figures.labelled_images(images, labels)

# %% [markdown]
# Here is the middle of the first image as numbers. Can you find the strokes?

# %%
print(pd.DataFrame(images[0, 6:22, 6:22, 0]).to_string(header=False, index=False))

# %% [markdown]
# ### Two forms of labels
#
# A label can be an **integer**, such as 3. It can also be **one-hot**: ten numbers, a 1 at the place of the class and 0
# elsewhere. One-hot labels look like the answer that we want from a network: all probability on the right class.
#
# **Your turn.** Make one-hot labels of `labels`, an array of shape (images, 10).
#
# <details><summary>Hint</summary>
#
# `np.eye(10)` is a table of ten rows. Row 3 has its 1 at place 3. An integer array can be an index.
#
# </details>

# %% tags=["your-turn"]
### BEGIN SOLUTION: one-hot labels
one_hot = np.eye(10)[labels]
### END SOLUTION

# %%
your_turn.one_hot(one_hot, labels)

# %% [markdown]
# Keras has the same as `keras.utils.to_categorical(labels, 10)`. Both forms say the same. With integer labels the loss
# of section 5 is called `SparseCategoricalCrossentropy`, with one-hot labels `CategoricalCrossentropy`. We use
# integers.
#
# ### How many, how bright?
#
# **What to expect.** Two questions come first with any data. Are there as many examples of each class? If one class is
# rare, a network can do well and never learn it. And which values do the pixels have?

# %%
display(figures.label_histogram(labels))
display(figures.pixel_histograms_by_class(images, labels))

# %% [markdown]
# **What you see.** About a tenth of the images belongs to each digit. Most pixels are black, since a digit is a thin
# line on an empty field. A 1 needs less ink than a 0. That alone does not tell digits apart: it matters *where* the ink
# is.
#
# ### Scale, and put some aside
#
# Networks learn best from numbers near 0 … 1. So we divide by 255.
#
# A network can learn its images by heart. Whether it understands digits shows only on images that it does not train on.
# So we put a sixth aside: the **validation** images.

# %%
scaled = images.astype("float32") / 255
print("before", images.min(), "to", images.max(), "– after", scaled.min(), "to", scaled.max())

train_images, validation_images, train_labels, validation_labels = train_test_split(
    images, labels, test_size=1 / 6, stratify=labels, random_state=0
)
print(f"{len(train_images):,} images to train on, {len(validation_images):,} to validate on")

# %% [markdown]
# Whoever scales outside the network must remember to do so for every new image. From here on each network gets images
# as they are, 0 … 255, and `layers.Rescaling(1 / 255)` is its first layer.
#
# ## 4 Without labels
#
# **What to expect.** An image of 28 × 28 pixels is a point in a space of 784 dimensions. **Principal component
# analysis** (PCA) looks for the directions in which the images differ most. It asks for no labels. First we draw the
# directions as images, then the digits along the first two. Only the colours in that last plot come from the labels.

# %%
display(figures.pca_components(images))
display(figures.pca_scatter(images, labels))

# %% [markdown]
# **What you see.** Each component is a contrast: blue strokes against orange ones. With two numbers an image instead of
# 784, some digits already gather in a corner of their own, and others lie on top of each other. There is order in
# images before anybody names it. To name it, we need labels.
#
# ## 5 The neuron
#
# An artificial neuron, the **perceptron** (Rosenblatt, 1958), multiplies each input by a *weight*, adds everything up,
# and adds a number of its own, the *bias*. Here it is with three inputs. Change the numbers and run the cell again.

# %%
drawings.neuron(inputs=[0.0, 0.5, 1.0], weights=[0.4, -0.6, 0.9], bias=0.1)

# %% [markdown]
# For a digit the inputs are 784 pixels. Ten neurons side by side, one for each digit, are one `Dense` layer. The digit
# whose neuron answers most wins. The ten answers are called **logits**.
#
# ### From logits to probabilities: softmax
#
# Logits are any numbers. **Softmax** makes probabilities of them: raise *e* to each, then divide by the sum. With three
# classes and the logits 2, 1 and 0:
#
# | class | logit $z$ | $e^z$ | probability |
# | --- | --- | --- | --- |
# | A | 2 | 7.389 | 7.389 / 11.107 = **0.665** |
# | B | 1 | 2.718 | 2.718 / 11.107 = **0.245** |
# | C | 0 | 1.000 | 1.000 / 11.107 = **0.090** |
# | sum | | 11.107 | 1 |
#
# ### How wrong is that? Cross-entropy
#
# The **loss** is one number that says how wrong the network is. We use **cross-entropy**: minus the natural logarithm
# of the probability that the network gave to the true class.
#
# | if the truth is | the network gave it | loss |
# | --- | --- | --- |
# | A | 0.665 | −ln 0.665 = **0.41** |
# | B | 0.245 | −ln 0.245 = **1.41** |
# | C | 0.090 | −ln 0.090 = **2.41** |
#
# A network that gives each of ten digits the probability 0.1 has the loss −ln 0.1 = 2.30. Remember that number: a loss
# of 2.30 on ten classes says that nothing is learned yet.
#
# **Your turn.** Compute softmax for these logits, and then the cross-entropy if class B, at place 1, is the truth.
#
# <details><summary>Hint</summary>
#
# `np.exp(logits)` raises *e* to each. `np.log` is the natural logarithm.
#
# </details>

# %% tags=["your-turn"]
logits = np.array([1.0, 3.0, -1.0])
### BEGIN SOLUTION: three probabilities, and the loss for class B
probabilities = np.exp(logits) / np.exp(logits).sum()
loss = -np.log(probabilities[1])
### END SOLUTION

# %%
your_turn.softmax(probabilities, logits)
your_turn.cross_entropy(loss, logits, truth=1)

# %% [markdown]
# ### How it learns: gradient descent
#
# At first the weights are zero or random, and the answers mean nothing. Then four steps repeat:
#
# 1. Show some images and compute the loss.
# 2. Compute the **gradient**: for every weight, how much the loss rises if that weight grows a little.
# 3. Change every weight a little, against the gradient, so that the loss falls.
# 4. Go on with other images.
#
# It is like walking down a hill in fog: feel the slope, take a step down, feel again. The **learning rate** says how
# long a step is.
#
# **What to expect.** The same valley three times, with three learning rates.

# %%
figures.gradient_descent()

# %% [markdown]
# **What you see.** Too small a rate takes many steps and hardly moves. Too large a rate lands farther up on the other
# side each time. Only the one in the middle arrives. A real network has not two weights but thousands or millions; the
# idea is the same. When a network does not learn, try another learning rate first.
#
# ### Batch, iteration, epoch
#
# All images at once would be slow; a single one gives a poor direction. So each step uses a **batch** of images. One
# step is an **iteration**. When every image was used once, an **epoch** is complete.

# %%
BATCH = 64
print(f"{len(train_images):,} images in batches of {BATCH}:", int(np.ceil(len(train_images) / BATCH)), "steps an epoch")

# %% [markdown]
# ### Build, compile, fit
#
# **What to expect.** Three calls, always the same: *build* the layers; *compile* with an optimizer (how to step), a
# loss and what to print; *fit*. `accuracy` is the share of right answers, `val_accuracy` the same on the validation
# images. Guessing would reach 10 %.

# %%
perceptron = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Flatten(),  # 28 × 28 pixels become a row of 784
        layers.Dense(10, kernel_initializer="zeros"),
    ],
    name="ten_neurons",
)
perceptron.summary()

# %%
EPOCHS = workshop.choose(5, short=1)
perceptron.compile(
    optimizer=keras.optimizers.SGD(learning_rate=0.1),  # stochastic gradient descent: the four steps above
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
clock = workshop.Stopwatch()  # a Keras callback that keeps loss, accuracy and seconds of every epoch
perceptron.fit(
    train_images,
    train_labels,
    batch_size=BATCH,
    epochs=EPOCHS,
    validation_data=(validation_images, validation_labels),
    callbacks=[clock],
    verbose=2,
)
figures.learning_curves(clock.history, "ten neurons")

# %% [markdown]
# `evaluate` measures a trained network on any images with labels. `predict` gives its answers, here the logits.

# %%
loss, accuracy = perceptron.evaluate(validation_images, validation_labels, verbose=0)
answers = perceptron.predict(validation_images[:3], verbose=0)
print(f"loss {loss:.3f}, accuracy {accuracy:.2%}")
print("logits of three images:", *answers.round(1), sep="\n")
print("their digits:", answers.argmax(axis=1), "– the labels:", validation_labels[:3])

# %% [markdown]
# What did it learn? There is one weight for each pixel and digit, so the weights can be drawn as images: white where
# ink speaks for the digit, black where it speaks against it.

# %%
weights = perceptron.layers[-1].get_weights()[0].reshape(28, 28, 10, 1).transpose(2, 0, 1, 3)
templates = (127.5 + 127.5 * weights / np.abs(weights).max()).astype("uint8")
figures.labelled_images(templates, np.arange(10), title="the weights of the ten neurons")

# %% [markdown]
# **What you see.** Blurred templates: the 0 wants a ring and nothing in the middle. A template allows one way to write
# a digit, and a digit that moves by a few pixels no longer fits.
#
# ## 6 The multilayer perceptron
#
# Put a second layer after the first, and between them an **activation function**. **ReLU** keeps what is positive and
# replaces the rest by zero. Without it, two layers of sums would be no more than one layer of sums. With it, the
# *hidden* layer can find pieces of digits, and the last layer can combine them. That is a **multilayer perceptron**
# (MLP).
#
# From now on we train many networks in the same way. So that is a function:


# %%
def train(network, optimizer="adam", epochs=EPOCHS):
    """Compile and fit; return loss, accuracy and seconds of every epoch."""
    network.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = workshop.Stopwatch()
    network.fit(
        train_images,
        train_labels,
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(validation_images, validation_labels),
        callbacks=[clock],
        verbose=0,
    )
    print(f"{clock.history['val_accuracy'].iloc[-1]:.2%} of the validation images right, {clock.seconds:.0f} seconds")
    return clock.history


def mlp():
    """A hidden layer of 128 neurons between pixels and logits."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ],
        name="mlp",
    )


# %% [markdown]
# **What to expect.** The same MLP with three learning rates. Which is too small, which too large?

# %%
histories = {}
for rate in workshop.choose((0.001, 0.2, 20.0), short=(0.2,)):
    histories[f"learning rate {rate}"] = train(mlp(), keras.optimizers.SGD(rate))
figures.learning_curves(histories, "one network, three learning rates")

# %% [markdown]
# **What you see.** As in the valley: with the smallest rate the loss falls slowly. With the middle one it falls fast.
# With the largest it jumps, and the accuracy stays close to guessing, however long the training lasts.
#
# ### Better steps: momentum, RMSprop, Adam
#
# Plain gradient descent has two weaknesses. In a narrow valley it crosses from side to side. And one learning rate has
# to suit all weights. Three ideas help:
#
# | optimizer | idea | step |
# | --- | --- | --- |
# | **SGD** | go against the gradient $g$ | $\eta\,g$ |
# | **momentum** | keep some of the last step, as a ball that rolls | $m \leftarrow 0.9\,m + g$, step $\eta\,m$ |
# | **RMSprop** | divide by the usual size of the gradient | $v \leftarrow 0.9\,v + 0.1\,g^2$, step $\eta\,g/\sqrt v$ |
# | **Adam** | both, with a correction for the first steps | $\eta\,\hat m/\sqrt{\hat v}$ |
#
# **What to expect.** The table in code, in the valley from above. It falls ten times as steeply across as along.

# %%
steepness = np.array([1.0, 10.0])  # the loss is ½·(1·w₁² + 10·w₂²), so its gradient is steepness · w


def sgd(g, memory, step):
    return 0.05 * g


def momentum(g, memory, step):
    memory["m"] = 0.9 * memory["m"] + g
    return 0.02 * memory["m"]


def rmsprop(g, memory, step):
    memory["v"] = 0.9 * memory["v"] + 0.1 * g**2
    return 0.3 * g / np.sqrt(memory["v"])


def adam(g, memory, step):
    memory["m"] = 0.9 * memory["m"] + 0.1 * g
    memory["v"] = 0.99 * memory["v"] + 0.01 * g**2
    return 0.6 * (memory["m"] / (1 - 0.9**step)) / np.sqrt(memory["v"] / (1 - 0.99**step))


paths = {}
for rule in (sgd, momentum, rmsprop, adam):
    weights, memory = np.array([-9.0, 0.8]), {"m": 0.0, "v": 0.0}
    paths[rule.__name__] = [weights]
    for step in range(1, 41):
        weights = weights - rule(steepness * weights, memory, step)
        paths[rule.__name__].append(weights)
drawings.descents(paths, steepness)

# %% [markdown]
# **What you see.** SGD goes straight down the steep side and then crawls along the valley. Momentum gains speed, runs
# past the lowest point, and comes back. RMSprop and Adam step as far along the valley as across it; near the bottom
# RMSprop trembles, since its steps do not become shorter. No optimizer wins everywhere, and Adam forgives most. From
# here on we use Adam with its default learning rate of 0.001.

# %%
optimizers = {
    "SGD": keras.optimizers.SGD(0.1),
    "momentum": keras.optimizers.SGD(0.1, momentum=0.9),
    "RMSprop": keras.optimizers.RMSprop(0.001),
    "Adam": keras.optimizers.Adam(0.001),
}
histories = {}
for name in list(optimizers)[-workshop.choose(4, short=1) :]:
    print(f"{name}: ", end="")
    histories[name] = train(mlp(), optimizers[name])
display(figures.learning_curves(histories, "one network, four optimizers"))
compared = {"ten neurons": clock.history, "multilayer perceptron": histories["Adam"]}

# %% [markdown]
# ## 7 Convolution and pooling
#
# The MLP does not know that two pixels are neighbours: shuffle all pixels of all images in the same way, and it learns
# as well. A **convolution** knows. It slides a small window, the *filter*, over the image. At every place it multiplies
# the pixels by the filter's weights and adds up.
#
# **What to expect.** A filter of 3 × 3 on a tiny image: the window, the nine products, their sum, and where that sum
# goes.

# %%
tiny = np.array(
    [[0, 0, 0, 0, 0, 0], [0, 0, 9, 9, 0, 0], [0, 0, 0, 9, 0, 0], [0, 0, 0, 9, 0, 0], [0, 0, 0, 9, 0, 0], [0] * 6]
)
left_edges = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
drawings.sliding_window(tiny, left_edges, row=2, column=1)

# %% [markdown]
# **What you see.** The sum is large where it is dark on the left and bright on the right: this filter finds left edges.
# Change `row` and `column`, or the filter, and run the cell again. The same nine weights serve the whole image, so the
# filter finds its pattern wherever it is. And the result is two rows and two columns smaller, since the window has to
# stay inside.
#
# On a real digit, with a second filter for upper edges, and ReLU, which drops the negative answers:

# %%
filters = np.stack([left_edges.T, left_edges], axis=-1)[:, :, None, :].astype("float32")  # height, width, in, filters
five = images[labels == 5][:1].astype("float32")
answers = keras.ops.relu(keras.ops.conv(five, filters))
pooled = keras.ops.max_pool(answers, pool_size=2, strides=2)
print("image", five.shape, "→ convolution", tuple(answers.shape), "→ pooling", tuple(pooled.shape))

figure, axes = plt.subplots(1, 5, figsize=(15, 3.2))
names = ["the image", "upper edges", "left edges", "upper edges, pooled", "left edges, pooled"]
maps = [five[0, ..., 0], *np.moveaxis(np.asarray(answers)[0], -1, 0), *np.moveaxis(np.asarray(pooled)[0], -1, 0)]
for axis, name, values in zip(axes, names, maps, strict=True):
    axis.imshow(values, cmap="gray")
    axis.set_title(name)
    axis.axis("off")
plt.show()

# %% [markdown]
# **What you see.** Each filter lights up along its own kind of edge. **Pooling** then keeps the largest answer of each
# 2 × 2 patch: a quarter of the numbers, and you still see where the edges are. If the digit moves by a pixel, the
# pooled map hardly changes.
#
# In a network nobody writes filters by hand. They are weights, and training finds them.
#
# **Your turn.** A layer `Conv2D(32, 3)` on a grey image has 32 filters of 3 × 3, each with a bias. How many weights is
# that, biases included? And how high and wide is the result for an image of 28 × 28?
#
# <details><summary>Hint</summary>
#
# One filter has 3 · 3 weights for each channel of its input, and one bias. The window of 3 has to stay inside the
# image.
#
# </details>

# %% tags=["your-turn"]
### BEGIN SOLUTION: two whole numbers
weight_count = 32 * (3 * 3 * 1 + 1)
side = 28 - 3 + 1
### END SOLUTION

# %%
your_turn.convolution(weight_count, side, layers.Conv2D(32, 3), input_shape=(28, 28, 1))

# %% [markdown]
# ## 8 The first convolutional network
#
# **What to expect.** One convolution with 32 filters, one pooling, then an MLP: a *convolutional neural network* (CNN),
# close to LeNet of 1998. It should make fewer mistakes than the MLP and take longer, since each filter visits every
# place.

# %%
first = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(10),
    ],
    name="first_cnn",
)
figures.structure(first)

# %%
compared["convolutional network"] = train(first)
figures.learning_curves(compared, "neurons, a multilayer perceptron, a convolutional network")

# %% [markdown]
# **What you see.** Left and middle: loss and accuracy per epoch, dashed for the training images, solid for validation.
# Right: the same accuracy against time, since an epoch of one network may take ten times as long as an epoch of
# another.
#
# ### Where it fails

# %%
probabilities = np.asarray(keras.ops.softmax(first.predict(validation_images, verbose=0)))
display(figures.confusion_matrix(validation_labels, probabilities))
display(figures.wrong_predictions(validation_images, validation_labels, probabilities, count=8))

# %% [markdown]
# **What you see.** The *confusion matrix* has a row for each true digit and a column for each answer; mistakes stand
# off the diagonal. Digits that look alike are confused. Below are the worst mistakes, those with the least probability
# for the true digit.
#
# ### What did it learn?

# %%
display(figures.filters(first))
display(figures.layer_outputs(first, validation_images[0]))

# %% [markdown]
# **What you see.** Many learned filters look like the two from above: a bright side and a dark side, in many
# directions. Nobody told the network about edges.
#
# ## 9 One thing at a time
#
# Which parts of a network matter? Change *one* thing, keep all others, compare. Two layers are new:
#
# - **Dropout** switches off a share of the neurons at random in each training step. The network cannot rely on single
#   neurons, so it learns less by heart. In `predict` all neurons work.
# - **Batch normalization** brings each channel of a batch to mean 0 and standard deviation 1, then scales and shifts it
#   by two numbers that it learns. The next layer gets numbers of a steady size, and larger learning rates work. In
#   `predict` it uses a running mean from training.
#
# Here are six networks, layer by layer. They all begin with `Rescaling` and end with `Dense(10)`.

# %%
changes = {
    "as above": [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    ],
    "no pooling": [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    ],
    "8 filters, not 32": [
        layers.Conv2D(8, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    ],
    "two convolutions": [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    ],
    "dropout": [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(128, activation="relu"),
    ],
    "batch normalization": [
        layers.Conv2D(32, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
    ],
}

# %% [markdown]
# **Your bet.** Which of the six will have the highest validation accuracy? Write its name, then train them all.

# %% tags=["your-turn"]
### BEGIN SOLUTION: the name of one of the six
bet = "two convolutions"
### END SOLUTION

# %%
your_turn.bet(bet, changes)

# %%
histories, rows = {}, []
for name in list(changes)[-workshop.choose(6, short=1) :]:
    stack = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), *changes[name], layers.Dense(10)]
    network = keras.models.clone_model(keras.Sequential(stack))  # the same layers with new weights
    print(f"{name}: ", end="")
    history = histories[name] = train(network)
    last = history.iloc[-1]
    rows.append((name, network.count_params(), last["seconds"] / EPOCHS, last["accuracy"], last["val_accuracy"]))
headings = ["network", "weights", "seconds an epoch", "training accuracy", "validation accuracy"]
results = pd.DataFrame(rows, columns=headings).set_index("network")
print(results.round(4).to_string())
figures.learning_curves(histories, "one thing changed at a time")

# %%
best = results["validation accuracy"].max()
error = np.sqrt(best * (1 - best) / len(validation_images))
print(f"An accuracy of {best:.2%} on {len(validation_images):,} images has a standard error of {error:.2%}.")
your_turn.outcome(bet, results["validation accuracy"], error)

# %% [markdown]
# **What you see.** Compare the differences with the standard error. Differences of that size say nothing: with other
# validation images the order may change. What does not depend on luck:
#
# - Without pooling the dense layer has four times as many weights, and each epoch takes longer.
# - Fewer filters are faster.
# - A second convolution makes the network *smaller*: a smaller image reaches the dense layer.
# - With dropout the training accuracy is lower. Validation need not be.

# %% [markdown]
# ## 10 Four convolutions against six
#
# Digits are easy, and good networks hardly differ on them. **CIFAR-10** is harder: 50,000 small colour photographs of
# ten classes. This time we train to the end: all images, and a learning rate that falls to zero. It is the longest
# training of this notebook, a quarter of an hour on two cores. A GPU takes a few minutes, for three times as many
# epochs.

# %%
photos = kit.load("cifar-10", source=workshop.source("cifar-10"))
names = photos.competition.class_names
count = workshop.choose(50_000, short=150)
train_images, validation_images, train_labels, validation_labels = train_test_split(
    photos.train_images[:count], photos.train_labels[:count], test_size=0.1, random_state=0
)
figures.labelled_images(train_images, train_labels, names)

# %% [markdown]
# **What to expect.** Two networks, layer by layer. The first has four convolutions in two blocks; it is Keras's old
# example for CIFAR-10. The second has six in three blocks. After each block the image is half as wide, and there are
# twice as many filters. `padding="same"` adds a border of zeros, so that the result is as large as the image.

# %%
four = keras.Sequential(
    [
        keras.Input((32, 32, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Dropout(0.25),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10),
    ],
    name="four_convolutions",
)
six = keras.Sequential(
    [
        keras.Input((32, 32, 3)),
        layers.Rescaling(1 / 255),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Dropout(0.2),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Dropout(0.2),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(128, 3, padding="same", activation="relu"),
        layers.Dropout(0.2),
        layers.Conv2D(128, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(1024, activation="relu", kernel_constraint=keras.constraints.MaxNorm(3)),
        layers.Dropout(0.2),
        layers.Dense(10),
    ],
    name="six_convolutions",
)
four.summary()
six.summary()

# %% [markdown]
# **Your bet.** Which network has the higher validation accuracy at the end: `"four convolutions"` or
# `"six convolutions"`? And which takes longer for an epoch?

# %% tags=["your-turn"]
### BEGIN SOLUTION: one of the two names
bet = "six convolutions"
### END SOLUTION

# %%
your_turn.bet(bet, ["four convolutions", "six convolutions"])

# %% [markdown]
# **What to expect.** Large steps find the valley, and small ones its floor. So the learning rate begins at 0.001 and
# falls to zero along half a cosine wave. The tutorial that these two networks come from aimed at about 80 %.

# %%
EPOCHS = workshop.choose(10, gpu=30, short=1)
STEPS = EPOCHS * int(np.ceil(len(train_images) / BATCH))


def falling():
    """Adam with a learning rate that falls from 0.001 to zero during the training."""
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.001, STEPS))


histories = {
    "four convolutions": train(four, falling(), EPOCHS),
    "six convolutions": train(six, falling(), EPOCHS),
}
figures.learning_curves(histories, "four convolutions against six")

# %%
summary = pd.DataFrame(
    {
        "weights": {"four convolutions": four.count_params(), "six convolutions": six.count_params()},
        "seconds an epoch": {name: history["seconds"].iloc[-1] / EPOCHS for name, history in histories.items()},
        "validation accuracy": {name: history["val_accuracy"].iloc[-1] for name, history in histories.items()},
    }
)
print(summary.round(4).to_string())
best = summary["validation accuracy"].max()
error = np.sqrt(best * (1 - best) / len(validation_images))
your_turn.outcome(bet, summary["validation accuracy"], error)

# %% [markdown]
# **What you see.** In the middle of the figure, compare epoch by epoch; on the right, at equal time. How far is each
# from the 80 % that the tutorial aimed at? The larger network computes more in each epoch and starts more slowly;
# whether it leads in the end depends on the number of epochs. A network is never better on its own. It is better with
# this data and this much time.
#
# The confusion matrices of both:

# %%
by_four, by_six = (
    np.asarray(keras.ops.softmax(network.predict(validation_images, verbose=0))) for network in (four, six)
)
display(figures.confusion_matrix(validation_labels, by_four, names, "four convolutions"))
display(figures.confusion_matrix(validation_labels, by_six, names, "six convolutions"))

# %% [markdown]
# Find the pair of classes that each network confuses most. Is it the same pair? These are the images on which the two
# networks disagree most:

# %%
figures.disagreement(validation_images, validation_labels, by_four, by_six, ("four", "six"), names)

# %% [markdown]
# **What you see.** Two networks of similar accuracy make different mistakes. That is useful: average their
# probabilities, and each corrects some mistakes of the other. It is called an *ensemble*.

# %%
for name, predicted in (("four", by_four), ("six", by_six), ("both, averaged", (by_four + by_six) / 2)):
    print(f"{name:15} {np.mean(predicted.argmax(axis=1) == validation_labels):.2%}")

# %% [markdown]
# ## 11 Your network reads your digit
#
# **What to expect.** Back to the beginning: your drawing from section 1, read by your first CNN of section 8. Your pen
# is not the pen of MNIST's writers, so it may be wrong. Draw another digit, run section 1 again, and come back.

# %%
mine = np.asarray(keras.ops.softmax(first.predict(my_digit, verbose=0)))[0]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
left.imshow(my_digit[0, ..., 0], cmap="gray")
left.set_title(f"this is a {mine.argmax()}, says your network")
left.axis("off")
right.bar(range(10), mine)
right.set_xticks(range(10))
right.set_title("probability of each digit")
plt.show()

# %% [markdown]
# ### Keep it, and use it in a program of your own
#
# A trained network is one file. Any Python program that has Keras can use it, in five lines, and needs nothing of the
# kit:

# %%
first.save("data/my-digits.keras")
keras.utils.save_img("data/my-digit.png", my_digit[0], scale=False)

# %%
import keras

reader = keras.models.load_model("data/my-digits.keras")
image = keras.utils.load_img("data/my-digit.png", color_mode="grayscale", target_size=(28, 28))
logits = reader.predict(keras.utils.img_to_array(image)[None], verbose=0)
print("This is a", logits.argmax())

# %% [markdown]
# ## 12 Quiz
#
# Answer each question before you open it.
#
# **1.** A network for ten classes shows a loss of 2.30 after the first epoch, and after the fifth. What does it say?
#
# <details><summary>Answer</summary>
#
# It gives each class the probability 0.1, since −ln 0.1 = 2.30. It has learned nothing. Try another learning rate, and
# check that images and labels belong together.
#
# </details>
#
# **2.** Training accuracy is 99.9 %, validation accuracy 91 %. Which of these may help: more epochs, dropout, more
# training images?
#
# <details><summary>Answer</summary>
#
# Dropout and more images. The network knows its training images by heart; it *overfits*. More epochs make that worse.
#
# </details>
#
# **3.** Why does a convolution need so many fewer weights than a dense layer?
#
# <details><summary>Answer</summary>
#
# The same filter serves every place of the image. 32 filters of 3 × 3 on a grey image have 320 weights, whatever the
# size of the image. A dense layer has a weight for every pixel and neuron: 128 neurons on 784 pixels have 100,480.
#
# </details>
#
# **4.** Network A reaches 98.4 %, network B 98.6 %, both on the same 2,000 validation images. Is B better?
#
# <details><summary>Answer</summary>
#
# Nobody knows. The standard error on 2,000 images is about 0.3 %, more than the difference. More validation images
# would tell.
#
# </details>
#
# **5.** The last layer is `Dense(10)` without an activation, and the loss is `SparseCategoricalCrossentropy()`, without
# `from_logits=True`. What happens?
#
# <details><summary>Answer</summary>
#
# No error. The loss takes logits for probabilities, and the network learns badly or not at all. Either the last layer
# has a softmax, or the loss is told `from_logits=True`.
#
# </details>
#
# ## 13 The same in one line
#
# You wrote everything yourself, so that you can do it anywhere. The kit does the same in one line, and adds
# augmentation, a learning-rate schedule, figures, and a submission for Kaggle.

# %%
digits = kit.load("digit-recognizer", source=workshop.source("digit-recognizer"), limit=COUNT)
run = kit.fit(digits, model="lenet_small", epochs=workshop.choose(5, short=1))
run

# %% [markdown]
# As a command: `python -m kit.train --model lenet_small --epochs 5`. The other networks of this notebook are called
# `simple_cnn` (four convolutions) and `cnn6` (six).
#
# ## What to take home
#
# - An image is an array. Reshape it, scale it, know its range.
# - A network is layers of weighted sums with activation functions between them. Gradient descent trains it on a loss.
# - Softmax makes probabilities; cross-entropy is minus the logarithm of the true class's probability.
# - The learning rate comes first. Adam forgives most.
# - Convolutions look for the same pattern everywhere; pooling makes the image smaller and allows for small shifts.
# - Judge on images that were not trained on. Change one thing at a time. Know the standard error.
#
# To read on: [Keras's guides](https://keras.io/guides/), the free book [Neural Networks and Deep
# Learning](http://neuralnetworksanddeeplearning.com/) by Michael Nielsen, and [CS231n's
# notes](https://cs231n.github.io/) from Stanford.
#
# Next: [2 · Transfer learning](02-transfer-learning.ipynb). A network that others trained on a million photographs
# learns your classes in minutes.

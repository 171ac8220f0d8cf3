# %% [markdown]
# # 1 · Networks from scratch
#
# What a neural network is, how it learns, and why convolutions made machines see. You train a dozen small networks,
# first on handwritten digits, then on photographs. No account is needed, and no knowledge beyond a little Python.
#
# Run the cells from top to bottom with *Shift + Enter*. Before each experiment stands **what to expect**, after it
# **what was seen**. Change numbers and run a cell again: nothing can break.
#
# About an hour. The next cell sets everything up.

# %% [markdown]
# ## 1 What is deep learning?
#
# **Machine learning** is programming by examples. You do not write down what makes a 7 a 7. You show many sevens, and a
# program adjusts its own numbers until it tells them from other digits.
#
# | kind | what it is given | what it finds | here |
# | --- | --- | --- | --- |
# | **supervised** | examples *with* answers, the labels | a rule from example to answer | digit → 0 … 9 |
# | **unsupervised** | examples without answers | order in them: groups, directions | section 3 |
#
# A **neural network** is such a program, made of simple units in layers. A network of many layers is *deep*: each layer
# works with what the one before has found. First edges, then bows and corners, then whole digits.

# %%
import keras
import numpy as np
import pandas as pd
from IPython.display import display
from keras import layers
from sklearn.model_selection import train_test_split

from kit import competitions, figures, loaders, workshop, zoo
from kit.loaders.limit import limited
from kit.training import devices
from kit.training.inference import predict

# %% [markdown]
# ## 2 Images and labels
#
# **What to expect.** MNIST: grey images of 28 × 28 pixels, each a handwritten digit, with a label that says which. It
# has 60,000; we take a part, so that each experiment lasts seconds and not minutes.

# %%
dataset = loaders.load("digit-recognizer", source=workshop.choose("keras", short="sample"))
dataset = limited(dataset, workshop.choose(12_000, short=400))
images, labels = dataset.train_images, dataset.train_labels
print("images", images.shape, images.dtype)
print("labels", labels.shape, labels.dtype)
figures.labelled_images(images, labels)

# %% [markdown]
# To the computer an image is a table of numbers. 0 is black, 255 is white. Here is the middle of the first one:

# %%
print(pd.DataFrame(images[0, 6:22, 6:22, 0]).to_string(header=False, index=False))

# %% [markdown]
# **What was seen.** You can find the strokes in the numbers, with soft grey edges. *images* has four dimensions: how
# many, height, width, and channels. A grey image has one channel, a colour image three.
#
# ### How many, how bright?
#
# **What to expect.** Two questions come first with any data. Are there as many examples of each class? If one class is
# rare, a network can do well and never learn it. And which values do the pixels have?

# %%
display(figures.class_examples(images, labels))
display(figures.label_histogram(labels))

# %%
display(figures.pixel_histogram(images))
display(figures.pixel_histograms_by_class(images, labels))

# %% [markdown]
# **What was seen.** About a tenth of the images belongs to each digit: good. Most pixels are black, for a digit is a
# thin line on an empty field. The curves of the classes differ a little: a 1 needs less ink than a 0. That alone does
# not tell digits apart. It matters *where* the ink is.
#
# ## 3 Without labels: unsupervised
#
# **What to expect.** An image of 28 × 28 pixels is a point in a space of 784 dimensions. **Principal component
# analysis** (PCA) looks for the directions in which the images differ most, and asks for no labels. We draw the
# directions as pictures, then the images along the first two. Only the digits and colours in that last picture come
# from the labels.

# %%
display(figures.pca_components(images))
display(figures.pca_scatter(images, labels))

# %% [markdown]
# **What was seen.** Each component is a contrast: blue strokes against orange ones. With two numbers an image instead
# of 784, some digits already gather in a corner of their own, and others lie on top of each other. There is order in
# images before anybody names it. To name it, we need labels.
#
# ## 4 The perceptron
#
# A **perceptron** (Rosenblatt, 1958) is one artificial neuron. It multiplies each pixel by a *weight*, adds all of it
# up, and adds a number of its own, the *bias*:
#
# $$\text{answer} = w_1 \cdot \text{pixel}_1 + w_2 \cdot \text{pixel}_2 + \dots + w_{784} \cdot \text{pixel}_{784} + b$$
#
# Ten perceptrons side by side, one a digit: the one with the largest answer wins. In Keras that is one `Dense` layer of
# ten units. The ten answers are called **logits**.
#
# To see whether it has learned about digits, and not only learned its own images by heart, we put some aside: the
# **validation** images are never learned from.

# %%
train_images, validation_images, train_labels, validation_labels = train_test_split(
    images, labels, test_size=1 / 6, stratify=labels, random_state=0
)
perceptron = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        layers.Rescaling(1 / 255),  # from 0…255 to 0…1
        layers.Flatten(),  # from 28 × 28 to a row of 784
        layers.Dense(10, kernel_initializer="zeros"),  # a single layer may begin with zeros
    ],
    name="perceptrons",
)
print(figures.structure_text(perceptron))

# %% [markdown]
# ### How it learns: gradient descent
#
# At first the weights are zero or random, and the answers mean nothing. Then:
#
# 1. Show some images. The **loss** says how wrong the answers are: one number, small is good.
# 2. Compute the **gradient**: for every weight, whether the loss rises or falls if the weight grows a little.
# 3. Change every weight a little in the direction in which the loss falls.
# 4. Again from 1, with other images.
#
# It is like going down a hill in fog: feel the slope, take a step downhill, feel again. How long a step is says the
# **learning rate**.
#
# **What to expect.** The same valley three times, with three learning rates. Too small: many steps and hardly any way.
# Too large: each step lands farther up on the other side.

# %%
figures.gradient_descent()

# %% [markdown]
# **What was seen.** Only the one in the middle arrives. A real network has not two weights but thousands or millions;
# the picture is the same. The learning rate is the number to try first when a network does not learn.
#
# ### Batch, iteration, epoch
#
# All images at once would be slow; one at a time would be a drunken walk. So each step looks at a **batch**. One step
# is an **iteration**. When every image has been seen once, an **epoch** is done.

# %%
BATCH = 64
print(f"{len(train_images):,} images, {BATCH} a batch:", int(np.ceil(len(train_images) / BATCH)), "iterations an epoch")

# %% [markdown]
# **What to expect.** We tell Keras the optimizer (how to step), the loss, and what to print. Then `fit` goes through
# the images epoch by epoch. `accuracy` is the share of right answers, `val_accuracy` that of the validation images.
# Guessing would get a tenth right.

# %%
EPOCHS = workshop.choose(5, short=2)
perceptron.compile(
    optimizer=keras.optimizers.SGD(learning_rate=0.1),  # stochastic gradient descent: the four steps above
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
clock = workshop.Stopwatch()
perceptron.fit(
    train_images,
    train_labels,
    batch_size=BATCH,
    epochs=EPOCHS,
    validation_data=(validation_images, validation_labels),
    callbacks=[clock],
    verbose=2,
)
figures.learning_curves(clock.history, "ten perceptrons")

# %% [markdown]
# **What was seen.** A single layer of weighted sums gets far beyond guessing. What has it learned? Its weights are one
# for each pixel, so they can be drawn as images: white where ink speaks for the digit, black where it speaks against
# it.

# %%
weights = perceptron.layers[-1].get_weights()[0].reshape(28, 28, 10, 1).transpose(2, 0, 1, 3)
templates = (127.5 + 127.5 * weights / np.abs(weights).max()).astype("uint8")
figures.labelled_images(templates, np.arange(10), title="what each perceptron looks for")

# %% [markdown]
# **What was seen.** Blurred templates: the 0 wants a ring and nothing in the middle. A template allows no other way to
# write a digit, and a digit that is shifted by a few pixels fits it no more.
#
# ## 5 The multilayer perceptron
#
# Put a second layer behind the first, and between them a bend: **ReLU** keeps what is positive and makes zero of the
# rest. Without the bend two layers of sums would be one layer of sums. With it, the *hidden* layer can find pieces of
# digits, and the last layer can join them. That is a **multilayer perceptron** (MLP).
#
# The cells from now on train one network after the other, always in the same way. So that is a function:


# %%
def train(network, optimizer="adam", epochs=EPOCHS):
    """Compile and fit on the digits; return loss, accuracy and seconds of every epoch."""
    network.compile(
        optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    clock = workshop.Stopwatch()
    validation = (validation_images, validation_labels)
    network.fit(train_images, train_labels, BATCH, epochs, verbose=0, validation_data=validation, callbacks=[clock])
    print(f"{clock.history['val_accuracy'].iloc[-1]:.2%} of the validation images right, {clock.seconds:.0f} seconds")
    return clock.history


def mlp():
    """A hidden layer of 128 units between pixels and logits."""
    flat = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten()]
    return keras.Sequential([*flat, layers.Dense(128, activation="relu"), layers.Dense(10)], name="mlp")


# %% [markdown]
# **What to expect.** The same MLP with three learning rates: one that is too small, one that suits, one that is far too
# large.

# %%
histories = {}
for rate in (0.001, 0.2, 20.0):
    histories[f"learning rate {rate}"] = train(mlp(), keras.optimizers.SGD(rate))
figures.learning_curves(histories, "one network, three learning rates")

# %% [markdown]
# **What was seen.** As in the valley: with the smallest rate the loss falls, and slowly. With the middle one it falls
# fast. With the largest it jumps about and the network stays close to guessing, however long it trains.
#
# Optimizers such as **Adam** give every weight a step size of its own, and forgive a bad choice. From here on we use
# Adam, with its default learning rate of 0.001.

# %%
histories = {"ten perceptrons": clock.history, "multilayer perceptron": train(mlp())}

# %% [markdown]
# ## 6 Convolution and pooling
#
# The MLP has no idea that two pixels are neighbours: shuffle all pixels of all images alike, and it learns as well. A
# **convolution** knows. It slides a small window, the *filter*, over the image and computes the same weighted sum at
# every place. One filter of 3 × 3 has nine weights, and finds its pattern wherever it is.
#
# **What to expect.** Two filters written by hand. The first answers where it is dark above and bright below, the second
# where it is dark on the left and bright on the right. ReLU drops the negative answers.

# %%
upper = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]], "float32")
filters = np.stack([upper, upper.T], axis=-1)[:, :, None, :]  # height, width, channels in, filters
picture = images[labels == 5][:1].astype("float32")
answers = keras.ops.relu(keras.ops.conv(picture, filters))
pooled = keras.ops.max_pool(answers, pool_size=2, strides=2)
print("image", picture.shape, "→ convolution", tuple(answers.shape), "→ pooling", tuple(pooled.shape))


def shown(block):
    """The channels of one image's answers as pictures of their own, the largest answer white."""
    block = np.asarray(block)[0].transpose(2, 0, 1)[..., None]
    return (255 * block / block.max()).astype("uint8")


names = ["upper edges", "left edges"]
display(figures.labelled_images(picture.astype("uint8"), title="the image"))
display(figures.labelled_images(shown(answers), np.arange(2), names, title="after the convolution"))
display(figures.labelled_images(shown(pooled), np.arange(2), names, title="after pooling"))

# %% [markdown]
# **What was seen.** Each filter lights up along its own kind of edge, at every place of the image. **Pooling** then
# keeps the largest answer of each 2 × 2 patch. The picture has a quarter of the pixels and still shows where the edges
# are. And if the digit moves by a pixel, the pooled picture hardly changes.
#
# A convolutional layer has many filters, and nobody writes them by hand: they are weights, and learned.
#
# ## 7 The first convolutional network
#
# **What to expect.** One convolution with 32 filters, one pooling, then an MLP: a *convolutional neural network* (CNN),
# close to LeNet of 1998. It should make fewer mistakes than the MLP, and take longer: each filter visits every place.


# %%
def cnn(convolutions=1, filters=32, size=3, pooling=True, dropout=0.0):
    """Convolutions, each with a pooling, and a hidden layer of 128 units."""
    stack = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255)]
    for _ in range(convolutions):
        stack.append(layers.Conv2D(filters, size, activation="relu"))
        if pooling:
            stack.append(layers.MaxPooling2D())
    stack.append(layers.Flatten())
    if dropout:
        stack.append(layers.Dropout(dropout))
    stack += [layers.Dense(128, activation="relu"), layers.Dense(10)]
    return keras.Sequential(stack, name="cnn")


first = cnn()
figures.structure(first)

# %%
histories["convolutional network"] = train(first)
figures.learning_curves(histories, "a perceptron, a multilayer perceptron, a convolutional network")

# %% [markdown]
# **What was seen.** Left and middle: loss and accuracy per epoch; dashed for the training images, solid for validation.
# On the right is the same accuracy against time, for an epoch of one network may take ten times as long as an epoch of
# another. Where the dashed line goes on rising and the solid one does not follow, the network learns its training
# images by heart. That is **overfitting**.
#
# ### What does it get wrong?

# %%
probabilities = predict(first, validation_images)  # softmax makes probabilities of the logits
display(figures.confusion_matrix(validation_labels, probabilities))
display(figures.wrong_predictions(validation_images, validation_labels, probabilities))

# %% [markdown]
# **What was seen.** The matrix has a row for each true digit, and a column for each answer; mistakes are off the
# diagonal. They are no accident: digits are confused that look alike. Below are the mistakes of which the network was
# surest.
#
# ### What has it learned?

# %%
display(figures.filters(first))
display(figures.layer_outputs(first, validation_images[0]))

# %% [markdown]
# **What was seen.** The learned filters look much like the two from above: a bright side and a dark side, in many
# directions. Nobody told the network about edges.
#
# ## 8 One thing at a time
#
# Which parts of a network matter? There is one honest way to find out: change *one* thing, keep all others, compare.
#
# **What to expect.** Six networks. Before you run the cell, write down which you think will be best, and which slowest.

# %%
changes = {
    "as above": {},
    "no pooling": {"pooling": False},
    "8 filters, not 32": {"filters": 8},
    "filters of 5 × 5": {"size": 5},
    "two convolutions": {"convolutions": 2},
    "dropout 0.5": {"dropout": 0.5},
}
compared, rows = {}, []
for name in list(changes)[: workshop.choose(6, short=2)]:
    network = cnn(**changes[name])
    print(f"{name}: ", end="")
    history = compared[name] = train(network)
    last = history.iloc[-1]
    rows.append((name, network.count_params(), round(last["seconds"], 1), last["accuracy"], last["val_accuracy"]))
table = pd.DataFrame(rows, columns=["network", "weights", "seconds", "training accuracy", "validation accuracy"])
shown_as = {"weights": "{:,}".format, "training accuracy": "{:.2%}".format, "validation accuracy": "{:.2%}".format}
print(table.to_string(index=False, formatters=shown_as))
figures.learning_curves(compared, "one thing changed at a time")

# %%
share = table["validation accuracy"].max()
chance = np.sqrt(share * (1 - share) / len(validation_images))
print(f"chance alone moves an accuracy on {len(validation_images):,} images by about ± {chance:.2%}")

# %% [markdown]
# **What was seen.** Compare the differences with what chance does. Those of that size mean nothing: with other
# validation images the order may be another. What does not depend on chance:
#
# - Without pooling the dense layer has four times as many weights, and costs time.
# - Fewer filters are faster.
# - A second convolution makes the network *smaller*: the image that reaches the dense layer is smaller.
# - Dropout switches off half of the units at random while training. So training accuracy falls; validation need not.
#
# ## 9 Four convolutions against six
#
# Digits are easy, and good networks hardly differ on them. **CIFAR-10** is harder: small colour photographs of ten
# kinds of things. A GPU takes all of its 50,000, a CPU a part.

# %%
photos = loaders.load("cifar-10", source=workshop.choose("keras", short="sample"))
photos = limited(photos, workshop.choose(60_000 if devices.accelerator() else 12_000, short=300))
names = competitions.get("cifar-10").class_names
train_images, validation_images, train_labels, validation_labels = train_test_split(
    photos.train_images, photos.train_labels, test_size=1 / 6, stratify=photos.train_labels, random_state=0
)
figures.labelled_images(train_images, train_labels, names)

# %% [markdown]
# **What to expect.** Two networks of the kit's *zoo*, its collection of networks. The first has four convolutions in
# two blocks; it is Keras's old example for CIFAR-10. The second has six in three blocks. After each block the image is
# half as wide, and there are twice as many filters. Which will be better after the first epoch? Which at the end? Which
# takes longer?

# %%
four, six = (zoo.build(name, input_shape=(32, 32, 3), classes=10) for name in ("simple_cnn", "cnn6"))
display(figures.structure(four))
display(figures.structure(six))

# %%
EPOCHS = workshop.choose(8, short=1)
histories = {
    "four convolutions": train(four, epochs=EPOCHS),
    "six convolutions": train(six, epochs=EPOCHS),
}
figures.learning_curves(histories, "four convolutions against six")

# %% [markdown]
# **What was seen.** In the middle, compare epoch by epoch; on the right, after equal time. The larger network does more
# arithmetic an epoch and needs more epochs until it is ahead, if it gets there. A longer training, or all 50,000
# images, can turn the order round. Better is not a property of a network alone, but of network, data and time together.

# %%
by_four, by_six = predict(four, validation_images), predict(six, validation_images)
display(figures.confusion_matrix(validation_labels, by_four, names, "four convolutions"))
display(figures.confusion_matrix(validation_labels, by_six, names, "six convolutions"))

# %% [markdown]
# Find the pair of classes that each network confuses most. Is it the same pair? Where the two disagree most:

# %%
figures.disagreement(validation_images, validation_labels, by_four, by_six, ("four", "six"), names)

# %% [markdown]
# **What was seen.** Two networks of the same accuracy make different mistakes. That is no defect but a chance: average
# their probabilities, and some mistakes of one are outvoted by the other. It is called an *ensemble*, and you meet it
# again in the next notebooks.

# %%
together = (by_four + by_six) / 2
for name, chances in (("four", by_four), ("six", by_six), ("both, averaged", together)):
    print(f"{name:15} {np.mean(chances.argmax(axis=1) == validation_labels):.2%}")

# %% [markdown]
# ## What to take home
#
# - A network is layers of weighted sums with a bend between them. It learns by gradient descent on a loss.
# - Batch, iteration, epoch: how many images a step sees, a step, once through all images.
# - The learning rate comes first. Too small looks like patience, too large like bad luck.
# - Convolutions look for the same pattern everywhere; pooling makes the image smaller and forgives small shifts.
# - Judge on images that were not learned from. Change one thing at a time. Know what chance does.
#
# Next: [2 · Transfer learning](02-transfer-learning.ipynb), where a network that others have trained on a million
# images learns your classes in minutes.

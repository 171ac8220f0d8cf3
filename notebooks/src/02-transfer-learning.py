# %% [markdown]
# # 2 · Transfer learning
#
# VGG16 is a network that others trained on more than a million photographs. It has learned edges, colours, textures,
# eyes and wheels. In this notebook you use what it learned for images and classes of your own.
#
# The notebook has two halves, an hour each:
#
# | first half: look | second half: combine |
# | --- | --- |
# | 1 CIFAR-10, as images and as points | 7 fine-tuning: unfreeze the last block |
# | 2 two networks from scratch | 8 skip connections |
# | 3 VGG16 and what is inside | 9 two networks in one |
# | 4 gradient ascent | 10 the ensemble |
# | 5 frozen: features and a head | 11 Grad-CAM: which pixels count |
# | 6 sequential and functional | 12 everything side by side |
#
# Words that you will meet:
#
# | word | meaning |
# | --- | --- |
# | pre-trained | already trained, on other images |
# | features | the numbers that a network computes from an image before it decides |
# | head | the last layers, which turn features into classes |
# | frozen | training does not change these weights |
# | unfreeze, fine-tune | let training change them again, with a small learning rate |
# | logits | the numbers for the classes before softmax |

# %% [markdown]
# ## 1 CIFAR-10
#
# **What to expect.** Small colour photographs, 32 × 32 pixels, of ten classes. Which classes would you confuse
# yourself?
#
# A GPU takes all images. A CPU takes a fifth of them and fewer epochs: the ideas are the same, the accuracies lower.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from keras import layers
from keras.applications.vgg16 import preprocess_input
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split

import kit
from kit import figures, workshop
from kit.workshop import your_turn
from kit.zoo import imagenet

COUNT = workshop.choose(10_000, gpu=50_000, short=50)
data = kit.load("cifar-10", source=workshop.source("cifar-10"))
names = data.competition.class_names
train_images, validation_images, train_labels, validation_labels = train_test_split(
    data.train_images[:COUNT],
    data.train_labels[:COUNT],
    test_size=0.2,
    stratify=data.train_labels[:COUNT],
    random_state=0,
)
print("training  ", train_images.shape, train_images.dtype, "from", train_images.min(), "to", train_images.max())
print("validation", validation_images.shape)
figures.class_examples(train_images, train_labels, names, per_class=workshop.choose(10, short=2))

# %% [markdown]
# ### Are training and test images alike?
#
# **What to expect.** Validation tells what to expect on the test images only if both come from the same source. We
# cannot compare the labels, since the test labels are secret. But we can compare the pixels.

# %%
display(figures.label_histogram(train_labels, names))
display(figures.pixel_histograms_by_class(train_images, train_labels, names))

figure, axes = plt.subplots(1, 3, figsize=(15, 3.6), sharey=True)
for channel, (axis, colour) in enumerate(zip(axes, ("red", "green", "blue"), strict=True)):
    for which, images in (("training", train_images), ("test", data.test_images[:COUNT])):
        axis.hist(images[..., channel].ravel(), bins=64, density=True, histtype="step", label=which)
    axis.set_title(f"{colour} values, 0 … 255")
    axis.legend()
plt.show()

# %% [markdown]
# **What you see.** The classes are about equally frequent. The second figure shows the pixels' values class by class:
# aeroplanes and ships have more bright pixels, for sky and water, and frogs fewer. Below, the two lines of each plot
# lie on top of each other. If they did not, the test images would be darker, say, or from another camera, and the
# validation accuracy would promise too much.
#
# ### Images as points: PCA and t-SNE
#
# **What to expect.** An image of 32 × 32 × 3 values is a point in 3,072 dimensions. We look at these points in two
# ways:
#
# - **PCA** finds the directions in which the images differ most. It keeps large distances, and its directions can be
#   drawn as images themselves.
# - **t-SNE** arranges the points so that neighbours stay neighbours. Distances between groups, and the axes, mean
#   nothing.

# %%
figures.pca_components(train_images)

# %% [markdown]
# **What you see.** The first components are smooth: bright against dark, above against below as in land and sky, the
# middle against the edge. Then the patterns become finer. None of them is a dog.


# %%
def four_maps(points, title):
    """Draw points (images, …) along two and three components, and in t-SNE maps of two and three dimensions."""
    flat = points.reshape(len(points), -1)[: workshop.choose(1_500, short=60)].astype("float32")
    labels = train_labels[: len(flat)]
    fifty = PCA(min(50, len(flat)), random_state=0).fit_transform(flat)  # t-SNE is faster on fifty components
    perplexity = min(30, len(flat) // 4)
    options = {"perplexity": perplexity, "max_iter": workshop.choose(1_000, short=250), "random_state": 0}
    maps = {
        "PCA, 2 components": fifty[:, :2],
        "PCA, 3 components": fifty[:, :3],
        "t-SNE, 2 dimensions": TSNE(2, **options).fit_transform(fifty),
        "t-SNE, 3 dimensions": TSNE(3, **options).fit_transform(fifty),
    }
    figure = plt.figure(figsize=(15, 13))
    for number, (name, places) in enumerate(maps.items(), 1):
        axis = figure.add_subplot(2, 2, number, projection="3d" if places.shape[1] == 3 else None)
        for label, class_name in enumerate(names):
            axis.scatter(*places[labels == label].T, s=10, color=f"C{label}", label=class_name)
        axis.set_title(f"{title}: {name}")
    figure.legend(*axis.get_legend_handles_labels(), loc="lower center", ncols=10, markerscale=3)
    plt.show()


four_maps(train_images, "pixels")

# %% [markdown]
# **What you see.** The classes lie on top of each other, in all four maps. A light sky and a light wall are neighbours,
# whatever stands in front of them: pixels do not say what is in a photograph. (Ships and aeroplanes gather a little,
# since both have blue around them.) Remember this figure. In section 5 you draw it again with VGG16's features.
#
# ### How sure is a validation accuracy?

# %%
error = np.sqrt(0.25 / len(validation_labels))
print(f"{len(train_labels):,} images to train on, {len(validation_labels):,} to validate on")
print(f"An accuracy near 50 % on {len(validation_labels):,} images has a standard error of {error:.1%}.")

# %% [markdown]
# Two networks whose accuracies differ by less than two standard errors are equally good, as far as anybody can tell.
#
# ## 2 Two networks from scratch
#
# **What to expect.** Two networks that begin with random weights: the four convolutions of notebook 1, and a small
# **ResNet**, written out below. Two, since sections 9 and 10 need company.
#
# Both begin with **augmentation**: in training each image is mirrored and shifted at random, so that the network never
# sees exactly the same image twice. In `predict` these layers do nothing.


# %%
def augmentation():
    """Layers that mirror and shift at random while training."""
    return keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomTranslation(0.1, 0.1)], name="augmentation")


def four_convolutions():
    """The four convolutions of notebook 1."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            augmentation(),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, activation="relu", name="second"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, activation="relu", name="last"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ],
        name="four_convolutions",
    )


def residual_block(x, filters, stride):
    """Two convolutions with batch normalization, and a skip connection around both."""
    y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization(momentum=0.9)(y)  # with few images, a running mean that follows fast
    y = layers.ReLU()(y)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.9)(y)
    if stride > 1:  # the way around has to become as small and as deep
        x = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
    return layers.ReLU()(layers.Add()([x, y]))


def small_resnet():
    """A ResNet of three stages; after He et al. 2015, with one block a stage instead of three."""
    images = keras.Input((32, 32, 3))
    x = augmentation()(images)
    x = layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.ReLU()(x)
    x = residual_block(x, 16, stride=1)
    x = residual_block(x, 32, stride=2)
    x = residual_block(x, 64, stride=2)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(10)(x), name="small_resnet")


# %% [markdown]
# Every network of this notebook is trained by the same function. It compiles, fits, and keeps history, predictions and
# time.

# %%
networks, histories, predictions = {}, {}, {}


def train(name, network, epochs, learning_rate=0.001):
    """Train a network, and keep it with its history and its probabilities for the validation images."""
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = workshop.Stopwatch()
    network.fit(
        train_images,
        train_labels,
        batch_size=64,
        epochs=epochs,
        validation_data=(validation_images, validation_labels),
        callbacks=[clock],
        verbose=0,
    )
    keep(name, network, network.predict(validation_images, verbose=0), clock)


def keep(name, network, logits, clock):
    """Keep a trained network under its name, and print its accuracy."""
    networks[name], histories[name] = network, clock.history
    predictions[name] = np.asarray(keras.ops.softmax(logits))
    print(f"{name}: {accuracy(predictions[name]):.1%} after {clock.seconds:.0f} seconds")


def accuracy(probabilities):
    """Return the share of validation images whose likeliest class is true."""
    return np.mean(probabilities.argmax(axis=1) == validation_labels)


keras.utils.set_random_seed(0)
EPOCHS = workshop.choose(10, gpu=20, short=1)
train("four convolutions", four_convolutions(), EPOCHS)
train("small ResNet", small_resnet(), EPOCHS)
figures.learning_curves(histories)

# %% [markdown]
# **What you see.** Dashed are the training images, solid the validation images. This is what transfer has to beat, and
# the plot on the right says at which cost in time.
#
# ## 3 VGG16 and what is inside
#
# **What to expect.** VGG16 (2014) is simple: 13 convolutions of 3 × 3 in five blocks. A pooling after each block halves
# width and height. Its weights were trained on ImageNet, 1.2 million photographs of 1,000 classes.
#
# The next cell looks for these weights in `data/`, on Kaggle, in Keras's folder and on the internet (59 MB). Without
# them the notebook goes on with **random** weights, says so, and writes "random weights" beside every result of VGG16.
# Then there is nothing to transfer.

# %%
vgg = imagenet.vgg16_weights(download=workshop.choose(True, short=False))
print(vgg.origin)
base = keras.applications.VGG16(include_top=False, weights=vgg.file, input_shape=(32, 32, 3))
base.trainable = False
base.summary()

# %% [markdown]
# **What you see.** `include_top=False` leaves out VGG16's own head, three large dense layers for ImageNet's 1,000
# classes. What is left makes an image of 32 × 32 × 3 smaller and deeper: 32, 16, 8, 4, 2, and at last one place with
# **512 numbers**. These are the image's *features*. `base.trainable = False` freezes all weights.
#
# **Your turn.** How many numbers does VGG16 have for one image after its *third* pooling, `block3_pool`? Multiply
# height, width and channels.
#
# <details><summary>Hint</summary>
#
# The summary above has a line `block3_pool`. `None` stands for any number of images.
#
# </details>

# %% tags=["your-turn"]
### BEGIN SOLUTION: a whole number
numbers = 4 * 4 * 256
### END SOLUTION

# %%
your_turn.equal(
    numbers,
    np.prod(base.get_layer("block3_pool").output.shape[1:]),
    what="numbers after block3_pool",
    hint="Three poolings leave 32 / 2 / 2 / 2 pixels a side.",
)

# %% [markdown]
# ### Filters of several layers
#
# **What to expect.** Filters are weights, so they can be drawn. Those of the first convolution have three channels and
# are drawn as colours. Deeper filters have a channel for every filter of the layer before: up to 512. Of these we draw
# the first three, in grey.

# %%
LAYERS = workshop.choose(("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1"), short=("block1_conv1",))
figure, axes = plt.subplots(
    2 * len(LAYERS), 16, figsize=(15, 2.2 * len(LAYERS)), squeeze=False, gridspec_kw={"hspace": 0.4}
)
for number, name in enumerate(LAYERS):
    kernel = base.get_layer(name).get_weights()[0]  # height, width, channels in, filters
    kernel = kernel[..., ::-1, :] if number == 0 else kernel  # VGG16 has blue first
    scaled = 0.5 + 0.5 * kernel / np.abs(kernel).max(axis=(0, 1, 2))
    for place, axis in enumerate(axes[2 * number : 2 * number + 2].ravel()):
        if number == 0:
            axis.imshow(scaled[..., place])
        else:
            axis.imshow(scaled[..., place % 3, place // 3], cmap="gray", vmin=0, vmax=1)
        axis.axis("off")
    axes[2 * number, 0].set_title(name, loc="left")
plt.show()

# %% [markdown]
# **What you see.** With ImageNet's weights the first row shows edges in several directions and spots of one colour.
# Deeper filters are 3 × 3 as well, but what they look for depends on the layers before them, so a drawing of their
# weights says little. For them we need the next two sections.
#
# ### All feature maps of a layer
#
# **What to expect.** What a convolution computes for one image is a *feature map* for each filter. Here are all 64 of
# block 1, then all 128 of block 2, for one photograph.


# %%
def feature_maps(name, image, columns=16):
    """Draw all feature maps of a layer for one image."""
    reader = keras.Model(base.input, base.get_layer(name).output)
    maps = reader.predict(preprocess_input(image[None].astype("float32")), verbose=0)[0]
    figure, axes = plt.subplots(maps.shape[-1] // columns, columns, figsize=(15, maps.shape[-1] / columns))
    for axis, channel in zip(axes.ravel(), np.moveaxis(maps, -1, 0), strict=True):
        axis.imshow(channel, cmap="viridis")
        axis.axis("off")
    figure.suptitle(f"{vgg.label}: all {maps.shape[-1]} feature maps of {name}")
    plt.show()


photo = validation_images[0]
display(figures.labelled_images(photo[None], validation_labels[:1], names))
for name in workshop.choose(("block1_conv2", "block2_conv2"), short=("block1_conv2",)):
    feature_maps(name, photo)

# %% [markdown]
# And one row for each of seven layers, from the first to the last. For this we build our network: VGG16 with its
# preprocessing in front, and a head behind. `preprocess_input` brings pixels into the form that VGG16 was trained with.
# Notebook 3 shows what happens without it.

# %%
head = keras.Sequential(
    [
        keras.Input((1, 1, 512)),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10),
    ],
    name="head",
)
pixels = keras.Input((32, 32, 3), name="images")
x = augmentation()(pixels)  # while training only
x = preprocess_input(x)
x = base(x)
x = head(x)
vgg_network = keras.Model(pixels, x, name="vgg16_and_head")
figures.layer_outputs(vgg_network, photo, layers=7, channels=workshop.choose(10, short=3))

# %% [markdown]
# **What you see.** In the first layers the photograph is easy to recognize. Deeper maps are coarser and more selective:
# most are dark, and a few light up at one place. After the fourth pooling 2 × 2 places are left.
#
# ## 4 Gradient ascent: which image excites a filter most?
#
# **What to expect.** Turn the question round. Begin with noise and change the *pixels* step by step, so that one filter
# answers more and more. The arithmetic is that of training, but the image changes and the weights do not. First VGG16,
# then your own network.

# %%
count, steps = workshop.choose((10, 40), short=(2, 2))
for name in workshop.choose(("block1_conv2", "block3_conv3", "block4_conv3"), short=("block1_conv2",)):
    display(figures.gradient_ascent(vgg_network, name, count=count, steps=steps))
for name in workshop.choose(("second", "last"), short=("last",)):
    display(figures.gradient_ascent(networks["four convolutions"], name, count=count, steps=steps))

# %% [markdown]
# **What you see.** With ImageNet's weights, block 1 wants edges and plain colours, block 3 textures, block 4 larger
# patterns such as grids and curls. Your own network has seen few images: it wants colours, stripes and dots, and
# filters that stay noise answer to nothing. Random filters want nothing in particular.
#
# ## 5 Frozen: features once, and a head that learns
#
# **What to expect.** While the base is frozen, it computes the same features for an image in every epoch. So we compute
# them **once** and train the head on them. An epoch of the head takes a moment.

# %%
features = base.predict(preprocess_input(train_images.astype("float32")), verbose=0)
validation_features = base.predict(preprocess_input(validation_images.astype("float32")), verbose=0)
print("pixels", train_images.shape, "→ features", features.shape)
four_maps(features, f"features of {vgg.label}")

# %% [markdown]
# **What you see.** Compare with the maps of the pixels in section 1. ImageNet's features gather the classes, though
# VGG16 never heard of our ten: vehicles on one side, animals on the other, and within them groups. Where groups overlap
# (cat and dog, deer and horse), the head will make its mistakes.
#
# **Your bet.** Which of these three has the highest validation accuracy: `"four convolutions"`, `"small ResNet"` or
# `"VGG16, frozen"`? You know the first two.

# %% tags=["your-turn"]
### BEGIN SOLUTION: one of the three names
bet = "VGG16, frozen"
### END SOLUTION

# %%
your_turn.bet(bet, ["four convolutions", "small ResNet", "VGG16, frozen"])

# %%
keras.utils.set_random_seed(0)
head.compile(
    optimizer=keras.optimizers.Adam(0.001),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
clock = workshop.Stopwatch()
head.fit(
    features,
    train_labels,
    batch_size=64,
    epochs=workshop.choose(20, short=1),
    validation_data=(validation_features, validation_labels),
    callbacks=[clock],
    verbose=0,
)
keep("VGG16, frozen", vgg_network, head.predict(validation_features, verbose=0), clock)
results = pd.Series({name: accuracy(probabilities) for name, probabilities in predictions.items()})
your_turn.outcome(bet, results, error)
figures.learning_curves(histories)

# %% [markdown]
# **What you see.** The head learns in seconds (the one pass through VGG16 is not counted). With ImageNet's weights it
# starts high and soon stops rising: the features are fixed, and the head has found what they offer.
#
# Who wins depends on the number of images. Transfer helps most where there are few. Frozen VGG16 is known to reach
# about 64 % on CIFAR-10, since it was made for larger photographs than 32 × 32. With all 50,000 images and enough time
# a network from scratch goes far beyond: ResNet's authors report 91 %.
#
# ## 6 One network, written in two ways
#
# **Sequential** is a list of layers, each fed by the one before. **Functional** says for each layer where its input
# comes from. It is a little longer and can do everything: branches, joints, several inputs. Section 3 built
# `vgg_network` functionally; here is the same as a list.

# %%
sequential = keras.Sequential([keras.Input((32, 32, 3)), base, head])
few = validation_images[:16]
one = sequential.predict(preprocess_input(few.astype("float32")), verbose=0)
other = vgg_network.predict(few, verbose=0)
print(f"largest difference between the two: {np.abs(one - other).max():.6f}")

# %% [markdown]
# **What you see.** The same layers with the same weights give the same logits. One thing differs: the functional
# network has the preprocessing inside, so that nobody can forget it.
#
# *Half-time. A good moment for a break.*
#
# ## 7 Fine-tuning: unfreeze the last block
#
# **What to expect.** The head is trained. Now the last block of VGG16, three convolutions, may adapt to our
# photographs. Two rules:
#
# - **First the head, then the base.** A head with random weights sends random gradients back, and they would destroy
#   what the base knows.
# - **A small learning rate**, ten times smaller than for the head. The weights are good already.

# %%
base.trainable = True
for layer in base.layers:
    layer.trainable = layer.name.startswith("block5")
learning = sum(np.prod(weight.shape) for weight in vgg_network.trainable_weights)
print(f"{learning:,} of {vgg_network.count_params():,} weights learn")

# %% [markdown]
# **Your turn.** On a copy of VGG16: freeze everything but the last *two* blocks, `block4` and `block5`.
#
# <details><summary>Hint</summary>
#
# `keras.models.clone_model(base)` makes the copy. Then the loop from above; `startswith` takes several beginnings as a
# tuple.
#
# </details>

# %% tags=["your-turn"]
### BEGIN SOLUTION: a clone of base with block4 and block5 unfrozen, and the rest frozen
copy = keras.models.clone_model(base)
for layer in copy.layers:
    layer.trainable = layer.name.startswith(("block4", "block5"))
### END SOLUTION

# %%
your_turn.unfrozen(copy, ("block4", "block5"))

# %%
FINE_EPOCHS = workshop.choose(3, gpu=6, short=1)
keras.utils.set_random_seed(0)
train("VGG16, last block unfrozen", vgg_network, FINE_EPOCHS, learning_rate=0.0001)

# %% [markdown]
# **What you see.** Now every image goes through all of VGG16 in each epoch, mirrored and shifted anew each time, so it
# takes long. Compare the accuracy with that of the frozen network. The last block has seven million weights. With few
# images it soon learns them by heart, and gains little or loses; with many it gains. (With random weights there is
# nothing to refine.) With all layers unfrozen, all images and many epochs, 80 to 93 % are reported for 32 × 32 pixels.
#
# ## 8 Skip connections
#
# A **skip connection** takes a layer's output *around* the next layers and joins it again behind them. Functional
# networks can do that, sequential ones cannot.
#
# ### In a ResNet: the gradient finds its way back
#
# **What to expect.** Training sends gradients from the last layer to the first. Here are chains of 2 to 32
# convolutions, untrained, with and without skips. We measure how much a change of the pixels changes the answer: what
# arrives at the other end of the chain.


# %%
def chain(convolutions, skips):
    """Convolutions one after the other, each with a skip around it or not."""
    images = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same")(images)
    for _ in range(convolutions):
        y = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        x = layers.Rescaling(0.7)(layers.Add()([x, y])) if skips else y  # 0.7: two added numbers are larger than one
    return keras.Model(images, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))


few = train_images[:8].astype("float32") / 255
noise = np.random.default_rng(0).normal(size=few.shape).astype("float32")
sizes = pd.DataFrame(columns=["without skips", "with skips"], dtype=float)
for convolutions in workshop.choose((2, 4, 8, 16, 32), short=(2,)):
    for column in sizes:
        keras.utils.set_random_seed(1)
        network = chain(convolutions, skips=column == "with skips")
        sizes.loc[convolutions, column] = np.abs(network(few + 0.01 * noise) - network(few)).mean()
print("change of the answer, relative to that of 2 convolutions")
(sizes / sizes.iloc[0]).round(6)

# %% [markdown]
# **What you see.** Without skips the effect shrinks with every layer. After 32 of them hardly anything arrives, and the
# gradients of the first layers are as small: they do not learn. With skips it keeps its size, since there is a way
# around every layer. That idea (He et al., 2015) made networks of more than a hundred layers trainable.

# %%
figures.structure(networks["small ResNet"])

# %% [markdown]
# ### In VGG16: use the features of every block
#
# **What to expect.** The last block's features were made for ImageNet's classes and for large photographs: of ours, one
# place is left. The middle blocks still have 8 × 8 and 4 × 4 places, with the textures that they found. So we read
# VGG16 after **each** of its five poolings. Batch normalization brings the five readings to one scale. Each goes
# through a dense layer of its own to ten numbers; these are concatenated, and a last head decides. The convolutions are
# frozen, and loaded anew: those of section 7 have changed. Layer by layer:

# %%
base = keras.applications.VGG16(include_top=False, weights=vgg.file, input_shape=(32, 32, 3))
base.trainable = False
reader = keras.Model(base.input, [base.get_layer(f"block{block}_pool").output for block in range(1, 6)])
pixels = keras.Input((32, 32, 3), name="images")
readings = []
for reading in reader(preprocess_input(augmentation()(pixels))):
    y = layers.Flatten()(reading)
    y = layers.BatchNormalization(momentum=0.9)(y)
    y = layers.Dense(512, activation="relu")(y)
    y = layers.Dropout(0.5)(y)
    readings.append(layers.Dense(10)(y))
x = layers.Concatenate()(readings)
x = layers.Dense(512, activation="relu")(x)
x = layers.Dropout(0.5)(x)
vgg_skip = keras.Model(pixels, layers.Dense(10)(x), name="vgg16_skip")
figures.structure(vgg_skip)

# %%
keras.utils.set_random_seed(0)
train("VGG16 with skips", vgg_skip, workshop.choose(5, short=1))

# %% [markdown]
# **What you see.** Compare with the frozen network, which uses the last block alone. With ImageNet's weights the skips
# gain much: they are the best network so far, though no convolution has learned anything. The workshop that this
# network comes from calls the gain significant. The price: 16 million new weights, most of them behind the first
# poolings, where the maps are large. Without the batch normalization the five readings differ in size by orders of
# magnitude, and the gain is lost. Try it.
#
# ## 9 Two networks in one
#
# **What to expect.** The ResNet learned from CIFAR-10 alone, VGG16 from ImageNet: they make different mistakes. We
# freeze both, concatenate their ten logits, and train a small head that learns *whom to trust, and when*.

# %%
members = [networks["small ResNet"], networks["VGG16, last block unfrozen"]]
for member in members:
    member.trainable = False
pixels = keras.Input((32, 32, 3), name="images")
x = layers.Concatenate()([member(pixels, training=False) for member in members])  # without their dropout
x = layers.Dense(512, activation="relu")(x)
x = layers.Dropout(0.5)(x)
combined = keras.Model(pixels, layers.Dense(10)(x), name="combined")
keras.utils.set_random_seed(0)
train("combined, frozen", combined, FINE_EPOCHS)

# %% [markdown]
# The other way: train two branches **jointly**, from scratch, as one network. They share the loss, so each learns what
# the other lacks.

# %%
pixels = keras.Input((32, 32, 3), name="images")
x = layers.Concatenate()([branch(pixels) for branch in (four_convolutions(), small_resnet())])
x = layers.Dense(512, activation="relu")(x)
x = layers.Dropout(0.5)(x)
joint = keras.Model(pixels, layers.Dense(10)(x), name="trained_jointly")
keras.utils.set_random_seed(0)
train("combined, trained jointly", joint, EPOCHS)

# %% [markdown]
# **What you see.** The frozen combination usually gains half a point to two points on the better of its members, in few
# epochs. It can fail: its head learns on images that both members know by heart, and there they are overconfident. The
# joint network costs as much as both branches together. Is it better than the branches on their own?
#
# ## 10 The ensemble
#
# **What to expect.** The simplest combination has nothing to learn: average the probabilities. It helps where networks
# are about equally good and **disagree**.

# %%
members = ["four convolutions", "small ResNet", "VGG16, last block unfrozen", "VGG16 with skips"]
stacked = np.stack([predictions[name] for name in members])  # members, images, classes
answers = stacked.argmax(axis=2)
shares = np.array([[np.mean(one != other) for other in answers] for one in answers])
figures.pairwise_disagreement(members, shares, [accuracy(predictions[name]) for name in members])

# %% [markdown]
# **Your turn.** Average the members' probabilities: `stacked` has the shape (members, images, classes), and the result
# has (images, classes).
#
# <details><summary>Hint</summary>
#
# `mean` with the axis over which to average.
#
# </details>

# %% tags=["your-turn"]
### BEGIN SOLUTION: the mean over the members
average = stacked.mean(axis=0)
### END SOLUTION

# %%
your_turn.equal(average, stacked.mean(axis=0), what="the average", hint="Average over the members, axis 0.")

# %%
predictions["ensemble"] = stacked.mean(axis=0)
best = max(members, key=lambda name: accuracy(predictions[name]))
for name in (best, "ensemble"):
    print(f"{name}: {accuracy(predictions[name]):.1%}")
before, after = (predictions[name].argmax(axis=1) == validation_labels for name in (best, "ensemble"))
print(f"against its best member: {np.sum(after & ~before)} mistakes corrected, {np.sum(before & ~after)} new ones")

# %% [markdown]
# **What you see.** A member that is much worse pulls the average down. Members that are about as good and make
# different mistakes are nearly always better together than the best of them. On leaderboards this is the cheapest gain.
# The kit's `kit.ensemble` also fits weights for the members.
#
# ## 11 Which pixels count?
#
# ### Grad-CAM
#
# **What to expect.** Grad-CAM asks a network: *which places of the image spoke for this class?* They are drawn warm.
# First one image of every class.

# %%
shown = np.array([np.flatnonzero(validation_labels == label)[0] for label in range(workshop.choose(10, short=3))])
explained = "VGG16, last block unfrozen"
figures.grad_cam(networks[explained], validation_images[shown], validation_labels[shown], names, guided=False)

# %% [markdown]
# Now one image and all ten classes: what in it looks like a bird, what like a ship?

# %%
from kit.figures.attribution import grad_cam_maps

classes = np.arange(workshop.choose(10, short=3))
maps = grad_cam_maps(networks[explained], np.repeat(photo[None], len(classes), axis=0), classes)
figure, axes = plt.subplots(1, len(classes), figsize=(16, 2.2))
for axis, label in zip(axes, classes, strict=True):
    axis.imshow(photo)
    axis.imshow(maps[label], cmap="jet", alpha=0.45, vmin=0, vmax=1)
    axis.set_title(f"{names[label]}\n{predictions[explained][0, label]:.0%}")
    axis.axis("off")
plt.show()

# %% [markdown]
# **What you see.** The warm places for the predicted class should lie on the object. They are coarse, since VGG16's
# maps have few places left. If the background is warm, be careful: the network may have learned where things stand
# instead of what they are.
#
# ### Right and wrong, at random and at worst
#
# **What to expect.** Random predictions show what is usual, the worst mistakes show what is possible. Beside each image
# stand the probabilities of all ten classes, the true one in green.


# %%
def with_bars(rows, title):
    """Draw images with the probabilities that the ensemble gives to all classes."""
    figure, axes = plt.subplots(2, len(rows), figsize=(3 * len(rows), 5.4), squeeze=False)
    for (above, below), row in zip(axes.T, rows, strict=True):
        truth, probabilities = validation_labels[row], predictions["ensemble"][row]
        above.imshow(validation_images[row])
        above.set_title(names[truth])
        above.axis("off")
        below.barh(names, probabilities, color=["tab:green" if label == truth else "tab:gray" for label in range(10)])
        below.set_xlim(0, 1)
        below.invert_yaxis()
    figure.suptitle(title)
    figure.tight_layout()
    plt.show()


rng = np.random.default_rng(0)
right = predictions["ensemble"].argmax(axis=1) == validation_labels
for title, rows in (("right, at random", np.flatnonzero(right)), ("wrong, at random", np.flatnonzero(~right))):
    if len(rows):
        with_bars(rng.permutation(rows)[: workshop.choose(6, short=2)], title)
display(figures.wrong_predictions(validation_images, validation_labels, predictions["ensemble"], names, count=8))
figures.confusion_matrix(validation_labels, predictions["ensemble"], names)

# %% [markdown]
# **What you see.** Animals are taken for animals and vehicles for vehicles; cat and dog are the classic. You would have
# made some of these mistakes yourself.
#
# ## 12 Everything side by side

# %%
rows = {
    name: {
        "accuracy": accuracy(probabilities),
        "log-loss": -np.log(probabilities[np.arange(len(validation_labels)), validation_labels] + 1e-7).mean(),
        "seconds of training": histories[name]["seconds"].iloc[-1] if name in histories else np.nan,
    }
    for name, probabilities in predictions.items()
}
print(f"{vgg.label}; standard error about {error:.1%}")
pd.DataFrame(rows).T.round(3)

# %% [markdown]
# Read the table with the standard error in mind.
#
# ### How to choose
#
# | your case | begin with |
# | --- | --- |
# | the classes are among those that a network already knows | **use** what exists, as it is |
# | other classes, few images, photographs of everyday things | **retrain** the head on a frozen network |
# | some thousand images | retrain, then **fine-tune** the last blocks |
# | images of another kind (X-rays, digits), or many | **modify**: other input, other depth, all layers unfrozen |
# | small images, many of them, time and a GPU | **build** your own, from scratch |
#
# ### Several GPUs, in a page
#
# Keras divides each batch among the devices: every device has a copy of the network, computes its part of the
# gradients, and all add up. On TensorFlow, build and compile inside a scope:
#
# ```python
# import tensorflow as tf
#
# strategy = tf.distribute.MirroredStrategy()  # all GPUs of this machine
# with strategy.scope():
#     network = small_resnet()
#     network.compile(optimizer="adam", loss=..., metrics=["accuracy"])
# network.fit(train_images, train_labels, batch_size=64 * strategy.num_replicas_in_sync)
# ```
#
# On JAX the same is `keras.distribution.set_distribution(keras.distribution.DataParallel())` before you build.
#
# - A batch should grow with the number of devices, and with the batch the learning rate, up to a point.
# - Small networks gain little, since the devices wait for each other and for the images.
# - Batch normalization sees its device's part of the batch only, unless the layer has `synchronized=True`.
# - The kit does all that with `--devices auto`, and both T4s of a Kaggle notebook are used.
#
# ## 13 Quiz
#
# **1.** You have 300 photographs of two kinds of screws. From scratch, frozen, or all layers unfrozen at once?
#
# <details><summary>Answer</summary>
#
# Frozen, with a small head. 300 images are far too few for millions of weights. Fine-tune the last block afterwards, if
# validation gains.
#
# </details>
#
# **2.** Why must the head be trained before the base is unfrozen?
#
# <details><summary>Answer</summary>
#
# A random head gives large, random gradients. They would change the base's good weights at random before the head knows
# anything.
#
# </details>
#
# **3.** t-SNE shows two groups far apart. May you say that these classes are more different than two that are close?
#
# <details><summary>Answer</summary>
#
# No. t-SNE keeps neighbours; distances between groups, sizes of groups and axes mean nothing. Look at PCA, or measure.
#
# </details>
#
# **4.** Network A has 80 %, B has 79 %, C has 55 %. Which average do you expect to be best: A and B, or all three?
#
# <details><summary>Answer</summary>
#
# A and B, if they make different mistakes. C is much worse, and an average counts it as much as the others.
#
# </details>
#
# **5.** Grad-CAM for "ship" is warm on the water and cold on the ship. What is the danger?
#
# <details><summary>Answer</summary>
#
# The network may have learned water. It will take a swimming bird for a ship, and miss a ship in a dry dock.
#
# </details>
#
# ## 14 The same in one line
#
# ```python
# data = kit.load("cifar-10")
# run = kit.fit(data, model="vgg16_transfer", epochs=6, unfreeze=1)
# ```
#
# `unfreeze=1` trains the head first and then unfreezes the last block: sections 5 and 7 in a line. As commands, with
# all images and a submission at the end:
#
# ```
# python -m kit.train --competition cifar-10 --model resnet_small --name resnet
# python -m kit.train --competition cifar-10 --model vgg16_transfer --epochs 6 --unfreeze 1 --name vgg16
# python -m kit.train --competition cifar-10 --model vgg16_skip --name vgg16-skip
# python -m kit.train --competition cifar-10 --model combined --options runs=resnet,vgg16 --name joined
# python -m kit.ensemble resnet vgg16 vgg16-skip --competition cifar-10 --name averaged
# python -m kit.submit averaged --competition cifar-10
# ```
#
# To read on: Keras's guide to [transfer learning](https://keras.io/guides/transfer_learning/), the paper on
# [VGG16](https://arxiv.org/abs/1409.1556), on [ResNet](https://arxiv.org/abs/1512.03385), on
# [Grad-CAM](https://arxiv.org/abs/1610.02391), and [How to use t-SNE
# effectively](https://distill.pub/2016/misread-tsne/).
#
# Next: [3 · Transfer on digits](03-transfer-on-digits.ipynb), where VGG16 meets grey digits and every error on the way.

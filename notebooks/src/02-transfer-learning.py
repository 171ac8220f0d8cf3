# %% [markdown]
# # 2 · Transfer learning
#
# Why begin at zero? VGG16 is a network that has looked at more than a million photographs. It has learned to see
# edges, colours, textures, eyes and wheels. In this notebook you take what it has learned and use it on CIFAR-10:
# on pictures that it has never seen, for a question that it was never asked.
#
# On the way you will
#
# 1. look at CIFAR-10, and train a network from scratch as a mark to beat,
# 2. look into VGG16: its filters, what its layers see, what excites them,
# 3. use it **frozen**: its weights stay, only a new head learns,
# 4. build one and the same network in two ways, **sequential** and **functional**,
# 5. **unfreeze** its last block and let it learn a little, with small steps,
# 6. add **skip connections**: what they are good for in a ResNet, and in VGG16,
# 7. **combine** two trained networks into one, and let several vote as an **ensemble**,
# 8. ask all of them where they look.
#
# A few words that you will meet again and again:
#
# | word | meaning |
# | --- | --- |
# | pre-trained | trained by somebody else, on other images |
# | features | the numbers that a network makes of an image before it decides |
# | head | the last layers, which turn features into classes |
# | frozen | these weights do not change in training |
# | unfrozen | these weights may change again; also called fine-tuning |
# | logits | the numbers for the classes before they become probabilities |

# %% [markdown]
# ## 1. CIFAR-10
#
# **What to expect.** Small colour photographs, 32 × 32 pixels, of ten kinds of things. Each class has equally many.
# Look at them closely: which classes would you mix up yourself?
#
# The next cell decides how much work there is. A GPU takes all the images. A CPU takes a tenth of them and fewer
# epochs, so that you are through in some minutes. The ideas are the same; the accuracies are lower.

# %%
import math

import keras
import numpy as np
import pandas as pd
from keras import layers

from kit import competitions, ensemble, figures, loaders, workshop, zoo
from kit.loaders.limit import limited
from kit.recipes.recipe import Recipe
from kit.training import devices, inference, session, splits
from kit.training.fit import fit
from kit.zoo import imagenet

gpu = bool(devices.accelerator())
image_count = workshop.choose(50_000 if gpu else 5_000, short=200)
scratch_epochs = workshop.choose(20 if gpu else 8, short=1)
transfer_epochs = workshop.choose(5 if gpu else 3, short=1)
head_epochs = workshop.choose(20, short=2)

# %%
rules = competitions.get("cifar-10")
# "keras" downloads CIFAR-10 once. With Kaggle's own files in data/cifar-10, write "kaggle".
whole = loaders.load("cifar-10", source=workshop.choose("keras", short="sample"))
dataset = limited(whole, image_count)
print(loaders.describe(dataset))
figures.class_examples(dataset.train_images, dataset.train_labels, rules.class_names)

# %%
figures.label_histogram(dataset.train_labels, rules.class_names)

# %%
figures.pixel_histogram(dataset.train_images)

# %%
figures.pca_scatter(dataset.train_images, dataset.train_labels, rules.class_names, title="images, by their pixels")

# %% [markdown]
# **What was seen.** In the last plot each point is an image. Its place comes from its 3,072 pixel values, squeezed
# to two numbers. For the photographs the classes lie on top of each other: a light sky and a light wall are
# neighbours, whatever stands in front of them. Pixels alone do not say what is in a photograph. Remember this plot:
# we will draw it again with VGG16's features in place of pixels.
#
# ### Training images and validation images
#
# A fifth of the images is put aside. No network learns from them. They tell how good a network is on new images.

# %%
recipe = Recipe(validation_share=0.2)
[(training_rows, validation_rows)] = splits.splits(dataset.train_labels, recipe)
split = session.split_of(dataset, recipe, training_rows, validation_rows, fold=0)
truth = split.validation_labels
noise = math.sqrt(0.25 / len(truth))
print(f"{len(split.images):,} images to learn from, {len(truth):,} to validate on")
print(f"An accuracy measured on {len(truth):,} images is known to about ± {noise:.1%}.")

# %% [markdown]
# That last number matters. With few validation images, two networks whose accuracies are closer than this are
# equally good, as far as anybody can tell.
#
# ## 2. A mark to beat: networks from scratch
#
# **What to expect.** Two networks that begin with random weights and have to find out by themselves what an edge
# is: `simple_cnn`, the four convolutions of notebook 1, and `resnet_small`, a better one (we look into it in
# section 8). Two, because in sections 9 and 10 we will want company.
#
# `fit` is the kit's training. It takes any network that goes from pixels to logits, yours too. The recipe says how.

# %%
recipes = {
    "simple_cnn": Recipe(batch_size=64, learning_rate=0.002, flip="random", shift=2, epochs=scratch_epochs),
    "resnet_small": Recipe(
        batch_size=64,
        optimizer="sgd",
        learning_rate=0.1,
        weight_decay=0.002,
        flip="random",
        shift=4,
        fill_mode="reflect",
        epochs=scratch_epochs,
    ),
}
networks, histories, predictions = {}, {}, {}
for name, recipe in recipes.items():
    keras.utils.set_random_seed(0)
    networks[name] = zoo.build(name, rules.image_shape, rules.classes)
    histories[name] = pd.DataFrame(fit(networks[name], split, recipe))
    predictions[name] = inference.predict(networks[name], split.validation_images)
for name in recipes:
    print(f"{name}: {ensemble.accuracy(predictions[name], truth):.1%}")

# %%
figures.learning_curves(histories)

# %% [markdown]
# **What was seen.** Dashed is what a network says about the images that it learns from, solid what it says about
# the validation images. The loss falls and the accuracy rises, with a setback now and then. This is our mark; the
# plot on the right says how long it took.
#
# ## 3. VGG16
#
# **What to expect.** VGG16 is from 2014 and simple: 13 convolutions of 3 × 3, in five blocks. After each block a
# pooling halves width and height. Its weights were trained on ImageNet, with 1.2 million photographs of 1,000
# classes.
#
# The next cell looks for these weights: in `data/`, on Kaggle, in Keras's own folder, and on the internet (59 MB).
# If they are nowhere, it says so and what to do. The notebook then goes on with **random** weights. It runs to its
# end all the same, but there is nothing to transfer, and every number and picture of VGG16 carries the words
# "random weights".

# %%
vgg = imagenet.vgg16_weights(download=workshop.choose(True, short=False))
print(vgg.origin)

# %%
base = keras.applications.VGG16(include_top=False, weights=vgg.file, input_shape=rules.image_shape)
base.trainable = False
print(figures.structure_text(base))

# %% [markdown]
# **What was seen.** `include_top=False` leaves out VGG16's own head, three large dense layers that decide between
# ImageNet's 1,000 classes. They are of no use for our ten. What is left takes an image of 32 × 32 × 3 pixels and
# makes it smaller and deeper: 32, 16, 8, 4, 2, and at last 1 × 1 place with **512 numbers**. These are the image's
# features.
#
# `base.trainable = False` freezes the weights: training will not change them.
#
# ## 4. What the layers see
#
# For this we take the kit's `vgg16_transfer`: the same convolutions, with VGG16's own preprocessing before them
# (section 5 says what that is) and a head behind them.
#
# **What to expect.** The filters of the first convolution can be drawn, because they look at colours. With
# ImageNet's weights you find edges in several directions, and spots of one colour. With random weights you find
# noise.

# %%
vgg16 = zoo.build("vgg16_transfer", rules.image_shape, rules.classes, weights=vgg.file)
figures.filters(vgg16)

# %% [markdown]
# Deeper filters look at the outputs of other filters. They have no colours of their own. But we can look at what
# comes out of them for one image. Each row is a convolution, from the first to the last.

# %%
figures.layer_outputs(vgg16, split.validation_images[0], layers=7, channels=8)

# %% [markdown]
# Or we turn the question round: *which image would a filter like best?* We begin with noise and change its pixels
# step by step so that the filter answers more strongly. That is **gradient ascent**: the same arithmetic as in
# training, but it is the image that changes, and not the weights.

# %%
pictures, steps = workshop.choose((8, 40), short=(3, 4))
figures.gradient_ascent(vgg16, "block1_conv2", count=pictures, steps=steps)

# %%
figures.gradient_ascent(vgg16, "block3_conv3", count=pictures, steps=steps)

# %% [markdown]
# **What was seen.** In the rows of outputs the image is easily found in the first layers. Further down it gets
# coarser, and after the fourth pooling only 2 × 2 places are left. Trained filters of block 1 like edges and plain
# colours, those of block 3 patterns made of them. Random filters like nothing in particular.
#
# ## 5. Frozen: VGG16's features, and a head that learns
#
# **What to expect.** The base is frozen, so it says the same about an image in every epoch. Then it is enough to
# ask it **once**. We keep the 512 features of each image, and train a small head on them. Each epoch of the head
# takes no more than a moment.
#
# `preprocess_input` brings the pixels into the form that VGG16 was trained with. It must not be forgotten; notebook
# 3 shows what happens otherwise.

# %%
from keras.applications.vgg16 import preprocess_input

features = base.predict(preprocess_input(split.images.astype("float32")), verbose=2)
validation_features = base.predict(preprocess_input(split.validation_images.astype("float32")), verbose=2)
print(f"{split.images.shape} pixels have become {features.shape} features")

# %%
figures.pca_scatter(
    features,
    split.targets.argmax(axis=1),
    rules.class_names,
    title=f"the same images, by their features in {vgg.label}",
)

# %% [markdown]
# Compare this with the plot of the pixels in section 1. ImageNet's features pull the classes apart, though VGG16
# has never been told what our classes are. Now the head: two dense layers, with dropout between them.

# %%
keras.utils.set_random_seed(0)
head = keras.Sequential(
    [
        keras.Input(features.shape[1:]),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(rules.classes, name="logits"),
    ],
    name="head",
)
head.compile(
    optimizer=keras.optimizers.Adam(0.001),
    loss=keras.losses.CategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
clock = workshop.Stopwatch()
head.fit(
    features,
    split.targets,
    validation_data=(validation_features, np.eye(rules.classes)[truth]),
    epochs=head_epochs,
    batch_size=128,
    verbose=2,
    callbacks=[clock],
)
frozen = f"{vgg.label}, frozen"
histories[frozen] = clock.history

# %%
figures.learning_curves({name: histories[name] for name in ("resnet_small", frozen)})

# %% [markdown]
# **What was seen.** The head learns in seconds; look at the plot against time. (The one pass through VGG16 is not
# counted there.) With ImageNet's weights the head begins high and soon rises no further: the features are fixed,
# and the head has found what is to be found in them.
#
# Who wins depends on the number of images. **Transfer is worth most where you have few images of your own.** Frozen
# VGG16 has reached about 64 % on CIFAR-10; it was made for larger photographs than 32 × 32. With a few hundred
# images a network from scratch comes nowhere near that. With all 50,000 and time enough it goes far beyond:
# ResNet's authors report 91 %.
#
# ## 6. One network, built in two ways
#
# Base and head are two networks. Let us make them one, from pixels to logits.
#
# **Sequential**: a list of layers, each fed by the one before it. Short, and enough for most first networks.
#
# **Functional**: you write down where each layer's input comes from. A little longer, and it can do anything:
# branches, joints, several inputs.
#
# **What to expect.** Both are the same network with the same weights, so they must say the same.

# %%
sequential = keras.Sequential([keras.Input(rules.image_shape), base, head])

images = keras.Input(rules.image_shape, name="images")
x = preprocess_input(images)
x = base(x)
x = head(x)
functional = keras.Model(images, x, name="vgg16_and_head")

few = split.validation_images[:16]
one = sequential.predict(preprocess_input(few.astype("float32")), verbose=0)
other = functional.predict(few, verbose=0)
print(f"largest difference between the two: {np.abs(one - other).max():.6f}")

# %%
sequential.summary()
functional.summary()
predictions[frozen] = inference.predict(functional, split.validation_images)
print(f"{frozen}: {ensemble.accuracy(predictions[frozen], truth):.1%}")

# %% [markdown]
# **What was seen.** The difference is nothing but rounding. There is one thing that only the functional network
# does: it has the preprocessing inside. Whoever uses it cannot forget it. The kit's networks are all built like
# that: they take pixels from 0 to 255, as they are. The kit's own `vgg16_transfer` is this network.
#
# ## 7. Thawed: let VGG16 learn a little
#
# **What to expect.** The head is trained now. So we may allow the last block of VGG16, three convolutions, to adapt
# to our photographs. Two rules:
#
# * **First the head, then the unfreeze.** A head with random weights sends random corrections backwards. They would
#   destroy what the base knows.
# * **Small steps.** The learning rate is ten times smaller than that of the head. The weights are good already;
#   they are to be moved, and not replaced.

# %%
base.trainable = True
for layer in base.layers:
    layer.trainable = layer.name.startswith("block5")
trained = sum(math.prod(weight.shape) for weight in functional.trainable_weights)
print(f"{trained:,} of {functional.count_params():,} weights may change")

# %%
keras.utils.set_random_seed(0)
recipe = Recipe(
    epochs=transfer_epochs,
    batch_size=128,
    optimizer="adamw",
    learning_rate=0.0001,
    flip="random",
    shift=2,
    fill_mode="reflect",
)
unfrozen = f"{vgg.label}, last block unfrozen"
histories[unfrozen] = pd.DataFrame(fit(functional, split, recipe))
predictions[unfrozen] = inference.predict(functional, split.validation_images)
for name in (frozen, unfrozen):
    print(f"{name}: {ensemble.accuracy(predictions[name], truth):.1%}")

# %% [markdown]
# **What was seen.** Now each epoch takes long: the images are mirrored and shifted anew each time, so the features
# cannot be kept, and every image goes through all of VGG16. With ImageNet's weights the last block gains some
# points over the frozen network. (With random ones there is nothing to refine, and small steps lead nowhere.) With
# all layers unfrozen, all images and many epochs, 80 to 93 % have been reported for 32 × 32 pixels.
#
# **Try it.** Unfreeze `("block4", "block5")`. Then do the same with a learning rate of 0.01, and watch what becomes of
# all that VGG16 knew.
#
# ## 8. Skip connections
#
# So far each layer got its input from the one before it. A **skip connection** takes the output of a layer *around*
# the next ones, and joins it again further on. This is what the functional way can do and the sequential cannot.
#
# ### In a ResNet: the error finds its way back
#
# **What to expect.** In training, the error is sent back through the layers, from the last to the first. Each layer
# passes on a part of it. Here are chains of 2 to 32 convolutions, with and without skips, still untrained. We
# measure how much the last layer's answer depends on the pixels: the size of the gradient that arrives at the
# image.
#
# A skip adds what went around to what went through. The sum of two is larger than one of them; the factor 0.7 makes
# up for that. (A ResNet has batch norms for it.)

# %%
from kit.figures.gradients import gradient_of


def chain(convolutions, skips):
    images = keras.Input(rules.image_shape)
    x = layers.Conv2D(16, 3, padding="same")(images)
    for _ in range(convolutions):
        y = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        x = layers.Rescaling(0.7)(layers.Add()([x, y])) if skips else y
    return keras.Model(images, layers.Dense(1)(layers.GlobalAveragePooling2D()(x)))


few = split.images[:8].astype("float32") / 255
sizes = pd.DataFrame(
    index=pd.Index([2, 4, 8, 16, 32], name="convolutions"), columns=["plain", "with skips"], dtype=float
)
for convolutions in sizes.index:
    for name in sizes.columns:
        keras.utils.set_random_seed(1)
        network = chain(convolutions, skips=name == "with skips")
        gradient = gradient_of(lambda pixels, network=network: keras.ops.sum(network(pixels)))(few)
        sizes.loc[convolutions, name] = np.sqrt((gradient**2).mean())
print("size of the gradient at the image; for 2 convolutions: 1")
(sizes / sizes.iloc[0]).round(6)

# %% [markdown]
# **What was seen.** Without skips the gradient shrinks with every few layers. After 32 of them next to nothing
# arrives: the first layers learn nothing, because they never hear of the error. With skips it keeps its size, more
# or less, for there is a way around every layer. That was the idea of He and others in 2015, and it made networks
# of more than a hundred layers trainable.
#
# One block of our `resnet_small` has two convolutions, and a skip around both that ends in `add`:

# %%
figures.structure(networks["resnet_small"])

# %% [markdown]
# ### In VGG16: read what every block has seen
#
# **What to expect.** The last block's features are made for telling 1,000 ImageNet classes apart. What block 1 or 3
# has seen – colours, textures – is no longer among them, though it may help us. `vgg16_skip` reads VGG16 after
# **each** of its five poolings. Each reading goes through a dense layer of its own to ten numbers. The five
# readings are joined, and a last head decides. The convolutions stay frozen.

# %%
keras.utils.set_random_seed(0)
skip = zoo.build("vgg16_skip", rules.image_shape, rules.classes, weights=vgg.file)
figures.structure(skip)

# %%
recipe = Recipe(
    epochs=transfer_epochs,
    batch_size=128,
    optimizer="adamw",
    learning_rate=0.0001,  # the first readings are thousands of large numbers: careful steps
    flip="random",
    shift=2,
    fill_mode="reflect",
)
skipped = f"{vgg.label} with skips"
histories[skipped] = pd.DataFrame(fit(skip, split, recipe))
predictions[skipped] = inference.predict(skip, split.validation_images)
for name in (frozen, skipped):
    print(f"{name}: {ensemble.accuracy(predictions[name], truth):.1%}")

# %% [markdown]
# **What was seen.** Compare it with the frozen network, which sees the last reading alone. Its authors call the
# gain significant. The price: 16 million new weights in the readings, most of them behind the first poolings, where
# the maps are still large. They want many images and more than a few epochs. With too few of both, the readings
# cost more than they bring, and the plain frozen network wins.
#
# ## 9. Two networks, one decision: the combined network
#
# **What to expect.** We have a ResNet that grew up on CIFAR-10, and a VGG16 that came from ImageNet. They make
# different mistakes. We freeze both, lay their ten logits side by side, and train a small head that learns *whom to
# believe, and when*.

# %%
keras.utils.set_random_seed(0)
networks["resnet_small"].trainable = False
functional.trainable = False
images = keras.Input(rules.image_shape, name="images")
x = layers.Concatenate(name="join")([networks["resnet_small"](images), functional(images)])
x = layers.Dense(512, activation="relu", name="head_dense")(x)
x = layers.Dropout(0.5, name="head_dropout")(x)
combined = keras.Model(images, layers.Dense(rules.classes, name="logits")(x), name="combined")

recipe = Recipe(
    epochs=transfer_epochs,
    batch_size=128,
    optimizer="adamw",
    learning_rate=0.001,
    flip="random",
    shift=2,
    fill_mode="reflect",
)
joined = f"combined: resnet_small and {vgg.label}"
histories[joined] = pd.DataFrame(fit(combined, split, recipe))
predictions[joined] = inference.predict(combined, split.validation_images)
for name in ("resnet_small", unfrozen, joined):
    print(f"{name}: {ensemble.accuracy(predictions[name], truth):.1%}")

# %% [markdown]
# **What was seen.** Half a point to two points above the better of the two is what this usually brings. It can
# fail: the head learns from images that both networks have already learned by heart. There they look surer of
# themselves than they are on new images, and the head believes the one with the better memory. The next section has
# a remedy.
#
# ## 10. The ensemble: let them vote
#
# **What to expect.** The simplest thing of all: take the mean of the networks' probabilities. There is nothing to
# learn, so nothing can be learned by heart. It helps where the networks are about equally good and **disagree**.

# %%
names = ["simple_cnn", "resnet_small", frozen, unfrozen, skipped]
oof = np.stack([predictions[name] for name in names])
said = oof.argmax(axis=2)
figures.pairwise_disagreement(names, ensemble.disagreement(said), (said == truth).mean(axis=1))

# %% [markdown]
# `oof` means *out of fold*: predictions for images that the network has not learned from. A fitted ensemble must be
# judged with the same care. `nested_probabilities` fits it on four fifths of the validation images and asks it
# about the last fifth, five times over.

# %%
mean = ensemble.Mean().fit(oof, truth)
predictions["ensemble: mean"] = mean.predict_proba(oof)
predictions["ensemble: weighted"] = ensemble.nested_probabilities(ensemble.Weighted(), oof, truth)

best = max(names, key=lambda name: ensemble.accuracy(predictions[name], truth))
for name in (best, "ensemble: mean", "ensemble: weighted"):
    print(f"{name}: {ensemble.accuracy(predictions[name], truth):.1%}")
change = ensemble.mcnemar(truth, predictions[best], predictions["ensemble: mean"])
print(f"The mean gains {change.gained} images on the best member and loses {change.lost}.")
print(f"Mere chance would make at least such a difference with a probability of {change.p_value:.2g}.")

# %%
figures.changed_images(
    split.validation_images,
    truth,
    predictions[best].argmax(axis=1),
    predictions["ensemble: mean"].argmax(axis=1),
    rival=best,
    class_names=rules.class_names,
    count=6,
)

# %% [markdown]
# **What was seen.** A member that is much worse than the others pulls the plain mean down; the weighted one gives
# it less to say. Between members that are about as good, and err in different places, the mean is nearly always
# better than the best of them. That is the cheapest gain on a leaderboard.
#
# ## 11. Where do they look?
#
# **What to expect.** Grad-CAM asks a network: *which places of the image spoke for this class?* They are drawn
# warm. If a network looks at the background, be careful: it may have learned where things stand, and not what they
# are.

# %%
count = workshop.choose(8, short=3)
shown, is_really = split.validation_images[:count], truth[:count]
figures.grad_cam(functional, shown, is_really, rules.class_names, guided=False)

# %%
figures.grad_cam(networks["resnet_small"], shown, is_really, rules.class_names, guided=False)

# %% [markdown]
# And what does the ensemble still get wrong? Here are the mistakes of which it is most convinced, and which class
# it takes for which.

# %%
figures.wrong_predictions(split.validation_images, truth, predictions["ensemble: mean"], rules.class_names, count=8)

# %%
figures.confusion_matrix(truth, predictions["ensemble: mean"], rules.class_names)

# %% [markdown]
# **What was seen.** With photographs, animals are taken for animals and vehicles for vehicles; cat and dog are the
# classic. Some of the mistakes you would have made yourself.
#
# ## 12. All of them side by side

# %%
figures.learning_curves(histories)

# %%
rows = [
    {
        "network": name,
        "accuracy": f"{ensemble.accuracy(chances, truth):.1%}",
        "log-loss": f"{ensemble.log_loss(chances, truth):.3f}",
        "seconds of training": f"{histories[name].seconds.iloc[-1]:.0f}" if name in histories else "–",
    }
    for name, chances in predictions.items()
]
pd.DataFrame(rows).set_index("network")

# %% [markdown]
# **What was seen.** Read the table with the ± of section 1 in mind. Small differences are noise.
#
# * Few images of your own: begin with a pre-trained network.
# * Frozen is fast. Thawed is better. First the head, then the unfreeze, with small steps.
# * Skip connections let deep networks learn, and let a head see early layers.
# * Networks that err in different places are better together.
#
# ## 13. The same with the kit's commands
#
# Everything above is built into the kit, with all the images and a submission at the end:
#
# ```
# python -m kit.train --competition cifar-10 --model resnet_small --name resnet
# python -m kit.train --competition cifar-10 --model vgg16_transfer --epochs 6 --unfreeze 1 --name vgg16
# python -m kit.train --competition cifar-10 --model vgg16_skip --name vgg16-skip
# python -m kit.train --competition cifar-10 --model combined --options runs=resnet,vgg16 --name joined
# python -m kit.ensemble resnet vgg16 vgg16-skip --competition cifar-10 --name voted
# python -m kit.submit submissions/cifar-10/voted.csv
# ```
#
# `--unfreeze 1` trains the head first, then unfreezes the last block: section 7 in one command.
#
# Next: notebook 3 brings VGG16 to grey digits, and runs into every error on the way.

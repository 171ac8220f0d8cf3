# %% [markdown]
# # 3 · Transfer on digits: three errors that everybody meets
#
# VGG16 was made for colour photographs of 224 × 224 pixels. Our digits are grey, 28 × 28. Whoever brings the two
# together for the first time meets the same three errors, in this order:
#
# 1. **channels**: the digits have one, VGG16 wants three,
# 2. **size**: the digits are too small,
# 3. **preprocessing**: the digits' values are not those that VGG16 was trained with.
#
# The first two stop with a message. The third says *nothing*, and so it is the worst. In this notebook you make all
# three on purpose, read what Keras says, and mend them. Then you see how the kit does all the mending inside the
# network. At the end you transfer from a network of your own: from CIFAR-10 to digits.

# %% [markdown]
# ## 1. The digits
#
# **What to expect.** Grey images, white on black. A fifth of them is put aside to validate on.

# %%
import keras
import numpy as np
import pandas as pd
from keras import layers
from keras.applications.vgg16 import preprocess_input

from kit import competitions, ensemble, figures, loaders, workshop, zoo
from kit.loaders.limit import limited
from kit.recipes.recipe import Recipe
from kit.training import devices, inference, session, splits, transfer
from kit.training.fit import Split, fit
from kit.zoo import imagenet

gpu = bool(devices.accelerator())
image_count = workshop.choose(20_000 if gpu else 2_500, short=150)

rules = competitions.get("digit-recognizer")
# "keras" downloads MNIST once. With Kaggle's own files in data/digit-recognizer, write "kaggle".
whole = loaders.load("digit-recognizer", source=workshop.choose("keras", short="sample"))
dataset = limited(whole, image_count)
recipe = Recipe(validation_share=0.2)
[(training_rows, validation_rows)] = splits.splits(dataset.train_labels, recipe)
split = session.split_of(dataset, recipe, training_rows, validation_rows, fold=0)
truth = split.validation_labels
print(loaders.describe(dataset))
print(f"images: {split.images.shape}, {split.images.dtype}, values {split.images.min()} to {split.images.max()}")
figures.labelled_images(split.images, split.targets.argmax(axis=1), count=16)

# %% [markdown]
# **What was seen.** The shape is *(images, height, width, channels)*. Keep its last three numbers in mind: 28, 28,
# 1.
#
# Next, VGG16's weights. If they cannot be had, the notebook goes on with random ones and says so. The three errors
# are the same with any weights.

# %%
vgg = imagenet.vgg16_weights(download=workshop.choose(True, short=False))
print(vgg.origin)

# %% [markdown]
# ## 2. The first error: channels
#
# **What to expect.** We ask Keras for a VGG16 that takes our images as they are. `try` and `except` catch the
# error, so that the notebook goes on and we can read the message in peace.

# %%
try:
    keras.applications.VGG16(include_top=False, weights="imagenet", input_shape=(28, 28, 1))
except ValueError as error:
    print(f"Keras says: {error}")

# %% [markdown]
# **What was seen.** VGG16's first filters are 3 × 3 × **3**: each has weights for red, for green and for blue. An
# image with one channel does not fit them.
#
# The same mistake has a second face. You build VGG16 for three channels, and then give it grey images:

# %%
base = keras.applications.VGG16(include_top=False, weights=vgg.file, input_shape=(32, 32, 3))
base.trainable = False
try:
    base.predict(split.images[:8], verbose=0)
except ValueError as error:
    print(f"Keras says: {error}")

# %% [markdown]
# Read such messages from the shapes: *expected* is what the network wants, *found* is what it got. `None` stands
# for any number of images. Compare the other numbers one by one, and you know what to mend. (Some versions of Keras
# leave out a last number that is 1.)
#
# **The mend.** Grey is a colour, too: one with equal red, green and blue. So we give each image its one channel
# three times.

# %%
few = split.images[:8]
rgb = np.repeat(few, 3, axis=-1)
print(f"{few.shape} has become {rgb.shape}")
figures.augmentation(few, rgb)

# %% [markdown]
# **What was seen.** Nothing, and that is right: to our eyes it is the same picture.
#
# ## 3. The second error: size
#
# **What to expect.** Three channels now, and 28 × 28 pixels. Keras is not content yet.

# %%
try:
    keras.applications.VGG16(include_top=False, weights="imagenet", input_shape=(28, 28, 3))
except ValueError as error:
    print(f"Keras says: {error}")

# %% [markdown]
# Why 32? VGG16 halves width and height five times, and each time what is left over is dropped:

# %%
for side in (32, 28):
    print(" → ".join(str(side // 2**halvings) for halvings in range(6)))

# %% [markdown]
# **What was seen.** From 32 pixels one place remains at the end. From 28 pixels nothing does.
#
# **The mend.** There are two ways to 32 pixels: put a black border around the image, or enlarge the image. In the
# picture below, the first row is the image, the second has the border, the third is enlarged.

# %%
bordered = np.pad(rgb, ((0, 0), (2, 2), (2, 2), (0, 0)))
enlarged = keras.ops.convert_to_numpy(keras.ops.image.resize(rgb.astype("float32"), (32, 32)))
figures.augmentation(rgb, np.stack([bordered, enlarged]))

# %% [markdown]
# **What was seen.** Both work. The border leaves every pixel as it was; enlarging blurs a little. The kit takes the
# border. (One could enlarge to 64 × 64 and more. Then more than one place is left at the end, and that helps – for
# four times the time.)
#
# ## 4. The third error: preprocessing
#
# **What to expect.** Channels and size fit now. Keras is content with everything that follows, and three of these
# four ways are wrong:
#
# | way | values that reach VGG16 |
# | --- | --- |
# | as they are | 0 to 255 |
# | scaled | 0 to 1, as for most networks that one trains oneself |
# | scaled, then `preprocess_input` | the two together: two good things, done one after the other |
# | `preprocess_input` | what VGG16 was trained with |
#
# What does `preprocess_input` do? Let us see what becomes of one orange pixel: much red, some green, no blue.

# %%
orange = np.array([255, 128, 0], "float32").reshape(1, 1, 1, 3)
print(f"red, green, blue {orange.ravel()} becomes {preprocess_input(orange.copy()).ravel()}")

# %% [markdown]
# **What was seen.** The order has changed: blue comes first now, red last. From each channel the mean of all
# ImageNet photographs has been taken: 103.9 from blue, 116.8 from green, 123.7 from red. Nothing has been divided.
#
# So these are the four ways. In the picture all of them are drawn on one scale: black is the lowest value that
# VGG16 knows from its training, white the highest.

# %%
training, validation = (
    np.pad(np.repeat(images, 3, axis=-1), ((0, 0), (2, 2), (2, 2), (0, 0))).astype("float32")
    for images in (split.images, split.validation_images)
)
ways = {
    "as they are": lambda images: images,
    "scaled": lambda images: images / 255,
    "scaled, then preprocess_input": lambda images: preprocess_input(images / 255),
    "preprocess_input": lambda images: preprocess_input(images.copy()),
}
black, white = -123.7, 151.1
seen = np.concatenate([(way(training[:8]) - black) / (white - black) * 255 for way in ways.values()])
figures.class_examples(seen.clip(0, 255), np.repeat(np.arange(4), 8), list(ways), per_class=8)

# %% [markdown]
# **What was seen.** Scaled, all is the same grey. Scaled and then preprocessed, all is black. The digits are still
# there, in differences too small for our eyes – and for VGG16.
#
# Now we let VGG16 look at the digits in each of the four ways. For each we note
#
# * the **values** that go in,
# * the **features** that come out: how large they are, and how much they differ from image to image. Features that
#   are nearly the same for all images say nothing about any of them,
# * the **accuracy** of a head that is trained on these features, always the same head in the same way.

# %%
histories, rows = {}, []
for name, way in ways.items():
    features = base.predict(way(training), verbose=0)
    validation_features = base.predict(way(validation), verbose=0)

    keras.utils.set_random_seed(0)
    head = keras.Sequential([keras.Input(features.shape[1:]), layers.Flatten(), layers.Dense(rules.classes)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(keras.optimizers.Adam(0.001), loss, metrics=["accuracy"])
    clock = workshop.Stopwatch()
    head.fit(
        features,
        split.targets.argmax(axis=1),
        validation_data=(validation_features, truth),
        epochs=workshop.choose(15, short=2),
        batch_size=32,
        verbose=0,
        callbacks=[clock],
    )
    histories[name] = clock.history
    rows.append(
        {
            "way": name,
            "lowest value": way(training).min(),
            "highest value": way(training).max(),
            "mean feature": np.abs(features).mean(),
            "differs between images by": f"{features.std(axis=0).mean() / np.abs(features).mean():.1%}",
            "accuracy": f"{clock.history.val_accuracy.iloc[-1]:.1%}",
        }
    )
print(f"features of {vgg.label}")
pd.DataFrame(rows).set_index("way").round(4)

# %%
figures.learning_curves(histories)

# %% [markdown]
# **What was seen.** Four accuracies, and not a word from Keras.
#
# * *Scaled*: the values are 255 times too small. So are VGG16's answers to them; what remains are its own biases,
#   which are the same for every image. The head learns slowly from that. (Random weights have no biases: there the
#   features are small, and that is all.)
# * *Scaled, then `preprocess_input`*: all values lie between −124 and −102. The features hardly differ from image
#   to image.
# * *As they are*: not bad for digits. They are grey, so the order of the colours changes nothing, and only the mean
#   is missing. With colour photographs it costs more. (Random weights were trained with no preprocessing at all, so
#   none belongs to them: there this row may even win.)
#
# **How to find such an error** when nothing complains: print the lowest and the highest value right before the
# network, and look at whether the outputs differ between images. Two lines, and they save days.
#
# **The mend** is to use the preprocessing that belongs to the weights, once, and in the right order: first the
# border, then the preprocessing. Before it, 0 is black. After it, 0 is a mid-grey, and a border of zeros would be a
# grey frame.
#
# ## 5. All three mends inside the network
#
# **What to expect.** A mend that stands outside the network can be forgotten, in the training or, worse, in the
# submission. The kit's `vgg16_transfer` has them as its first layers. It takes digits as they come: grey, 28 × 28,
# 0 to 255.

# %%
keras.utils.set_random_seed(0)
network = zoo.build("vgg16_transfer", rules.image_shape, rules.classes, weights=vgg.file)
print(figures.structure_text(network))

# %% [markdown]
# Look at the first layers: *concatenate* makes three channels of one, *pad* puts the border around, *normalize* and
# *flip* are the preprocessing. Does the kit do the same as we did by hand? We compare the features:

# %%
reader = keras.Model(network.inputs, network.get_layer("block5_pool").output)
difference = np.abs(reader.predict(split.validation_images, verbose=0) - validation_features)
print(f"largest difference: {difference.max():.6f}, where features go up to {validation_features.max():.1f}")

# %%
recipe = Recipe(
    epochs=workshop.choose(5 if gpu else 3, short=1),
    batch_size=64,
    optimizer="adamw",
    learning_rate=0.001,
    shift=1,
    rotate=6,
)
history = pd.DataFrame(fit(network, split, recipe))
chances = inference.predict(network, split.validation_images)
print(f"{vgg.label}, frozen, on digits: {ensemble.accuracy(chances, truth):.1%}")
figures.learning_curves(history, f"{vgg.label}, frozen, on digits")

# %%
figures.wrong_predictions(split.validation_images, truth, chances, count=8)

# %% [markdown]
# **What was seen.** With ImageNet's weights it works, and it is not much: a small network of its own reads these
# digits better, in a fraction of the time. Photographs have taught VGG16 things that digits do not have. (With
# random weights so few epochs hardly teach it anything.) **Transfer helps most between things that are alike.**
#
# ## 6. Transfer from a network of your own
#
# The weights need not come from ImageNet. Any trained network can be a beginning. Here it is a small ResNet that we
# train on CIFAR-10. Then we take its weights over to a ResNet for digits.
#
# **What to expect.** `transfer.take` copies the weights of every layer that has the same name and the same shape in
# both networks. Two layers cannot be taken: the first convolution, because CIFAR-10 has three channels, and the
# last layer, because its ten classes are others. These two begin anew.

# %%
photographs = limited(
    loaders.load("cifar-10", source=workshop.choose("keras", short="sample")),
    workshop.choose(50_000 if gpu else 5_000, short=150),
)
photo_rules = competitions.get("cifar-10")
recipe = Recipe(validation_share=0.2)
[(rows_in, rows_out)] = splits.splits(photographs.train_labels, recipe)
photo_split = session.split_of(photographs, recipe, rows_in, rows_out, fold=0)

keras.utils.set_random_seed(0)
teacher = zoo.build("resnet_small", photo_rules.image_shape, photo_rules.classes)
recipe = Recipe(
    epochs=workshop.choose(10, short=1),
    batch_size=64,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=0.002,
    flip="random",
    shift=4,
    fill_mode="reflect",
)
fit(teacher, photo_split, recipe)
reached = ensemble.accuracy(inference.predict(teacher, photo_split.validation_images), photo_split.validation_labels)
print(f"ResNet on CIFAR-10: {reached:.1%}")

# %% [markdown]
# To make it hard, there are only a few digits to learn from now. One ResNet begins with random weights, the other
# with those from CIFAR-10. All else is the same.

# %%
from pathlib import Path

saved = Path("data") / "resnet-from-cifar-10.keras"
saved.parent.mkdir(exist_ok=True)
teacher.save(saved)

small = workshop.choose(200, short=50)
few = Split(split.images[:small], split.targets[:small], split.validation_images, truth)
recipe = Recipe(epochs=workshop.choose(15, short=1), batch_size=20, learning_rate=0.002, shift=1, rotate=6)

results = {}
for name in ("from scratch", "from CIFAR-10"):
    keras.utils.set_random_seed(0)
    network = zoo.build("resnet_small", rules.image_shape, rules.classes)
    if name == "from CIFAR-10":
        taken = transfer.take(network, saved, with_head=False)
        print(transfer.describe(network, taken))
    results[name] = pd.DataFrame(fit(network, few, recipe))
figures.learning_curves(results, f"ResNet on {small} digits")

# %%
accuracies = {name: history.set_index("epoch").val_accuracy for name, history in results.items()}
pd.DataFrame(accuracies).map("{:.1%}".format)

# %% [markdown]
# **What was seen.** Compare the two columns, first in the early epochs and then in the last one. A good beginning
# shows above all early, and where images are few. With thousands of digits both networks end at the same place:
# then there is nothing that the digits themselves do not teach.
#
# ## 7. What to take along
#
# | error | message | mend |
# | --- | --- | --- |
# | channels | *The input must have 3 channels*, or *expected shape … found shape …* | repeat the channel three times |
# | size | *Input size must be at least 32x32* | a border, or enlarge |
# | preprocessing | none | the `preprocess_input` that belongs to the weights, once |
#
# The same with the kit's commands:
#
# ```
# python -m kit.train --model vgg16_transfer --name vgg16-on-digits
# python -m kit.train --competition cifar-10 --model resnet_small --name photographs
# python -m kit.train --model resnet_small --weights runs/cifar-10/photographs --name from-photographs
# ```
#
# Next: notebook 4, your own way from the data to Kaggle's leaderboard.

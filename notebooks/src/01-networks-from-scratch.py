# %% [markdown]
# # 1 · Networks from scratch
#
# What a neural network is, and the first one that reads digits.

# %% [markdown]
# ## Images and labels
#
# **What to expect.** A few thousand grey images of 28 × 28 pixels, each with the digit that it shows.

# %%
from kit import figures, loaders, workshop

dataset = loaders.load("digit-recognizer", source=workshop.choose("keras", short="sample"))
print(loaders.describe(dataset))
figures.labelled_images(dataset.train_images, dataset.train_labels)

# %% [markdown]
# **What was seen.** Each digit is white on black, and everybody writes it a little differently.

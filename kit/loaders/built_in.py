"""Data that needs no Kaggle account: the kit's own sample, and the data sets that Keras downloads."""

import numpy as np

from kit.competitions import Competition
from kit.errors import UserError
from kit.loaders import Dataset
from kit.loaders.leaks import duplicates


def sample(competition: Competition) -> Dataset:
    """Return the competition's small stand-in data, the same every time, without network or files.

    Raises:
        UserError: the competition has none.
    """
    if competition.sample is None:
        raise UserError(
            f"{competition.name} has no built-in sample; get Kaggle's files: "
            f"`python -m kit.download {competition.name}`."
        )
    train_images, train_labels, test_images = competition.sample()
    return Dataset(
        competition=competition,
        source="sample",
        origin=competition.sample_description,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_ids=np.arange(1, len(test_images) + 1),
        duplicates=duplicates(train_images, test_images),
    )


def keras_dataset(competition: Competition) -> Dataset:
    """Return the data set of `keras.datasets` with the competition's kind of images; Keras downloads and caches it.

    Its labelled test set is kept apart, as the Dataset's test images and labels.

    Raises:
        UserError: there is none, or it cannot be downloaded.
    """
    if not competition.keras_dataset:
        raise UserError(f"keras.datasets has no images of {competition.name}; take --source kaggle.")
    from kit import backend

    backend.start_keras()
    import keras

    name = competition.keras_dataset
    try:
        (train_images, train_labels), (test_images, test_labels) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a plain Exception when a download fails, and others on damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"keras.datasets.{name} cannot be loaded ({reason}); connect to the internet once, "
            "or train on the built-in data: --source sample."
        ) from None
    train_images, test_images = (
        images.reshape(len(images), *competition.image_shape) for images in (train_images, test_images)
    )
    return Dataset(
        competition=competition,
        source="keras",
        origin=f"keras.datasets.{name}",
        train_images=train_images,
        train_labels=train_labels.reshape(-1).astype(np.int64),
        test_images=test_images,
        test_ids=np.arange(1, len(test_images) + 1),
        test_labels=test_labels.reshape(-1).astype(np.int64),
        seen=(name,),
        duplicates=duplicates(train_images, test_images),
    )

"""Keras's first example, a small convolutional network on MNIST, as it stands on its page.

Reference: https://keras.io/examples/vision/mnist_convnet/.
"""

import time

import keras
import numpy as np
from keras import layers

from kit import timings
from kit.benchmarking.jobs import Job, Measured, inference_speed, start_seconds
from kit.loaders import Dataset
from kit.recipes import Recipe
from kit.training import devices, session, splits

NAME = "keras-mnist-convnet"
MOST_EPOCHS = 30
BATCH_SIZE = 128


def measure(dataset: Dataset, job: Job) -> Measured:
    """Train it by plain `Sequential.fit`, float images and Adam, until `job.target`, at most 30 epochs."""
    ((rows, held_out),) = splits.splits(dataset.train_labels, Recipe(split_seed=job.seed))
    images = dataset.train_images.astype("float32") / 255
    labels = np.eye(dataset.competition.classes, dtype="float32")[dataset.train_labels]
    keras.utils.set_random_seed(job.seed)
    started = time.perf_counter()
    network = _network(dataset.competition.image_shape, dataset.competition.classes)
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    epochs: list[tuple[float, float]] = []
    validating = 0.0
    while len(epochs) < MOST_EPOCHS and not (epochs and epochs[-1][1] >= job.target):
        network.fit(images[rows], labels[rows], batch_size=BATCH_SIZE, verbose=0)
        seconds = time.perf_counter() - started - validating
        accuracy = network.evaluate(images[held_out], labels[held_out], batch_size=512, verbose=0)[1]
        validating = time.perf_counter() - started - seconds
        epochs.append((seconds, accuracy))
    ends = [seconds for seconds, _ in epochs]
    return Measured(
        name=job.name,
        seed=job.seed,
        epochs=epochs,
        start_seconds=start_seconds(ends),
        training_speed=session.images_per_second(len(rows), [{"fold": 0, "seconds": seconds} for seconds in ends]),
        inference_speed=inference_speed(
            lambda some: network.predict(some.astype("float32") / 255, batch_size=512, verbose=0), dataset.test_images
        ),
        peak_memory=timings.peak_memory(),
        parameters=network.count_params(),
        precision="float32",
        hardware=devices.hardware(),
    )


def _network(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(classes, activation="softmax"),
        ]
    )

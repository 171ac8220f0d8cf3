"""Augmentation: what is drawn, what it does to pixels, and the batches that carry both."""

import keras
import numpy as np
import pytest

from kit.recipes import Recipe
from kit.training import augmentation
from kit.training.batches import Batches, Epochs

convert = keras.ops.convert_to_numpy


def augment(images, fill_mode="constant", **numbers):
    inputs = {"images": images, **{name: np.asarray(value, np.float32) for name, value in numbers.items()}}
    return convert(augmentation.Augment(fill_mode)(inputs))


def moved(shift_x=0.0, shift_y=0.0, degrees=0.0, zoom=1.0, shear=0.0, mirror=False):
    return augmentation.affine(*(np.array([value]) for value in (shift_x, shift_y, degrees, zoom, shear, mirror)))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (1, 9, 9, 2), dtype=np.uint8)


def test_whole_movements_move_whole_pixels(image):
    original = image.astype(np.float32)
    np.testing.assert_allclose(augment(image, affine=moved()), original, atol=1e-3)
    right = augment(image, affine=moved(shift_x=2))
    np.testing.assert_allclose(right[:, :, 2:], original[:, :, :-2], atol=1e-3)
    assert (right[:, :, :2] == 0).all()
    down = augment(image, affine=moved(shift_y=3))
    np.testing.assert_allclose(down[:, 3:], original[:, :-3], atol=1e-3)
    np.testing.assert_allclose(augment(image, affine=moved(mirror=True)), original[:, :, ::-1], atol=1e-3)
    turned = augment(image, affine=moved(degrees=90))
    np.testing.assert_allclose(turned, np.rot90(original, -1, (1, 2)), atol=1e-2)


def test_zoom_and_shear_keep_the_centre(image):
    larger = augment(image, affine=moved(zoom=2.0))
    np.testing.assert_allclose(larger[0, 4, 4], image[0, 4, 4], atol=1e-3)
    np.testing.assert_allclose(larger[0, 4, 6], image[0, 4, 5], atol=1e-3)
    leaning = augment(image, affine=moved(shear=45))
    np.testing.assert_allclose(leaning[0, 4], image[0, 4], atol=1e-3)
    np.testing.assert_allclose(leaning[0, 3, :-1], image[0, 3, 1:], atol=1e-2)


def test_reflection_at_the_centre_of_the_edge_pixels(image):
    reflected = augment(image, "reflect", affine=moved(shift_x=2))
    np.testing.assert_allclose(reflected[0, :, 1], image[0, :, 1], atol=1e-3)
    np.testing.assert_allclose(reflected[0, :, 0], image[0, :, 2], atol=1e-3)


def test_elastic_displacements_are_smooth(image):
    none = augment(image, elastic=np.zeros((1, 5, 5, 2)))
    np.testing.assert_allclose(none, image.astype(np.float32), atol=1e-3)
    everywhere = augment(image, elastic=np.tile([1.0, 0.0], (1, 5, 5, 1)))  # the same everywhere is a shift
    np.testing.assert_allclose(everywhere[:, :, :-1], image[:, :, 1:].astype(np.float32), atol=1e-2)


def test_cutout_erases_to_the_mean_colour(image):
    erased = augment(image, cutout=np.array([[2, 1, 5, 4]]))
    mean = np.broadcast_to(image[0].mean(axis=(0, 1)), (3, 3, image.shape[-1]))
    np.testing.assert_allclose(erased[0, 1:4, 2:5], mean, atol=1e-3)
    assert (erased[0, 4:] == image[0, 4:]).all()


def test_alternating_flip_mirrors_each_image_every_second_epoch():
    recipe, rng = Recipe(flip="alternating"), np.random.default_rng(0)
    first, second = (augmentation.draw(recipe, 10, (8, 8, 1), epoch, rng)["affine"][:, 0] for epoch in (0, 1))
    assert (first == -second).all()
    assert (first == -1).sum() == 5


def test_draws_stay_within_the_recipe():
    recipe = Recipe(shift=3, rotate=15, cutout=6)
    drawn = augmentation.draw(recipe, 1000, (28, 28, 1), 0, np.random.default_rng(0))
    numbers = drawn["affine"]
    degrees = np.rad2deg(np.arctan2(-numbers[:, 3], numbers[:, 4]))
    assert 14 < abs(degrees).max() <= 15.001
    back = -np.linalg.solve(numbers[:, [0, 1, 3, 4]].reshape(-1, 2, 2), numbers[:, [2, 5], None])[..., 0]
    assert 2.9 < abs(back).max() <= 3.001
    x0, y0, x1, y1 = drawn["cutout"].T
    assert min(x0.min(), y0.min()) == 0
    assert max(x1.max(), y1.max()) == 28
    assert max((x1 - x0).max(), (y1 - y0).max()) == 6


@pytest.mark.parametrize("flip", ["none", "alternating"])
def test_shifts_alone_are_by_whole_pixels_and_keep_the_image_sharp(flip):
    recipe, shape = Recipe(shift=2, flip=flip, fill_mode="reflect"), (8, 8, 3)
    rng = np.random.default_rng(0)
    numbers = augmentation.draw(recipe, 500, shape, 0, rng)
    steps, counts = np.unique(np.abs(numbers["affine"][:, 2]), return_counts=True)
    assert steps.tolist() == [0, 1, 2]
    assert counts[0] == pytest.approx(100, rel=0.35)  # of -2, -1, 0, 1, 2 all equally likely
    checkered = rng.choice([0, 255], (500, *shape)).astype(np.uint8)
    assert set(np.unique(augment(checkered, "reflect", **numbers))) == {0, 255}
    between = augmentation.draw(recipe.replace(shift=1.5), 50, shape, 0, rng)["affine"]
    assert (between[:, 2] % 1 != 0).all()


def test_no_augmentation_draws_nothing():
    assert augmentation.draw(Recipe(), 10, (28, 28, 1), 0, np.random.default_rng(0)) == {}


# --- batches


def numbered(count, **fields):
    """Images that are their own class: one pixel of each number."""
    images = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1)
    return Batches(images, np.eye(count, dtype=np.float32), Recipe(**fields))


def shown(batches, epoch):
    return np.concatenate([part["images"].ravel() for part, _ in batches.epoch(epoch)])


def test_an_epoch_shows_every_image_once_with_its_target():
    batches = numbered(50, batch_size=10)
    first, again, next_epoch = (shown(batches, epoch) for epoch in (0, 0, 1))
    assert sorted(first) == list(range(50))
    assert (first == again).all()
    assert (first != next_epoch).any()
    for inputs, targets in batches.epoch(3):
        assert (targets.argmax(1) == inputs["images"].ravel()).all()


def test_order_follows_from_seed_and_stream():
    first = shown(numbered(50), 0)
    assert (first == shown(numbered(50), 0)).all()
    assert (first != shown(numbered(50, seed=1), 0)).any()
    images = np.arange(50, dtype=np.uint8).reshape(50, 1, 1, 1)
    assert (first != shown(Batches(images, np.eye(50, dtype=np.float32), Recipe(), stream=1), 0)).any()


def test_batches_by_number_are_those_of_the_epochs_in_any_order():
    batches = numbered(23, batch_size=5, shift=2)
    epochs = Epochs(batches, 1, 3)
    assert len(epochs) == 8
    expected = [inputs for epoch in (1, 2) for inputs, _ in batches.epoch(epoch)]
    for number in (0, 0, 1, 5, 6, 2, 7):
        inputs, _ = epochs[number]
        for name, array in expected[number].items():
            np.testing.assert_array_equal(inputs[name], array)


def test_fewer_images_than_a_batch_are_one_batch():
    batches = numbered(3, batch_size=128, elastic=1, cutout=1)
    assert (batches.size, batches.steps) == (3, 1)
    assert batches.input_shapes() == {
        "images": ((1, 1, 1), "uint8"),
        "elastic": ((5, 5, 2), "float32"),
        "cutout": ((4,), "float32"),
    }

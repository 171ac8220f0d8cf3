"""A person's own pictures: whatever the size, colour, light and file, the digit arrives as MNIST would show it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from kit import competitions, photos
from kit.errors import UserError

DIGITS = "digit-recognizer"


@pytest.fixture(scope="module")
def digits():
    """One handwritten digit of each class from the sample, (10, 28, 28) uint8."""
    images, labels, _ = competitions.get(DIGITS).sample()
    return np.stack([images[np.flatnonzero(labels == label)[1], ..., 0] for label in range(10)])


def enlarged(digit, times):
    size = (28 * times, 28 * times)
    return np.asarray(Image.fromarray(digit).resize(size, Image.Resampling.BICUBIC), np.float32) / 255


def written(digit, ink=(30, 30, 30), paper=(240, 240, 235), times=7, size=(320, 440), at=(60, 130)):
    """A digit written on a sheet: (h, w, 3) float of 0…255."""
    share = np.zeros((*size, 1), np.float32)
    large = enlarged(digit, times)
    share[at[0] : at[0] + len(large), at[1] : at[1] + len(large), 0] = large
    return share * np.array(ink, np.float32) + (1 - share) * np.array(paper, np.float32)


def saved(pixels, path, **options):
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, **options)
    return path


def likeness(one, other):
    """The correlation of two images, at the best of nine places a pixel apart."""
    moved = [np.roll(one, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(np.corrcoef(image.ravel(), other.ravel())[0, 1] for image in moved)


def gradient(pixels):
    across = np.linspace(0.4, 1, pixels.shape[1])[:, None] * np.linspace(0.8, 1, pixels.shape[0])[:, None, None]
    return pixels * across


def hard_shadow(pixels):
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    lit = Image.fromarray(((x + 0.4 * y > 230) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))
    return pixels * (0.55 + 0.45 * np.asarray(lit, np.float32)[..., None] / 255)


def on_a_table(pixels):
    pixels = pixels.copy()
    pixels[:30] = (90, 60, 30)
    pixels[:, -40:] = (80, 50, 30)
    return pixels


def ruled(pixels):
    pixels = pixels.copy()
    for row in range(25, len(pixels), 48):
        pixels[row : row + 2] = np.minimum(pixels[row : row + 2], (150, 165, 215))
    return pixels


def specked(pixels):
    pixels = pixels.copy()
    for y, x in np.random.default_rng(1).integers(0, 300, (25, 2)):
        pixels[y : y + 3, x : x + 3] = 60
    return pixels


def noisy(pixels):
    return pixels + np.random.default_rng(2).normal(0, 12, pixels.shape)


WAYS = {
    "dark on light": written,
    "light on dark": lambda digit: written(digit, (235, 235, 235), (25, 25, 25)),
    "chalk": lambda digit: noisy(written(digit, (225, 225, 220), (40, 70, 50))),
    "blue on yellow": lambda digit: written(digit, (30, 40, 160), (250, 235, 180)),
    "red on green, equally bright": lambda digit: written(digit, (185, 70, 60), (80, 125, 80)),
    "faint pencil": lambda digit: written(digit, (185, 185, 190), (225, 222, 218)),
    "noise": lambda digit: noisy(written(digit)),
    "uneven light": lambda digit: noisy(gradient(written(digit))),
    "a shadow's edge": lambda digit: hard_shadow(written(digit)),
    "a table around": lambda digit: on_a_table(written(digit)),
    "ruled paper": lambda digit: ruled(written(digit)),
    "specks": lambda digit: specked(written(digit)),
    "small in a large picture": lambda digit: written(digit, times=4, size=(900, 1200), at=(500, 300)),
    "large and off the middle": lambda digit: written(digit, times=11, size=(320, 320), at=(6, 6)),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_digit_is_found_however_it_is_written(way, digits, tmp_path):
    for label, digit in enumerate(digits[::2]):
        found = photos.read(saved(WAYS[way](digit), tmp_path / "digit.png"), DIGITS)
        assert found.shape == (28, 28, 1)
        assert found.dtype == np.uint8
        assert likeness(found[..., 0], digit) > 0.8, (way, 2 * label)


def test_a_competitions_own_image_stays_as_it_is(digits, tmp_path):
    for digit in digits:
        for image in (digit, 255 - digit):
            found = photos.read(saved(image, tmp_path / "own.png"), DIGITS)[..., 0]
            assert likeness(found, digit) > 0.95


def test_digits_fill_mnists_box_centred_by_their_mass(digits, tmp_path):
    for digit in digits:
        image = photos.read(saved(written(digit), tmp_path / "digit.png"), DIGITS)[..., 0].astype(float)
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
        grid = np.arange(28)
        centre = (image.sum(1) @ grid / image.sum(), image.sum(0) @ grid / image.sum())
        assert np.abs(np.subtract(centre, 14)).max() <= 0.75
        assert image.max() > 240
        assert np.count_nonzero((image > 20) & (image < 235)) > 20  # soft edges


def test_a_thin_line_becomes_a_stroke_that_mnist_has(tmp_path):
    sheet = Image.new("L", (800, 600), 255)
    ImageDraw.Draw(sheet).line([(300, 100), (500, 100), (360, 500)], fill=0, width=4)
    sheet.save(tmp_path / "seven.png")
    image = photos.read(tmp_path / "seven.png", DIGITS)[..., 0]
    assert 1.5 < (image[12] > 127).sum() < 5
    assert image.max() > 240


# --- files


def turned(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


@pytest.mark.parametrize("turn", [1, 2, 3, 4, 5, 6, 7, 8])
def test_exif_turns_the_picture_upright(turn, digits, tmp_path):
    upright = Image.fromarray(written(digits[4]).astype(np.uint8))
    # How the sensor stored it, so that a viewer that obeys the tag shows it upright.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[turn])) if turn > 1 else upright
    stored.save(tmp_path / "photo.jpg", exif=turned(turn), quality=95)
    assert likeness(photos.read(tmp_path / "photo.jpg", DIGITS)[..., 0], digits[4]) > 0.8


@pytest.mark.parametrize(("ink", "under"), [((0, 0, 0), (0, 0, 0)), ((255, 255, 255), (255, 255, 255))])
def test_transparent_pictures_get_paper(ink, under, digits, tmp_path):
    share = enlarged(digits[3], 8)
    pixels = np.concatenate([np.broadcast_to(ink, (*share.shape, 3)), share[..., None] * 255], -1)
    Image.fromarray(pixels.astype(np.uint8), "RGBA").save(tmp_path / "drawn.png")
    assert likeness(photos.read(tmp_path / "drawn.png", DIGITS)[..., 0], digits[3]) > 0.8


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixel(mode, digits, tmp_path):
    grey = Image.fromarray(written(digits[2]).mean(-1).astype(np.uint8))
    name = "digit.tif" if mode == "CMYK" else "digit.png"
    if mode == "I;16":
        Image.fromarray(np.asarray(grey, np.uint16) * 257).save(tmp_path / name)
    else:
        grey.convert(mode).save(tmp_path / name)
    assert likeness(photos.read(tmp_path / name, DIGITS)[..., 0], digits[2]) > 0.8


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_every_kind_of_file(suffix, digits, tmp_path):
    path = saved(written(digits[5]), tmp_path / f"digit.{suffix}")
    assert likeness(photos.read(path, DIGITS)[..., 0], digits[5]) > 0.8


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.png: there is no such file"):
        photos.read(tmp_path / "nowhere.png", DIGITS)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=r"text\.png cannot be read as a picture"):
        photos.read(tmp_path / "text.png", DIGITS)
    whole = saved(np.random.default_rng(0).uniform(0, 255, (200, 200, 3)), tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"half\.png cannot be read as a picture"):
        photos.read(tmp_path / "half.png", DIGITS)
    with pytest.raises(UserError, match="is a folder; give the pictures in it"):
        photos.read(tmp_path, DIGITS)
    (tmp_path / "empty.png").touch()
    with pytest.raises(UserError, match=r"empty\.png cannot be read as a picture \(it is empty\)"):
        photos.read(tmp_path / "empty.png", DIGITS)


@pytest.mark.parametrize(("kind", "full"), [(np.float32, 1), (np.uint16, 1023), (np.uint16, 4095), (np.int32, 255_000)])
def test_pictures_of_other_depths_are_as_bright(kind, full, digits, tmp_path):
    grey = written(digits[2]).mean(-1) / 255
    if kind is np.float32:
        grey[0, 0] = np.nan
    Image.fromarray((grey * full).astype(kind)).save(tmp_path / "digit.tif")
    assert likeness(photos.read(tmp_path / "digit.tif", DIGITS)[..., 0], digits[2]) > 0.8
    assert photos.read(tmp_path / "digit.tif", "cifar-10").max() > 220


def test_a_picture_of_too_many_pixels_is_refused_and_a_large_photo_is_not(digits, tmp_path, recwarn):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UserError, match="too many pixels"):
        photos.read(tmp_path / "bomb.png", DIGITS)
    large = Image.fromarray(written(digits[7]).mean(-1).astype(np.uint8)).resize(
        (11_000, 8_500), Image.Resampling.NEAREST
    )
    large.save(tmp_path / "large.jpg", quality=50)
    assert likeness(photos.read(tmp_path / "large.jpg", DIGITS)[..., 0], digits[7]) > 0.8
    assert not recwarn.list


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ico"])
def test_damaged_files_are_read_or_refused_in_a_line(suffix, digits, tmp_path):
    exif = {"exif": turned(6)} if suffix in ("png", "jpg", "webp", "tiff") else {}
    whole = saved(
        written(digits[5], size=(64, 64), times=2, at=(4, 4)), tmp_path / f"whole.{suffix}", **exif
    ).read_bytes()
    draw = np.random.default_rng(0)
    for _ in range(25):
        damaged = bytearray(whole)
        # The first bytes say the most, and so break in the most ways.
        for place in draw.integers(0, draw.choice([60, 400, len(whole)]), draw.choice([1, 3, 20])) % len(whole):
            damaged[place] = draw.integers(256)
        (tmp_path / f"damaged.{suffix}").write_bytes(damaged[: draw.integers(1, 2 * len(whole))])
        try:
            assert photos.read(tmp_path / f"damaged.{suffix}", "cifar-10").shape == (32, 32, 3)
        except UserError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 – either is right


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 3), (28, 28), (300, 400)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_picture_has_no_digit(size, value, tmp_path):
    with pytest.raises(UserError, match=r"blank\.png: no drawing found"):
        photos.read(saved(np.full((*size, 3), value), tmp_path / "blank.png"), DIGITS)


def test_an_empty_sheet_in_uneven_light_has_no_digit(tmp_path):
    sheet = noisy(gradient(np.full((300, 400, 3), 230.0)))
    with pytest.raises(UserError, match="no drawing found"):
        photos.read(saved(sheet, tmp_path / "sheet.png"), DIGITS)


# --- several shapes


def test_the_bar_of_a_five_belongs_to_it_and_a_neighbour_does_not(tmp_path):
    sheet = Image.new("L", (700, 400), 255)
    draw = ImageDraw.Draw(sheet)
    draw.arc([150, 150, 270, 300], -100, 150, fill=0, width=16)
    draw.line([(170, 110), (170, 160)], fill=0, width=16)
    draw.line([(200, 92), (280, 92)], fill=0, width=16)  # the bar, lifted off
    draw.line([(450, 90), (450, 300)], fill=0, width=14)  # a one beside it
    sheet.save(tmp_path / "five.png")
    left, top, right, bottom = np.multiply(photos.look(tmp_path / "five.png", DIGITS).box, 700 / 400)
    assert top < 95
    assert bottom > 290
    assert left < 180
    assert 275 < right < 400


# --- photos


def test_photos_are_cut_to_their_middle(tmp_path):
    photo = np.zeros((300, 500, 3), np.uint8)
    photo[:, 100:400] = (200, 30, 60)
    picture = photos.look(saved(photo, tmp_path / "photo.png"), "cifar-10")
    assert picture.image.shape == (32, 32, 3)
    assert np.abs(picture.image[:, 1:-1].astype(int) - (200, 30, 60)).max() <= 4
    assert picture.box == (80, 0, 320, 240)


def test_grey_and_tiny_photos_become_three_channels(tmp_path):
    grey = np.arange(100, dtype=np.uint8).reshape(10, 10)
    image = photos.read(saved(grey, tmp_path / "grey.png"), "cifar-10")
    assert image.shape == (32, 32, 3)
    assert (image[..., 0] == image[..., 2]).all()


def test_likeliest_in_words():
    assert photos.likeliest(np.array([0.02, 0.9, 0.05, 0.03]), "abcd") == "b (90.0 %), c (5.0 %), d (3.0 %)"

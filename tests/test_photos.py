"""A person's own photos: whatever the size, colour, light and file, the digit arrives as MNIST would show it."""

import io
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from kit import competitions, photos
from kit.errors import UserError
from kit.prediction.photos import likeliest, predict_photos

DIGITS, COLOURS = competitions.get("digit-recognizer"), competitions.get("cifar-10")


@pytest.fixture(scope="module")
def digits():
    """One handwritten digit of each class from the sample, (10, 28, 28) uint8."""
    images, labels, _ = DIGITS.sample()
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


def image_of(path, competition=DIGITS):
    """What a network gets of a photo in which there is one thing."""
    (photo,) = photos.prepare(path, competition)
    return photo.image


def refused(path, competition=DIGITS):
    """The line with which a photo is refused."""
    with pytest.raises(UserError) as raised:
        photos.prepare(path, competition)
    message = str(raised.value)
    assert str(path)[:100] in message
    assert len(message.splitlines()) == 1
    return message


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
    "small in a large photo": lambda digit: written(digit, times=4, size=(900, 1200), at=(500, 300)),
    "large and off the middle": lambda digit: written(digit, times=11, size=(320, 320), at=(6, 6)),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_digit_is_found_however_it_is_written(way, digits, tmp_path):
    for digit in digits[[2, 8]]:
        found = image_of(saved(WAYS[way](digit), tmp_path / "digit.png"))
        assert found.shape == (28, 28, 1)
        assert found.dtype == np.uint8
        assert likeness(found[..., 0], digit) > 0.8


def test_a_competitions_own_image_stays_as_it_is(digits, tmp_path):
    for digit in digits:
        for image in (digit, 255 - digit):
            found = image_of(saved(image, tmp_path / "own.png"))[..., 0]
            assert likeness(found, digit) > 0.95


def test_digits_fill_mnists_box_centred_by_their_mass(digits, tmp_path):
    for digit in digits:
        image = image_of(saved(written(digit), tmp_path / "digit.png"))[..., 0].astype(float)
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
    image = image_of(tmp_path / "seven.png")[..., 0]
    assert 1.5 < (image[12] > 127).sum() < 5
    assert image.max() > 240


# --- several in one photo


def sheet(digits, places, times=4, size=(360, 480), ink=(30, 30, 60), paper=(240, 240, 235)):
    """Several digits on a sheet, each at its (top, left)."""
    share = np.zeros((*size, 1), np.float32)
    for digit, (top, left) in zip(digits, places, strict=True):
        large = enlarged(digit, times)
        part = share[top : top + len(large), left : left + len(large), 0]
        np.maximum(part, large, out=part)
    return share * np.array(ink, np.float32) + (1 - share) * np.array(paper, np.float32)


PLACES = {
    "a line": [(90, 20 + 90 * number) for number in range(5)],
    "a line that climbs": [(150 - 30 * number, 20 + 90 * number) for number in range(5)],
    "two lines": [(40, 60), (50, 200), (40, 330), (200, 40), (210, 220)],
    "a column": [(6 + 68 * number, 200) for number in range(5)],
}
LIGHTS = {"even": lambda pixels: pixels, "uneven": lambda pixels: noisy(gradient(pixels)), "shadow": hard_shadow,
          "dark": lambda pixels: 255 - pixels, "table": on_a_table}  # fmt: skip


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("places", PLACES)
def test_several_digits_are_found_and_stand_in_the_order_of_reading(places, light, digits, tmp_path):
    shown = digits[[2, 0, 5, 1, 8]]
    times = 2 if places == "a column" else 3
    pixels = sheet(shown, [(top + 30, left) for top, left in PLACES[places]], times, (440, 560))
    found = photos.prepare(saved(LIGHTS[light](pixels), tmp_path / "several.png"), DIGITS)
    assert [(photo.number, photo.count) for photo in found] == [(number, 5) for number in range(1, 6)]
    for photo, digit in zip(found, shown, strict=True):
        assert likeness(photo.image[..., 0], digit) > 0.75
    assert len({photo.title for photo in found}) == 5


def test_strokes_that_are_apart_are_one_digit(tmp_path):
    five = Image.new("L", (500, 400), 255)
    pen = ImageDraw.Draw(five)
    pen.line([(200, 110), (200, 180), (260, 180), (270, 240), (200, 260)], fill=0, width=16)
    pen.line([(222, 90), (290, 84)], fill=0, width=16)  # its bar, apart
    four = Image.new("L", (500, 400), 255)
    pen = ImageDraw.Draw(four)
    pen.line([(200, 100), (190, 200), (290, 200)], fill=0, width=16)
    pen.line([(262, 110), (260, 180)], fill=0, width=16)  # its stem, apart
    for digit in (five, four):
        digit.save(tmp_path / "strokes.png")
        (photo,) = photos.prepare(tmp_path / "strokes.png", DIGITS)
        assert np.ptp(np.flatnonzero(photo.image.any((1, 2)))) + 1 in (19, 20)


def test_a_photo_may_come_as_bytes(digits, tmp_path):
    path = saved(written(digits[3]), tmp_path / "digit.png")
    (there,), (here,) = photos.prepare(path, DIGITS), photos.prepare("digit.png", DIGITS, path.read_bytes())
    np.testing.assert_array_equal(there.image, here.image)
    with pytest.raises(UserError, match=r"nothing\.png"):
        photos.prepare("nothing.png", DIGITS, b"")


# --- files


def turned(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_exif_turns_a_photo_upright(suffix, tmp_path):
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[4:18, 4:18], pixels[4:18, 22:36] = (250, 20, 20), (20, 20, 250)
    upright = Image.fromarray(pixels)
    # How the sensor stored it, so that a viewer that obeys the tag shows it upright.
    for turn, undo in {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.items():
        stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
        stored.save(tmp_path / f"photo.{suffix}", exif=turned(turn))
        (seen,) = [photo.original for photo in photos.prepare(tmp_path / f"photo.{suffix}", COLOURS)]
        assert seen[11, 11, 0] > 200 > 60 > seen[11, 11, 2]
        assert seen[11, 29, 2] > 200 > 60 > seen[11, 29, 0]


@pytest.mark.parametrize("ink", [0, 255])
def test_transparent_photos_get_paper(ink, digits, tmp_path):
    share = enlarged(digits[3], 8)
    pixels = np.concatenate([np.full((*share.shape, 3), ink), share[..., None] * 255], -1)
    Image.fromarray(pixels.astype(np.uint8), "RGBA").save(tmp_path / "drawn.png")
    assert likeness(image_of(tmp_path / "drawn.png")[..., 0], digits[3]) > 0.8


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "I;16"])
def test_every_kind_of_pixel(mode, digits, tmp_path):
    grey = Image.fromarray(written(digits[2]).mean(-1).astype(np.uint8))
    name = "digit.tif" if mode == "CMYK" else "digit.png"
    if mode == "I;16":
        Image.fromarray(np.asarray(grey, np.uint16) * 257).save(tmp_path / name)
    else:
        grey.convert(mode).save(tmp_path / name)
    assert likeness(image_of(tmp_path / name)[..., 0], digits[2]) > 0.8


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_every_kind_of_file(suffix, digits, tmp_path):
    path = saved(written(digits[5]), tmp_path / f"digit.{suffix}")
    assert likeness(image_of(path)[..., 0], digits[5]) > 0.8


@pytest.mark.parametrize(("kind", "full"), [(np.float32, 1), (np.uint16, 1023), (np.uint16, 4095), (np.int32, 255_000)])
def test_photos_of_other_depths_are_as_bright(kind, full, digits, tmp_path):
    grey = written(digits[2]).mean(-1) / 255
    if kind is np.float32:
        grey[0, 0] = np.nan
    Image.fromarray((grey * full).astype(kind)).save(tmp_path / "digit.tif")
    assert likeness(image_of(tmp_path / "digit.tif")[..., 0], digits[2]) > 0.8
    assert image_of(tmp_path / "digit.tif", COLOURS).max() > 220


# --- what cannot be used


def palette_with_too_much_transparency():
    stream = io.BytesIO()
    Image.new("P", (30, 30)).save(stream, "PNG")
    content = stream.getvalue()
    place = content.index(b"IDAT") - 4
    chunk = b"tRNS" + bytes(70_000)
    return (
        content[:place]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + content[place:]
    )


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"
AVIF = b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf" + bytes(200)
CONTENTS = {
    "text": b"no image",
    "empty": b"",
    "damaged AVIF": AVIF,
    "damaged TIFF": b"II*\0\x08\0\0\0\xff\xff" + bytes(range(256)) * 4,
    "oversized tRNS": palette_with_too_much_transparency(),
    "PostScript": EPS,
}


def test_postscript_is_run_by_nobody(tmp_path, monkeypatch):
    ghostscript = tmp_path / ("gs.bat" if os.name == "nt" else "gs")
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name in ("innocent.png", "drawing.eps"):
        (tmp_path / name).write_bytes(EPS)
        assert "PNG" in refused(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_an_odd_photo_gets_its_line_and_the_others_their_predictions(digits, tmp_path):
    odd = []
    for name, content in CONTENTS.items():
        odd.append(tmp_path / f"{name}.png")
        odd[-1].write_bytes(content)
    whole = saved(np.random.default_rng(0).uniform(0, 255, (200, 200, 3)), tmp_path / "whole.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    odd += [tmp_path / "half.png", tmp_path, tmp_path / "nowhere.png", tmp_path / ("x" * 300), tmp_path / "a\0b.png"]
    if os.name == "posix":
        os.mkfifo(tmp_path / "pipe.png")
        (tmp_path / "zero.png").symlink_to("/dev/zero")
        (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
        odd += [tmp_path / "pipe.png", tmp_path / "zero.png", tmp_path / "loop.png"]
    first, last = (saved(written(digits[label]), tmp_path / f"digit-{label}.png") for label in (3, 8))
    asked = []

    def predict(images):
        asked.append(images.shape)
        return np.eye(10, dtype=np.float32)[: len(images)]

    found, errors = predict_photos(predict, DIGITS, [first, *odd, tmp_path / "digit-[89].png"])
    assert [one.photo.path for one in found] == [first, last]
    assert [one.probabilities.argmax() for one in found] == [0, 1]
    assert asked == [(2, 28, 28, 1)]
    assert len(errors) == len(odd)
    for path, error in zip(odd, errors, strict=True):
        assert str(path)[:100] in str(error)
        assert len(str(error).splitlines()) == 1


def test_without_a_photo_that_can_be_used_nothing_is_predicted(tmp_path):
    found, errors = predict_photos(lambda images: pytest.fail("it was asked"), DIGITS, [tmp_path / "nowhere.png"])
    assert (found, len(errors)) == ([], 1)


def test_too_many_pixels_are_refused_and_a_large_photo_is_not(digits, tmp_path, recwarn):
    Image.new("1", (10_000, 7_001)).save(tmp_path / "bomb.png")
    assert "pixels" in refused(tmp_path / "bomb.png")
    large = Image.fromarray(written(digits[7]).mean(-1).astype(np.uint8)).resize(
        (11_000, 7_000), Image.Resampling.NEAREST
    )
    large.save(tmp_path / "large.jpg", quality=50)
    assert likeness(image_of(tmp_path / "large.jpg")[..., 0], digits[7]) > 0.8
    assert not recwarn.list


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="peak memory is read from Linux")
def test_a_large_photo_takes_little_more_memory_than_its_pixels(tmp_path):
    Image.new("RGBA", (4_000, 4_000)).save(tmp_path / "large.png", compress_level=1)
    script = (
        "import pathlib, sys, scipy.ndimage, PIL.Image; from kit import competitions, photos\n"
        "peak = lambda: int(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) >> 10\n"
        "before = peak()\n"
        "photos.prepare(sys.argv[1], competitions.get('cifar-10'))\n"
        "print(peak() - before)"
    )
    command = [sys.executable, "-c", script, tmp_path / "large.png"]
    assert int(subprocess.check_output(command, text=True)) < 500


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_damaged_files_are_read_or_refused_in_a_line(suffix, digits, tmp_path):
    exif = {"exif": turned(6)} if suffix in ("png", "jpg", "webp", "tiff") else {}
    path = saved(written(digits[5], size=(64, 64), times=2, at=(4, 4)), tmp_path / f"whole.{suffix}", **exif)
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    for _ in range(25):
        damaged = bytearray(whole)
        # The first bytes say the most, and so break in the most ways.
        for place in draw.integers(0, draw.choice([60, 400, len(whole)]), draw.choice([1, 3, 20])) % len(whole):
            damaged[place] = draw.integers(256)
        path.write_bytes(damaged[: draw.integers(1, 2 * len(whole))])
        try:
            assert image_of(path, COLOURS).shape == (32, 32, 3)
        except UserError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 – either is right


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(*[st.sampled_from([1, 2, 5, 17, 40, 150])] * 2),
    kind=st.sampled_from(["noise", "dot", "line", "ramp", "mosaic"]),
    seed=st.integers(0, 1000),
)
@pytest.mark.filterwarnings("error")
def test_any_pixels_give_a_digit_or_none(tmp_path, size, kind, seed):
    draw = np.random.default_rng(seed)
    pixels = np.full((*size, 3), draw.integers(256))
    if kind == "noise":
        pixels = draw.integers(0, 256, (*size, 3))
    elif kind == "dot":
        pixels[draw.integers(size[0]), draw.integers(size[1])] = draw.integers(0, 256, 3)
    elif kind == "line":
        pixels[draw.integers(size[0])] = draw.integers(256)
    elif kind == "ramp":
        pixels = np.linspace(0, 255, pixels.size).reshape(pixels.shape)
    else:
        pixels[::2, ::3] = draw.integers(256)
    path = saved(pixels, tmp_path / "any.png")
    try:
        found = photos.prepare(path, DIGITS)
    except UserError as error:
        assert "no drawing found" in str(error)  # noqa: PT017 – either is right
    else:
        assert {(photo.image.shape, photo.image.dtype.name) for photo in found} == {((28, 28, 1), "uint8")}
        assert min(photo.image.max() for photo in found) > 100


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 3), (28, 28), (300, 400)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_photo_has_no_digit(size, value, tmp_path):
    assert "no drawing found" in refused(saved(np.full((*size, 3), value), tmp_path / "blank.png"))


def test_an_empty_sheet_in_uneven_light_has_no_digit(tmp_path):
    sheet = noisy(gradient(np.full((300, 400, 3), 230.0)))
    assert "no drawing found" in refused(saved(sheet, tmp_path / "sheet.png"))


# --- several shapes


def test_the_bar_of_a_five_belongs_to_it_and_a_neighbour_does_not(tmp_path):
    sheet = Image.new("L", (700, 400), 255)
    draw = ImageDraw.Draw(sheet)
    draw.arc([150, 150, 270, 300], -100, 150, fill=0, width=16)
    draw.line([(170, 110), (170, 160)], fill=0, width=16)
    draw.line([(200, 92), (280, 92)], fill=0, width=16)  # the bar, lifted off
    draw.line([(450, 90), (450, 300)], fill=0, width=14)  # a one beside it
    sheet.save(tmp_path / "five.png")
    five, one = photos.prepare(tmp_path / "five.png", DIGITS)
    assert five.box[2] < one.box[0]
    left, top, right, bottom = np.multiply(five.box, 700 / 400)
    assert top < 95
    assert bottom > 290
    assert left < 180
    assert 275 < right < 400


# --- photos


def test_photos_are_cut_to_their_middle(tmp_path):
    photo = np.zeros((300, 500, 3), np.uint8)
    photo[:, 100:400] = (200, 30, 60)
    (prepared,) = photos.prepare(saved(photo, tmp_path / "photo.png"), COLOURS)
    assert prepared.image.shape == (32, 32, 3)
    assert np.abs(prepared.image[:, 1:-1].astype(int) - (200, 30, 60)).max() <= 4
    assert prepared.box == (80, 0, 320, 240)


def test_grey_and_tiny_photos_become_three_channels(tmp_path):
    grey = np.arange(100, dtype=np.uint8).reshape(10, 10)
    image = image_of(saved(grey, tmp_path / "grey.png"), COLOURS)
    assert image.shape == (32, 32, 3)
    assert (image[..., 0] == image[..., 2]).all()


def test_the_likeliest_classes_as_text():
    assert likeliest(np.array([0.02, 0.9, 0.05, 0.03]), "abcd") == "b (90.0%), c (5.0%), d (3.0%)"

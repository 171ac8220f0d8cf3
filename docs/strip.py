"""Draw docs/images/strip.png, the strip of images at the top of README.md, from a run: `python -m docs.strip RUN`.

The run needs augmentation and a photo that it has predicted (`python -m kit.predict RUN --images …`).
"""

import io
import pathlib
import sys

from PIL import Image, ImageChops

import kit

STRIP = pathlib.Path(__file__).resolve().parent / "images" / "strip.png"
HEIGHT, GAP, MARGIN = 330, 28, 12  # pixels
LARGEST = 300_000  # bytes


def strip(run: kit.Run) -> Image.Image:
    """Set parts of a run's figures side by side: its accuracy, augmented images, the confusion matrix, a photo."""
    found = run.evaluate()
    confusion = kit.figures.confusion_matrix(found.labels, found.probabilities, title="what it confuses")
    tiles = [
        _tile(Image.open(run.figures / "learning-curves.png"), (0.325, 0.065, 0.66, 0.91)),
        _tile(Image.open(run.figures / "augmentation.png"), (0, 0, 0.425, 1)),
        _tile(_drawn(confusion), (0, 0, 0.84, 1)),
        _tile(Image.open(run.figures / "photos.png"), (0, 0, 0.645, 1)),
    ]
    width = sum(tile.width for tile in tiles) + GAP * (len(tiles) - 1) + 2 * MARGIN
    whole = Image.new("RGB", (width, HEIGHT + 2 * MARGIN), "white")
    left = MARGIN
    for tile in tiles:
        whole.paste(tile, (left, MARGIN))
        left += tile.width + GAP
    return whole


def _drawn(figure) -> Image.Image:
    content = io.BytesIO()
    figure.savefig(content, dpi=150, bbox_inches="tight")
    return Image.open(content)


def _tile(image: Image.Image, part: tuple[float, float, float, float]) -> Image.Image:
    """Cut out a part, given as shares of the size; cut its white margin off; scale it to the strip's height."""
    image = image.convert("RGB")
    sizes = (image.width, image.height, image.width, image.height)
    left, upper, right, lower = (round(share * size) for share, size in zip(part, sizes, strict=True))
    image = image.crop((left, upper, right, lower))
    image = image.crop(ImageChops.difference(image, Image.new("RGB", image.size, "white")).getbbox())
    return image.resize((round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    strip(kit.Run(sys.argv[1])).save(STRIP, optimize=True)
    if STRIP.stat().st_size > LARGEST:
        sys.exit(f"{STRIP} has {STRIP.stat().st_size:,} bytes, more than {LARGEST:,}.")

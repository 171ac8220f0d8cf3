"""Small competitions in Kaggle's file formats, for tests to load and to spoil."""

import io
import pathlib
import zipfile

import numpy as np
import py7zr
from PIL import Image

PIXELS = [f"pixel{number}" for number in range(784)]
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
STORED = [{"id": py7zr.FILTER_COPY}]


def table(header: list[str], rows) -> str:
    """A CSV with a header."""
    return "\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n"


def digits(train: int = 30, test: int = 20, seed: int = 0) -> dict[str, bytes]:
    """The three files of digit-recognizer, with random pixels."""
    rng = np.random.default_rng(seed)
    train_rows = np.column_stack([np.arange(train) % 10, rng.integers(0, 256, (train, 784))])
    return {
        "sample_submission.csv": table(["ImageId", "Label"], [(row + 1, 0) for row in range(test)]).encode(),
        "test.csv": table(PIXELS, rng.integers(0, 256, (test, 784)).tolist()).encode(),
        "train.csv": table(["label", *PIXELS], train_rows.tolist()).encode(),
    }


def png(image: np.ndarray, **options) -> bytes:
    """An image as a PNG file's content."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG", **options)
    return content.getvalue()


def noise(count: int) -> np.ndarray:
    """Random pixels (count, 32, 32, 3) uint8, which cannot be compressed."""
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


def colours(count: int, seed: int) -> np.ndarray:
    """Smooth random images (count, 32, 32, 3) uint8."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (count, 8, 8, 3)), np.ones((1, 4, 4, 1), int)).astype(np.uint8)


def members(folder: str, images: np.ndarray) -> dict[str, bytes]:
    """The members of an archive of images, in the order that sorting their names gives: 1, 10, 11, …, 2."""
    names = sorted(str(number) for number in range(1, len(images) + 1))
    return {f"{folder}/{name}.png": png(images[int(name) - 1]) for name in names}


def seven_zip(contents: dict[str, bytes], filters: list[dict] | None = STORED) -> bytes:
    """A solid 7z archive; without filters as py7zr writes by default."""
    archive = io.BytesIO()
    with py7zr.SevenZipFile(archive, "w", filters=filters) as writer:
        for name, content in contents.items():
            writer.writestr(content, "placeholder" if name.startswith("/") or ".." in name else name)
            # py7zr refuses to write such names, so they are put in afterwards.
            writer.files.files_list[-1]["filename"] = name
    return archive.getvalue()


def cifar(train: int = 30, test: int = 20, filters: list[dict] | None = STORED) -> dict[str, bytes]:
    """The four files of cifar-10, with random images."""
    return {
        "train.7z": seven_zip(members("train", colours(train, 1)), filters),
        "test.7z": seven_zip(members("test", colours(test, 2)), filters),
        "trainLabels.csv": table(["id", "label"], [(i, CIFAR_CLASSES[i % 10]) for i in range(1, train + 1)]).encode(),
        "sampleSubmission.csv": table(["id", "label"], [(i, "cat") for i in range(1, test + 1)]).encode(),
    }


def loose(folder: pathlib.Path, files: dict[str, bytes]) -> pathlib.Path:
    """Write the files into a folder, one by one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def bundle(folder: pathlib.Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> pathlib.Path:
    """Write the files into `<folder's name>.zip` in a folder, and return the zip's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{folder.name}.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path

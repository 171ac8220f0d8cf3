"""The report in a real browser: what it shows, what it asks for, what the browser says to it."""

import pathlib
import shutil

import browser
import numpy as np
import pytest

from kit import competitions, tracking
from kit.evaluation import evaluation, report

IMAGES = 60


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """An empty tab, for all tests of this file."""
    program = browser.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(browser.NAMES)} is installed; `apt install chromium` on Debian")
    with browser.opened(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report of a run of a network that nobody trained."""
    from kit import loaders, zoo
    from kit.loaders.limit import limited
    from kit.recipes import recipe

    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run = tracking.place("digit-recognizer", "a run")
        dataset = limited(loaders.load("digit-recognizer", "sample"), IMAGES)
        chosen = recipe.from_dict({"model": "lenet_small", "folds": 2})
        run.write_config({"recipe": chosen.as_dict(), "limit": IMAGES})
        run.write_array("oof", np.random.default_rng(0).dirichlet(np.ones(10), IMAGES).astype(np.float32))
        zoo.build("lenet_small", competitions.get("digit-recognizer").image_shape, 10).save(run.network_path(0))
        (run.folder / "history.csv").write_text(
            "fold,epoch,seconds,learning_rate,loss,accuracy,val_loss,val_accuracy\n0,1,2.5,0.1,2,0.1,2,0.2\n"
        )
        fingerprint = tracking.fingerprint(dataset.train_images, dataset.train_labels)
        told = {"competition": "digit-recognizer", "source": "sample", "model": "lenet_small", "parameters": 1}
        told |= {"fit_seconds": 1.0, "images_per_second": 2.0, "fold_accuracies": [0.1, 0.2]}
        run.write_metrics({**told, "data_fingerprint": fingerprint})
        return report.write(evaluation.gather(run)).resolve()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "laptop"])
def test_all_pictures_load_and_nothing_leaves_the_page(page, written, width, scheme):
    page.show(written, width, scheme)
    assert page.requests() == []
    assert page.complaints() == []
    pictures = page.value("[...document.images].map(image => image.complete && image.naturalWidth)")
    assert len(pictures) == 5
    assert min(pictures) > 400
    # What is wider than the window scrolls in its own frame, and not the whole page.
    assert page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert page.value("document.title") == "a run – digit-recognizer"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_page(page, written, scheme):
    page.show(written, 1280, scheme)
    backgrounds, contrasts = page.value("""(() => {
        const rgb = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(value => value / 255);
        const light = colour => rgb(colour)
            .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
            .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
        const paper = light(getComputedStyle(document.body).backgroundColor);
        const words = [...document.querySelectorAll("h1, h2, td, th, dt, dd, small, figcaption, strong, summary")];
        return [paper, words.map(word => light(getComputedStyle(word).color))
            .map(ink => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05))];
    })()""")
    assert (backgrounds > 0.5) == (scheme == "light")
    assert len(contrasts) > 100
    assert min(contrasts) >= 7  # WCAG 2.2, level AAA


def test_the_first_table_is_on_a_laptops_first_screen(page, written):
    page.show(written, 1280)
    assert page.value("document.querySelector('table').getBoundingClientRect().top") < 450


def test_a_page_that_is_not_so_would_be_found_out(page, tmp_path):
    """The tests above can fail."""
    (tmp_path / "page.html").write_text(
        "<body style='width: 9999px'><img src='http://elsewhere.example/a.png'><script>missing()</script>"
    )
    page.show(pathlib.Path(tmp_path / "page.html"), 1280)
    assert page.requests() == ["http://elsewhere.example/a.png"]
    assert len(page.complaints()) >= 2
    assert page.value("document.images[0].naturalWidth") == 0
    assert page.value("document.documentElement.scrollWidth") > 9000
    page.photograph(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_that_reaches_out_is_held_back(page, written, tmp_path):
    """The page's own policy stops what a mistake in its code would let out."""
    asking = written.read_text(encoding="utf-8").replace("<main>", "<main><img src='http://elsewhere.example/a.png'>")
    (tmp_path / "page.html").write_text(asking, encoding="utf-8")
    page.show(tmp_path / "page.html", 1280)
    assert any("Content Security Policy" in text for text in page.complaints())
    shutil.copy(written, tmp_path / "page.html")
    page.show(tmp_path / "page.html", 1280)
    assert page.complaints() == []

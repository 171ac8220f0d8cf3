"""The report in a real browser: what it shows, what it requests, what the browser complains of."""

import pathlib
import shutil

import browser
import numpy as np
import pytest
from made import config, metrics

from kit import loaders, tracking, zoo
from kit.evaluation import evaluation, report
from kit.recipes import Recipe

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
    """The report of a run whose network nobody trained."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        dataset = loaders.load("digit-recognizer", "sample", limit=IMAGES)
        oof = np.random.default_rng(0).dirichlet(np.ones(10), IMAGES)
        with tracking.place("digit-recognizer", "a run").begin(config(dataset, Recipe(folds=2))) as run:
            run.write_array("oof", oof.astype(np.float32))
            zoo.build("lenet_small", dataset.competition.image_shape, 10).save(run.network_path(0))
            (run.folder / "history.csv").write_text(
                "fold,epoch,seconds,learning_rate,loss,accuracy,val_loss,val_accuracy\n0,1,2.5,0.1,2,0.1,2,0.2\n"
            )
            measured = {"folds": 2, "fold_accuracies": [0.1, 0.2], "selected_on_validation": True}
            run.write_metrics(metrics(dataset, oof, **measured))
        return report.write(evaluation.gather(run)).resolve()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "laptop"])
def test_all_figures_load_and_no_request_leaves_the_page(page, written, width, scheme):
    page.show(written, width, scheme)
    assert page.requests() == []
    assert page.complaints() == []
    widths = page.value("[...document.images].map(image => image.complete && image.naturalWidth)")
    assert len(widths) == 5
    assert min(widths) > 400
    # Figures and tables that are wider than the window scroll in a frame of their own; the page does not.
    assert page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert page.value("document.title") == "a run – digit-recognizer"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(page, written, scheme):
    page.show(written, 1280, scheme)
    background, contrasts = page.value("""(() => {
        const rgb = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(value => value / 255);
        const light = colour => rgb(colour)
            .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
            .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
        const paper = light(getComputedStyle(document.body).backgroundColor);
        const texts = [...document.querySelectorAll("h1, h2, td, th, dt, dd, small, figcaption, strong, summary")];
        return [paper, texts.map(text => light(getComputedStyle(text).color))
            .map(ink => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05))];
    })()""")
    assert (background > 0.5) == (scheme == "light")
    assert len(contrasts) > 100
    assert min(contrasts) >= 7  # WCAG 2.2, level AAA


def test_the_first_table_is_on_the_first_screen_of_a_laptop(page, written):
    page.show(written, 1280)
    assert page.value("document.querySelector('table').getBoundingClientRect().top") < 450


def test_these_tests_notice_a_bad_page(page, tmp_path):
    (tmp_path / "page.html").write_text(
        "<body style='width: 9999px'><img src='http://elsewhere.example/a.png'><script>missing()</script>"
    )
    page.show(pathlib.Path(tmp_path / "page.html"), 1280)
    assert page.requests() == ["http://elsewhere.example/a.png"]
    assert len(page.complaints()) >= 2
    assert page.value("document.images[0].naturalWidth") == 0
    assert page.value("document.documentElement.scrollWidth") > 9000
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


def test_the_policy_of_the_page_blocks_requests(page, written, tmp_path):
    html = written.read_text(encoding="utf-8").replace("<main>", "<main><img src='http://elsewhere.example/a.png'>")
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    page.show(tmp_path / "page.html", 1280)
    assert any("Content Security Policy" in text for text in page.complaints())
    shutil.copy(written, tmp_path / "page.html")
    page.show(tmp_path / "page.html", 1280)
    assert page.complaints() == []

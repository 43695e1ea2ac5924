"""Blind review in a real browser: two raters, twenty items, no mouse; then what was found and what was sent."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score

from lextune.apps.web.blind import create_app, make_server
from lextune.data.human import read_preferences
from lextune.deploy.service import listen
from lextune.evaluate.answer_pairs import AnswerPair
from lextune.evaluate.blind.results import export, results
from lextune.evaluate.blind.session import Session, Sitting, make_session, sit

pytestmark = pytest.mark.browser
ARMS = ("zeta-tuned", "omega-base")
ITEMS = 20
WAIT = 120_000  # milliseconds
# What each rater thinks of item 0, 1, ...: a, b, tie (0), both bad (x)
ADA = "aaaaaaaaaabbbb0000xa"
BEN = "aaaaaaaaabbbba00x0xb"
KEYS = {"left": ("1", "ArrowLeft"), "right": ("2", "ArrowRight"), "0": ("0", "0"), "x": ("x", "X")}


@pytest.fixture
def sitting(tmp_path: Path) -> Iterator[Sitting]:
    pairs = [
        AnswerPair(id=f"item-id-{n}", prompt=f"Question <{n}>?", a=f"Upper {n} & more.", b=f"Lower {n} & more.")
        for n in range(ITEMS)
    ]
    make_session(tmp_path / "session", pairs, ARMS, seed=5)
    with sit(tmp_path / "session") as session:
        yield session


@pytest.fixture
def url(sitting: Sitting) -> Iterator[str]:
    with listen("127.0.0.1", 0) as sock:
        server = make_server(create_app(sitting))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("chromium is not installed: run `make browser`, or apt-get install chromium", pytrace=False)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


class Rater:
    """A person at a keyboard in a browser of their own; `sent` holds all that came from the server."""

    def __init__(self, browser, url: str, **options) -> None:
        self.page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(WAIT)
        self.sent: list[str] = []
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.page.on("response", self._keep)
        self.page.on("request", lambda request: self.hosts.add(re.sub(r"(//[^/]*).*", r"\1", request.url)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.goto(url)

    def _keep(self, response) -> None:
        body = response.text() if response.status == 200 else ""
        self.sent.append(f"{response.url} {response.all_headers()} {body}")

    def press(self, key: str, until: str | None = None) -> None:
        self.page.keyboard.press(key)
        if until is not None:
            self.page.wait_for_url(until)

    def start(self, name: str) -> None:
        self.page.keyboard.type(name)
        self.press("Enter", "**/items/**")

    def item(self) -> int:
        return int(re.search(r"Question <(\d+)>", self.page.locator(".prompt .text").inner_text())[1])

    def key_for(self, wish: str, other: int) -> str:
        """Return the key that says what the rater thinks of the answers as they stand here."""
        upper_left = self.page.locator(".answers section").first.inner_text().find("Upper") >= 0
        says = wish if wish in "0x" else "left" if (wish == "a") == upper_left else "right"
        return KEYS[says][other]

    def judge_all(self, wishes: str) -> None:
        for number in range(ITEMS):
            key = self.key_for(wishes[self.item()], number % 2)
            after = "**/done" if number == ITEMS - 1 else f"**/items/{number + 2}-*"
            self.press(key, after)


def test_twenty_items_two_raters_no_mouse(browser, url: str, sitting: Sitting, tmp_path: Path) -> None:
    ada, ben = Rater(browser, url), Rater(browser, url, color_scheme="dark")
    ada.start("Ada")
    ben.start("Ben")
    ada.judge_all(ADA)
    ben.judge_all(BEN)
    assert ada.page.locator("h1").inner_text() == f"All {ITEMS} judged. Thank you."
    assert (ada.complaints, ben.complaints) == ([], []), "neither the script nor the security policy complains"
    assert ada.hosts == ben.hosts == {url}
    sent = "\n".join([*ada.sent, *ben.sent])
    assert sent.count("<h1>Item") == 2 * ITEMS
    for secret in (*ARMS, "item-id", sitting.key.secret, "seed"):
        assert secret not in sent
    for rater in (ada, ben):
        assert {place.left for place in sitting.key.raters["Ada" if rater is ada else "Ben"]} == {"a", "b"}

    session = Session(sitting.folder)
    found = results(session)
    both = list(zip(ADA, BEN, strict=True))
    wins, losses = both.count(("a", "a")), both.count(("b", "b"))
    assert (found.win, found.tie, found.loss) == (wins, ITEMS - wins - losses, losses) == (9, 8, 3)
    assert (found.both_bad, found.n_items, found.unjudged) == (1, ITEMS, 0)
    assert found.net.value == pytest.approx((wins - losses) / ITEMS)
    assert found.pairs[0].raters == ("Ada", "Ben")
    assert found.pairs[0].kappa.value == pytest.approx(cohen_kappa_score(list(ADA), list(BEN)))

    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in export(session).rows))
    expected = []
    for n, votes in enumerate(both):
        if votes in (("a", "a"), ("b", "b")):
            upper, lower = f"Upper {n} & more.", f"Lower {n} & more."
            expected.append((f"Question <{n}>?", *((upper, lower) if votes[0] == "a" else (lower, upper))))
    assert [(p.messages[0].content, p.chosen, p.rejected) for p in read_preferences(file)] == expected


def test_keys_walk_comment_and_change_a_mind(browser, url: str, sitting: Sitting) -> None:
    rater = Rater(browser, url)
    rater.start("Ada")
    rater.press("n", "**/items/2-*")
    rater.press("p", "**/items/1-*")
    rater.press("c")
    rater.page.keyboard.type("n0x12?")
    assert rater.page.locator("#comment").input_value() == "n0x12?", "keys are letters while one types"
    rater.press("Escape")
    rater.press("?")
    assert rater.page.locator("#help ul").is_visible()
    rater.press("x", "**/items/2-*")
    rater.press("p", "**/items/1-*")
    assert rater.page.locator("#comment").input_value() == "n0x12?"
    assert rater.page.locator('button[aria-pressed="true"]').inner_text().startswith("x Both are bad")
    rater.press("0", "**/items/2-*")
    place = sitting.key.raters["Ada"][0]
    assert [choice.choice for choice in sitting.history if choice.item == place.item] == ["both-bad", "tie"]
    rater.press("?")
    rater.page.locator("#keys-on").press("Space")
    rater.press("1")
    rater.page.wait_for_timeout(300)
    assert len(sitting.history) == 2, "keys can be turned off"
    rater.page.locator('button[value="left"]').press("Enter")
    rater.page.wait_for_url("**/items/3-*")
    assert len(sitting.history) == 3


def test_tab_reaches_all_and_nothing_is_cut_off_at_200_per_cent(browser, url: str) -> None:
    rater = Rater(browser, url, viewport={"width": 640, "height": 400})  # 1280 x 800 at 200 %
    rater.start("Ada")
    page = rater.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    names = []
    for _ in range(12):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.innerText || document.activeElement.id"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"focus can be seen on {names[-1]}"
        if names[-1] == "? Keys":
            break
    assert names == [
        "To the content",
        "Change",
        "n Next",
        "All items",
        "1 Answer 1 is better",
        "2 Answer 2 is better",
        "0 No difference",
        "x Both are bad",
        "comment",
        "? Keys",
    ]

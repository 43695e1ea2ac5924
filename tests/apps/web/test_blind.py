"""The page of blind review: what it sends, what it keeps, and whom it lets in."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.testclient import TestClient

from lextune.apps.web import blind
from lextune.apps.web.blind import MAX_BODY, create_app, make_server, serve
from lextune.core.errors import MachineError, UserError
from lextune.evaluate.answer_pairs import AnswerPair
from lextune.evaluate.blind.session import Session, Sitting, make_session, sit

HOME = "http://127.0.0.1:8010"
ARMS = ("zeta-tuned", "omega-base")
NASTY = "<script>alert('&amp;')</script>\n  two\x00 lines"


@pytest.fixture
def sitting(tmp_path: Path) -> Iterator[Sitting]:
    pairs = [
        AnswerPair(id=f"item-id-{n}", prompt=f"Question {n}?", a=f"First {n}.", b=f"Second {n}.") for n in range(4)
    ]
    make_session(tmp_path / "zeta-tuned against omega-base", pairs, ARMS, seed=11)
    with sit(tmp_path / "zeta-tuned against omega-base") as session:
        yield session


class Rater:
    """A browser without scripts; `answers` holds all that it was sent."""

    def __init__(self, session: Sitting, host: str = "127.0.0.1") -> None:
        self.client = TestClient(create_app(session, host), base_url=HOME)
        self.answers: list[str] = []
        self.page = ""

    def get(self, path: str, **headers: str | bytes) -> int:
        return self._keep(self.client.get(path, headers=headers))

    def post(self, path: str, *, origin: str = HOME, **fields: str) -> int:
        token = re.search(r'name="token" value="(\w+)"', self.page)
        data = {"token": token[1] if token else "", **fields}
        return self._keep(self.client.post(path, data=data, headers={"origin": origin}))

    def _keep(self, response) -> int:
        for each in (*response.history, response):
            self.answers.append(f"{each.headers}\n{each.text}")
        self.path, self.page, self.headers = response.url.path, response.text, response.headers
        return response.status_code

    def start(self, name: str) -> int:
        self.get("/")
        return self.post("/start", rater=name)

    def shown(self) -> tuple[str, str]:
        """Return the two answers on the page."""
        first, second = re.findall(
            r'<h2 id="answer\d">Answer \d</h2>\n(?:<div[^>]*>|<p[^>]*>)(.*?)</(?:div|p)>', self.page, re.S
        )
        return html.unescape(first), html.unescape(second)


def test_a_rater_works_through_all_items_without_scripts(sitting: Sitting) -> None:
    rater = Rater(sitting)
    assert rater.get("/") == 200
    assert "You will see 4 questions" in rater.page
    assert rater.start("AB") == 200
    votes = {}
    for number in range(1, 5):
        assert rater.path.startswith(f"/items/{number}-")
        assert f"<h1>Item {number} of 4</h1>" in rater.page
        assert f"{number - 1} of 4 judged" in rater.page
        first, second = rater.shown()
        assert {first.split()[0], second.split()[0]} == {"First", "Second"}
        prefers = "left" if first.startswith("First") else "right"
        votes[f"item-id-{first.split()[1][:-1]}"] = prefers
        assert rater.post(rater.path, choice=prefers, comment=" so\r\nit is ") == 200
    assert rater.path == "/done"
    assert "All 4 judged. Thank you." in rater.page
    kept = Session(sitting.folder).history
    assert {choice.item: choice.choice for choice in kept} == votes
    assert {(choice.rater, choice.comment) for choice in kept} == {("AB", "so\nit is")}
    assert all(choice.seconds is not None and choice.seconds >= 0 for choice in kept)


def test_nothing_that_is_sent_names_an_arm_or_an_item_or_the_key(sitting: Sitting) -> None:
    rater = Rater(sitting)
    rater.start("AB")
    while rater.path != "/done":
        rater.get(rater.path)
        rater.post(rater.path, choice="tie")
    for path in ("/static/blind.css", "/static/blind.js", "/favicon.ico", "/none", "/items/none", "/static/none"):
        rater.get(path)
    rater.post("/items/none", choice="left")
    rater.post("/start", rater="")
    (sitting.folder / "choices.jsonl").unlink()
    (sitting.folder / "choices.jsonl").mkdir()
    rater.client.get("/")
    code = sitting.key.raters["AB"][0].code
    rater.get(f"/items/{code}")
    assert rater.post(f"/items/{code}", choice="left") == 500
    assert "Your choice was not kept: cannot write: Is a directory." in rater.page
    sent = "\n".join(rater.answers)
    for secret in (*ARMS, "item-id", sitting.key.secret, str(sitting.folder), "key.json"):
        assert secret not in sent
    assert "seed" not in sent.casefold()


def test_a_page_is_the_same_whichever_arm_stands_on_the_left(sitting: Sitting) -> None:
    rater = Rater(sitting)
    rater.start("AB")
    seen = {"a": set(), "b": set()}
    for place in sitting.key.raters["AB"]:
        rater.get(f"/items/{place.code}")
        page = re.sub(r'<a href="[^"]*" data-keys="[np]".*?</a>\n', "", rater.page)
        page = re.sub(r"\d-[a-z0-9]{6}|Item \d of", "", page)
        left, right = rater.shown()
        seen[place.left].add(re.sub(r"Question \d", "", page.replace(left, "L").replace(right, "R")))
    assert len(seen["a"]) == 1
    assert seen["a"] == seen["b"]


def test_a_changed_mind_a_restart_and_another_rater(sitting: Sitting) -> None:
    rater = Rater(sitting)
    rater.start("AB")
    first = rater.path
    rater.post(first, choice="left", comment="hm")
    rater.get(first)
    assert re.search(r'value="left"[^>]*aria-pressed="true"', rater.page)
    assert ">\nhm</textarea>" in rater.page
    again = Rater(sitting)  # the server was started anew; the browser kept its cookie and its page
    again.client.cookies, again.page = rater.client.cookies, rater.page
    assert again.post(first, choice="both-bad") == 200
    assert again.path.startswith("/items/2-"), "the next one without a choice"
    code = sitting.key.raters["AB"][0]
    assert Session(sitting.folder).last["AB", code.item].choice == "both-bad"
    assert again.post("/leave") == 200
    assert "Your name or initials" in again.page
    assert again.start("CD") == 200
    assert "0 of 4 judged" in again.page
    assert again.get(first) == 404, "an item of AB's"
    again.get("/")
    assert again.post("/leave") == 200
    assert again.start(" ab") == 200
    assert "<b>AB</b>" in again.page
    assert "1 of 4 judged" in again.page


def test_all_items_are_listed_with_what_was_chosen(sitting: Sitting) -> None:
    rater = Rater(sitting)
    rater.start("AB")
    rater.post(rater.path, choice="both-bad")
    rater.get("/done")
    assert "<h1>3 still to judge</h1>" in rater.page
    assert rater.page.count("<li>") == 4
    assert "<span>both bad</span>" in rater.page


def test_without_a_name_there_is_nothing_to_see(sitting: Sitting) -> None:
    sitting.seat("AB")
    code = sitting.key.raters["AB"][0].code
    stranger = Rater(sitting)
    for path in (f"/items/{code}", "/done"):
        assert stranger.get(path) == 200
        assert stranger.path == "/"
    rater = Rater(sitting)
    rater.start("AB")
    (cookie,) = rater.client.cookies
    stranger.get(f"/items/{code}", cookie=f"{cookie}=guessed \xe4".encode("latin-1"))
    assert stranger.path == "/"
    stranger.post(f"/items/{code}", choice="left")
    assert Session(sitting.folder).history == []


def test_answers_are_shown_as_text(tmp_path: Path) -> None:
    pair = AnswerPair(id="1", prompt=NASTY, a=NASTY, b="null")
    make_session(tmp_path / "s", [pair], ("x", "y"))
    with sit(tmp_path / "s") as session:
        rater = Rater(session)
        rater.start("<b>AB</b>")
        assert "<b>&lt;b&gt;AB&lt;/b&gt;</b>" in rater.page
        assert set(rater.shown()) == {NASTY.replace("\x00", "\N{REPLACEMENT CHARACTER}"), "No answer"}
        assert "<script>alert" not in rater.page


def test_every_answer_carries_the_headers(sitting: Sitting) -> None:
    rater = Rater(sitting)
    for path in ("/", "/static/blind.js", "/none"):
        rater.get(path)
        assert rater.headers["content-security-policy"].startswith(
            "default-src 'none'; style-src 'self'; script-src 'self'"
        )
        assert (rater.headers["cache-control"], rater.headers["x-frame-options"]) == ("no-store", "DENY")
    rater.start("AB")
    cookie = next(answer for answer in rater.answers if "set-cookie" in answer).casefold()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert not re.search(r"(src|href)=\"(?!/|#main)|style=|onclick|url\(", rater.page), (
        "nothing from elsewhere or inline"
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8010", 200),
        ("localhost:1", 200),
        ("[::1]:8010", 200),
        ("review.example:8010", 200),
        ("evil.example:8010", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_another_name_for_this_machine_is_refused(sitting: Sitting, host: str, status: int) -> None:
    rater = Rater(sitting, "Review.Example")
    assert rater.get("/", host=host) == status
    if status == 403:
        assert "This address is not the one that the review is served at." in rater.page


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null", "https://127.0.0.1:8010"])
def test_a_form_of_another_site_is_refused(sitting: Sitting, origin: str) -> None:
    rater = Rater(sitting)
    rater.start("AB")
    assert rater.post(rater.path, origin=origin, choice="left") == 403
    assert "This form does not come from the review&#39;s own page." in rater.page
    assert Session(sitting.folder).history == []


def test_what_is_no_form_of_the_page_is_refused(sitting: Sitting) -> None:
    rater = Rater(sitting)
    rater.start("AB")
    path, page = rater.path, rater.page

    def told(**fields: str) -> tuple[int, str]:
        rater.page = page
        status = rater.post(path, **fields)
        return status, re.search(r"</h1>\n<p>(.*?)</p>", rater.page)[1]

    assert told(choice="left", token="0") == (403, "This form is of an older page: open the review again.")
    assert told(choice="left", token="ä") == (403, "This form is of an older page: open the review again.")
    assert told(choice="a") == (400, "No choice came with the form.")
    assert told(comment="x") == (400, "No choice came with the form.")
    assert told(**{f"f{n}": "" for n in range(9)}) == (400, "This is no form of the review.")
    assert told(choice="left", comment="x" * MAX_BODY) == (413, "That is too long.")
    assert rater.get("/start") == 405
    assert "There is no such page (method not allowed)." in rater.page
    assert Session(sitting.folder).history == []
    rater.page = page
    rater.post("/leave")
    assert rater.post("/start", rater=" ") == 400
    assert "A rater&#39;s name has 1 to 40 characters." in rater.page


def test_the_package_that_is_lacking_is_named(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(MachineError) as told:
        create_app(sitting)
    assert str(told.value) == (
        "the review page needs a package that is not installed: uvicorn\n  -> pip install 'lextune[serve]'"
    )


def test_it_is_served_until_it_is_stopped(sitting: Sitting, monkeypatch: pytest.MonkeyPatch) -> None:
    servers, seen = [], []

    def make(app) -> uvicorn.Server:
        servers.append(make_server(app))
        return servers[-1]

    def visit(url: str) -> None:
        def look() -> None:
            seen.append(httpx.get(url, timeout=60).text)
            servers[0].should_exit = True

        threading.Thread(target=look).start()

    monkeypatch.setattr(blind, "make_server", make)
    serve(sitting, "127.0.0.1", 0, visit)
    assert "You will see 4 questions" in seen[0]
    with pytest.raises(UserError, match=r"^999\.0\.0\.1:0: cannot listen: "):
        serve(sitting, "999.0.0.1", 0, visit)

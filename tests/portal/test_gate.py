"""What stands between the network and a page: origin, session, token, permission, confirmation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.page_request import Answer, Download, NotThere, PageRequest, Redirect, Shown
from portal.roles import Permission, Role
from portal.route_table import Page
from portal.staff_app import HEADERS
from tests.portal.pages.staff import PASSWORD, PUBLIC, Browser, browsing, words

changes: list[str] = []


def show(request: PageRequest) -> Answer:
    return Shown(template="problem.html", title="A page", view={"sentence": f"Hello {request.query.get('name', '')}"})


def change(request: PageRequest) -> Answer:
    changes.append(request.form.text("word"))
    return Redirect(path="/")


def gone(request: PageRequest) -> Answer:
    raise NotThere


def fails(request: PageRequest) -> Answer:
    raise ValueError("+12025550143")


def file(request: PageRequest) -> Answer:
    return Download(name='a"b/../c.csv', media_type="text/csv", chunks=[b"a,b\r\n", b"1,2\r\n"])


PAGES = (
    Page(name="Start", path="/", handler=show, menu=True),
    Page(name="Open", path="/open", handler=show, signed_in=False),
    Page(name="Change", path="/change", method="POST", handler=change, permission=Permission.HOLD, largest_body=2000),
    Page(
        name="Send a file", path="/file", method="POST", handler=change, largest_body=2000, too_large="It is over 2 kB."
    ),
    Page(name="Buy", path="/buy", method="POST", handler=change, permission=Permission.MANAGE_NUMBERS, confirm=True),
    Page(name="One", path="/environments/{environment}", handler=show, permission=Permission.SEE),
    Page(name="New", path="/environments/new", handler=gone, permission=Permission.SEE),
    Page(name="Fails", path="/fails", handler=fails),
    Page(name="File", path="/file", handler=file),
    Page(name="People", path="/people", handler=show, permission=Permission.MANAGE_PEOPLE, menu=True),
)


@pytest.fixture
def browser() -> Iterator[Browser]:
    changes.clear()
    with browsing(PAGES) as browser:
        yield browser


def test_every_answer_has_the_security_headers(browser: Browser) -> None:
    browser.sign_in(Role.SUPPORT)
    for path in ("/", "/nowhere", "/fails", "/static/nothing.css", "/people"):
        answer = browser.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, path
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert answer.headers["cache-control"] == "no-store"


def test_another_host_is_refused(browser: Browser) -> None:
    answer = browser.client.get("/open", headers={"host": "evil.example"})
    assert answer.status_code == 421
    assert "portal.public_url" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site", "origin": PUBLIC},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "null"},
        {"origin": "https://evil.example"},
        {"origin": f"{PUBLIC}.evil.example"},
        {"referer": f"{PUBLIC}/"},
    ],
    ids=str,
)
def test_a_form_from_elsewhere_changes_nothing(browser: Browser, headers: dict[str, str]) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    assert browser.post("/change", {"word": "x"}, headers=headers).status_code == 403
    assert changes == []


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": PUBLIC}], ids=str)
def test_a_form_of_the_portal_is_taken(browser: Browser, headers: dict[str, str]) -> None:
    answer = browser.sign_in(Role.ADMINISTRATOR).post("/change", {"word": "x"}, headers=headers)
    assert (answer.status_code, answer.headers["location"], changes) == (303, "/", ["x"])


def test_a_stale_page_keeps_what_was_typed_and_can_be_sent_again(browser: Browser) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    answer = browser.post("/change", {"word": 'a "b" <c>', "password": "secret"}, csrf="of another session")
    assert (answer.status_code, changes) == (403, [])
    assert 'name="word" value="a &#34;b&#34; &lt;c&gt;"' in answer.text
    assert 'value="token-of-kim"' in answer.text
    assert "secret" not in answer.text


def test_a_post_after_the_session_ended_keeps_what_was_typed(browser: Browser) -> None:
    answer = browser.post("/change", {"word": "typed for an hour"})
    assert (answer.status_code, changes) == (401, [])
    assert "typed for an hour" in answer.text
    assert "signed out" in words(answer).lower()


def test_a_page_without_a_session_leads_to_sign_in_and_back(browser: Browser) -> None:
    answer = browser.get("/people?a=b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/people%3Fa%3Db")
    assert browser.get("/open").status_code == 200


def test_htmx_is_told_to_load_the_sign_in_page(browser: Browser) -> None:
    assert browser.get("/people", part="results").headers["hx-redirect"].startswith("/sign-in")


def test_who_may_not_reads_who_may_and_it_is_recorded(browser: Browser) -> None:
    answer = browser.sign_in(Role.SUPPORT).get("/people")
    assert answer.status_code == 403
    assert "You are signed in as Sam (support). You may not manage people and roles. Who may: Kim." in words(answer)
    assert browser.sessions.refused == [("sam", "/people")]


def test_an_analyst_sees_own_environments_alone(browser: Browser) -> None:
    browser.sign_in(Role.ANALYST, ["production"])
    assert browser.get("/environments/production").status_code == 200
    answer = browser.get("/environments/test")
    assert answer.status_code == 403
    assert "only in the environments that are yours" in words(answer)


def test_the_menu_has_what_the_person_may_see(browser: Browser) -> None:
    assert 'href="/people"' not in browser.sign_in(Role.SUPPORT).get("/").text
    assert 'href="/people"' in browser.sign_in(Role.ADMINISTRATOR).get("/").text


def test_a_dangerous_act_asks_for_the_password_and_then_goes_on(browser: Browser) -> None:
    browser.sign_in(Role.ADMINISTRATOR, confirmed=False)
    asked = browser.post("/buy", {"word": "+1"})
    assert (asked.status_code, changes) == (403, [])
    assert 'name="word" value="+1"' in asked.text
    wrong = browser.post("/buy", {"word": "+1", "password_or_code": "guess"})
    assert (wrong.status_code, changes) == (403, [])
    assert "That password or code is not right." in words(wrong)
    assert "guess" not in wrong.text
    done = browser.post("/buy", {"word": "+1", "password_or_code": PASSWORD})
    assert (done.status_code, changes) == (303, ["+1"])


def test_a_path_without_parameters_goes_before_one_with(browser: Browser) -> None:
    assert browser.sign_in(Role.SUPPORT).get("/environments/new").status_code == 404


def test_a_failure_shows_nothing_of_itself(browser: Browser) -> None:
    answer = browser.sign_in(Role.SUPPORT).get("/fails")
    assert answer.status_code == 500
    assert "2025550143" not in answer.text
    assert [path for path, _ in browser.failures] == ["/fails"]


def test_the_wrong_method_an_unknown_page_and_a_large_or_other_body(browser: Browser) -> None:
    browser.sign_in(Role.ADMINISTRATOR)
    assert browser.post("/").status_code == 405
    assert browser.get("/nowhere").status_code == 404
    assert browser.post("/change", {"word": "x" * 3000}).status_code == 413
    same = {"sec-fetch-site": "same-origin"}
    assert browser.client.post("/change", content=b"{}", headers=same).status_code == 415
    broken = {**same, "content-type": "multipart/form-data"}
    assert browser.client.post("/change", content=b"--x", headers=broken).status_code == 400
    assert changes == []


def test_a_file_that_is_too_large_leads_back_to_its_form(browser: Browser) -> None:
    browser.sign_in(Role.SUPPORT)
    answer = browser.post("/file", {"word": "x" * 3000})
    assert answer.status_code == 413
    assert "It is over 2 kB. Nothing was changed." in answer.text
    assert '<a href="/file">Go back and choose another file</a>' in answer.text
    assert changes == []


def test_what_a_query_brings_is_inert(browser: Browser) -> None:
    answer = browser.sign_in(Role.SUPPORT).get("/?name=<script>alert(1)</script>")
    assert "<script>alert" not in answer.text


def test_a_download_has_a_plain_name(browser: Browser) -> None:
    answer = browser.sign_in(Role.SUPPORT).get("/file")
    assert answer.headers["content-disposition"] == 'attachment; filename="ab..c.csv"'
    assert answer.content == b"a,b\r\n1,2\r\n"


def test_static_files_are_kept_by_their_hash(browser: Browser) -> None:
    page = browser.sign_in(Role.SUPPORT).get("/").text
    addresses = [part.partition('"')[0] for part in page.split('="/static/')[1:]]
    assert len(addresses) >= 4
    for address in addresses:
        answer = browser.get(f"/static/{address}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    tag = answer.headers["etag"]
    assert browser.client.get(f"/static/{address}", headers={"if-none-match": tag}).status_code == 304

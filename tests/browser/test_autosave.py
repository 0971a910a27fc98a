"""No word goes: network cut, session ended, page left, another writer."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from tests.browser.site import sign_in, sign_out
from tests.markers import night, one_by_day

CUT = pytest.mark.expected("ERR_INTERNET_DISCONNECTED", 409)
pytestmark = night("journeys in a browser")

WORDS = "Come to tea.\n\nBring a cup & a “story”."
SAVE = re.compile("/save")
DRAFT = re.compile(r"/lead/newsletters/[^/]+$")
NO_CONNECTION = re.compile("No connection")


@pytest.fixture
def page(context, site) -> Page:
    page = context.new_page()
    sign_in(page, site)
    page.get_by_role("button", name="Write a newsletter").first.click()
    # The scripts have loaded.
    expect(page.get_by_role("button", name="Bold").first).to_be_visible()
    return page


def is_saved(page) -> None:
    expect(page.locator("#saved")).to_have_text("Saved.")
    expect(page.locator("#not-saved")).to_be_empty()


def cut_saves(page) -> None:
    """Let no save come there until the page opens again."""
    page.evaluate("() => { window.fetch = () => Promise.reject(); }")


def hold_scripts(page) -> list[Route]:
    """Let the next page wait for its scripts; the test lets them go on."""
    late: list[Route] = []

    def hold(route: Route) -> None:
        late.append(route)

    page.route(re.compile("compose"), hold, times=1)
    return late


@CUT
def test_without_a_network_it_says_so_and_saves_when_it_is_back(page):
    page.context.set_offline(True)
    page.fill("[name=text]", WORDS)
    expect(page.locator("#not-saved")).to_have_text(NO_CONNECTION)
    page.locator("#main-form").get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[name=text]")).to_have_value(WORDS)
    page.context.set_offline(False)
    is_saved(page)
    page.reload()
    expect(page.locator("[name=text]")).to_have_value(WORDS)
    expect(page.locator("#kept")).to_be_hidden()


def test_words_typed_before_the_scripts_have_loaded_are_saved(page):
    late = hold_scripts(page)
    page.goto(page.url, wait_until="commit")
    page.fill("[name=text]", WORDS)
    late[0].continue_()
    is_saved(page)
    page.reload()
    expect(page.locator("[name=text]")).to_have_value(WORDS)


def test_leaving_warns_while_something_is_unsaved_and_the_tab_keeps_it(page):
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    cut_saves(page)
    page.locator("[name=text]").press_sequentially("Come to tea.")
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.locator("[name=text]")).to_have_value("")
    page.get_by_role("button", name="Bring them back").click()
    expect(page.locator("[name=text]")).to_have_value("Come to tea.")
    is_saved(page)
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.locator("[name=text]")).to_have_value("Come to tea.")


@one_by_day("journeys in a browser")
@pytest.mark.expected("ERR_FAILED", 409)
def test_a_save_whose_answer_was_lost_is_no_one_elses(page):
    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route(SAVE, lose, times=1)
    page.fill("[name=text]", WORDS)
    expect(page.locator("#not-saved")).to_have_text(NO_CONNECTION)
    page.locator("[name=text]").press_sequentially(" And a friend.")
    is_saved(page)
    page.reload()
    expect(page.locator("[name=text]")).to_have_value(f"{WORDS} And a friend.")
    expect(page.locator("#kept")).to_be_hidden()


@pytest.mark.expected("ERR_")
def test_a_save_that_is_never_answered_is_said_and_tried_again(page):
    page.route(SAVE, lambda _: None, times=1)
    page.fill("[name=text]", WORDS)
    expect(page.locator("#saved")).to_have_text("Saving…")
    expect(page.locator("#not-saved")).to_have_text(NO_CONNECTION)
    is_saved(page)


@pytest.mark.expected("ERR_")
def test_a_button_goes_once_the_words_are_saved(page):
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.locator("[name=text]").press_sequentially("Come to tea.")
    page.route(SAVE, lambda _: None)
    page.get_by_role("button", name="Send or schedule").click()
    expect(page.locator("#saved")).to_have_text("Saving…")
    page.reload()
    assert asked == ["beforeunload"]
    page.unroute_all()
    page.get_by_role("button", name="Bring them back").click()
    page.get_by_role("button", name="Send or schedule").click()
    page.wait_for_url(re.compile("/release"))
    assert asked == ["beforeunload"]


@one_by_day("journeys in a browser")
def test_a_button_waits_for_a_save_that_is_on_its_way(page):
    """Else its newer words would meet a version that the page has not heard of."""
    answers: list[Callable[[], None]] = []

    def hold(route: Route) -> None:
        answer = route.fetch()
        answers.append(lambda: route.fulfill(response=answer))

    page.route(SAVE, hold, times=1)
    with page.expect_request(SAVE):
        page.locator("[name=text]").press_sequentially("Come to tea.")
    page.locator("[name=text]").press_sequentially(" And a friend.")
    page.get_by_role("button", name="Send or schedule").click()
    while not answers:
        page.title()  # lets the route go on
    answers.pop()()
    page.wait_for_url(re.compile("/release"))


@one_by_day("journeys in a browser")
@pytest.mark.expected(409)
def test_words_typed_while_a_slow_button_is_on_its_way_are_no_one_elses(page):
    slow: list[Route] = []

    def hold(route: Route) -> None:
        slow.append(route)

    page.fill("[name=text]", "Come to tea.")
    is_saved(page)
    with page.expect_navigation():
        page.press("[name=subject]", "Enter")
    expect(page.locator(".notice.done")).to_have_text("Saved.")
    expect(page.get_by_role("button", name="Bold").first).to_be_visible()
    page.route(DRAFT, hold, times=1)
    with page.expect_response(SAVE):
        page.locator("[name=release]").evaluate(
            """it => {
                it.click();
                it.form.elements.text.value = "Come to coffee.";
                it.form.dispatchEvent(new Event("input"));
            }"""
        )
    with page.expect_response(lambda it: bool(DRAFT.search(it.url)) and it.request.method == "GET"):
        slow[0].continue_()
    expect(page.locator("[name=text]")).to_have_value("Come to coffee.")
    expect(page.locator("[role=alert]")).to_have_count(0)
    expect(page.get_by_text("Nothing has been sent.")).to_be_visible()


@one_by_day("journeys in a browser")
@pytest.mark.parametrize("is_on_its_way", [False, True])
@pytest.mark.expected("ERR_ABORTED")
def test_words_typed_just_before_the_tab_is_closed_are_saved(page, is_on_its_way):
    page.on("dialog", lambda dialog: dialog.accept())
    if is_on_its_way:
        # It comes there, without an answer.
        page.route(SAVE, Route.fetch, times=1)
        with page.expect_request(SAVE):
            page.locator("[name=text]").press_sequentially("Do ")
    page.locator("[name=text]").press_sequentially("come to tea.")
    other = page.context.new_page()
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    text = other.locator("[name=text]")
    for _ in range(10):
        other.goto(page.url)
        if text.input_value().endswith("tea."):
            break
    expect(text).to_have_value("Do come to tea." if is_on_its_way else "come to tea.")


def test_enter_in_the_subject_saves(page):
    draft = page.url.partition("?")[0]
    page.locator("[name=subject]").press_sequentially("Tea")
    with page.expect_navigation():
        page.press("[name=subject]", "Enter")
    assert page.url.partition("?")[0] == draft
    expect(page.locator("[name=subject]")).to_have_value("Tea")


@one_by_day("journeys in a browser")
def test_words_are_saved_though_the_tab_has_no_room_for_them(page):
    page.evaluate("sessionStorage.setItem('full', 'x'.repeat(5 * 2 ** 20 - 4))")
    page.fill("[name=text]", WORDS)
    is_saved(page)


@pytest.mark.parametrize("status", [200, 502])
@pytest.mark.expected(502)
def test_an_answer_that_is_not_the_sites_is_no_save(page, status):
    page.route(
        SAVE,
        lambda route: route.fulfill(status=status, content_type="text/html", body="<p>Welcome"),
        times=1,
    )
    page.fill("[name=text]", WORDS)
    expect(page.locator("#not-saved")).to_have_text(re.compile("Not saved yet"))
    is_saved(page)


@one_by_day("journeys in a browser")
@pytest.mark.expected(400, 403)
def test_after_signing_in_in_another_tab_it_saves_again(page, site):
    other = page.context.new_page()
    sign_out(other)
    page.fill("[name=text]", WORDS)
    expect(page.locator("#not-saved")).to_have_text(re.compile("You were signed out"))
    sign_in(other, site)
    is_saved(page)
    expect(page.locator("[name=text]")).to_have_value(WORDS)


@pytest.mark.expected(400, 403)
def test_words_shown_again_after_signing_in_are_unsaved_until_they_are_saved(page, site):
    page.on("dialog", lambda dialog: dialog.accept())
    draft, other = page.url.partition("?")[0], page.context.new_page()
    sign_out(other)
    page.locator("[name=text]").press_sequentially("Mine.")
    page.get_by_role("button", name="Send or schedule").click()
    page.get_by_role("heading", name="You were signed out").wait_for()
    sign_in(other, site)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("[name=text]")).to_have_value("Mine.")
    expect(page.get_by_role("button", name="Bold").first).to_be_visible()
    page.locator("[name=text]").click()
    cut_saves(page)
    with page.expect_event("dialog"):
        page.goto(f"{draft}?lang=en")
    page.get_by_role("button", name="Bring them back").click()
    expect(page.locator("[name=text]")).to_have_value("Mine.")
    is_saved(page)


@one_by_day("journeys in a browser")
def test_a_page_from_the_back_forward_cache_is_loaded_anew(page):
    """WebKit gives it back with empty fields; under its driver it has no such cache."""
    page.fill("[name=text]", WORDS)
    is_saved(page)
    page.evaluate("document.querySelector('[name=text]').value = ''")
    with page.expect_navigation():
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("[name=text]")).to_have_value(WORDS)


@one_by_day("journeys in a browser")
@pytest.mark.parametrize("is_before", [True, False])
@pytest.mark.expected(422)
def test_words_that_back_puts_into_the_fields_itself_are_unsaved(page, is_before):
    """WebKit does so before the scripts run, Chromium after; nobody would see it."""
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("[name=text]").press_sequentially("{who}")
    page.goto("/lead/")
    late = hold_scripts(page) if is_before else []
    page.go_back(wait_until="commit")
    if is_before:
        page.locator("[name=text]").evaluate("it => { it.value = '{who}' }")
        late[0].continue_()
    expect(page.locator("#not-saved")).to_have_text(re.compile("{who}"))
    expect(page.locator("#kept")).to_be_hidden()


@one_by_day("journeys in a browser")
def test_an_older_version_that_back_puts_into_the_form_is_no_one_elses(page):
    """WebKit does so over https, before the scripts run."""
    older = page.locator("[name=seen]").input_value()
    page.fill("[name=text]", WORDS)
    is_saved(page)
    page.goto("/lead/")
    late = hold_scripts(page)
    page.go_back(wait_until="commit")
    page.locator("[name=seen]").evaluate("(it, older) => { it.value = older }", older)
    late[0].continue_()
    expect(page.get_by_role("button", name="Bold").first).to_be_visible()
    page.locator("[name=text]").press_sequentially(" And a friend.")
    is_saved(page)


@pytest.mark.expected(422)
def test_what_was_wrong_goes_once_it_is_mended_and_saved(page):
    page.fill("[name=subject]", "Tea with {who}")
    expect(page.locator("#not-saved")).to_have_text(re.compile("Not saved: .*{who}"))
    shown = page.frame_locator("iframe[name=preview]").locator("body")
    expect(shown).to_contain_text("Tea with {who}")
    page.get_by_role("button", name="Send or schedule").click()
    expect(page.locator(".problem")).to_contain_text("{who}")
    page.fill("[name=subject]", "Tea with us")
    is_saved(page)
    expect(page.locator(".problem, .error, .wrong, [aria-invalid]")).to_have_count(0)


@pytest.mark.expected(422)
def test_leaving_warns_after_a_button_whose_words_were_refused(page):
    """A navigation without content leaves the page as “stop” does."""
    page.locator("[name=text]").press_sequentially("{who}")
    page.route(DRAFT, lambda route: route.fulfill(status=204), times=1)
    with page.expect_response(DRAFT):
        page.get_by_role("button", name="Send or schedule").click()
    with page.expect_event("dialog") as asked:
        page.on("dialog", lambda dialog: dialog.accept())
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"


def test_words_are_saved_while_the_browser_asks_whether_to_leave(page):
    page.on("dialog", lambda dialog: dialog.dismiss())
    # No pause in typing ends.
    page.evaluate("() => { window.setTimeout = () => 0; }")
    page.locator("[name=text]").press_sequentially("Come to tea.")
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    is_saved(page)


def write_beside(page, browser, url: str) -> None:
    """Let another tab, or another leader, change the draft."""
    other = browser.new_context(storage_state=page.context.storage_state())
    theirs = other.new_page()
    theirs.goto(url)
    theirs.fill("[name=text]", "Theirs.")
    is_saved(theirs)
    other.close()


@one_by_day("journeys in a browser")
@pytest.mark.expected("ERR_FAILED", 409)
def test_words_that_were_sent_in_vain_are_offered_whatever_somebody_else_wrote(page, browser):
    url = page.url
    page.route(re.compile("/lead/newsletters/"), lambda route: route.abort())
    page.locator("[name=text]").press_sequentially("Mine.")
    page.get_by_role("button", name="Send or schedule").click()
    expect(page.locator("#not-saved")).to_have_text(NO_CONNECTION)
    write_beside(page, browser, url)
    page.unroute_all()
    page.goto(url)
    expect(page.locator("[name=text]")).to_have_value("Theirs.")
    page.get_by_role("button", name="Bring them back").click()
    expect(page.locator("[name=text]")).to_have_value("Mine.")


@CUT
def test_words_brought_back_do_not_overwrite_what_somebody_else_wrote(page, browser):
    page.on("dialog", lambda dialog: dialog.accept())
    page.fill("[name=text]", "First.")
    is_saved(page)
    page.context.set_offline(True)
    page.locator("[name=text]").press_sequentially(" Mine.")
    write_beside(page, browser, page.url)
    page.context.set_offline(False)
    page.reload()
    page.get_by_role("button", name="Bring them back").click()
    expect(page.locator("#not-saved")).to_have_text(re.compile("someone else changed"))


@pytest.mark.expected(409)
def test_words_that_met_anothers_at_a_button_are_offered_when_the_page_opens_again(page, browser):
    page.on("dialog", lambda dialog: dialog.accept())
    page.fill("[name=text]", "First.")
    is_saved(page)
    url = page.url
    write_beside(page, browser, url)
    page.fill("[name=text]", "Mine.")
    page.get_by_role("button", name="Send or schedule").click()
    expect(page.locator("main")).to_contain_text("Someone else changed")
    text, theirs = page.locator("[name=text]"), re.compile("someone else changed")
    text.press_sequentially("More. ")
    expect(page.locator("#not-saved")).to_have_text(theirs)
    page.goto(url)
    expect(text).to_have_value("Theirs.")
    page.get_by_role("button", name="Bring them back").click()
    expect(text).to_have_value("More. Mine.")
    expect(page.locator("#not-saved")).to_have_text(theirs)
    save = page.get_by_role("button", name="Save", exact=True)
    save.click()
    expect(page.locator("main")).to_contain_text("Someone else changed")
    save.click()
    expect(page.locator(".notice.done")).to_have_text("Saved.")
    page.goto(url)
    expect(text).to_have_value("More. Mine.")


@one_by_day("journeys in a browser")
@pytest.mark.expected(404)
def test_words_for_a_draft_that_is_gone_are_told_and_given_back_by_a_button(page):
    page.locator("[name=text]").press_sequentially("Come to tea.")
    is_saved(page)
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_text("Delete this draft …").click()
    other.get_by_role("button", name="Delete it").click()
    expect(other).to_have_url(re.compile("done=deleted"))
    page.locator("[name=text]").press_sequentially(" Bring a cup.")
    expect(page.locator("#not-saved")).to_have_text(re.compile("sent, scheduled or deleted"))
    page.get_by_role("button", name="Send or schedule").click()
    page.get_by_text("What you typed").click()
    expect(page.locator("#typed")).to_have_text("Come to tea. Bring a cup.")


@one_by_day("journeys in a browser")
def test_words_that_are_offered_stay_while_others_are_typed(page):
    page.on("dialog", lambda dialog: dialog.accept())
    cut_saves(page)
    page.fill("[name=text]", WORDS)
    page.reload()
    expect(page.locator("#kept")).to_be_visible()
    page.fill("[name=text]", "Others.")
    is_saved(page)
    page.reload()
    page.get_by_role("button", name="Bring them back").click()
    expect(page.locator("[name=text]")).to_have_value(WORDS)


@one_by_day("journeys in a browser")
def test_words_for_a_meeting_come_back_with_back(page):
    """Firefox forgets them on every page that no browser keeps."""
    page.goto("/lead/groups/the-village/meetings/new")
    page.fill("[name=title_en]", "Tea")
    page.fill("[name=place]", "Room 4")
    page.goto("/lead/")
    page.go_back()
    expect(page.locator("[name=title_en]")).to_have_value("Tea")
    expect(page.locator("[name=place]")).to_have_value("Room 4")


def test_the_preview_is_in_the_language_that_is_being_written(page):
    shown = page.frame_locator("iframe[name=preview]").locator("body")
    page.fill("[name=text]", WORDS)
    page.get_by_text("Spanish version").click()
    page.fill("[name=text_es]", "Ven a tomar té.")
    expect(shown).to_contain_text("Ven a tomar té.")
    page.get_by_role("button", name="Dark").click()
    expect(shown).to_contain_text("Come to tea.")
    page.locator("[name=subject_es]").focus()
    expect(shown).to_contain_text("Ven a tomar té.")
    page.locator("[name=text]").focus()
    expect(shown).to_contain_text("Come to tea.")
    expect(page.get_by_role("button", name="Phone")).to_have_attribute("aria-pressed", "true")

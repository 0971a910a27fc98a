"""The pages as a screen reader is told of them by Chromium: roles, names, announcements."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.markers import night

pytestmark = night("journeys in a browser")

JOIN = "/groups/the-village/join"
LANDMARKS = {"banner", "navigation", "main", "contentinfo", "complementary"}
DRAWN = {"none", "generic", "InlineTextBox", "StaticText", "ListMarker", "LineBreak"}


@dataclass(frozen=True)
class Heard:
    """One thing of the tree: what it is, what it is called, what else is said of it."""

    role: str
    name: str
    description: str = ""
    properties: dict[str, Any] = field(default_factory=dict)
    # All text below it.
    words: str = ""


def listen(page: Page) -> list[Heard]:
    """Return what is in the tree, in the order in which it is read."""
    session = page.context.new_cdp_session(page)
    nodes = {each["nodeId"]: each for each in session.send("Accessibility.getFullAXTree")["nodes"]}
    session.detach()
    root = next(each for each in nodes.values() if "parentId" not in each)
    return [
        _heard(node, nodes)
        for node in _below(root, nodes)
        if not node["ignored"] and _text(node, "role") not in DRAWN
    ]


def _below(node: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    children = [nodes[each] for each in node.get("childIds", []) if each in nodes]
    return [node, *(each for child in children for each in _below(child, nodes))]


def _heard(node: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> Heard:
    texts = [each for each in _below(node, nodes) if _text(each, "role") == "StaticText"]
    return Heard(
        role=_text(node, "role"),
        name=_text(node, "name"),
        description=_text(node, "description"),
        properties={each["name"]: each["value"].get("value") for each in node["properties"]}
        if "properties" in node
        else {},
        words=" ".join(_text(each, "name") for each in texts),
    )


def _text(node: dict[str, Any], key: str) -> str:
    return str(node.get(key, {}).get("value", ""))


def of(heard: list[Heard], *roles: str) -> list[str]:
    return [each.name for each in heard if each.role in roles]


def the(heard: list[Heard], role: str, name: str) -> Heard:
    [found] = [each for each in heard if each.role == role and each.name == name]
    return found


def test_the_directory_is_read_by_landmarks_headings_and_lists(phone):
    phone.goto("/")
    heard = listen(phone)
    assert [each.role for each in heard if each.role in LANDMARKS] == [
        "banner", "navigation", "main", "contentinfo",
    ]  # fmt: skip
    assert of(heard, "navigation") == ["Main"]
    levels = [each.properties["level"] for each in heard if each.role == "heading"]
    assert levels == [1, 2, *[3] * 8, 2, 3, 3, 2, 2]
    assert of(heard, "link")[:2] == ["Skip to main content", "DPS Belong"]
    assert {"LGBTQ+", "The Village", "Autoimmune"} <= set(of(heard, "link"))
    assert of(heard, "image", "img", "graphics-symbol", "SvgRoot") == []


def test_a_link_that_is_open_already_is_said_to_be(phone):
    phone.goto("/contact")
    assert phone.locator("nav [aria-current=page]").inner_text() == "Contact"


def test_the_form_is_read_with_its_hints_and_without_its_traps(phone):
    phone.goto(JOIN)
    heard = listen(phone)
    address = the(heard, "textbox", "Your work email address")
    assert address.properties["required"] is True
    assert address.description.startswith("Use your own address, not a shared one.")
    assert of(heard, "textbox") == ["Your work email address", "First name optional"]
    assert of(heard, "button") == ["Español", "Send me the link"]
    groups = [each.name for each in heard if each.role in {"group", "radiogroup"} and each.name]
    assert groups[:3] == [
        "Language for our emails", "Where do you work with students? optional",
        "Would you like to help? optional",
    ]  # fmt: skip
    assert of(heard, "radio")[:2] == ["English", "Español"]
    assert of(heard, "checkbox")[0] == "Introduce me to the group leaders"
    assert not [
        each for each in heard if each.role == "checkbox" and each.properties["checked"] != "false"
    ]


@pytest.mark.expected(422)
def test_errors_are_announced_and_read_with_their_fields(phone):
    phone.goto(JOIN)
    phone.fill("[name=email]", "ada@gmail.com")
    phone.keyboard.press("Enter")
    phone.get_by_role("alert").wait_for()
    heard = listen(phone)
    alert = the(heard, "alert", "There’s a problem with 1 answer")
    assert alert.properties["live"] == "assertive"
    wrong = "Use a DPS email address. It ends in @dpsk12.org."
    assert wrong in alert.words
    assert wrong in of(heard, "link")
    address = the(heard, "textbox", "Your work email address")
    assert address.properties["invalid"] == "true"
    assert f"Problem: {wrong}" in address.description
    assert phone.title().startswith("Problem: ")


@pytest.mark.expected(422)
def test_one_more_press_is_asked_for_politely_with_everything_kept(phone):
    phone.goto(JOIN)
    phone.fill("[name=email]", "ada@dpsk12.org")
    phone.evaluate("() => { document.querySelector('[name=csrf_token]').value = 'too old' }")
    phone.keyboard.press("Enter")
    phone.get_by_role("status").wait_for()
    heard = listen(phone)
    [status] = [each for each in heard if each.role == "status"]
    assert status.properties["live"] == "polite"
    assert status.words.startswith("Please select the button again.")
    assert of(heard, "alert") == []
    assert phone.locator("[name=email]").input_value() == "ada@dpsk12.org"


@pytest.mark.parametrize("width", [320, 1280])
def test_a_table_stays_a_table_however_it_is_laid_out(phone, width):
    phone.set_viewport_size({"width": width, "height": 740})
    phone.goto("/groups/the-village")
    assert of(listen(phone), "table") == ["Who can see that I joined?"]
    phone.locator("details.more summary").click()
    heard = listen(phone)
    assert of(heard, "table") == ["Who can see that I joined?", "Who else can see that I joined?"]
    assert of(heard, "columnheader") == ["Who", "Can they see it?"] * 2
    headers, cells = of(heard, "rowheader"), [each for each in heard if "cell" in each.role.lower()]
    assert headers[:2] == ["Other members", "The group’s leaders"]
    assert len(headers) == len(cells) == 7
    assert len(of(heard, "row")) == 9


@pytest.mark.expected(404)
def test_a_page_behind_a_bad_link_says_first_what_happened(phone):
    phone.goto("/confirm/nothing")
    heard = listen(phone)
    assert phone.title() == "This link doesn’t work anymore · DPS Belong"
    assert of(heard, "heading")[0] == "This link doesn’t work anymore"
    assert len([name for name in of(heard, "link") if name == "Asian"]) == 1

"""A page as a screen reader is told of it: Chromium's own accessibility tree."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

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

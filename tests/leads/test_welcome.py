"""The welcome email is seen before anyone gets it."""

from belong_mail.core.services import Services
from tests.browser_client import Form, Visitor
from tests.factories import group_named, plan_meeting

PAGE = "/lead/groups/the-village/page"
WORDS = {"welcome_en": "Come <in>\n& sit down", "welcome_es": "Pasa <ya>"}


def test_the_welcome_email_is_previewed_in_each_language_and_nothing_is_stored(
    lead: Visitor, other_lead: Visitor, services: Services
) -> None:
    with services.writing.begin() as session:
        plan_meeting(session, place="Room 4")
    fields = {**Form(lead.open(PAGE).text).fields, **WORDS}
    shown = lead.press(PAGE, **fields, welcome="en")
    assert "Come &lt;in&gt;\n&amp; sit down" in shown.text.replace("\r\n", "\n")
    assert "Room 4" in shown.text
    assert "The Village Belong Group" in shown.text
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    spanish = lead.press(PAGE, **fields, welcome="es").text
    assert "Pasa &lt;ya&gt;" in spanish
    assert "grupo The Village" in spanish
    assert "Come &lt;in" in lead.press(PAGE, **fields, welcome="xx").text
    with services.reading.begin() as session:
        assert "Come" not in str(group_named(session, "the-village").welcome)
    assert other_lead.act(PAGE, welcome="en").status_code == 404

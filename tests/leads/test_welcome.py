"""The welcome email is seen, and tested, before anyone gets it."""

from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Form, Visitor, html_of, links_in, text_of
from tests.factories import group_named, plan_meeting
from tests.servers.smtp import Server

PAGE = "/lead/groups/the-village/page"
LEAD = "lead-of-the-village@dpsk12.org"
WORDS = {"welcome_en": "Come <in>\n& sit down", "welcome_es": "Pasa <ya>"}


def test_the_welcome_email_is_previewed_in_each_language_and_nothing_is_stored(
    lead: Visitor, services: Services
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


def test_the_welcome_email_is_sent_to_oneself_in_each_language(
    lead: Visitor, other_lead: Visitor, worker: Worker, relay: Server
) -> None:
    answer = lead.send(PAGE, **WORDS, test_welcome="1")
    assert "We’re emailing you the welcome email." in lead.open(answer.location).text
    worker.drain()
    tests = [mail for mail in relay.to(LEAD) if "]" in str(mail["Subject"])]
    subjects = sorted(str(mail["Subject"]) for mail in tests)
    assert subjects == [
        "[Prueba] ¡Te damos la bienvenida! Ya formas parte del grupo.",
        "[Test] Welcome! You’re in.",
    ]
    for mail in tests:
        assert ("Pasa <ya>" in text_of(mail)) != ("Come <in>" in text_of(mail))
        assert "The Village" in html_of(mail)
        assert not any("/leave/" in link for link in links_in(mail))
    for _ in range(20):
        last = lead.send(PAGE, test_welcome="1")
    assert "Try again in an hour." in lead.open(last.location).text
    token = Form(other_lead.open("/lead/").text).fields["csrf_token"]
    assert other_lead.press(PAGE, csrf_token=token, welcome="en").status_code == 404

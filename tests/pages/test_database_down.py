"""A database that cannot be reached: a page still comes, and says that nothing was stored."""

import pytest

from belong_mail.app import create_app
from config import Config

BROKEN = (
    "sqlite:////nowhere/at/all/belong.db",
    "postgresql+psycopg://belong:secret@127.0.0.1:1/belong?connect_timeout=1",
)


@pytest.fixture(params=BROKEN, ids=["sqlite", "postgresql"])
def database_url(request) -> str:
    return request.param


@pytest.fixture
def app(environment):
    app = create_app(Config.read(environment))
    yield app
    app.extensions["belong"].writing.kw["bind"].dispose()


@pytest.mark.usefixtures("relay")
def test_a_page_says_that_it_cannot_do_it_right_now_and_not_where_the_database_is(visitor, caplog):
    read = [visitor.open(path) for path in ("/", "/groups/asian", "/groups/asian/join")]
    sent = visitor.send("/my-groups", email="ada@dpsk12.org")
    for answer in (*read, sent):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "We can’t do this right now" in answer.text
        assert "Nothing was saved" in answer.text
        assert "ada@" not in answer.text
        for word in ("secret", "nowhere", "127.0.0.1", "sqlite", "psycopg", "Traceback"):
            assert word not in answer.text
            assert word not in caplog.text
    assert all("nothing was lost." in answer.text for answer in read)
    assert "what you typed isn’t lost. Reload this page" in sent.text
    assert "The database cannot be used" in caplog.text
    assert visitor.open("/privacy").status_code == 200
    assert visitor.open("/nowhere").status_code == 404, "without the groups"


def test_readyz_says_in_one_sentence_that_the_database_does_not_answer(visitor, caplog):
    answer = visitor.open("/readyz")
    assert (answer.status_code, answer.mimetype) == (503, "text/plain")
    assert answer.text == "The database does not answer, or takes no changes.\n"
    assert "The database cannot be used" in caplog.text
    assert visitor.open("/healthz").status_code == 200, "the process is live"

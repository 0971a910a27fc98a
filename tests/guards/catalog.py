"""Every guard by name, with the smallest sabotage of it: file, old text, new text, tests."""

from tests.guards.sabotage import Sabotage

HEADERS = "tests/test_headers.py"
HOUSE = "tests/test_house.py"
CONTRACTS = f"{HOUSE}::test_the_contracts_about_imports_hold"
TOKENS = "tests/test_tokens.py"
SEALING = "tests/test_sealing.py"
DB = "tests/test_db.py"
JOIN = "tests/subscriptions/test_join_form.py"
CONFIRM = "tests/subscriptions/test_confirm.py"
LEAVE = "tests/subscriptions/test_leave.py"
NOT_ME = "tests/subscriptions/test_not_me.py"
OFTEN = "tests/subscriptions/test_how_often.py"
INTRODUCTION = "tests/subscriptions/test_introduction.py"
CONTACT = "tests/contact/test_contact.py"
CANARY = "tests/privacy/test_canary.py"
GUESSES = "tests/privacy/test_guesses.py"
INERT = "tests/privacy/test_inert.py"

ROWS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "public-list",
        "belong_mail/app.py",
        "if request.endpoint is not None and request.endpoint not in open_pages:",
        "if False:",
        (f"{HOUSE}::test_a_page_that_nobody_listed_is_refused",),
    ),
    (
        "development-pages",
        "belong_mail/app.py",
        "    if settings.is_development:\n        app.register_blueprint(mailbox)",
        "    if True:\n        app.register_blueprint(mailbox)",
        (f"{HOUSE}::test_in_production_there_is_no_page_for_development",),
    ),
    (
        "largest-body",
        "belong_mail/app.py",
        "        MAX_CONTENT_LENGTH=MAX_BODY,\n",
        "",
        (HEADERS,),
    ),
    (
        "trusted-hosts",
        "belong_mail/app.py",
        "        TRUSTED_HOSTS=_hosts(settings.base_url),\n",
        "",
        (HEADERS,),
    ),
    (
        "csrf-exemption-of-one-click",
        "belong_mail/app.py",
        '    "subscriptions.undo", "subscriptions.one_click", "contact.write",\n}',
        '    "subscriptions.undo", "contact.write",\n}',
        (LEAVE,),
    ),
    (
        "csrf-form-time",
        "belong_mail/forms.py",
        'parts().tokens.read(Purpose.FORM, field.data or "")',
        "field.data",
        (JOIN,),
    ),
    (
        "honeypot",
        "belong_mail/forms.py",
        "        if field.data:\n",
        "        if False:\n",
        (CONTACT,),
    ),
    (
        "staff-domain",
        "belong_mail/forms.py",
        "if domain(address) not in settings.allowed_domains:",
        "if False:",
        (JOIN,),
    ),
    (
        "cross-site-fetch",
        "belong_mail/headers.py",
        'if site not in {"none", "same-origin"} or given',
        "if given",
        (HEADERS,),
    ),
    (
        "cross-site-origin",
        "belong_mail/headers.py",
        '"same-origin"} or given not in {origin, "null"}:',
        '"same-origin"}:',
        (HEADERS,),
    ),
    (
        "content-policy",
        "belong_mail/headers.py",
        "\"default-src 'none'\",",
        '"default-src *",',
        (HEADERS,),
    ),
    (
        "no-index",
        "belong_mail/headers.py",
        'if "token" in (request.view_args or {}):',
        "if False:",
        (HEADERS,),
    ),
    (
        "read-only-get",
        "belong_mail/parts.py",
        "is_reading = has_request_context() and request.method in SAFE",
        "is_reading = False",
        (DB,),
    ),
    (
        "read-only-transactions",
        "belong_mail/db.py",
        "PRAGMA query_only={'ON' if is_reading else 'OFF'}",
        "PRAGMA query_only=OFF",
        (DB,),
    ),
    (
        "links-ask-on-get",
        "belong_mail/subscriptions/views.py",
        'if request.method != "POST":',
        "if False:",
        (INERT,),
    ),
    (
        "token-salts",
        "belong_mail/tokens.py",
        'salt=f"belong/{purpose.salt}/v1"',
        'salt="belong/v1"',
        (TOKENS,),
    ),
    (
        "token-expiry",
        "belong_mail/tokens.py",
        "max_age = None if purpose.max_age is None else purpose.max_age + SKEW.seconds",
        "max_age = None",
        (TOKENS,),
    ),
    (
        "token-digest",
        "belong_mail/tokens.py",
        "staticmethod(hashlib.sha256)",
        "staticmethod(hashlib.sha1)",
        (TOKENS,),
    ),
    (
        "token-length",
        "belong_mail/tokens.py",
        "if len(token) > LONGEST or not token.isascii():",
        "if not token.isascii():",
        (TOKENS,),
    ),
    (
        "key-rotation",
        "belong_mail/tokens.py",
        "super().__init__(secret_keys, salt",
        "super().__init__(secret_keys[-1:], salt",
        (TOKENS,),
    ),
    (
        "escaping-in-pages",
        "belong_mail/app.py",
        "    tokens = Tokens(settings.secret_keys)\n",
        "    tokens = Tokens(settings.secret_keys)\n    app.jinja_env.autoescape = False\n",
        (JOIN, CONTACT),
    ),
    (
        "escaping-in-mails",
        "belong_mail/outbox/rendering.py",
        'autoescape=select_autoescape(["html"])',
        "autoescape=False",
        (INTRODUCTION, CONTACT),
    ),
    (
        "markup-in-newsletters",
        "belong_mail/mail/markdown.py",
        '{"html": False, "linkify": True}',
        '{"html": True, "linkify": True}',
        ("tests/mail/test_markdown.py",),
    ),
    (
        "relative-links-in-newsletters",
        "belong_mail/mail/markdown.py",
        'url_relative="deny"',
        'url_relative="passthrough"',
        ("tests/mail/test_markdown.py",),
    ),
    (
        "header-injection",
        "belong_mail/mail/header.py",
        "if _FORBIDDEN.search(value) or any(map(_FORBIDDEN.search, decoded_words(value))):",
        "if False:",
        ("tests/mail/test_header.py",),
    ),
    (
        "tls-verification",
        "belong_mail/mail/connection.py",
        "    context = ssl.create_default_context(cafile=relay.ca)\n",
        "    context = ssl._create_unverified_context(cafile=relay.ca)\n",
        ("tests/mail/test_connection.py",),
    ),
    (
        "one-dot-mark",
        "belong_mail/mail/dialogue.py",
        "            before_dot()\n",
        "",
        ("tests/mail/test_dialogue.py",),
    ),
    (
        "relays-words",
        "belong_mail/sending/outcomes.py",
        "known_phrase(reply.text))",
        "reply.text)",
        (CANARY,),
    ),
    (
        "limits",
        "belong_mail/limits.py",
        "    allowed = max(start, used - rate.per.total_seconds())\n",
        "    allowed = start\n",
        ("tests/test_limits.py",),
    ),
    (
        "limit-of-a-member",
        "belong_mail/subscriptions/receiving.py",
        "at + timedelta(seconds=allowed - at.timestamp()),",
        "at,",
        (OFTEN,),
    ),
    (
        "source-is-hashed",
        "belong_mail/parts.py",
        "key = hmac.digest(settings.secret_keys[-1].encode(), message, hashlib.sha256)[:16]",
        "key = message + hmac.digest(b'', b'', hashlib.sha256)[:0]",
        (OFTEN,),
    ),
    (
        "suppression",
        "belong_mail/outbox/suppressions.py",
        "return session.get(Suppression, index.suppressed(address)) is not None",
        "return False",
        (NOT_ME,),
    ),
    (
        "leaving-withdraws",
        "belong_mail/subscriptions/letters.py",
        "    if subscription is None or not subscription.is_active:\n        is_suppressed",
        "    if subscription is None:\n        is_suppressed",
        (LEAVE,),
    ),
    (
        "leaving-ends-wishes",
        "belong_mail/subscriptions/service.py",
        "    session.execute(delete(Wish).where(Wish.subscription_id == subscription.id))\n",
        "",
        (CONFIRM,),
    ),
    (
        "undo-within-the-hour",
        "belong_mail/subscriptions/service.py",
        "        and now() - subscription.ended_at < UNDO\n",
        "",
        (LEAVE,),
    ),
    (
        "answers-need-the-tick",
        "belong_mail/subscriptions/forms.py",
        "is_introduced=is_introduced,",
        "is_introduced=True,",
        (INTRODUCTION,),
    ),
    (
        "confirmed-before-queued",
        "belong_mail/newsletters/service.py",
        "        Subscription.confirmed_at <= newsletter.queued_at,\n",
        "",
        ("tests/newsletters/test_books.py",),
    ),
    (
        "one-click-header",
        "belong_mail/newsletters/letters.py",
        '        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),\n',
        "",
        ("tests/newsletters/test_headers.py",),
    ),
    (
        "sealing-of-requests",
        "belong_mail/subscriptions/service.py",
        "    sealed = sealer.seal(wanted.to_bytes(), SEALED)\n",
        "    sealed = wanted.to_bytes()\n",
        (CONFIRM, f"{GUESSES}::test_sealing_a_guess_again_gives_nothing_to_compare"),
    ),
    (
        "sealing-of-messages",
        "belong_mail/contact/service.py",
        "ContactMessage(reference=reference, sealed=sealed)",
        "ContactMessage(reference=written.name or reference, sealed=sealed)",
        (CANARY,),
    ),
    (
        "sealing-at-rest",
        "belong_mail/subscriptions/receiving.py",
        "person = keyring.index.limited(addresses.normalise(keyring.address(subscription)))",
        "person = keyring.address(subscription).encode()",
        (CANARY,),
    ),
    (
        "binding-to-a-place",
        "belong_mail/sealing.py",
        'return b"belong-mail/v1/" + where.encode()',
        'return b"belong-mail/v1/"',
        (SEALING,),
    ),
    (
        "binding-to-a-row",
        "belong_mail/sealing.py",
        'return b"belong-mail/v1/" + where.encode()',
        'return b"belong-mail/v1/" + where.partition("/")[0].encode()',
        (SEALING,),
    ),
    (
        "sealed-is-not-wrapped",
        "belong_mail/opening.py",
        "        if kind != sealing.WRAPPED:\n            raise CannotOpen(where)\n",
        "        if kind == sealing.SEALED:\n            return self.open(wrapped, where)\n",
        (SEALING,),
    ),
    (
        "length-of-what-is-sealed",
        "belong_mail/sealing.py",
        'return data + b"\\x80" + bytes(-(len(data) + 1) % BLOCK)',
        'return data + b"\\x80"',
        (SEALING,),
    ),
    (
        "index-of-each-group",
        "belong_mail/opening.py",
        'self._name("member", group_public_id, address)',
        'self._name("member", "", address)',
        (SEALING,),
    ),
    (
        "index-is-keyed",
        "belong_mail/opening.py",
        "return hmac.digest(self._key, message, hashlib.sha256)[:16]",
        "return hashlib.sha256(message).digest()[:16]",
        (GUESSES,),
    ),
    (
        "web-is-blind",
        "belong_mail/cli.py",
        '    environ |= dict.fromkeys(WORKER_ALONE, "")\n',
        "    environ = dict(os.environ)\n",
        (CANARY,),
    ),
    (
        "layers",
        "belong_mail/limits.py",
        "from belong_mail.db import Base\n",
        "import belong_mail.outbox.service\nfrom belong_mail.db import Base\n",
        (CONTRACTS,),
    ),
    (
        "no-view-reaches-the-keys",
        "belong_mail/contact/service.py",
        "from belong_mail.sealing import Sealer\n",
        "import belong_mail.opening\nfrom belong_mail.sealing import Sealer\n",
        (CONTRACTS,),
    ),
    (
        "flask-at-the-doors",
        "belong_mail/retention.py",
        "from belong_mail import limits\n",
        "import flask as flask\n\nfrom belong_mail import limits\n",
        (CONTRACTS,),
    ),
)

SABOTAGES = tuple(Sabotage(*row) for row in ROWS)

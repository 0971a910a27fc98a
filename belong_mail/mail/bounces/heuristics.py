"""Read bounces without RFC 3464 fields, automatic replies, and requests to unsubscribe."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from belong_mail.mail.bounces.mime import Fields, Message, addresses_in, fields_of

_DAEMON = (
    r"mail(?:er)?.?da?emon|post.?master|\bmdaemon|mail.?delivery.?(?:sub|system|service|notif)"
    r"|(?:mail|system) administrator|microsoftexchange|<@?>"
)
_PASSED_ON = r"(?:re|aw|sv|fwd?|wg|tr|rv)\s?:"


# Above what a person passes on, mail programs write whose it was.
_QUOTED_HEAD = (
    r"^[ >|*]{0,9}(?:from|von|de|da|van|från|от|发件人|寄件者|差出人)\*? ?[:：][^\n]{1,300}\n[ >"
    r"|*]{0,9}"
    r"(?:sent|date|to|subject|reply-to|cc|gesendet|datum|an|betreff|enviad[oa]|fecha|data|para"
    r"|asunto"
    r"|envoy[ée]|objet|à|inviato|oggetto|verzonden|onderwerp|дата|тема|кому|发送时间|日期|日時"
    r"|送信日時)"
    r"\*? ?[:：]|^[ >]{0,9}(?:begin forwarded message|-{2,} ?forwarded message)"
)


_FAILED = (
    r"undeliver|return(?:ed|ing) (?:mail|to sender|message)|failure notice|could not be|rejected"
    r"|non.?(?:delivery|deliverable|remis)|(?:mail|message|delivery|e-?mail).{0,30}(?:fail|error"
    r"|problem|not (?:be )?delivered|unable|could ?n.t)|(?:fail|unable).{0,20}(?:deliver|mail)"
    r"|unzustell|(?:zustell|übermittl).{0,20}(?:fehl|nicht)|nicht zu(?:gestellt|stellbar)"
    r"|no (?:se )?(?:pudo |ha podido )?(?:ser )?entreg|(?:error|fall[oi]).{0,30}(?:entrega"
    r"|env[ií]o)|devuelto|non remis|[ée]chec|mancat[ao] (?:consegna|recapito)"
    r"|n[ãa]o (?:foi )?entreg|退信|不達|退回|配信(?:でき|不能|エラー)|送信でき|届け(?:られ|でき)"
    r"|(?:无法|無法|失败|失敗|未能).{0,6}(?:投递|投遞|送达|送達|发送)|(?:投递|投遞"
    r"|发送).{0,6}(?:失败|失敗)"
    r"|не\s?(?:может быть |был[оа]? |удалось )?доставл?|반송|전송.{0,6}(?:실패|못)"
    r"|배달.{0,6}(?:실패|못)"
    r"|onbestelbaar|kon niet worden (?:bezorgd|afgeleverd)|kunde inte levereras|niedostarcz"
    r"|nie (?:mo[żz]na|uda[łl]o si[ęe]) dostarczy|iletilemedi"
)


_SAYS_FAILED = (
    r"(?:not|n.t|unable to|failed to)(?: be)? (?:\w+ ){0,3}(?:deliver|reach|sen[dt]|accept"
    r"|create)|undeliver|permanent(?:ly)? (?:fatal )?(?:error|fail)|delivery .{0,30}fail"
    r"|fatal error|return(?:ed|ing) (?:it )?(?:to (?:the |its )?sender|mail|message)|giv(?:en"
    r"|ing) up|(?:message|mail|recipient|address|domain).{0,60}(?:rejected|bounced|refused|failed"
    r"|unknown)|(?:unknown|no such|invalid|valid) user|user unknown|delivery problem|userid"
    r"|failed recipient|(?:mail|message) (?:has been|was|is) returned|no (?:se )?(?:pudo"
    r"|ha podido|puede)|n.a pas pu|konnte.{0,80}nicht|nicht zugestellt"
    r"|退信|退回|不達|配信(?:でき|不能)|送信でき|届け(?:られ|でき)"
    r"|(?:无法|無法|未能).{0,6}(?:投递|投遞|送达|送達|发送)|(?:投递|投遞|发送).{0,6}(?:失败|失敗)"
    r"|не\s?(?:может быть |был[оа]? |удалось )?доставл?|반송|(?:전송|배달).{0,6}(?:실패|못)"
    r"|kon niet worden|kunde inte levereras|nie (?:mo[żz]na|uda[łl]o si[ęe]) dostarczy"
    r"|n[ãa]o (?:foi|p[ôo]de)"
)


_DELAYED = (
    r"warning.{0,60}(?:delay|not (?:yet )?(?:been )?(?:sent|deliver)|could not)"
    r"|delay(?:ed)? (?:notif|deliver)|warning message only|(?:delivery|message"
    r"|mail)[^.]{0,60}(?:delayed|postponed|warning)|still (?:trying|being|undelivered"
    r"|in the (?:mail )?queue)|(?:keep|continue)d? (?:to )?try|attempts? will continue"
    r"|will (?:retry|be retried|try again|continue)|\(delay\)|transient non"
    r"|not (?:yet )?been delivered (?:after|for)|verz[öo]ger|retras|retard"
    r"|not need to (?:do anything|resend|take)|遅延|再送を試み|再試行を|延迟|지연|задержк|opóźni"
    r"|ritardo|vertrag(?:ing|d)|försenad|forsinket|atraso\b|gecik"
)


_FINAL = (
    r"failed because|giv(?:en|ing) up|gave up|permanent|no longer (?:try|be tried)|fatal errors"
)
_DELIVERED = (
    r"\(success\)|success(?:fully)? (?:deliver|relay|mail)|delivery (?:report|success)"
    r"|\A(?:relayed|delivered|expanded|weitergeleitet|zugestellt|entregado|retransmi[st]\w*"
    r"|remis) ?:"
    r"|was delivered|return receipt|been (?:successfully )?delivered"
)


_SUCCESS = r"\b(?:delivered successfully|successfully delivered|delivery successful)\b"


# What servers write and persons do not.
_FORM = (
    r"(?:following|these) (?:e-?mail )?(?:recipient|user|address|person|destinat"
    r"|mailbox)[^@]{0,200}@|^\s*<[^<>\s]+@[^<>\s]+>:|rcpt to: ?<"
    r"|created automatically by mail delivery software"
)


_ORIGINAL = (
    r"^[ >|]*(?:-{2,}|={2,}|_{2,}|\*{2,})[ >]*(?:(?:this is|below|begin|start"
    r"|here is)[^\n]{0,60})?(?:(?:your |the )?(?:original|returned|unsent|undelivered|copy"
    r"|forwarded|enclosed|attachment|headers?)\b|message (?:header|text|follow|body|content)"
    r"|(?:a )?copy of)[^\n]{0,200}$|^[ >]*(?:\w{1,20} ){0,9}(?:message|mail) ?(?:headers?|text"
    r"|body)? ?(?:follows?|is (?:included|attached|below)|reads|begins)\b[^\n]{0,80}$|^[ >"
    r"|]*(?:received|return-path|dkim-signature): [^\n]{1,300}\n[ >|\t]*\S"
)


_HEAD = (
    r"^(?:received|return-path|dkim-signature|from|to|date|subject|message-id|delivered-to|sender"
    r"|reply-to|mime-version|content-type|x-[\w-]{1,60}|list-[\w-]{1,60}):[ \t\n].*?(?:\n\n|\Z)"
)
_ABOUT = (
    r"^[ \t>]*(?:<|'|\"|(?:to|recipient|user|address|e-?mail|rcpt to|für|para|à)[: \t]{1,12}<?)?"
    r"(?:smtp:|mailto:|rfc822;\s?)?([^\s<>\"',;:()]{1,64}@[\w.-]{1,255})[>'\",:;()\s]"
)
_RCPT = r"rcpt to: ?<?([^\s<>]{1,64}@[\w.-]{1,255})"
_REPLY = r"(?<![\d.])[45][0-5]\d[ \-:\]]|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)"
_FINAL_REPLY = r"(?<![\d.])5[0-5]\d[ \-:\]]|(?<![\d.])5\.\d{1,3}\.\d{1,3}(?!\.?\d)"
_HEARD = r"^<<< [45]\d\d"
# Sendmail heard a server's answer, and below it says what it takes that for.
_GUESSED = r"^[45]\d\d [45]\.\d\.\d .*\.\.\. .*$"
_DAEMON_WROTE, _ENOUGH = 2, 3
# A payload for a program, whoever mails it.
_DATA = r"\s*[\[{]\s*[\"{]"
_ADVICE = r"\b(?:may|might|maybe|please|perhaps|possibl[ey]|if|either|check|sure|why|usually)\b"
_BRACKETED_ADVICE = rf"\([^()]{{0,200}}{_ADVICE}[^()]{{0,200}}\)"


@dataclass(frozen=True, slots=True)
class BounceText:
    """What a server tells in words, and what stands below: the message that came back."""

    report_text: str
    returned: Fields

    def replies(self) -> str:
        """Return the lines in which a server's answer stands, final ones first, or ""."""
        blocks = [block for block in self.report_text.split("\n\n") if re.search(_REPLY, block)]
        lines = [line for block in blocks for line in _lines_from_reply(block)]
        lines.sort(key=lambda line: re.search(_FINAL_REPLY, line) is None)
        return "\n".join(lines[:6])

    def statements(self) -> str:
        """Return the sentences that say something, without those that only advise."""
        told = re.sub(_BRACKETED_ADVICE, " ", self.report_text[:8_000], flags=re.IGNORECASE)
        sentences = re.split(r"(?<=[.!?])\s|\n\s*\n", told)
        return "\n".join(s for s in sentences if not re.search(_ADVICE, s, re.IGNORECASE))

    def recipients(self) -> Iterator[str]:
        """Yield the addresses that lines begin with, else those beside an answer, else all."""
        flags = re.IGNORECASE | re.MULTILINE
        found = [
            *re.findall(_RCPT, self.report_text, flags),
            *re.findall(_ABOUT, self.report_text + "\n", flags),
        ]
        for text in ("\n".join(found), self.replies(), self.report_text[:4_000]):
            if named := list(addresses_in(text)):
                yield from named
                return

    def _holds(self, pattern: str) -> bool:
        return _matches(pattern, self.report_text[:4_000])

    def outcome(self, message: Message) -> str:
        """Return "failed", "delayed" or "delivered", as the words say, or "": no server wrote."""
        subject = message.first("subject").strip()
        trust = _trust(message)
        if re.match(_DATA, message.written()):
            return ""
        is_passed_on = _matches(rf"\A{_PASSED_ON}", subject)
        if trust < _DAEMON_WROTE and (is_passed_on or _matches(_QUOTED_HEAD, message.written())):
            return ""
        is_named = _matches(_FAILED, subject) or _matches(_DELAYED, subject)
        if trust and not is_named and _matches(_DELIVERED, subject):
            return "delivered"
        if trust and not is_named and self._holds(_SUCCESS) and not self._holds(_SAYS_FAILED):
            return "delivered"
        hints = is_named + self._holds(_SAYS_FAILED) + self._is_formal(trust)
        if "x-failed-recipients" not in message.fields and hints + trust < _ENOUGH + is_passed_on:
            return ""
        is_late = self._holds(_DELAYED) and not self._holds(_FINAL)
        is_late = is_late and not _matches(_FINAL_REPLY, self.report_text)
        return "delayed" if _matches(_DELAYED, subject) or is_late else "failed"

    def _is_formal(self, trust: int) -> bool:
        return self._holds(_FORM) or (trust > 0 and self.replies() != "")


def bounce_text_of(message: Message) -> BounceText:
    """Divide what was written from what came back with it."""
    written = message.written()
    returned = message.text_of("message/rfc822", "text/rfc822-headers", "message/global")
    cut = re.search(_ORIGINAL, written, re.IGNORECASE | re.MULTILINE)
    if cut and returned is None:
        returned = re.sub(r"^[ >|]+(?=\S)", "", written[cut.start() :], flags=re.MULTILINE)
    head = re.search(_HEAD, returned or "", re.IGNORECASE | re.MULTILINE | re.DOTALL)
    report_text = written[: cut.start()] if cut else written
    if re.search(_HEARD, report_text, re.MULTILINE):
        report_text = re.sub(_GUESSED, "", report_text, flags=re.MULTILINE)
    return BounceText(report_text, fields_of(head[0] if head else ""))


def is_from_server(message: Message) -> bool:
    return _trust(message) == _DAEMON_WROTE


def _trust(message: Message) -> int:
    sender = message.first("from").strip()
    content = message.first("content-type").replace(" ", "").lower()
    if _matches(_DAEMON, sender) or "report-type=delivery-status" in content:
        return _DAEMON_WROTE
    if message.is_of_a_list:
        return -1
    return int(message.has_null_path)


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE | re.MULTILINE) is not None


def _lines_from_reply(block: str) -> Iterator[str]:
    """Yield each answer of a paragraph on one line, with the lines that it was folded over."""
    lines = block.split("\n")
    starts = [number for number, line in enumerate(lines) if re.search(_REPLY, line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield " ".join(line.strip() for line in lines[start : min(end, start + 4)])


RECEIPT: Final = "message/disposition-notification"


_MARKS: Final = frozenset({
    "x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-autoreply-from",
    "x-autoreply-domain", "x-auto-response", "x-mail-autoreply", "x-autogenerated", "x-vacation",
    "x-ms-exchange-inbox-rules-loop", "x-autoresponse",
})  # fmt: skip


_QUIET: Final = frozenset({"x-auto-response-suppress", "x-precedence", "precedence"})


_AWAY = (
    r"(?:(?:i am|i'm|currently) )?out of (?:the |my )?office|auto(?:matic|mated"
    r"|mat)?[ -]?(?:reply|response|antwort|svar"
    r"|respuesta)|automati(?:c|sche|skt?|sch) (?:reply|response|antwoord|antwort|rückmeldung|svar)"
    r"|auto:|(?:on|away on) (?:leave|holiday|vacation|annual leave)|(?:i am|i'm) away|away from"
    r"|vacation|ooo\b|(?:respuesta|contestaci[oó]n|mensaje) autom[aá]tic[ao]|fuera de (?:la |mi )?"
    r"oficina|ausen(?:te|cia)|r[ée]ponse automatique|absen(?:ce|t) (?:du|de)(?: bureau)?|absence\b"
    r"|message (?:automatique|d.absence)|abwesen(?:heit(?:snotiz)?|d)|nicht im (?:büro|haus)"
    r"|risposta automatica|resposta autom[aá]tica|odpowied[zź] automatyczna|trả lời tự động"
    r"|автоответ|автоматический ответ|自动[回答]复|自動(?:回覆|返信|応答|回答)|자동 회신|不在"
    r"|afwezig(?:heid)?|fuori ufficio|fora do escrit[óo]rio|nieobecno[śs][ćc]|poza biurem"
    r"|frånvaro(?:meddelande)?|fravær(?:smelding|sbesked)?|ikke til stede|poissa|부재 ?중"
    r"|(?:меня )?нет в офисе|ofis dışında|otomatik yan[ıi]t|automaattinen vastaus"
    r"|automatikus v[áa]lasz|automatick[áa] odpov[ěe][ďd]|r[ăa]spuns automat|автоматична відповідь"
    r"|αυτόματη απάντηση"
    r"|رد تلقائي|תשובה אוטומטית|ตอบกลับอัตโนมัติ"
)


# Nothing marks it, but it begins with saying what it is.
_SAYS_SO = (
    r"(?:this is an? |i apologize for this )(?:automat(?:ed|ic)|auto-generated)"
    r" (?:e-?mail|message|reply|response)\b|este es un (?:mensaje|correo) automático\b"
)
# Lotus Notes marks nothing but the subject.
_NOTES = r"auto:\s"
_AWAY_IN_WORDS = (
    r"out of (?:the )?office|automated (?:response|reply)|(?:on|away on) (?:leave|holiday|vacation)"
    r"|returning|i (?:am|will be) (?:away|absent|out)|abwesen|automatische antwort|absent"
    r"|fuera de|ausente|no longer (?:works?|with)"
)
# Our message waits for somebody's leave, or for a sign that a person wrote it.
_WAITS = (
    r"(?:message|mail|e-?mail|post|posting|mensagem|mensaje|nachricht)\b.{0,160}?\b(?:held"
    r"|quarantin|waiting|pending|awaits?"
    r"|not (?:yet )?"
    r"(?:been )?deliver|wait-?listed|retid[ao]|retenid[ao]|retenue?|zurückgehalten|placed in"
    r"|will be delivered (?:once|when|as soon)|has(?:n.t| not) been)"
    r"|(?:message|mail|e-?mail)\b.{0,60} requires?\b.{0,60}(?:verif|confirm)"
    r"|protect(?:s|ed|ing)? (?:my|your|him|her|them)sel(?:f|ves) (?:from|against)"
    r"|(?:junk|spam|unsolicited).{0,30}(?:filter|protect|prevent|stop)"
)
_ASKS = (
    r"moderat|approv|(?:confirm|verif)\w* (?:\w+ ){0,4}(?:message|e-?mail|mail|human|person"
    r"|sender|address)"
    r"|(?:verification|confirmation|challenge|authori[sz]ation) (?:required|process|request|link"
    r"|e-?mail)"
    r"|(?:simply |just |please )?(?:reply|respond) to this (?:e-?mail|message|mail|challenge)"
    r"|click .{0,40}(?:link|here|below|button)|follow (?:this|the) link"
)
# A list that does not take our message has not delivered it.
_LIST_REFUSES = (
    r"not (?:allowed|permitted|authori[sz]ed|eligible) to (?:post|send|submit|mail|write)\b"
    r"|only (?:list )?(?:subscribers|members|moderators|owners) (?:may|can|are)\b|members.only"
    r"|(?:rejected|refused|returned|discarded) by (?:the )?(?:list )?(?:moderator|owner|editor)"
    r"|request to (?:the )?mailing list .{0,60} rejected"
    r"|pas autorisée? à (?:écrire|envoyer|diffuser|poster)|nicht berechtigt.{0,60}(?:send|schreib)"
    r"|no (?:est[áa] autorizad[oa]|tiene permiso).{0,20} (?:para|a) (?:enviar|escribir|publicar)"
)
_LISTS_MAIL = (
    r"[-+](?:bounces?|owner|request|admin|moderators?)\b[^@]{0,60}@|\b(?:majordomo?|listserv"
    r"|mailman|sympa"
    r"|ecartis|listproc|owner-[^@]{1,60})@"
)


_LEAVING = (
    r"(?:(?:hi|hello) )?(?:please )?(?:unsubscribe|remove|signoff|sign off|opt.?out)(?: me)?"
    r"(?: from (?:this|the|your) (?:(?:mailing|e-?mail) )?list)?(?: please)?"
    r"(?: (?:thank you|thanks))?|list-unsubscribe|(?:por favor )?(?:baja|dar(?:se"
    r"|me)? de baja|(?:darse|quiero) baja|cancelar(?: la)? suscripci[oó]n"
    r"|desuscribir(?:me)?)(?: por favor)?|d[ée]sinscription|d[ée]sabonner|se d[ée]sinscrire"
    r"|abmelde?n|abmeldung|abbestellen|stop|(?:please )?take me off (?:of )?(?:this|the"
    r"|your) (?:mailing )?list|退订|退訂|取消订阅|配信停止|отписаться"
)


_QUOTING = r".{0,200}(?:wrote|escribió|écrit|schrieb)\s?:|-- ?$|_{5,}|-{5,}|(?:sent from|enviado)\b"


def waits_for_confirmation(message: Message, report_text: str) -> bool:
    """Tell whether our message is held until a moderator, or its sender, says yes."""
    if is_from_server(message):
        return False
    words = " ".join(f"{message.first('subject')} {report_text[:3_000]}".split())
    is_list_owners = _matches(_LISTS_MAIL, message.first("from"))
    if message.is_of_a_list and not is_list_owners:
        return False
    return _matches(_WAITS, words) and _matches(_ASKS, words)


def is_refused_by_list(message: Message, report_text: str) -> bool:
    """Tell whether the program of a mailing list says that it does not take our message."""
    words = " ".join(f"{message.first('subject')} {report_text[:3_000]}".split())
    return _matches(_LISTS_MAIL, message.first("from")) and _matches(_LIST_REFUSES, words)


def is_out_of_office(message: Message) -> bool:
    """Tell whether the subject answers for a person: then no word below it is a bounce."""
    subject = message.first("subject").strip()
    if re.match(_NOTES, subject, re.IGNORECASE):
        return _matches(_AWAY_IN_WORDS, f"{subject}\n{message.written()[:2_000]}")
    return re.match(_AWAY, subject, re.IGNORECASE) is not None and bool(
        message.fields.keys() & _QUIET
        or message.first("auto-submitted")
        or message.has_null_path
        or re.match(rf"(?:{_AWAY})\W{{0,3}}(?:(?:re|aw)?\s?[:：]|$)", subject, re.IGNORECASE)
    )


def is_automatic_reply(message: Message) -> bool:
    """Tell whether a machine answers for a person, or only says that something was shown."""
    submitted = message.first("auto-submitted").lower().partition(";")[0].strip()
    precedence = message.first("precedence").lower().replace("-", "_").strip()
    return not message.is_of_a_list and bool(
        submitted not in {"", "no"}
        or re.match(_SAYS_SO, message.written().lstrip(), re.IGNORECASE)
        or message.fields.keys() & _MARKS
        or precedence == "auto_reply"
        or message.text_of(RECEIPT) is not None
    )


def is_sent_by_machine(message: Message) -> bool:
    """Tell whether no one wished it to be sent: what Apple's button sends is marked as a reply."""
    if message.has_null_path or is_from_server(message) or message.is_of_a_list:
        return True
    is_bulk = message.first("precedence").lower().strip() in {"bulk", "junk", "list"}
    return not _is_apples_button(message) and (is_bulk or is_automatic_reply(message))


def _is_apples_button(message: Message) -> bool:
    return message.first("x-apple-unsubscribe").strip().lower() == "true"


def asks_to_unsubscribe(message: Message, report_text: str) -> bool:
    """Tell whether a mail program asks, or a subject or a body that says nothing else."""
    if _is_apples_button(message):
        return True
    lines = [line for line in report_text.split("\n") if line.strip() and not line.startswith(">")]
    own = takewhile(lambda line: re.match(_QUOTING, line, re.IGNORECASE) is None, lines)
    return _is_wish(message.first("subject")) or _is_wish(" ".join(own))


def _is_wish(text: str) -> bool:
    words = " ".join(re.findall(r"[\w-]+", text[:200].lower()))
    return re.fullmatch(_LEAVING, words) is not None

"""Classify SMTP replies: what one means for the message, its recipient and the queue."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

_ENHANCED = re.compile(r"\W{0,2}([245]\.\d{1,3}\.\d{1,3})(?!\d)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A relay's answer to a verb (or to CONNECT, or DOT, the final one).

    The text often quotes addresses: it is for judging, not for keeping.
    """

    code: int
    text: str
    verb: str

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463), such as "5.1.1", or ""."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else ""


class ReplyClass(Enum):
    """What a reply asks of us."""

    ACCEPTED = "accepted"
    # The recipient cannot have it now: this delivery is tried again later.
    DEFER = "defer"
    # The relay cannot go on now: try later, and count it against nobody.
    HOST = "host"
    # The relay takes no more from us for a while: the queue waits, nobody is suppressed.
    QUOTA = "quota"
    # This message is lost to this recipient, who is not suppressed.
    FAIL = "fail"
    # There is no such address: it is suppressed.
    REFUSED = "refused"
    # The relay or the receiver does not like us or our ways.
    POLICY = "policy"
    # The message is too large or says something unwelcome.
    CONTENT = "content"
    # The relay does not know us: the queue stops until somebody looks.
    CREDENTIALS = "credentials"
    # Our return path or our protocol is wrong: the queue stops until somebody looks.
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """Applies where each of its patterns matches; an empty one always does."""

    verdict: ReplyClass
    code: str = ""
    enhanced: str = ".*"
    verb: str = ".*"
    says: frozenset[str] = frozenset()

    def fits(self, reply: Reply, phrases: frozenset[str]) -> bool:
        """Tell whether the rule is about this reply, whose text holds these phrases."""
        return bool(
            re.match(self.code, str(reply.code))
            and re.fullmatch(self.enhanced, reply.enhanced)
            and re.fullmatch(self.verb, reply.verb)
            and (not self.says or self.says & phrases)
        )


def _matches_phrase(*phrases: str) -> frozenset[str]:
    return frozenset(phrases)


_ILL_REPUTE = _matches_phrase(
    "sender's domain not authenticated", "relaying denied", "spam or reputation"
)


# The first that fits decides. What may be our fault comes before what may be the address's.
RULES: Final = (
    ReplyRule(ReplyClass.QUOTA, "[45]", says=_matches_phrase("sender's limit")),
    ReplyRule(ReplyClass.FAIL, "5", r"5\.2\.2"),
    ReplyRule(ReplyClass.CONTENT, "5", r"5\.2\.3|5\.3\.4"),
    ReplyRule(ReplyClass.HOST, "[45]", says=_matches_phrase("session limit")),
    ReplyRule(ReplyClass.QUOTA, "[45]", r"[45]\.4\.5|5\.1\.90"),
    ReplyRule(ReplyClass.QUOTA, "[45]", says=_matches_phrase("relay limit")),
    ReplyRule(ReplyClass.CREDENTIALS, "53[0458]|52[34]"),
    ReplyRule(ReplyClass.CREDENTIALS, "5", verb="AUTH"),
    ReplyRule(ReplyClass.HOST, verb="CONNECT|EHLO|LHLO|STARTTLS|AUTH|RSET"),
    ReplyRule(ReplyClass.HOST, "421"),
    ReplyRule(ReplyClass.HOST, "4", verb="MAIL"),
    ReplyRule(ReplyClass.DEFER, "4", r"4\.2\.[12]"),
    ReplyRule(ReplyClass.HOST, "4", r"4\.5\.3|4\.7\.(28|5\d\d|6\d\d)"),
    ReplyRule(ReplyClass.DEFER, "4", says=_matches_phrase("greylisted")),
    ReplyRule(ReplyClass.HOST, "4", says=_matches_phrase("slow down", "sending suspended")),
    ReplyRule(ReplyClass.DEFER, "4", says=_matches_phrase("try again later")),
    ReplyRule(ReplyClass.HOST, "4", r"4\.7\.0"),
    ReplyRule(ReplyClass.DEFER, "4"),
    ReplyRule(ReplyClass.SENDER, "5", says=_matches_phrase("sending suspended")),
    ReplyRule(ReplyClass.SENDER, "5", r"5\.7\.(50[123]|64|750)"),
    ReplyRule(ReplyClass.QUOTA, "5", says=_matches_phrase("sending rate")),
    ReplyRule(ReplyClass.QUOTA, "5", r"5\.7\..*", says=_matches_phrase("used-up quota")),
    ReplyRule(ReplyClass.FAIL, "5", says=_matches_phrase("restricted recipient")),
    ReplyRule(ReplyClass.POLICY, "5", says=_matches_phrase("sender's domain not authenticated")),
    ReplyRule(ReplyClass.POLICY, "5", r"5\.7\.9", "RCPT|DATA|DOT"),
    ReplyRule(ReplyClass.CREDENTIALS, "5", r"5\.7\.(3|8|9|10|11|57|139)"),
    ReplyRule(ReplyClass.SENDER, "5", r"5\.1\.[78]|5\.7\.60"),
    ReplyRule(ReplyClass.SENDER, "5", says=_matches_phrase("sender refused")),
    ReplyRule(
        ReplyClass.CREDENTIALS, "5", says=_matches_phrase("authentication", "encryption required")
    ),
    ReplyRule(ReplyClass.CONTENT, "552", says=_matches_phrase("content refused")),
    ReplyRule(ReplyClass.POLICY, "5", says=_ILL_REPUTE),
    ReplyRule(ReplyClass.FAIL, "5", r"5\.(3\.1|7\..*)", says=_matches_phrase("recipient's limit")),
    ReplyRule(ReplyClass.HOST, "5", r"5\.3\.[125]"),
    ReplyRule(ReplyClass.HOST, "5", r"(5\.[03]\.0)?", says=_matches_phrase("relay out of order")),
    ReplyRule(ReplyClass.FAIL, "525"),
    ReplyRule(ReplyClass.FAIL, "5", r"5\.1\.2|5\.2\.1|5\.4\.4|5\.7\.13"),
    ReplyRule(ReplyClass.CONTENT, "5", r"(5\.[67]\..*)?", says=_matches_phrase("content refused")),
    ReplyRule(ReplyClass.CONTENT, "5", r"5\.6\..*"),
    ReplyRule(ReplyClass.POLICY, "5", r"5\.7\..*"),
    ReplyRule(
        ReplyClass.FAIL,
        "5",
        r"(5\.[0125]\.0)?",
        says=_matches_phrase("mailbox full", "account disabled"),
    ),
    ReplyRule(ReplyClass.CONTENT, "5", "", says=_matches_phrase("message too large")),
    ReplyRule(ReplyClass.SENDER, "5", verb="MAIL"),
    ReplyRule(ReplyClass.FAIL, "5", says=_matches_phrase("slow down")),
    ReplyRule(ReplyClass.REFUSED, "5", r"5\.1\.(1|3|6|10|351)"),
    ReplyRule(ReplyClass.FAIL, "5", says=_matches_phrase("domain not found")),
    ReplyRule(
        ReplyClass.REFUSED,
        "5",
        r"(5\.([01235]\.0|4\.1|1\.\d+))?",
        says=_matches_phrase("no such user"),
    ),
    ReplyRule(ReplyClass.FAIL, "55", r"5\.5\.0"),
    ReplyRule(ReplyClass.SENDER, "5", r"5\.5\..*"),
    ReplyRule(ReplyClass.POLICY, "5", "", says=_matches_phrase("policy")),
    ReplyRule(ReplyClass.SENDER, "50[0-4]"),
    ReplyRule(ReplyClass.FAIL, "5"),
    ReplyRule(ReplyClass.HOST),
)


def classify_reply(reply: Reply) -> ReplyClass:
    """Return what the reply asks of us, by its codes, its verb and its words."""
    if 200 <= reply.code < 300:  # noqa: PLR2004 - the class of codes
        return ReplyClass.ACCEPTED
    words = frozenset(match_phrases(reply.text))
    return next(rule.verdict for rule in RULES if rule.fits(reply, words))


def known_phrase(text: str) -> str:
    """Return our name for what the text says, or "": the relay's own words quote addresses."""
    return next(match_phrases(text), "")


# Characters of a text that are searched: what says why stands at its beginning.
MAX_REPLY_CHARACTERS: Final = 2000
_MAILS = r"(e-?mails?|mails|messages|recipients|defers|deliveries)\b"
_PERIOD = r"(second|minute|hour|day|week|month)"
_SESSION = r"(smtp )?(session|connection)\b"
_BOX = r"(mailbox|inbox|mail ?folder)\b"


# What replies say. Which phrase counts first is for the rules, and in this order for a report.
#
# A name says the same as what it stands for: what is kept is judged like what was said.
PHRASES: Final = {
    "session limit": (
        rf"\b(max\w*|number|limit\w*|exceed\w*|many)\b.{{0,30}}\b{_MAILS}.{{0,20}}"
        rf"\b(per|this|one|single|each|every) {_SESSION}"
        r"|too many ((concurrent|simultaneous|open|smtp) )?(connections|sessions)"
        r"|(session|connection)( message| rate)? (rate|limit)"
        rf"|too many recipients(?!.{{0,40}}{_PERIOD})"
    ),
    "sender's limit": (
        r"\bsender('?s)?( \w+){0,3} (over|exceed\w*|reached)\b(?!.{0,25}size).{0,25}(quota|limit)"
        r"|sender's limit"
    ),
    "relay limit": (
        r"relay limit|(daily|hourly|peak|outbound).{0,40}(limit|quota)|messaging limit"
        r"|submissionquota|message quota|maximum sending rate"
        r"|send(ing|er)? (mail |message |rate )?(limit|quota)"
        r"|(you|tenant|customer|your (account|domain|server|ip|plan))\b.{0,20} exceeded.{0,30}"
        r"(limit|threshold|quota)"
        r"|(maximum|out of|not enough|no) credits|(request|recipient) limit exceeded"
        rf"|\b(exceed\w*|too (many|much)|max(imum)?|limit\w*|reached)\b.{{0,40}}\b{_MAILS}.{{0,40}}"
        rf"\b(per|this|last|past|each|every|an?|one|in|within)( \d+)? {_PERIOD}"
        rf"|\b{_MAILS}( sent| allowed)? ?(per|/|an?|each|every) ?{_PERIOD}"
        rf"|exceed\w*.{{0,30}}\b(number|amount|volume) of {_MAILS}"
        rf"|(number|amount|volume) of {_MAILS}.{{0,30}}(exceed|reached)"
    ),
    "sending suspended": (
        r"sending (is |was |has been )?(temporarily )?(suspended|paused|disabled|blocked|denied)"
        r"|(your|sending) (account|domain)\b.{0,40}(suspended|paused|disabled|banned|pending)"
        r"|(domain|account|customer)\b.{0,80}not (allowed|permitted) to send(?! (mail )?to)"
        r"|(suspended|blocked|barred) from sending|tenantattribution"
    ),
    "sender's domain not authenticated": (
        r"dmarc|\bspf\b|dkim|sender id\b|unauthenticated(?! senders? )|\bptr\b|reverse dns"
        r"|invalid dns (mx|record)|authentication level|domain not authenticated"
    ),
    "restricted recipient": (
        r"resolver\.rst|not allowed to send to|only accepts mail from|restricted recipient"
        r"|recipient preference|not (allowed|permitted|authori[sz]ed) to (post|submit|write) to"
        r"|(do(es)? not|do(es)?n.t) (wish|want) to receive|受信拒否"
        r"|only (list )?(subscribers|members|moderators) (may|can|are)\b|members.only list"
    ),
    "sender refused": (
        r"sender( address| domain| verify| verification)? (is |was )?(rejected|refused|denied)"
        r"|sender( address| domain)? (is |was )?(not|invalid|unknown|failed)"
        r"|(bad|invalid|unknown|forged) sender"
        r"|domain of sender|(?<!recipient )(?<!address )verification failed"
        r"|(remitente|exp.diteur|.metteur|absender\w*|mittente)\b.{0,60}(no |non |n.ex|inconn|inval"
        r"|s?cono[sc]|rechaz|refus|rifiut|unbekannt|nicht (bekannt|gefunden)|abgelehnt|existiert)"
        r"|sender verif|sendas|send as this sender|mail ?from.{0,30}(rejected|invalid|not )"
        r"|\b(address|mailbox) (that )?you( are|.re)? (sen[dt]|sending|mailing)( \w+)? from\b"
        r"|\b(in|of) (the )?(from|sender|reply-to)(: | )(header|field|address)|\(sender\)"
        r"|not owned by user|envelope sender|address is not verified|call.?(back|out)\b"
        r"|\b(from|return.?path|reply.?to)['\"]?:? address"
        r"|(отправител|发件人|發件人|寄件者|送信者|差出人|送信元|발신자|보낸 ?사람)"
    ),
    "authentication": (
        r"authentication (is )?(required|failed|unsuccessful|credentials|rejected)|credentials"
        r"|not (logged in|authenticated)|(must|please|first) .{0,12}authenticate|username and pass"
        r"|unauthenticated senders? |authentication$"
    ),
    "encryption required": (
        r"(\b(tls|ssl|starttls|encryption)|(secure|encrypted) (connection|session|channel))\b"
        r"( command)? (is |was )?(required|needed|mandatory|first)\b(?!.{0,30}\b(recipient|but)\b)"
        r"|(must|requires?|need to)( \w+){0,2} (tls|ssl|starttls|encrypted (conn|sess|chan)\w+)\b"
        r"(?!.{0,30}\brecipient\b)|encryption required"
    ),
    "greylisted": r"gr[ae]y.?list",
    "sending rate": (
        r"\brate.?limit|throttl|\b(message|e-?mail|mail|send(ing|er)?|submission) rate"
        r"|unusual (sending|activity|volume)|too (fast|quickly|frequently)"
        r"|too (many|much) (e-?mails?|mails?|messages|traffic)\b(?! data)"
    ),
    "slow down": (
        r"too (many|much|fast)|rate.?limit|throttl|unusual(ly)? (rate|amount|high)|user complaint"
        r"|(connection|message|sending|mail) rate|tss0\d|server (is )?busy|slow down"
    ),
    "try again later": r"(try|retry|come back|attempt).{0,20}(again|later|after|in \d)|deferred",
    "relaying denied": (
        r"relay(ing)? (access )?(is )?(denied|not (permitted|allowed)|prohibited)|rcpthosts"
        r"|(unable|not permitted|not allowed) to relay|does not allow relay"
    ),
    "spam or reputation": (
        r"\bspam|(black|block|deny).?list|\bblocked\b|(?<!not )listed (in|by|at|on)\b|reputation"
        r"|unsolicited|dnsbl|\brbl\b|\bbanned\b|barracuda|proofpoint|cloudmark|spamhaus"
    ),
    "mailbox full": (
        r"(mailbox|mail ?folder|quota|storage|inbox|account).{0,40}(full|exceed|over)"
        r"|over.{0,10}quota"
        r"|out of storage|insufficient (disk|storage)|full mailbox|quota (full|violat)"
        r"|(メール ?ボックス|受信箱|容量|ディスク).{0,30}(超え|超過|一杯|いっぱい|満杯|オーバー"
        r"|不足)"
        r"|(邮箱|郵箱|信箱|空间|空間|容量|配额|配額).{0,12}(满|滿|不足|超[出过過限])"
        r"|ящик.{0,30}(переполнен|заполнен|полон)|превышен\w* (квот|лимит.{0,12}ящик)"
        r"|квота.{0,30}превышен"
        r"|(메일함|사서함|편지함|용량).{0,20}(초과|가득|부족|꽉)"
        r"|(caixa|casella|skrzynk\w|postvak|mailbox)\b.{0,40}(cheia|lotada|piena|pełna|przepełn"
        r"|\bvol\b)"
        r"|box.{0,9}not enough|(buz.n|bo.te|postfach)\b.{0,60}(llen[oa]|plein|pleine|voll)\b"
    ),
    "used-up quota": (
        r"(?<!user )(?<!account )(?<!recipient )(?<!storage )(?<!dis[ck] )quota( \w+){0,2}"
        r" (exceeded|reached)|used-up quota"
    ),
    "recipient's limit": (
        r"(recipient|addressee|user|member)['\u2019]s .{0,30}(quota|limit|full|exceed|space)"
        rf"|(?<!sender )(?<!your )\b{_BOX}(?!.{{0,80}}(sending|\bsend |outbound|relay|daily|hourly"
        rf"|per {_PERIOD})).{{0,40}}(full|over|exceed|quota|space)"
        rf"|(recipient|addressee|user|account|they|{_BOX})\b.{{0,60}}\breceiv(e|es|ed|ing)\b.{{0,40}}"
        r"(limit|rate|quota|too|maximum|minute|hour|day)|receiv(e|ing) (limit|quota|rate)"
        r"|(?<!sending )(?<!send )(?<!relay )(quota|limit|rate|space)\b.{0,30}\b(for|of)"
        rf" (this |the |that )?(recipient\b|addressee\b|{_BOX})"
        r"|too (many|much) (e-?mails?|mails?|messages)( \w+)? (for|to|in|on)( \w+)?"
        rf" (recipient\b|user\b|address\b|{_BOX})"
        rf"|(recipient|user|account|{_BOX}) (has|contains|holds) too (many|much)"
        r"|(disk|storage) space.{0,20} (for|of).{0,9} (user|recipient)\b"
        r"|\b(user|recipient)\b.{0,20}(disk|storage) space"
    ),
    "relay out of order": (
        r"queue file|\bwrite error|\b(no|out of|low on) (free )?disk space\b|\bdisk( is)? full"
        r"|insufficient system (storage|resources)|(local|server|system) config(uration)? error"
        r"|not accepting (network )?(messages|mail)\b|relay out of order"
    ),
    "message too large": (
        r"too (large|big)|\bsize.{0,30}(exceed|limit|larger)|exceed.{0,30}\bsize|larger than"
    ),
    "content refused": (
        r"virus|malware|attachment|content (is )?(re(ject|fus)ed|restric|filter|presents|denied)"
        r"|message content|potential security issue|phish|bad header"
    ),
    "account disabled": (
        r"(account|mailbox|user|recipient|address).{0,40}(disabled|inactive|suspended|deactivated)"
        r"|(account|mailbox).{0,40}(expired|locked|dormant|no longer active)"
        r"|(inactive|deactivated) (user|account|mailbox)"
    ),
    "domain not found": (
        r"(host|domain)( name| mentioned in .{0,20})? (is |was |has )?(not found|unknown|no mx"
        r"|does not exist|not exist)"
        r"|(host|domain).{0,60}(couldn.t be found|lookup)"
        r"|no route (found )?to (the )?domain|域名.{0,10}(不存在|无效|無效|找不到)"
        r"|ドメイン.{0,20}(存在しま|見つかりま)|домен.{0,40}не (существует|найден)"
        r"|null ?mx|(unknown|no such) (host|domain)"
    ),
    "no such user": (
        r"(?<!\bip[ -])(user|mailbox|recipient|rcpt|account|address(ee)?|alias|inbox)(?![a-z])"
        r"(?! (server|host|mta)\b).{0,80}"
        r"(unknown|invalid|not[ _](be )?(found|exist|known|listed|present|recogni[sz]ed|valid)"
        r"|doesn.t exist|no longer (exists|valid|in use))|recipient cannot be verified"
        r"|(users|recipients|addresses) (are|were) (unknown|invalid)"
        r"|(no such|unknown|invalid|unrouteable|non-?existent) (or (unknown|illegal) )?"
        r"((local|virtual|e-?mail) )?(user|mailbox|recipient|account|address|person|alias"
        r"|local.?part|mail drop)|nosuchuser|recipnotfound"
        r"|no (mail ?box|account|user|address|one) (here|available|found|by that|with that|at this)"
        r"|nobody (here )?by that name|(do(es)? not|do(es)?n.t) have (an?|any) (\S{1,40} )?(user"
        r"|mailbox|account)|bad.?(recipient|rcpt)|invalid .{0,20}user ?id|not a( known| valid"
        r"| registered){1,2} (user|recipient|mailbox|address)"
        r"|(?<!\bip[ -])(usu.?rio|destinat.rio|cuenta|direcci.n|utilisateur|destinataire|adresse"
        r"|empf.nger|benutzer|postfach|utente|indirizzo)\b(?! ip\b).{0,60}(descon(oc|hec)id"
        r"|n\w{1,2} existe"
        r"|ine[sx]istente|inexistante?|inconnu|n.existe pas|unbekannt|existiert nicht|sconosciut"
        r"|nicht (bekannt|gefunden)|introuvable"
        r"|non esiste)"
        r"|no existe .{0,12}(usuario|persona|destinatario|cuenta|direcci.n|buz.n)"
        r"|unbekannte[rn]? (empf|benutz|adress)"
        r"|> (could not|can ?not) be (found|identified)"
        r"|(ユーザー?|宛先|アドレス|受信者|メールボックス).{0,30}(存在しま|存在しな|見つかりま"
        r"|不明)"
        r"|(存在しない|無効な|不明な)(ユーザ|宛先|メールアドレス|アドレス|受信者)"
        r"|(用户|用戶|收件人|收信人|邮箱|郵箱|信箱|帐号|账号|帳號|账户|地址).{0,20}(不存在|无效"
        r"|無效|未找到|找不到)"
        r"|(不存在|无效|無效|找不到|没有|沒有|查无|查無)(的|此|该|該)?(用户|用戶|收件人|邮箱|郵箱"
        r"|帐号|账号|地址)"
        r"|(пользовател|адресат|получател|ящик|адрес|учетн\w+ запис)\w*.{0,60}"
        r"(не (существует|найден|зарегистрирован|обнаружен)|неизвест)"
        r"|(неизвестн|несуществующ|недействительн|нет так)\w+ (пользовател|адресат|получател|ящик"
        r"|адрес)"
        r"|(사용자|수신자|받는 ?사람|계정|메일함|주소).{0,20}(존재하지 않|찾을 수 없|없는|없습니다)"
        r"|(존재하지 않는|없는|알 수 없는) (사용자|수신자|계정|메일|주소)"
        r"|(użytkownik|odbiorca|skrzynka|konto|adres)\b.{0,40}(nie istnieje|nieznan)"
        r"|(nieznany|nieprawidłowy) (użytkownik|odbiorca|adres)"
        r"|(gebruiker|ontvanger|adres|mottagare\w*|adressat\w*)\b.{0,40}(onbekend|bestaat niet"
        r"|okänd|finns inte)"
        r"|(onbekende|okänd) (gebruiker|ontvanger|användare|mottagare)"
    ),
    "policy": (
        r"polic(y|ies)|not (permitted|authori[sz]ed)|prohibited|administrative|access denied"
    ),
}


# Words that are about the relay, and about us, only where no recipient's limit is told.
_RELAY_PHRASES: Final = frozenset({
    "session limit", "relay limit", "sending rate", "used-up quota", "relay out of order"
})  # fmt: skip


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Compile them when a first text is to be judged: they take time, and half a megabyte."""
    return {name: re.compile(words, re.IGNORECASE | re.DOTALL) for name, words in PHRASES.items()}


def match_phrases(text: str) -> Iterator[str]:
    """Yield the names of the phrases that the text begins with, in the table's order."""
    beginning = text[:MAX_REPLY_CHARACTERS]
    found = (name for name, words in _patterns().items() if words.search(beginning))
    theirs = _patterns()["recipient's limit"]
    return (name for name in found if name not in _RELAY_PHRASES or not theirs.search(beginning))

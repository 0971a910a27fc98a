"""What relays and receivers say in words, under names of ours: theirs quote addresses."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

MOST_WORDS: Final = 2000
"""Characters of a text that are searched: what says why stands at its beginning."""
_MAILS = r"(e-?mails?|mails|messages|recipients|defers|deliveries)\b"
_PERIOD = r"(second|minute|hour|day|week|month)"
_SESSION = r"(smtp )?(session|connection)\b"
_BOX = r"(mailbox|inbox|mail ?folder)\b"

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
        r"|authentication level|domain not authenticated"
    ),
    "restricted recipient": (
        r"resolver\.rst|not allowed to send to|only accepts mail from|restricted recipient"
        r"|recipient preference"
    ),
    "sender refused": (
        r"sender( address| domain| verify| verification)? (is |was )?(rejected|refused|denied)"
        r"|sender( address| domain)? (is |was )?(not|invalid|unknown|failed)"
        r"|(bad|invalid|unknown|forged) sender"
        r"|domain of sender|(?<!recipient )(?<!address )verification failed"
        r"|(remitente|exp.diteur|.metteur|absender|mittente)\b.{0,60}(no |non |n.ex|inconn|inval"
        r"|rechaz|refus|rifiut|unbekannt|abgelehnt|existiert)"
        r"|sender verif|sendas|send as this sender|mail ?from.{0,30}(rejected|invalid|not )"
        r"|not owned by user|envelope sender|address is not verified|call.?(back|out)\b"
        r"|\b(from|return.?path|reply.?to)['\"]?:? address"
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
        r"|(host|domain).{0,60}(couldn.t be found|lookup)|null ?mx|(unknown|no such) (host|domain)"
    ),
    "no such user": (
        r"(user|mailbox|recipient|rcpt|account|address(ee)?|alias|inbox)(?![a-z]).{0,80}"
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
        r"|(usu.?rio|destinat.rio|cuenta|direcci.n|utilisateur|destinataire|adresse"
        r"|empf.nger|benutzer|postfach|utente|indirizzo)\b.{0,60}(desconocid|n\w{1,2} existe"
        r"|ine[sx]istente|inconnu|n.existe pas|unbekannt|existiert nicht|sconosciut|non esiste)"
        r"|no existe .{0,12}(usuario|persona|destinatario|cuenta|direcci.n|buz.n)"
        r"|unbekannte[rn]? (empf|benutz|adress)"
    ),
    "policy": (
        r"polic(y|ies)|not (permitted|authori[sz]ed)|prohibited|administrative|access denied"
    ),
}
"""What replies say. Which phrase counts first is for the rules, and in this order for a report.

A name says the same as what it stands for: what is kept is judged like what was said."""

_OF_THE_RELAY: Final = frozenset({
    "session limit", "relay limit", "sending rate", "used-up quota", "relay out of order"
})  # fmt: skip
"""Words that are about the relay, and about us, only where no recipient's limit is told."""


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Compile them when a first text is to be judged: they take time, and half a megabyte."""
    return {name: re.compile(words, re.IGNORECASE | re.DOTALL) for name, words in PHRASES.items()}


def said(text: str) -> Iterator[str]:
    """Yield the names of the phrases that the text begins with, in the table's order."""
    beginning = text[:MOST_WORDS]
    found = (name for name, words in _patterns().items() if words.search(beginning))
    theirs = _patterns()["recipient's limit"]
    return (name for name in found if name not in _OF_THE_RELAY or not theirs.search(beginning))

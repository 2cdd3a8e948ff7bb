# ruff: noqa: E501 (patterns are read as one line each)
"""Sentences by what they mean: whom or what they speak of and what they say of it, in any wording.

The phrases in `rules` are what mail systems are known to print; these patterns are what any other would have
to say. They are held against normalised text (see `rulebook.normalised`: single spaces, addresses as `addr`,
no punctuation) after all phrases, in order: the first one decides. `~3` stands for up to three words between.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .verdict import BounceClass as C

# Vocabulary. A mail system's nouns and verbs in the languages in which servers answer.
_VOCABULARY: dict[str, str] = {
    # Who or what was to receive it.
    "WHO": r"(?:users?|user ?names?|user ?ids?|recipients?|rcpt|mail ?box(?:es)?|mail ?folders?|inbox|accounts?|"
    r"address(?:es)?|addressees?|alias(?:es)?|destination|customers?|subscribers?|members?|person|people|employee|"
    r"contact|student|mailname|local ?part|addr|"
    r"destinataires?|utilisateurs?|compte|adresses?|bo[iî]te|abonn[ée]|usuarios?|destinatarios?|buz[oó]n|cuenta|"
    r"direcci[oó]n|casilla|benutzer|empf[aä]nger|postfach|konto|e ?mail ?adresse|teilnehmer|utenti?|casella|"
    r"indirizzo|conta|caixa|endere[cç]o|gebruiker|postvak|skrzynk\w*|u[zż]ytkownik\w*|adres\w*|"
    r"пользовател\w*|адрес\w*|ящик\w*|получател\w*|аккаунт\w*)",
    # It is not there.
    "GONE": r"(?:unknown|unkown|unknow|undefined|unrecogni[sz]ed|unrout\w+|nonexist\w+|non exist\w+|inexist\w+|"
    r"inv[aá]lid\w*|incorrect|erroneous|wrong|deleted|removed|terminated|cancel?led|purged|vacated|discontinued|"
    r"(?:is |was |are |were )?(?:not|never|no longer|cannot be|cant be|could not be|couldnt be|couldn t be) "
    r"(?:currently |be |been |a |an |any |in |on |our |valid |known |local |found |present |"
    r"recogni[sz]ed |to be |here |this |at |active )*"
    r"(?:found|known|exist\w*|present|recogni[sz]ed|located|identified|defined|registered|listed|matched|resolved|"
    r"valid\w*|verified|here|there|local|correct|hosted|served|available|user|recipient|mailbox|account|address|"
    r"customer|subscriber|member|system|server|directory|domain)|"
    r"(?:not|nt|no longer|doesnt|dont|didnt|does not|do not|did not|may not|isnt|wasnt|arent) "
    r"(?:seem to |appear to |actually |currently |longer )*(?:exist\w*|known|valid|found|here|have an? \S+)|"
    r"no existe\w*|no encontrad\w*|no valid\w*|desconocid\w*|desconhecid\w*|n[aã]o (?:existe|encontrad\w+)|"
    r"(?:not|no longer) (?:on file|in use|one of our \w+|assigned|allocated)|nest pas (?:connue?|valide|reconnue?)|"
    r"nicht vergeben|inconnue?s?|nexiste pas|n existe pas|invalide|introuvable|unbekannt|existiert nicht|nicht (?:gefunden|vorhanden|"
    r"bekannt|g[uü]ltig|existent)|ung[uü]ltig\w*|sconosciut\w+|inesistente|non (?:esiste|trovat\w+|valid\w+)|"
    r"onbekend|bestaat niet|nie (?:istnieje|znalezion\w+|ma)|nieznan\w+|neexistuje|"
    r"не (?:существует|найден\w*|зарегистрирован\w*|известен)|неизвест\w+|недействител\w+)",
    # It is there and closed for now.
    "CLOSED": r"(?:disabled|suspended|deactivated|inactive|inactivated|not active\w*|unactivated|locked(?: out)?|frozen|"
    r"dormant|blocked|barred|expired|parked|hibernat\w+|over ?due|unpaid|restricted|"
    r"desactiv\w+|d[ée]sactiv\w+|suspendid\w+|suspendue?|bloqu\w+|gesperrt|deaktiviert|stillgelegt|inaktiv|"
    r"sospes\w+|disattivat\w+|disabilitat\w+|desativad\w+|suspens\w+|zablokowan\w+|nieaktywn\w+|"
    r"заблокирован\w*|отключ[её]н\w*|неактив\w+)",
    # Our side: machine, network, name.
    "OURS": r"(?:ips?|ip address\w*|ipv[46]|host|hosts|hostname|server|servers|client|network|netblock|subnet|"
    r"domain|mta|relay|connection|connections|isp|provider|smtp server|mail server|system|you|your \S+|adresse ip)",
    "SENDER": r"(?:senders?|sending|originator|sender address|envelope from|envelope sender|mail from|mailfrom|"
    r"from address|from domain|from header|from field|return path|reverse path|reply to|"
    r"exp[ée]diteur|absender\w*|remitente|mittente|remetente|отправител\w+)",
    "REFUSED": r"(?:reject\w*|refus\w*|den(?:ied|y)|block\w*|bann?ed|disallow\w*|forbidden|prohibited|"
    r"not (?:be )?(?:allowed|permitted|accepted|authori[sz]ed|welcome|trusted|wanted)|unacceptable|unauthori[sz]ed|"
    r"declin\w*|discard\w*|dropped|bounced|rejet\w+|abgelehnt|abgewiesen|rechazad\w+|rifiutat\w+|recusad\w+|"
    r"отклонен\w*|запрещ\w+)",
    "LIST": r"(?:black ?list\w*|block ?list\w*|deny ?list\w*|dnsbl?s?|rbl|rbls|dbl|zen|bl|access list|"
    r"(?:black|block|deny|grey|rep\w*) ?lists?|sbl|xbl|pbl|cbl|spamhaus\S*|spamcop\S*|sorbs\S*|barracuda\S*|surriel)",
    "MESSAGE": r"(?:messages?|mails?|e ?mails?|emails?|letter|content|contents|body|attachments?|data|text|subject|"
    r"nachricht|mensaje|messaggio|mensagem|courriel|сообщени\w+|письм\w+)",
    "FULL": r"(?:full|exceed\w*|over ?quota|over ?limit|overdrawn|over its limit|exhausted|reached (?:its|the|his|their|max\w*|limit|quota|capacity)|used up|no space|"
    r"(?:insufficient|not (?:have )?enough|out of|no more|lacks?) (?:disk |storage )?(?:space|storage|disk|quota|room)|overflow\w*|pleine?|d[ée]pass[ée]\w*|voll|[uü]berschritten|[uü]berf[uü]llt|"
    r"llen[oa]|excedid\w+|superad\w+|pien[oa]|esaurit\w+|chei[oa]|excedeu|vol|pe[lł]n\w*|przepe[lł]nion\w*|"
    r"переполнен\w*|превышен\w*|заполнен\w*)",
    "STORE": r"(?:mail ?box\w*|in ?box|mail ?folder|mail ?drop|mail ?dir|account|user|recipient|quota|storage|disk|disc|"
    r"space|maildir|mbox|cuota|buz[oó]n|bo[iî]te|postfach|speicher\w*|casella|caixa|skrzynk\w+|ящик\w*|квот\w*)",
    "AGAIN": r"(?:try(?:ing)? again|retry\w*|retries|later|temporar\w*|transient\w*|momentar\w*|deferr?\w*|"
    r"sp[aä]ter|plus tard|m[aá]s tarde|pi[uù] tardi|mais tarde|p[oó][zź]niej|позже|временн\w*)",
}


class Meaning(NamedTuple):
    """One pattern by its readable name; `hard` where it differs from the class's own."""

    name: str
    cls: C
    pattern: str
    hard: bool | None = None
    firm: bool = False


def _meaning(cls: C, text: str, hard: bool | None = None) -> Meaning:
    pattern = re.sub(r"~(\d)", r"(?:\\S+ ){0,\1}", text)
    pattern = re.sub(r"\b[A-Z]{3,}\b", lambda m: _VOCABULARY[m[0]], pattern)
    return Meaning(f"{cls}: {text}", cls, " " + pattern, hard)


# A reporter that looked into its own directory: proof, whatever the stage.
_DIRECTORY = (
    r"(?:not|nt|no) ~1(?:listed|found|contained|unique|match\w*) ~2in ~4(?:directory|address book|domino)",
    r"(?:recipient|user) name ~2(?:not|nt) ~1recogni[sz]ed",
)

# RFC 7505 and its like: the name exists and declares that it takes no mail. Hard, although not "missing".
_MAIL_LESS = (
    r"(?:host|domain|hostname|site)\S* ~3(?:does not|doesnt|do not|dont|never|not) (?:accept|receive|handle|want)\w* ~2(?:e ?mail|mail|messages)(?! from)",
    r"null ?mx",
    r"(?:find|found|have|has) ~2(?:mail exchanger|mx record|mail exchange)",
)

_TABLE: tuple[tuple[C, tuple[str, ...]], ...] = (
    # Programs behind a mailbox: what follows is their output.
    (
        C.OTHER,
        (
            r"(?:mailer|procmail|maildrop|dropmail|formail|vacation|pipe|program) ~2(?:error|failed|returned|exit\w*|couldnt)",
            r"on hold\b",
            r"malformed address ~4may not follow",
        ),
    ),
    # A sentence that gives spam as the reason, whatever it advises next.
    (
        C.SPAM_CONTENT,
        (
            r"(?:rejected|refused|blocked|classified|identified|detected|flagged|marked|considered|looks|recogni[sz]ed|"
            r"scored|tagged|suspected|determined) ~3(?:as|due to|because of|for|like|to be|of being) ~2(?:spam|junk|ube|uce|unsolicited|bulk)\b",
        ),
    ),
    # A quota of what we may send.
    (C.BLOCKED_REPUTATION, (r"(?:relay|sending|outbound|outgoing|sender|submission)\w* ~1quota",)),
    # Google and others refuse kinds of attachments as a matter of policy.
    (
        C.BLOCKED_REPUTATION,
        (
            r"(?:presents|poses) ~1potential",
            r"(?:potential|potentially) ~3(?:security|unsafe|dangerous|harmful) ~1(?:issue|risk|threat|content)",
        ),
    ),
    # A loop counts headers; a system that takes nothing at all says nothing of us.
    (
        C.TEMPORARY,
        (r"too many ~1(?:received|hops)\b", r"(?:system|server) not accepting ~1(?:network|mail|messages)\b"),
    ),
    # How much, how often, how many at once: time will help.
    (
        C.RATE_LIMITED,
        (
            r"gr[ea]y ?list",
            r"too (?:many|much) ~4(?:connect|session|recipient|messages\b|mails?\b|emails?\b|errors?\b|request|commands?\b|"
            r"attempt|invalid|unknown|bad|concurrent|simultaneous|hits|volume|traffic|rcpt|deliver|senders)",
            r"(?:exceed\w*|over|above|reached|hit|maximum|max|limit\w*) ~6(?:per (?:hour|day|minute|second|session|connection|"
            r"message|ip|host)|rate|connections?|frequency|recipients|sessions|throughput|traffic|hourly|daily)\b",
            r"(?:rate|frequency|connections?|sessions|throughput|volume|hourly|daily|speed|bandwidth|traffic) ~3"
            r"(?:limit\w*|exceed\w*|control\w*|restrict\w*|throttl\w*|quota)",
            r"(?:rate|frequency|volume|speed|traffic) ~3too\b",
            r"too high ~2(?:rate|volume|frequency)",
            r"(?:sen[dt]|sending|deliver\w*|connect\w*|submit\w*|coming|arriv\w*) ~4too (?:many|much|fast|frequent|quick|often|rapid)",
            r"(?:throttl|slow(?:ing)? (?:it )?down|back(?:ing)? off|tarpit)",
            r"unusual ~2(?:rate|volume|amount|traffic)",
        ),
    ),
    # The letter breaks the form of RFC 5322: ours to mend, and no matter of authentication.
    (
        C.BLOCKED_REPUTATION,
        (
            r"(?:duplicate|multiple|missing|malformed|invalid|bad|illegal|more than one|non compliant|empty|repeated|"
            r"unparseable|improper\w*) ~3headers?\b",
            r"headers? ~3(?:missing|malformed|duplicate\w*|invalid|not valid|error|required|illegal|repeated)",
            r"rfc ?\d{3,4} ~4(?:complian|conform|violat|non|not|format|header)",
            r"(?:not|non|violat\w*|against|conform\w*|comply|compliant) ~5rfc ?(?:822|2822|5321|5322)",
        ),
    ),
    # Who we say that we are, and cannot prove.
    (
        C.BLOCKED_AUTH,
        (
            r"(?:spf|dkim|dmarc|domainkeys?|sender ?id|sender policy framework)\b ~8(?:fail\w*|reject\w*|polic\w*|invalid|none|"
            r"not|error|denied|permit\w*|softfail|unauthori[sz]ed|block\w*|align\w*|check\w*|pass|missing|quarantine|no\b)",
            r"(?:fail\w*|reject\w*|polic\w*|invalid|violat\w*|without|missing|lack\w*|due to|according to|denied by|by) ~6"
            r"(?:spf|dkim|dmarc|domainkeys?|sender ?id)\b",
            r"(?:reverse|rdns|ptr|fcrdns|in addr.arpa|(?:your|client|sending|remote) (?:hostname|host name)|ip name|rev dns)\b ~7(?:fail\w*|not|no\b|"
            r"invalid|missing|mismatch\w*|match\w*|lookup\w*|resol\w*|record|required|dns|entry|exist|absent|generic|forged|"
            r"cannot|could|must|doesnt|does|unknown|denied)",
            r"(?:no|not|missing|without|invalid|lack\w*|bad|wrong|fix|check|find|require\w*|have|has|unresolv\w*|valid|"
            r"unverif\w*) ~5(?:reverse|rdns|ptr|fcrdns|in addr.arpa|rev dns)\b",
            r"(?:helo|ehlo)\b ~6(?:invalid|not|reject\w*|mismatch\w*|match\w*|resol\w*|fail\w*|must|bad|forged|fake|fqdn|"
            r"spoof\w*|verif\w*|unknown|argument|denied)",
            r"(?:invalid|bad|forged|fake|wrong|reject\w*|your|mismatched|unresolvable) ~3(?:helo|ehlo)\b",
            r"(?:domain|ip|client|host|sender) ~3(?:mismatch\w*|does not match|doesnt match|unverif\w+) ~4(?:ip|client|dns|host|domain|addr\w*)",
            r"unverif\w+ ~2(?:sending|sender) ~1(?:ips?|hosts?|servers?)",
            r"(?:ip|client|your) ~1(?:name |address )?lookup ~2fail",
            r"(?:unauthenticated|authenticat\w+) ~3(?:sender|source|mail|email|message|domain|information|checks?|results?) ~6"
            r"(?:fail\w*|not|required|reject\w*|block\w*|missing)",
        ),
    ),
    # Who is not logged in may not send here at all.
    (
        C.RELAY_OR_SECURITY,
        (
            r"certificate ~2(?:not|invalid|expired|untrusted|unverif\w*|verif\w*|fail\w*)",
            r"unauthenticated ~2(?:senders?|users?|clients?|relay\w*|sessions?|connections?)",
            r"insecure ~2relay",
        ),
    ),
    # Lists and standing of our machines, network or domain.
    (
        C.BLOCKED_REPUTATION,
        (
            r"LIST\b",
            r"reputation",
            r"(?:open|anonymous|unsecured?) ~1(?:relay\b|prox)",
            r"(?:dynamic|dial ?up|residential|dsl|cable|broadband|generic) ~3(?:ips?|address\w*|hosts?|pool|range|network|client|hostname|users?|rdns)\b",
            r"(?:use|through|via|contact|from) ~5(?:your|own) ~2(?:isp|provider|internet service|service provider|email provider|mail server)",
            r"(?:smtp|mail|mx) (?:server|relay|host|gateway) ~2(?:of|at) your (?:isp|provider)",
            r"(?:your|sending|source|from|votre) ~2domain\b ~8(?:REFUSED|banned|listed|bad|poor|spam\w*|abus\w*|suspicious|untrusted)",
            r"your address ~4(?:REFUSED)",
            r"(?:your|this|sending|source|client|remote|connecting|from|ce|votre) ~2(?:ips?|ip address\w*|host|server|network|"
            r"netblock|range|subnet|client|mta)\b ~8(?:REFUSED|banned|listed|bad|poor|spam\w*|abus\w*|suspicious|"
            r"untrusted|malicious|compromised)",
            r"(?:ip|ip address|host|server|network|client)\b ~4(?:REFUSED|banned|listed)",
            r"(?:REFUSED|banned|invalid) ~4(?:ips?|ip address|your ip|your server|your network|your host|your domain|connecting)\b",
            r"(?:not accept\w*|no) ~2(?:connections?|mail|email|messages?|smtp) ~2(?:from|by) ~3(?:you|your|this|ips?|host|server|network|"
            r"system|client|addr|isp|range|hosts)",
            r"not accepting ~2connections",
            r"(?:no|not) access ~2(?:from|for) ~3(?:mail|server|host|ip|network|client|you)",
            r"(?:connection|connections|connect) ~3REFUSED ~4(?:polic\w*|your|list|abuse|spam|from)",
            r"(?:polic(?:y|ies)|r[èe]gles?|richtlinie\w*|pol[ií]tica\w*|politik\w*|polityk\w*|политик\w*)\b ~4(?:reason\w*|violat\w*|"
            r"reject\w*|restrict\w*|block\w*|refus\w*|den\w+|prohibit\w*|not)",
            r"(?:due to|because of|for|by|against|violat\w*|local|security|site|administrative|mail|email|company|content|our|"
            r"server) ~3polic(?:y|ies)\b",
            r"(?:administrat\w+|manual\w*) ~2(?:REFUSED|prohibit\w*)",
            r"(?:spam|abuse|abusive|complaint\w*|spamming|spammers?|uce|ube) ~5(?:from|source|sender|origin\w*|network|your|ip|host|server)\b",
            r"(?:history|reports?|source|sender|lots|amount|sending|sent|transmi\w+|reputation|because|due) ~4(?:of |for |to )?"
            r"(?:abuse|spamming|complaints?)",
        ),
    ),
    # It is our own address that they do not take.
    (
        C.BLOCKED_REPUTATION,
        (
            r"SENDER\b ~4(?:REFUSED|GONE|verif\w*|call ?out|callback|unresolv\w*|misconfigured|bad|spoof\w*|forged|must|fake|domain)",
            r"(?:REFUSED|GONE|bad|verif\w*|check|validate|spoof\w*|forged|purported|fake) ~3(?:sender|senders|originator|envelope sender|"
            r"from address|from domain|from header|return path|mail from|responsible)\b",
            r"(?:you|sender|senders?|poster) ~4(?:not|nt|arent|isnt|no) ~3(?:member|subscribe\w*|allowed|authori[sz]ed to (?:send|post)|permitted)",
            r"(?:only|restricted to|limited to|members?) ~4(?:members|subscribers|posts?|list owners?|moderators)\b",
            r"(?:members|subscribers) only\b",
            r"(?:permission|right|privilege)s? ~2to (?:post|send ~3(?:list|group))",
            r"(?:null|empty|blank) ~2(?:sender|from|return path|reverse path|envelope)",
        ),
    ),
    # Full.
    (
        C.MAILBOX_FULL,
        (
            r"STORE\b ~5FULL\b",
            r"(?:FULL|over|low on|run out of|beyond|exceeds?) ~4(?:quota|storage|disk|space|mail ?box\w*|in ?box|capacity|cuota)\b",
            r"no ~2(?:space|room|storage|quota)\b",
            r"(?:space|storage|quota) ~2not enough\b",
            r"quota\b ~3(?:exceed|over|full|limit|reach|violat|error|check|used)",
            r"(?:too (?:many|much)) ~3(?:in|on) ~2(?:mail ?box|inbox|server|account)",
        ),
    ),
    # Too large.
    (
        C.TOO_BIG,
        (
            r"(?:MESSAGE|headers?|size|line|file)\b ~5(?:too (?:large|big|great)|larger|bigger|oversize\w*)",
            r"(?:lines?|headers?|subject) ~2too long",
            r"(?:too (?:large|big)|larger|bigger|oversize\w*) ~4(?:MESSAGE|size|limit|file|system|maximum)\b",
            r"(?:MESSAGE|size|length) ~6(?:exceed\w*|over|above|greater|beyond) ~6(?:size|limit|maximum|length|allowed|bytes|kb|mb|max\w*)\b",
            r"(?:size|length) ~4(?:limit\w*|exceed\w*|restrict\w*|not allowed|maximum)",
            r"(?:maximum|max|exceed\w*|limit) ~4(?:size|length)\b",
        ),
    ),
    # What the letter holds.
    (
        C.SPAM_CONTENT,
        (
            r"(?:virus\w*|malware|trojan|worms?|infected|phish\w*|ransomware|spyware|malicious ~2(?:code|content|link|url|attachment))\b",
            r"(?:MESSAGE|it|this|body|score|url|link|pattern|fingerprint)\b ~6(?:spam\w*|junk|unsolicited|ube|uce|bulk|advert\w*)\b",
            r"(?:spam|junk|unsolicited|ube|uce|bulk|spammy|advert\w*)\b ~4(?:MESSAGE|content|detect\w*|filter\w*|score|classif\w*|"
            r"reject\w*|suspect\w*|found|threshold|level|like|probab\w*|check|test|pattern|rule|engine|block\w*|mail)",
            r"(?:MESSAGE) ~2contents? ~3REFUSED",
            r"(?:contents?|attachments?|file type|extension|subject|html|url|link|words?|macro)\b ~4(?:REFUSED|filter\w*|banned|block\w*|unacceptable|detected|dangerous|"
            r"not (?:allowed|acceptable|permitted))",
            r"(?:REFUSED|banned|dangerous|illegal|suspicious|objectionable|inappropriate|unsafe) ~3(?:contents?|attachments?|file|extension|words?|language|url|link)\b",
            r"(?:spam|spamassassin|rspamd|bogofilter)\b",
        ),
    ),
    # Ways that are not there at the moment.
    (
        C.TEMPORARY,
        (
            r"(?:find|found|no) ~2(?:gateway|route)\b",
            r"not found ~1try again",
            r"host ?name lookup (?:fail\w*|error|timeout|problem)",
        ),
    ),
    # The domain has no place in the DNS.
    (
        C.DOMAIN_MISSING,
        (
            r"(?:domains?|dominio|dom[ií]nio|domaine|dom[aä]ne|домен|hosts?|hostname|domain ?name|host ?name|destination|site|mx|mail exchanger|mail ?server|zone)\b ~5"
            r"(?:unknown|invalid|nxdomain|nonexist\w*|non exist\w*|not (?:be )?(?:found|exist\w*|resolv\w*|known|registered|valid|"
            r"located)|"
            r"(?:does not|doesnt|dont|may not|do not|no longer) (?:exist|resolve)|"
            r"(?:has no|doesnt have|does not have) ~2(?:mx|dns|a record|address|mail exch\w+|mail server|mail host)|no such|inexist\w*|"
            r"no (?:data|mx|a record|dns)|inconnue?|nexiste|n existe|unbekannt|existiert nicht|no existe|non esiste|expired)",
            r"(?:unknown|invalid|illegal|no such|nonexist\w*|non exist\w*|bad|unresolv\w*|unrout\w*|undefined|missing|inexist\w*) ~3"
            r"(?:mail |e ?mail |destination |recipient |remote |target )*(?:domains?|hosts?|hostname|host|site|mx|mail exchanger|destination system|fqdn|tld)\b",
            r"no ~3(?:mx|mail exchangers?|mail servers?|dns|a|aaaa|address) (?:records?|hosts?|servers?|entr\w+|found)",
            r"nxdomain",
            r"domain ~3(?:not reachable|unreachable)\b",
            r"no ~1(?:hosts?|domain|site|mail exchangers?) ~1(?:found|known|exists?)\b",
            r"(?:find|locate|look up) ~3(?:domain|host)\b",
        ),
    ),
    # Of the one who receives, or of his filter: he does not want it.
    (
        C.FILTERED,
        (
            r"(?:users?|recipients?|addressees?|subscribers?|customers?|owner|mailbox owner|destinataire|empf[aä]nger|destinatario)"
            r"(?! (?:server|domain|system|host|mail|network|address)) ~5"
            r"(?:refus\w+|declin\w+|has chosen|opted out|unsubscrib\w+|blocks?\b|blocked (?:you|your|mail|the|this|messages|sender|addr)|"
            r"(?:does|do|did|is|has|are) ?n[o']?t ~2(?:want|wish|accept\w*|allow\w*|receiv\w*)|doesnt ~2(?:want|accept|allow|wish)|"
            r"only accepts?|rejects?\b|rejected (?:your|the|this|mail))",
            r"(?:REFUSED|filter\w*) (?:by|per|from|at) ~3(?:user|recipient|addressee|subscriber|customer|owner|mailbox|destinataire|personal|request of)\b",
            r"(?:suppress\w+|do not (?:mail|contact|send)|opt ?out|unsubscrib\w*) ~1(?:list|recipient|address)?",
            r"(?:personal|private|user|recipients?|individual|mailbox) ~2(?:filter|block ?list|black ?list|white ?list|safe ?list|rules?|preferences)\b",
            r"(?:white ?list|safe ?list|allow ?list|approved senders) ~3(?:only|of the (?:recipient|user))",
            r"(?:mail|e ?mail|message) ~2filtered",
            r"(?:users?|recipients?|his|her|their|personal) ~4(?:ignore|blocked senders?) ~1list\b",
            r"(?:has|have) you ~4(?:ignore|block\w*) ~1list\b",
            r"preferences of ~2(?:person|recipient|user|addressee)\b",
        ),
    ),
    # Closed for now.
    (
        C.MAILBOX_DISABLED,
        (
            r"WHO\b ~4CLOSED\b",
            r"(?:disabled|suspended|inactive|deactivated|dormant|locked|frozen|expired) ~2(?:users?|recipients?|mail ?box\w*|accounts?|"
            r"address|e ?mail|customers?|domain)\b",
            r"(?:domain|service) ~3(?:suspended|disabled|expired|deactivated|on hold)",
            r"(?:in ?activity|non ?payment|not (?:been )?(?:used|logged|accessed)|nonuse)",
        ),
    ),
    # Whom we may use as a relay, as whom, and how safely.
    (
        C.RELAY_OR_SECURITY,
        (
            r"(?:relay\w*|forwarding|third party)\b ~4(?:REFUSED|not|no|must|prohibit\w*|attempt\w*|disabled|access|restrict\w*|mail)",
            r"(?:no|not|nt|cannot|cant|wont|REFUSED|unable to|prohibited|do not|never|insecure|illegal|unauthori[sz]ed) ~4relay",
            r"(?:start ?tls|tls|ssl|encrypt\w*|certificate|cipher|dane|mta sts|handshake)\b ~6(?:require\w*|not|no|fail\w*|error|must|need\w*|"
            r"invalid|expired|unsupported|support|negotiat\w*|mandatory|unavailable|verif\w*|mismatch|first)",
            r"(?:require\w*|not|no|fail\w*|must|need\w*|invalid|without|support|unable|issue) ~5(?:start ?tls|tls|ssl|encrypt\w*|certificate)\b",
            r"(?:smtp )?(?:auth|authentication|authenticat\w*|authoris\w+|authoriz\w+|log ?in|credentials?|password)\b ~4(?:require\w*|need\w*|"
            r"fail\w*|invalid|first|mandatory|denied|incorrect|not|reject\w*|error|enabled)",
            r"without ~1(?:logging|log ?in)\b",
            r"(?:not|must|need to|require\w*|please|without|un|unable to|fail\w* to) ~3(?:authenticat\w*|authori[sz]\w*|log ?in)\b",
            r"(?:permission|access|delivery|operation|mail|authorization)s? ~2(?:denied|not (?:allowed|permitted|authori[sz]ed)|prohibited|forbidden|restricted|required)",
            r"(?:not|isnt|is not|nt|not allowed) ~5(?:rcpthosts|relay domains|local domains?|our domains?|hosted ~2here)\b",
            r"(?:does not|doesnt|do not|dont|not|no) ~2(?:accept\w*|handle|receive|serve|host|process|service) ~2(?:e ?mail|mail|messages?|smtp)\b",
            r"security ~3(?:error|problem|violat\w*|polic\w*|restrict\w*|issue|reason\w*)",
            r"(?:insufficient|no|lack\w*) ~2(?:permission|privilege|rights?|access)",
        ),
    ),
    # Nobody of that name.
    (
        C.NO_SUCH_USER,
        (
            r"WHO\b ~4GONE",
            r"(?:no|not a|not an|isnt a|not any|no such|no valid|no known|no local|without) ~3(?:users?|recipients?|mail ?box\w*|accounts?|"
            r"address\w*|alias|person|body|one|customer|subscriber|employee|rcpt|member|entry|record) ~3(?:here|by|with|found|at|named|of|"
            r"called|known|exist\w*|in|on|for|match\w*|specified|this|that|under|addr|associated)?\b",
            r"(?:unknown|unkown|invalid|nonexist\w*|non exist\w*|bad|illegal|unrecogni[sz]ed|incorrect|wrong|undeliverable|unrout\w+|"
            r"unverified|undefined|erroneous|obsolete|deleted|inexist\w*|unbekannt\w*|ung[uü]ltig\w*|desconocid\w+) ~2WHO\b",
            r"(?:cant|cannot|couldnt|could not|unable to|not able to|failed to|did not|didnt) ~2(?:find|locate|identify|recogni[sz]e|resolve|"
            r"verify|match|look ?up) ~4WHO\b",
            r"WHO\b ~3(?:verification|lookup|look up|validation|check) ~2(?:fail\w*|unsuccessful|negative|error)",
            r"(?:nobody|no one|noone|none) ~4(?:here|by that|name\w*|of that|at this|such)",
            r"(?:directory|ldap|database|address book|user list|domino) ~4(?:not|no) ~2(?:match|entry|found|contain)",
            r"(?:not|nt) ~2(?:listed|found|in|present|contained) ~3(?:directory|address book|database|list|ldap|domino|gal|names)",
            r"(?:mailbox|address|recipient|user|account)s? ~2(?:undeliverable|misspelled|mistyped|typo|misspelt)",
            r"(?:check|verify|confirm) ~3(?:spelling|recipient|address|typos?)",
        ),
    ),
    # Ways, machines and time.
    (
        C.TEMPORARY,
        (
            r"(?:connect\w*|session|conversation|link|socket|channel|greeting|banner|read|write|open|command|response|dns|lookup|network) ~4(?:timed? ?out|timeout|fail\w*|refus\w*|reset|lost|closed|broke\w*|"
            r"error|dropped|died|terminated|abort\w*|unreachable|expired)",
            r"(?:no|without|lost|unable|cannot|cant|could not|couldnt|failed|failure|wasnt able) ~4(?:connect\w*|route|response|answer|reach|contact|session|reply|establish)\b",
            r"(?:host|server|network|destination|machine|node|gateway|mx) ~4(?:down|unreachable|not (?:respond\w*|answer\w*|reachable|available)|busy|offline|unavailable)",
            r"(?:time ?out|timed ?out|timeout|expired|expir\w+)",
            r"(?:loop|loops|looping|hops?|hop count|received headers?)\b",
            r"(?:giv(?:e|ing) up|gave up|abandon\w*|retries|too long|too old|max\w* ~2(?:retry|retries|attempts|lifetime|age))",
            r"(?:deliver\w*|send|attempts?|tr(?:y|ied)) ~4(?:after|for|within|during|failed) ~2\d* ?(?:hours?|days?|minutes?|times?|attempts?|retries|seconds?)\b",
            r"(?:memory|disk|resources?|system|server|local|internal|software|configuration|database|ldap|processing|backend|storage|directory) ~3"
            r"(?:error|fail\w*|problem|exception|unavailable|trouble|fault|insufficient|out|down|full|crash\w*|malfunction)",
            r"(?:insufficient|not enough|out of|lack of|low) ~2(?:system |disk |server )*(?:memory|resources?|storage|disk)",
            r"(?:transient|temporary|temporarily) ~2(?:error|fail\w*|problem|condition|unavailable|rejected|deferred|unable)",
            r"(?:maintenance|overload\w*|shutting down|load average|too busy|system busy|server busy)",
            r"(?:name ?server|dns|mx|name service|resolver|lookup|nameservers?) ~5(?:error|fail\w*|problem|timeout|refus\w*|unavailable|no response|trouble)",
            r"service ~3(?:unavailable|not available|temporar\w*)",
        ),
    ),
    # The protocol itself.
    (
        C.OTHER,
        (
            r"(?:syntax|command|parameters?|argument|sequence|protocol)\b ~4(?:error|unrecogni[sz]ed|not (?:implemented|recogni[sz]ed|supported|allowed|understood)|"
            r"invalid|unknown|bad|out of|wrong|violation|improper|incorrect)",
            r"(?:bad|improper|incorrect|wrong|invalid|unrecogni[sz]ed|unimplemented|out of|unknown|malformed|illegal) ~2(?:syntax|command|sequence|parameter|argument|order)\b",
        ),
    ),
)

MEANINGS: tuple[Meaning, ...] = (
    *(_meaning(C.NO_SUCH_USER, text)._replace(firm=True) for text in _DIRECTORY),
    *(_meaning(C.RELAY_OR_SECURITY, text, hard=True) for text in _MAIL_LESS),
    *(_meaning(cls, text) for cls, texts in _TABLE for text in texts),
)

# Clauses between a noun and what is said of it, and what merely introduces an answer.
_CLAUSE = re.compile(
    r" (?:that |which |whom |who )?(?:you|we) (?:are |were |have |tried |trying |attempted |attempting |want(?:ed)? )*"
    r"(?:to )?(?:reach|contact|send|sent|enter|entered|specif\w+|writ\w+|deliver\w*|email|mail|e mail)(?: (?:to|for|in))?(?= )"
    r"| recipient address rejected(?= \S+ \S)"
    r"| (?:host|server|mx|to|from) [\w-]+(?:\.[\w-]+)+(?: \d+\.\d+\.\d+\.\d+(?: said| responded| replied)?| said| responded| replied)(?= )"
)


def core(words: str) -> str:
    """A normalised text without the clauses that stand between a noun and what is said of it."""
    return _CLAUSE.sub("", words.replace("/", " "))

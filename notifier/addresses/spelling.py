"""What a mistyped domain was probably meant to be. Pure; knows domains, asks nobody.

Edit distance alone would turn proton.me and hey.com into others. So a domain is respelled only when it is
on the list of known misspellings (most of those are registered by others, and take the mail), or when the
caller has learnt that it takes no mail. A domain in GENUINE is never respelled, whatever DNS says today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rapidfuzz.distance import OSA

from notifier.addresses.mailboxes import DISPOSABLE


def _name(domain: str) -> str:
    return domain.partition(".")[0]


WELL_KNOWN: Final = (
    *("gmail.com", "yahoo.com", "hotmail.com", "outlook.com", "icloud.com", "aol.com", "comcast.net"),
    *("live.com", "msn.com", "me.com", "att.net", "sbcglobal.net", "verizon.net", "bellsouth.net"),
    *("cox.net", "charter.net", "spectrum.net", "earthlink.net", "centurylink.net", "frontier.com"),
    *("googlemail.com", "ymail.com", "rocketmail.com", "mac.com", "protonmail.com", "proton.me"),
    *("fastmail.com", "hey.com", "gmx.com", "gmx.net", "gmx.de", "web.de", "t-online.de", "mail.com"),
    *("windstream.net", "optonline.net", "roadrunner.com", "juno.com", "netzero.net", "suddenlink.net"),
    *("centurytel.net", "mediacombb.net", "embarqmail.com", "q.com", "tds.net", "shaw.ca", "rogers.com"),
    *("bell.net", "sympatico.ca", "telus.net", "videotron.ca", "yahoo.ca", "hotmail.ca", "live.ca"),
    *("yahoo.co.uk", "hotmail.co.uk", "live.co.uk", "outlook.co.uk", "btinternet.com", "sky.com"),
    *("virginmedia.com", "talktalk.net", "yahoo.fr", "hotmail.fr", "live.fr", "outlook.fr", "orange.fr"),
    *("wanadoo.fr", "free.fr", "laposte.net", "sfr.fr", "yahoo.es", "hotmail.es", "outlook.es"),
    *("telefonica.net", "yahoo.com.mx", "hotmail.com.mx", "outlook.com.mx", "prodigy.net.mx"),
    *("yahoo.de", "hotmail.de", "outlook.de", "freenet.de", "yahoo.it", "hotmail.it", "libero.it"),
    *("yahoo.com.br", "outlook.com.br", "uol.com.br", "bol.com.br", "terra.com.br", "ig.com.br"),
    *("yahoo.com.ar", "outlook.com.ar", "yahoo.com.au", "hotmail.com.au", "outlook.com.au"),
    *("bigpond.com", "optusnet.com.au", "yahoo.co.in", "rediffmail.com", "yahoo.co.jp", "qq.com"),
)
"""Where people have their mailboxes, the most common first: what a slip may have been meant to be."""

_ALSO_GENUINE: Final = (
    *(
        "mail.de",
        "cloud.com",
        "email.com",
        "email.de",
        "inbox.com",
        "usa.com",
        "usa.net",
        "post.com",
        "zoho.com",
    ),
    *("zohomail.com", "tutanota.com", "tutamail.com", "tuta.io", "tuta.com", "pm.me", "protonmail.ch"),
    *("fastmail.fm", "hushmail.com", "posteo.de", "posteo.net", "mailbox.org", "runbox.com", "duck.com"),
    *("privaterelay.appleid.com", "icloud.com.cn", "mail.ru", "yandex.ru", "yandex.com", "ya.ru"),
    *("bk.ru", "list.ru", "inbox.ru", "rambler.ru", "163.com", "126.com", "sina.com", "sohu.com"),
    *("naver.com", "hanmail.net", "daum.net", "docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp"),
    *("gmx.at", "gmx.ch", "gmx.fr", "gmx.es", "gmx.us", "gmx.co.uk", "gmx.org", "bluewin.ch", "aon.at"),
    *("live.de", "live.nl", "live.be", "live.it", "live.se", "live.dk", "live.no", "live.ie", "live.cn"),
    *("live.com.au", "live.com.mx", "live.com.ar", "live.com.pt", "live.co.za", "live.jp", "live.in"),
    *("hotmail.be", "hotmail.nl", "hotmail.se", "hotmail.dk", "hotmail.no", "hotmail.ch", "hotmail.gr"),
    *("hotmail.com.br", "hotmail.com.ar", "hotmail.co.nz", "hotmail.co.jp", "hotmail.co.th"),
    *("outlook.ie", "outlook.pt", "outlook.it", "outlook.be", "outlook.dk", "outlook.jp", "outlook.in"),
    *("outlook.at", "outlook.cl", "outlook.cz", "outlook.kr", "outlook.sa", "outlook.ph", "outlook.sg"),
    *("yahoo.in", "yahoo.ie", "yahoo.be", "yahoo.nl", "yahoo.at", "yahoo.se", "yahoo.dk", "yahoo.no"),
    *("yahoo.gr", "yahoo.ro", "yahoo.pl", "yahoo.com.sg", "yahoo.com.hk", "yahoo.com.tw", "yahoo.com.ph"),
    *("yahoo.com.vn", "yahoo.co.nz", "yahoo.co.za", "yahoo.co.id", "yahoo.co.th", "yahoo.co.kr"),
    *("yahoo.com.co", "yahoo.com.pe", "yahoo.cl", "yahoo.com.tr", "yahoo.cn", "yahoo.com.cn"),
    *("myyahoo.com", "aim.com", "aol.co.uk", "aol.de", "aol.fr", "netscape.net", "compuserve.com"),
    *("love.com", "games.com", "wow.com", "cs.com", "excite.com", "lycos.com", "netscape.com"),
    *("ameritech.net", "flash.net", "pacbell.net", "prodigy.net", "snet.net", "swbell.net", "nvbell.net"),
    *("wans.net", "currently.com", "twc.com", "brighthouse.com", "insightbb.com", "cableone.net"),
    *("sparklight.com", "rcn.com", "wowway.com", "wavecable.com", "bendbroadband.com", "hughes.net"),
    *("mindspring.com", "peoplepc.com", "qwest.net", "qwestoffice.net", "gci.net", "gvtc.com"),
    *("epix.net", "ptd.net", "atlanticbb.net", "zoominternet.net", "armstrong.net", "metrocast.net"),
    *("cablevision.net", "optimum.net", "ntlworld.com", "blueyonder.co.uk", "tiscali.co.uk"),
    *("btopenworld.com", "plus.net", "plus.com", "talk21.com", "o2.co.uk", "eircom.net", "iol.ie"),
    *("neuf.fr", "bbox.fr", "aliceadsl.fr", "club-internet.fr", "numericable.fr", "cegetel.net"),
    *("alice.it", "tin.it", "tiscali.it", "virgilio.it", "fastwebnet.it", "tim.it", "inwind.it"),
    *("arcor.de", "vodafone.de", "onlinehome.de", "1und1.de", "ziggo.nl", "kpnmail.nl", "planet.nl"),
    *("home.nl", "xs4all.nl", "telenet.be", "skynet.be", "proximus.be", "telia.com", "online.no"),
    *("wp.pl", "onet.pl", "o2.pl", "interia.pl", "seznam.cz", "centrum.cz", "abv.bg", "ukr.net"),
    *("sapo.pt", "terra.es", "movistar.es", "ono.com", "telcel.com", "infinitum.com.mx", "live.com.pe"),
    *("globo.com", "globomail.com", "r7.com", "oi.com.br", "xtra.co.nz", "iinet.net.au", "tpg.com.au"),
    *("internode.on.net", "westnet.com.au", "sasktel.net", "mts.net", "eastlink.ca", "cogeco.ca"),
    *("cogeco.net", "nexicom.net", "bellaliant.net", "aliant.net", "xplornet.com", "distributel.net"),
    *("mailfence.com", "disroot.org", "riseup.net", "cock.li", "startmail.com", "countermail.com"),
)
GENUINE: Final = frozenset((*WELL_KNOWN, *_ALSO_GENUINE))
"""Domains in real use for mail, never to be respelled."""

_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "gmail.com": (
        *("gmial.com", "gamil.com", "gmai.com", "gmal.com", "gmil.com", "gmaill.com", "gnail.com"),
        *("gmali.com", "gmaul.com", "gmsil.com", "gimail.com", "gmaik.com", "gmaiol.com", "gmaol.com"),
        *("gmailc.com", "gmaail.com", "gmaiil.com", "gmmail.com", "ggmail.com", "gmjail.com"),
        *("gmqil.com", "gmzil.com", "gjmail.com", "gmeil.com", "gmaile.com"),
        *("gmailcom.com", "gamail.com", "gmaila.com", "gmakl.com", "gmajl.com", "gmaip.com", "g-mail.com"),
        *("gmail.con", "gmail.co", "gmail.cm", "gmail.om", "gmail.comm", "gmail.cpm", "gmail.vom"),
        *("gmail.ocm", "gmail.cmo", "gmail.xom", "gmail.coml", "gmail.come", "gmail.coom", "gmail.net"),
        *("gmail.org", "g.mail.com", "gmail.com.com", "gmal.con", "gmial.con"),
    ),
    "hotmail.com": (
        *("hotmial.com", "hotmal.com", "hotmai.com", "hotmil.com", "hotnail.com", "hotmaill.com"),
        *("homail.com", "hormail.com", "hotamil.com", "hotmaul.com", "hotmsil.com", "hotmaik.com"),
        *("hotmali.com", "htomail.com", "hoitmail.com", "hotmaio.com", "hotmeil.com"),
        *("hotmail.con", "hotmail.co", "hotmail.cm", "hotmail.om", "hotmail.comm", "hotmail.net"),
    ),
    "outlook.com": (
        *("outlok.com", "outloo.com", "outlool.com", "outllok.com", "oulook.com", "outook.com"),
        *("otlook.com", "outllook.com", "outlooc.com", "outloook.com", "putlook.com"),
        *("outlook.con", "outlook.co", "outlook.cm", "outlook.om", "outlook.comm"),
    ),
    "yahoo.com": (
        *("yaho.com", "yahooo.com", "yhaoo.com", "yhoo.com", "yahho.com", "yaoo.com", "yahou.com"),
        *("yahpo.com", "tahoo.com", "uahoo.com", "yahoi.com", "yaahoo.com", "yayoo.com"),
        *("yahoo.con", "yahoo.co", "yahoo.cm", "yahoo.om", "yahoo.comm", "yahoo.net", "ayhoo.com"),
    ),
    "icloud.com": (
        *("iclod.com", "icoud.com", "iclould.com", "icluod.com", "iclous.com", "icliud.com", "iclpud.com"),
        *("icloud.con", "icloud.co", "icloud.cm", "icloud.om", "icloud.comm", "icould.com"),
    ),
    "aol.com": ("aol.con", "aol.cm", "aoll.com", "aol.om", "aol.comm", "ao.com.com", "aol.net"),
    "comcast.net": (
        *("comcast.com.net", "comcat.net", "comcast.ent", "concast.net", "comcast.con", "comast.net"),
        *("comcst.net", "comcas.net", "comcaast.net", "comcast.ney", "comcast.nte", "comcaste.net"),
    ),
    "live.com": ("live.con", "live.cm", "live.om", "live.comm"),
    "msn.com": ("msn.con", "msn.cm", "msn.om", "msn.comm"),
    "sbcglobal.net": (
        *("sbcgloble.net", "sbcglobel.net", "sbcgobal.net", "sbglobal.net", "sbcglobal.com", "sbcglobal.ney"),
    ),
    "verizon.net": ("verison.net", "verzion.net", "verizion.net", "verizonn.net", "verizon.ent"),
    "bellsouth.net": ("belsouth.net", "bellsoth.net", "bellsouth.ent", "bellsouth.com.net"),
    "att.net": ("att.ent", "att.ney", "att.nte", "attt.net", "at.tnet"),
    "charter.net": ("chater.net", "charter.ent", "charrter.net"),
    "earthlink.net": ("earthlnk.net", "eathlink.net", "earthlink.com.net"),
    "protonmail.com": ("protonmial.com", "protonmal.com", "protonmail.con", "protonmai.com"),
    "proton.me": ("protn.me", "proton.mee"),
    "gmx.de": ("gmx.dee",),
}
KNOWN_TYPOS: Final[Mapping[str, str]] = {typo: meant for meant, typos in _SPELLINGS.items() for typo in typos}
"""Misspelling -> what is meant. A misspelling here may resolve, and take mail that is not its own."""

_ENDINGS: Final[Mapping[str, str]] = {
    slip: tld
    for tld, slips in {
        "com": ("con", "cmo", "ocm", "vom", "xom", "cpm", "cim", "coml", "comm", "comn", "come", "ccom"),
        "net": ("ner", "nte", "ent", "ney", "nett", "nrt", "nwt"),
        "org": ("orgg", "ogr", "rog", "prg", "orh", "orf"),
        "edu": ("eud", "edi", "edy", "wdu"),
        "gov": ("giv", "gpv"),
    }.items()
    for slip in slips
} | {"coom": "com", "cxom": "com", "copm": "com", "ocom": "com", "dom": "com", "c0m": "com", "kom": "com"}
"""Ends of names that are no top-level domain (IANA's list) -> what the finger was on its way to."""
_BARE: Final = {
    **{known.replace(".", ""): known for known in reversed(WELL_KNOWN) if known.count(".") == 1},
    **{known.partition(".")[0]: known for known in ("gmail.com", "yahoo.com", "hotmail.com", "outlook.com")},
    **{known.partition(".")[0]: known for known in ("icloud.com", "comcast.net", "sbcglobal.net")},
    "aol": "aol.com",
    "gmailco": "gmail.com",
    "gmailc": "gmail.com",
    "gmial": "gmail.com",
}
"""A well-known domain that lost its dot, or its end -> the domain."""
_OF_NAME: Final = {
    **{_name(known): known for known in reversed(WELL_KNOWN[:7])},
    **{name: f"{name}.net" for name in ("sbcglobal", "verizon", "bellsouth", "earthlink", "centurylink")},
    "protonmail": "protonmail.com",
}
"""Names that are an operator's under whatever end: `gmail.in` takes no mail and is meant as gmail.com."""
_SHORT: Final = 4
"""Names of at most so many letters are one letter from too many others: their ends alone are respelled."""


def respelled(domain: str, *, takes_mail: bool | None) -> str | None:
    """What was probably meant by `domain`, in lower case; None: nothing better is known.

    `takes_mail` False lets guesses in; True or None (DNS did not answer) leaves the known misspellings.
    """
    if domain in GENUINE or domain in DISPOSABLE:
        return None
    return KNOWN_TYPOS.get(domain) or (nearest(domain) if takes_mail is False else None)


def is_well_known(domain: str) -> bool:
    return domain in GENUINE


def undotted(domain: str) -> str | None:
    """`gmailcom` and `gmail` -> gmail.com: a name without a dot that can only be one of the well-known."""
    return _BARE.get(domain)


def nearest(domain: str) -> str | None:
    """The domain that this one is a slip of the finger away from; None when none is, or several are.

    It may be a domain that nobody knows, where only the end was mistyped (`cedar.con`): whether that one
    takes mail is for the caller to ask.
    """
    if domain in GENUINE:
        return None
    if (meant := _near(domain)) is not None:
        return meant
    for meant in (_without_more(domain), _OF_NAME.get(_name(domain)), _other_end(domain)):
        if meant is not None:
            return KNOWN_TYPOS.get(meant) or (meant if meant in GENUINE else _near(meant) or meant)
    return None


def _without_more(domain: str) -> str | None:
    """`www.cedar.com` -> cedar.com, `gmail.com.us` -> gmail.com."""
    if domain.startswith("www."):
        return domain.removeprefix("www.")
    return max((known for known in WELL_KNOWN if domain.startswith(f"{known}.")), key=len, default=None)


def _other_end(domain: str) -> str | None:
    name, _, end = domain.rpartition(".")
    meant = _ENDINGS.get(end)
    return f"{name}.{meant}" if name and meant else None


def _near(domain: str) -> str | None:
    """One edit away from a well-known one, two where it is long enough; a transposition is one edit."""
    close: list[tuple[int, int, str]] = []
    for rank, known in enumerate(WELL_KNOWN):
        distance = OSA.distance(domain, known, score_cutoff=2)
        if distance == 1 or (distance == 2 and len(known) >= 9 and _begins_alike(domain, known)):
            close.append((distance, rank, known))
    close = [entry for entry in close if _believable(domain, entry[2])]
    if not close:
        return None
    best = min(close)[0]
    candidates = [known for distance, _, known in close if distance == best]
    names = {_name(known) for known in candidates}
    # `yahoo.cz` may be any of yahoo's: of one name the most common end counts. Of two names neither, unless
    # one has most of all mailboxes and the others few: `fmail.com` is rather gmail.com than ymail.com.
    alone = candidates[0] in WELL_KNOWN[:4] and not set(candidates[1:]) & set(WELL_KNOWN[:8])
    return candidates[0] if len(names) == 1 or alone else None


def _begins_alike(domain: str, known: str) -> bool:
    """Two slips seldom hit the first letter; `00gmail.com` has something before the name."""
    return domain[0] == known[0] or (domain.endswith(known) and not domain[: -len(known)].isalpha())


def _believable(domain: str, known: str) -> bool:
    """`aol.co` is aol.com; `apl.com` is somebody else's."""
    return len(_name(known)) > _SHORT or _name(domain) == _name(known)

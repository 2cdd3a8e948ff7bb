"""Who runs a domain's mail, by the name of its MX host: people know Google, not host names. Pure.

The table is by suffix, from what each operator documents as its MX or as the servers to allow, and from the
names under which their servers answer. What is not in it is called by its organisation's domain.
"""

from __future__ import annotations

from collections.abc import Iterable

from notifier.oncall import organisation

OPERATORS: dict[str, tuple[str, ...]] = {
    # support.google.com/a/answer/174125: smtp.google.com, before 2023 aspmx.l.google.com
    "Google": ("google.com", "googlemail.com", "gmail.com"),
    # learn.microsoft.com, exchange/mail-flow-best-practices: DOMAIN.mail.protection.outlook.com, mx.microsoft
    "Microsoft": (
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "mx.microsoft",
        "office365.us",
    ),
    # senders.yahooinc.com; AOL and Verizon's mailboxes are Yahoo's since 2017
    "Yahoo": ("yahoodns.net", "yahoo.com", "ymail.com", "aol.com", "verizon.net", "rocketmail.com"),
    "Apple iCloud": ("icloud.com", "me.com", "mac.com", "apple.com"),
    "Comcast": ("comcast.net", "xfinity.com"),
    "Charter Spectrum": (
        "charter.net",
        "charter.com",
        "rr.com",
        "twc.com",
        "spectrum.net",
        "brighthouse.com",
    ),
    "Cox": ("cox.net", "cox.com"),
    # AT&T's mailboxes answer by prodigy.net
    "AT&T": ("att.net", "sbcglobal.net", "bellsouth.net", "prodigy.net", "pacbell.net", "ameritech.net"),
    "CenturyLink": ("centurylink.net", "centurylink.com", "embarqmail.com", "q.com"),
    "Frontier": ("frontier.com", "frontiernet.net"),
    "Windstream": ("windstream.net",),
    "Cable One Sparklight": ("cableone.net",),
    "Mediacom": ("mchsi.com",),
    "Optimum": ("optonline.net", "optimum.net", "suddenlink.net"),
    "EarthLink": ("earthlink.net", "mindspring.com"),
    "Bell Canada": ("bell.net", "bellnet.ca", "sympatico.ca"),
    "Rogers": ("rogers.com",),
    "Telus": ("telus.net",),
    "Shaw": ("shaw.ca",),
    "Telmex": ("telmex.com", "prodigy.net.mx"),
    "GMX and WEB.DE": ("gmx.net", "gmx.com", "gmx.de", "web.de", "mail.com"),
    "IONOS": ("ionos.com", "ionos.de", "ionos.co.uk", "kundenserver.de", "1and1.com", "perfora.net"),
    "Deutsche Telekom": ("t-online.de",),
    "Orange": ("orange.fr", "wanadoo.fr"),
    "Free": ("free.fr",),
    "Mail.ru": ("mail.ru",),
    "Yandex": ("yandex.ru", "yandex.net", "yandex.com"),
    "Proton": ("protonmail.ch", "proton.me", "protonmail.com"),
    "Fastmail": ("messagingengine.com", "fastmail.com"),
    "Zoho": ("zoho.com", "zoho.eu", "zoho.in", "zohomail.com"),
    "GoDaddy": ("secureserver.net",),
    "Namecheap": ("privateemail.com", "registrar-servers.com"),
    "Rackspace": ("emailsrvr.com",),
    "OVHcloud": ("ovh.net", "ovh.com", "ovh.ca"),
    "Gandi": ("gandi.net",),
    "Hostinger": ("hostinger.com", "titan.email"),
    "Bluehost": ("bluehost.com", "unifiedlayer.com"),
    "DreamHost": ("dreamhost.com",),
    "Amazon SES": ("amazonaws.com", "amazonses.com", "awsapps.com"),
    "Cloudflare": ("mx.cloudflare.net",),
    # filters that stand before somebody's own servers
    "Proofpoint": ("pphosted.com", "ppe-hosted.com", "gpphosted.com", "proofpoint.com"),
    "Mimecast": ("mimecast.com", "mimecast.co.za", "mimecast-offshore.com"),
    "Barracuda": ("barracudanetworks.com", "barracuda.com"),
    "Cisco": ("iphmx.com", "ironport.com"),
    "Broadcom Symantec": ("messagelabs.com",),
    "Trend Micro": ("trendmicro.com", "trendmicro.eu"),
    "Sophos": ("sophos.com", "reflexion.net"),
    "Forcepoint": ("mailcontrol.com",),
    "Trellix": ("mxlogic.net", "fireeyecloud.com"),
    "AppRiver Zix": ("arsmtp.com", "zixmail.net", "zixcorp.com"),
    "SpamExperts": ("antispamcloud.com", "spamexperts.com"),
    "MailChannels": ("mailchannels.net",),
    "Hornetsecurity": ("hornetsecurity.com", "antispameurope.com"),
    "Spamhero": ("spamhero.com",),
}
_BY_SUFFIX = {suffix: name for name, suffixes in OPERATORS.items() for suffix in suffixes}


def operator_of(host: str) -> str:
    """`cust-com.mail.protection.outlook.com` -> `Microsoft`; an unknown host by its organisation's domain."""
    plain = host.strip().rstrip(".").casefold()
    labels = plain.split(".")
    for start in range(len(labels)):
        name = _BY_SUFFIX.get(".".join(labels[start:]))
        if name is not None:
            return name
    return organisation(plain)


def operator_of_domain(domain: str, mx_hosts: Iterable[str]) -> str:
    """By the most preferred MX; a domain without one, or whose MX are its own, by its own name."""
    first = next(iter(mx_hosts), "")
    return operator_of(first or domain)

"""Tokens that one operator or product documents: they decide before any sentence is read.

Found in the lower-case text as it stands; ` & ` asks for both. Each comment names the page or the product.
"""

from __future__ import annotations

from ..verdict import BounceClass as C
from .rule import Rule

PROVIDER: tuple[Rule, ...] = (
    # Google: `p=` of the help link names the reason (Google Workspace Admin help, SMTP errors).
    Rule(C.NO_SUCH_USER, ("?p=nosuchuser",)),
    Rule(C.MAILBOX_DISABLED, ("?p=disableduser", "?p=inactiveuser")),
    Rule(C.MAILBOX_FULL, ("?p=overquota",)),
    Rule(
        C.RATE_LIMITED,
        ("?p=receivingrate", "?p=unsolicitedratelimit", "?p=floodprotection", "?p=unauthratelimit"),
    ),
    Rule(
        C.BLOCKED_AUTH,
        ("?p=ipv6authenticationerror", "?p=unauthenticatedmail", "answer/81126#authentication"),
    ),
    Rule(C.BLOCKED_AUTH, ("?p=sendersoftfail", "?p=dmarcpolicy")),
    Rule(
        C.BLOCKED_REPUTATION,
        ("?p=unsolicitedipreputation", "?p=unsolicitedmessageerror", "?p=blockedmessage"),
    ),
    # Outlook.com consumer postmaster page: SC block, DY dynamic, OU open relay, RP rate; S31x0 lists.
    Rule(
        C.BLOCKED_REPUTATION,
        ("(sc-00", "(dy-00", "(ou-00", "s3140)", "s3150)", "s3140]", "s3150]", "as(42004)"),
    ),
    Rule(C.RATE_LIMITED, ("(rp-00",)),
    # Exchange and Microsoft 365: resolver, queue and store tokens (NDR reference).
    Rule(
        C.NO_SUCH_USER,
        ("recipnotfound", "recipientnotfound", "resolver.adr.invalidinsmtp", "resolver.adr.badprimary"),
    ),
    Rule(C.MAILBOX_FULL, ("quotaexceededexception", "storedrv.deliver; mailbox full", "quotaexceeded.mapi")),
    Rule(C.TOO_BIG, ("recipsizelimit", "sendsizelimit", "sizelimit.exceeded", "messagesizelimit")),
    Rule(
        C.RELAY_OR_SECURITY,
        (
            "resolver.rst.authrequired",
            "resolver.rst.notauthorized",
            "resolver.rst.senderneedsauth",
            "resolver.rst.sendernotauthenticated",
            "resolver.rst.dlneedsauth",
            "resolver.rst.restrictedtorecipients",
            "tenantattribution",
            "tenantinboundattribution",
        ),
    ),
    Rule(C.RATE_LIMITED, ("recipientthrottl", "submissionquotaexceeded", "recipientratelimit")),
    # Cox, Charter/Spectrum: AUP#..., the tail names the reason; 13xx-16xx are connection and rate limits.
    Rule(C.RATE_LIMITED, ("aup#cxconn", "aup#cxcnct", "aup#cnct", "aup#cxmxrt", "aup#cxsmtp", "aup#limit")),
    Rule(
        C.RATE_LIMITED,
        ("aup#in-13", "aup#in-14", "aup#in-15", "aup#i-13", "aup#i-14", "aup#i-15", "aup#13", "aup#15"),
    ),
    Rule(C.BLOCKED_AUTH, ("aup#spf", "aup#dmarc", "aup#dkim", "aup#dns", "aup#cxdns")),
    Rule(C.BLOCKED_REPUTATION, ("aup#",)),
    # AOL/Yahoo (senders.yahooinc.com): bracketed codes; TSS/TS are deferrals of a sender's reputation.
    Rule(C.BLOCKED_REPUTATION, ("(rly:", "(dyn:", "(con:", "(hvu:", "[ph01]", "[bl21]", "[bl23]")),
    Rule(C.BLOCKED_AUTH, ("(rtr:", "(dns:")),
    Rule(C.BLOCKED_REPUTATION, ("[tss", "[ts0", "[ipts0")),
    Rule(C.RATE_LIMITED, ("[gl01]",)),
    # Orange/Wanadoo (OFR) and La Poste (LPN): the number is the reason (postmaster.orange.fr).
    Rule(C.RATE_LIMITED, ("ofr & _104", "lpn & _104", "ofr_104", "trop de connexions")),
    Rule(
        C.BLOCKED_AUTH,
        ("ofr & _517", "lpn & _517", "ofr & _710", "ofr & _720", "lpn & _710", "lpn & _720", "ofr & _516"),
    ),
    Rule(
        C.BLOCKED_REPUTATION,
        tuple(
            f"{system} & _{number}"
            for system in ("ofr", "lpn")
            for number in (
                "101",
                "102",
                "103",
                "105",
                "106",
                "107",
                "108",
                "109",
                "201",
                "202",
                "203",
                "305",
                "401",
                "402",
                "403",
                "405",
                "510",
                "511",
                "512",
                "513",
                "514",
                "515",
                "519",
                "521",
                "630",
                "999",
            )
        ),
    ),
    Rule(C.MAILBOX_FULL, ("ofr & _417", "lpn & _417")),
    Rule(C.SPAM_CONTENT, ("ofr & _506", "lpn & _506")),
    Rule(C.NO_SUCH_USER, ("_416 [416]", "_416", "_550 [550]")),
    Rule(C.MAILBOX_FULL, ("_417 [417]", "ofr_417", "ofr0417")),
    Rule(C.SPAM_CONTENT, ("ofr_506", "ofr006_506", "lpn007_506")),
    Rule(C.TEMPORARY, ("_501 [501]", "_502 [502]", "_503 [503]", "_504 [504]", "_505 [505]")),
    Rule(C.BLOCKED_REPUTATION, ("ofr_999", "ofr_108", "lpn006_10", "ofr006_10", "ofr004_10")),
    # Apple iCloud Mail: an address that was given up; CS content and policy, HM sender reputation.
    Rule(C.NO_SUCH_USER, (">: inactive email address", "this address no longer accepts mail")),
    Rule(C.BLOCKED_REPUTATION, ("[cs01]", "[cs02]", "[hm0", "[hme1]")),
    # Tencent/QQ and NetEase (163, 126): their help pages name these tokens.
    Rule(C.RATE_LIMITED, ("mi:con", "mi:ims", "mi:imf", "mi:tma", "mi:nrc", "mt:gry")),
    Rule(C.BLOCKED_AUTH, ("mi:spf", "mi:dmc", "mi:dkm")),
    Rule(C.SPAM_CONTENT, ("dt:spm", "dt:sum", "hl:itc", "hl:icc", "hl:vrs")),
    Rule(C.BLOCKED_REPUTATION, ("dt:blk", "mi:blk", "hl:ifc", "hl:mep", "hl:ihc", "im:xz", "rp:")),
    # Google Groups answers in the sender's language; the help address is the same in all of them.
    Rule(C.BLOCKED_REPUTATION, ("groups.google.com/support",)),
    # KDDI, docomo, SoftBank: the phone carriers' own receiving filters.
    # au (KDDI) answers the content of an unwanted mail with an empty address before the words.
    Rule(C.FILTERED, ("550 : user unknown", "550: : user unknown")),
    # and with the address at RCPT.
    Rule(C.NO_SUCH_USER, ("@ezweb.ne.jp>: user unknown", "@au.com>: user unknown", ".au.com>: user unknown")),
    # In their own lines.
    Rule(C.NO_SUCH_USER, ("unknown user: ", "user is terminated: not local sender")),  # IMail, Mail.Ru
    # Exchange's store is busy with this mailbox; Barracuda's service hides the recipient's own list.
    Rule(C.RATE_LIMITED, ("recipient thread limit",)),
    Rule(C.BLOCKED_REPUTATION, ("permanent failure for one or more recipients & :blocked)",)),
    # Google, by the help page of the reason.
    Rule(C.TOO_BIG, ("?p=maxsizeerror",)),
    Rule(
        C.RELAY_OR_SECURITY,
        ("?p=relaydenied", "?p=tlsrequired", "?p=notauthorizederror", "?p=wantauthentication"),
    ),
    Rule(C.BLOCKED_REPUTATION, ("?p=rfcmessagenoncompliant", "?p=policyviolation")),
    # Facebook (postmaster.facebook.com/response_codes): the family of the code names the reason.
    Rule(C.MAILBOX_FULL, ("postmaster.facebook.com & rcp-p4",)),
    Rule(C.FILTERED, ("postmaster.facebook.com & rcp-p2", "postmaster.facebook.com & rcp-p3")),
    Rule(C.TEMPORARY, ("postmaster.facebook.com & rcp-t", "postmaster.facebook.com & int-")),
    Rule(C.RATE_LIMITED, ("postmaster.facebook.com & con-t", "postmaster.facebook.com & rct-")),
    Rule(C.BLOCKED_AUTH, ("postmaster.facebook.com & dns-",)),
    Rule(C.BLOCKED_REPUTATION, ("postmaster.facebook.com & pol-", "postmaster.facebook.com & msg-")),
    # AOL before Yahoo's systems.
    Rule(
        C.BLOCKED_REPUTATION, ("aol will not accept delivery of this message", "postmaster.aol.com & conb1")
    ),
)

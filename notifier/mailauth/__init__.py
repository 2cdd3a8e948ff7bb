"""Mail authentication as receivers see it: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989), without I/O.

`lookup` (the live resolver) is imported separately: nothing here reaches for the network.
"""

from notifier.mailauth.answers import Answer, LookAheadResolver, Lookup, Question, Resolver, Status
from notifier.mailauth.dkim_record import DkimRecordCheck, DkimState, PublicKey, check_dkim_record
from notifier.mailauth.dmarc import Aligned, DmarcCheck, DmarcResult, Identifier, check_dmarc
from notifier.mailauth.dmarc_lint import lint_dmarc
from notifier.mailauth.dmarc_record import Mode, Policy
from notifier.mailauth.dmarc_report import DmarcMistake, DmarcProblem, DmarcReport
from notifier.mailauth.identity import (
    EgressSpf,
    SenderFacts,
    SendingIdentity,
    SigningKey,
    Standing,
    sending_identity,
)
from notifier.mailauth.lint import lint_spf, lint_steps
from notifier.mailauth.report import (
    Mistake,
    Required,
    Severity,
    SpfNode,
    SpfProblem,
    SpfReport,
    txt_strings,
)
from notifier.mailauth.result import SpfCheck, SpfResult, TermOutcome, TermTrace
from notifier.mailauth.spf import check_host
from notifier.mailauth.zone import OverlayResolver, StaticResolver, Zone

__all__ = [
    "Aligned",
    "Answer",
    "DkimRecordCheck",
    "DkimState",
    "DmarcCheck",
    "DmarcMistake",
    "DmarcProblem",
    "DmarcReport",
    "DmarcResult",
    "EgressSpf",
    "Identifier",
    "LookAheadResolver",
    "Lookup",
    "Mistake",
    "Mode",
    "OverlayResolver",
    "Policy",
    "PublicKey",
    "Question",
    "Required",
    "Resolver",
    "SenderFacts",
    "SendingIdentity",
    "Severity",
    "SigningKey",
    "SpfCheck",
    "SpfNode",
    "SpfProblem",
    "SpfReport",
    "SpfResult",
    "Standing",
    "StaticResolver",
    "Status",
    "TermOutcome",
    "TermTrace",
    "Zone",
    "check_dkim_record",
    "check_dmarc",
    "check_host",
    "lint_dmarc",
    "lint_spf",
    "lint_steps",
    "sending_identity",
    "txt_strings",
]

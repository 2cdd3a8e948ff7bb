"""The mail world: the product's relays, the recipients' servers behind them, inboxes, bounces.

Listeners: the relays "visp" and "remote" (a 250 means handed to the relay; refusals come back as DSNs about a
second later), and "mx", the recipients' own servers for direct delivery (refusals are said in the dialogue).

POST /sandbox/mail/behaviour takes one of three bodies; a body with only the name resets.
  {address | domain, ...}: an address goes before its domain
    reply         refusal such as "550 5.1.1 No such user", said on every way in, at RCPT
    at            "rcpt" (default) or "data": when `reply` is said
    onward_reply  refusal by the recipient's own server: direct clients hear it at RCPT; a relay sends a DSN,
                  after trying again until `expire_s` and one DSN "delayed" when it is a 4xx
    bounce        {after_s, status, diagnostic?, action?}: accepted, then a DSN ("failed", or "delayed")
    times         only the first N times for each address, then accepted
    slow_s        real seconds before the answer to the end of data
  {relay: "visp" | "remote" | "mx", ...}: calls add up, null resets one key
    refuse              "connect" (port closed), "greeting" (554), "auth" (535 and 530)
    username, password  AUTH is required
    accept_delay_s      real seconds before a message is stored and answered
    close_after_data    true: stored, connection closed instead of 250; "discard": closed and not stored
    lose_reply          stored, and the 250 never comes
    times               how many messages close_after_data or lose_reply meet
    rewrite_message_id  Message-ID is replaced by the relay's own
    rewrite_envelope    true: sender coded into the relay's domain (reports still reach the sender);
                        an address: that becomes the envelope sender, and reports go to it
    expire_s            business seconds until deferred mail comes back (30)
    dsn, pipelining     whether the extension is offered ("mx" offers no DSN unless told)
GET /sandbox/mail?to=&since=&limit= is the inbox, ?id= one mail, ?containing=&limit= the newest by a part of
their address; brief=1 leaves the content out. .../attachment?id=&number= is one attachment's octets;
.../ledger counts 250s by Message-ID; .../queue lists DSNs on their way; .../inject mails the bounce address.
"""

from sandbox.mail.part import MailPart

__all__ = ["MailPart"]

"""A delivery to what leaves: of a mail the envelope, headers with their tokens and body; of a text its words.

The VERP envelope sender and X-Delivery-Ref carry the attempt's token, the Message-ID the delivery's.
`Auto-Submitted` (RFC 3834) keeps other machines from answering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from notifier import mime, templates
from notifier.channels import OutgoingMessage, OutgoingText, Route, SmsRoute
from notifier.keys import DeliveryToken, Keyring
from notifier.mime import Attachment
from notifier.sms_text import LONGEST_TEXT, count_segments
from store.models import Delivery, Notification, TemplateSource

FIXED_LOCAL_PART = "bounces"
LONGEST_VALIDITY_S = 36_000
RETRY_OVERRIDE = "#rc=5&rp=ct,rt,5xx"
"""Twilio's "connection overrides": by itself it repeats no 5xx. A fragment is neither sent nor signed."""


class Composer:
    def __init__(self, keyring: Keyring, clock: Callable[[], datetime]) -> None:
        self._keyring, self._clock = keyring, clock

    def compose(
        self,
        route: Route,
        delivery: Delivery,
        notification: Notification,
        source: TemplateSource,
        attachments: Sequence[Attachment] = (),
    ) -> OutgoingMessage:
        """TemplateProblem when it cannot be rendered, ValueError when an address is not one."""
        token = self._keyring.delivery_token(DeliveryToken(delivery.tenant, delivery.id, delivery.attempt))
        local_part = token if route.envelope == "verp" else route.mailbox or FIXED_LOCAL_PART
        if route.mailbox and route.envelope == "verp":
            local_part = f"{route.mailbox}+{token}"
        context = {"language": notification.language, **notification.context}
        if notification.attach_pdf:  # the text says what is there, not what was wished for
            context["attached"] = bool(attachments)
        rendered = templates.render_mail(source, context)
        content = mime.build(
            headers=[
                ("From", mime.own_mailbox(route.from_name, route.from_address)),
                ("To", mime.mailbox("", delivery.address)),
                ("Message-ID", delivery.message_id),
                ("X-Delivery-Ref", token),
                ("Auto-Submitted", "auto-generated"),
            ],
            date=self._clock(),
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            boundary=f"=_{delivery.id.hex}",
            attachments=attachments,
        )
        return OutgoingMessage(
            envelope_from=f"{local_part}@{route.envelope_domain}",
            envelope_to=delivery.address,
            content=content,
            envelope_id=token,
            receipt=notification.receipt,
        )

    def segments(self, _delivery: Delivery, notification: Notification, source: TemplateSource) -> int:
        """Of a text as it will be sent: what a sender's limit counts."""
        body = templates.render_sms(source, {"language": notification.language, **notification.context})
        return count_segments(body).count

    def text(
        self,
        route: SmsRoute,
        delivery: Delivery,
        notification: Notification,
        source: TemplateSource,
        _attachments: Sequence[Attachment] = (),
    ) -> OutgoingText:
        """TemplateProblem when it cannot be rendered, ValueError when it is no text that could be sent."""
        token = self._keyring.delivery_token(DeliveryToken(delivery.tenant, delivery.id, delivery.attempt))
        body = templates.render_sms(source, {"language": notification.language, **notification.context})
        if not body:
            raise ValueError("there is nothing in it")
        if len(body) > LONGEST_TEXT:
            raise ValueError(f"it has {len(body):,} characters, and a text holds {LONGEST_TEXT:,} at most")
        left_s = int((delivery.expires_at - self._clock()).total_seconds())
        return OutgoingText(
            to=delivery.address,
            body=body,
            callback_url=f"{route.callback_url}/{token}{RETRY_OVERRIDE}" if route.callback_url else "",
            validity_s=min(max(left_s, 1), LONGEST_VALIDITY_S),
        )

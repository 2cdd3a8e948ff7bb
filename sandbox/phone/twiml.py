"""What the product answers to an inbound text: TwiML's <Message>, or nothing. Anything else is a problem.

The numbers in the problems are those of Twilio's debugger: 12100 no XML, 12200 a verb that texts do not have,
12300 a content type that it does not take.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Final

XML_TYPES: Final = frozenset({"text/xml", "application/xml", "text/html"})


@dataclass(frozen=True)
class Reply:
    body: str
    to: str | None = None
    media: tuple[str, ...] = ()
    callback: str | None = None


@dataclass(frozen=True)
class Twiml:
    replies: tuple[Reply, ...] = ()
    problems: list[str] = field(default_factory=list)


def read_twiml(body: str, content_type: str) -> Twiml:
    if not body.strip():
        return Twiml()
    if content_type == "text/plain":
        return Twiml((Reply(body.strip()),))
    if content_type not in XML_TYPES:
        return Twiml(problems=[f"12300: the answer to an inbound text is {content_type}, not text/xml"])
    if "<!DOCTYPE" in body or "<!ENTITY" in body:
        return Twiml(problems=["12100: the answer has a document type: TwiML has none"])
    try:
        root = ET.fromstring(body)  # noqa: S314 - no entities can be defined without a document type
    except ET.ParseError as trouble:
        return Twiml(problems=[f"12100: the answer is not XML: {trouble}"])
    if root.tag != "Response":
        return Twiml(problems=[f"12100: the root of TwiML is <Response>, not <{root.tag}>"])
    replies = [_reply(verb) for verb in root if verb.tag == "Message"]
    strange = [f"12200: <{verb.tag}> means nothing to a text" for verb in root if verb.tag != "Message"]
    return Twiml(tuple(replies), strange)


def _reply(verb: ET.Element) -> Reply:
    parts = [part.text or "" for part in verb.findall("Body")]
    body = "".join(parts) if parts else (verb.text or "")
    media = tuple((part.text or "").strip() for part in verb.findall("Media"))
    callback = verb.get("statusCallback") or verb.get("action")
    return Reply(body.strip(), verb.get("to"), media, callback)

"""A key's content hash is what it always was: databases hold keys that were hashed by earlier versions."""

from __future__ import annotations

import hashlib
import json
from uuid import UUID

import pytest

from notifier.outbox import Draft, email, text
from tests.builders import draft

DRAFTS = {
    "plain": draft("k"),
    "umlauts and quotes": draft("k", context={"name": 'Jörg "Jo" Ångström\n', "amount": 4.5, "paid": None}),
    "several": draft("k", recipients=[email("b@example.com"), text("+15415550142"), email("ä@b.c")]),
    "of an invoice": draft("k", invoice_id=UUID(int=7), context={"b": {"z": [1, 2], "a": True}, "a": 1}),
    "nobody": draft("k", recipients=[]),
}


@pytest.mark.parametrize("wanted", DRAFTS.values(), ids=DRAFTS)
def test_the_hash_is_that_of_the_json_of_what_is_asked_for(wanted: Draft) -> None:
    content = [
        wanted.kind,
        wanted.language,
        dict(wanted.context),
        sorted((r.channel, r.address) for r in wanted.recipients),
        str(wanted.invoice_id),
    ]
    spelled = json.dumps(content, sort_keys=True)
    assert wanted.content_hash() == hashlib.sha256(spelled.encode()).hexdigest()

"""Which webhooks are Twilio's: signatures made here with HMAC, as its page describes, and by the sandbox."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from notifier.channels.twilio_webhooks import verified
from tests.unit.sandbox.phone_world import MARIA, phone_world

URL = "https://desk.cascade.example/twilio/status/btoken"
TOKEN, OLDER, SHARED_KEY = "the account's token", "the token before it", "a shared key"
FORM = "application/x-www-form-urlencoded; charset=UTF-8"
PARAMS = {
    "MessageSid": "SM" + "1" * 32,
    "MessageStatus": "delivered",
    "To": "+15415550142",
    "From": "+12065550100",
    "FromCity": "",
    "Body": "¿Ya pagué? a&b=c+d 100% 🎉",
}


def signature(token: str, url: str = URL, params: Mapping[str, str] = PARAMS, digest: str = "sha1") -> str:
    signed = url + "".join(f"{name}{params[name]}" for name in sorted(params))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), digest).digest()).decode()


def headers(signed: str | None, **more: str) -> dict[str, str]:
    found = {"Content-Type": FORM} | {name.replace("_", "-"): value for name, value in more.items()}
    return found if signed is None else found | {"X-Twilio-Signature": signed}


def body(params: Mapping[str, str] = PARAMS) -> bytes:
    return urlencode(params).encode()


def test_a_genuine_webhook_gives_all_its_parameters_blank_ones_and_accents_too() -> None:
    assert verified(URL, headers(signature(TOKEN)), body(), [TOKEN]) == PARAMS


def test_parameters_that_nobody_has_heard_of_are_part_of_what_is_signed() -> None:
    params = PARAMS | {"NewlyInvented": "1", "AndBlank": ""}
    assert verified(URL, headers(signature(TOKEN, params=params)), body(params), [TOKEN]) == params
    assert verified(URL, headers(signature(TOKEN)), body(params), [TOKEN]) is None


def test_header_names_are_read_in_any_case() -> None:
    shouted = {name.upper(): value for name, value in headers(signature(TOKEN)).items()}
    assert verified(URL, shouted, body(), [TOKEN]) == PARAMS


@pytest.mark.parametrize("signer", [TOKEN, OLDER])
def test_while_tokens_rotate_each_of_them_may_have_signed(signer: str) -> None:
    assert verified(URL, headers(signature(signer)), body(), [TOKEN, OLDER]) == PARAMS


@pytest.mark.parametrize("tokens", [[], [""], ["somebody else's"]])
def test_a_token_that_is_not_ours_signs_nothing(tokens: list[str]) -> None:
    assert verified(URL, headers(signature(TOKEN)), body(), tokens) is None
    assert verified(URL, headers(signature("")), body(), tokens) is None


@pytest.mark.parametrize(
    "altered",
    [
        PARAMS | {"MessageStatus": "undelivered"},
        PARAMS | {"To": "+15415550143"},
        PARAMS | {"ErrorCode": "30006"},
        {name: value for name, value in PARAMS.items() if name != "Body"},
        {},
    ],
    ids=["status", "number", "one more", "one less", "none"],
)
def test_an_altered_webhook_is_refused(altered: Mapping[str, str]) -> None:
    assert verified(URL, headers(signature(TOKEN)), body(altered), [TOKEN]) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://desk.cascade.example/twilio/status/bother",
        "https://desk.cascade.example/twilio/inbound",
        "https://desk.rio.example/twilio/status/btoken",
        URL + "?x=1",
        "http://desk.cascade.example/twilio/status/btoken",
    ],
)
def test_a_genuine_webhook_replayed_at_another_url_is_refused(url: str) -> None:
    assert verified(url, headers(signature(TOKEN)), body(), [TOKEN]) is None


@pytest.mark.parametrize("signed", [None, "", "forged", "é" * 28, "\udce9" * 28, "A" * 28, "A" * 5000])
def test_no_signature_or_a_forged_one_is_refused(signed: str | None) -> None:
    assert verified(URL, headers(signed), body(), [TOKEN]) is None


def test_a_shared_keys_webhook_is_verified_with_the_algorithm_that_it_names() -> None:
    signed = signature(SHARED_KEY, digest="sha256")
    settings = {"X_Twilio_Webhooks_Signature_Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}
    assert verified(URL, headers(signed, **settings), body(), [TOKEN, SHARED_KEY]) == PARAMS
    assert verified(URL, headers(signed), body(), [TOKEN, SHARED_KEY]) is None
    assert verified(URL, headers(signature(SHARED_KEY), **settings), body(), [SHARED_KEY]) is None


@pytest.mark.parametrize("settings", ["algorithm=HMAC_MD5", "algorithm=none", "algorithm=", "===", ","])
def test_an_algorithm_that_nobody_knows_verifies_nothing_by_itself(settings: str) -> None:
    more = {"X_Twilio_Webhooks_Signature_Settings": settings}
    md5 = signature(TOKEN, digest="md5")
    assert verified(URL, headers(md5, **more), body(), [TOKEN]) is None


@pytest.mark.parametrize(
    ("content_type", "sent"),
    [
        ("application/json", b'{"MessageStatus": "delivered"}'),
        ("application/json", b""),
        ("", body()),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
        (FORM, b"Body=%FF%FE"),
        (FORM, b"Body=\xff\xfe"),
        (FORM, b"\x00" * 10),
        (FORM, b"&".join(b"p%d=1" % number for number in range(600))),
    ],
    ids=["JSON", "empty JSON", "no type", "multipart", "no UTF-8", "raw octets", "NUL", "too many"],
)
def test_what_is_no_form_in_utf_8_is_refused_and_never_raises(content_type: str, sent: bytes) -> None:
    found = {"Content-Type": content_type, "X-Twilio-Signature": signature(TOKEN, params={})}
    assert verified(URL, found, sent, [TOKEN]) is None


@pytest.mark.parametrize("url", ["https://desk.example:port/x", "https://desk.example/\udce9", "", "::"])
def test_a_url_that_is_none_is_refused_and_never_raises(url: str) -> None:
    assert verified(url, headers(signature(TOKEN)), body(), [TOKEN]) is None


def test_a_name_given_twice_is_signed_with_all_its_values_and_read_the_same_in_any_order() -> None:
    signed = URL + "FromaFromb"
    given = base64.b64encode(hmac.new(TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    for sent in (b"From=a&From=b", b"From=b&From=a"):
        assert verified(URL, headers(given), sent, [TOKEN]) == {"From": "a"}


@pytest.mark.parametrize("port", [":443", ""])
def test_a_port_in_the_url_counts_as_twilio_counts_it(port: str) -> None:
    """Twilio signs some webhooks with and some without the port of https."""
    url = f"https://desk.cascade.example{port}/twilio/inbound"
    assert verified(
        "https://desk.cascade.example/twilio/inbound", headers(signature(TOKEN, url)), body(), [TOKEN]
    )


async def test_a_subscribers_text_in_the_sandbox_is_genuine_and_a_forged_one_is_not(tmp_path: Path) -> None:
    async with phone_world(tmp_path) as phones:
        await phones.text("¿Cuánto debo?", MARIA)
        received = await phones.product.next()
        url = f"http://127.0.0.1:{phones.product.port}/twilio/inbound"
        sent = body(received.params)
        genuine = {**received.headers, "Content-Type": FORM}
        assert verified(url, genuine, sent, [phones.product.auth_token]) == received.params
        forged = body(received.params | {"Body": "STOP"})
        assert verified(url, genuine, forged, [phones.product.auth_token]) is None

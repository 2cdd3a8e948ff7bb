"""SMTP as octets: replies in any pieces, offers, and commands and mails that nothing can break out of."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.smtp.wire import BadReply, Offer, ReplyReader, command, envelope, mail_data

SAID = (
    b"220 here\r\n250-here.example\r\n250-PIPELINING\r\n250 SIZE 1\r\n250\r\n354 Go on\n550 5.1.1 N\xff\r\n"
)
REPLIES = [(220, b"here"), (250, b"here.example\nPIPELINING\nSIZE 1"), (250, b""), (354, b"Go on")]


def read(*pieces: bytes) -> list[tuple[int, bytes]]:
    reader, found = ReplyReader(), []
    for piece in pieces:
        reader.feed(piece)
        while (reply := reader.next()) is not None:
            found.append(reply)
    assert reader.empty
    return found


@settings(max_examples=60)
@given(st.lists(st.integers(0, len(SAID)), max_size=8))
def test_replies_are_the_same_in_whatever_pieces_they_come(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(SAID)]
    pieces = [SAID[a:b] for a, b in pairwise(edges)]
    assert read(*pieces) == [*REPLIES, (550, b"5.1.1 N\xff")]


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n",
        b"25\r\n",
        b"2500 x\r\n",
        b"150 x\r\n",
        b"600 x\r\n",
        b"abc x\r\n",
        b"250_x\r\n",
        b"2 0 x\r\n",
        b"\xb2\xb9\xb9 x\r\n",
    ],
)
def test_what_is_no_reply_is_told(line: bytes) -> None:
    with pytest.raises(BadReply):
        read(line)


def test_what_is_kept_of_an_endless_answer_is_bounded() -> None:
    with pytest.raises(BadReply, match="line that does not end"):
        read(*[b"250 " + b"x" * 1_000] * 100)
    with pytest.raises(BadReply, match="without an end"):
        read(b"250-" + b"x" * 1_000 + b"\r\n", *[b"250-" + b"x" * 1_000 + b"\r\n"] * 100)


def test_an_offer_is_read_in_any_case_and_with_the_old_form_of_auth() -> None:
    offer = Offer.of("pipelining.example\nPipelining\nSIZE 1000\nAUTH=LOGIN\nAUTH PLAIN XOAUTH2\n8BITMIME")
    assert "pipelining" in offer
    assert "pipelining.example" not in offer, "the first line is a name"
    assert offer.extensions["size"] == "1000"
    assert offer.logins == ["plain", "login"]


@pytest.mark.parametrize("line", ["EHLO a\r\nMAIL FROM:<x>", "EHLO a\n", "EHLO \x00", "EHLO é"])
def test_a_command_cannot_be_two(line: str) -> None:
    with pytest.raises(ValueError):
        command(line)


def test_an_envelope_says_only_what_the_server_knows() -> None:
    fields = {"sender": "a@b.example", "recipient": "c+d@e.example", "envelope_id": "t=1"}
    bare = envelope(Offer(), content=b"x", receipt=True, **fields)
    assert bare == (b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<c+d@e.example>\r\n")
    full = envelope(Offer.of("h\nSIZE\nDSN\n8BITMIME"), content=b"\xe9", receipt=False, **fields)
    assert full == (
        b"MAIL FROM:<a@b.example> SIZE=1 BODY=8BITMIME RET=HDRS ENVID=t+3D1\r\n",
        b"RCPT TO:<c+d@e.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;c+2Bd@e.example\r\n",
    )


@settings(max_examples=150)
@given(st.text(alphabet="\r\n.ab", max_size=40).map(str.encode))
def test_a_mail_ends_once_and_comes_back_with_its_dots(content: bytes) -> None:
    data = mail_data(content)
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", data) is None
    assert (b"\r\n" + data).index(b"\r\n.\r\n") == len(data) - 3, "no earlier end"
    body = (b"\r\n" + data.removesuffix(b".\r\n")).replace(b"\r\n.", b"\r\n")[2:]
    plain = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    assert body == (plain if plain.endswith(b"\r\n") else plain + b"\r\n")

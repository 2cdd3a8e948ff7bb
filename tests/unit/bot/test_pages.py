"""Whose request it is: what guessing is counted by."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from bot.pages import client_of


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("8.8.4.4", "", "8.8.4.4"),
        ("8.8.4.4", "203.0.113.9", "8.8.4.4"),  # no proxy of ours: what it says is its own
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "6.6.6.6, 203.0.113.9", "203.0.113.9"),  # what came before the last is the client's word
        ("10.1.2.3", "203.0.113.9:40123", "203.0.113.9"),
        ("10.1.2.3", "[2001:db8:1:2:3::9]:40123", "2001:db8:1:2::/64"),
        ("10.1.2.3", "[2001:db8:1:2:3::9]", "2001:db8:1:2::/64"),
        ("10.1.2.3", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("10.1.2.3", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.9:x", "10.1.2.3"),
        ("10.1.2.3", "9" * 5000, "10.1.2.3"),
        ("::ffff:8.8.4.4", "203.0.113.9", "8.8.4.4"),
        ("", "203.0.113.9", "unknown"),
    ],
)
def test_a_client_is_the_peer_or_whom_our_own_proxy_names_last(
    peer: str, forwarded: str, client: str
) -> None:
    request = make_mocked_request("GET", "/i/x", headers={"X-Forwarded-For": forwarded})
    assert client_of(request.clone(remote=peer)) == client

"""/isp spf: the verdict in a sentence, what to publish, and nothing obeyed that stands in DNS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handlers.commands.spf.command import typed_domain
from handlers.contract import Services
from handlers.reply import To, UserError
from tests.unit.handlers.conftest import agent_on
from tests.unit.handlers.support import Agent, buttons, golden, said


async def test_the_seeds_envelope_domain_lacks_the_include_and_gets_a_record_to_publish(agent: Agent) -> None:
    answer = await agent.types("spf")
    golden("spf_missing", answer)
    assert answer.text == (
        "mail.cascade.example does not authorise the Visp server: include:spf.visp.net is missing."
    )
    assert "*Publish this TXT record at mail.cascade.example*" in said(answer)
    assert "include:spf.visp.net" in said(answer).split("*Publish this")[1]


async def test_a_right_record_is_said_to_be_right_and_nothing_is_to_be_published(agent: Agent) -> None:
    answer = await agent.types("spf cascade.example")
    golden("spf_right", answer)
    assert answer.text == "cascade.example authorises the Visp server."
    assert "Publish this" not in said(answer)


VERDICTS = {
    "nested.example": "nested.example authorises the Visp server (through",
    "broken.example": "a mistake in the record makes it useless",
    "nothing.example": "nothing.example has no SPF record. Nobody is authorised to send for it.",
    "nowhere.example": "nowhere.example has no SPF record.",
    "down.example": "DNS gave no answer for down.example, so nothing can be said.",
}


async def test_every_state_of_a_domain_has_its_sentence(agent: Agent) -> None:
    for domain, sentence in VERDICTS.items():
        assert sentence in (await agent.types(f"spf {domain}")).text, domain


async def test_two_records_are_both_shown(agent: Agent) -> None:
    answer = await agent.types("spf twice.example")
    assert said(answer).count("Published now:") == 2
    assert "authorises the Visp server." not in answer.text


async def test_what_stands_in_dns_is_shown_and_not_obeyed(agent: Agent) -> None:
    shown = said(await agent.types("spf hostile.example"))
    assert "<!channel>" not in shown
    assert "&lt;!channel&gt;" in shown


async def test_recheck_asks_again_forgets_what_dns_said_and_takes_the_answers_place(
    services: Services,
) -> None:
    forgotten: list[str] = []
    agent = agent_on(replace(services, forget_dns=lambda: forgotten.append("all")))
    first = await agent.types("spf cascade.example")
    again = await agent.presses(first, "spf.recheck")
    assert (first.to, again.to) == (To.ASKER, To.REPLACE)
    assert said(again) == said(first)
    assert len(forgotten) == 2


async def test_the_longest_domain_is_answered_and_audited(agent: Agent) -> None:
    label = "a" * 60
    domain = ".".join([label] * 4)[:245] + ".example"
    answer = await agent.types(f"spf {domain}")
    assert "Try again" in said(answer) or "no SPF record" in said(answer)
    assert set(buttons(answer)) == {"spf.recheck", "spf.share"}


async def test_a_check_is_audited(agent: Agent) -> None:
    await agent.types("spf")
    async with agent.services.store.read(1) as tx:
        (row,) = await tx.audit.of("domain:mail.cascade.example")
    assert (row.action, row.detail) == ("spf.check", {"ok": False})


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("example.net", "example.net"),
        (" Example.NET. ", "example.net"),
        ("https://example.net/", "example.net"),
        ("billing@mail.example.net", "mail.example.net"),
        ("bücher.example", "bücher.example"),
    ],
)
def test_a_domain_is_understood_however_it_is_written(typed: str, domain: str) -> None:
    assert typed_domain(typed) == domain


@pytest.mark.parametrize("typed", ["x", "not a domain", "<!channel>", "a" * 260 + ".example", "@"])
def test_what_is_no_domain_is_refused(typed: str) -> None:
    with pytest.raises(UserError, match="not a domain name"):
        typed_domain(typed)

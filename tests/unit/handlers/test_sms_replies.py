"""What each kind of text does: consent first, answers by themselves, everything else to a person."""

from __future__ import annotations

import pytest

from handlers.contract import Services
from handlers.intents import REMOVED_CARD, IntentKind
from handlers.sms_replies import _USE_CASES, MOST_AN_HOUR
from handlers.workflows.conversations import SHOWN_A_MINUTE
from handlers.workflows.optouts import opted_out
from notifier.outbox import text
from store.models import (
    Channel,
    ConsentState,
    EventKind,
    NotificationKind,
    Outcome,
    Priority,
    SubscriberStatus,
)
from tests.builders import billing_email, draft, mobile, outbox, usd
from tests.conftest import FakeClock
from tests.unit.handlers import cast
from tests.unit.handlers.support import buttons, said
from tests.unit.handlers.texting import PHONE, SENDER, Texting, texting

BRAND = "Cascade Fiber"


@pytest.fixture
async def desk(services: Services) -> Texting:
    return texting(services)


@pytest.fixture
async def dana(desk: Texting) -> Texting:
    await cast.dana(desk.store)
    return desk


@pytest.fixture
async def shared(desk: Texting) -> Texting:
    """1204 and 1205 have one number; their balances and invoices differ."""
    await cast.add(desk.store, "1204", mobile(PHONE), balance=usd("84.95"), invoices=("21204",))
    await cast.add(desk.store, "1205", mobile(PHONE), balance=usd("12.00"), invoices=("21205",))
    return desk


async def queue_text(desk: Texting, key: str = "k-1", number: str = PHONE) -> None:
    async with desk.store.begin(1) as tx:
        await outbox().enqueue(
            tx, draft(key, recipients=[text(number)], sms_route="twilio", kind=NotificationKind.REMINDER)
        )


async def consent_state(desk: Texting, number: str = PHONE) -> ConsentState | None:
    async with desk.store.read(1) as tx:
        found = await tx.consents.current([(Channel.SMS, number)])
    return found[(Channel.SMS, number)].state if found else None


async def suppressed(desk: Texting, number: str = PHONE) -> str | None:
    async with desk.store.read(1) as tx:
        found = await tx.suppressions.active([(Channel.SMS, number)])
    return found[(Channel.SMS, number)].reason if found else None


def test_every_intent_has_a_use_case() -> None:
    assert set(_USE_CASES) == set(IntentKind)


async def test_stop_suppresses_cancels_what_waits_and_shows_a_banner(dana: Texting) -> None:
    await queue_text(dana)
    sid = await dana.texts("STOP")
    assert await consent_state(dana) is ConsentState.WITHDRAWN
    assert await suppressed(dana) == "opted_out"
    assert await dana.sent() == [], "what waited is not sent, and Twilio answered already"
    async with dana.store.read(1) as tx:
        (withdrawn,) = (await tx.consents.history([(Channel.SMS, PHONE)]))[(Channel.SMS, PHONE)]
        cancelled = (await tx.deliveries.newest_to(Channel.SMS, [PHONE]))[PHONE]
        events = (await tx.events.of([(1, cancelled.id)]))[(1, cancelled.id)]
    assert (withdrawn.source, withdrawn.evidence) == ("sms", sid)
    assert cancelled.outcome is Outcome.SUPPRESSED
    assert [event.kind for event in events] == [EventKind.SUPPRESSED]
    (card,) = await dana.cards()
    assert "Opted out of texts" in card
    thread = await dana.thread()
    assert any("1 text that waited will not go out" in line for line in thread)


async def test_stop_alone_needs_nobody_so_its_conversation_is_closed(dana: Texting) -> None:
    await dana.texts("STOP")
    with pytest.raises(AssertionError, match="no conversation is open"):
        await dana.conversation()


async def test_ten_stops_make_one_card(dana: Texting) -> None:
    for _ in range(10):
        await dana.texts("STOP")
    assert len(await dana.cards()) == 1


@pytest.mark.parametrize(
    ("words", "confirmation"),
    [
        ("stop texting me", "you get no more texts"),
        ("Stop. Thank you", "you get no more texts"),
        ("wrong number", "you get no more texts"),
        ("no me escriban", "ya no recibe usted"),
        ("ALTO", "ya no recibe usted"),
        ("ARRET", "vous ne recevrez plus"),
    ],
)
async def test_loose_stop_is_honoured_and_confirmed_once(
    dana: Texting, words: str, confirmation: str
) -> None:
    await dana.texts(words)
    await dana.texts(words)
    assert await consent_state(dana) is ConsentState.WITHDRAWN
    (confirmed,) = await dana.sent()
    assert confirmation in confirmed
    assert BRAND in confirmed
    ((notification, _),) = await dana.queued()
    assert notification.kind is NotificationKind.AUTO_REPLY
    assert notification.priority is Priority.URGENT
    assert len(await dana.cards()) == 1, "an agent reviews it"


async def test_the_same_webhook_twice_is_one_line_and_one_answer(dana: Texting) -> None:
    await dana.texts("stop texting me", sid="SM" + "a" * 32)
    await dana.texts("stop texting me", sid="SM" + "a" * 32)
    assert len(await dana.sent()) == 1
    assert sum("stop texting me" in line for line in await dana.thread()) == 1


async def test_a_repeated_stop_webhook_opens_nothing_again(dana: Texting) -> None:
    for _ in range(2):
        await dana.texts("STOP", sid="SM" + "b" * 32)
    assert len(await dana.cards()) == 1
    with pytest.raises(AssertionError, match="no conversation is open"):
        await dana.conversation()


async def test_start_restores_what_stop_took_and_keeps_a_dead_number_dead(
    dana: Texting, clock: FakeClock
) -> None:
    await dana.texts("STOP")
    clock.advance(minutes=1)
    await dana.texts("START")
    assert await consent_state(dana) is ConsentState.GRANTED
    assert await suppressed(dana) is None
    assert await dana.sent() == [], "Twilio greeted them"
    async with dana.store.begin(1) as tx:
        await tx.suppressions.suppress(Channel.SMS, PHONE, reason="no_such_user", actor="bounce")
    await dana.texts("START")
    assert await suppressed(dana) == "no_such_user"


async def test_start_after_an_opt_out_in_other_words_is_greeted_by_us(dana: Texting) -> None:
    await dana.texts("please stop texting me")
    await dana.texts("START")
    assert "you get our texts again" in (await dana.sent())[-1]


async def test_yes_opts_in_only_somebody_who_opted_out(dana: Texting, clock: FakeClock) -> None:
    await dana.texts("YES")
    assert await consent_state(dana) is None
    assert len(await dana.cards()) == 1, "it goes to the agent"
    await dana.texts("STOP")
    clock.advance(minutes=1)
    await dana.texts("YES")
    assert await consent_state(dana) is ConsentState.GRANTED


async def test_help_is_answered_once_unless_the_provider_did(dana: Texting) -> None:
    await dana.texts("HELP")
    assert await dana.sent() == []
    await dana.texts("help please")
    await dana.texts("ayuda")
    (answer,) = await dana.sent()
    assert "541-555-0100" in answer
    assert "STOP" in answer
    assert await dana.cards() == [], "nobody has to look"


@pytest.mark.parametrize(
    ("balance", "language", "words", "answer"),
    [
        (
            "104.90",
            "en",
            "BALANCE",
            f"{BRAND}: your balance is $104.90. A payment of today may not show yet.",
        ),
        ("0.00", "en", "balance?", f"{BRAND}: you owe nothing right now."),
        ("-5.00", "en", "how much do I owe", f"{BRAND}: you have $5.00 in credit."),
        (
            "104.90",
            "es",
            "BALANCE",
            f"{BRAND}: su saldo es de $104.90. Un pago de hoy puede tardar en verse.",
        ),
        ("104.90", "en", "saldo", f"{BRAND}: su saldo es de $104.90. Un pago de hoy puede tardar en verse."),
        (
            "104.90",
            "en",
            "solde",
            f"{BRAND}: votre solde est de $104.90. Un paiement du jour peut tarder à s'afficher.",
        ),
    ],
)
async def test_balance_tells_the_amount_only(
    desk: Texting, balance: str, language: str, words: str, answer: str
) -> None:
    await cast.add(desk.store, "1001", mobile(PHONE), balance=usd(balance), language=language)
    await desk.texts(words)
    assert await desk.sent() == [answer]
    assert await desk.cards() == []


async def test_invoice_answers_with_a_link_a_few_times_a_day(dana: Texting, clock: FakeClock) -> None:
    for _ in range(5):
        await dana.texts("send me my invoice")
        clock.advance(hours=2)
    answers = await dana.sent()
    assert len(answers) == 3
    assert all(a.startswith(f"{BRAND}: your invoice 20001: https://desk.cascade.example/i/") for a in answers)
    assert len(await dana.cards()) == 1, "then a person looks"


async def test_a_branch_s_invoice_is_its_payer_s_to_see(desk: Texting) -> None:
    await cast.add(desk.store, "1100", billing_email("books@cedar.example"))
    await cast.add(desk.store, "1103", mobile(PHONE), payer_account="1100", invoices=("20103",))
    await desk.texts("INVOICE")
    assert await desk.sent() == []
    assert len(await desk.cards()) == 1


async def test_pay_answers_with_the_portal_or_the_telephone(services: Services) -> None:
    desk = texting(services)
    await desk.texts("PAY", "+15415550151")
    assert await desk.sent("+15415550151") == [
        f"{BRAND}: pay safely at https://my.cascade.example/pay and never text a card number."
    ]
    without = texting(services, portal_url="")
    await without.texts("pagar", "+15415550152", sid="SM" + "c" * 32)
    assert "541-555-0100" in (await without.sent("+15415550152"))[0]


async def test_card_number_is_warned_about_and_goes_to_a_person(dana: Texting) -> None:
    await dana.card_text(f"my card is {REMOVED_CARD}")
    (warning,) = await dana.sent()
    assert "never text a card number" in warning
    assert any(REMOVED_CARD in line for line in await dana.thread())


async def test_a_stop_with_a_card_number_in_it_is_a_stop(dana: Texting) -> None:
    await dana.card_text(f"stop texting me. {REMOVED_CARD}")
    assert await consent_state(dana) is ConsentState.WITHDRAWN
    assert len(await dana.sent()) == 1


async def test_two_accounts_are_asked_about_before_any_data(shared: Texting) -> None:
    await shared.texts("BALANCE")
    (question,) = await shared.sent()
    assert "1 for account ending 04, 2 for account ending 05" in question
    assert "$" not in question
    assert (await shared.conversation()).subscriber_id is None
    await shared.texts("2")
    assert (await shared.sent())[1:] == [
        f"{BRAND}: your balance is $12.00. A payment of today may not show yet."
    ]
    assert (await shared.conversation()).choices == ()
    await shared.texts("BALANCE")
    assert len(await shared.sent()) == 3, "it is known now"


async def test_the_invoice_that_was_asked_for_is_sent_after_the_choice(shared: Texting) -> None:
    await shared.texts("INVOICE")
    await shared.texts("the first one")
    assert "your invoice 21204" in (await shared.sent())[-1]


async def test_free_text_of_a_shared_number_reaches_a_person_and_asks_once(shared: Texting) -> None:
    await shared.texts("I already paid")
    await shared.texts("on Friday")
    assert len(await shared.sent()) == 1
    card = await shared.card()
    assert "on accounts *1204, 1205*" in said(card)
    assert "They were asked" in said(card)
    assert "thread.choose" in buttons(card)
    assert "$" not in said(card)


async def test_a_number_out_of_range_is_no_choice(shared: Texting) -> None:
    await shared.texts("BALANCE")
    await shared.texts("7")
    assert (await shared.conversation()).subscriber_id is None
    assert len(await shared.sent()) == 1


async def test_archived_accounts_do_not_make_a_number_shared(desk: Texting) -> None:
    await cast.add(desk.store, "1001", mobile(PHONE), balance=usd("1.00"))
    await cast.add(desk.store, "1315", mobile(PHONE), status=SubscriberStatus.ARCHIVED)
    await desk.texts("BALANCE")
    assert await desk.sent() == [f"{BRAND}: your balance is $1.00. A payment of today may not show yet."]


async def test_anything_else_opens_a_thread_and_the_next_text_continues_it(dana: Texting) -> None:
    await dana.texts("I already paid")
    await dana.texts("last week")
    assert await dana.sent() == []
    assert len(await dana.cards()) == 1
    thread = await dana.thread()
    assert ["I already paid" in thread[0], "last week" in thread[1]] == [True, True]
    card = await dana.card()
    text_ = said(card)
    assert "Texts with Dana W. · 1001" in text_
    assert "Balance *$49.90* · invoice 20001: $49.90 due" in text_
    assert "last week" in text_
    assert PHONE not in text_, "masked in a channel"
    assert set(buttons(card)) == {"thread.reply", "find.open", "thread.close"}


async def test_what_answered_itself_is_shown_once_a_person_is_needed(dana: Texting) -> None:
    await dana.texts("BALANCE")
    assert await dana.thread() == []
    await dana.texts("that is wrong")
    thread = await dana.thread()
    assert len(thread) == 3
    assert "BALANCE" in thread[0]
    assert "your balance is" in thread[1]
    assert "automatic" in thread[1]
    assert "that is wrong" in thread[2]


async def test_unknown_number_is_unmatched_and_told_nothing(desk: Texting) -> None:
    await desk.texts("BALANCE", "+15415550199")
    assert await desk.sent("+15415550199") == []
    card = await desk.card("+15415550199")
    assert "Unmatched" in said(card)
    assert "find.open" not in buttons(card)


async def test_stop_of_an_unknown_number_counts_too(desk: Texting) -> None:
    await desk.texts("STOP", "+15415550199")
    assert await consent_state(desk, "+15415550199") is ConsentState.WITHDRAWN


async def test_cancel_my_internet_is_no_opt_out_but_pauses_until_decided(dana: Texting) -> None:
    await dana.texts("cancel my internet")
    assert await consent_state(dana) is None
    assert (await dana.conversation()).paused
    question = (await dana.lines())[-1]
    assert set(buttons(question)) == {"thread.texts", "thread.service"}
    await dana.texts("BALANCE")
    assert await dana.sent() == [], "nothing goes out by itself meanwhile"


async def test_tapback_is_a_reaction_in_the_thread_and_no_ticket(dana: Texting) -> None:
    await dana.texts("Liked “Your invoice is ready”")
    assert await dana.cards() == []
    await dana.texts("thanks, but when is the technician coming?")
    await dana.texts("Loved “Tomorrow at nine”")
    thread = await dana.thread()
    assert "reacted: ❤️ to “Tomorrow at nine”" in thread[-1]
    assert await dana.sent() == []


async def test_picture_is_told_of_and_shown_to_a_person(dana: Texting) -> None:
    url = "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages/MM0/Media/ME0"
    await dana.texts("the modem", NumMedia="1", MediaUrl0=url, MediaContentType0="image/jpeg")
    thread = await dana.thread()
    assert "the modem" in thread[0]
    assert "They sent a picture" in thread[1]
    assert url not in "".join(thread)


async def test_opted_out_people_get_no_automatic_data(dana: Texting) -> None:
    await dana.texts("STOP")
    await dana.texts("BALANCE")
    assert await dana.sent() == []
    assert len(await dana.cards()) == 2, "a person may call them"
    card = await dana.card()
    assert "Opted out of texts" in said(card)
    assert "thread.reply" not in buttons(card)


async def test_two_machines_do_not_talk_for_ever(dana: Texting) -> None:
    words = ("BALANCE", "PAY", "help!", "INVOICE", "how much do i owe", "pay online", "saldo", "my invoice")
    for _ in range(4):
        for one in words:
            await dana.texts(one)
    assert len(await dana.sent()) <= MOST_AN_HOUR


async def test_a_flood_becomes_one_line_a_minute(dana: Texting) -> None:
    count = SHOWN_A_MINUTE + 30
    for number in range(count):
        await dana.texts(f"text {number}")
    thread = await dana.thread()
    assert len(thread) == SHOWN_A_MINUTE + 1
    assert f"{count} texts within a minute" in thread[-1]
    assert f"text {count - 1}" in thread[-1]
    shown = said(await dana.agent().presses((await dana.lines())[-1], "thread.burst"))
    assert [f"text {number}" in shown for number in range(count)] == [True] * count, "every one can be read"


async def test_an_invoices_link_is_not_shown_in_the_channel(dana: Texting) -> None:
    await dana.texts("please call me")
    await dana.texts("INVOICE")
    assert "/i/" in (await dana.sent())[-1]
    thread = await dana.thread()
    assert "[link]" in thread[-1]
    assert "/i/" not in "\n".join(thread)


async def test_a_former_subscribers_card_says_so_and_shows_no_money(desk: Texting) -> None:
    archived = SubscriberStatus.ARCHIVED
    await cast.add(desk.store, "1315", mobile(PHONE), status=archived, balance=usd("31.00"))
    await desk.texts("I never got my invoice")
    card = said(await desk.card())
    assert "Former subscriber" in card
    assert "$31.00" not in card


async def test_the_card_of_an_account_that_another_pays_names_the_payer_and_no_money(desk: Texting) -> None:
    await cast.add(desk.store, "1100")
    await cast.add(desk.store, "1103", mobile(PHONE), payer_account="1100", balance=usd("31.00"))
    await desk.texts("I never got my invoice")
    card = said(await desk.card())
    assert "Account *1100* pays for it" in card
    assert "$31.00" not in card


@pytest.mark.parametrize(
    ("words", "language", "answered"),
    [
        ("unsubscribe me from these messages", "en", "you get no more texts"),
        ("this is the wrong number", "es", "you get no more texts"),
        ("ALTO", "en", "ya no recibe usted"),
        ("desabonner", "en", "vous ne recevrez plus"),
    ],
)
async def test_an_answer_speaks_the_language_of_the_words(
    desk: Texting, words: str, language: str, answered: str
) -> None:
    await cast.add(desk.store, "1001", mobile(PHONE), language=language)
    await desk.texts(words)
    assert answered in (await desk.sent())[-1]


async def test_a_long_conversation_is_not_a_flood(dana: Texting, clock: FakeClock) -> None:
    for number in range(2 * SHOWN_A_MINUTE):
        await dana.texts(f"text {number}")
        clock.advance(seconds=20)
    assert len(await dana.thread()) == 2 * SHOWN_A_MINUTE


@pytest.mark.parametrize(
    "hostile",
    [
        "<!channel> pay here <https://evil.example|https://bank.example>",
        "*bold* ```fence``` &amp;",
        "😀" * 800,
    ],
)
async def test_hostile_texts_are_shown_harmlessly(dana: Texting, hostile: str) -> None:
    await dana.texts(hostile)
    assert len(await dana.thread()) == 1  # `legal` has looked at it
    await dana.card()


async def test_opt_outs_leave_an_audit_row(dana: Texting) -> None:
    sid = await dana.texts("STOP")
    async with dana.store.read(1) as tx:
        assert await opted_out(tx, PHONE) is not None
        assert await opted_out(tx, SENDER) is None
        line = await tx.conversations.line_once(sid)
        assert line is not None
        (row,) = await tx.audit.of(f"conversation:{line.conversation_id}")
    assert (row.action, row.actor, row.detail["message"]) == ("sms.opt_out", "subscriber", sid)
    assert row.personal["number"] == PHONE


@pytest.mark.parametrize("keyword", ["BALANCE", "INVOICE"])
async def test_a_number_of_a_former_subscriber_alone_is_told_nothing_by_itself(
    desk: Texting, keyword: str
) -> None:
    gone = {"status": SubscriberStatus.ARCHIVED, "balance": usd("31.00")}
    await cast.add(desk.store, "1315", mobile(PHONE), invoices=("20315",), **gone)
    await desk.texts(keyword)
    assert await desk.sent() == [], "numbers are given to strangers again"
    assert keyword in (await desk.thread())[0]


async def test_a_number_that_moved_during_a_conversation_is_about_whoever_has_it_now(dana: Texting) -> None:
    await dana.texts("when do you come?")
    assert "Dana" in said(await dana.card())
    await cast.add(dana.store, "1001", billing_email("dana@inbox.example"), name="Dana Whitfield")
    await cast.add(dana.store, "1402", mobile(PHONE), name="Omar Reyes", balance=usd("5.00"))
    card = said(await dana.card())
    assert "Dana" not in card, "her balance is no longer shown beside a stranger's words"
    assert "1001" not in card
    await dana.texts("BALANCE")
    assert await dana.sent() == [f"{BRAND}: your balance is $5.00. A payment of today may not show yet."]
    assert "account *1402*" in said(await dana.card())
    assert any("not on the account any more" in line for line in await dana.thread())


async def test_a_number_that_is_on_no_account_any_more_is_unmatched(dana: Texting) -> None:
    await dana.texts("when do you come?")
    await cast.add(dana.store, "1001", billing_email("dana@inbox.example"), name="Dana Whitfield")
    await dana.texts("INVOICE")
    assert await dana.sent() == []
    assert "Unmatched" in said(await dana.card())

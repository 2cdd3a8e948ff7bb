"""What subscribers write, and what is made of it: in rows, so that a rule can be argued with."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.intents import (
    LONGEST_READ,
    PROVIDER_WORDS,
    PROVIDER_WORDS_TOLL_FREE,
    REMOVED_CARD,
    Intent,
    IntentKind,
    Reaction,
    normalise,
    read_intent,
    redact_cards,
)

K = IntentKind
VISA = "4111111111111111"
CARDS = (
    VISA,
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "6011111111111117",
    "3530111333300000",
)


def kind(text: str, *, opted_out: bool = False, media: int = 0, accounts: int = 1) -> IntentKind:
    return read_intent(text, opted_out=opted_out, media=media, accounts=accounts).kind


STOP_WORDS = ("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL")


@pytest.mark.parametrize("word", STOP_WORDS)
def test_twilios_stop_words_are_definitive_and_already_answered(word: str) -> None:
    for typed in (word, word.lower(), word.title(), f" {word}\n"):
        found = read_intent(typed)
        assert (found.kind, found.answered_by_provider) == (K.STOP, True)


@pytest.mark.parametrize(
    "typed", ["STOP.", "stop!!!", "“Stop”", "*STOP*", "STOP 🛑", "ＳＴＯＰ", "S\u200bTOP", "Cancel."]
)
def test_a_stop_word_in_other_dress_is_definitive_and_ours_to_answer(typed: str) -> None:
    found = read_intent(typed)
    assert (found.kind, found.answered_by_provider) == (K.STOP, False)


@pytest.mark.parametrize(
    "typed",
    [
        "Stop. Thank you",
        "please stop",
        "STOP PLEASE",
        "ok stop now",
        "STOP STOP STOP",
        "S.T.O.P.",
        "cancel please",
        "stop it",
        "opt out",
        "OPT-OUT",
        "Stop! I already paid",
        "STOP, wrong person",
        "I paid last week. Stop.",
        "stop texting me",
        "Stop Texting Me!!",
        "can you stop texting me",
        "I asked you to stop texting me",
        "I'm not John. Stop texting me",
        "no, stop texting me",
        "if you don't stop texting me I will call a lawyer",
        "stop sending me these messages",
        "stop sending me this crap",
        "stop all of these texts",
        "stop the payment reminders",
        "quit texting my phone",
        "stop calling and texting me",
        "stop calling me",
        "stop bothering me",
        "cancel reminders",
        "cancel these text messages",
        "don't text me",
        "Please do not contact me again",
        "never text me again",
        "no more texts please",
        "unsubscribe me",
        "How do I unsubscribe?",
        "I want to opt out",
        "opt out of these texts",
        "opt me out",
        "remove me",
        "Remove me from your list",
        "take me off this list",
        "remove my number",
        "lose my number",
        "I revoke my consent",
        "wrong number",
        "Wrong number!!",
        "you have the wrong number",
        "Sorry, I think you have the wrong person",
        "unsubcribe",
        "ALTO",
        "Pare",
        "pare por favor",
        "PAREN",
        "basta",
        "baja",
        "CANCELAR",
        "no me escriban",
        "No me escriban más, por favor",
        "no me manden más mensajes",
        "ya no me envíen textos",
        "dejen de escribirme",
        "deje de mandarme mensajes",
        "no quiero recibir más mensajes",
        "no quiero mensajes",
        "número equivocado",
        "numero equivocado",
        "se equivocó de número",
        "quítenme de la lista",
        "ARRET",
        "ARRÊT",
        "arrêtez",
        "Arrêtez de m'envoyer des textos",
        "ne m’écrivez plus",
        "je ne veux plus recevoir de messages",
        "mauvais numéro",
        "vous vous trompez de numéro",
        "désabonnez-moi",
    ],
)
def test_loose_forms_stop_the_texts_and_are_ours_to_confirm(typed: str) -> None:
    found = read_intent(typed)
    assert (found.kind, found.answered_by_provider) == (K.LOOSE_STOP, False), found.rule


@pytest.mark.parametrize(
    "typed",
    [
        "cancel my internet",
        "I want to cancel",
        "How do I cancel my service?",
        "please cancel everything",
        "cancel it",
        "stop my service",
        "end my internet service",
        "close my account",
        "disconnect my internet please",
        "I want to quit",
        "quiero cancelar mi internet",
        "cancela mi servicio",
        "quiero darme de baja",
        "dar de baja el internet",
        "résilier",
        "je veux annuler mon abonnement",
    ],
)
def test_who_may_mean_the_service_is_asked_by_an_agent(typed: str) -> None:
    assert kind(typed) is K.AMBIGUOUS_CANCEL


@pytest.mark.parametrize(
    "typed",
    [
        # Stop, end, quit, cancel with another meaning.
        "stop by my house",
        "can you stop by tomorrow and text me when you are here",
        "please end the outage",
        "please end the internet outage",
        "When will it end, text me when it is fixed",
        "end of month is fine",
        "I want to quit smoking",
        "my wifi is non-stop dropping",
        "the router does not stop beeping",
        "my texts stop working at night",
        "stop charging me late fees",
        "stop emailing me",
        "stop sending me paper bills",
        "I can't make it stop",
        # Turned round.
        "don't stop",
        "Don’t stop texting me",
        "please don't ever stop sending me reminders",
        "did you stop texting me?",
        "why did you stop sending me texts",
        "I didn't mean to unsubscribe",
        "please don't cancel my service",
        "why did you cancel my service",
        "if I cancel my plan is there a fee?",
        "I don't want to cancel",
        "no quiero cancelar mi servicio",
        "no paren de mandar mensajes",
        "why don't you text me when there is an outage",
        "you don't text me any more",
        # An object that an agent reads like any other.
        "cancel my appointment",
        "Please cancel the technician visit",
        "cancel autopay",
        "cancelar mi cita",
        "ya voy a cancelar mi factura",
        "annuler mon rendez-vous",
        "opt out of paper bills",
        "remove me from autopay",
        "I was billed for the wrong number of months",
        "I called the wrong number yesterday",
        "you have the wrong number on my account",
        "no me mandaron la factura",
        "no me llega la factura",
        # Our own words, quoted or sent back.
        "Cascade Internet: your bill is ready. Reply STOP to opt out, HELP for help",
        "Gostou de “Cascade: your bill is ready. Reply STOP to opt out”",
        # Words of ours inside a sentence.
        "can you help me with my router",
        "help me",
        "I need help",
        "yes I paid",
        "yes please call",
        "I already paid",
        "what is the balance between speed and price",
        "my invoice is wrong",
        "can I pay half now",
        "start date of my plan?",
        "more info about fiber please",
        "get me a list of outages",
        "thanks",
        "ok",
        "👍",
        "1",
        "",
        "   ",
        "?",
        "not interested",
        "Liked it a lot",
    ],
)
def test_what_only_sounds_like_a_command_goes_to_a_person(typed: str) -> None:
    assert kind(typed) is K.FREE_TEXT


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("START", K.START),
        ("unstop", K.START),
        ("start please", K.START),
        ("HELP", K.HELP),
        ("Help!", K.HELP),
        ("help please", K.HELP),
        ("info", K.HELP),
        ("AYUDA", K.HELP),
        ("aide", K.HELP),
        ("YES", K.YES),
        ("Sí", K.YES),
        ("oui", K.YES),
        ("BALANCE", K.BALANCE),
        ("balance?", K.BALANCE),
        ("What’s my balance?", K.BALANCE),
        ("how much do I owe", K.BALANCE),
        ("¿Cuánto debo?", K.BALANCE),
        ("saldo por favor", K.BALANCE),
        ("solde", K.BALANCE),
        ("INVOICE", K.INVOICE),
        ("resend", K.INVOICE),
        ("send me my bill please", K.INVOICE),
        ("Factura", K.INVOICE),
        ("ma facture svp", K.INVOICE),
        ("PAY", K.PAY),
        ("pay my bill", K.PAY),
        ("¿Cómo pago?", K.PAY),
        ("payer", K.PAY),
    ],
)
def test_keywords_are_known_as_the_whole_message(typed: str, meant: IntentKind) -> None:
    assert kind(typed) is meant


@pytest.mark.parametrize(
    ("typed", "opted_out", "meant", "answered"),
    [
        ("YES", False, K.YES, True),
        ("YES", True, K.START, True),
        ("Yes!", True, K.START, False),
        # Not Twilio's word and perhaps the answer to something else: consent is not guessed.
        ("yes please", True, K.YES, False),
        ("sí", True, K.YES, False),
        ("yes I paid", True, K.FREE_TEXT, False),
        ("START", True, K.START, True),
        ("STOP", True, K.STOP, True),
    ],
)
def test_yes_opts_in_only_who_is_opted_out(
    typed: str, opted_out: bool, meant: IntentKind, answered: bool
) -> None:
    found = read_intent(typed, opted_out=opted_out)
    assert (found.kind, found.answered_by_provider) == (meant, answered)


@pytest.mark.parametrize("word", sorted(PROVIDER_WORDS))
def test_the_network_of_toll_free_numbers_knows_fewer_words(word: str) -> None:
    assert read_intent(word, opted_out=True).answered_by_provider
    there = read_intent(word, opted_out=True, toll_free=True)
    assert there.answered_by_provider == (word in PROVIDER_WORDS_TOLL_FREE)
    assert there.kind is read_intent(word, opted_out=True).kind


@pytest.mark.parametrize(
    ("typed", "accounts", "choice"),
    [
        ("1", 2, 1),
        ("2", 2, 2),
        (" 2. ", 2, 2),
        ("2️⃣", 2, 2),
        ("the first one", 2, 1),
        ("account 2 please", 2, 2),
        ("la dos", 2, 2),
        ("le premier", 2, 1),
        ("3", 3, 3),
        ("3", 2, None),
        ("1", 1, None),
        ("12", 2, None),
        ("1 and 2", 2, None),
    ],
)
def test_a_number_chooses_among_the_accounts_that_share_the_phone(
    typed: str, accounts: int, choice: int | None
) -> None:
    found = read_intent(typed, accounts=accounts)
    assert (found.kind, found.choice) == (K.FREE_TEXT if choice is None else K.CHOICE, choice)


@pytest.mark.parametrize(
    ("typed", "reaction"),
    [
        ("Liked “Reply STOP to opt out”", Reaction("👍", "Reply STOP to opt out")),
        ('Loved "Your bill is ready"', Reaction("❤️", "Your bill is ready")),
        ("Disliked “STOP”", Reaction("👎", "STOP")),
        ("Laughed at “line one\nline two…”", Reaction("😂", "line one\nline two…")),
        ("Emphasized “x”", Reaction("‼️", "x")),
        ("Questioned “why?”", Reaction("❓", "why?")),
        ("Loved an image", Reaction("❤️", "")),
        ("Removed a heart from “x”", Reaction("❤️", "x", removed=True)),
        ("Removed an exclamation from “x”", Reaction("‼️", "x", removed=True)),
        ("Reacted 🎉 to “done”", Reaction("🎉", "done")),
        ("Removed 🎉 from “done”", Reaction("🎉", "done", removed=True)),
        ("\u200a\u200b👍\u200b to “\u200aok\u200a” \u200a", Reaction("👍", "ok")),
        ("👩‍💻 to “ok”", Reaction("👩‍💻", "ok")),
        ("Le gustó “Su factura está lista”", Reaction("👍", "Su factura está lista")),
        ("Le encantó “x”", Reaction("❤️", "x")),
        ("No le gustó “x”", Reaction("👎", "x")),
        ("Se rió de “x”", Reaction("😂", "x")),
        ("Reaccionó con 🔥 a “x”", Reaction("🔥", "x")),
        ("Le encantó una imagen", Reaction("❤️", "")),
        ("A adoré « à demain »", Reaction("❤️", "à demain")),
        ("N’a pas aimé « bof »", Reaction("👎", "bof")),
        ("S'est interrogé(e) sur « ok »", Reaction("❓", "ok")),
        ("A réagi avec 😂 à « lol »", Reaction("😂", "lol")),
        ("A retiré un J’aime de « x »", Reaction("👍", "x", removed=True)),
    ],
)
def test_a_tapback_is_a_reaction_and_never_an_opt_out(typed: str, reaction: Reaction) -> None:
    found = read_intent(typed)
    assert (found.kind, found.reaction) == (K.TAPBACK, reaction)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Liked “your text”. Now stop texting me", K.LOOSE_STOP),
        ("Liked your service", K.FREE_TEXT),
        ("Questioned an invoice", K.FREE_TEXT),
        ("Liked “", K.FREE_TEXT),
        ("Reacted badly to “the outage”", K.FREE_TEXT),
        ('Please "STOP"', K.LOOSE_STOP),
    ],
)
def test_what_only_resembles_a_tapback_is_read_as_text(typed: str, meant: IntentKind) -> None:
    assert kind(typed) is meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", K.MEDIA),
        ("this is my router", K.MEDIA),
        ("help", K.MEDIA),
        ("STOP", K.STOP),
        ("stop texting me", K.LOOSE_STOP),
        ("cancel my internet", K.AMBIGUOUS_CANCEL),
        ("START", K.START),
        (VISA, K.CARD_NUMBER),
    ],
)
def test_a_picture_makes_a_caption_of_all_but_consent_and_cards(typed: str, meant: IntentKind) -> None:
    found = read_intent(typed, media=2)
    assert (found.kind, found.media) == (meant, 2)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (VISA, REMOVED_CARD),
        ("4111 1111 1111 1111", REMOVED_CARD),
        ("4111-1111-1111-1111", REMOVED_CARD),
        ("4111\n1111\n1111\n1111", REMOVED_CARD),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", REMOVED_CARD),
        ("3782 822463 10005", REMOVED_CARD),
        ("４１１１１１１１１１１１１１１１", REMOVED_CARD),
        ("٤١١١١١١١١١١١١١١١", REMOVED_CARD),
        ("4\u200b111\u200b1111 1111 1111", REMOVED_CARD),
        ("1234 5678 1234 5670", REMOVED_CARD),  # no brand that is known, but in fours and the sum is right
        (f"card{VISA}now", f"card{REMOVED_CARD}now"),
        (f"acct 1042 {VISA} ok", f"acct 1042 {REMOVED_CARD} ok"),
        (f"{VISA} 12/27 123 97401 thanks", f"{REMOVED_CARD} thanks"),
        (f"{VISA}123", REMOVED_CARD),
        (f"{VISA} exp 12/27 cvv: 123", f"{REMOVED_CARD} exp 12/27 cvv: [code removed]"),
        (f"{VISA} or 5555 5555 5555 4444", f"{REMOVED_CARD} or {REMOVED_CARD}"),
        (f"STOP {VISA}", f"STOP {REMOVED_CARD}"),
    ],
)
def test_card_numbers_are_removed_however_they_are_written(typed: str, kept: str) -> None:
    assert redact_cards(typed) == kept
    assert read_intent(typed).redacted == kept
    assert read_intent(typed).has_card


@pytest.mark.parametrize(
    "typed",
    [
        "4111 1111 1111 1112",  # the sum is wrong
        "+1 (541) 555-0142",
        "541-555-0142 541-555-0199",
        "5415550142, 5415550199",
        "account 1042, invoice 10042, $125.00, due 12/05/2026",
        "490154203237518",  # IMEI
        "8901410321111851072",  # ICCID of a SIM card
        "0000 0000 0000 0000",
        "my code is 123, cvv 456",
    ],
)
def test_other_numbers_stay_readable(typed: str) -> None:
    assert redact_cards(typed) == typed
    assert not read_intent(typed).has_card


def test_a_card_number_is_reported_and_a_stop_beside_it_still_stops() -> None:
    assert kind(f"my card is {VISA}") is K.CARD_NUMBER
    assert kind(f"pay {VISA}") is K.CARD_NUMBER
    stop = read_intent(f"stop texting me {VISA}")
    assert (stop.kind, stop.has_card) == (K.LOOSE_STOP, True)


def test_a_tapback_that_quotes_a_card_number_keeps_none_of_it() -> None:
    found = read_intent(f"Liked “my card is {VISA}”")
    assert found.kind is K.TAPBACK
    assert found.reaction == Reaction("👍", f"my card is {REMOVED_CARD}")


@given(
    st.sampled_from(CARDS),
    st.lists(st.sampled_from(["", " ", "-", ".", " - ", "\n", "\u200b", "\u00a0"]), min_size=20, max_size=20),
    st.text(max_size=40),
    st.text(max_size=40),
)
def test_no_card_number_survives_its_punctuation(card: str, gaps: list[str], before: str, after: str) -> None:
    written = "".join(digit + gap for digit, gap in zip(card, gaps, strict=False)).strip()
    kept = redact_cards(f"{before} x {written} x {after}")
    assert REMOVED_CARD in kept
    assert written not in kept
    assert redact_cards(kept) == kept


@given(st.text(st.sampled_from("0123456789 -.x4５"), max_size=120))
def test_redaction_is_stable_and_touches_nothing_but_digits(text: str) -> None:
    kept = redact_cards(text)
    assert redact_cards(kept) == kept
    assert kept.replace(REMOVED_CARD, "").count("x") == text.count("x")


@given(st.sampled_from(STOP_WORDS), st.sampled_from(["", " ", ".", "!", "\n", " 🙏", "…"]), st.booleans())
def test_a_stop_word_is_never_missed_for_its_case_or_punctuation(
    word: str, tail: str, opted_out: bool
) -> None:
    assert kind(word.swapcase() + tail, opted_out=opted_out) is K.STOP


@given(st.sampled_from(STOP_WORDS), st.sampled_from(["please", "thanks", "por favor", "merci", "now"]))
def test_courtesy_around_a_stop_word_changes_nothing_but_who_confirms(word: str, filler: str) -> None:
    assert kind(f"{word}, {filler}") is K.LOOSE_STOP
    assert kind(f"{filler} {word}") is K.LOOSE_STOP


@given(st.text(max_size=300), st.booleans(), st.integers(0, 3), st.integers(1, 4))
def test_any_text_is_read_without_fault(text: str, opted_out: bool, media: int, accounts: int) -> None:
    found = read_intent(text, opted_out=opted_out, media=media, accounts=accounts)
    assert isinstance(found, Intent)
    assert found.redacted == redact_cards(text)
    assert (found.kind is K.CHOICE) == (found.choice is not None)
    assert (found.kind is K.TAPBACK) == (found.reaction is not None)
    if found.choice is not None:
        assert 1 <= found.choice <= accounts


@given(st.text(max_size=200))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Don’t  STOP!", "dont stop"),
        ("¿Cuánto debo?", "cuanto debo"),
        ("S\u200bTOP\u202e", "stop"),
        ("opt-out", "opt out"),
        ("ＳＴＯＰ", "stop"),
        ("Straße", "strasse"),
    ],
)
def test_words_are_what_is_left_of_case_accents_and_punctuation(typed: str, words: str) -> None:
    assert normalise(typed) == words


@pytest.mark.parametrize(
    "text",
    [
        " " * 60 + '"' + " " * 50_000,
        '"' * 50_000,
        "“aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 2_000,
        "a" + "\u0301\u0316" * 50_000,
        "stop all any these " * 5_000,
        "dont ever " * 10_000,
        "cancel a b c d e " * 5_000,
        "y " * 50_000,
        "\ufdfa" * 50_000,
        " -" * 50_000,
        "4" * 20_000,
        "6 " * 20_000,
        f"{VISA} " * 2_000,
    ],
    ids=str.__len__,
)
def test_hostile_text_is_read_in_bounded_time(text: str) -> None:
    started = time.process_time()
    read_intent(text)
    assert time.process_time() - started < 60, "far from what a runaway pattern would take"


def test_a_stop_behind_what_is_read_is_out_of_reach_of_a_real_message() -> None:
    assert LONGEST_READ >= 1_600
    assert kind("x" * 1_580 + ". STOP") is K.LOOSE_STOP

"""Reading an answer to "is this your address?": a yes is one only when nothing else is said."""

from __future__ import annotations

import time

import pytest

from handlers.asking import AnswerKind, read_answer

ASKED = "kevin.obrien@gmail.com"
YES, NO, ADDRESS, UNCLEAR = AnswerKind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, YES) for text in ("YES", "yes", "Yes!", "y", "Yep.", "yes please", "Yes, thank you")),
        *((text, YES) for text in ("SI", "Sí", "si gracias", "Sí, es correcto", "es mi correo", "así es")),
        *((text, YES) for text in ("Oui", "oui merci", "Correct", "That's correct", "Yes that's my e-mail")),
        *((text, YES) for text in ("yes it is", "it is mine", ASKED, ASKED.upper(), f"yes {ASKED}")),
        *((text, YES) for text in (f"My email is {ASKED}.", f"mi correo es {ASKED}", f"<{ASKED}>")),
        *((text, NO) for text in ("NO", "no", "Nope", "no thanks", "No, that's not mine", "wrong", "n")),
        *((text, NO) for text in ("no es", "No es mi correo", "non merci", "that is not right", "Not mine!")),
        *((text, ADDRESS) for text in ("kob@inbox.example", "no, it's kob@inbox.example")),
        *((text, UNCLEAR) for text in ("", "👍", "maybe", "who is this?", "yes but I also use another one")),
        *((text, UNCLEAR) for text in ("yes or no?", "no problem, yes", "it was", f"no {ASKED}")),
        *((text, UNCLEAR) for text in (f"my old one was {ASKED}", "a@inbox.example or b@inbox.example")),
        *((text, UNCLEAR) for text in (f"{ASKED} or b@inbox.example", "@", "me@", "write to me@nowhere")),
        *(
            (text, UNCLEAR)
            for text in ("yes?", "Yes???", "¿sí?", "it is?", "no?", f"{ASKED}?", f"yes {ASKED} ?")
        ),
        *((text, NO) for text in (f"not {ASKED}", f"No, it's not {ASKED}!", f"no es {ASKED}")),
        ("kob@inbox.example?", ADDRESS),
        ("I never got my invoice", UNCLEAR),
        ("yes I paid already", UNCLEAR),
    ],
)
def test_an_answer_is_read_for_what_it_surely_is(text: str, kind: AnswerKind) -> None:
    assert read_answer(text, ASKED).kind is kind


def test_another_address_is_read_without_what_stands_around_it() -> None:
    answer = read_answer("No! It is Kev.OBrien@Inbox.Example, thanks", ASKED)
    assert answer.address == "kev.obrien@inbox.example"


def test_a_hostile_answer_costs_nothing() -> None:
    began = time.process_time()
    for text in ("yes it is correct " * 100, "no no " * 300 + "x", "a@" * 800, "it is " * 300):
        assert read_answer(text, ASKED).kind is UNCLEAR
    assert time.process_time() - began < 0.2

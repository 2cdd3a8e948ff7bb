"""Opt-out words that Twilio handles by itself on long codes: who blocked which sender, and its answers.

Only a text that is nothing but the word counts; everything else is for the product to understand.
"""

from __future__ import annotations

from typing import Final

from sandbox.world import Documents

KIND: Final = "phone_block"
STOP_WORDS: Final = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"})
START_WORDS: Final = frozenset({"START", "YES", "UNSTOP"})
HELP_WORDS: Final = frozenset({"HELP", "INFO"})

STOPPED: Final = "You are unsubscribed and will get no more texts from this number. Text START to come back."
STARTED: Final = "You are subscribed again to texts from this number. Text HELP for help, STOP to end them."
HELPED: Final = "Text STOP to end texts from this number. Message and data rates may apply."


class OptOuts:
    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def blocked(self, number: str, sender: str) -> bool:
        return self._documents.get(KIND, f"{number} {sender}") is not None

    def block(self, number: str, sender: str) -> None:
        self._documents.put(KIND, f"{number} {sender}", {"number": number, "sender": sender})

    def numbers(self) -> set[str]:
        """The phones that have blocked any sender."""
        return {str(block["number"]) for block in self._documents.all(KIND)}

    def hear(self, number: str, sender: str, body: str) -> str | None:
        """Does what the text says if it is one of the words; Twilio's answer to the phone, if any."""
        word = body.strip().upper()
        blocked = self.blocked(number, sender)
        if word in STOP_WORDS and not blocked:
            self.block(number, sender)
            return STOPPED
        if word in START_WORDS and blocked:
            self._documents.delete(KIND, f"{number} {sender}")
            return STARTED
        if word in HELP_WORDS and not blocked:
            return HELPED
        return None

"""The texts that answer subscribers by themselves, in English, Spanish and French. Pure.

Each names the brand, as CTIA's messaging principles want it, and stays within the characters of GSM-7 (no
accented a, i, o or u in Spanish, no circumflex in French), so that it costs one segment, not two.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from handlers.intents import normalise

LANGUAGES = ("en", "es", "fr")


class Auto(StrEnum):
    """Which text; also what tells them apart in the conversation."""

    STOPPED = "stopped"
    STARTED = "started"
    HELP = "help"
    BALANCE = "balance"
    BALANCE_ZERO = "balance_zero"
    BALANCE_CREDIT = "balance_credit"
    INVOICE = "invoice"
    NO_INVOICE = "no_invoice"
    PAY = "pay"
    PAY_BY_PHONE = "pay_by_phone"
    CARD = "card"
    WHICH = "which"
    ADDRESS_SENT = "address_sent"
    ADDRESS_NOTED = "address_noted"


_TEXTS: dict[Auto, tuple[str, str, str]] = {
    Auto.STOPPED: (
        "{brand}: you get no more texts from us. Text START if you change your mind.",
        "{brand}: ya no recibe usted nuestros mensajes. Responda START si cambia de idea.",
        "{brand}: vous ne recevrez plus de SMS de notre part. Pour les reprendre, répondez START.",
    ),
    Auto.STARTED: (
        "{brand}: you get our texts again. Reply STOP to end them, HELP for help.",
        "{brand}: recibe usted de nuevo nuestros mensajes. STOP para terminar, HELP para ayuda.",
        "{brand}: vous recevez de nouveau nos SMS. STOP pour y mettre fin, HELP pour de l'aide.",
    ),
    Auto.HELP: (
        "{brand}: help at {contact}. Text BALANCE, INVOICE or PAY, or just ask. STOP ends texts.",
        "{brand}: ayuda en {contact}. Escriba SALDO, FACTURA, PAGAR o su pregunta. STOP cancela.",
        "{brand}: aide au {contact}. Envoyez SOLDE, FACTURE, PAYER ou votre question. STOP met fin aux SMS.",
    ),
    Auto.BALANCE: (
        "{brand}: your balance is {amount}. A payment of today may not show yet.",
        "{brand}: su saldo es de {amount}. Un pago de hoy puede tardar en verse.",
        "{brand}: votre solde est de {amount}. Un paiement du jour peut tarder à s'afficher.",
    ),
    Auto.BALANCE_ZERO: (
        "{brand}: you owe nothing right now.",
        "{brand}: usted no debe nada en este momento.",
        "{brand}: vous ne devez rien en ce moment.",
    ),
    Auto.BALANCE_CREDIT: (
        "{brand}: you have {amount} in credit.",
        "{brand}: tiene usted {amount} a su favor.",
        "{brand}: vous avez {amount} à votre crédit.",
    ),
    Auto.INVOICE: (
        "{brand}: your invoice {number}: {link}",
        "{brand}: su factura {number}: {link}",
        "{brand}: votre facture {number} : {link}",
    ),
    Auto.NO_INVOICE: (
        "{brand}: there is no invoice on your account yet.",
        "{brand}: no hay facturas en su cuenta por ahora.",
        "{brand}: il n'y a pas encore de facture sur votre compte.",
    ),
    Auto.PAY: (
        "{brand}: pay safely at {portal} and never text a card number.",
        "{brand}: pague de forma segura en {portal} y nunca mande por mensaje una tarjeta.",
        "{brand}: payez en toute sécurité sur {portal}. N'envoyez jamais un numéro de carte.",
    ),
    Auto.PAY_BY_PHONE: (
        "{brand}: to pay, please call {contact}. Never text a card number.",
        "{brand}: para pagar, llame al {contact}. Nunca mande por mensaje una tarjeta.",
        "{brand}: pour payer, appelez le {contact}. N'envoyez jamais un numéro de carte.",
    ),
    Auto.CARD: (
        "{brand}: please never text a card number. We deleted it. To pay: {way}",
        "{brand}: por favor, nunca mande por mensaje una tarjeta. La hemos borrado. Para pagar: {way}",
        "{brand}: n'envoyez jamais un numéro de carte. Nous l'avons effacé. Pour payer : {way}",
    ),
    Auto.WHICH: (
        "{brand}: which account is it about? Reply {options}.",
        "{brand}: ¿de qué cuenta se trata? Responda {options}.",
        "{brand}: de quel compte s'agit-il ? Répondez {options}.",
    ),
    Auto.ADDRESS_SENT: (
        "{brand}: thank you. We send your invoice {number} to {address} now.",
        "{brand}: gracias. Le enviamos ahora su factura {number} a {address}.",
        "{brand}: merci. Nous envoyons maintenant votre facture {number} à {address}.",
    ),
    Auto.ADDRESS_NOTED: (
        "{brand}: thank you. Your invoices go to {address} from now on.",
        "{brand}: gracias. Desde ahora enviamos sus facturas a {address}.",
        "{brand}: merci. Vos factures vont désormais à {address}.",
    ),
}
_OPTION = (
    "{n} for account ending {ending}",
    "{n} para la cuenta que termina en {ending}",
    "{n} pour le compte finissant par {ending}",
)


def text_of(which: Auto, language: str, **values: str) -> str:
    """`language` is one of LANGUAGES; anything else is English."""
    return _TEXTS[which][_index(language)].format(**values)


def options(accounts: Sequence[str], language: str) -> str:
    """`1 for account ending 04, 2 for account ending 05`: as many last digits as tell them apart."""
    length = next(
        (n for n in range(2, 20) if len({account[-n:] for account in accounts}) == len(accounts)), 20
    )
    one = _OPTION[_index(language)]
    return ", ".join(one.format(n=n, ending=account[-length:]) for n, account in enumerate(accounts, 1))


def _index(language: str) -> int:
    primary = language.partition("-")[0].casefold()
    return LANGUAGES.index(primary) if primary in LANGUAGES else 0


# Words that are of one language only. No English keyword of handlers.intents: whoever speaks another
# language writes those too, since our texts name them.
_WORDS = {
    language: frozenset(words.split("|"))
    for language, words in {
        "en": "unsubscribe|remove|delete|wrong|number|please|text|texting|texts|messages|message|from|these"
        "|this|the|my|you|your|am|is|are|was|dont|never|already|got|get|it|and|to",
        "es": "alto|pare|paren|parar|basta|detener|cancelar|baja|salir|equivocado|iniciar|comenzar|reanudar"
        "|suscribir|ayuda|informacion|saldo|debo|cuanto|factura|recibo|reenviar|enviar|pagar|pago|quiero"
        "|gracias|hola|favor|mensajes|mande|manden|escriba|escriban|molesten|numero|cuenta|tarjeta|mi|mis|su"
        "|sus|nos|los|esto",
        "fr": "arret|arreter|arretez|arrete|annuler|desabonner|desinscrire|demarrer|commencer|reprendre"
        "|abonner|aide|solde|combien|dois|facture|renvoyer|envoyer|payer|paiement|veux|merci|bonjour|salut|ecrire"
        "|messages|plus|numero|compte|carte|ma|mon|mes|vous|nous|votre|de",
    }.items()
}


def language_of(text: str, known: str) -> str:
    """The language to answer in: that of the words when they tell, else `known`, the subscriber's own."""
    said = normalise(text).split()
    hits = {language: sum(word in words for word in said) for language, words in _WORDS.items()}
    best = max(hits, key=lambda language: hits[language])
    if hits[best] and list(hits.values()).count(hits[best]) == 1:
        return best
    return LANGUAGES[_index(known)]

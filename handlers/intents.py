"""What a subscriber's text asks for, and what of it may be kept.

Follows 47 CFR 64.1200(a)(10) (definitive words, any reasonable means), CTIA's keyword practice, and Twilio's
default keywords, which match a message of that one word and nothing else. A rule decides only when it is
sure; what is unsure goes to a person (FREE_TEXT). English, Spanish and French. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from stdnum import luhn

REMOVED_CARD = "[card number removed]"
REMOVED_CODE = "[code removed]"
LONGEST_READ = 2_000
"""Characters that the rules look at; a body has at most 1,600. Redaction covers all of it."""


class IntentKind(StrEnum):
    STOP = "stop"
    LOOSE_STOP = "loose_stop"
    AMBIGUOUS_CANCEL = "ambiguous_cancel"
    START = "start"
    HELP = "help"
    YES = "yes"
    BALANCE = "balance"
    INVOICE = "invoice"
    PAY = "pay"
    CHOICE = "choice"
    CARD_NUMBER = "card_number"
    TAPBACK = "tapback"
    MEDIA = "media"
    FREE_TEXT = "free_text"


@dataclass(frozen=True, slots=True)
class Reaction:
    """The emoji put on (or taken off) the message that begins with `quoted`, which is empty for a picture."""

    emoji: str
    quoted: str
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """`redacted` is the only form of the text that may be stored, logged or posted.

    `rule` names what decided, for the banner that the agent sees. `answered_by_provider`: the body is one of
    Twilio's own words, so that an answer of ours is refused (21610) or a duplicate. The other way round, a
    START that is not exactly Twilio's word does not lift Twilio's own block. `has_card` is set whatever the
    kind: a STOP with a card number in it is a STOP, and the subscriber is still to be warned.
    """

    kind: IntentKind
    redacted: str
    rule: str = ""
    answered_by_provider: bool = False
    choice: int | None = None
    reaction: Reaction | None = None
    has_card: bool = False
    media: int = 0


K = IntentKind
_INVISIBLE = ("Mn", "Me", "Cf")
"""Categories that leave no gap within a word: accents, keycaps, zero-width characters, directions."""


def _phrases(table: str) -> frozenset[str]:
    return frozenset(table.split("|"))


# Twilio's defaults on long codes; on toll-free numbers the network answers STOP, START and UNSTOP before
# Twilio does, and knows no other word for them.
PROVIDER_WORDS = _phrases("stop|unsubscribe|end|quit|stopall|revoke|optout|cancel|start|yes|unstop|help|info")
PROVIDER_WORDS_TOLL_FREE = _phrases("stop|start|unstop|help|info")

# 64.1200(a)(10) and Twilio: a revocation when it is the whole message. "opt out" is in the rule as well, but
# is no word of Twilio's: it stands with those that we confirm ourselves.
_STOP = _phrases("stop|unsubscribe|end|quit|stopall|revoke|optout|cancel")
# Even as a sentence of a longer message ("Stop. I already paid"); end, quit and cancel say too much else.
_STOP_SENTENCE = _phrases("stop|unsubscribe|stopall|optout|opt out|revoke|arretez|paren")
# Around a keyword these change nothing.
_FILLER_WORDS = _phrases(
    "please|pls|plz|plse|kindly|just|now|right now|immediately|asap|already|and|ok|okay|hi|hello|hey|sorry"
    "|thanks|thank you|thank u|thx|ty|sir|maam|por favor|porfavor|porfa|favor|gracias|hola|ya|ahora|y"
    "|merci|svp|stp|sil vous plait|sil te plait|bonjour|salut|maintenant|et"
)

# The whole message without filler; case, accents and punctuation are off already.
_WHOLE: dict[IntentKind, str] = {
    # CTIA wants stop words in the language of the programme: ALTO, PARE, BAJA, CANCELAR and ARRET are what
    # carriers of Mexico, Spain and Canada document. The last line is typing errors.
    K.LOOSE_STOP: "opt out|opt me out|stop it|stop this|stop all|quit it|leave me alone|remove me|take me off"
    "|revoke consent|i revoke consent|i revoke my consent|lose my number"
    "|alto|pare|paren|para|parar|basta|ya basta|detener|detengan|detenganse|cancelar|baja|fin|salir|no mas"
    "|borrenme|quitenme|saquenme|eliminenme|dejenme en paz|equivocado|equivocada"
    "|arret|arreter|arretez|arrete|annuler|desabonner|desinscrire|desinscription|retirez moi"
    "|laissez moi tranquille"
    "|stopp|sotp|stpo|unsuscribe|unsubcribe|unsubscibe|unsubscribed|un subscribe",
    # Whoever wants to quit may mean the texts or the service.
    K.AMBIGUOUS_CANCEL: "i want to quit|i want to stop|i want to end|i quit|stop everything|quiero parar"
    "|de baja|darme de baja|quiero darme de baja|denme de baja|dar de baja"
    "|resilier|resiliation|cancellation|cancelation|cancelacion",
    K.START: "start|unstop|opt in|optin|subscribe|resubscribe|opt me in|opt me back in"
    "|iniciar|comenzar|reanudar|suscribir|demarrer|commencer|reprendre|abonner",
    # Not "help me" or "I need help": those want a person, not our address.
    K.HELP: "help|info|ayuda|aide|information|informacion|informations",
    K.YES: "yes|si|oui",
    K.BALANCE: "balance|bal|my balance|account balance|check balance|whats my balance|what is my balance"
    "|how much do i owe|amount due|how much is my bill"
    "|saldo|mi saldo|cual es mi saldo|cuanto debo|cuanto es|solde|mon solde|combien je dois|combien dois je",
    K.INVOICE: "invoice|my invoice|bill|my bill|copy of my bill|resend|resend invoice|resend my invoice"
    "|resend bill|resend my bill|send invoice|send my invoice|send me my invoice|send bill|send my bill"
    "|send me my bill|factura|mi factura|recibo|reenviar|reenviar factura|enviar factura"
    "|envieme mi factura|mande mi factura"
    "|facture|ma facture|renvoyer|renvoyer facture|renvoyer ma facture|envoyer facture",
    K.PAY: "pay|pay bill|pay my bill|pay invoice|pay my invoice|pay online|payment|payment link|link to pay"
    "|make payment|make a payment|how do i pay|how can i pay|how to pay|i want to pay|i want to pay my bill"
    "|pagar|pagar factura|pagar mi factura|pago|como pago|como puedo pagar|quiero pagar"
    "|payer|payer facture|payer ma facture|paiement|comment payer|je veux payer",
}

_TEXTS = (
    r"(?:text(?:s|ing|in)?|txts?|txting|text messag(?:es?|ing)|messag(?:es?|ing)|msgs?|msging|sms"
    r"|notifications?|alerts?|reminders?)"
)
_BETWEEN = (
    r"(?:(?:all(?: of)?|any|these|those|this|the|your|more|further|with|my|me|us"
    r"|sending|getting|receiving|calling and|emailing and|automated|automatic|marketing"
    r"|promotional|spam|billing|invoice|payment) ){0,4}"
)
_NO_SUBJECT = "".join(rf"(?<!\b{who} )" for who in ("you", "u", "they", "we", "i", "people"))
# After "no me" only a subjunctive is an order: "no me mandaron" is "they did not send me".
_ES_WRITE = r"(?:escriba[ns]?|textee[ns]?|moleste[ns]?|contacte[ns]?|mensajee[ns]?)"
_ES_SEND = r"(?:mande[ns]?|envie[ns]?|llame[ns]?)"
_ES_VERB = r"(?:escribir|mandar|enviar|molestar|textear|contactar|llamar|fastidiar)(?:me|nos)?"
_FR_VERB = r"(?:m|me |nous )?(?:ecrire|envoyer|texter|contacter|appeler|deranger|harceler)"

# Anywhere in a sentence: a revocation by reasonable means, in the subscriber's own words.
_LOOSE: dict[str, str] = {
    "not_heard": r"\b(?:you|u|yall|they) (?:guys )?(?:dont|do not|wont|will not|never|cant) stop "
    rf"{_BETWEEN}{_TEXTS}\b",
    "stop_texting": rf"\b(?:stop|quit|cease|halt) {_BETWEEN}{_TEXTS}\b",
    # Not: "when will it end, text me".
    "end_texts": rf"\b(?:end|cancel) {_BETWEEN}{_TEXTS}\b(?! (?:me|us|when|if|at)\b)",
    "stop_contact": r"\b(?:stop|quit|cease) "
    r"(?:contacting|bothering|harassing|spamming|pestering|calling|writing) (?:me|us)\b",
    # Not: "stop sending me paper bills".
    "stop_sending": r"\b(?:stop|quit) sending (?:me|us|this|these|those|it|stuff)\b"
    r"(?!(?: \w+){0,3} (?:paper|e ?mails?|mail|letters?)\b)",
    # Not: "why don't you text me", "you don't text me" (they would like to be texted).
    "do_not_text": rf"{_NO_SUBJECT}\b(?:dont|do not|never) (?:ever )?(?:call or )?"
    r"(?:text|txt|message|msg|sms|contact|write) (?:me|us|this number|here)\b",
    "no_more": rf"(?:^|\bplease |\bwant |\bsend )no more (?:of )?(?:these |your )?{_TEXTS}\b",
    # Not: "opt out of paper bills".
    "opt_out": rf"\bopt(?:ing)? (?:me )?out\b(?! of\b(?! {_BETWEEN}(?:{_TEXTS}|this|these|it|all)\b))",
    "unsubscribe": r"\bunsubscribe\b",
    # Not: "remove me from autopay".
    "remove_me": r"\b(?:remove me|delete me|take me off|get me off)(?:$|(?: from| of)?"
    rf"(?: (?:this|your|the|all|any|these|my))?(?: \w+){{0,2}} (?:lists?|database|system|{_TEXTS})\b)",
    "remove_number": r"\b(?:remove|delete|lose|erase) (?:my|this) (?:phone |cell )?number\b",
    # Not: "the wrong number of days", "I called the wrong number", "wrong number on my account".
    "wrong_number": r"(?<!\bcalled the )(?<!\bdialed the )(?<!\btexted the )(?<!\bgave you the )(?<!\bmy )"
    r"\bwrong (?:number|person|phone|guy|lady|contact)\b(?! (?:of|on|for|in|listed|at)\b)",
    "es_write": rf"\bno (?:me|nos) {_ES_WRITE}\b",
    "es_send": rf"\bno (?:me|nos) {_ES_SEND}(?: mas)?(?: (?:mensajes|textos|sms|esto|nada))+\b"
    rf"|\bno (?:me|nos) {_ES_SEND} mas$",
    "es_stop": rf"\b(?:deje[ns]?|deja|paren?|pares) de {_ES_VERB}\b",
    "es_no_more": r"\bno (?:quiero|deseo)(?: recibir)?(?: mas)?(?: (?:sus|estos|los|tus))?"
    r" (?:mensajes|textos|sms)\b|(?:^|\bpor favor )no mas (?:mensajes|textos|sms)\b",
    "es_wrong": r"\b(?:numero|persona|telefono) equivocad[oa]\b|\bequivoc\w+ de (?:numero|persona)\b",
    "es_list": r"\b(?:borr|quit|saqu|elimin)e[ns]?me de (?:la|su|esta|sus|esa) listas?\b"
    r"|\b(?:dar|den|de|da)(?:me)? de baja de (?:los |estos |sus )?(?:mensajes|textos|sms)\b"
    r"|\bcancel(?:ar|en|e) (?:los |estos |sus |mis )?(?:mensajes|textos|sms)\b",
    "fr_stop": rf"\barret(?:e|er|ez) de {_FR_VERB}\b",
    "fr_no_more": r"\bne (?:m|me |nous )?(?:ecri\w+|envo\w+|text\w+|contact\w+|derang\w+) plus\b"
    rf"|\bne plus {_FR_VERB}\b|^plus de (?:messages|textos|sms)\b"
    r"|\bveux plus (?:recevoir )?(?:de |vos |ces |aucun )?(?:messages?|textos?|sms)\b",
    "fr_wrong": r"\b(?:mauvais|faux) numero\b|\berreur de numero\b|\btromp\w+ de (?:numero|personne)\b",
    "fr_list": r"\b(?:desabonn|desinscri)\w*\b",
}

# An object that is neither the texts nor the service: an agent reads it like any other message. In American
# Spanish "cancelar la factura" is to pay it.
_OTHER_OBJECT = (
    r"(?! (?:\w+ ){0,4}(?:appointments?|appt|visit|technician|tech|install|installation|order|payments?"
    r"|auto ?pay|fees?|charges?|card|ticket|meeting|call|upgrade|request|equipment|check|transfer"
    r"|cita|visita|pagos?|tecnico|factura|deuda|recibo|saldo|mensualidad|monto|orden"
    r"|rendez vous|rdv|commande|paiement|facture)\b)"
)
_CANCEL: dict[str, str] = {
    "cancel": rf"\bcancel\b{_OTHER_OBJECT}",
    "end_service": r"\b(?:stop|end|quit|terminate|discontinue|disconnect|close|drop|shut off) "
    r"(?:my|our|the|this|all)(?: \w+)? (?:services?|internet|wi ?fi|account|plan|subscription|contract|line"
    r"|package)\b(?! (?:outage|drop|cut|problem|issue|down|interruption))",
    "es_cancel": rf"\b(?:cancel(?:ar|en|e|a)|(?:dar|den|dame|denme|darme) de baja)\b{_OTHER_OBJECT}",
    "fr_cancel": rf"\b(?:annuler|annulez|resilier|resiliez)\b{_OTHER_OBJECT}",
}

# What stands directly before and turns it round: "don't stop texting me", "I did not ask you to stop", "why
# did you cancel my service", "if I cancel".
_DENIED = re.compile(
    r"\b(?:dont|do not|doesnt|didnt|did not|never|not|wont|will not|cant|cannot|wouldnt|should not|shouldnt)"
    r"(?: (?:ever|you|u|i|think|want|wanna|need|to|ask|asked|them|mean|meant|me|have|please|just|going))* $"
    r"|\b(?:did|have|has|had|why|when will|if|unless|before|until) (?:i|you|u|they|we|it|yall)"
    r"(?: (?:guys|all|people|ever|to|do|want))* $"
)
# Apart, because "no, stop texting me" denies nothing.
_DENIED_ROMANCE = re.compile(
    r"\bno(?: (?:quiero|deseo|queria|voy a|vayan a|me|lo|la|nos|se))* $"
    r"|\bne (?:veux )?pas $|\bantes (?:de )?(?:que )?$"
)
_UNDENIABLE = frozenset({"loose.not_heard", "loose.do_not_text", "loose.no_more"})

# Which account, when several share the number.
_NUMBERS = (
    "1|one|first|first one|uno|una|primera|primero|un|premier|premiere",
    "2|two|second|second one|dos|segunda|segundo|deux|deuxieme",
    "3|three|third|tres|trois",
    "4|four|cuatro|quatre",
    "5|five|cinco|cinq",
)
_BEFORE_NUMBER = _phrases("|the |number |no |option |account |la |el |le |opcion |numero ")

# Our own words, sent back or quoted by a phone whose reactions we do not know, are not the subscriber's.
_REMOVED = re.compile(f"{re.escape(REMOVED_CARD)}|{re.escape(REMOVED_CODE)}")
_QUOTED = re.compile(r"[“\"«„][^“”\"«»„]{25,}[”\"»“]")
_INSTRUCTION = re.compile(
    r"\b(?:reply|text|send|responda|envíe|répondez|textez)\W{1,3}(?:with\W{1,3})?"
    r"(?:stop|help|start|alto|arr[eê]t)\b(?:\W{1,3}(?:to|para|pour)\b[^.!?\n]{0,40})?",
    re.IGNORECASE,
)


def read_intent(
    text: str, *, opted_out: bool = False, media: int = 0, accounts: int = 1, toll_free: bool = False
) -> Intent:
    """What this message is about. `accounts` is how many the number maps to, `media` how many files came.

    A tapback quotes our own words ("Reply STOP") and is looked for first; then consent, which nothing else
    may hide; then a card number; a picture makes every lesser keyword a caption for an agent to read.
    """
    redacted = redact_cards(text)
    has_card = redacted != text
    read = redacted[:LONGEST_READ]
    if reaction := _tapback(read):
        return Intent(K.TAPBACK, redacted, "tapback", reaction=reaction, has_card=has_card, media=media)
    for ours in (_REMOVED, _QUOTED, _INSTRUCTION):
        read = ours.sub(" ", read)
    core = _without_filler(normalise(read))
    choice = None
    kind, rule = _consent(read, core, opted_out)
    if kind is not None:
        pass
    elif has_card:
        kind, rule = K.CARD_NUMBER, "card"
    elif media:
        kind, rule = K.MEDIA, "media"
    elif accounts > 1 and _CHOICES.get(core, accounts + 1) <= accounts:
        kind, rule, choice = K.CHOICE, "choice", _CHOICES[core]
    else:
        kind, rule = _KIND_OF.get(core, K.FREE_TEXT), "keyword" if core in _KIND_OF else "none"
    # Whether Twilio forgives a full stop is documented nowhere: an answer too many is refused or doubled,
    # which does less harm than none.
    provider = PROVIDER_WORDS_TOLL_FREE if toll_free else PROVIDER_WORDS
    answered = kind in (K.STOP, K.START, K.HELP, K.YES) and text.strip().lower() in provider
    return Intent(kind, redacted, rule, answered, choice, None, has_card, media)


def _consent(text: str, core: str, opted_out: bool) -> tuple[IntentKind | None, str]:
    said = normalise(text)
    words = core.split()
    if said in _STOP:
        return K.STOP, "stop.word"
    if words and _STOP.issuperset(words):
        return K.LOOSE_STOP, "stop.with_courtesy"  # "Stop. Thank you", "STOP STOP"
    if len(words) > 2 and "".join(words) in _STOP and all(len(word) == 1 for word in words):
        return K.LOOSE_STOP, "stop.spelled"
    # A bare YES is Twilio's own word for "again"; a "yes please" is not, and may answer anything.
    if opted_out and said == "yes":
        return K.START, "start.yes"
    kind = _KIND_OF.get(core)
    if kind in (K.LOOSE_STOP, K.AMBIGUOUS_CANCEL, K.START):
        return kind, f"{kind}.phrase"
    if any(_without_filler(normalise(clause)) in _STOP_SENTENCE for clause in _CLAUSE_END.split(text)):
        return K.LOOSE_STOP, "stop.sentence"
    # Sentence by sentence: "I'm not John. Stop texting me" denies nothing.
    sentences = [normalise(sentence) for sentence in _SENTENCE_END.split(text)]
    for rule, found, pattern in _RULES:
        if any(_applies(rule, pattern, sentence) for sentence in sentences):
            return found, rule
    return None, ""


def _applies(rule: str, pattern: re.Pattern[str], sentence: str) -> bool:
    denied = _DENIED_ROMANCE if ".es_" in rule or ".fr_" in rule else _DENIED
    return any(
        rule in _UNDENIABLE or not denied.search(sentence[max(0, match.start() - 60) : match.start()])
        for match in pattern.finditer(sentence)
    )


_RULES: tuple[tuple[str, IntentKind, re.Pattern[str]], ...] = (
    *((f"loose.{name}", K.LOOSE_STOP, re.compile(pattern)) for name, pattern in _LOOSE.items()),
    *((f"cancel.{name}", K.AMBIGUOUS_CANCEL, re.compile(pattern)) for name, pattern in _CANCEL.items()),
)
_KIND_OF = {phrase: kind for kind, phrases in _WHOLE.items() for phrase in phrases.split("|")}
_CHOICES = {
    lead + word: number
    for number, words in enumerate(_NUMBERS, 1)
    for word in words.split("|")
    for lead in _BEFORE_NUMBER
}
_FILLER = sorted((tuple(phrase.split()) for phrase in _FILLER_WORDS), key=len, reverse=True)
_APOSTROPHES = re.compile("['’‘ʼ`´′＇]")
_SENTENCE_END = re.compile(r"[.!?¡¿;\n\r]+")
_CLAUSE_END = re.compile(r"[.!?¡¿,;:\n\r]+|\s[-–—]+\s")


def normalise(text: str) -> str:
    """Words with single spaces: NFKC, case folded, accents, apostrophes, marks and punctuation off."""
    folded = unicodedata.normalize("NFKC", _APOSTROPHES.sub("", text)).casefold()
    kept: list[str] = []
    for char in unicodedata.normalize("NFKD", folded):
        if char.isalnum():
            kept.append(char)
        elif unicodedata.category(char) not in _INVISIBLE:
            kept.append(" ")
    return " ".join("".join(kept).split())


def core_of(text: str) -> str:
    """The words as `normalise` gives them, without courtesies around them."""
    return _without_filler(normalise(text))


def _without_filler(said: str) -> str:
    words = tuple(said.split())
    while phrase := next((f for f in _FILLER if words[: len(f)] == f), ()):
        words = words[len(phrase) :]
    while phrase := next((f for f in _FILLER if words[-len(f) :] == f), ()):
        words = words[: -len(phrase)]
    return " ".join(words)


# What iOS and Google Messages write for a reaction on a phone that cannot show one; the verbs normalised.
_REACTIONS = {
    "👍": "liked|le gusto|a aime",
    "❤️": "loved|le encanto|a adore",
    "👎": "disliked|no le gusto|na pas aime",
    "😂": "laughed at|le dio risa|se rio de|a ri de|a ri a",
    "‼️": "emphasized|emphasised|exclamo por|exclamo ante|enfatizo|destaco|a mis en evidence|a souligne"
    "|a insiste sur",
    "❓": "questioned|dudo sobre|cuestiono|a pose une question sur|sest interroge sur|sest interrogee sur"
    "|sest interroge e sur",
}
_TAKEN_OFF = {
    "👍": "like|me gusta|jaime",
    "❤️": "heart|me encanta|coeur",
    "👎": "dislike|no me gusta",
    "😂": "laugh|risa|rire",
    "‼️": "exclamation",
    "❓": "question mark",
}
_TAPBACK_VERB = {verb: emoji for emoji, verbs in _REACTIONS.items() for verb in verbs.split("|")}
_TAKEN_NAME = {name: emoji for emoji, names in _TAKEN_OFF.items() for name in names.split("|")}
_TAKEN = re.compile(
    r"(?:removed|quito|elimino|a retire)(?: (?:an?|una?|la|el|le|reaction))*(?: (.{1,30}?))?(?: from| de| a)"
)
_WITH_EMOJI = _phrases("to|reacted to|reacted with to|reacciono a|reacciono con a|a reagi a|a reagi avec a")
_PICTURE = re.compile(
    r"(.+?) (?:an? (?:image|photo|picture|video|movie|attachment|link|sticker|audio message|location|contact)"
    r"|una? (?:imagen|foto|video|archivo adjunto|enlace|audio)|une? (?:image|photo|video|piece jointe|lien))"
)
_FIRST_QUOTE = re.compile(r"[^“\"«„]{1,60}[“\"«„]")
_LAST_QUOTES = ("”", '"', "»", "“")


def _tapback(text: str) -> Reaction | None:
    # Google Messages pads with zero-width characters and thin spaces; a joiner may be part of the emoji.
    text = "".join(char for char in text if char == "\u200d" or unicodedata.category(char) != "Cf").strip()
    opening = _FIRST_QUOTE.match(text)
    if opening is None or not text.endswith(_LAST_QUOTES) or opening.end() >= len(text):
        picture = _PICTURE.fullmatch(normalise(text[:80]))
        emoji = _TAPBACK_VERB.get(picture[1]) if picture else None
        return Reaction(emoji, "") if emoji else None
    head, quoted = opening[0][:-1], text[opening.end() : -1].strip()
    verb = normalise(head)
    if emoji := _TAPBACK_VERB.get(verb):
        return Reaction(emoji, quoted)
    shown = "".join(word for word in head.split() if not normalise(word))
    if shown and verb in _WITH_EMOJI:
        return Reaction(shown, quoted)
    taken = _TAKEN.fullmatch(verb)
    emoji = (shown or _TAKEN_NAME.get(taken[1] or "")) if taken else None
    return Reaction(emoji, quoted, removed=True) if emoji else None


# Payment cards by leading digits and lengths (ISO/IEC 7812; the issuers' own pages).
_BRANDS = tuple(
    (re.compile(prefix), frozenset(lengths))
    for prefix, lengths in (
        ("4", (13, 16, 19)),
        ("5[1-5]|2(?:2[2-9]|[3-6]|7[0-2])", (16,)),
        ("3[47]|1800|2131", (15,)),
        ("3(?:0[0-5]|[689])", range(14, 20)),
        ("35|6|5[06-9]|81|82|220[0-4]|9792", range(16, 20)),
    )
)
_SHORTEST, _LONGEST = 13, 19
_GAP = 5  # separators between two digits of one number
_BEHIND = 4 + 4 + 5  # digits of expiry, security code and ZIP
_CODE = re.compile(
    r"\b((?:cvv2?|cvc2?|csc|cid|ccv|security code|c[oó]digo de seguridad|code de s[eé]curit[eé])"
    r"\W{0,3}(?:(?:is|es|est)\b)?\W{0,3})\d{3,4}\b",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Chain:
    """Digits that only punctuation or space stands between: values, places in the text, group numbers."""

    digits: str
    places: list[int]
    groups: list[int]


def redact_cards(text: str) -> str:
    """The text without payment card numbers, in whatever script, spacing or punctuation they are written.

    What follows a number in the same run of digits (expiry, code, ZIP) goes with it, and so does a labelled
    security code. Phone numbers, IMEI (15 digits) and ICCID (89...) stay. Linear in the text.
    """
    kept: list[str] = []
    at = 0
    for chain in _digit_chains(text):
        for start, end in _card_spans(chain):
            kept += (text[at:start], REMOVED_CARD)
            at = end
    return _CODE.sub(rf"\1{REMOVED_CODE}", "".join((*kept, text[at:]))) if kept else text


def _digit_chains(text: str) -> Iterator[_Chain]:
    digits: list[str] = []
    places: list[int] = []
    groups: list[int] = []
    gap = 0
    for place, char in enumerate(text):
        value = unicodedata.digit(char, None)
        if value is not None:
            groups.append(groups[-1] + (gap > 0) if groups else 0)
            digits.append(str(value))
            places.append(place)
            gap = 0
        elif unicodedata.category(char) not in _INVISIBLE:
            gap += 1
            if digits and (char.isalnum() or gap > _GAP):
                yield _Chain("".join(digits), places, groups)
                digits, places, groups = [], [], []
    yield _Chain("".join(digits), places, groups)


def _card_spans(chain: _Chain) -> Iterator[tuple[int, int]]:
    start, total = 0, len(chain.digits)
    while start <= total - _SHORTEST:
        length = _card_length(chain, start)
        if length == 0:
            start += 1
            continue
        end = start + length
        end = total if total - end <= _BEHIND else end
        yield chain.places[start], chain.places[end - 1] + 1
        start = end


def _card_length(chain: _Chain, start: int) -> int:
    digits = chain.digits
    brands = [lengths for prefix, lengths in _BRANDS if prefix.match(digits, start)]
    for length in range(min(_LONGEST, len(digits) - start), _SHORTEST - 1, -1):
        # A number of no brand that we know counts only when nothing else is with it; 89 is for telephony.
        alone = length == len(digits) and length >= 16 and not digits.startswith(("0", "89"))
        branded = any(length in lengths for lengths in brands)
        if not alone and not branded:
            continue
        sizes = _group_sizes(chain.groups, start, start + length)
        like_a_card = len(sizes) == 1 or set(sizes[:-1]) in ({4}, {1})
        if sizes and (branded or like_a_card) and luhn.is_valid(digits[start : start + length]):
            return length
    return 0


def _group_sizes(groups: list[int], start: int, end: int) -> list[int]:
    """Lengths of the groups between; none when one would be cut, or they are rather of phone numbers."""
    cut_before = start > 0 and groups[start - 1] == groups[start]
    cut_behind = end < len(groups) and groups[end - 1] == groups[end]
    if groups[start] == groups[end - 1]:
        # Within a longer run of digits (a code typed right behind the number) only what is issued today: an
        # IMEI is full of shorter numbers that happen to have the right sum.
        return [end - start] if end - start in (15, 16) or not (cut_before or cut_behind) else []
    if cut_before or cut_behind:
        return []
    sizes = [0] * (groups[end - 1] - groups[start] + 1)
    for group in groups[start:end]:
        sizes[group - groups[start]] += 1
    # Among other digits, and North American: 3, 3, 4. A card begins with four together, or one by one.
    phone = any(sizes[i : i + 3] == [3, 3, 4] for i in range(len(sizes) - 2)) or sizes[0] in (2, 3)
    return [] if phone and end - start < len(groups) else sizes

"""Builds the cast's rows from a fixed seed: the crowd by chance, the demo's stories by hand.

Money is counted in cents and written as decimals. An invoice falls due thirty days after it was issued, so
that the current month's are never overdue by themselves on whatever day the demo is opened.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from sandbox import cast_people as people
from sandbox.cast_mail import (
    BIG_DOMAIN,
    BUSINESS_DOMAIN,
    DEAD_MAILBOX,
    FULL_MAILBOX,
    GREYLIST_DOMAIN,
    STRICT_DOMAIN,
    TYPO_DOMAIN,
)
from sandbox.cast_rows import Invoice, Service, Subscriber

SEED: Final = 20_260_101
ACCOUNTS: Final = range(1001, 1501)
FIRST_INVOICE: Final = 20_001
MONTHS: Final = 12
DUE_AFTER: Final = timedelta(days=30)

# The one invoice whose number is also an account's, so that "which of the two do you mean" can be tried.
OVERLAP_NUMBER: Final = "1204"
OVERLAP_ACCOUNT: Final = "1050"

INTERNET_PLANS: Final = (
    ("Ridge 100", 5_495),
    ("Ridge 300", 6_995),
    ("Summit 500", 8_495),
    ("Summit Gigabit", 10_995),
    ("Valley Wireless 50", 4_795),
)
VOICE_PLAN: Final = ("Home Phone", 1_995)
TV_PLAN: Final = ("Stream TV Basic", 3_450)


@dataclass
class Person:
    """A subscriber while it is being made; `habit` tells how it pays."""

    account: str
    kind: str = "residential"
    status: str = "active"
    name: str = ""
    language: str = "en"
    email_billing: str = ""
    email_service: str = ""
    phone: str = ""
    address: str = ""
    city: str = ""
    state: str = ""
    zip: str = ""
    bill_to: str = ""
    invoice_notices: str = "yes"
    sms_consent: str = "yes"
    tags: str = ""
    package_status: str = "active"
    habit: str = "prompt"
    first_month: int = MONTHS - 1
    last_month: int = 0
    price: int = 0
    owed: int = 0
    credit: int = 0
    plans: list[tuple[str, str, int]] = field(default_factory=list)


# What the demo's stories and the importer's hard cases ask of single accounts; all else is chance.
SPECIAL: Final[dict[str, dict[str, str]]] = {
    "1001": {"name": "Maria Santos", "email_billing": "maria.santos@inbox.example"},
    "1042": {"name": "Kevin O'Brien", "email_billing": f"kevin.obrien@{TYPO_DOMAIN}", "habit": "two_open"},
    "1077": {"name": "Tomas Lindqvist", "email_billing": FULL_MAILBOX},
    "1100": {
        "kind": "business",
        "name": "Harborview Marina, Boats & Sons",
        "email_billing": f"ap@{BUSINESS_DOMAIN}, office@{BUSINESS_DOMAIN}; {DEAD_MAILBOX}",
        "email_service": f"dock@{BUSINESS_DOMAIN}",
    },
    "1103": {
        "kind": "business",
        "name": "Harborview Fuel Dock",
        "email_billing": "",
        "email_service": f"fuel@{BUSINESS_DOMAIN}",
        "bill_to": "1100",
    },
    "1107": {"kind": "business", "name": "Hops & Barley <Taproom> LLC"},
    "1112": {"kind": "business", "name": "Stone, Reyes & Whitaker, P.C."},
    "1150": {"name": "Ingrid Johansson", "email_billing": f"ingrid.johansson@{STRICT_DOMAIN}"},
    "1188": {"name": "Omar Haddad", "sms_consent": "no"},
    "1204": {"name": "Lucía Ibáñez", "language": "es"},
    "1205": {"name": "Raúl Ibáñez", "language": "es"},
    "1233": {"name": "Ángel Núñez D'Angelo", "language": "es"},
    "1260": {"name": "Curtis Boyd", "habit": "past_due", "package_status": "suspended"},
    "1277": {"name": "Wendy Larsen", "habit": "paid_yesterday"},
    "1290": {"name": "Ruth Whitaker"},
    "1301": {"name": "Mei Tanaka", "email_billing": f"mei.tanaka@{GREYLIST_DOMAIN}"},
    "1311": {"name": "Grace Okafor", "email_billing": f"grace.okafor@{BIG_DOMAIN}"},
    "1315": {"name": "Howard Price", "status": "archived"},
}
REPUTATION_CASES: Final = ("1019", "1066", "1128", "1174", "1219", "1311", "1342", "1398", "1457")
SUSPENDED: Final = ("1031", "1143", "1260", "1333", "1409")
HIBERNATED: Final = ("1088", "1196", "1364", "1471")
PROSPECTS: Final = ("1025", "1118", "1247", "1356", "1420", "1493")
ARCHIVED: Final = ("1013", "1093", "1161", "1255", "1315", "1377", "1444", "1488")
OTHER_CHILDREN: Final = {"1108": "1107", "1113": "1112", "1114": "1112"}
IN_CREDIT: Final = ("1037", "1210", "1388")
FIRE_TOWN, FIRE_TAG = "Grants Pass", "fire-2026"
"""Half of a town had to leave their houses."""
VIPS: Final = ("1001", "1100")
DRAFTS: Final = ("1061", "1183", "1299", "1402")
NAMED: Final = frozenset(
    {*SPECIAL, *REPUTATION_CASES, *SUSPENDED, *HIBERNATED, *PROSPECTS, *ARCHIVED, *OTHER_CHILDREN}
    | {*OTHER_CHILDREN.values(), *IN_CREDIT, *DRAFTS, OVERLAP_ACCOUNT}
)


def build(base: date, today: date) -> tuple[tuple[Subscriber, ...], tuple[Service, ...], tuple[Invoice, ...]]:
    """Subscribers, services and invoices; the newest monthly invoices are issued on `base`."""
    chance = random.Random(SEED)
    persons = _persons(chance)
    services = tuple(row for person in persons for row in _services(person, base, chance))
    invoices = tuple(_invoices(persons, base, today, chance))
    return tuple(_subscriber(person) for person in persons), services, invoices


def _persons(chance: random.Random) -> list[Person]:
    phones = list(people.PHONES)
    chance.shuffle(phones)
    used: set[str] = set()
    persons = {str(number): _person(str(number), phones.pop(), used, chance) for number in ACCOUNTS}
    persons["1205"].phone = persons["1204"].phone
    for account, parent in OTHER_CHILDREN.items():
        persons[account].bill_to = parent
        persons[account].email_billing = ""
    for account in IN_CREDIT:
        persons[account].habit = "good"
        persons[account].credit = 2_500
    for person in persons.values():
        _settle(person, chance)
    return list(persons.values())


def _person(account: str, phone: str, used: set[str], chance: random.Random) -> Person:
    person = Person(account=account, phone=phone)
    special = SPECIAL.get(account, {})
    if not special:
        person.kind = "business" if chance.random() < 0.11 else "residential"
        person.language = "es" if chance.random() < 0.2 else "en"
    for name, value in special.items():
        setattr(person, name, value)
    if not person.name:
        person.name = _name(person, used, chance)
    used.add(person.name)
    person.city, person.state, person.zip = chance.choice(people.TOWNS)
    person.address = f"{chance.randrange(100, 9900)} {chance.choice(people.STREETS)}"
    domain = BIG_DOMAIN if account in REPUTATION_CASES else chance.choice(people.ORDINARY_DOMAINS)
    if person.city == FIRE_TOWN and int(account) % 2:
        person.tags = FIRE_TAG
    if account in VIPS:
        person.tags = "; ".join(filter(None, (person.tags, "vip")))
    if "email_billing" not in special:
        person.email_billing = f"{_local_part(person.name)}.{account}@{domain}"
    if person.kind == "business" and "email_billing" not in special and chance.random() < 0.3:
        person.email_billing += f"{chance.choice((', ', ';'))}accounts.{account}@{domain}"
    if "email_service" not in special and chance.random() < 0.5:
        person.email_service = person.email_billing.partition(",")[0].partition(";")[0]
    if account not in NAMED:
        person.sms_consent = chance.choices(("yes", "no", ""), (80, 8, 12))[0]
    if account not in NAMED:
        if chance.random() < 0.05:
            person.phone, person.sms_consent = "", ""
        if chance.random() < 0.04:
            person.invoice_notices = "no"
    return person


def _name(person: Person, used: set[str], chance: random.Random) -> str:
    while True:
        if person.kind == "business":
            name = f"{chance.choice(people.BUSINESS_HEADS)} {chance.choice(people.BUSINESS_TAILS)}"
        elif person.language == "es":
            name = f"{chance.choice(people.FIRST_NAMES_ES)} {chance.choice(people.LAST_NAMES_ES)}"
        else:
            name = f"{chance.choice(people.FIRST_NAMES)} {chance.choice(people.LAST_NAMES)}"
        if name not in used:
            return name


ASCII: Final = str.maketrans("áéíóúñüÁÉÍÓÚÑÜ", "aeiounuAEIOUNU")


def _local_part(name: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in name.translate(ASCII).lower().replace("'", "")).split()
    return ".".join(words[:2])


def _settle(person: Person, chance: random.Random) -> None:
    """Statuses, plans and paying habits."""
    account = person.account
    if account in PROSPECTS:
        person.status, person.package_status, person.habit = "prospect", "pending", "none"
    elif account in ARCHIVED:
        person.status, person.package_status = "archived", "inactive"
        person.last_month = chance.randrange(4, 8)
        person.habit = "written_off" if chance.random() < 0.5 else "good"
    elif account in SUSPENDED:
        person.package_status, person.habit = "suspended", "past_due"
    elif account in HIBERNATED:
        person.package_status, person.last_month, person.habit = "hibernated", 2, "good"
    elif account in DRAFTS:
        person.habit = "draft"
    elif account not in NAMED:
        person.habit = chance.choices(("prompt", "good", "late", "partial"), (66, 24, 7, 3))[0]
        if chance.random() < 0.1:
            person.first_month = chance.randrange(1, MONTHS - 1)
    name, price = chance.choice(INTERNET_PLANS)
    person.plans.append(("internet", name, price))
    if chance.random() < 0.18:
        person.plans.append(("voice", *VOICE_PLAN))
    if chance.random() < 0.1:
        person.plans.append(("tv", *TV_PLAN))
    person.price = sum(price for _, _, price in person.plans)


def _services(person: Person, base: date, chance: random.Random) -> Iterator[Service]:
    for place, (kind, name, price) in enumerate(person.plans, start=1):
        package = f"P{person.account}-{place}"
        status = person.package_status
        if kind != "internet" and status in {"suspended", "hibernated"}:
            status = "active"  # hibernation is for internet packages; the demo suspends only those too
        until = ""
        if status == "hibernated":
            until = (base + timedelta(days=75)).isoformat()
        parts = [kind, "voice"] if kind == "internet" and person.kind == "business" and place == 1 else [kind]
        for letter, part in zip("ab", parts, strict=False):
            has_device = part == "internet"
            yield Service(
                account=person.account,
                package=package,
                name=name,
                kind=kind,
                status=status,
                status_until=until,
                price=decimal(price),
                currency="USD",
                service=f"S{person.account}-{place}{letter}",
                service_kind=part,
                service_status=status,
                ip=f"100.64.{int(person.account) % 250}.{chance.randrange(2, 254)}" if has_device else "",
                mac=_mac(chance) if has_device else "",
            )


def _mac(chance: random.Random) -> str:
    # The second hex digit 2 marks a locally administered address: no maker's prefix is borrowed.
    return ":".join(["02", *(f"{chance.randrange(256):02x}" for _ in range(5))])


def _invoices(persons: list[Person], base: date, today: date, chance: random.Random) -> Iterator[Invoice]:
    number = FIRST_INVOICE
    for months_ago in range(MONTHS - 1, -1, -1):
        issued = _months_before(base, months_ago)
        for person in persons:
            if person.habit == "none" or not person.last_month <= months_ago <= person.first_month:
                continue
            status, paid = _payment(person, months_ago, chance)
            if status in {"open", "partially_paid"}:
                person.owed += person.price - paid
            on_day = issued
            if person.habit == "paid_yesterday" and months_ago == 0:
                on_day = (
                    today - timedelta(days=7) - DUE_AFTER
                )  # fell due a week ago, the money came yesterday
            overlaps = months_ago == 0 and person.account == OVERLAP_ACCOUNT
            yield Invoice(
                number=OVERLAP_NUMBER if overlaps else str(number),
                account=person.account,
                status=status,
                issued_on=on_day.isoformat(),
                due_on=(on_day + DUE_AFTER).isoformat(),
                total=decimal(person.price),
                paid=decimal(paid),
                currency="USD",
            )
            number += 0 if overlaps else 1


# How many of the newest invoices are still open, by habit; the rest is paid.
OPEN_MONTHS: Final = {"two_open": 2, "past_due": 3, "late": 2, "prompt": 1, "partial": 1}


def _payment(person: Person, months_ago: int, chance: random.Random) -> tuple[str, int]:
    if months_ago < OPEN_MONTHS.get(person.habit, 0):
        if person.habit == "partial":
            return "partially_paid", person.price // 2
        return "open", 0
    if person.habit == "draft" and months_ago == 0:
        return "draft", 0
    if person.habit == "written_off" and months_ago == person.last_month:
        return "uncollectible", 0
    if person.account not in NAMED and chance.random() < 0.004:
        return "void", 0
    return "paid", person.price


def _months_before(base: date, months: int) -> date:
    year, month = divmod(base.year * 12 + base.month - 1 - months, 12)
    return date(year, month + 1, min(base.day, 28))


def _subscriber(person: Person) -> Subscriber:
    return Subscriber(
        account=person.account,
        kind=person.kind,
        status=person.status,
        name=person.name,
        language=person.language,
        email_billing=person.email_billing,
        email_service=person.email_service,
        phone=person.phone,
        address=person.address,
        city=person.city,
        state=person.state,
        zip=person.zip,
        bill_to=person.bill_to,
        balance=decimal(person.owed - person.credit),
        currency="USD",
        invoice_notices=person.invoice_notices,
        sms_consent=person.sms_consent,
        tags=person.tags,
    )


def decimal(cents: int) -> str:
    """`decimal(-2500)` is "-25.00": never by way of a float."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}{whole}.{rest:02d}"

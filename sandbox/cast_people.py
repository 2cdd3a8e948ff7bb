"""The names, streets, towns and telephone numbers the demo's subscribers are made of: invented, plain data.

Telephone numbers come from the 555-0100 to 555-0199 block of each area code, which the North American
Numbering Plan keeps for fiction; towns and ZIP codes are real, so that a time zone can be told from them.
"""

FIRST_NAMES = (
    *("Maria", "James", "Linda", "Robert", "Nadia", "David", "Grace", "Daniel", "Aisha", "Kevin"),
    *("Hannah", "Samuel", "Olivia", "Marcus", "Priya", "Ethan", "Mei", "Walter", "Ruth", "Tomas"),
    *("Sofia", "Andre", "Yuki", "Peter", "Amara", "Joel", "Wendy", "Omar", "Ingrid", "Caleb"),
    *("Fatima", "Luke", "Helen", "Dmitri", "Zoe", "Curtis", "Naomi", "Victor", "Leah", "Howard"),
)
FIRST_NAMES_ES = (
    *("José", "María", "Lucía", "Andrés", "Ángel", "Sofía", "Raúl", "Inés", "Joaquín", "Verónica"),
    *("Carlos", "Elena", "Martín", "Rocío", "Adrián", "Beatriz", "Iván", "Pilar", "Tomás", "Noemí"),
)
LAST_NAMES = (
    *("Santos", "Walker", "O'Brien", "Nguyen", "Patel", "Johansson", "D'Angelo", "Kim", "Brooks", "Okafor"),
    *(
        "Schmidt",
        "Reyes",
        "Hughes",
        "Ivanov",
        "McAllister",
        "Chen",
        "Fitzgerald",
        "Barnes",
        "Haddad",
        "Wolfe",
    ),
    *("O'Malley", "Larsen", "Bishop", "Yamamoto", "Cole", "Abebe", "Foster", "Novak", "Price", "St. John"),
    *("Whitaker", "Rosen", "Tanaka", "Boyd", "Keller", "Osei", "Grant", "Maddox", "Vance", "Lindqvist"),
)
LAST_NAMES_ES = (
    *("Núñez", "García", "Ibáñez", "Peña", "Muñoz", "López", "Ordóñez", "Ramírez", "Vázquez", "Castro"),
    *(
        "Delgado",
        "Quiñones",
        "Fernández",
        "Morales",
        "Jiménez",
        "Ríos",
        "Salazar",
        "Güell",
        "Beltrán",
        "Cruz",
    ),
)
BUSINESS_HEADS = (
    *("Columbia", "Basalt", "Ponderosa", "Eastwind", "Larch Hill", "Cinder", "Juniper Flat", "Klickitat"),
    *("Rimrock", "Sagebrush", "Trout Lake", "Wind River", "Osprey", "Granite Fork", "Tumalo", "Mosier"),
)
BUSINESS_TAILS = (
    *("Dental Group", "Machine Works", "Orchards LLC", "Coffee Roasters", "Veterinary Clinic", "Law Office"),
    *("Brewing Co.", "Boat Rental", "Feed & Seed", "Print Shop", "Physical Therapy", "Auto Repair, Inc."),
)
STREETS = (
    *("Alder St", "Birch Ave", "Cascade Ave", "Dogwood Ln", "Elm St", "Ferry Rd", "Grange Rd", "Heron Way"),
    *("Indian Creek Rd", "Jewett Blvd", "Kingsley Rd", "Lupine Ct", "May St", "Northshore Dr", "Oak St"),
    *("Pear Tree Ln", "Quarry Rd", "Riverside Dr", "Summit View Dr", "Tucker Rd", "Union St", "Vista Ln"),
)
# (city, state, zip). Ontario, Oregon keeps Mountain time: the state alone does not tell the zone.
TOWNS = (
    ("Hood River", "OR", "97031"),
    ("The Dalles", "OR", "97058"),
    ("Bend", "OR", "97701"),
    ("Redmond", "OR", "97756"),
    ("Sandy", "OR", "97055"),
    ("Madras", "OR", "97741"),
    ("Portland", "OR", "97211"),
    ("Grants Pass", "OR", "97526"),
    ("Eugene", "OR", "97401"),
    ("White Salmon", "WA", "98672"),
    ("Goldendale", "WA", "98620"),
    ("Vancouver", "WA", "98661"),
    ("Ontario", "OR", "97914"),
)
AREA_CODES = ("541", "503", "971", "458", "509", "360")
PHONES = tuple(f"+1{area}55501{last:02d}" for area in AREA_CODES for last in range(100))

ORDINARY_DOMAINS = ("inbox.example", "mailbox.example", "cascade-mail.example", "freemail.example")

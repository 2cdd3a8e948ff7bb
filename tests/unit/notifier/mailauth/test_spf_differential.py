"""Against pyspf 2.0.14 on random small zones, where RFC 7208 leaves no choice and pyspf follows it.

pyspf deviates, so that these are never generated: it expands macros of terms that are never reached and
does not count the PTR lookup of %{p}; it refuses an unknown modifier that appears twice and reads modifier
names case-sensitively; it counts a redirect that is never followed (so `redirect` stands only in records
without `all` and is last); it answers permerror for an include of the same domain even where that is never
reached (so such an include becomes `a:`); it looks up all MX hosts, so that a void lookup behind a match
counts (so MX hosts have addresses); it keeps the delimiters that a macro splits at; it
treats %{d0} as no error; it looks up single-label domains. It shares our reading of void lookups: every
query of a term that finds nothing counts.
"""

import spf as pyspf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.notifier.mailauth.support import check

DOMAINS = ["d.example", "e.example", "f.example", "g.example"]
HOSTS = ["h1.example", "h2.example", "h3.example", "gone.example"]
ADDRESSES = ["192.0.2.1", "192.0.2.2", "192.0.2.130", "198.51.100.1"]
CLIENTS = [*ADDRESSES, "203.0.113.9", "2001:db8::1", "::ffff:192.0.2.1"]

cidr = st.sampled_from(["", "/24", "/32", "/0", "//64", "/24//64", "/33", "/024", "//129"])
target = st.sampled_from(
    ["", *(f":{name}" for name in [*DOMAINS, *HOSTS, "%{l}.example", "%{ir}.h.example"])]
)
sign = st.sampled_from(["", "+", "-", "~", "?"])
mechanism = st.one_of(
    st.builds("{}a{}{}".format, sign, target, cidr),
    st.builds("{}mx{}{}".format, sign, target, cidr),
    st.builds("{}include:{}".format, sign, st.sampled_from(DOMAINS)),
    st.builds("{}exists:{}".format, sign, st.sampled_from([*HOSTS, "%{i}.h.example", "%{o}"])),
    st.builds("{}ptr{}".format, sign, target),
    st.builds("{}ip4:{}{}".format, sign, st.sampled_from([*ADDRESSES, "192.0.2", "192.0.2.01"]), cidr),
    st.builds("{}ip6:{}{}".format, sign, st.sampled_from(["2001:db8::1", "2001:db8::", "::g"]), st.just("")),
    st.sampled_from(
        ["moo", "a:", "ip4:", "include:", "all:x", "a:localhost", "exists:%{x}.example", "moo=x"]
    ),
)
sane = st.one_of(
    st.builds("{}a:{}".format, sign, st.sampled_from(HOSTS)),
    st.builds("{}mx".format, sign),
    st.builds("include:{}".format, st.sampled_from(DOMAINS)),
    st.builds("{}ip4:{}/25".format, sign, st.sampled_from(ADDRESSES)),
    st.builds("{}exists:{}".format, sign, st.sampled_from(HOSTS)),
)
ending = st.one_of(
    st.builds("{}all".format, sign), st.just(""), st.builds("redirect={}".format, st.sampled_from(DOMAINS))
)
record = st.builds(
    lambda terms, end: " ".join(["v=spf1", *dict.fromkeys(terms), *([end] if end else [])]),
    st.one_of(st.lists(sane, max_size=5), st.lists(st.one_of(sane, mechanism), max_size=4)),
    ending,
)
texts = st.one_of(
    st.lists(record, min_size=1, max_size=1),
    st.sampled_from([[], ["v=spf10 x"], ["v=spf1 -all", "v=spf1 ~all"], ["other", "v=spf1 -all"]]),
)
hosts = st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True)
domain = st.fixed_dictionaries(
    {"TXT": texts, "A": hosts, "MX": st.lists(st.sampled_from(HOSTS), max_size=3, unique=True)}
)
zones = st.fixed_dictionaries(dict.fromkeys(DOMAINS, domain))
host_zones = st.fixed_dictionaries({name: hosts for name in HOSTS if name != "gone.example"})
pointers = st.lists(st.sampled_from([*HOSTS, "d.example"]), max_size=3, unique=True)

Zone = dict[str, dict[str, list[str]]]


def built(domains: Zone, addresses: dict[str, list[str]], names: list[str]) -> Zone:
    zone: Zone = {name: {"A": values, "AAAA": ["2001:db8::1"]} for name, values in addresses.items()}
    for name, content in domains.items():
        zone[name] = {
            "TXT": [text.replace(f"include:{name}", f"a:{name}") for text in content["TXT"]],
            "A": content["A"],
            "MX": numbered([host for host in content["MX"] if addresses.get(host)]),
        }
    zone["1.2.0.192.in-addr.arpa"] = {"PTR": names}
    zone["192.0.2.1.h.example"] = {"A": ["127.0.0.2"]}
    return zone


def numbered(names: list[str]) -> list[str]:
    return [f"{index} {name}" for index, name in enumerate(names)]


def peer_result(zone: Zone, ip: str) -> str:
    def lookup(
        name: str, rtype: str, _strict: object, _timeout: float
    ) -> list[tuple[tuple[str, str], object]]:
        found: list[tuple[tuple[str, str], object]] = []
        for value in zone.get(name.lower(), {}).get(rtype, []):
            shown: object = value
            if rtype == "TXT":
                shown = (value.encode(),)
            elif rtype == "MX":
                shown = (int(value.split()[0]), value.split()[1])
            found.append(((name, rtype), shown))
        return found

    original = pyspf.DNSLookup
    pyspf.DNSLookup = lookup  # pyspf offers no other way to bring one's own DNS
    try:
        return str(pyspf.check2(i=ip, s="joe@d.example", h="mail.d.example")[0])
    finally:
        pyspf.DNSLookup = original


@settings(max_examples=400, deadline=None)
@given(zones, host_zones, pointers, st.sampled_from(CLIENTS))
def test_results_agree_with_pyspf_on_random_zones(
    domains: Zone, addresses: dict[str, list[str]], names: list[str], ip: str
) -> None:
    zone = built(domains, addresses, names)
    assert check(zone, ip).result.value == peer_result(zone, ip)

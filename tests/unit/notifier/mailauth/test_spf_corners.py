"""The corners of RFC 7208, one row each: what a record, an envelope or a broken zone leads to, by section.

Rows were written from the text of the standard alone; where it leaves a choice, the row says which is ours.
"""

import pytest

from notifier.mailauth import SpfResult
from tests.unit.notifier.mailauth.support import NOBODY, check, spf

PASS, FAIL, SOFTFAIL, NEUTRAL = SpfResult.PASS, SpfResult.FAIL, SpfResult.SOFTFAIL, SpfResult.NEUTRAL
NONE, TEMPERROR, PERMERROR = SpfResult.NONE, SpfResult.TEMPERROR, SpfResult.PERMERROR
V6 = "2001:db8::cb01"
V6_NIBBLES = "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.c.b.0.1"
V6_REVERSED = ".".join(reversed(V6_NIBBLES.split(".")))
HIT = {"A": ["127.0.0.2"]}
L63 = "x" * 63
DEEP = ".".join([L63, L63, L63, "y" * 53])  # with ".ok.test" 253 characters: the longest name

ZONE: dict[str, object] = {
    "h.test": {"A": ["192.0.2.40"], "AAAA": ["2001:db8::40"]},
    "only4.test": {"A": ["192.0.2.41"]},
    "only6.test": {"AAAA": ["2001:db8::41"]},
    "Mixed.TEST.": {"a": ["192.0.2.42"]},
    "down.test": "TIMEOUT",
    "down4.test": {"A": "TIMEOUT", "AAAA": ["2001:db8::43"]},
    "downmx.test": {"MX": ["0 down.test", "10 h.test"]},
    "latemx.test": {"MX": ["20 down.test", "10 h.test"]},
    "samemx.test": {"MX": [(10, "h.test."), (10, "H.Test")]},
    "oddmx.test": {"MX": ["10 bad..name", f"20 {'x' * 64}.test", "30 h.test"]},
    "pass.test": spf("v=spf1 +all"),
    "fail.test": spf("v=spf1 -all"),
    "soft.test": spf("v=spf1 ~all"),
    "empty.test": spf("v=spf1"),
    "text.test": spf("hello"),
    "typed.test": {"SPF": ["v=spf1 +all"]},
    "alias.test": {"CNAME": ["pass.test"]},
    "lost.test": {"CNAME": ["gone.test"]},
    "aliasdown.test": {"CNAME": ["down.test"]},
    "nested.test": spf("v=spf1 include:fail.test include:pass.test -all"),
    "chained.test": spf("v=spf1 redirect=soft.test"),
    "toerror.test": spf("v=spf1 include:down.test +all"),
    f"{V6_NIBBLES}.n.test": HIT,
    f"{V6_REVERSED}.ip6.n.test": HIT,
    "5.2.0.192.in-addr.n.test": HIT,
    f"{DEEP}.ok.test": HIT,
    "test.e.ok.test": HIT, "e.test.ok.test": HIT, "joe.ok.test": HIT,
    "192.ok.test": HIT, "joe%40e.test.ok.test": HIT, "e.test.e.test.ok.test": HIT,
    "mail.e.test.ok.test": HIT, "a b.ok.test": HIT, "in-addr.ok.test": HIT,
    "unknown.ok.test": HIT, "%.ok.test": HIT, "%20.ok.test": HIT,
    "foo:bar/baz.test": {"A": ["192.0.2.44"]},
}  # fmt: skip

BY_RECORD: list[tuple[str, str, SpfResult]] = [
    # 4.5, 4.6.1: versions, spaces, letter case, order
    ("v=spf1  \x20 -all  ", NOBODY, FAIL),
    ("v=spf1 -all ip4:203.0.113.200", NOBODY, FAIL),
    ("v=spf1 exp=x.test ip4:192.0.2.1 moo=a -all", "192.0.2.1", PASS),
    ("v=spf1 redirect=fail.test +all", NOBODY, PASS),
    ("v=spf1 +all redirect=down.test", NOBODY, PASS),
    ("v=spf1 -all v=spf1", NOBODY, FAIL),  # "v=spf1" again is an unknown modifier
    ("v=spf1 -all v=spf2.0/pra", NOBODY, FAIL),
    ("v=spf1 -all\t", NOBODY, PERMERROR),
    ("v=spf1 -all\r\n", NOBODY, PERMERROR),
    ("v=spf1 a:h.test\x00 -all", NOBODY, PERMERROR),
    ("v=spf1 a:h.test\x7f -all", NOBODY, PERMERROR),
    ("v=spf1 \u00a0-all", NOBODY, PERMERROR),
    ("v=spf1 moo=\u00e9 -all", NOBODY, PERMERROR),
    # 4.6.2, 5: qualifiers
    ("v=spf1 +-all", NOBODY, PERMERROR),
    # 4.6.4: unknown mechanisms anywhere are permerror, unknown modifiers never are
    ("v=spf1 ip4:192.0.2.1 foo:bar -all", "192.0.2.1", PERMERROR),
    ("v=spf1 ip4:192.0.2.1 foo-bar -all", "192.0.2.1", PERMERROR),
    ("v=spf1 moo.cow-far_out=man:dog/cat +all", NOBODY, PASS),
    ("v=spf1 moo.cow/far_out=man +all", NOBODY, PERMERROR),
    ("v=spf1 moo=%{s4r-.}%%%_%- +all", NOBODY, PASS),
    ("v=spf1 a=b ptr=c all=d ip4=e +all", NOBODY, PASS),
    # 5.2 include: every result of the inner check
    ("v=spf1 include:fail.test ~all", NOBODY, SOFTFAIL),
    ("v=spf1 include:empty.test -all", NOBODY, FAIL),
    ("v=spf1 include:typed.test +all", NOBODY, PERMERROR),
    ("v=spf1 include:lost.test +all", NOBODY, PERMERROR),
    ("v=spf1 include:aliasdown.test +all", NOBODY, TEMPERROR),
    ("v=spf1 include:toerror.test +all", NOBODY, TEMPERROR),
    ("v=spf1 include:alias.test -all", NOBODY, PASS),
    ("v=spf1 include:nested.test -all", NOBODY, PASS),
    ("v=spf1 include:chained.test -all", NOBODY, FAIL),
    ("v=spf1 ip4:192.0.2.1 include:down.test -all", "192.0.2.1", PASS),
    ("v=spf1 include:pass.test. -all", NOBODY, PASS),
    # 5.3 a
    ("v=spf1 a:h.test/24//64 -all", "2001:db8::ffff", PASS),
    ("v=spf1 a:h.test//64 -all", "192.0.2.41", FAIL),
    ("v=spf1 a:only6.test//0 -all", NOBODY, FAIL),
    ("v=spf1 a:only4.test/0 -all", "::ffff:203.0.113.9", PASS),
    ("v=spf1 a:mixed.Test -all", "192.0.2.42", PASS),
    ("v=spf1 a:down4.test -all", V6, FAIL),
    ("v=spf1 a:down4.test -all", NOBODY, TEMPERROR),
    ("v=spf1 a:lost.test -all", NOBODY, FAIL),
    ("v=spf1 a:foo:bar/baz.test -all", "192.0.2.44", PASS),
    ("v=spf1 a///64 -all", NOBODY, PERMERROR),
    ("v=spf1 a:test. -all", NOBODY, PERMERROR),
    ("v=spf1 a:.h.test -all", NOBODY, FAIL),  # grammar allows it, DNS has no such name
    ("v=spf1 a:%{d}. -all", NOBODY, PERMERROR),
    ("v=spf1 a:%{o}.ok.test. -all", NOBODY, FAIL),
    # 5.4 mx
    ("v=spf1 mx:samemx.test -all", "192.0.2.40", PASS),
    ("v=spf1 mx:downmx.test -all", "192.0.2.40", TEMPERROR),
    ("v=spf1 mx:latemx.test -all", "192.0.2.40", PASS),
    ("v=spf1 mx:latemx.test -all", NOBODY, TEMPERROR),
    ("v=spf1 mx:oddmx.test -all", "192.0.2.40", PASS),
    ("v=spf1 mx:samemx.test//33 -all", "192.0.2.40", PASS),
    ("v=spf1 mx:samemx.test/24//33 -all", "2001:db8:1::", PASS),
    # 5.6 ip4 and ip6
    ("v=spf1 ip6:::ffff:192.0.2.0/120 -all", "192.0.2.5", FAIL),
    ("v=spf1 ip6:::ffff:192.0.2.0/120 -all", "::ffff:192.0.2.5", FAIL),
    ("v=spf1 ip6:2001:db8::/0 -all", NOBODY, FAIL),
    ("v=spf1 ip6:2001:DB8:0:0:0:0:0:CB01 -all", V6, PASS),
    ("v=spf1 ip6:2001:db8::192.0.2.1 -all", "2001:db8::c000:201", PASS),
    ("v=spf1 ip6:[2001:db8::] -all", V6, PERMERROR),
    ("v=spf1 ip4:192.0.2.1/+32 -all", NOBODY, PERMERROR),
    ("v=spf1 ip4:0xc0.0.2.1 -all", NOBODY, PERMERROR),
    # 5.7 exists
    ("v=spf1 exists:only6.test -all", V6, FAIL),
    ("v=spf1 exists:only4.test -all", V6, PASS),
    ("v=spf1 exists:text.test -all", NOBODY, FAIL),
    # 6.1 redirect
    ("v=spf1 redirect=alias.test", NOBODY, PASS),
    ("v=spf1 redirect=chained.test ?ip4:192.0.2.1", NOBODY, SOFTFAIL),
    ("v=spf1 redirect=empty.test", NOBODY, NEUTRAL),
    ("v=spf1 redirect=typed.test", NOBODY, PERMERROR),
    ("v=spf1 redirect=%{l}", NOBODY, PERMERROR),
    ("v=spf1 Redirect=pass.test rEdirect=pass.test", NOBODY, PERMERROR),
    ("v=spf1 exp=gone.test -all", NOBODY, FAIL),
    # 7: macros
    ("v=spf1 exists:%{i}.n.test -all", V6, PASS),
    ("v=spf1 exists:%{ir}.%{v}.n.test -all", V6, PASS),
    ("v=spf1 exists:%{ir}.%{v}.n.test -all", "::ffff:192.0.2.5", PASS),
    ("v=spf1 exists:%{dr}.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%{d1r-}.ok.test -all", NOBODY, PASS),  # "-" does not split "e.test"
    ("v=spf1 exists:%{i1r}.ok.test -all", "192.0.2.5", PASS),
    ("v=spf1 exists:%{S}.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%{s1@}.ok.test -all", NOBODY, PERMERROR),  # no delimiter of section 7.1
    ("v=spf1 exists:%{o}.%{d}.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%{H}.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%{V}.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%{p}.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%%.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%-.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:a%_b.ok.test -all", NOBODY, PASS),
    ("v=spf1 exists:%{l}%{l} -all", NOBODY, FAIL),
    ("v=spf1 exists:%{L}.%{D}.%{a}.test -all", NOBODY, PERMERROR),
    ("v=spf1 exists:%{d-2}.ok.test -all", NOBODY, PERMERROR),
    ("v=spf1 exists:%{dr2}.ok.test -all", NOBODY, PERMERROR),
    ("v=spf1 exists:%{d 2}.ok.test -all", NOBODY, PERMERROR),
    ("v=spf1 exists:%{d00}.ok.test -all", NOBODY, PERMERROR),
    (f"v=spf1 exists:z.{DEEP}.ok.test -all", NOBODY, PASS),  # loses labels from the left to fit 253
    (f"v=spf1 exists:%{{d}}.{L63}.{DEEP}.ok.test -all", NOBODY, PASS),
    (f"v=spf1 exists:x{L63}.ok.test -all", NOBODY, FAIL),
]  # fmt: skip


@pytest.mark.parametrize(("record", "ip", "expected"), BY_RECORD)
def test_a_record_gives_what_the_standard_says(record: str, ip: str, expected: SpfResult) -> None:
    answer = check({**ZONE, "e.test": spf(record)}, ip, "joe@e.test", "mail.e.test")
    assert answer.result is expected, answer.problem


BY_ENVELOPE: list[tuple[str, str, SpfResult, str | None]] = [
    # 2.4, 4.1, 4.3: whose record; the explanation is "%{s} %{h}"
    ("", "mail.e.test", FAIL, "postmaster@mail.e.test mail.e.test"),
    ("<>", "MAIL.E.test", FAIL, "postmaster@MAIL.E.test MAIL.E.test"),
    ("", "mail.e.test.", FAIL, "postmaster@mail.e.test mail.e.test."),
    ("@mail.e.test", "x", FAIL, "postmaster@mail.e.test x"),
    ("<joe@mail.e.test>", "x", FAIL, "joe@mail.e.test x"),
    ("a@b@mail.e.test", "x", FAIL, "a@b@mail.e.test x"),
    ("joe@mail.e.test.", "[192.0.2.1]", FAIL, "joe@mail.e.test [192.0.2.1]"),
    ("", "[192.0.2.1]", NONE, None),
    ("", "192.0.2.1", NONE, None),
    ("", "mail..e.test", NONE, None),
    ("", "", NONE, None),
    ("", "someone@mail.e.test", NONE, None),  # no domain, and so no HELO identity either
    ("", "mail e.test", NONE, None),
    ("joe@mail.e.test..", "mail.e.test", NONE, None),
    (f"joe@{'x' * 64}.mail.e.test", "mail.e.test", NONE, None),
    ("joe@[IPv6:2001:db8::1]", "mail.e.test", NONE, None),
    ("joe@other.test", "mail.e.test", NONE, None),
]  # fmt: skip


@pytest.mark.parametrize(("sender", "helo", "expected", "said"), BY_ENVELOPE)
def test_an_envelope_is_checked_as_whom_it_names(
    sender: str, helo: str, expected: SpfResult, said: str | None
) -> None:
    zone = {"mail.e.test": spf("v=spf1 -all exp=why.test"), "why.test": {"TXT": ["%{s} %{h}"]}}
    answer = check(zone, sender=sender, helo=helo)
    assert (answer.result, answer.explanation) == (expected, said)


def hosts(names: range) -> dict[str, object]:
    return {f"h{n}.test": {"A": ["198.51.100.1"]} for n in names}


def pointing(*names: str, **more: object) -> dict[str, object]:
    """The zone of a client at NOBODY whose address points to these names."""
    return {"200.113.0.203.in-addr.arpa": {"PTR": list(names)}, **hosts(range(12)), **more}


US: dict[str, object] = {"A": [NOBODY]}
TEN = " ".join(f"a:h{n}.test" for n in range(10))
NINE = TEN.rpartition(" ")[0]
NINE_HOSTS = hosts(range(9))
P = "v=spf1 exists:%{p}.ok.test -all"

BY_ZONE: list[tuple[str, dict[str, object], SpfResult]] = [
    # 4.4, 4.5: which records there are
    ("none", {"e.test": {"SPF": ["v=spf1 +all"], "A": ["192.0.2.1"]}}, NONE),
    ("none", {"e.test": {"TXT": []}}, NONE),
    ("none", {"e.test": {"TXT": [""]}}, NONE),
    ("none", {"e.test": {"TXT": [" v=spf1 +all"]}}, NONE),
    ("none", {"e.test": {"TXT": ["v=spf10 +all", "v=spf1;", "v=spf1\t+all", '"v=spf1 +all"']}}, NONE),
    ("none", {"e.test": {"CNAME": ["gone.test"]}}, NONE),
    ("type 99 does not count", {"e.test": {"SPF": ["v=spf1 +all"], "TXT": ["v=spf1 -all"]}}, FAIL),
    ("type 99 is not asked", {"e.test": {"SPF": "TIMEOUT", "TXT": ["v=spf1 -all"]}}, FAIL),
    ("no answer", {"e.test": {"SPF": ["v=spf1 +all"], "TXT": "TIMEOUT"}}, TEMPERROR),
    ("no answer", {"e.test": {"TXT": ["v=spf1 -all", "TIMEOUT"]}}, TEMPERROR),
    ("two that are equal", {"e.test": {"TXT": ["v=spf1 +all", "v=spf1 +all"]}}, PERMERROR),
    ("strings are joined", {"e.test": {"TXT": [["v=spf1", " +a", "ll"]]}}, PASS),
    ("strings are joined", {"e.test": {"TXT": [("v=spf", "1 +all")]}}, PASS),
    ("strings are joined", {"e.test": {"TXT": [["v=spf1", "+all"]]}}, NONE),
    ("octets", {"e.test": {"TXT": [b"v=spf1 +all \xff=1"]}}, PERMERROR),
    ("octets of others", {"e.test": {"TXT": [b"\xff\xfe", "v=spf1 +all"]}}, PASS),
    # 4.6.4: ten terms, wherever they stand; what decides before the limit decides
    (f"v=spf1 {TEN} -all", hosts(range(10)), FAIL),
    (f"v=spf1 {TEN} mx -all", hosts(range(10)), PERMERROR),
    (f"v=spf1 {TEN} redirect=fail.test", hosts(range(10)), PERMERROR),
    (f"v=spf1 {NINE} redirect=fail.test", NINE_HOSTS, FAIL),
    (f"v=spf1 {NINE} include:one.test -all", {**NINE_HOSTS, "one.test": spf("v=spf1 a:h1.test")}, PERMERROR),
    (f"v=spf1 {NINE} include:one.test -all", {**NINE_HOSTS, "one.test": spf("v=spf1 ip4:1.2.3.4")}, FAIL),
    (f"v=spf1 {TEN} +all exp=why.test", hosts(range(10)), PASS),
    (f"v=spf1 {NINE} a:us.test a:h1.test -all", {**NINE_HOSTS, "us.test": US}, PASS),
    ("v=spf1 include:x.test", {"x.test": spf("v=spf1 redirect=e.test")}, PERMERROR),
    ("v=spf1 a:us.test include:e.test", {"us.test": US}, PASS),
    # 4.6.4: two void look-ups in all, for a, mx, exists, ptr and what they ask for
    ("v=spf1 a:g1.test mx:g2.test exists:g3.test -all", {}, PERMERROR),
    ("v=spf1 a:g1.test a:g1.test a:g1.test -all", {}, PERMERROR),
    ("v=spf1 a:g1.test a:g2.test include:i.test -all", {"i.test": spf("v=spf1 a:g3.test")}, PERMERROR),
    ("v=spf1 a:g1.test a:g2.test redirect=i.test", {"i.test": spf("v=spf1 a:g3.test")}, PERMERROR),
    ("v=spf1 a:g1.test a:g2.test include:i.test -all", {"i.test": spf("v=spf1 +all")}, PASS),
    ("v=spf1 a:g1.test a:g2.test a:us.test a:g3.test", {"us.test": US}, PASS),
    ("v=spf1 a:g1.test a:a..test a:g2.test a:b..test -all", {}, FAIL),  # never asked, so never void
    ("v=spf1 a:g1.test a:g2.test ptr -all", {}, PERMERROR),
    # 5.5 ptr
    ("v=spf1 ptr -all", pointing("M.E.Test.", **{"m.e.test": US}), PASS),
    ("v=spf1 ptr -all", pointing("e.test", **{"e.test": US}), PASS),
    ("v=spf1 ptr:TEST2.test. -all", pointing("x.test2.test", **{"x.test2.test": US}), PASS),
    ("v=spf1 ptr:%{h2} -all", pointing("x.e.test", **{"x.e.test": US}), PASS),
    ("v=spf1 ptr -all", pointing("m.e.test", **{"m.e.test": {"CNAME": ["us.test"]}, "us.test": US}), PASS),
    ("v=spf1 ptr -all", pointing("m.e.test", **{"m.e.test": {"CNAME": ["m.e.test"]}}), FAIL),
    ("v=spf1 ptr -all", pointing("d.test", "m.e.test", **{"d.test": "TIMEOUT", "m.e.test": US}), PASS),
    # 7.3 %{p}: the domain itself, then a name below it, then any, else "unknown"
    (P, pointing("x.test", "e.test", **{"e.test": US, "x.test": US, "e.test.ok.test": HIT}), PASS),
    (P, pointing("x.test", "m.e.test", **{"m.e.test": US, "x.test": US, "m.e.test.ok.test": HIT}), PASS),
    ("v=spf1 exists:%{pr}.ok.test -all", pointing("x.test", **{"x.test": US, "test.x.ok.test": HIT}), PASS),
    (P, {"200.113.0.203.in-addr.arpa": "TIMEOUT", "unknown.ok.test": HIT}, PASS),
]  # fmt: skip


@pytest.mark.parametrize(("record", "zone", "expected"), BY_ZONE)
def test_a_zone_gives_what_the_standard_says(
    record: str, zone: dict[str, object], expected: SpfResult
) -> None:
    here = zone.get("e.test", {})
    if record.startswith("v=spf1"):
        here = {**spf(record), **(here if isinstance(here, dict) else {})}
        zone = {**zone, "e.test": here}
    answer = check({"fail.test": spf("v=spf1 -all"), **zone}, sender="joe@e.test", helo="mail.e.test")
    assert answer.result is expected, answer.problem


BY_EXPLANATION: list[tuple[str, object, str | None]] = [
    # 6.2: the text at why.test, and what is said of it
    ("why.test", ["%{i} %{c} %{d} %{o} %{l} %{v}"], f"{NOBODY} {NOBODY} e.test e.test jo-e+x in-addr"),
    ("why.test", ["%{L} %{S} %{lr-} %{l1r-} %{l2+-}"], "jo-e%2Bx jo-e%2Bx%40e.test e+x.jo jo e.x"),
    ("why.test", ["%{t} %{r} %{R}"], "1700000000 mx.receiver.example mx.receiver.example"),
    ("why.test", ["%{p}"], "unknown"),
    ("why.test.", [["a", " b"]], "a b"),
    ("%{h3}", ["x"], None),
    ("why.test", ["50%"], None),
    ("why.test", ["%{d0}"], None),
    ("why.test", ["bell\x07"], None),
    ("why.test", ["%%%_%-"], "% %20"),
    ("why.test", ["from %{h}"], None),  # ours: what the client said goes nowhere with a line break in it
]  # fmt: skip


@pytest.mark.parametrize(("target", "text", "said"), BY_EXPLANATION)
def test_an_explanation_says_what_the_standard_says(target: str, text: object, said: str | None) -> None:
    zone = {"e.test": spf(f"v=spf1 -all exp={target}"), "why.test": {"TXT": text}}
    answer = check(zone, sender="jo-e+x@e.test", helo="mail.e.test\r\nX-Evil: 1")
    assert (answer.result, answer.explanation) == (FAIL, said)

"""The world's DNS: one authoritative server for every name, over UDP and TCP, and the zone it serves.

The zone lives in the stored documents and is changed by PUT /sandbox/dns {name, type, values}. Values are in
presentation form; a TXT value is one record's text, cut into strings of 255 octets on the wire, or a list of
strings where the cuts are to be deliberate. An empty list deletes. Instead of a list, "TIMEOUT" never answers
and "SERVFAIL" fails; type "ANY" with one of the two stands for every type at that name.
"""

from sandbox.dns.part import DnsPart
from sandbox.dns.zone import Answer, Rcode, Zone

__all__ = ["Answer", "DnsPart", "Rcode", "Zone"]

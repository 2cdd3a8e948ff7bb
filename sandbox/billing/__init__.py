"""A billing system at the wire: UISP's CRM as far as the product asks it, with the cast in its books.

The API answers under /crm/api/v1.0 with X-Auth-App-Key, limit/offset, 401, 403, 404, 422 {code, message,
errors{field: [...]}} and 429 with Retry-After; endpoints.json's section `billing` names it, its key and the
secret of its webhooks. Events go unsigned to the product's /billing/SECRET and can be read back.

GET  /sandbox/billing                  what is in the books by number, events, log entries, tickets
GET  /sandbox/billing/client?account=  a client with services and invoices, as the API gives them
POST /sandbox/billing/change {account, ...}   somebody works in the billing system; each sends its events
  client    fields of the client, as the API names them; `gone` true: deleted, with all that is theirs
  paid      an amount such as 49.90, or "all": a payment, which settles the oldest invoices first
  service   {id?, ...}: fields of that service, else of the first; {id?, gone: true} deletes it
  invoice   {number, ...}: fields of that invoice; {number, gone: true} deletes it
  silent    true: no event is sent
POST /sandbox/billing/behaviour {path?, method?, ...}   the next calls that begin with `path`; {} resets
  status    that answer instead (429 with retry_after_s), nothing done
  lose_response   the call is done and the connection dropped
  slow_s    real seconds before the answer       page   at most so many entries, whatever is asked for
  access    "read": the key may only read (403)  times  for so many calls, then as before
POST /sandbox/billing/event {entity, entity_id, uuid?, secret?, times?}   an event that never happened: forged
"""

from sandbox.billing.part import BillingPart

__all__ = ["BillingPart"]

"""Twilio and the subscribers' phones at the wire: Messages API, callbacks, inbound texts, opt-out words.

The API answers under /2010-04-01/Accounts/{sid}/Messages as Twilio's does, with Basic authentication: the
real library works with `client.api.base_url` set to endpoints.json's `twilio.api`. Inbound texts go signed to
the product's /twilio/inbound; TwiML in its answer is obeyed. Times are business time, retries real time.

GET /sandbox/phone?number=&limit= lists texts oldest first, each also with error_code, num_segments, media and
`automatic` (Twilio's own answer to STOP, START or HELP); .../numbers?search=&limit=, or number=, the phones.
POST /sandbox/phone/send {from, body, to?, media?}: `media` holds URLs, passed on as they are, or
{content_type, base64}, stored and served by the API. The answer: {sid, status, ms, replies, error?}.
POST /sandbox/phone/behaviour {number, ...}; the number alone resets (it does not undo a STOP), GET lists:
  error_code      20xxx, 21xxx: the create call is refused; others: "sent", then "undelivered" with that code
  statuses        exactly these callbacks, in any words; [] leaves the text where it is for ever
  shuffle         callbacks come only after the last status, the last one first
  duplicate       every callback comes twice, and so do this phone's inbound texts
  lose_callbacks  none comes; the API still tells the state
  lose_response   the text is created and the connection dropped
  http_status     5xx: that answer, which is not JSON, and nothing created
  slow_s          real seconds before the answer to the create call
  times           for so many create calls, then as before
"""

from sandbox.phone.part import PhonePart

__all__ = ["PhonePart"]

"""UISP CRM (Ubiquiti) as the system of record: its REST API v1.0 at HOST/crm/api/v1.0.

`client` asks, `mapping` reads what is answered (pure), `mirror` writes it, `sync` follows everything,
`system` fills billing.port: facts of one account, acts, PDFs, webhooks, entries in the client's log.
"""

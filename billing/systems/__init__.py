"""Systems of record. Each module exposes BILLING (billing.port.BillingProvider); bot.wiring finds it."""

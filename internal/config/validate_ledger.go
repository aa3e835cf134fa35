package config

import "time"

// ledger checks what is said of the spool's limits and of the ledger.
func (v *validator) ledger() {
	r := v.cfg.Relay
	if r.SpoolLimit < 0 || r.SpoolLimit > 0 && r.SpoolLimit < v.cfg.SMTP.MaxMessageSize {
		v.fail("relay.spool_limit", "must be at least smtp.max_message_size (%d octets), or 0 for no limit: a mail of that size would never be taken", v.cfg.SMTP.MaxMessageSize)
	}
	if r.SpoolLimitMails < 0 {
		v.fail("relay.spool_limit_mails", "must be above 0, or 0 for no limit")
	}
	if r.LedgerRetention.D() < 24*time.Hour {
		v.fail("relay.ledger_retention", "must be at least 1d")
	}
	if r.LedgerCheck.D() < 100*time.Millisecond {
		v.fail("relay.ledger_check", "must be at least 100ms; 10m is usual")
	}
}

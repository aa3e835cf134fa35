package front

import (
	"context"

	"sekimori/internal/mail"
)

// End is what became of a recipient whose mail is acknowledged and kept nowhere.
type End struct {
	Rcpt   mail.Address
	State  string // discarded | redirected | learned
	Detail string // by which rule, and to whom; as what
}

// Ends is the record of them.
type Ends interface {
	// Direct writes the ends of a mail down; nil means that they are durable. It is called before the acknowledgement.
	Direct(id string, ends []End) error
	// Undo takes them back: the mail is not acknowledged.
	Undo(id string, ends []End)
}

// settleEnds writes down who gets nothing by a rule. What cannot be written is not acknowledged.
func (d *disposal) settleEnds() error {
	var ends []End
	for i := range d.tx.verdicts {
		v := &d.tx.verdicts[i]
		if v.Action >= mail.Hold {
			continue
		}
		switch {
		case v.Discard:
			ends = append(ends, End{d.tx.rcpts[i], endDiscarded, "by rule " + ruleName(v)})
		case !v.Redirect.IsNull():
			ends = append(ends, End{d.tx.rcpts[i], endRedirected, "to " + v.Redirect.String() + " by rule " + ruleName(v)})
		}
	}
	if len(ends) == 0 {
		return nil
	}
	if err := d.s.opts.Ends.Direct(d.tx.id, ends); err != nil {
		return err
	}
	d.ends = ends
	return nil
}

// keepRefused reports whether a backend's refusal must not reach the client: it is a gateway that has acknowledged the mail and would
// send a report to a sender whom nobody has confirmed.
func (d *disposal) keepRefused() bool {
	return d.w.session.KeepRefused && d.s.opts.Bounceless(d.tx.from, d.origin, d.tx.message) != ""
}

// holdAll keeps what is held by a verdict.
func (d *disposal) holdAll(ctx context.Context) error {
	for _, b := range d.batches(isHeld) {
		if err := d.hold(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

package front

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// send delivers what is delivered, with all that goes elsewhere by a rule or to the archive made safe before, and with the ends of
// those who get nothing written down: both can be taken back as long as the backend has not been asked. Then comes what is held. A
// mail that the archive would lack is not accepted.
func (d *disposal) send(ctx context.Context) mail.Reply {
	if err := d.stage(ctx); err != nil {
		d.s.log.Error("smtp: spool", "id", d.tx.id, "err", err)
		d.settle(false)
		return mail.Transient(451, 3, 0, "the mail cannot be stored now, try again later")
	}
	if err := d.settleEnds(); err != nil {
		d.s.log.Error("smtp: the ledger cannot be written", "id", d.tx.id, "err", err)
		d.settle(false)
		return mail.Transient(451, 3, 0, "the mail cannot be stored now, try again later")
	}
	err := d.holdAll(ctx)
	if err == nil {
		err = d.holdOriginals(ctx)
	}
	if err != nil {
		d.s.log.Error("smtp: hold", "id", d.tx.id, "err", err)
		d.settle(false)
		return mail.Transient(451, 3, 0, "the mail cannot be kept now, try again later")
	}
	reply := d.deliver(ctx)
	d.settle(reply.IsZero())
	return reply
}

func (d *disposal) settle(accepted bool) {
	for _, st := range d.staged {
		if accepted {
			st.Commit()
		} else {
			st.Discard()
		}
	}
	d.staged = nil
	if !accepted && len(d.ends) > 0 {
		d.s.opts.Ends.Undo(d.tx.id, d.ends)
		d.ends = nil
	}
}

// stage makes safe what goes elsewhere, and notes the ends of those who get nothing. A mail for which no verdict says so and that
// is not journaled costs nothing here.
func (d *disposal) stage(ctx context.Context) error {
	var sent []mail.Address // who gets the mail, for the archive
	var top []byte          // our header on it
	gone := map[string]bool{}
	for i := range d.tx.verdicts {
		v := &d.tx.verdicts[i]
		if v.Action >= mail.Hold {
			continue
		}
		to := d.tx.rcpts[i]
		switch {
		case v.Discard:
			d.kept++
			d.tx.ends[i] = endDiscarded
		case !v.Redirect.IsNull():
			to = v.Redirect
			d.kept++
			d.tx.ends[i] = endRedirected
			if err := d.extra(ctx, v, to, mail.KindRedirect, gone); err != nil {
				return err
			}
		}
		for _, a := range v.Copies {
			if err := d.extra(ctx, v, a, mail.KindCopy, gone); err != nil {
				return err
			}
		}
		if !v.Discard {
			sent = append(sent, to)
			if top == nil && d.w.set.cfg.Journal.Enabled() {
				top = d.trace.fields(*v)
			}
		}
	}
	return d.journal(ctx, top, sent)
}

// extra stages a mail to one address, once however many verdicts say so.
func (d *disposal) extra(ctx context.Context, v *mail.Verdict, to mail.Address, kind string, gone map[string]bool) error {
	if gone[to.Key()] {
		return nil
	}
	gone[to.Key()] = true
	o := d.origin
	o.Kind, o.Rule = kind, ruleName(v)
	return d.put(ctx, Envelope{
		ID: d.nextID(), From: d.tx.from, Rcpts: []mail.Address{to}, Content: append(mail.Content{d.trace.fields(*v)}, d.contentFor(v)...),
		EightBit: d.eight, UTF8: d.tx.params.UTF8, Meta: o.Encode, Lane: laneOutbound,
	})
}

func (d *disposal) put(ctx context.Context, e Envelope) error {
	st, err := d.s.opts.Relay.Stage(ctx, e)
	if err == nil {
		d.staged = append(d.staged, st)
	}
	return err
}

// journal stages the copy for the archive. It is written and synced before the client is told 250: that is the price of an archive
// which lacks nothing. The archive's own mail is not journaled, which would never end when it comes back to us.
func (d *disposal) journal(ctx context.Context, top []byte, sent []mail.Address) error {
	j := &d.w.set.cfg.Journal
	if !j.Enabled() || len(sent) == 0 || !slices.ContainsFunc(sent, func(a mail.Address) bool { return !strings.EqualFold(a.String(), j.To) }) {
		return nil
	}
	if len(j.Domains) > 0 && !slices.ContainsFunc(sent, func(a mail.Address) bool { return slices.Contains(j.Domains, a.Domain) }) {
		return nil
	}
	content := append(mail.Content{top}, d.content...)
	return d.put(ctx, JournalCopy(JournalOptions{
		Hostname: d.w.set.cfg.Hostname, To: j.To, Format: j.Format, MessageID: d.tx.message.MessageID,
		ID: d.tx.id, Origin: d.origin,
	}, Envelope{ID: d.tx.id, From: d.tx.from, Rcpts: sent, Content: content, EightBit: d.eight, UTF8: d.tx.params.UTF8}))
}

// JournalOptions is what a journal copy is made of, beside the mail.
type JournalOptions struct {
	Hostname, To, Format, MessageID, ID string
	Origin                              mail.Origin
}

// JournalCopy makes the mail for the archive of an accepted one. In the format "plain" it is the mail with X-Sekimori-Envelope
// fields on top, for sender and recipients; in the format "envelope" a mail that names them in its text and has the mail attached
// with all its octets. Its own sender is the null one: nobody is told when the archive does not take it.
func JournalCopy(o JournalOptions, e Envelope) Envelope {
	to, _ := mail.ParseAddress(o.To, false)
	rcpts := make([]string, len(e.Rcpts))
	for i, a := range e.Rcpts {
		rcpts[i] = a.String()
	}
	var top bytes.Buffer
	var end []byte
	if o.Format == "envelope" {
		boundary := "=_journal-" + o.ID
		fmt.Fprintf(&top, "From: <postmaster@%s>\r\nTo: <%s>\r\nSubject: Journal %s\r\nMessage-ID: <%s.journal@%s>\r\nAuto-Submitted: auto-generated\r\n", o.Hostname, to, o.ID, o.ID, o.Hostname)
		fmt.Fprintf(&top, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%[1]s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", boundary)
		fmt.Fprintf(&top, "Sender: %s\r\nMessage-Id: %s\r\n", e.From, clean(o.MessageID))
		for _, r := range rcpts {
			top.WriteString("Recipient: " + r + "\r\n")
		}
		fmt.Fprintf(&top, "\r\n--%s\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\nContent-Disposition: attachment\r\n\r\n", boundary)
		end = []byte("\r\n--" + boundary + "--\r\n")
	} else {
		top.WriteString(fold("X-Sekimori-Envelope-From", "<"+e.From.String()+">"))
		for _, r := range rcpts {
			top.WriteString(fold("X-Sekimori-Envelope-To", "<"+r+">"))
		}
	}
	o.Origin.Kind = mail.KindJournal
	content := append(mail.Content{top.Bytes()}, e.Content...)
	if end != nil {
		content = append(content, end)
	}
	return Envelope{
		ID: e.ID + ".j", Rcpts: []mail.Address{to}, Content: content, EightBit: e.EightBit || o.Format == "envelope", UTF8: e.UTF8,
		Meta: o.Origin.Encode, Lane: laneJournal,
	}
}

package front

import (
	"context"
	"errors"
	"strconv"
	"time"

	"sekimori/internal/mail"
)

const holdWait = 20 * time.Second

// Classes of holds that the front itself makes.
const (
	classRefused       = "refused"       // refused for this recipient while others get the mail
	classUndeliverable = "undeliverable" // a backend refused it after all
	classSuspect       = "suspect"       // held by a rule that names no class
)

// What becomes of a recipient, for the record.
const (
	EndHeld     = "held" // by a verdict, or because a backend refused it after all
	endRejected = "rejected"
	endDeferred = "deferred"

	endDiscarded  = "discarded"  // by the rule that the verdict names
	endRedirected = "redirected" // likewise
)

// batch is recipients for whom the same thing is done with the same header on top.
type batch struct {
	class    string // of a hold
	trace    []byte
	verdict  mail.Verdict
	original time.Duration // of the whole mail beside a copy without some of it: for how long it is held
	at       []int         // positions in tx.rcpts
}

// disposal is the work on one judged message.
type disposal struct {
	s       *Server
	w       *wire
	tx      *transaction
	content mail.Content
	trace   trace
	eight   bool
	origin  mail.Origin
	parts   int // IDs given out
	// refusing says that the mail is refused for everybody: what is held are copies that nobody is promised.
	refusing bool
	kept     int                     // recipients whose copy is safe: held or in the spool
	stripped map[string]mail.Content // by what is taken out
	staged   []Staged
	ends     []End // written down
}

// dispose does what the verdicts say: what can be undone first, the backend last. The zero Reply means that every
// recipient's copy is safe.
func (s *Server) dispose(ctx context.Context, w *wire, tx *transaction) mail.Reply {
	if len(tx.verdicts) != len(tx.rcpts) {
		s.log.Error("smtp: the gate judged another number of recipients", "id", tx.id)
		return mail.Transient(451, 3, 0, "internal error, try again later")
	}
	tx.ends = make([]string, len(tx.rcpts))
	if reply := refuseAll(tx, w.session.KeepRefused); !reply.IsZero() {
		return s.keepRefused(ctx, w, tx, reply)
	}
	if s.down(tx) {
		return backendDown
	}
	d := &disposal{
		s: s, w: w, tx: tx, content: kept(tx.message, w.set.cfg.Hostname), trace: s.newTrace(w, tx), eight: tx.eightBit(),
		origin: mail.OriginOf(tx.judging.Transaction(), s.now()),
	}
	return d.send(ctx)
}

// refuseAll returns the reply when nobody gets the mail. Where some are refused for good and the rest for now, all are
// for now: the next attempt brings a verdict. With keep, what is refused for good is held instead.
func refuseAll(tx *transaction, keep bool) mail.Reply {
	var reject, later *mail.Verdict
	for i := range tx.verdicts {
		v := &tx.verdicts[i]
		switch {
		case v.Action < mail.Defer || v.Action == mail.Reject && keep:
			return mail.Reply{}
		case v.Action == mail.Defer && later == nil:
			later = v
		case v.Action == mail.Reject && reject == nil:
			reject = v
		}
	}
	end := endRejected
	if later != nil {
		reject, end = later, endDeferred
	}
	for i := range tx.ends {
		tx.ends[i] = end
	}
	return verdictReply(*reject)
}

func isHeld(v mail.Verdict) bool { return v.Action >= mail.Hold }
func isDelivered(v mail.Verdict) bool {
	return v.Action < mail.Hold && !v.Discard && v.Redirect.IsNull()
}

// batches groups the recipients with verdicts of one kind by class and header.
func (d *disposal) batches(want func(mail.Verdict) bool) []*batch {
	var list []*batch
	index := map[string]*batch{}
	for i, v := range d.tx.verdicts {
		if !want(v) {
			continue
		}
		class := v.Class
		switch {
		case v.Action > mail.Hold:
			class = classRefused
		case class == "":
			class = classSuspect
		}
		trace := d.trace.fields(v)
		key := class + "\x00" + v.Keep.String() + "\x00" + string(trace)
		b := index[key]
		if b == nil {
			b = &batch{class: class, trace: trace, verdict: v}
			index[key] = b
			list = append(list, b)
		}
		b.at = append(b.at, i)
	}
	return list
}

// nextID names the parts of one mail: the transaction's ID, then ID-2 and so on.
func (d *disposal) nextID() string {
	if d.parts++; d.parts == 1 {
		return d.tx.id
	}
	return d.tx.id + "-" + strconv.Itoa(d.parts)
}

func (d *disposal) addresses(at []int) []mail.Address {
	list := make([]mail.Address, len(at))
	for i, n := range at {
		list[i] = d.tx.rcpts[n]
	}
	return list
}

func (d *disposal) mark(at []int, end string) {
	for _, n := range at {
		d.tx.ends[n] = end
	}
}

func (d *disposal) hold(ctx context.Context, b *batch) error {
	ctx, stop := context.WithTimeout(ctx, holdWait)
	defer stop()
	tx, v := d.tx, b.verdict
	rcpts := d.addresses(b.at)
	keep := time.Duration(0)
	if d.refusing {
		keep = v.Keep
	}
	if b.original > 0 {
		keep = b.original
	}
	body := d.contentFor(&v)
	h := Held{
		ID: d.nextID(), Class: b.class, From: tx.from, Rcpts: rcpts, Subject: tx.message.Subject,
		Time: d.s.now(), Size: int64(len(b.trace)) + body.Len(), Score: v.Score, Rule: ruleName(&v),
		Reasons: v.Counted, Degraded: v.Degraded, Client: clientText(tx.who(d.w)), Helo: tx.who(d.w).Helo,
		EightBit: d.eight, UTF8: tx.params.UTF8, Trace: b.trace, Body: body,
		Owners: tx.ownersOf(rcpts), Keep: keep, Refused: d.refusing,
	}
	h.Shared, h.Others = d.beside(b)
	h.show(tx.message, &v, d.origin)
	h.Proof = mail.ProofOf(tx.judging.Transaction())
	err := d.s.opts.Keeper.Hold(ctx, h)
	if err == nil {
		d.kept += len(b.at)
		d.mark(b.at, EndHeld)
	}
	return err
}

func (d *disposal) envelope(b *batch) Envelope {
	content := append(mail.Content{b.trace}, d.contentFor(&b.verdict)...)
	return Envelope{
		ID: d.nextID(), From: d.tx.from, Rcpts: d.addresses(b.at), Content: content, EightBit: d.eight, UTF8: d.tx.params.UTF8,
		Client: d.tx.client(d.w),
		Meta:   d.origin.Encode,
	}
}

// deliver hands the mail on. Only when it goes to one place in one form is the backend asked while the client waits;
// otherwise a refusal by one could not be told to the client, so all goes through the spool.
func (d *disposal) deliver(ctx context.Context) mail.Reply {
	var ways []*batch
	for _, b := range d.batches(isDelivered) {
		ways = append(ways, d.split(b)...)
	}
	if len(ways) == 1 {
		return d.handOver(ctx, ways[0])
	}
	for _, b := range ways {
		if err := d.s.opts.Relay.Queue(ctx, d.envelope(b)); err != nil {
			d.s.log.Error("smtp: spool", "id", d.tx.id, "err", err)
			return mail.Transient(451, 3, 0, "the mail cannot be stored now, try again later")
		}
		d.kept += len(b.at)
		d.mark(b.at, Queued)
	}
	return mail.Reply{}
}

// split divides a batch by where its recipients' mail goes.
func (d *disposal) split(b *batch) []*batch {
	groups := d.s.opts.Relay.Route(d.addresses(b.at))
	if len(groups) <= 1 {
		return []*batch{b}
	}
	where := map[string]int{}
	list := make([]*batch, len(groups))
	for g, rcpts := range groups {
		list[g] = &batch{class: b.class, trace: b.trace, verdict: b.verdict}
		for _, r := range rcpts {
			where[r.Key()] = g
		}
	}
	for _, n := range b.at {
		g := list[where[d.tx.rcpts[n].Key()]]
		g.at = append(g.at, n)
	}
	return list
}

// handOver delivers while the client waits.
func (d *disposal) handOver(ctx context.Context, b *batch) mail.Reply {
	answers, err := d.s.opts.Relay.Deliver(ctx, d.envelope(b))
	if errors.Is(err, ErrDown) {
		d.s.log.Warn("smtp: no backend takes the mail, and it is not kept here", "id", d.tx.id, "err", err)
		return backendDown
	}
	if err != nil {
		d.s.log.Error("smtp: relay", "id", d.tx.id, "err", err)
		return mail.Transient(451, 3, 0, "the mail cannot be stored now, try again later")
	}
	byRcpt := map[string]Answer{}
	for _, a := range answers {
		byRcpt[a.Rcpt.Key()] = a
	}
	refused := &batch{class: classUndeliverable, trace: b.trace, verdict: b.verdict}
	var reply mail.Reply
	for _, n := range b.at {
		a, ok := byRcpt[d.tx.rcpts[n].Key()]
		switch {
		case ok && (a.State == Delivered || a.State == Queued):
			d.kept++
			d.tx.ends[n] = a.State
		case ok && a.State == Refused:
			refused.at = append(refused.at, n)
			d.tx.ends[n] = Refused
			if reply.IsZero() {
				reply = a.Reply
			}
		default:
			d.s.log.Error("smtp: the relay did not answer for a recipient", "id", d.tx.id, "rcpt", d.tx.rcpts[n].String())
			return mail.Transient(451, 3, 0, "internal error, try again later")
		}
	}
	switch {
	case len(refused.at) == 0:
		return mail.Reply{}
	case d.kept == 0 && !d.keepRefused():
		if reply.IsZero() {
			reply = mail.Permanent(550, 7, 1, "refused by the mail server behind this one")
		}
		return reply
	}
	return d.rescue(ctx, refused)
}

// rescue keeps what a backend refused for some while others have got the mail: the client has to be told 250, so these
// copies are held, or failing that spooled, so that the relay finds the refusal again and holds then.
func (d *disposal) rescue(ctx context.Context, b *batch) mail.Reply {
	err := d.hold(ctx, b)
	if err == nil {
		return mail.Reply{}
	}
	d.s.log.Error("smtp: hold of what a backend refused", "id", d.tx.id, "err", err)
	if err := d.s.opts.Relay.Queue(ctx, d.envelope(b)); err != nil {
		d.s.log.Error("smtp: spool", "id", d.tx.id, "err", err)
		return mail.Transient(451, 3, 0, "the mail cannot be stored now, try again later")
	}
	d.mark(b.at, Queued)
	return mail.Reply{}
}

// ruleName says which rule decided, by its id and where it stands.
func ruleName(v *mail.Verdict) string {
	if v.Rule == "" {
		return v.RuleID
	}
	return v.RuleID + " (" + v.Rule + ")"
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"sekimori/filters/bayes"
	"sekimori/internal/attached"
	auditlog "sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/front"
	"sekimori/internal/mail"
	"sekimori/internal/store"
	"sekimori/reputation"
)

// dropPort learns what people forward to the addresses of [bayes.drop].
type dropPort struct {
	learner *reputation.Learner
	audit   auditlog.Appender
	log     *slog.Logger
	find    func(context.Context, mail.Address) mail.Address // whose address it is
	count   func(class, result string)
}

// handed counts what became of the mails that were attached to one.
type handed struct {
	learned, moved, known, waiting int
	attached.Found
}

// Learn implements front.Drop. A mail that cannot be learned to its end is refused for now; what was learned by then is known when it
// comes again.
func (p dropPort) Learn(ctx context.Context, h front.Handed) (said string, refusal mail.Reply) {
	defer func() {
		switch {
		case refusal.IsZero():
			p.count(h.Class, "learned")
		case refusal.IsPermanent():
			p.count(h.Class, "refused")
		default:
			p.count(h.Class, "deferred")
		}
	}()
	d := &h.Config.Bayes.Drop
	n := handed{Found: attached.Find(h.Message, attached.Options{
		Mails: d.MaxMails, Size: int(d.MaxSize),
		Ours:    func(a mail.Address) bool { return h.Config.Ours(a.Domain) },
		Digests: func(a mail.Address) bool { return strings.EqualFold(a.String(), h.Config.DigestOf(a.Domain).From) },
	})}
	if words := n.refusal(d); words != "" {
		p.log.Info("a mail to a learning address teaches nothing", "id", h.ID, "from", h.From.String(), "class", h.Class, "why", words)
		return "", mail.Permanent(554, 6, 0, words)
	}
	sample := p.sample(ctx, h)
	reader := &learnReader{sample: sample, tokens: bayes.Tokenizer{Hostname: h.Config.Hostname}}
	for _, raw := range n.Mails {
		t, err := p.learner.Teach(ctx, reader.of(raw))
		if err != nil {
			p.log.Warn("a mail to a learning address cannot be learned now", "id", h.ID, "from", h.From.String(), "class", h.Class, "err", err)
			return "", dropLater(err)
		}
		n.add(t.Progress)
	}
	said = n.said(reputation.Class(h.Class))
	role := "person"
	if sample.Source == reputation.Admin {
		role = "admin"
	}
	entry := auditlog.Entry{
		Actor: strings.ToLower(h.From.String()), Role: role, Act: "learn", IDs: []string{h.ID}, Peer: h.Session.Client, Via: "drop", Detail: h.Class + ": " + said,
	}
	for _, r := range h.Rcpts {
		entry.Rcpts = append(entry.Rcpts, r.String())
	}
	if err := p.audit.Append(ctx, entry); err != nil {
		p.log.Warn("what was handed in to be learned cannot be written into the audit log", "id", h.ID, "err", err)
		return "", dropLater(err)
	}
	p.log.Info("mails handed in are learned", "id", h.ID, "from", h.From.String(), "class", h.Class, "learned", n.learned, "moved", n.moved,
		"known", n.known, "waiting", n.waiting, "unread", len(n.Unread), "own", n.Own)
	return said, mail.Reply{}
}

// dropLater is the reply when something that stores failed. What the sender's mail server has to do it does by itself.
func dropLater(err error) mail.Reply {
	if store.IsFull(err) {
		return mail.Transient(452, 3, 1, "there is no room to learn the mail now; it is tried again by itself, and if it stays so tell your administrator")
	}
	return mail.Transient(451, 3, 0, "the mail cannot be learned now; it is tried again by itself, and if it stays so tell your administrator")
}

// tellFull warns while the store has no room for more.
func (s *server) tellFull() {
	message := ""
	if s.store.Full() {
		message = "no room for more: nothing is learned or counted (maxmemory of Redis, or the size of the embedded store)"
	}
	s.warn.set("redis.full", message)
}

// sample is what all mails of one have in common: for whom they teach. Where the sender's name may be anybody's, it still counts towards
// what one person may teach.
func (p dropPort) sample(ctx context.Context, h front.Handed) reputation.Sample {
	d := &h.Config.Bayes.Drop
	class, _ := reputation.ParseClass(h.Class)
	s := reputation.Sample{Class: class, Way: reputation.ByDrop, Source: reputation.Person, By: h.From.Key(), Unproven: !d.Senders}
	switch {
	case d.Senders && slices.Contains(d.Admins, h.From.Key()):
		s.Source, s.By = reputation.Admin, ""
	case d.Senders:
		box := p.find(ctx, h.From)
		s.By = box.Key()
		s.Scopes = []reputation.Scope{reputation.PersonScope(box)}
	}
	switch {
	case d.Senders:
		s.Scopes = append(s.Scopes, reputation.DomainScope(h.From), reputation.Everybody)
	case d.Scope == "domain":
		s.Scopes = []reputation.Scope{reputation.DomainScope(h.From)}
	default:
		scope, _ := reputation.ParseScope(d.Scope)
		s.Scopes = []reputation.Scope{scope}
	}
	return s
}

func (n *handed) add(p reputation.Progress) {
	switch {
	case p.Moved > 0:
		n.moved++
	case p.Shown > 0:
		n.learned++
	case p.Waiting > 0:
		n.waiting++
	default:
		n.known++
	}
}

// said is the answer in numbers.
func (n *handed) said(c reputation.Class) string {
	other := reputation.Spam
	if c == reputation.Spam {
		other = reputation.Ham
	}
	words := []string{fmt.Sprintf("%d learned as %s", n.learned+n.moved, c)}
	for _, part := range []struct {
		n     int
		words string
	}{
		{n.moved, "of them as " + string(other) + " before"},
		{n.known, "known before"},
		{n.waiting, "waiting for another person to say the same"},
		{len(n.Unread), "not readable"},
		{n.Own, "of our own left out"},
	} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.words))
		}
	}
	return strings.Join(words, ", ")
}

// refusal says why nothing can be learned; "" when something can.
func (n *handed) refusal(d *config.BayesDrop) string {
	switch {
	case n.Many:
		return fmt.Sprintf("more than %d mails are attached, or too much else: hand in fewer at a time", d.MaxMails)
	case len(n.Mails) > 0:
		return ""
	case len(n.Unread) > 0:
		switch n.Unread[0].Why {
		case attached.Outlook:
			return "what is attached is in a format of Outlook (.msg, winmail.dat), which is not read here: attach the mail as .eml, or forward it as an attachment in Outlook on the web"
		case attached.Archive:
			return "mails in an archive are not read: attach them as they are"
		case attached.Large:
			return fmt.Sprintf("the attached mail is larger than %d KiB", d.MaxSize>>10)
		}
		return "the attached file is no mail"
	case n.Own > 0:
		return "only a mail of this gateway's own is attached, which teaches nothing: open the held mail in it and report that one"
	}
	return "no mail is attached, and one quoted in the text would teach your own words: forward it as an attachment " +
		"(Outlook: More actions, Forward as Attachment; Thunderbird: Message, Forward As, Attachment; Apple Mail: Message, Forward as Attachment; Gmail: Forward as attachment)"
}

// dropFor makes the port. It comes after the acts.
func (s *server) dropFor() front.Drop {
	return dropPort{learner: s.learner, audit: s.actsLog, log: s.log, count: s.metrics.HandedIn, find: func(ctx context.Context, a mail.Address) mail.Address {
		if r := s.rcpts().Find(ctx, a); r.IsAlias() && len(r.Mailboxes) == 1 {
			return r.Mailboxes[0]
		}
		return a
	}}
}

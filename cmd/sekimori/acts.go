package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/rs/xid"

	auditlog "sekimori/internal/audit"
	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/internal/store"
	"sekimori/internal/text"
	"sekimori/quarantine"
	"sekimori/quarantine/acts"
	"sekimori/reputation"
)

const (
	askEvery = 5 * time.Second
	askQuiet = 15 * time.Minute // between two mails about what people ask
)

// people's acts need these; serve and the commands have their own.
type actsParts struct {
	cfg     func() *config.Config
	store   *store.Store
	keeper  *quarantine.Store
	learner *reputation.Learner
	watch   *reputation.BayesWatch // nil: what people say against the Bayesian check is not counted
	allows  *reputation.Allows
	log     *slog.Logger
}

// newActs makes the service of what people do with held mail, and its log.
func newActs(p actsParts) (*acts.Service, *auditlog.Log) {
	newID := func() string { return xid.New().String() }
	log := auditlog.New(auditlog.Options{Client: p.store.Client(), Retention: p.cfg().Audit.Retention.D(), Now: time.Now, NewID: newID, Log: p.log})
	o := acts.Options{
		Keeper: p.keeper, Client: p.store.Client(), Audit: log, Allows: p.allows, Policy: func() acts.Policy { return actsPolicy(p.cfg()) },
		Now: time.Now, NewID: newID, Log: p.log, Past: reputation.NewHistory(p.store.Client(), time.Now),
	}
	if p.learner != nil {
		o.Learner = p.learner
	}
	o.Taught = taught(log, p.log)
	if p.watch != nil {
		o.Dispute = p.watch.Note
	}
	return acts.New(o), log
}

// taught writes into the audit log what the model learned by an act, so that it is a part of the mail's story.
func taught(log *auditlog.Log, say *slog.Logger) func(context.Context, acts.Actor, string, string, bool) {
	return func(ctx context.Context, a acts.Actor, id, class string, undone bool) {
		act := "learn"
		if undone {
			act = "unlearn"
		}
		err := log.Append(ctx, auditlog.Entry{Actor: a.Name, Role: string(a.Role), Act: act, IDs: []string{id}, Via: a.Via, Detail: class})
		if err != nil && say != nil {
			say.Warn("what was learned is not in the audit log", "id", id, "err", err)
		}
	}
}

func actsPolicy(cfg *config.Config) acts.Policy {
	p := acts.Policy{
		Undo: cfg.Quarantine.Undo.D(), AdminOnly: cfg.Quarantine.AdminOnly, Learn: cfg.Quarantine.Learn, Hostname: cfg.Hostname,
	}
	if cfg.Allow.Enabled {
		p.AllowFor = cfg.Allow.Lifetime.D()
	}
	return p
}

// releaseMark is by what the backend knows a released mail.
func (s *server) releaseMark() quarantine.Marker {
	m := s.cfg().Quarantine.Mark
	return quarantine.Marker{Key: string(m.Key), Token: string(m.Token)}
}

// openActs makes what people's acts need. It comes after the first generation and the quarantine.
func (s *server) openActs() {
	s.acts, s.actsLog = newActs(actsParts{
		cfg: s.cfg, store: s.store, keeper: s.keeper, learner: s.learner, watch: s.bayesWatch, allows: s.judge().allows, log: s.log,
	})
}

// decideLater carries out what the command asked for while the store did not answer, as it would have done it itself.
func (s *server) decideLater(ctx context.Context, id string, rcpts []mail.Address, deleted bool, by string) error {
	a := acts.Actor{Name: by, Role: acts.Admin, Via: "command"}
	var r acts.Receipt
	var err error
	if deleted {
		r, err = s.acts.Delete(ctx, a, id, rcpts)
	} else {
		r, err = s.acts.Release(ctx, a, id, rcpts, acts.How{Now: true})
	}
	for _, about := range []error{acts.ErrForbidden, acts.ErrNotFound, acts.ErrState, acts.ErrInvalid} {
		if errors.Is(err, about) {
			return fmt.Errorf("%w: %w", quarantine.ErrState, err)
		}
	}
	if len(r.NotDone) > 0 {
		s.log.Warn("a decision that waited for the store is carried out, but not all that belongs to it", "id", id, "not_done", r.NotDone)
	}
	return err
}

// watchAsks mails the administrators what people ask them to look at, all of it in one mail.
func (s *server) watchAsks(ctx context.Context) {
	t := time.NewTicker(askEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if len(s.cfg().Alert.Mail) == 0 {
			continue
		}
		err := s.acts.TellAsked(ctx, askQuiet, func(list []acts.Question) error {
			return s.relay.Queue(ctx, askMail(s.cfg(), "ask-"+xid.New().String(), time.Now(), list))
		})
		if err != nil {
			s.log.Debug("administrators cannot be told of questions now", "err", err)
		}
	}
}

// askMail makes the mail about what people ask: from nobody, like an alert.
func askMail(cfg *config.Config, id string, now time.Time, list []acts.Question) relay.Envelope {
	langs := []text.Lang{text.Ja, text.En}
	if only := cfg.Alert.Lang; only != "" {
		langs = []text.Lang{text.Lang(only)}
	}
	var subjects, bodies []string
	for _, lang := range langs {
		subjects = append(subjects, text.Fill("ask.subject", lang, mail.Evidence{Key: "n", Value: strconv.Itoa(len(list))}))
		bodies = append(bodies, askBody(cfg, lang, list))
	}
	return adminMail(cfg, id, now, strings.Join(subjects, " / "), bodies)
}

// adminMail makes a mail of ours to the administrators, in 7 bits.
func adminMail(cfg *config.Config, id string, now time.Time, subject string, bodies []string) relay.Envelope {
	var b strings.Builder
	b.WriteString(text.Field("From", "Sekimori", "<postmaster@"+cfg.Hostname+">"))
	b.WriteString(text.Field("To", strings.Join(cfg.Alert.Mail, ", "), ""))
	b.WriteString(text.Field("Subject", "[Sekimori] "+cfg.Hostname+" "+subject, ""))
	fmt.Fprintf(&b, "Date: %s\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-generated\r\n", now.Format(time.RFC1123Z), id, cfg.Hostname)
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	body := strings.Join(bodies, "\n----------------------------------------\n\n")
	b.Write(text.Base64([]byte(strings.ReplaceAll(body, "\n", "\r\n"))))
	b.WriteString("\r\n")
	env := relay.Envelope{
		ID: id, Content: mail.Content{[]byte(b.String())}, Lane: relay.LaneOutbound, Meta: mail.Origin{Kind: mail.KindAlert, ID: id}.Encode,
	}
	for _, s := range cfg.Alert.Mail {
		if to, err := mail.ParseAddress(s, false); err == nil {
			env.Rcpts = append(env.Rcpts, to)
		}
	}
	return env
}

func askBody(cfg *config.Config, lang text.Lang, list []acts.Question) string {
	var b strings.Builder
	b.WriteString(text.Fill("ask.begin", lang) + "\n\n")
	for i, q := range list {
		var rcpts []string
		for _, a := range q.Asked {
			for _, r := range a.Rcpts {
				rcpts = append(rcpts, r.String())
			}
		}
		fmt.Fprintf(&b, "[%d] %s\n", i+1, text.Fill("ask.mail", lang,
			mail.Evidence{Key: "from", Value: text.Clean(q.HeaderFrom, 120)}, mail.Evidence{Key: "subject", Value: text.Clean(q.Subject, 120)},
			mail.Evidence{Key: "rcpt", Value: text.Clean(strings.Join(rcpts, ", "), 200)}, mail.Evidence{Key: "class", Value: q.Class},
			mail.Evidence{Key: "id", Value: q.ID}))
		for _, a := range q.Asked {
			b.WriteString(text.Fill("ask.by", lang, mail.Evidence{Key: "by", Value: text.Clean(a.By, 120)},
				mail.Evidence{Key: "at", Value: a.At.Local().Format("2006-01-02 15:04")}) + "\n")
			if a.Note != "" {
				b.WriteString(text.Fill("ask.note", lang, mail.Evidence{Key: "note", Value: text.Clean(a.Note, 500)}) + "\n")
			}
		}
		b.WriteString("\n")
	}
	if cfg.HTTP.PublicURL != "" {
		b.WriteString(text.Fill("ask.link", lang, mail.Evidence{Key: "url", Value: cfg.HTTP.PublicURL}) + "\n")
	}
	b.WriteString(text.Fill("ask.end", lang) + "\n")
	return b.String()
}

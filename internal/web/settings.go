package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/people"
	"sekimori/internal/text"
	"sekimori/internal/web/session"
	"sekimori/quarantine/acts"
)

// Choices keeps what a person chose about the digests; people.Store does.
type Choices interface {
	Get(ctx context.Context, persons []mail.Address) ([]people.State, error)
	SetLang(ctx context.Context, a mail.Address, lang text.Lang) error
	SetSchedule(ctx context.Context, a mail.Address, z config.Schedule) error
}

// What can be chosen: a language or a schedule after the colon; nothing there takes the choice back.
const (
	chooseLang     = "lang:"
	chooseSchedule = "when:"
)

var settingActs = []string{
	chooseSchedule + "daily", chooseSchedule + "workdays", chooseSchedule + "weekly", chooseSchedule + "hourly", chooseSchedule + "off", chooseSchedule,
	chooseLang + "ja", chooseLang + "en", chooseLang,
}

// settingsPage says what is chosen now. Nothing on it is preselected: the links of a digest lead here, and machines follow them.
type settingsPage struct {
	Schedule string         // the kind; "" when the person chose none
	Days     []time.Weekday // of a weekly one
	Times    string         // of the day, as 08:00 16:00
	Lang     text.Lang
	Acts     []string
}

// settings shows when and in which language a person is told. The link in a digest that stops it leads here.
func (s *Site) settings(w http.ResponseWriter, r *http.Request, n session.Session) {
	if s.o.Choices == nil || !n.All {
		s.failed(w, r, n, acts.ErrNotFound)
		return
	}
	got, err := s.o.Choices.Get(r.Context(), []mail.Address{s.reader(r, n)})
	if err != nil {
		s.failed(w, r, n, err)
		return
	}
	p := settingsPage{Acts: settingActs}
	if len(got) == 1 {
		p.Lang, p.Schedule = got[0].Lang, got[0].Schedule.Kind
		if !got[0].Schedule.IsZero() {
			p.Days, p.Times = got[0].Schedule.Days, strings.Join(got[0].Schedule.Clock(), " ")
		}
	}
	s.page(w, r, n, http.StatusOK, "settings", p)
}

// choose keeps one choice of a person.
func (s *Site) choose(w http.ResponseWriter, r *http.Request, n session.Session) {
	act := choice(r, settingActs...)
	switch {
	case s.o.Choices == nil || !n.All:
		s.failed(w, r, n, acts.ErrNotFound)
		return
	case !slices.Contains(settingActs, act):
		s.noChoice(w, r, n)
		return
	}
	whose := s.reader(r, n)
	s.once(w, r, n, func(ctx context.Context) (string, error) {
		if lang, ok := strings.CutPrefix(act, chooseLang); ok {
			return "/settings", s.o.Choices.SetLang(ctx, whose, text.Lang(lang))
		}
		z, err := config.ParseSchedule(strings.TrimPrefix(act, chooseSchedule))
		if err != nil {
			return "", err
		}
		return "/settings", s.o.Choices.SetSchedule(ctx, whose, z)
	})
}

// reader is the person whose digests the choices are about: of an alias, the one behind it.
func (s *Site) reader(r *http.Request, n session.Session) mail.Address {
	if p, ok := s.o.People.Person(r.Context(), n.Person); ok {
		return p.Address
	}
	return n.Person
}

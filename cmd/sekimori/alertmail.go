package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
	"sekimori/internal/relay"
	"sekimori/internal/text"
)

// alertMail makes the mail about causes that have begun and that are over, in the languages of [alert] lang. standing has the words of
// each cause that has begun.
func alertMail(cfg *config.Config, id string, now time.Time, begun, over []string, standing map[string]string) relay.Envelope {
	return mailToAlerted(cfg, id, now, func(lang text.Lang) (subject, body string) {
		return alertSubject(lang, begun, over), alertBody(cfg.Hostname, lang, begun, over, standing)
	})
}

// alertTestMail makes the mail that shows whether alerts arrive.
func alertTestMail(cfg *config.Config, id string, now time.Time) relay.Envelope {
	at := mail.Evidence{Key: "host", Value: cfg.Hostname}
	return mailToAlerted(cfg, id, now, func(lang text.Lang) (subject, body string) {
		return text.Fill("alert.subject.test", lang), text.Fill("alert.test", lang, at) + "\n"
	})
}

// mailToAlerted makes a mail to the addresses of [alert]: from nobody, so that nothing answers it, and in 7 bits.
func mailToAlerted(cfg *config.Config, id string, now time.Time, words func(text.Lang) (subject, body string)) relay.Envelope {
	langs := []text.Lang{text.Ja, text.En}
	if only := cfg.Alert.Lang; only != "" {
		langs = []text.Lang{text.Lang(only)}
	}
	var subjects, bodies []string
	for _, lang := range langs {
		subject, body := words(lang)
		subjects, bodies = append(subjects, subject), append(bodies, body)
	}
	return adminMail(cfg, id, now, strings.Join(subjects, " / "), bodies)
}

// alertSubject names the first cause, and how many more there are.
func alertSubject(lang text.Lang, begun, over []string) string {
	key, causes := "alert.subject.begun", begun
	if len(begun) == 0 {
		key, causes = "alert.subject.over", over
	}
	what, _ := warningWords(lang, causes[0])
	if more := len(begun) + len(over) - 1; more > 0 {
		what = text.Fill("alert.subject.more", lang, mail.Evidence{Key: "what", Value: what}, mail.Evidence{Key: "n", Value: strconv.Itoa(more)})
	}
	return text.Fill(key, lang, mail.Evidence{Key: "what", Value: what})
}

func alertBody(host string, lang text.Lang, begun, over []string, standing map[string]string) string {
	var b strings.Builder
	at := mail.Evidence{Key: "host", Value: host}
	if len(begun) > 0 {
		fmt.Fprintf(&b, "%s\n\n", text.Fill("alert.begun", lang, at))
		for i, c := range begun {
			is, do := warningWords(lang, c)
			detail := text.Fill("alert.detail", lang, mail.Evidence{Key: "detail", Value: standing[c]})
			fmt.Fprintf(&b, "%d. %s\n%s\n%s\n\n", i+1, is, do, detail)
		}
	}
	if len(over) > 0 {
		fmt.Fprintf(&b, "%s\n\n", text.Fill("alert.over", lang, at))
		for i, c := range over {
			is, _ := warningWords(lang, c)
			fmt.Fprintf(&b, "%d. %s\n", i+1, is)
		}
		b.WriteString("\n")
	}
	return b.String() + text.Fill("alert.more", lang, at) + "\n"
}

// warningWords says what a warning is and what to do about it.
func warningWords(lang text.Lang, cause string) (is, do string) {
	kind, about := text.Warning(cause)
	e := mail.Evidence{Key: "about", Value: about}
	return text.Fill("warning."+kind+".is", lang, e), text.Fill("warning."+kind+".do", lang, e)
}

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

// alertMail makes the mail about causes that have begun and that are over: from nobody, so that nothing answers it, in 7 bits, and
// in the languages of [alert] lang. standing has the words of each cause that has begun.
func alertMail(cfg *config.Config, id string, now time.Time, begun, over []string, standing map[string]string) relay.Envelope {
	langs := []text.Lang{text.Ja, text.En}
	if only := cfg.Alert.Lang; only != "" {
		langs = []text.Lang{text.Lang(only)}
	}
	var subjects, bodies []string
	for _, lang := range langs {
		subjects = append(subjects, alertSubject(lang, begun, over))
		bodies = append(bodies, alertBody(cfg.Hostname, lang, begun, over, standing))
	}
	var b strings.Builder
	b.WriteString(text.Field("From", "Sekimori", "<postmaster@"+cfg.Hostname+">"))
	b.WriteString(text.Field("To", strings.Join(cfg.Alert.Mail, ", "), ""))
	b.WriteString(text.Field("Subject", "[Sekimori] "+cfg.Hostname+" "+strings.Join(subjects, " / "), ""))
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

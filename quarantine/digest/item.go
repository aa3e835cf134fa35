package digest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sekimori/internal/mail"
	"sekimori/internal/text"
	"sekimori/quarantine"
)

// Bounds of what is shown of a mail.
const (
	maxSubject = 120 // characters
	maxName    = 60
	maxAddress = 100
	maxFile    = 60
	maxFiles   = 5
)

// groups in the order in which they are shown: what needs a look comes first.
var groups = []string{"undeliverable", string(text.CertaintyLow), string(text.CertaintyMedium), string(text.CertaintyHigh)}

// view is one mail as it is told of. Everything in it that came from the mail is fit to be shown, but not yet for HTML.
type view struct {
	Group, Title      string
	Again             string // said when an earlier digest may have named it
	Name, From, Sure  string // Name may be empty
	Subject, To       string
	Arrived, Size     string
	Files, Why        string
	Nothing, Business string
	Safe, Show, Link  string
}

// viewer makes views in one language.
type viewer struct {
	lang      text.Lang
	loc       *time.Location
	contact   string
	dangerous func(class string) bool
}

func (v *viewer) say(key string, pairs ...string) string {
	evidence := make([]mail.Evidence, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		evidence = append(evidence, mail.Evidence{Key: pairs[i], Value: pairs[i+1]})
	}
	return text.Fill("digest."+key, v.lang, evidence...)
}

// quote sets what came from a mail apart from our own words.
func (v *viewer) quote(s string) string {
	if v.lang == text.Ja {
		return "「" + s + "」"
	}
	return "“" + s + "”"
}

func group(i *quarantine.Item) string {
	if i.Class == "undeliverable" {
		return i.Class
	}
	return string(text.Sure(i.Verdict()))
}

// view shows a mail; of is how many there are, n its number among them.
func (v *viewer) view(i *quarantine.Item, to []mail.Address, n, of int, link string) view {
	verdict := i.Verdict()
	w := view{
		Group: group(i), From: v.sender(i), To: v.recipients(to), Subject: v.subject(i), Link: link,
		Arrived: text.Moment(i.Time.In(v.loc), v.lang), Size: text.Size(i.Size), Files: v.files(i),
		Why:     v.why(i),
		Nothing: v.say("nothing", "day", text.Day(i.Until.In(v.loc), v.lang)), Show: v.say("show"),
		Safe: v.say("safe"),
	}
	w.Business = v.say("business", "show", w.Show)
	if v.dangerous(i.Class) {
		w.Safe = v.say("safe.ask", "contact", v.contact)
	}
	if name := strings.TrimSpace(i.FromName); name != "" {
		w.Name = v.quote(text.Reveal(name, maxName))
	}
	key := "title"
	if w.Group == "undeliverable" {
		key = "title.plain"
	}
	w.Title = v.say(key, "i", strconv.Itoa(n), "n", strconv.Itoa(of), "kind", text.ClassName(i.Class, v.lang), "sure", text.SureWord(text.Sure(verdict), v.lang))
	return w
}

// why says the reason, and the smallest safe thing to do about it.
func (v *viewer) why(i *quarantine.Item) string {
	sentences := text.Explain(i.Verdict(), v.lang)
	if fix := v.say("fix." + i.Class); fix != "" {
		sentences = append(sentences, fix)
	}
	return text.Join(sentences, v.lang)
}

// sender is the address in From with whether it is genuine.
func (v *viewer) sender(i *quarantine.Item) string {
	address := text.Reveal(strings.TrimSpace(i.HeaderFrom), maxAddress)
	if address == "" {
		return v.say("no_sender")
	}
	note := v.say("unconfirmed")
	if at := strings.LastIndexByte(address, '@'); i.Confirmed && at >= 0 {
		note = v.say("confirmed", "domain", address[at+1:])
	}
	if v.lang == text.Ja {
		return address + "（" + note + "）"
	}
	return address + " (" + note + ")"
}

func (v *viewer) subject(i *quarantine.Item) string {
	if s := strings.TrimSpace(i.Subject); s != "" {
		return v.quote(text.Reveal(s, maxSubject))
	}
	return v.say("no_subject")
}

func (v *viewer) recipients(to []mail.Address) string {
	var list []string
	for _, a := range to {
		list = append(list, text.Reveal(a.String(), maxAddress))
	}
	return strings.Join(list, ", ")
}

func (v *viewer) files(i *quarantine.Item) string {
	if i.Attached == 0 {
		return v.say("no_files")
	}
	var list []string
	for _, name := range i.Attachments[:min(len(i.Attachments), maxFiles)] {
		if strings.TrimSpace(name) == "" {
			list = append(list, v.say("unnamed_file"))
			continue
		}
		list = append(list, v.quote(shortName(text.Reveal(name, 4*maxFile))))
	}
	if more := i.Attached - len(list); more > 0 {
		list = append(list, v.say("more_files", "n", strconv.Itoa(more)))
	}
	if v.lang == text.Ja {
		return strings.Join(list, "")
	}
	return strings.Join(list, ", ")
}

// shortName shortens a file's name in the middle: its end says what it is.
func shortName(s string) string {
	r := []rune(s)
	if len(r) <= maxFile {
		return s
	}
	return string(r[:maxFile-16]) + "…" + string(r[len(r)-15:])
}

// sortItems puts the mails in the order in which they are told: by group, the newest first.
func sortItems(items []Entry) {
	slices.SortStableFunc(items, func(a, b Entry) int {
		if x, y := slices.Index(groups, group(&a.Item)), slices.Index(groups, group(&b.Item)); x != y {
			return x - y
		}
		return b.Item.Time.Compare(a.Item.Time)
	})
}

package replay

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/filters"
	"sekimori/internal/history"
	"sekimori/internal/mail"
	"sekimori/internal/mime"
	"sekimori/rules"
)

// corpus makes up mails of all kinds: those of testdata/mail (Japanese charsets, hostile HTML) as they are, cut, garbled and with other
// subjects, texts and header fields; checks that find this and that, are down, or did not run; several recipients; relays. The same
// seed gives the same mails.
type corpus struct {
	r     *rand.Rand
	mails [][]byte
	specs []filters.Spec
	start time.Time
}

func newCorpus(t testing.TB, seed uint64) *corpus {
	t.Helper()
	c := &corpus{r: rand.New(rand.NewPCG(seed, 7)), specs: filters.Specs(), start: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)}
	files, err := filepath.Glob("../../testdata/mail/*.eml")
	if dir := os.Getenv("SEKIMORI_REPLAY_MAILS"); dir != "" {
		files, err = filepath.Glob(filepath.Join(dir, "*.eml"))
	}
	if err != nil || len(files) < 10 {
		t.Fatal(err, files)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		c.mails = append(c.mails, []byte(strings.ReplaceAll(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n", "\r\n")))
	}
	return c
}

func (c *corpus) pick(list ...string) string { return list[c.r.IntN(len(list))] }

func (c *corpus) chance(percent int) bool { return c.r.IntN(100) < percent }

var corpusWords = []string{
	"副業", "先着", "お世話になっております", "ご請求書", "口座", "本人確認", "Amazon", "三井住友カード", "invoice", "lottery", "https://bit.ly/7", "click here",
	"http://198.51.100.7/login", "資料", "ＡＭＡＺＯＮ", "パスワード", "meeting", "unsubscribe",
}

func (c *corpus) text(most int) string {
	var b strings.Builder
	for range c.r.IntN(most) {
		b.WriteString(c.pick(corpusWords...) + c.pick(" ", "\r\n", "、"))
	}
	return b.String()
}

// raw is the octets of a mail.
func (c *corpus) raw() []byte {
	if c.chance(40) {
		return c.plain()
	}
	raw := append([]byte(nil), c.mails[c.r.IntN(len(c.mails))]...)
	switch c.r.IntN(6) {
	case 0:
		raw = raw[:c.r.IntN(len(raw))]
	case 1:
		for range 1 + c.r.IntN(20) {
			raw[c.r.IntN(len(raw))] = byte(c.r.IntN(256))
		}
	case 2:
		raw = append(raw, []byte(c.text(3000))...)
	case 3:
		raw = append([]byte(fmt.Sprintf("Received: from x by y\r\nList-Id: <%d.list.example>\r\nX-Long: %s\r\n", c.r.IntN(9), strings.Repeat("ab ", c.r.IntN(2000)))), raw...)
	}
	return raw
}

func (c *corpus) plain() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "From: %s <%s>\r\n", c.pick("Amazon.co.jp", "Ａｍａｚｏｎ", "佐藤", "LINE", ""), c.sender())
	fmt.Fprintf(&b, "To: %s\r\nSubject: %s\r\nMessage-ID: <%d@x.example>\r\n", c.pick("taro@example.jp", "b@example.co.jp"), c.pick("ご請求書", "invoice 7", "Re: 資料", strings.Repeat("long ", 400)), c.r.Uint32())
	for range c.r.IntN(4) {
		fmt.Fprintf(&b, "%s: %s\r\n", c.pick("List-Unsubscribe", "X-Mailer", "Reply-To", "DKIM-Signature", "X-Spam"), c.pick("<mailto:x@y.example>", "free@gmail.com", strings.Repeat("z", 900)))
	}
	if c.chance(30) {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n--q\r\nContent-Type: application/%s\r\nContent-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n--q--\r\n",
			c.text(60), c.pick("zip", "octet-stream", "pdf"), c.pick("a.exe", "b.zip", "請求書.pdf.js", "c.pdf", "d.iso"))
	} else {
		fmt.Fprintf(&b, "Content-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", c.text(80))
	}
	return []byte(b.String())
}

func (c *corpus) sender() string {
	return c.pick("info@amazon.co.jp", "sato@example.co.jp", "x@evil.example", "a..b@docomo.ne.jp", "news@shop.example", "ceo@example.jp", "free@gmail.com")
}

// value makes up a fact.
func (c *corpus) value(f *mail.Fact) any {
	switch {
	case len(f.Values) > 0:
		return f.Values[c.r.IntN(len(f.Values))]
	case f.Type == mail.Bool:
		return c.chance(20)
	case f.Type == mail.Int:
		return c.r.IntN(1 + c.r.IntN(50))
	case f.Type == mail.Float:
		return c.r.Float64() * c.pickFloat(1, 10, 40)
	case f.Type == mail.Strings:
		list := []string{}
		for range c.r.IntN(4) {
			list = append(list, c.pick("example.co.jp", "zen.example", "127.0.0.4", "html", strings.Repeat("x", 600)))
		}
		return list
	}
	return c.pick("pass", "fail", "none", "JP", "US", "RU", "example.co.jp", "mx.evil.example", "", strings.Repeat("y", 1200))
}

func (c *corpus) pickFloat(list ...float64) float64 { return list[c.r.IntN(len(list))] }

// outcomes are what the checks found.
func (c *corpus) outcomes(tx *mail.Transaction) {
	tx.Facts = map[string]any{}
	for i := range c.specs {
		s := &c.specs[i]
		o := mail.Outcome{Check: s.Name, Stage: s.Stages[len(s.Stages)-1]}
		switch n := c.r.IntN(100); {
		case o.Stage > tx.Stage || n < 3:
			continue
		case n < 10:
			o.State, o.Why = mail.StateTempError, c.pick("timeout", "no answer from 192.0.2.53")
		case n < 15:
			o.State, o.Why = mail.StateSkipped, "not configured"
		}
		if o.State != mail.StateOK {
			tx.Outcomes = append(tx.Outcomes, o)
			continue
		}
		if c.chance(4) {
			o.Partial = []string{"bl.example: timeout"}
		}
		for k := range s.Facts {
			f := &s.Facts[k]
			if c.chance(4) {
				continue
			}
			if f.PerRcpt {
				for _, rcpt := range tx.Rcpts {
					tx.SetRcptFact(rcpt, f.Name, c.value(f))
				}
			} else {
				tx.Facts[f.Name] = c.value(f)
			}
		}
		for _, sym := range s.Symbols {
			if !c.chance(12) {
				continue
			}
			f := mail.Finding{Symbol: sym.Name, Evidence: []mail.Evidence{{Key: "domain", Value: c.sender()}}}
			if c.chance(20) {
				f.Weight = c.r.Float64()
			}
			if c.chance(5) {
				f.Rcpt = tx.Rcpts[c.r.IntN(len(tx.Rcpts))]
			}
			o.Findings = append(o.Findings, f)
		}
		tx.Outcomes = append(tx.Outcomes, o)
	}
}

// next is one mail as it comes to the rules.
func (c *corpus) next(n int) *rules.Case {
	at := c.start.Add(time.Duration(n) * 37 * time.Second)
	s := &mail.Session{
		ID: fmt.Sprintf("s%d", n), Client: netip.AddrFrom4([4]byte{192, 0, byte(c.r.IntN(3)), byte(c.r.IntN(256))}), Helo: c.pick("mx.example.co.jp", "localhost", "evil"), Esmtp: c.chance(90),
		Start: at, Trusted: c.chance(3), Early: c.chance(2), KeepRefused: c.chance(20),
	}
	if c.chance(5) {
		s.Relay, s.Unknown = netip.MustParseAddr("192.0.2.200"), c.pick("", "no Received field of the relay")
	}
	from, _ := mail.ParseAddress(c.sender(), true)
	tx := &mail.Transaction{Session: s, ID: fmt.Sprintf("m%07d", n), Stage: mail.Conclude, From: from, Start: at}
	if c.chance(5) {
		tx.From = mail.Address{}
	}
	for range 1 + c.r.IntN(1+c.r.IntN(4)) {
		rcpt := mail.Address{Local: c.pick("taro", "info", "postmaster", "hanako", "abuse"), Domain: c.pick("example.jp", "example.co.jp")}
		tx.Rcpts = append(tx.Rcpts, rcpt)
		if c.chance(20) {
			tx.Mailboxes = map[mail.Address][]mail.Address{rcpt: {{Local: "box", Domain: "example.jp"}}}
		}
		if c.chance(50) {
			tx.SetRcptFact(rcpt, "rcpt.groups", []string{c.pick("sales@example.jp", "board@example.jp")})
			tx.SetRcptFact(rcpt, mail.AttrFact("department"), []string{c.pick("営業部", "総務部"), "役員会"})
		}
	}
	if c.chance(8) {
		tx.Stage, tx.Rcpts = mail.Rcpt, tx.Rcpts[:1]
	} else {
		tx.Message = mime.Parse(c.raw())
	}
	c.outcomes(tx)
	mail.AddBaseFacts(tx.Facts, tx)
	return &rules.Case{Tx: tx, Rcpts: tx.Rcpts}
}

func options(dir string) rules.Options {
	return rules.Options{
		Dir: dir, Facts: filters.Facts(filters.Specs()), Symbols: filters.Symbols(filters.Specs()), States: filters.Names(filters.Specs()),
		Domains: []string{"example.jp", "example.co.jp"}, Attributes: []string{"department"}, DecodeHeader: mime.DecodeHeader, Protected: []string{"malware", "undeliverable"},
		Now:    func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) },
		Member: func(_, a mail.Address) (bool, error) { return a.Local == "taro", nil },
	}
}

// load loads rule files.
func load(t testing.TB, files map[string]string) *rules.Policy {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := rules.Load(options(dir))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// keep writes the facts of so many mails as serve would, and returns where.
func (c *corpus) keep(t testing.TB, p *rules.Policy, mails int) string {
	t.Helper()
	dir := t.TempDir()
	now := c.start
	w, err := history.Open(dir, history.Options{Limits: history.Limits{KeepFacts: 1000 * 24 * time.Hour}, Now: func() time.Time { return now }, QueueBytes: 256 << 20, Queue: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	for n := range mails {
		k := c.next(n)
		verdicts := p.JudgeCase(k)
		w.Facts(k.Tx.Start, k.Tx.ID, func(b []byte) []byte { return p.AppendCase(b, k, verdicts) })
		if n%2000 == 1999 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			now = k.Tx.Start
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if lost := w.Stats().LostFacts; lost > 0 {
		t.Fatalf("%d facts were lost", lost)
	}
	return dir
}

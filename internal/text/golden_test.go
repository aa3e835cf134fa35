package text

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

var update = flag.Bool("update", false, "write the golden files and TEXTS.md anew")

func holdGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s is not in date (%v); write it with -update and read what has changed", path, err)
	}
}

func found(symbol string, points float64, evidence ...string) mail.Counted {
	c := mail.Counted{Name: symbol, Points: points}
	for i := 0; i < len(evidence); i += 2 {
		c.Evidence = append(c.Evidence, ev(evidence[i], evidence[i+1]))
	}
	return c
}

func ruled(id, place, ja, en string, points float64, evidence ...string) mail.Counted {
	c := found(id, points, evidence...)
	c.Rule, c.Describe = place, map[string]string{"ja": ja, "en": en}
	return c
}

// decided is a verdict of a rule, which stands last in what counted.
func decided(a mail.Action, class string, c mail.Counted, before ...mail.Counted) mail.Verdict {
	v := mail.Verdict{Action: a, Final: a != mail.Tag, Class: class, RuleID: c.Name, Rule: c.Rule, Describe: c.Describe, Counted: append(before, c)}
	for _, b := range before {
		v.Score += b.Points
	}
	return v
}

// summed is a verdict of a threshold.
func summed(a mail.Action, limit float64, counted ...mail.Counted) mail.Verdict {
	v := mail.Verdict{Action: a, Class: "spam", RuleID: "threshold." + a.String(), Limit: limit, Counted: counted}
	for _, c := range counted {
		v.Score += c.Points
	}
	return v
}

type goldenCase struct {
	name string
	v    mail.Verdict
}

func goldenCases() []goldenCase {
	listed := found("DNSBL_LISTED", 4, "ip", "203.0.113.5", "list", "zen.spamhaus.org", "code", "127.0.0.4")
	unnamed := found("RDNS_NONE", 1.5, "ip", "203.0.113.5")
	spam := found("BAYES_SPAM", 4.2, "words", "副業, 先着, LINE登録", "probability", "0.998")
	dmarc := found("DMARC_REJECT", 0, "domain", "example-card.co.jp", "policy", "reject", "record", "_dmarc.example-card.co.jp")
	reject := ruled("DMARC_POLICY_REJECT", "defaults/2026.11.toml:214", "差出人のドメインの正規の送信元から送られたことを確認できませんでした。", "The sender's domain asks that mail be refused when it cannot be confirmed to come from it.", 0, "dmarc.result", "fail", "dmarc.policy", "reject")
	with := func(v mail.Verdict, change func(*mail.Verdict)) mail.Verdict {
		change(&v)
		return v
	}
	cases := []goldenCase{
		{"clean", mail.Verdict{Counted: []mail.Counted{found("SPF_PASS", 0, "domain", "partner.example", "client", "192.0.2.9")}}},
		{"delivered, below every threshold", mail.Verdict{Score: 1.5, Counted: []mail.Counted{unnamed}}},
		{"delivered, with the thresholds", mail.Verdict{Score: 1.5, Counted: []mail.Counted{unnamed}, Limits: mail.Limits{Tag: 4, Hold: 6, Reject: 15}}},
		{"accepted by a list of one's own", decided(mail.Deliver, "sender", ruled("ALLOWED_SENDER_SPF", "defaults/2026.11.toml:41", "差出人は受信を許可する一覧に登録されており、その差出人の正規のサーバーから送られたことを確認できました。", "The sender is on our list of allowed senders, and the server was confirmed to send for that domain.", 0, "from.address", "sato@example.co.jp", "lists.allow_senders", "allow_senders.txt:3", "spf.result", "pass"))},
		{"tagged by the sum", summed(mail.Tag, 4, spam)},
		{"tagged by a rule", decided(mail.Tag, "policy", ruled("NEWSLETTER", "20-news.toml:4", "広告や案内のメールです。", "A newsletter.", 0))},
		{"held by the sum, one finding too much", summed(mail.Hold, 6, spam, unnamed, found("SPF_FAIL", 2, "domain", "shop.example", "client", "203.0.113.5"))},
		{"held by the sum, two findings too much", summed(mail.Hold, 6, spam, unnamed, listed, found("SPF_SOFTFAIL", 1, "domain", "shop.example", "client", "203.0.113.5"))},
		{"held as a forgery", with(decided(mail.Hold, "spoof", reject, found("GEOIP_COUNTRY", 0, "country", "BR"), dmarc), func(v *mail.Verdict) {
			v.Degraded = []string{"dnsbl: zen.spamhaus.org: timeout", "geoip: skipped: no database is configured", "bayes: skipped: not trained: 3 of 200 ham, 10 of 200 spam", "spf: example.jp: DNS: no such host"}
		})},
		{"held as malware", decided(mail.Hold, "malware", ruled("DANGEROUS_FILE", "30-files.toml:9", "開くとプログラムが動く添付ファイルが含まれています。", "An attachment runs as a program when it is opened.", 0, "message.extensions", "zip exe"))},
		{"held instead of refused", decided(mail.Hold, "refused", ruled("DENIED_AUTHOR", "defaults/2026.11.toml:120", "メールに書かれている差出人は、受信を拒否する一覧に登録されています。", "The sender named in the message is on our list of refused senders.", 0, "message.from", "news@ads.example"))},
		{"held because a check could not look", mail.Verdict{Action: mail.Hold, Class: "unchecked", RuleID: "degraded.clamav", Degraded: []string{"clamav: timeout"}}},
		{"held because the backend did not take it", mail.Verdict{Action: mail.Hold, Class: "undeliverable", Score: 1.5, Counted: []mail.Counted{unnamed}}},
		{"refused for block lists", decided(mail.Reject, "reputation", ruled("BLOCK_LISTED", "defaults/2026.11.toml:140", "送信元のサーバーは、迷惑メールの発信元として複数の（または信頼性の高い）ブロックリストに登録されています。", "Several block lists, or one of great weight, name the sending server as a source of spam.", 0, "dnsbl.score", "8"), listed, listed)},
		{"refused by the sum", summed(mail.Reject, 15, spam, listed, listed, unnamed, found("SPF_FAIL", 2, "domain", "shop.example", "client", "203.0.113.5"))},
		{"put off, too much at once", decided(mail.Defer, "ratelimit", ruled("TOO_MANY", "defaults/2026.11.toml:190", "送信元から、短い時間に上限を超える数のメールが送られてきました。", "More mail came from the sending server or its network in a short time than is allowed.", 0), found("RATELIMIT_CLIENT", 0, "client", "203.0.113.5", "limit", "100/1m"))},
		{"put off because a check could not look", mail.Verdict{Action: mail.Defer, Class: "unchecked", RuleID: "degraded.redis", Degraded: []string{"ratelimit: the store does not answer"}}},
		{"sent elsewhere", with(decided(mail.Deliver, "policy", ruled("LEFT_US", "10-people.toml:1", "退職した担当者あてのメールを、担当部署に届けます。", "The recipient has left; the team reads the mail.", 0)), func(v *mail.Verdict) {
			v.Redirect, v.Final = mail.Address{Local: "sales", Domain: "example.jp"}, false
		})},
		{"discarded", with(decided(mail.Deliver, "policy", ruled("AWAY", "10-away.toml:1", "破棄します。", "Thrown away.", 0)), func(v *mail.Verdict) { v.Discard = true })},
		{"observed, with rules that could not be judged", mail.Verdict{Observed: []string{"NEW_RULE"}, Unknown: []string{"FOREIGN"}, Degraded: []string{"geoip: skipped: private address", "rules: a division by zero"}}},
		{"hostile evidence", summed(mail.Hold, 6, found("RDNS_HELO_SELF", 7, "ip", "203.0.113.5", "helo", "mx\r\nX-Y: z\u202etxt.exe"))},
	}
	for i := range cases {
		cases[i].v.Rcpt = mail.Address{Local: "taro", Domain: "example.jp"}
	}
	return cases
}

// TestExplanations holds what administrators and recipients are told of each kind of verdict to what people have read and found good.
func TestExplanations(t *testing.T) {
	var b strings.Builder
	b.WriteString("What is said of each kind of verdict: to the administrator, and to the person (>). Written by -update.\n")
	for _, c := range goldenCases() {
		fmt.Fprintf(&b, "\n-- %s --\n", c.name)
		for _, lang := range []Lang{Ja, En} {
			x := Explained(c.v, Needed(c.v, mail.Limits{Tag: 4, Hold: 6, Reject: 15}), lang)
			for _, line := range x.Lines() {
				if strings.ContainsAny(line, "\n\r\u202e{}") {
					t.Errorf("%s: %q", c.name, line)
				}
				b.WriteString(line + "\n")
			}
			b.WriteString("> " + Reason(c.v, lang) + "\n")
		}
	}
	holdGolden(t, "testdata/explanations.txt", b.String())
}

// TestTextsPage holds the table of all texts to the catalogue.
func TestTextsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# All texts, Japanese and English side by side\n\nWritten by `go test ./internal/text -run TestTextsPage -update` from the catalogue. `{name}` stands for a value.\n")
	cell := strings.NewReplacer("|", "\\|", "\n", "<br>", "<", "&lt;", ">", "&gt;")
	section := ""
	for _, e := range All() {
		if s, _, _ := strings.Cut(e.Key, "."); s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n\n| key | 日本語 | English |\n|---|---|---|\n", s)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.Key, cell.Replace(e.Ja), cell.Replace(e.En))
	}
	b.WriteString("\n## What trace says\n\n`%s`, `%d` and `%.1f` stand for values, in the same order in both languages.\n\n| key | 日本語 | English |\n|---|---|---|\n")
	for _, key := range slices.Sorted(maps.Keys(traceWords)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, cell.Replace(traceWords[key][Ja]), cell.Replace(traceWords[key][En]))
	}
	holdGolden(t, "TEXTS.md", b.String())
}

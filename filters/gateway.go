package filters

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sekimori/internal/mail"
)

// gatewaySpec reads what an older gateway in front of us says of a mail, as long as it is there (smtp.trusted_relays): for `rules compare`,
// and for rules. Only mail that a trusted relay brings is read: anybody else could write the header, too.
var gatewaySpec = Spec{
	Name:    "gateway",
	Stages:  []mail.Stage{mail.Data},
	Symbols: []mail.Symbol{{Name: "GATEWAY_SPAM"}},
	Facts: []mail.Fact{
		{Name: "gateway.verdict", Type: mail.String, Stage: mail.Data, Values: append([]string{""}, gatewayWords...)},
		{Name: "gateway.score", Type: mail.Float, Stage: mail.Data},
		{Name: "gateway.header", Type: mail.String, Stage: mail.Data},
	},
	New: newGateway,
}

// gatewayWords are what a gateway can say, mildest first.
var gatewayWords = []string{"deliver", "tag", "hold", "defer", "reject"}

// gatewayConfig is [filters.gateway].
type gatewayConfig struct {
	Reads   []string        `toml:"reads"`  // names of presets
	Headers []gatewayHeader `toml:"header"` // of one's own
}

// gatewayHeader is [[filters.gateway.header]]: how one header field is read. Patterns are RE2; the harshest that fits counts, then the
// harshest threshold that the score reaches, else it is deliver.
type gatewayHeader struct {
	Name       string             `toml:"name"`
	Score      string             `toml:"score"` // its first group is a number
	Tag        string             `toml:"tag"`
	Hold       string             `toml:"hold"`
	Defer      string             `toml:"defer"`
	Reject     string             `toml:"reject"`
	Thresholds map[string]float64 `toml:"thresholds"`
}

// gatewayPresets are how products of the field write their verdicts.
var gatewayPresets = map[string][]gatewayHeader{
	"spamassassin": {
		{Name: "X-Spam-Status", Score: `score=(-?[0-9.]+)`, Tag: `(?i)^\s*yes\b`},
		{Name: "X-Spam-Flag", Tag: `(?i)^\s*yes\b`},
	},
	"rspamd": {
		{Name: "X-Rspamd-Action", Tag: `(?i)add header|rewrite subject`, Hold: `(?i)quarantine`, Defer: `(?i)soft reject|greylist`, Reject: `(?i)^\s*(reject|discard)`},
		{Name: "X-Spamd-Result", Score: `\[(-?[0-9.]+) /`, Tag: `(?i)^[^:\[]*:\s*true\b`},
	},
	"exchange":  {{Name: "X-MS-Exchange-Organization-SCL", Score: `^\s*(-?[0-9]+)\s*$`, Thresholds: map[string]float64{"tag": 5}}},
	"pmg":       {{Name: "X-SPAM-LEVEL", Score: `:\s*(-?[0-9.]+)`, Thresholds: map[string]float64{"hold": 3}}},
	"barracuda": {{Name: "X-Barracuda-Spam-Status", Score: `(?i)SCORE=(-?[0-9.]+)`, Tag: `(?i)^\s*yes\b`}},
}

// gatewayReader is a header made ready.
type gatewayReader struct {
	name   string
	score  *regexp.Regexp
	words  [5]*regexp.Regexp // by gatewayWords
	limits [5]*float64
}

type gateway struct{ readers []gatewayReader }

func newGateway(_ context.Context, env Env) (Check, error) {
	var c gatewayConfig
	if err := env.Config.Decode(&c); err != nil {
		return nil, err
	}
	g := &gateway{}
	for i, name := range c.Reads {
		preset, ok := gatewayPresets[name]
		if !ok {
			return nil, env.Config.Errorf("reads["+strconv.Itoa(i)+"]", "unknown gateway %q; known are barracuda, exchange, pmg, rspamd, spamassassin, and [[filters.gateway.header]] for others", name)
		}
		for _, h := range preset {
			r, _, err := h.reader()
			if err != nil {
				return nil, err
			}
			g.readers = append(g.readers, r)
		}
	}
	for i := range c.Headers {
		r, key, err := c.Headers[i].reader()
		if err != nil {
			return nil, env.Config.Errorf("header["+strconv.Itoa(i)+"]"+key, "%s", err)
		}
		g.readers = append(g.readers, r)
	}
	if len(g.readers) == 0 {
		env.Off("no header of a gateway is configured")
		return nil, nil
	}
	return g, nil
}

// Check implements [Check].
func (g *gateway) Check(_ context.Context, tx *mail.Transaction) (mail.Result, error) {
	switch {
	case !tx.Session.Relayed():
		return mail.Result{Skipped: "not from a trusted relay"}, nil
	case tx.Message == nil:
		return mail.Result{Skipped: "no message"}, nil
	}
	best, score, header, value := -1, 0.0, "", ""
	for i := range g.readers {
		r := &g.readers[i]
		got := r.harshest(tx.Message.Header)
		if got.word > best {
			best, header, value = got.word, r.name, got.value
		}
		if got.scored && score == 0 {
			score = got.score
		}
	}
	verdict := ""
	if best >= 0 {
		verdict = gatewayWords[best]
	}
	res := mail.Result{Facts: []mail.FactValue{
		{Name: "gateway.verdict", Value: verdict}, {Name: "gateway.score", Value: score}, {Name: "gateway.header", Value: header},
	}}
	if best > 0 {
		res.Findings = []mail.Finding{{Symbol: "GATEWAY_SPAM", Evidence: []mail.Evidence{
			{Key: "verdict", Value: verdict}, {Key: "header", Value: header}, {Key: "value", Value: short(value, 100)},
		}}}
	}
	return res, nil
}

// gatewayFields is how many fields of one name are read, half of them from the top and half from the bottom.
const gatewayFields = 16

// gatewayReading is what was read: a word of gatewayWords by its number, -1 without a field, and the score, when there was one.
type gatewayReading struct {
	word   int
	value  string
	score  float64
	scored bool
}

// harshest reads all fields of the name, since a sender can write one, too, and some gateways put theirs below it: the harshest word
// and the largest score count.
func (r *gatewayReader) harshest(fields []mail.Field) gatewayReading {
	var values []string
	for i := range fields {
		if strings.EqualFold(fields[i].Name, r.name) {
			values = append(values, fields[i].Value)
		}
	}
	if n := len(values); n > gatewayFields {
		values = slices.Delete(values, gatewayFields/2, n-gatewayFields/2)
	}
	all := gatewayReading{word: -1}
	for _, v := range values {
		v = strings.TrimSpace(v)
		word, score, scored := r.read(v)
		if word > all.word {
			all.word, all.value = word, v
		}
		if scored && (!all.scored || score > all.score) {
			all.score, all.scored = score, true
		}
	}
	return all
}

func short(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// read gives the number of a word of gatewayWords, and the score if there is one.
func (r *gatewayReader) read(v string) (word int, score float64, scored bool) {
	if r.score != nil {
		if m := r.score.FindStringSubmatch(v); len(m) > 1 {
			n, err := strconv.ParseFloat(m[1], 64)
			score, scored = n, err == nil
		}
	}
	for i := len(gatewayWords) - 1; i > 0; i-- {
		if r.words[i] != nil && r.words[i].MatchString(v) {
			return i, score, scored
		}
	}
	for i := len(gatewayWords) - 1; i > 0 && scored; i-- {
		if r.limits[i] != nil && score >= *r.limits[i] {
			return i, score, true
		}
	}
	return 0, score, scored
}

// reader checks and compiles; key is where in the table an error is.
func (h *gatewayHeader) reader() (r gatewayReader, key string, err error) {
	if r.name = h.Name; h.Name == "" || strings.ContainsFunc(h.Name, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ':' }) {
		return r, ".name", errors.New("must be the name of a header field, such as \"X-Spam-Status\"")
	}
	for _, x := range []struct {
		key, text string
		into      **regexp.Regexp
	}{
		{"score", h.Score, &r.score}, {"tag", h.Tag, &r.words[1]}, {"hold", h.Hold, &r.words[2]}, {"defer", h.Defer, &r.words[3]}, {"reject", h.Reject, &r.words[4]},
	} {
		if x.text == "" {
			continue
		}
		if *x.into, err = regexp.Compile(x.text); err != nil {
			return r, "." + x.key, err
		}
	}
	if r.score != nil && r.score.NumSubexp() < 1 {
		return r, ".score", errors.New("has no group whose text is the number, as in 'score=(-?[0-9.]+)'")
	}
	for name, limit := range h.Thresholds {
		i := slices.Index(gatewayWords, name)
		if i < 1 {
			return r, ".thresholds", errors.New("unknown threshold " + strconv.Quote(name) + ": one of tag, hold, defer, reject")
		}
		r.limits[i] = &limit
	}
	if len(h.Thresholds) > 0 && r.score == nil {
		return r, ".thresholds", errors.New("thresholds need a score: a pattern whose first group is the number")
	}
	if r.words == [5]*regexp.Regexp{} && len(h.Thresholds) == 0 {
		return r, "", errors.New("says nothing of what the header means: tag, hold, defer or reject are patterns, thresholds are limits of the score")
	}
	return r, "", nil
}

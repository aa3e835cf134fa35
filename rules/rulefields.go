package rules

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"sekimori/internal/mail"
)

func (x *decoder) id(r *rule, t *table) {
	var off int
	r.id, off = x.str(t, "id")
	switch {
	case t.get("id") == nil:
		if !t.broken {
			x.errorf(t.off, "the rule has no id")
		}
	case !isID(r.id):
		hint := ""
		if plain := norm.NFKC.String(r.id); plain != r.id && isID(plain) {
			hint = fmt.Sprintf("; in half width (半角) it is %q", plain)
		}
		x.errorf(off, "an id is of letters, digits, _ and -, at most 64: %q%s", clip(r.id, 80), hint)
		r.id = ""
	}
}

func isID(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-'
	})
}

func (x *decoder) describe(r *rule, t *table) {
	e := t.get("describe")
	if e == nil {
		if !t.broken {
			x.d.warnf(x.f, t.off, "%s has no describe, so people are not told why in words of yours", nameOf(r))
		}
		return
	}
	r.describe = map[string]string{}
	switch e.val.kind {
	case kindString:
		r.describe["ja"], r.describe["en"] = e.val.str, e.val.str
		x.d.warnf(x.f, e.val.off, "the text of %s stands for both languages; write describe = { ja = \"…\", en = \"…\" }", nameOf(r))
	case kindTable:
		x.unknownKeys(e.val.tab, []string{"ja", "en"}, "describe")
		for _, lang := range []string{"ja", "en"} {
			if s, _ := x.str(e.val.tab, lang); s != "" {
				r.describe[lang] = s
			} else if e.val.tab.get(lang) == nil {
				x.d.warnf(x.f, e.val.off, "the text of %s lacks %s", nameOf(r), lang)
			}
		}
	default:
		x.errorf(e.val.off, "describe must be a string or { ja = \"…\", en = \"…\" }, not %s", e.val.kind)
	}
	for lang, s := range r.describe {
		if len(s) > maxText || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }) {
			x.errorf(e.val.off, "the text %s of describe is longer than %d bytes or holds control characters", lang, maxText)
		}
	}
}

func nameOf(r *rule) string {
	if r.id == "" {
		return "the rule"
	}
	return r.id
}

func (x *decoder) class(r *rule, t *table) {
	var off int
	r.class, off = x.str(t, "class")
	if r.class != "" && !isID(r.class) {
		x.errorf(off, "a class is of letters, digits, _ and -: %q", clip(r.class, 80))
	}
	if r.class == "" && !r.scores && !r.accept && !r.allow {
		r.class = "policy"
	}
}

// final reads whether a recipient's own permission lifts what the rule does.
func (x *decoder) final(r *rule, t *table) {
	e := t.get("final")
	if !x.want(e, kindBool) {
		return
	}
	if r.final = e.val.b; r.final && (r.scores || r.accept || r.allow || r.aside) {
		x.errorf(e.val.off, "only a rule that tags, holds, defers, rejects, discards or redirects can be final")
	}
}

func (x *decoder) mode(r *rule, t *table) {
	s, off := x.str(t, "mode")
	if t.get("mode") == nil || s == "" {
		return
	}
	var ok bool
	if r.mode, ok = ceilings[s]; !ok {
		x.errorf(off, "unknown mode %q: one of observe, tag, hold, reject%s", s, suggest(s, keysOf(ceilings)))
	}
	if r.aside && (r.mode == tagAtMost || r.mode == holdAtMost) {
		x.errorf(off, "a rule with bcc, strip or add_header can only have mode = \"observe\"")
	}
	if r.scores && (r.mode == tagAtMost || r.mode == holdAtMost) {
		x.errorf(off, "a rule with a score can only have mode = \"observe\"")
	}
}

func (x *decoder) reply(r *rule, t *table) {
	s, off := x.str(t, "reply")
	if s == "" {
		return
	}
	switch {
	case r.scores || r.accept || r.allow || r.aside || r.action < mail.Defer:
		x.errorf(off, "only a rule that defers or rejects has a reply")
	case len(s) > 200:
		x.errorf(off, "a reply has at most 200 characters")
	case strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }):
		x.errorf(off, "a reply is in ASCII: servers on the way show nothing else")
	}
	r.replies = s
}

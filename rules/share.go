package rules

import (
	"math"

	"sekimori/internal/mail"
)

// shareParts is how finely recipients are divided: a share may be as small as 0.01 percent.
const shareParts = 10_000

// percent reads the share of recipients to whom the rule applies as it is written; for the others it observes.
func (x *decoder) percent(r *rule, t *table) {
	r.percent = 100
	e := t.get("percent")
	if !x.want(e, kindFloat) {
		return
	}
	switch {
	case e.val.num < 0 || e.val.num > 100 || math.IsNaN(e.val.num):
		x.errorf(e.val.off, "percent is from 0 to 100, a share of the recipients")
	case e.val.num > 0 && e.val.num < 100.0/shareParts:
		x.errorf(e.val.off, "percent is 0 or at least %g", 100.0/shareParts)
	case r.at == mail.Connect && t.get("at") != nil:
		x.errorf(e.off, "a rule that is judged at connect knows no recipients, of whom it could choose a share; leave out percent, or at")
	default:
		if r.mode == observeOnly {
			x.d.warnf(x.f, e.off, "%s only observes, for everybody, so that percent changes nothing", nameOf(r))
		}
		r.percent, r.partial = e.val.num, e.val.num < 100
	}
}

// concernsShare reports whether a recipient is among the given percentage of all. It rests on the rule's id and the address in lower
// case alone, so that all hosts agree, a restart changes nothing, each rule chooses others, and a larger share only adds people. A +tag
// is left out: senders choose it, and would find one for which the rule only observes.
func concernsShare(id string, rcpt mail.Address, percent float64) bool {
	return shareOf(id, rcpt) < uint64(math.Round(percent*shareParts/100))
}

// shareOf places a recipient in one of shareParts: FNV-1a over the id, a zero and the address, its bits mixed as in MurmurHash3, so that
// addresses that differ in their last letter come to stand far apart.
func shareOf(id string, rcpt mail.Address) uint64 {
	const prime = 1099511628211
	h := uint64(14695981039346656037)
	for _, s := range [...]string{id, "\x00", rcpt.Mailbox().Key()} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * prime
		}
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return h % shareParts
}

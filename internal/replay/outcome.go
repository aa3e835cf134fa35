package replay

import (
	"slices"

	"sekimori/internal/mail"
)

// GoesOn is the outcome of a recipient who is not refused before the message: what comes of the message nobody knows.
const GoesOn = "goes on"

// Outcome says in a word what is done: that of mail.Verdict.Word, with "+strip" or "+copy" where it is delivered without an attachment or
// to others as well, and "+keep" where a copy of what is refused is kept. "would hold" is what the policy's mode does not let happen.
func Outcome(v *mail.Verdict, at mail.Stage) string {
	w := v.Word()
	if v.Would != "" {
		w = "would " + v.Would
	}
	if at < mail.Data && v.Action < mail.Defer {
		return GoesOn
	}
	if len(v.Strip) > 0 {
		w += "+strip"
	}
	if len(v.Copies) > 0 {
		w += "+copy"
	}
	if v.Keep > 0 {
		w += "+keep"
	}
	return w
}

// same reports whether two verdicts do the same.
func same(a, b *mail.Verdict, at mail.Stage) bool {
	if at < mail.Data && a.Action < mail.Defer && b.Action < mail.Defer {
		return true
	}
	return a.Word() == b.Word() && a.Would == b.Would && a.Redirect == b.Redirect && a.Keep == b.Keep && a.Original == b.Original &&
		slices.Equal(a.Copies, b.Copies) && slices.Equal(a.Strip, b.Strip)
}

// allSame reports whether mails are treated alike. Verdicts are by recipient, in their order.
func allSame(a, b []mail.Verdict, at mail.Stage) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !same(&a[i], &b[i], at) {
			return false
		}
	}
	return true
}

package mail

// Change says what would have changed a verdict: without the members of any one of the sets the mail would have been delivered (or,
// when it was refused before its message, let through to be judged with that).
type Change struct {
	// Sets are the smallest there are, all of one size, at most MaxSets. Members are findings, and rules that acted (without points, with
	// their place). Empty: nothing was done to the mail, or no set does it.
	Sets [][]Counted
	// More says that there are further sets of that size.
	More bool
	// Judged says that the rules were judged again without each set. Otherwise the sets are computed from what the verdict says, which does
	// not name the rules that would have decided after the one that did.
	Judged bool
	// Early says that the mail was refused before its message came.
	Early bool
	// Unfinished says that the search was given up at its bound before there was a set.
	Unfinished bool
}

// MaxSets bounds Change.Sets.
const MaxSets = 8

// Limits are the thresholds of the policy; 0 is absent.
type Limits struct{ Tag, Hold, Reject float64 }

// Undone reports whether a verdict is as good as it gets for a mail that was judged to be so: a held or refused one is delivered, if
// with a mark, a tagged or redirected one is simply delivered.
func (v *Verdict) Undone(was *Verdict) bool {
	if v.Discard || v.Action > Tag {
		return false
	}
	if was.Action <= Tag && !was.Discard {
		return v.Action == Deliver && v.Redirect.IsNull()
	}
	return v.Redirect.IsNull() || !was.Redirect.IsNull()
}

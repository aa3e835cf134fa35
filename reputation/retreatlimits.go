package reputation

import "sekimori/internal/mail"

// RetreatLimits say when a rule steps back: when within Days (today and those before it, UTC) at least Releases recipients' mails that it
// held were released, by at least Persons different people, and they are at least Share of all that it held.
type RetreatLimits struct {
	Share             float64 // above 0, at most 1
	Releases, Persons int
	Days              int
}

// Reached applies the limits to what was held and to the releases of each person. No person counts for more than 1/Persons of all that
// counts, so that who releases a thousand mails does not stand for the others.
func (l RetreatLimits) Reached(held int64, by []int64) (released int64, yes bool) {
	released = capped(by, l.Persons)
	return released, len(by) >= l.Persons && released >= int64(l.Releases) && held > 0 && float64(released) >= l.Share*float64(held)
}

// capped sums up what each person said, of which no one counts for more than 1/persons of the sum.
func capped(by []int64, persons int) int64 {
	most := int64(0)
	for _, n := range by {
		most = max(most, n)
	}
	counted := func(each int64) (sum int64) {
		for _, n := range by {
			sum += min(n, each)
		}
		return sum
	}
	each := int64(0)
	for lo, hi := int64(1), most; lo <= hi; { // the share of the largest grows with the bound
		if mid := (lo + hi) / 2; mid*int64(persons) <= counted(mid) {
			each, lo = mid, mid+1
		} else {
			hi = mid - 1
		}
	}
	return counted(each)
}

// person is who somebody is for counting people: an address in lower case without its +tag, of which each of us has as many as wanted.
func person(who string) string {
	var a mail.Address
	_ = a.UnmarshalText([]byte(who)) // it takes everything; what is no address is a local part
	return a.Mailbox().Key()
}

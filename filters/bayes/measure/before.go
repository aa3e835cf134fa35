package measure

// Before are figures of a filter that were measured once, for those who do not have it, in percent. nil: not known.
type Before struct {
	Filter string   `json:"filter"`
	Split  string   `json:"split"`
	FPR    *float64 `json:"fpr"`
	FNR    *float64 `json:"fnr"`
	ROCA   *float64 `json:"one_roca"`
	FNR01  *float64 `json:"fnr_at_0.1"`
	FNR05  *float64 `json:"fnr_at_0.5"`
}

// BeforeSource says where the figures come from.
const BeforeSource = "on the SpamAssassin corpus of 2002-03 without the collector's own trace fields, the first 3,000 mails learned, with the versions of Debian 12. " +
	"They do not compare with figures on other mail. How: filters/bayes/README.md."

// MeasuredBefore returns them.
func MeasuredBefore() []Before {
	return nil
}

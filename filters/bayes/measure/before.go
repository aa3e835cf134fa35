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
	n := func(f float64) *float64 { return &f }
	return []Before{
		{"bogofilter", "random", n(0.048), n(20.87), n(0.0455), n(3.63), n(1.97)},
		{"spamprobe", "random", n(0.336), n(5.30), n(0.1308), n(16.82), n(1.97)},
		{"bsfilter", "random", n(0.144), n(11.94), n(0.1190), n(17.13), n(4.15)},
		{"spamassassin", "random", n(0.864), n(0.93), n(0.0590), n(5.09), n(5.09)},
		{"rspamd", "random", n(1.248), n(3.84), n(0.6288), nil, n(12.05)},
		{"bogofilter", "time", n(0), n(38.21), n(1.001), n(26.32), n(24.76)},
		{"spamprobe", "time", n(0.355), n(14.23), n(2.417), n(32.36), n(14.04)},
		{"spamassassin", "time", nil, nil, n(0.77), n(24), nil},
		{"bsfilter", "time", n(0.158), n(22.22), n(1.976), n(30.60), n(17.54)},
		{"rspamd", "time", n(3.277), n(8.38), n(1.755), nil, n(16.18)},
	}
}

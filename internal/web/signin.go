package web

// waysPage is what a page offers to those who are not signed in.
type waysPage struct {
	SSO              string // where single sign-on begins; "": there is none
	Password, Failed bool
}

func (s *Site) ways(console bool) waysPage { _ = console; return waysPage{} }

package recipients

import "sekimori/internal/mail"

// Whose says to which mailboxes the mail of an address of ours belongs in the end, and the language of its person when that is
// known. Only memory is asked, so that many can be asked for. False when the domain is none of ours.
func (d *Directory) Whose(a mail.Address) (mailboxes []mail.Address, lang string, ours bool) {
	if d.domains[a.Domain] == nil {
		return nil, "", false
	}
	s, _ := d.next(a)
	r := Resolution{Address: a}
	d.follow(&r, s.at, s.rec)
	return r.Mailboxes, s.rec.lang, true
}

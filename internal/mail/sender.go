package mail

import (
	"slices"
	"strings"
)

// sharedDomains give mailboxes to everybody: there a sender is one address and not the domain.
var sharedDomains = []string{
	"gmail.com", "googlemail.com", "yahoo.com", "yahoo.co.jp", "ymail.com", "ymail.ne.jp", "outlook.com", "outlook.jp", "hotmail.com", "hotmail.co.jp",
	"live.com", "live.jp", "msn.com", "icloud.com", "me.com", "mac.com", "aol.com", "aol.jp", "gmx.com", "gmx.net", "gmx.de", "web.de", "mail.com",
	"mail.ru", "yandex.ru", "yandex.com", "qq.com", "163.com", "126.com", "naver.com", "daum.net", "hanmail.net", "proton.me", "protonmail.com",
	"zoho.com", "tutanota.com", "docomo.ne.jp", "ezweb.ne.jp", "au.com", "softbank.ne.jp", "i.softbank.jp", "vodafone.ne.jp", "ymobile.ne.jp",
	"ymobile1.ne.jp", "y-mobile.ne.jp", "rakumail.jp", "uqmobile.jp", "nifty.com", "ocn.ne.jp", "biglobe.ne.jp", "so-net.ne.jp", "plala.or.jp",
	"dion.ne.jp", "eonet.ne.jp", "infoseek.jp", "excite.co.jp", "goo.jp", "mail.goo.ne.jp", "asahi-net.or.jp", "hi-ho.ne.jp", "jcom.home.ne.jp",
}

// SharedDomain reports whether mailboxes in a domain are given to everybody, so that its addresses have nothing to do with each other.
func SharedDomain(domain string) bool { return slices.Contains(sharedDomains, strings.ToLower(domain)) }

// Sender names whoever is confirmed to have sent a mail, so that the same sender has the same name again: the domain in From for
// which DKIM or SPF vouches, the address where many people share the domain, and else the address together with what was confirmed
// of where it came from. "" when nothing was: anybody could use the address.
func (p Proof) Sender() string {
	domain := strings.ToLower(p.Author.Domain)
	switch {
	case p.Author.IsNull() || domain == "":
		return ""
	case p.Aligned && SharedDomain(domain):
		return p.Author.Key()
	case p.Aligned:
		return domain
	case p.SPF != "":
		return p.Author.Key() + " spf:" + strings.ToLower(p.SPF)
	case p.Host != "":
		return p.Author.Key() + " host:" + strings.ToLower(p.Host)
	}
	return ""
}

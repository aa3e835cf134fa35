package web

import (
	"net/http"
	"strings"

	"sekimori/internal/web/session"
)

// who is a set of those who may come to a route.
type who uint8

const (
	person who = 1 << iota
	helpdesk
	auditor
	admin
	nobody // without a session

	staff = helpdesk | auditor | admin
	actor = helpdesk | admin
)

// roleOf is the one place where a session becomes a role. An unknown role is none.
func roleOf(n session.Session) who {
	switch {
	case n.ID == "":
		return nobody
	case n.Kind == session.Person:
		return person
	case n.Kind != session.Console:
		return 0
	}
	return map[string]who{"helpdesk": helpdesk, "auditor": auditor, "admin": admin}[n.Role]
}

// route is one address of the site. The table below is the only place that says who may come where.
type route struct {
	pattern string
	who     who
	serve   func(s *Site, w http.ResponseWriter, r *http.Request, n session.Session)
}

// console reports whether the route belongs to the administrators' part, which has a cookie of its own.
func (r route) console() bool {
	_, path, _ := strings.Cut(r.pattern, " ")
	return strings.HasPrefix(path, "/admin/")
}

// post reports whether the route changes something. A GET never does (HEAD comes with it).
func (r route) post() bool { return strings.HasPrefix(r.pattern, "POST ") }

func routes() []route {
	const everybody = nobody | person | staff
	return []route{
		// Persons.
		{"GET /{$}", nobody | person, (*Site).home},
		{"GET /q/{token}", everybody, (*Site).openLink},
		{"GET /r/{id}", everybody, (*Site).reviewForm},
		{"POST /r/{id}", everybody, (*Site).review},
		{"GET /mail/{id}", person, (*Site).mail},
		{"POST /mail/{id}", person, (*Site).actOnMail},
		{"GET /mail/{id}/frame", person, (*Site).frame},
		{"GET /allowed", person, (*Site).allowed},
		{"POST /allowed", person, (*Site).revoke},
		{"POST /mails", person, (*Site).actOnMails},
		{"GET /settings", person, (*Site).settings},
		{"POST /settings", person, (*Site).choose},
		{"GET /done/{receipt}", person, (*Site).done},
		{"POST /done/{receipt}", person, (*Site).after},
		{"POST /send-list", nobody | person, (*Site).sendList},
		{"GET /sent-list", nobody | person, (*Site).sentList},
		{"GET /sso", nobody | person, (*Site).beginSSO},
		{"GET /sso/callback", nobody | person, (*Site).endSSO},
		{"POST /lang", nobody | person, (*Site).setLang},
		{"POST /sign-out", nobody | person, (*Site).signOut},

		// Administrators, helpdesk, auditors.
		{"GET /admin/{$}", nobody | staff, (*Site).overview},
		{"GET /admin/sso", nobody | staff, (*Site).beginSSO},
		{"POST /admin/sign-in", nobody | staff, (*Site).signIn},
		{"GET /admin/mails", staff, (*Site).search},
		{"GET /admin/mails/{id}", staff, (*Site).heldMail},
		{"GET /admin/mails/{id}/body", admin, (*Site).heldBody},
		{"GET /admin/mails/{id}/frame", admin, (*Site).frame},
		{"POST /admin/mails/{id}", actor, (*Site).actOnHeld},
		{"GET /admin/questions", staff, (*Site).questions},
		{"POST /admin/questions/{id}", actor, (*Site).actOnQuestion},
		{"GET /admin/bulk", admin, (*Site).bulkForm},
		{"POST /admin/bulk", admin, (*Site).preview},
		{"POST /admin/bulk/{plan}", admin, (*Site).bulk},
		{"GET /admin/done/{receipt}", actor, (*Site).done},
		{"POST /admin/done/{receipt}", actor, (*Site).after},
		{"GET /admin/audit", auditor | admin, (*Site).auditLog},
		{"GET /admin/symbols", staff, (*Site).symbols},
		{"POST /admin/lang", nobody | staff, (*Site).setLang},
		{"POST /admin/sign-out", nobody | staff, (*Site).signOut},
	}
}

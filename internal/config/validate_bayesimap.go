package config

import (
	"strings"
	"time"
)

const (
	imapEvery    = Duration(5 * time.Minute)
	imapMails    = 200
	mostIMAP     = 10_000
	imapSize     = Size(10 << 20)
	largestLearn = Size(64 << 20)
)

// bayesIMAP checks the folders and fills in what they leave out.
func (v *validator) bayesIMAP() {
	seen := map[string]int{}
	for i := range v.cfg.Bayes.IMAP {
		b, path := &v.cfg.Bayes.IMAP[i], at("bayes.imap", i)
		addr, _, err := b.Place()
		switch {
		case b.URL == "":
			v.fail(path, "needs url, the server, such as imaps://imap.example.jp")
		case err != nil:
			v.fail(path+".url", "%v", err)
		default:
			if _, _, err := hostPort(addr, false); err != nil {
				v.fail(path+".url", "%v", err)
			}
		}
		v.bayesIMAPLogin(path, b)
		v.caFile(path+".ca_file", &b.CAFile)
		v.bayesLesson(path, b.Class, &b.Scope)
		key := strings.Join([]string{addr, b.User, b.Folder}, "\x00")
		if other, ok := seen[key]; ok && err == nil {
			v.fail(path+".folder", "%s is read by bayes.imap[%d] already", b.Folder, other)
		}
		seen[key] = i
		v.bayesIMAPRest(path, b)
	}
}

// bayesIMAPLogin checks user, password and folder.
func (v *validator) bayesIMAPLogin(path string, b *BayesIMAP) {
	for _, f := range []struct{ key, value, what string }{
		{"user", b.User, "the name to log in with"}, {"folder", b.Folder, "as the server calls it, such as Shared/Spam"},
	} {
		switch {
		case f.value == "":
			v.fail(path, "needs %s, %s", f.key, f.what)
		case hasControl(f.value):
			v.fail(path+"."+f.key, "must not hold control characters")
		}
	}
	b.PasswordFile = v.doc.resolve(b.PasswordFile)
	b.Password = v.secret(path+".password_file", b.PasswordFile)
	switch {
	case b.Password == "" && b.PasswordFile == "" && !v.opts.SkipFiles:
		v.fail(path, "needs password_file, a file with the password to log in with")
	case hasControl(string(b.Password)):
		v.fail(path+".password_file", "a password must not hold control characters: is it one line?")
	}
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7F })
}

func (v *validator) bayesIMAPRest(path string, b *BayesIMAP) {
	if b.After == "" {
		b.After = "leave"
	}
	v.oneOf(path+".after", b.After, "leave", "seen", "move")
	switch {
	case b.After == "move" && b.MoveTo == "":
		v.fail(path, `after = "move" needs move_to, the folder`)
	case b.After != "move" && b.MoveTo != "":
		v.fail(path+".move_to", `says nothing without after = "move"`)
	case b.MoveTo != "" && b.MoveTo == b.Folder:
		v.fail(path+".move_to", "is the folder itself")
	case hasControl(b.MoveTo):
		v.fail(path+".move_to", "must not hold control characters")
	}
	table := splitPath(path)
	if b.Every == 0 && !v.doc.has(append(table, "every")...) {
		b.Every = imapEvery
	}
	if b.Every.D() < 10*time.Second {
		v.fail(path+".every", "must be at least 10s")
	}
	if b.MaxMails == 0 && !v.doc.has(append(table, "max_mails")...) {
		b.MaxMails = imapMails
	}
	if b.MaxMails < 1 || b.MaxMails > mostIMAP {
		v.fail(path+".max_mails", "must be from 1 to %d, not %d", mostIMAP, b.MaxMails)
	}
	if b.MaxSize == 0 && !v.doc.has(append(table, "max_size")...) {
		b.MaxSize = imapSize
	}
	if b.MaxSize < minDropped || b.MaxSize > largestLearn {
		v.fail(path+".max_size", "must be from 64KiB to 64MiB")
	}
}

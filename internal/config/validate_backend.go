package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// backendMore checks what [[domain.backend]] says about the certificate, the login and the client.
func (v *validator) backendMore(at string, b *Backend) {
	scheme, _, _ := strings.Cut(b.URL, ":")
	v.oneOf(at+".client", b.Client, "none", "xclient", "xforward", "proxy", "proxy-v1")
	if scheme == "maildir" {
		v.nothingFor(at, b)
		return
	}
	v.pins(at+".tls", &b.TLS)
	if b.Client == "xforward" && scheme != "smtp" {
		v.fail(at+".client", "xforward is of SMTP only; LMTP servers know xclient")
	}
	v.login(at, b, scheme)
}

// nothingFor refuses what a directory has no use for.
func (v *validator) nothingFor(at string, b *Backend) {
	if b.Client != "none" {
		v.fail(at+".client", "a Maildir is told of no client: Received and X-Sekimori fields name it")
	}
	if v.authGiven(b) {
		v.fail(at+".auth", "nobody logs in at a Maildir")
	}
}

func (v *validator) authGiven(b *Backend) bool {
	return b.Auth.User != "" || b.Auth.PasswordFile != "" || len(b.Auth.Mechanisms) > 0 || b.Auth.AllowCleartext
}

func (v *validator) pins(at string, t *BackendTLS) {
	if t.Mode == "none" {
		for key, set := range map[string]bool{"ca_file": t.CAFile != "", "name": t.Name != "", "cert_file": t.CertFile != ""} {
			if set {
				v.fail(at+"."+key, `is not used with mode = "none"`)
			}
		}
	}
	if len(t.Fingerprint) == 0 {
		return
	}
	if t.Mode != "required" {
		v.fail(at+".fingerprint", `needs mode = "required": otherwise a connection without TLS would be as good`)
	}
	if t.CAFile != "" || t.Name != "" {
		v.fail(at+".fingerprint", "replaces the check of name and issuer: ca_file and name cannot stand beside it")
	}
	for i, f := range t.Fingerprint {
		if _, err := ParseFingerprint(f); err != nil {
			v.fail(at+".fingerprint["+fmt.Sprint(i)+"]", "%v", err)
		}
	}
}

// ParseFingerprint reads the SHA-256 digest of a public key: 64 hexadecimal digits, with or without colons, or 44 characters of
// base64 (as RFC 7469 writes a pin), with or without "sha256:" in front.
func ParseFingerprint(s string) ([32]byte, error) {
	text := strings.TrimPrefix(strings.TrimPrefix(s, "sha256:"), "sha256/")
	b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(b) != 32 {
		b, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil || len(b) != 32 {
		return [32]byte{}, fmt.Errorf("%q is not the SHA-256 digest of a public key; make one with: openssl x509 -in cert.pem -pubkey -noout | "+
			"openssl pkey -pubin -outform der | sha256sum", s)
	}
	return [32]byte(b), nil
}

// scramOnly reports whether a backend never gets to see the password: each mechanism that may be used is one of SCRAM (RFC 5802).
func scramOnly(mechanisms []string) bool {
	return len(mechanisms) > 0 && !slices.ContainsFunc(mechanisms, func(m string) bool { return !strings.HasPrefix(m, "SCRAM-") })
}

// login checks auth and reads the password.
func (v *validator) login(at string, b *Backend, scheme string) {
	a, path := &b.Auth, at+".auth"
	if !v.authGiven(b) {
		return
	}
	a.PasswordFile = v.doc.resolve(a.PasswordFile)
	if a.User == "" {
		v.fail(path, "user is missing: the name to log in with")
		return
	}
	if strings.ContainsRune(a.User, 0) {
		v.fail(path+".user", "must not hold a NUL")
	}
	for i, m := range a.Mechanisms {
		a.Mechanisms[i] = strings.ToUpper(m)
		if !slices.Contains(AuthMechanisms, a.Mechanisms[i]) {
			v.fail(path+".mechanisms["+fmt.Sprint(i)+"]", "%q is not known%s", m, hint(a.Mechanisms[i], AuthMechanisms))
		}
	}
	a.Password = v.secret(path+".password_file", a.PasswordFile)
	if a.Password == "" && !v.opts.SkipFiles && a.PasswordFile == "" {
		v.fail(path, "password_file is missing: a file with the password of %s", a.User)
	}
	if strings.ContainsRune(string(a.Password), 0) {
		v.fail(path+".password_file", "a password must not hold a NUL")
	}
	switch {
	case scheme == "lmtp+unix" || a.AllowCleartext || scramOnly(a.Mechanisms):
	case b.TLS.Mode == "none":
		v.fail(path, `the password would cross the network in clear text: tls.mode must be "required", or allow_cleartext = true says that it may, or `+
			`mechanisms = ["SCRAM-SHA-256"] keeps it here`)
	case b.TLS.Mode == "opportunistic":
		v.fail(path, `with tls.mode = "opportunistic" the backend's certificate is not verified, and whoever stands between could read the password: `+
			`"required" with ca_file, name or fingerprint mends that, mechanisms = ["SCRAM-SHA-256"] keeps the password here, or allow_cleartext = true says that it may be read`)
	}
}

package filters

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net"
	"slices"
	"strings"
	"sync"

	"sekimori/internal/dns"
	"sekimori/internal/mail"
)

const (
	minRSABits = 1024 // RFC 8301 section 3.2
	maxRSABits = 8192 // a TXT record can hold a key whose use costs seconds
)

// dkimKey is what stands at one key name (RFC 6376 section 3.6.1). It is not changed after fetchKeys.
type dkimKey struct {
	txt      []string // as handed to the library
	err      error    // of the look-up, a bare *net.DNSError
	public   crypto.PublicKey
	kind     string // rsa or ed25519
	bits     int
	hashes   []string
	services []string
	testing  bool // t=y
	strict   bool // t=s
}

// fetchKeys asks for the keys of all signatures side by side, each name once, and sets their key. It is done before the
// verification, so that no slow name server holds up the processor's queue.
func fetchKeys(ctx context.Context, r dns.Resolver, sigs []*dkimSig) {
	keys := map[string]*dkimKey{}
	var wg sync.WaitGroup
	for _, s := range sigs {
		name := s.keyName()
		if keys[name] == nil {
			keys[name] = &dkimKey{}
			key, domain := keys[name], s.domain
			wg.Go(func() { *key = lookupKey(ctx, r, name, domain) })
		}
		s.key = keys[name]
	}
	wg.Wait()
}

func lookupKey(ctx context.Context, r dns.Resolver, name, domain string) (k dkimKey) {
	defer func() {
		if p := recover(); p != nil {
			k = dkimKey{err: &net.DNSError{Err: "internal error", Name: name, IsTemporary: true}}
		}
	}()
	if !mail.IsHostname(domain) {
		k.err = &net.DNSError{Err: "d= is no domain name", Name: name, IsNotFound: true}
		return k
	}
	txt, err := r.LookupTXT(ctx, name)
	if err != nil {
		k.err = bareDNSError(name, err)
		return k
	}
	k.txt = cleanKeys(txt)
	if len(k.txt) == 1 {
		k.parse()
	}
	return k
}

// cleanKeys leaves what the library should see: of several records those that are keys (a wildcard TXT record often
// stands beside one), of a key the tags that mean something, without white space in p= (RFC 6376 section 3.6.1 allows
// folding there) and without parts that are no tags. Two keys stay two: which one counts is undefined (section 3.6.2.2).
func cleanKeys(txt []string) []string {
	var keys []string
	for _, t := range txt {
		tags, _ := parseTags(t)
		_, hasP := tags["p"]
		if v, hasV := tags["v"]; hasP && (!hasV || v == "DKIM1") {
			keys = append(keys, cleanKey(t))
		}
	}
	if len(keys) == 0 {
		return txt
	}
	return keys
}

func cleanKey(txt string) string {
	var out []string
	for part := range strings.SplitSeq(txt, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if ok && slices.Contains([]string{"v", "h", "k", "p", "s", "t"}, name) {
			out = append(out, name+"="+noSpace(value))
		}
	}
	return strings.Join(out, "; ")
}

// parse reads the cleaned record. What it cannot read it leaves empty: the library finds the words for that.
func (k *dkimKey) parse() {
	tags, broken := parseTags(k.txt[0])
	if broken {
		return
	}
	list := func(name string) []string {
		if tags[name] == "" {
			return nil
		}
		return strings.Split(tags[name], ":")
	}
	k.hashes, k.services = list("h"), list("s")
	flags := list("t")
	k.testing, k.strict = slices.Contains(flags, "y"), slices.Contains(flags, "s")
	der, err := base64.StdEncoding.DecodeString(tags["p"])
	if err != nil {
		return
	}
	switch tags["k"] {
	case "", "rsa":
		k.parseRSA(der)
	case "ed25519":
		if len(der) == ed25519.PublicKeySize {
			k.public, k.kind, k.bits = ed25519.PublicKey(der), "ed25519", 256
		}
	}
}

func (k *dkimKey) parseRSA(der []byte) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		// Erratum 3017 of RFC 6376 allows the bare form.
		public, err = x509.ParsePKCS1PublicKey(der)
	}
	if r, ok := public.(*rsa.PublicKey); ok && err == nil {
		k.public, k.kind, k.bits = r, "rsa", r.N.BitLen()
	}
}

// unfit says why a key that can be read is not used; "" when it is.
func (k *dkimKey) unfit() string {
	switch {
	case k.kind == "rsa" && k.bits < minRSABits:
		return "RSA key of less than 1024 bits"
	case k.kind == "rsa" && k.bits > maxRSABits:
		return "RSA key of more than 8192 bits"
	}
	return ""
}

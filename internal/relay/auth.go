package relay

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/xdg-go/scram"

	"sekimori/internal/config"
)

// mechanisms is a set of config.AuthMechanisms: bit i is the one at position i, so that the lowest bit is the strongest.
type mechanisms uint8

func mechanismsOf(arg []byte) mechanisms {
	var set mechanisms
	for word := range bytes.FieldsSeq(arg) {
		if i := slices.Index(config.AuthMechanisms, string(bytes.ToUpper(word))); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

func (m mechanisms) names() []string {
	var list []string
	for i, name := range config.AuthMechanisms {
		if m&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

const (
	allMechanisms  = 1<<6 - 1
	plusMechanisms = 1<<0 | 1<<1
	maxIterations  = 1_000_000 // of PBKDF2: more is not safety but an attack on our processor
)

// authenticator logs in at one backend. Safe for concurrent use.
type authenticator struct {
	user, password string
	allowed        mechanisms
	cleartext      bool  // TLS is not needed
	stamp          stamp // of the password's file when it was read

	mu     sync.Mutex
	scrams map[string]*scram.Client // by hash; they keep the expensive part
}

// newAuthenticator returns nil when we do not log in. local says that the connection does not leave the machine.
func newAuthenticator(a config.BackendAuth, local bool) *authenticator {
	if a.User == "" {
		return nil
	}
	set := mechanisms(allMechanisms)
	if len(a.Mechanisms) > 0 {
		set = mechanismsOf([]byte(strings.Join(a.Mechanisms, " ")))
	}
	auth := &authenticator{
		user: a.User, password: string(a.Password), allowed: set, cleartext: a.AllowCleartext || local, scrams: map[string]*scram.Client{},
	}
	if a.PasswordFile != "" {
		auth.stamp = stampOf(a.PasswordFile)
	}
	return auth
}

var (
	errAuthClear = errors.New("the connection is not encrypted, and the password must not cross it in clear text")
	errAuthNone  = errors.New("the backend offers no way to log in that may be used")
	errAuthProof = errors.New("the server did not prove that it knows the password")
)

// loginError is a login that did not come about. Trying at once again could lock the account, so it counts like a broken
// connection.
type loginError struct{ err error }

func (e *loginError) Error() string { return "login: " + e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// authenticate logs in (RFC 4954) with the strongest mechanism that both sides know. No error holds the password.
func (c *client) authenticate(a *authenticator) error {
	tc, encrypted := c.nc.(*tls.Conn)
	if !encrypted && !a.cleartext {
		return &loginError{errAuthClear}
	}
	can := c.caps.auth & a.allowed
	if !encrypted {
		can &^= plusMechanisms
	}
	if can == 0 {
		offers := strings.Join(c.caps.auth.names(), " ")
		return &loginError{fmt.Errorf("%w (it offers: %s)", errAuthNone, orWord(offers, "none that is known"))}
	}
	name := can.names()[0]
	var err error
	switch name {
	case "PLAIN":
		var done bool
		_, done, err = c.sasl("AUTH PLAIN " + encode64("\x00"+a.user+"\x00"+a.password))
		if err == nil && !done {
			err = errors.New("the server asks for more than a name and a password")
		}
	case "LOGIN":
		err = c.login64(a)
	default:
		var state *tls.ConnectionState
		if encrypted {
			s := tc.ConnectionState()
			state = &s
		}
		err = c.scram(a, name, state)
	}
	if err != nil {
		return &loginError{fmt.Errorf("%s as %q: %w", name, a.user, err)}
	}
	c.login = true
	return nil
}

func orWord(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func encode64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// sasl sends one line of the exchange. done says that we are in; otherwise challenge is what the server wants answered.
func (c *client) sasl(line string) (challenge string, done bool, err error) {
	if err := c.unasked(); err != nil {
		return "", false, err
	}
	c.w.WriteString(line)
	c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return "", false, err
	}
	p, err := c.expect(timeCommand, nil)
	switch {
	case err != nil:
		return "", false, err
	case p.code == 235:
		return "", true, nil
	case p.code != 334:
		return "", false, &stepError{step: "AUTH", reply: p}
	}
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(c.r.challenge)))
	if err != nil {
		return "", false, errors.New("the server's challenge is not base64")
	}
	return string(raw), false, nil
}

// login64 is LOGIN: the server asks for the name and then for the password, in words that nobody relies on.
func (c *client) login64(a *authenticator) error {
	for _, line := range []string{"AUTH LOGIN", encode64(a.user)} {
		_, done, err := c.sasl(line)
		if err != nil {
			return err
		}
		if done {
			return errors.New("the server lets us in before it has heard the password")
		}
	}
	_, done, err := c.sasl(encode64(a.password))
	if err == nil && !done {
		err = errors.New("the server asks for more than a name and a password")
	}
	return err
}

// scram is SCRAM (RFC 5802, 7677) with channel binding when the mechanism has it (RFC 9266 with TLS 1.3, else RFC 5929).
func (c *client) scram(a *authenticator, name string, state *tls.ConnectionState) error {
	conv, err := a.conversation(name, c.caps.auth, state)
	if err != nil {
		return err
	}
	say, err := conv.Step("")
	if err != nil {
		return err
	}
	line := "AUTH " + name + " " + encode64(say)
	for {
		challenge, done, err := c.sasl(line)
		switch {
		case err != nil:
			return err
		case done && conv.Valid():
			return nil
		case done:
			return errAuthProof
		}
		if err := iterations(challenge); err != nil {
			return err
		}
		if conv.Done() {
			return errors.New("the server asks for more than SCRAM has")
		}
		if say, err = conv.Step(challenge); err != nil {
			return err
		}
		line = encode64(say)
	}
}

// iterations refuses a server-first-message that wants more work than can be meant.
func iterations(challenge string) error {
	for f := range strings.SplitSeq(challenge, ",") {
		if n, ok := strings.CutPrefix(f, "i="); ok {
			if i, err := strconv.Atoi(n); err != nil || i > maxIterations {
				return fmt.Errorf("the server asks for more than %d iterations", maxIterations)
			}
		}
	}
	return nil
}

func (a *authenticator) conversation(name string, offered mechanisms, state *tls.ConnectionState) (*scram.ClientConversation, error) {
	client, err := a.client(strings.HasPrefix(name, "SCRAM-SHA-256"))
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(name, "-PLUS") {
		if state != nil && offered&plusMechanisms == 0 && a.allowed&plusMechanisms != 0 {
			return client.NewConversationAdvertisingChannelBinding(), nil // so that taking -PLUS out of the list on the way is noticed
		}
		return client.NewConversation(), nil
	}
	bind := scram.NewTLSServerEndpointBinding
	if state.Version >= tls.VersionTLS13 {
		bind = scram.NewTLSExporterBinding
	}
	cb, err := bind(state)
	if err != nil {
		return nil, err
	}
	return client.NewConversationWithChannelBinding(cb), nil
}

func (a *authenticator) client(sha256 bool) (*scram.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, hash := "SHA-1", scram.SHA1
	if sha256 {
		key, hash = "SHA-256", scram.SHA256
	}
	if c := a.scrams[key]; c != nil {
		return c, nil
	}
	c, err := hash.NewClient(a.user, a.password, "")
	if err != nil { // a password that SASLprep does not know, such as one with an emoji
		if c, err = hash.NewClientUnprepped(a.user, a.password, ""); err != nil {
			return nil, errors.New("the name or the password cannot be used")
		}
	}
	a.scrams[key] = c
	return c, nil
}

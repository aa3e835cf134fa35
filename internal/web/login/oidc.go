package login

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sekimori/internal/config"
	"sekimori/internal/store"
)

// SSOOptions are what an SSO needs.
type SSOOptions struct {
	Config   config.OIDC
	Callback string // where the provider sends browsers back to
	Client   store.Client
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
	Rand     io.Reader        // nil: crypto/rand
}

// SSO is single sign-on with one provider: the authorization code flow of OpenID Connect with PKCE (RFC 7636), a state and a nonce
// that belong to one browser, and RFC 9207 against answers of another provider. The provider need not be there at the start; what it
// says of itself is read when it is needed, again after half a day, and in the background. Safe for concurrent use.
type SSO struct {
	o    SSOOptions
	http *http.Client

	mu      sync.Mutex
	last    *provider
	asked   time.Time     // when discovery began last
	failed  error         // of the last discovery; nil: it went well, or there was none
	running chan struct{} // closed when the discovery that runs now has ended; nil: none runs
}

// provider is what a provider says of itself.
type provider struct {
	*oidc.Provider
	Auth      []string `json:"token_endpoint_auth_methods_supported"`
	Prompts   []string `json:"prompt_values_supported"`
	NamesSelf bool     `json:"authorization_response_iss_parameter_supported"`
	since     time.Time
}

const (
	discoverAgain = 12 * time.Hour   // what a provider says of itself
	awayFor       = 15 * time.Second // how long a provider that does not answer is not asked again
	maxAnswer     = 1 << 20          // octets of an answer of the provider
)

// ErrAway says that the provider (or the directory) did not answer, or not as it should: nothing is known of who wants to come in.
var ErrAway = errors.New("login: the provider does not answer")

// NewSSO makes an SSO and asks nobody; an error means that ca_file cannot be used.
func NewSSO(o SSOOptions) (*SSO, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if file := o.Config.CAFile; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("console.oidc: ca_file: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("console.oidc: ca_file: %s holds no certificate in PEM", file)
		}
	}
	return &SSO{o: o, http: &http.Client{
		Transport: bounded{t}, Timeout: o.Config.Timeout.D(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// bounded cuts answers that are longer than any provider's.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// Away reports whether the provider did not answer when it was asked last. It does not wait; it asks anew in the background when it
// is time to.
func (s *SSO) Away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh()
	return s.last == nil && s.failed != nil
}

// refresh begins a discovery when one is due and none runs. mu is held.
func (s *SSO) refresh() {
	now := s.o.Now()
	due := s.last == nil || now.Sub(s.last.since) >= discoverAgain
	if !due || s.running != nil || s.failed != nil && now.Sub(s.asked) < awayFor {
		return
	}
	s.asked, s.running = now, make(chan struct{})
	go func() {
		p, err := s.discover()
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case err != nil && s.failed == nil:
			s.o.Log.Warn("single sign-on: the provider does not answer; it is asked again when somebody wants to sign in", "issuer", s.o.Config.Issuer, "err", err)
		case err == nil && s.failed != nil:
			s.o.Log.Info("single sign-on: the provider answers again", "issuer", s.o.Config.Issuer)
		}
		if s.failed = err; err == nil {
			s.last = p
		}
		close(s.running)
		s.running = nil
	}()
}

// provider returns what is known of the provider, and waits for it when nothing is known yet. ErrAway.
func (s *SSO) provider(ctx context.Context) (*provider, error) {
	s.mu.Lock()
	s.refresh()
	p, running := s.last, s.running
	s.mu.Unlock()
	if p != nil {
		return p, nil
	}
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, s.failed)
	}
	return s.last, nil
}

func (s *SSO) discover() (*provider, error) {
	ctx, cancel := context.WithTimeout(s.client(context.Background()), s.o.Config.Timeout.D())
	defer cancel()
	found, err := oidc.NewProvider(ctx, s.o.Config.Issuer)
	var other *oidc.IssuerMismatchError
	switch {
	case errors.As(err, &other):
		return nil, fmt.Errorf("the provider calls itself %q: console.oidc.issuer must be written exactly so", other.Discovered)
	case err != nil:
		return nil, short(err)
	}
	p := &provider{Provider: found, since: s.o.Now()}
	var keys struct {
		JWKS     string `json:"jwks_uri"`
		UserInfo string `json:"userinfo_endpoint"`
	}
	if err := errors.Join(found.Claims(p), found.Claims(&keys)); err != nil {
		return nil, short(err)
	}
	for name, u := range map[string]string{
		"authorization_endpoint": found.Endpoint().AuthURL, "token_endpoint": found.Endpoint().TokenURL, "jwks_uri": keys.JWKS, "userinfo_endpoint": keys.UserInfo,
	} {
		if parsed, err := url.Parse(u); u == "" && name != "userinfo_endpoint" || u != "" && (err != nil || parsed.Host == "") ||
			strings.HasPrefix(s.o.Config.Issuer, "https:") && u != "" && parsed.Scheme != "https" {
			return nil, fmt.Errorf("the provider names no usable %s: %q", name, u)
		}
	}
	return p, nil
}

// client hands our HTTP client to the libraries.
func (s *SSO) client(ctx context.Context) context.Context { return oidc.ClientContext(ctx, s.http) }

// oauth is the client that we are to the provider.
func (s *SSO) oauth(p *provider) *oauth2.Config {
	c := &oauth2.Config{
		ClientID: s.o.Config.ClientID, ClientSecret: string(s.o.Config.ClientSecret), Endpoint: p.Endpoint(), RedirectURL: s.o.Callback, Scopes: s.o.Config.Scopes,
	}
	// Left to find out by itself, the library tries both ways with the code, which may be used once only.
	c.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if c.ClientSecret == "" || len(p.Auth) > 0 && !slices.Contains(p.Auth, "client_secret_basic") {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return c
}

// Still reports whether a session of single sign-on that began then goes on with the role that it has. A role whose values were taken
// out of the configuration is none.
func (s *SSO) Still(role string, begun time.Time) bool {
	if s.o.Now().Sub(begun) >= s.o.Config.SessionLifetime.D() {
		return false
	}
	if role == "person" {
		return s.o.Config.Persons
	}
	for _, r := range s.o.Config.Roles.List() {
		if r.Role == role {
			return len(r.Values) > 0
		}
	}
	return false
}

// Offers reports whether persons (console false) or administrators can come this way.
func (s *SSO) Offers(console bool) bool {
	if console {
		return !s.o.Config.Roles.Empty()
	}
	return s.o.Config.Persons
}

// short bounds the words of an error: a provider may answer with a whole page.
func short(err error) error {
	if s := strings.Join(strings.Fields(err.Error()), " "); len(s) > 300 {
		return errors.New(strings.ToValidUTF8(s[:300], "") + " …")
	}
	return err
}

// Package issuer is a provider of OpenID Connect for tests: discovery, the authorization code flow with PKCE, keys, and ways to go
// wrong. Only tests import it. It speaks HTTP on loopback and signs with keys that it makes when it starts.
package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the provider has registered.
const (
	ClientID     = "sekimori"
	ClientSecret = "client-secret-sesame"
)

// Issuer is one provider. Its fields may be changed between requests under Set.
type Issuer struct {
	URL string

	mu       sync.Mutex
	Callback string         // the one redirect URI that it takes
	Claims   map[string]any // of whoever signs in
	UserInfo map[string]any // what the user info has beside
	Meta     map[string]any // changes of the discovery document; nil values take a field out
	Alg      string         // RS256 | ES256 | HS256 | none
	OtherKey bool           // it signs with a key that it does not publish
	Answer   url.Values     // changes of what it sends the browser back with
	Ask      bool           // it shows a page with a link, and does not send the browser back at once
	Down     bool           // it answers everything with 503
	Now      func() time.Time

	hang  chan struct{}
	codes map[string]request
	asked []url.Values // queries of the authorization endpoint
	rsa   [2]*rsa.PrivateKey
	ec    *ecdsa.PrivateKey
	t     testing.TB
}

type request struct{ nonce, challenge string }

// Start runs a provider until the test ends.
func Start(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{
		Alg: "RS256", Now: time.Now, codes: map[string]request{}, t: t,
		Claims: map[string]any{"sub": "u1", "email": "taro@example.jp", "email_verified": true, "preferred_username": "taro", "groups": []string{"everybody"}},
	}
	for n := range i.rsa {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		i.rsa[n] = k
	}
	var err error
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /userinfo", i.userinfo)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		down, hang := i.Down, i.hang
		i.mu.Unlock()
		if hang != nil {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
		if down {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	i.URL = s.URL
	t.Cleanup(func() {
		i.Hang(false)
		s.Close()
	})
	return i
}

// Set changes the provider.
func (i *Issuer) Set(change func(i *Issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

// Hang makes the provider say nothing, or answer again.
func (i *Issuer) Hang(on bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.hang != nil {
		close(i.hang)
		i.hang = nil
	}
	if on {
		i.hang = make(chan struct{})
	}
}

// Asked are the queries with which browsers came.
func (i *Issuer) Asked() []url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]url.Values(nil), i.asked...)
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	doc := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"userinfo_endpoint": i.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
		"authorization_response_iss_parameter_supported": true,
	}
	maps.Copy(doc, i.Meta)
	i.json(w, doc)
}

func (i *Issuer) json(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		i.t.Error(err)
	}
}

var askPage = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><title>Provider</title><a id="go" href="{{.}}">Continue</a></html>`))

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	q := r.URL.Query()
	i.asked = append(i.asked, q)
	if q.Get("client_id") != ClientID || q.Get("redirect_uri") != i.Callback || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		!strings.Contains(" "+q.Get("scope")+" ", " openid ") {
		http.Error(w, "a wrong question", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.codes[code] = request{q.Get("nonce"), q.Get("code_challenge")}
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}
	for k, v := range i.Answer {
		if back[k] = v; len(v) == 0 {
			back.Del(k)
		}
	}
	to := i.Callback + "?" + back.Encode()
	if i.Ask {
		if err := askPage.Execute(w, template.URL(to)); err != nil {
			i.t.Error(err)
		}
		return
	}
	http.Redirect(w, r, to, http.StatusFound)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	id, secret, _ := r.BasicAuth()
	verifier := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	asked, known := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	fail := func(code int, word string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error": %q}`, word)
	}
	switch {
	case id != ClientID || secret != ClientSecret:
		fail(http.StatusUnauthorized, "invalid_client")
		return
	case !known || asked.challenge != base64.RawURLEncoding.EncodeToString(verifier[:]) || r.PostFormValue("redirect_uri") != i.Callback:
		fail(http.StatusBadRequest, "invalid_grant")
		return
	}
	now := i.Now()
	claims := map[string]any{"iss": i.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": asked.nonce}
	maps.Copy(claims, i.Claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	i.json(w, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": i.sign(claims)})
}

func (i *Issuer) userinfo(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer access" {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	info := map[string]any{"sub": i.Claims["sub"]}
	maps.Copy(info, i.UserInfo)
	i.json(w, info)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (i *Issuer) sign(claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		i.t.Error(err)
	}
	text := b64(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":"JWT"}`, i.Alg, i.Alg)) + "." + b64(body)
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	switch i.Alg {
	case "RS256":
		key := i.rsa[0]
		if i.OtherKey {
			key = i.rsa[1]
		}
		sig, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	case "ES256":
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, i.ec, sum[:])
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case "HS256":
		m := hmac.New(sha256.New, []byte(ClientSecret))
		m.Write([]byte(text))
		sig = m.Sum(nil)
	}
	if err != nil {
		i.t.Error(err)
	}
	return text + "." + b64(sig)
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	point, err := i.ec.PublicKey.Bytes()
	if err != nil {
		i.t.Error(err)
	}
	i.json(w, map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "kid": "RS256", "use": "sig", "n": b64(i.rsa[0].N.Bytes()), "e": b64(big.NewInt(int64(i.rsa[0].E)).Bytes())},
		{"kty": "EC", "kid": "ES256", "use": "sig", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])},
	}})
}

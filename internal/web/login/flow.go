package login

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// StateLifetime is how long somebody may take at the provider.
const StateLifetime = 10 * time.Minute

const (
	skew       = time.Minute // that the provider's clock may differ from ours
	secretLen  = 32
	maxCode    = 8 << 10
	usedPrefix = "sso:{"
)

// What single sign-on refuses. Each has a page of its own.
var (
	// ErrState says that the answer is not to a question of this browser, is too old, or was used before.
	ErrState = errors.New("login: not begun in this browser, too old, or used before")
	// ErrDenied says that the provider, or the person there, did not agree.
	ErrDenied = errors.New("login: the provider did not agree")
	// ErrToken says that the provider's answer is not one that we may believe.
	ErrToken = errors.New("login: the provider's answer is not to be believed")
	// ErrNoRole says that somebody has shown who he is, and has no role here.
	ErrNoRole = errors.New("login: no role here")
	// ErrUnverified says that the provider has not made sure of the address.
	ErrUnverified = errors.New("login: the address is not confirmed by the provider")
	// ErrNoAddress says that the provider names no address.
	ErrNoAddress = errors.New("login: the provider names no address")
)

// attempt is one try to come in. All that it needs is made from a secret that only the browser's cookie holds, so that nothing is kept
// here before somebody comes back.
type attempt struct{ state, nonce, verifier string }

func attemptOf(console bool, cookie string) attempt {
	part := func(what string) string {
		sum := sha256.Sum256([]byte("sekimori sso\x00" + what + "\x00" + strconv.FormatBool(console) + "\x00" + cookie))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return attempt{part("state"), part("nonce"), part("pkce")}
}

// Begin returns where the browser has to go, and what its cookie must hold until it comes back. It keeps nothing. again asks the
// provider to let the person choose the account anew, after somebody signed out here. ErrAway.
func (s *SSO) Begin(ctx context.Context, console, again bool) (target, cookie string, err error) {
	p, err := s.provider(ctx)
	if err != nil {
		return "", "", err
	}
	b := make([]byte, secretLen)
	if _, err := io.ReadFull(s.o.Rand, b); err != nil {
		return "", "", fmt.Errorf("login: %w", err)
	}
	cookie = base64.RawURLEncoding.EncodeToString(b) + "." + strconv.FormatInt(s.o.Now().Unix(), 10)
	a := attemptOf(console, cookie)
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)}
	if again {
		prompt := "select_account"
		for _, known := range p.Prompts {
			if known == "login" {
				prompt = known
			}
		}
		options = append(options, oauth2.SetAuthURLParam("prompt", prompt))
	}
	return s.oauth(p).AuthCodeURL(a.state, options...), cookie, nil
}

// mine checks that an answer belongs to what the cookie holds, and is in time.
func (s *SSO) mine(console bool, cookie, state string) (attempt, error) {
	secret, begun, ok := strings.Cut(cookie, ".")
	at, err := strconv.ParseInt(begun, 10, 64)
	if !ok || err != nil || len(secret) != base64.RawURLEncoding.EncodedLen(secretLen) {
		return attempt{}, ErrState
	}
	a := attemptOf(console, cookie)
	age := s.o.Now().Sub(time.Unix(at, 0))
	if subtle.ConstantTimeCompare([]byte(a.state), []byte(state)) != 1 || age > StateLifetime || age < -skew {
		return attempt{}, ErrState
	}
	return a, nil
}

// Finish takes what the provider sent the browser back with, and returns who it is: of administrators with the name and role, of
// persons with the confirmed address. An answer is taken once, by whichever node gets it first.
func (s *SSO) Finish(ctx context.Context, console bool, cookie string, q url.Values) (Account, error) {
	a, err := s.mine(console, cookie, q.Get("state"))
	if err != nil {
		return Account{}, err
	}
	sum := sha256.Sum256([]byte(a.state))
	first, err := s.o.Client.SetNX(ctx, usedPrefix+hex.EncodeToString(sum[:16])+"}", "", StateLifetime+2*skew).Result()
	switch {
	case err != nil:
		return Account{}, fmt.Errorf("login: %w", err)
	case !first:
		return Account{}, ErrState
	}
	p, err := s.provider(ctx)
	if err != nil {
		return Account{}, err
	}
	// Before anything else of the answer is looked at: it may come from a provider that wants our code (RFC 9207).
	if iss := q.Get("iss"); iss != "" && iss != s.o.Config.Issuer || iss == "" && p.NamesSelf || len(q["iss"]) > 1 {
		return Account{}, fmt.Errorf("%w: it says that it comes from %q", ErrToken, brief(iss))
	}
	if e := q.Get("error"); e != "" {
		return Account{}, fmt.Errorf("%w: %s (%s)", ErrDenied, brief(e), brief(q.Get("error_description")))
	}
	c, err := s.redeem(ctx, p, a, q.Get("code"))
	if err != nil {
		return Account{}, err
	}
	return s.account(ctx, c, console)
}

// redeem exchanges the code for the claims, and checks them as OpenID Connect Core section 3.1.3.7 says.
func (s *SSO) redeem(ctx context.Context, p *provider, a attempt, code string) (*claims, error) {
	if code == "" || len(code) > maxCode {
		return nil, fmt.Errorf("%w: it has no code", ErrToken)
	}
	ctx, cancel := context.WithTimeout(s.client(ctx), 2*s.o.Config.Timeout.D())
	defer cancel()
	token, err := s.oauth(p).Exchange(ctx, code, oauth2.VerifierOption(a.verifier))
	if err != nil {
		return nil, exchangeError(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, fmt.Errorf("%w: it has no ID token", ErrToken)
	}
	verifier := p.Verifier(&oidc.Config{ClientID: s.o.Config.ClientID, Now: func() time.Time { return s.o.Now().Add(-skew) }})
	id, err := verifier.Verify(ctx, raw)
	switch {
	case err != nil && strings.Contains(err.Error(), "fetching keys"): // the library keeps no cause
		return nil, fmt.Errorf("%w: %w", ErrAway, short(err))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrToken, short(err))
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.nonce)) != 1:
		return nil, fmt.Errorf("%w: the nonce is not ours", ErrToken)
	case id.Subject == "":
		return nil, fmt.Errorf("%w: it names no subject", ErrToken)
	case id.IssuedAt.After(s.o.Now().Add(5 * time.Minute)):
		return nil, fmt.Errorf("%w: it was issued in the future (%s): a clock is wrong", ErrToken, id.IssuedAt.UTC().Format(time.RFC3339))
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return nil, fmt.Errorf("%w: the access token belongs to another one", ErrToken)
	}
	c := &claims{subject: id.Subject, values: map[string]any{}}
	if err := id.Claims(&c.values); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, short(err))
	}
	if azp, ok := c.values["azp"].(string); ok && azp != s.o.Config.ClientID || !ok && len(id.Audience) > 1 {
		return nil, fmt.Errorf("%w: it was issued to %q", ErrToken, brief(azp))
	}
	c.more = func(ctx context.Context) (map[string]any, error) {
		return s.userInfo(ctx, p, token, id.Subject)
	}
	return c, nil
}

// userInfo asks for claims that are not in the ID token: some providers put them nowhere else.
func (s *SSO) userInfo(ctx context.Context, p *provider, token *oauth2.Token, subject string) (map[string]any, error) {
	if p.UserInfoEndpoint() == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(s.client(ctx), s.o.Config.Timeout.D())
	defer cancel()
	info, err := p.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, short(err))
	}
	values := map[string]any{}
	if err := info.Claims(&values); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, short(err))
	}
	// OpenID Connect Core section 5.3.2: else it may be of somebody else.
	if info.Subject != subject {
		return nil, fmt.Errorf("%w: the user info is of another subject", ErrToken)
	}
	return values, nil
}

// exchangeError tells a provider that refuses the code from one that does not answer.
func exchangeError(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response.StatusCode < 500 {
		why := brief(refused.ErrorCode)
		if why == "invalid_client" || why == "unauthorized_client" {
			why += ": client_id or the client secret is not the one that the provider has"
		}
		return fmt.Errorf("%w: the code was refused with status %d: %s (%s)", ErrToken, refused.Response.StatusCode, why, brief(refused.ErrorDescription))
	}
	return fmt.Errorf("%w: %w", ErrAway, short(err))
}

// brief bounds what somebody else wrote, for the log.
func brief(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}

package login

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sekimori/internal/mail"
)

// claims are what a provider says of somebody. What the ID token does not have is asked for once.
type claims struct {
	subject string
	values  map[string]any
	more    func(ctx context.Context) (map[string]any, error)
	asked   bool
}

// get returns a claim; dots lead into objects, where there is no claim whose name has the dots. nil when there is none.
func (c *claims) get(ctx context.Context, name string) (any, error) {
	if v := find(c.values, name); v != nil || c.asked {
		return v, nil
	}
	c.asked = true
	more, err := c.more(ctx)
	if err != nil {
		return nil, err
	}
	for k, v := range more {
		// What is signed counts.
		if _, there := c.values[k]; !there {
			c.values[k] = v
		}
	}
	return find(c.values, name), nil
}

func find(in map[string]any, name string) any {
	if v, ok := in[name]; ok {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if inner, is := in[head].(map[string]any); ok && is {
		return find(inner, rest)
	}
	return nil
}

// account makes an account of claims. Errors are ErrNoRole, ErrUnverified, ErrNoAddress, ErrAway, ErrToken, with what was missing, for
// the log.
func (s *SSO) account(ctx context.Context, c *claims, console bool) (Account, error) {
	o := &s.o.Config
	for name, want := range o.Require {
		v, err := c.get(ctx, name)
		if err != nil {
			return Account{}, err
		}
		if !slices.Contains(words(v), want) {
			return Account{}, fmt.Errorf("%w: %s is not %q, as console.oidc.require asks (subject %q)", ErrNoRole, name, want, brief(c.subject))
		}
	}
	if !console {
		a, err := s.address(ctx, c)
		return Account{Person: a, Via: "oidc", Subject: brief(c.subject)}, err
	}
	role, err := s.role(ctx, c)
	if err != nil {
		return Account{}, err
	}
	v, err := c.get(ctx, o.NameClaim)
	if err != nil {
		return Account{}, err
	}
	name, _ := v.(string)
	if name = strings.TrimSpace(brief(name)); name == "" {
		name = brief(c.subject)
	}
	return Account{Name: name, Role: role, Via: "oidc", Subject: brief(c.subject)}, nil
}

// role is the mightiest one that a value of the claim has. Where the claim is the address, it must be confirmed.
func (s *SSO) role(ctx context.Context, c *claims) (string, error) {
	o := &s.o.Config
	v, err := c.get(ctx, o.RoleClaim)
	if err != nil {
		return "", err
	}
	have := words(v)
	if o.RoleClaim == o.EmailClaim {
		a, err := s.address(ctx, c)
		if err != nil {
			return "", err
		}
		have = []string{a.Key()}
	}
	for _, r := range o.Roles.List() {
		for _, value := range r.Values {
			if slices.Contains(have, value) || o.RoleClaim == o.EmailClaim && len(have) == 1 && strings.EqualFold(have[0], value) {
				return r.Role, nil
			}
		}
	}
	why := fmt.Sprintf("none of the %d values of %q has a role", len(have), o.RoleClaim)
	if names, ok := c.values["_claim_names"].(map[string]any); ok && names[o.RoleClaim] != nil {
		why = fmt.Sprintf("%q are too many for the token; let the provider name only those of the application, or use its application roles", o.RoleClaim)
	}
	return "", fmt.Errorf("%w: %s (subject %q)", ErrNoRole, why, brief(c.subject))
}

// address is the confirmed one of a person.
func (s *SSO) address(ctx context.Context, c *claims) (mail.Address, error) {
	o := &s.o.Config
	v, err := c.get(ctx, o.EmailClaim)
	if err != nil {
		return mail.Address{}, err
	}
	text, _ := v.(string)
	a, err := mail.ParseAddress(strings.TrimSpace(text), true)
	if err != nil || text == "" {
		return mail.Address{}, fmt.Errorf("%w: %q is %q (subject %q)", ErrNoAddress, o.EmailClaim, brief(text), brief(c.subject))
	}
	if o.VerifiedClaim == "" {
		return a, nil
	}
	verified, err := c.get(ctx, o.VerifiedClaim)
	if err != nil {
		return mail.Address{}, err
	}
	// Some providers write it as a text or a number.
	if w := words(verified); len(w) != 1 || w[0] != "true" && w[0] != "1" {
		return mail.Address{}, fmt.Errorf("%w: %s, %q is %v", ErrUnverified, a, o.VerifiedClaim, brief(fmt.Sprint(verified)))
	}
	return a, nil
}

// words are the values of a claim: one or a list.
func words(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var list []string
		for _, x := range v {
			switch x.(type) {
			case string, bool, float64:
				list = append(list, fmt.Sprint(x))
			}
		}
		return list
	case string, bool, float64:
		return []string{fmt.Sprint(v)}
	}
	return nil
}

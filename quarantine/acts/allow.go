package acts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sekimori/internal/mail"
	"sekimori/reputation"
)

// ErrUnconfirmed says that nothing confirms the sender, so that he cannot be allowed: anybody could use his address.
var ErrUnconfirmed = errors.New("acts: nothing confirms this sender")

// Permission returns the narrowest permission that lets mail like this one through, without making it; ErrUnconfirmed.
func Permission(p mail.Proof) (reputation.Allow, error) {
	domain := strings.ToLower(p.Author.Domain)
	switch {
	case p.Author.IsNull() || domain == "":
		return reputation.Allow{}, fmt.Errorf("%w: the mail names no author, or several", ErrUnconfirmed)
	case p.Aligned && mail.SharedDomain(domain):
		return reputation.Allow{Domain: domain, Address: p.Author.Key()}, nil
	case p.Aligned:
		return reputation.Allow{Domain: domain}, nil
	case p.SPF != "":
		return reputation.Allow{Address: p.Author.Key(), SPF: strings.ToLower(p.SPF)}, nil
	case p.Host != "":
		return reputation.Allow{Address: p.Author.Key(), Host: strings.ToLower(p.Host)}, nil
	}
	return reputation.Allow{}, fmt.Errorf("%w: neither DKIM nor SPF passed, and the server has no confirmed name", ErrUnconfirmed)
}

// allowFrom makes the permissions that go with a release. A release is done also when they are not possible.
func (s *Service) allowFrom(ctx context.Context, a Actor, i *Item, rcpts []mail.Address, k *kept) {
	fail := func(err error) { k.NotDone = append(k.NotDone, "allowing the sender: "+err.Error()) }
	life := s.o.Policy().AllowFor
	allow, err := Permission(i.Proof)
	switch {
	case !a.can(actAllow) || life <= 0:
		fail(ErrForbidden)
		return
	case err != nil:
		fail(err)
		return
	}
	whose, groups := addressesOf(a, i, rcpts)
	for _, g := range groups {
		fail(fmt.Errorf("%w: %s is a group, for which only an administrator allows", ErrForbidden, g))
	}
	for _, rcpt := range whose {
		allow.Rcpt, allow.By, allow.Mail, allow.Created = rcpt, a.Name, i.ID, s.now()
		allow.Expires = allow.Created.Add(life)
		had, err := s.o.Allows.Of(ctx, []mail.Address{rcpt})
		if err != nil {
			fail(err)
			continue
		}
		if err := s.audit(ctx, a, actAllow, []string{i.ID}, []mail.Address{rcpt}, allow.String()); err != nil {
			fail(err)
			continue
		}
		made, err := s.o.Allows.Add(ctx, allow)
		if err != nil {
			fail(err)
			continue
		}
		k.Allowed = append(k.Allowed, made)
		if !slices.ContainsFunc(had[rcpt.Key()], func(x reputation.Allow) bool { return x.ID == made.ID }) {
			k.NewOnes = append(k.NewOnes, made.ID)
		}
	}
}

// unallow takes back permissions that were not there before.
func (s *Service) unallow(ctx context.Context, k *kept) {
	for _, made := range k.Allowed {
		if !slices.Contains(k.NewOnes, made.ID) {
			continue
		}
		if err := s.o.Allows.Revoke(ctx, made); err != nil {
			k.NotDone = append(k.NotDone, "taking back the permission: "+err.Error())
		}
	}
	k.Allowed = slices.DeleteFunc(k.Allowed, func(x reputation.Allow) bool { return slices.Contains(k.NewOnes, x.ID) })
}

// Allows returns what somebody's own mailboxes allow, newest first; to the other roles what everybody allows, or these recipients.
func (s *Service) Allows(ctx context.Context, a Actor, rcpts ...mail.Address) ([]reputation.Allow, error) {
	if !a.can(actSee) {
		return nil, fmt.Errorf("%w: role %q sees nothing", ErrForbidden, a.Role)
	}
	var list []reputation.Allow
	if a.Role == Person {
		rcpts = a.Addresses
	} else if len(rcpts) == 0 {
		err := s.o.Allows.All(ctx, func(part []reputation.Allow) bool {
			list = append(list, part...)
			return true
		})
		return list, err
	}
	found, err := s.o.Allows.Of(ctx, rcpts)
	if err != nil {
		return nil, err
	}
	for _, r := range rcpts {
		list = append(list, found[r.Key()]...)
		delete(found, r.Key())
	}
	return list, nil
}

// Revoke takes a permission away: one's own, or as an administrator anybody's. ErrNotFound.
func (s *Service) Revoke(ctx context.Context, a Actor, allowID string) error {
	if !a.can(actRevoke) {
		return fmt.Errorf("%w: role %q may not %s", ErrForbidden, a.Role, actRevoke)
	}
	allow, ok, err := s.o.Allows.Find(ctx, allowID)
	if err != nil {
		return err
	}
	if !ok || a.Role == Person && !contains(a.Addresses, allow.Rcpt) {
		return fmt.Errorf("%w: permission %q", ErrNotFound, allowID)
	}
	if err := s.audit(ctx, a, actRevoke, nil, []mail.Address{allow.Rcpt}, allow.String()); err != nil {
		return err
	}
	return s.o.Allows.Revoke(ctx, allow)
}

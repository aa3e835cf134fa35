package quarantine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// usedByKey counts the octets that are held for each recipient and each domain of recipients. An octet that several mails share
// counts for the mail that brought it.
const usedByKey = "q:i:usedby"

// From nine tenths of the quota on, only recipients are taken in who have less than a hundredth of it.
const (
	reserve    = 10
	smallShare = 100
)

func rcptUsage(a mail.Address) string { return "r:" + a.Key() }
func domainUsage(d string) string     { return "d:" + strings.ToLower(d) }

// usages returns the fields in which a mail counts.
func (h *Held) usages() []string {
	var list []string
	domains := map[string]bool{}
	for _, a := range h.Rcpts {
		list = append(list, rcptUsage(a))
		if d := domainUsage(a.Domain); !domains[d] {
			domains[d] = true
			list = append(list, d)
		}
	}
	return list
}

// count adds octets to what is used, in all and by those whose mail it is: an estimate between two repairs.
func (q *Store) count(ctx context.Context, pipe store.Pipeliner, h *Held, all, own int64) {
	pipe.IncrBy(ctx, usedKey, all)
	for _, f := range h.usages() {
		pipe.HIncrBy(ctx, usedByKey, f, own)
	}
}

// usage is what is looked at before a mail is taken in.
type usage struct {
	used   int64
	need   int64 // octets that the mail would take
	mails  int64
	by     map[string]int64 // octets by field of usedByKey
	byRcpt []int64          // mails of each recipient; only of the embedded store
}

func (q *Store) usage(ctx context.Context, h *Held, p *packed) (usage, error) {
	fields := h.usages()
	for _, d := range h.Others {
		fields = append(fields, domainUsage(d))
	}
	pipe := q.o.Store.Client().Pipeline()
	used, mails, there := pipe.Get(ctx, usedKey), pipe.ZCard(ctx, timeIndex), pipe.Exists(ctx, bodyKey(p.hash))
	by := pipe.HMGet(ctx, usedByKey, fields...)
	var lists []*store.IntCmd
	if q.o.Store.Embedded() {
		for _, a := range h.Rcpts {
			lists = append(lists, pipe.ZCard(ctx, rcptIndex(a)))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, store.Nil) {
		return usage{}, err
	}
	u := usage{need: p.own + p.zsize, mails: mails.Val(), by: map[string]int64{}}
	u.used, _ = used.Int64()
	if there.Val() == 1 {
		u.need = p.own
	}
	for i, v := range by.Val() {
		if s, is := v.(string); is {
			u.by[fields[i]], _ = strconv.ParseInt(s, 10, 64)
		}
	}
	for _, l := range lists {
		u.byRcpt = append(u.byRcpt, l.Val())
	}
	return u, nil
}

// small reports whether one of the recipients has so little that the reserve is for him.
func (u *usage) small(h *Held, quota int64) bool {
	for _, a := range h.Rcpts {
		if u.by[rcptUsage(a)]+u.need <= quota/smallShare {
			return true
		}
	}
	return false
}

func (u *usage) fewMails() bool {
	for _, n := range u.byRcpt {
		if n < embeddedMails/smallShare {
			return true
		}
	}
	return false
}

// room refuses what goes over the quota, that of a domain, or the cap of the embedded store. Of the quota and of the cap the last
// tenth is kept for recipients who have little, so that a flood to one address does not shut out all others.
func (q *Store) room(ctx context.Context, h *Held, p *packed) error {
	u, err := q.usage(ctx, h, p)
	if err != nil {
		return err
	}
	quota := q.o.Quota
	switch {
	case quota > 0 && u.used+u.need > quota:
		q.o.Warn("quarantine.full", fmt.Sprintf("The quarantine's quota of %d octets is reached.", quota))
		return fmt.Errorf("%w: the quota of %d octets is reached", ErrFull, quota)
	case q.o.Store.Embedded() && u.mails >= embeddedMails:
		q.o.Warn("quarantine.full", fmt.Sprintf("The embedded store holds %d mails, its most.", embeddedMails))
		return fmt.Errorf("%w: the embedded store holds %d mails", ErrFull, embeddedMails)
	case quota > 0 && h.Refused && u.used+u.need > quota-quota/reserve:
		return fmt.Errorf("%w: the rest of the quota is not for copies of what was refused", ErrFull)
	case quota > 0 && u.used+u.need > quota-quota/reserve && !u.small(h, quota),
		q.o.Store.Embedded() && u.mails >= embeddedMails-embeddedMails/reserve && !u.fewMails():
		q.o.Warn("quarantine.reserve", fmt.Sprintf("The quarantine is nearly full; %s has much of it and gets no more.", h.Rcpts[0]))
		return fmt.Errorf("%w: the rest is kept for recipients who have little in it", ErrFull)
	}
	q.o.Warn("quarantine.full", "")
	if u.used+u.need <= quota-quota/reserve {
		q.o.Warn("quarantine.reserve", "")
	}
	return q.domainRoom(&u, h)
}

// domainRoom refuses what goes over the quota of a domain. Where the same mail is delivered to somebody, or held for a domain that has
// room, a refusal would put it off for them, too: then the full domain takes it in, up to twice its quota.
func (q *Store) domainRoom(u *usage, h *Held) error {
	over := func(d string) (most int64, is bool) {
		most, limited := q.o.DomainQuota[d]
		return most, limited && u.by[domainUsage(d)]+u.need > most
	}
	spare := h.Shared
	for _, d := range h.Others {
		_, full := over(strings.ToLower(d))
		spare = spare || !full
	}
	for _, a := range h.Rcpts {
		_, full := over(strings.ToLower(a.Domain))
		spare = spare || !full
	}
	for _, a := range h.Rcpts {
		d := strings.ToLower(a.Domain)
		most, full := over(d)
		switch {
		case !full:
			if most > 0 {
				q.o.Warn("quarantine.full."+d, "")
			}
			continue
		case spare && u.by[domainUsage(d)]+u.need <= 2*most:
			q.o.Warn("quarantine.full."+d, fmt.Sprintf("The quarantine's quota of %d octets for %s is reached. Mail that others get as well is still held, up to twice as much.", most, d))
			continue
		}
		q.o.Warn("quarantine.full."+d, fmt.Sprintf("The quarantine's quota of %d octets for %s is reached.", most, d))
		return fmt.Errorf("%w: the quota of %d octets for %s is reached", ErrFull, most, d)
	}
	return nil
}

// recount writes what a whole round of repair has counted.
func (q *Store) recount(ctx context.Context, by map[string]int64) error {
	c := q.o.Store.Client()
	pipe := c.Pipeline()
	pipe.Del(ctx, usedByKey)
	n := 0
	for f, octets := range by {
		pipe.HSet(ctx, usedByKey, f, octets)
		if n++; n%listStep == 0 {
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
		}
	}
	_, err := pipe.Exec(ctx)
	return err
}

// Used returns how many octets are held for each of the domains.
func (q *Store) Used(ctx context.Context, domains []string) (map[string]int64, error) {
	if len(domains) == 0 {
		return nil, nil
	}
	fields := make([]string, len(domains))
	for i, d := range domains {
		fields[i] = domainUsage(d)
	}
	list, err := q.o.Store.Client().HMGet(ctx, usedByKey, fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	by := map[string]int64{}
	for i, v := range list {
		s, _ := v.(string)
		by[domains[i]], _ = strconv.ParseInt(s, 10, 64)
	}
	return by, nil
}

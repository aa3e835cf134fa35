package quarantine

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// scaleSize is how many mails of how many persons TestScale fills in: few, unless SEKIMORI_SCALE says "2000000/50000". With
// SEKIMORI_SCALE_ENCRYPTED=1 the bodies and what says something of them are encrypted.
func scaleSize(t *testing.T) (mails, persons int) {
	s := os.Getenv("SEKIMORI_SCALE")
	if s == "" {
		return 1000, 25
	}
	m, p, _ := strings.Cut(s, "/")
	mails, err := strconv.Atoi(m)
	if err != nil {
		t.Fatal("SEKIMORI_SCALE is MAILS/PERSONS")
	}
	if persons, err = strconv.Atoi(p); err != nil {
		t.Fatal("SEKIMORI_SCALE is MAILS/PERSONS")
	}
	return mails, persons
}

func person(i int) mail.Address { return addr(fmt.Sprintf("user%05d@example.jp", i)) }

// heldAt is the n-th of the mails: nine of ten belong to a campaign of a thousand mails with one body; one of ten is a letter of its own.
func heldAt(n, persons int, at time.Time) Held {
	campaign := n / 1000
	id := fmt.Sprintf("d%019d", n)
	sender := fmt.Sprintf("promo%d.example", campaign%5000)
	subject, text := fmt.Sprintf("【重要】ご利用のお知らせ（第%d号）", campaign), strings.Repeat(fmt.Sprintf("campaign %d: please look at this offer\r\n", campaign), 20)
	if n%10 == 0 {
		subject, text = fmt.Sprintf("letter number %d", n), fmt.Sprintf("Dear user,\r\nthis is letter %d.\r\n", n)+strings.Repeat("some text that says little\r\n", 10)
	}
	class := "spam"
	switch {
	case n%1000 == 7:
		class = "malware"
	case n%20 == 3:
		class = "spoof"
	}
	to := person((n * 7919) % persons)
	header := fmt.Sprintf("Received: from mail.%s (mail.%s [192.0.2.%d])\r\n\tby mx1.example.jp with ESMTPS id %s;\r\n\tFri, 20 Nov 2026 14:32:05 +0900\r\n"+
		"From: Information <info@%s>\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s.%d@%s>\r\nDate: Fri, 20 Nov 2026 14:32:01 +0900\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", sender, sender, n%250, id, sender, to, subject, id, n, sender)
	return Held{
		ID: id, Class: class, From: addr("bounce@" + sender), Rcpts: []mail.Address{to}, Subject: subject, HeaderFrom: "info@" + sender,
		Time: at, Score: 7.5, Rule: fmt.Sprintf("RULE_%02d (spam.toml:%d)", n%40, n%40),
		Reasons: []mail.Counted{
			{Name: "SPF_FAIL", Points: 4, Evidence: []mail.Evidence{{Key: "client", Value: "192.0.2.1"}, {Key: "domain", Value: sender}}},
			{Name: "DNSBL_HIT", Points: 2.5, Evidence: []mail.Evidence{{Key: "zone", Value: "zen.example"}, {Key: "code", Value: "127.0.0.4"}}},
			{Name: "RDNS_NONE", Points: 1, Evidence: []mail.Evidence{{Key: "client", Value: "192.0.2.1"}}},
		},
		Client: "192.0.2.1", Helo: "mail." + sender, Trace: []byte("X-Sekimori-ID: " + id + "\r\nX-Sekimori-Score: 7.5\r\n"),
		Body: mail.Content{[]byte(header), []byte(text)},
	}
}

// fill puts mails into the store as Hold does, but for what Hold asks of the disk. They arrived over the last ten days.
func (g *rig) fill(t *testing.T, mails, persons int) {
	t.Helper()
	ctx, start := t.Context(), g.clock.now().Add(-10*24*time.Hour)
	step := 10 * 24 * time.Hour / time.Duration(mails)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= mails || ctx.Err() != nil {
					return
				}
				h := heldAt(n, persons, start.Add(time.Duration(n)*step))
				h.Size = h.Body.Len()
				p, err := g.codec.pack(h.ID, h.Body)
				if err == nil {
					err = g.save(ctx, &h, p, nil, true)
				}
				if err != nil {
					t.Error(n, err)
					return
				}
				if n%500 == 499 {
					if err := g.forgetIntents(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	workers.Wait()
	if err := g.forgetIntents(ctx); err != nil || t.Failed() {
		t.Fatal(err)
	}
}

func (g *rig) memory(t *testing.T) int64 {
	t.Helper()
	info, err := g.store.Client().Info(t.Context(), "memory").Result()
	if err != nil {
		return 0 // the embedded store does not say
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	s, _, _ := strings.Cut(rest, "\r")
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// TestScale fills a store and looks at pages the way persons and administrators do: each page comes with few round trips, however
// much is held. SEKIMORI_SCALE=2000000/50000 makes it the measurement of README.md.
func TestScale(t *testing.T) {
	mails, persons := scaleSize(t)
	redis := func(t *testing.T) config.Redis {
		r := startRedis(t, "--save", "", "--appendonly", "no").config()
		r.Timeout = config.Duration(10 * time.Second)
		return r
	}
	t.Run("redis", func(t *testing.T) { scale(t, scaleRig(t, redis(t)), mails, persons) })
	t.Run("embedded", func(t *testing.T) {
		mails := min(mails, embeddedMails-200)
		scale(t, scaleRig(t, config.Redis{}), mails, max(1, min(persons, mails/40)))
	})
}

// real gives a rig the time of the day, which its clock can be moved away from.
func real(o *Options) {
	moved, begun := o.Now, o.Now()
	start := time.Now()
	o.Now = func() time.Time { return start.Add(moved().Sub(begun) + time.Since(start)) }
}

func scaleRig(t *testing.T, redis config.Redis) *rig {
	if os.Getenv("SEKIMORI_SCALE_ENCRYPTED") == "1" {
		return newRig(t, redis, real, encrypted("k1"))
	}
	return newRig(t, redis, real)
}

func scale(t *testing.T, g *rig, mails, persons int) {
	before, began := g.memory(t), time.Now()
	g.fill(t, mails, persons)
	took := time.Since(began)
	t.Logf("%d mails of %d persons in %v, %.0f/s; %d octets of memory each", mails, persons, took.Round(time.Second), float64(mails)/took.Seconds(), (g.memory(t)-before)/int64(mails))
	beside := g.holdBeside(t, persons)
	g.turns(t, "repair", g.repair)
	g.turns(t, "rescan", g.rescan)
	beside()
	scalePages(t, g, mails, persons)
	g.clock.add(5 * 24 * time.Hour)
	ended := len(g.ends)
	for range min(5, mails/1000) {
		g.turns(t, "sweep", func(ctx context.Context) (bool, error) {
			_, err := g.sweep(ctx)
			return true, err
		})
	}
	if len(g.ends) == ended {
		t.Error("the sweep expired nothing")
	}
}

// turns runs a task of Run to its end.
func (g *rig) turns(t *testing.T, name string, task func(context.Context) (bool, error)) {
	t.Helper()
	turns, longest, began := 0, time.Duration(0), time.Now()
	for done := false; !done; turns++ {
		one := time.Now()
		var err error
		if done, err = task(t.Context()); err != nil {
			t.Fatal(name, err)
		}
		longest = max(longest, time.Since(one))
	}
	t.Logf("%s: %d turns, one a second, of %v at the most, %v in all", name, turns, longest.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// holdBeside holds one mail after the other until the function that it returns is called, which says how long they took.
func (g *rig) holdBeside(t *testing.T, persons int) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	var times []time.Duration
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			h := heldAt(n, persons, g.o.Now())
			h.ID = fmt.Sprintf("beside%d", n)
			p, err := g.codec.pack(h.ID, h.Body)
			one := time.Now()
			if err == nil {
				err = g.save(t.Context(), &h, p, nil, false)
			}
			if err != nil {
				t.Error("a hold beside it:", err)
				return
			}
			times = append(times, time.Since(one))
		}
	}()
	return func() {
		close(done)
		<-ended
		slices.Sort(times)
		if n := len(times); n > 0 {
			t.Logf("%d mails held beside it: median %v, 99 of 100 under %v, slowest %v", n, times[n/2].Round(10*time.Microsecond),
				times[n*99/100].Round(10*time.Microsecond), times[n-1].Round(10*time.Microsecond))
		}
	}
}

func scalePages(t *testing.T, g *rig, mails, persons int) {
	ctx, now := t.Context(), g.clock.now()
	first := heldAt(0, persons, now)
	for _, c := range []struct {
		name  string
		query Query
		want  int // -1: any
	}{
		{"one person's page", Query{Rcpt: person((7919 * 3) % persons).String(), Limit: 50}, min(50, mails/persons)},
		{"newest", Query{Limit: 100}, 100},
		{"by rule", Query{Rule: "RULE_07", Limit: 100}, min(100, mails/40)},
		{"by sender's domain", Query{From: "@" + first.From.Domain, Limit: 100}, 100},
		{"by sender's address", Query{From: first.From.String(), Limit: 100}, 100},
		{"by class", Query{Class: "malware", Limit: 100}, min(100, mails/1000)},
		{"by time range", Query{Since: now.Add(-72 * time.Hour), Until: now.Add(-71 * time.Hour), Limit: 100}, min(100, mails/240)},
		{"by class and rule", Query{Class: "malware", Rule: "RULE_07", Limit: 100}, -1},
		{"by class, sender and time", Query{Class: "spam", From: "@" + first.From.Domain, Since: now.Add(-9 * 24 * time.Hour), Limit: 100}, -1},
		{"by a frequent subject", Query{Subject: "ご利用のお知らせ", Limit: 100}, -1},
		{"by a rare subject, one page of the search", Query{Subject: "letter number 10", Limit: 100}, -1},
		{"one person's subject", Query{Rcpt: person(0).String(), Subject: "お知らせ", Limit: 50}, -1},
	} {
		var times []time.Duration
		var page Page
		for range 5 {
			one := time.Now()
			var err error
			if page, err = g.List(ctx, c.query); err != nil || page.Partial != "" {
				t.Fatal(c.name, err, page.Partial)
			}
			times = append(times, time.Since(one))
		}
		slices.Sort(times)
		t.Logf("%-42s %4d mails, median %v, slowest %v; reached %s", c.name, len(page.Items), times[2].Round(100*time.Microsecond), times[4].Round(100*time.Microsecond), reached(page))
		if c.want >= 0 && len(page.Items) < c.want {
			t.Errorf("%s: %d mails, not %d", c.name, len(page.Items), c.want)
		}
	}
	g.searchAll(t, ctx, Query{Subject: "letter number " + strconv.Itoa(mails/20/10*10), Limit: 100})
}

func reached(p Page) string {
	if p.Reached.IsZero() {
		return "the end"
	}
	return p.Reached.Format(time.RFC3339)
}

// searchAll goes through a search for something rare to its end.
func (g *rig) searchAll(t *testing.T, ctx context.Context, q Query) {
	t.Helper()
	pages, found, began := 0, 0, time.Now()
	for {
		p, err := g.List(ctx, q)
		if err != nil || p.Partial != "" {
			t.Fatal(err, p.Partial)
		}
		pages, found = pages+1, found+len(p.Items)
		if q.Cursor = p.Next; p.Next == "" {
			break
		}
	}
	t.Logf("a rare subject, searched to the end: %d found, %d pages, %v", found, pages, time.Since(began).Round(time.Millisecond))
	if found == 0 {
		t.Error("the search to the end found nothing")
	}
}

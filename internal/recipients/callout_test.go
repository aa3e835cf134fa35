package recipients

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
	"sekimori/internal/mail"
)

// fakeBackend answers RCPT by a function that tests change.
type fakeBackend struct {
	mu    sync.Mutex
	say   func(a mail.Address) (mail.Reply, error)
	asked []string
}

func (f *fakeBackend) AskRecipient(_ context.Context, a mail.Address) (mail.Reply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, a.String())
	return f.say(a)
}

func (f *fakeBackend) set(say func(a mail.Address) (mail.Reply, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.say, f.asked = say, nil
}

var noSuchUser = mail.Permanent(550, 1, 1, "no such user")

// only knows some local parts and refuses others with a reply.
func only(reply mail.Reply, names ...string) func(mail.Address) (mail.Reply, error) {
	return func(a mail.Address) (mail.Reply, error) {
		for _, n := range names {
			if strings.EqualFold(a.Local, n) {
				return mail.Reply{}, nil
			}
		}
		return reply, nil
	}
}

func TestCallout(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &fakeBackend{say: only(noSuchUser, "taro")}
		warned := map[string]string{}
		o := Options{Asker: b, Dir: dir, Warn: func(cause, m string) { warned[cause] = m }}
		dom := config.Domain{Names: []string{"example.jp"}, Recipients: "callout"}
		d := directory(t, o, dom)
		find := func(want string) {
			t.Helper()
			to, want, _ := strings.Cut(want, " ")
			if got := d.Find(t.Context(), addr(t, to+"@example.jp")); got.Result.String() != want {
				t.Errorf("%s: %s (%s), want %s", to, got.Result, got.Why, want)
			}
		}
		find("taro known")
		find("hanako unknown")
		if len(b.asked) != 3 || !strings.HasPrefix(b.asked[0], "sekimori-probe-") {
			t.Errorf("asked for %v; the probe comes first", b.asked)
		}
		find("taro known")
		find("hanako unknown")
		if len(b.asked) != 3 {
			t.Errorf("what was said is asked again: %v", b.asked)
		}
		// Away: what was accepted answers for a week, nothing else is known or unknown.
		time.Sleep(25 * time.Hour)
		b.set(func(mail.Address) (mail.Reply, error) { return mail.Reply{}, errAway })
		find("taro known")
		find("hanako not_now")
		time.Sleep(time.Minute)
		b.set(func(mail.Address) (mail.Reply, error) { return mail.Transient(450, 2, 0, "busy"), nil })
		find("hanako not_now")
		// A restart while it is away.
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = directory(t, o, dom)
		find("taro known")
		find("jiro not_now")
		time.Sleep(7 * 24 * time.Hour)
		find("taro not_now")
		// The backend becomes one that accepts everything: said, and not trusted.
		b.set(only(noSuchUser, "taro"))
		time.Sleep(time.Minute)
		find("jiro unknown")
		b.set(func(mail.Address) (mail.Reply, error) { return mail.Reply{}, nil })
		if err := d.places[0].sync(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		find("anybody known")
		if !strings.Contains(warned["recipients.callout.example.jp"], "accepts every address") || len(d.Status()[0].Accepts) != 1 {
			t.Errorf("%v %+v", warned, d.Status())
		}
		if len(b.asked) != 1 {
			t.Errorf("it is asked although its answers mean nothing: %v", b.asked)
		}
		// And tells again who exists: what was believed meanwhile is forgotten.
		b.set(only(noSuchUser, "taro"))
		if err := d.places[0].sync(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		find("anybody unknown")
		if warned["recipients.callout.example.jp"] != "" {
			t.Error("the warning stands although it is over")
		}
	})
}

// TestCalloutReplies: only what is about the existence of an address says that it is unknown.
func TestCalloutReplies(t *testing.T) {
	for reply, want := range map[mail.Reply]Result{
		noSuchUser:                               Unknown,
		mail.Permanent(550, 0, 0, "unknown"):     Unknown,
		mail.Permanent(553, 1, 3, "bad"):         Unknown,
		mail.Permanent(550, 1, 8, "bad sender"):  Known,
		mail.Permanent(550, 2, 1, "disabled"):    Unknown,
		mail.Permanent(552, 2, 2, "full"):        Known,
		mail.Permanent(550, 7, 1, "not for you"): Known,
		mail.Permanent(554, 0, 0, "go away"):     Known,
		mail.Transient(451, 3, 0, "later"):       NotNow,
	} {
		b := &fakeBackend{say: func(a mail.Address) (mail.Reply, error) {
			if strings.HasPrefix(a.Local, "sekimori-probe-") {
				return noSuchUser, nil
			}
			return reply, nil
		}}
		d := directory(t, Options{Asker: b}, config.Domain{Names: []string{"example.jp"}, Recipients: "callout"})
		if got := d.Find(t.Context(), addr(t, "x@example.jp")); got.Result != want {
			t.Errorf("%s: %s, want %s", reply, got.Result, want)
		}
	}
}

// TestCalloutAboutOne: addresses to which the backend says "later" do not have it left alone for the others.
func TestCalloutAboutOne(t *testing.T) {
	b := &fakeBackend{say: func(a mail.Address) (mail.Reply, error) {
		if strings.HasPrefix(a.Local, "busy") {
			return mail.Transient(451, 6, 7, "later"), nil
		}
		return only(noSuchUser, "taro")(a)
	}}
	d := directory(t, Options{Asker: b}, config.Domain{Names: []string{"example.jp"}, Recipients: "callout"})
	for _, x := range []string{"busy1", "busy2", "busy3", "busy4"} {
		if got := d.Find(t.Context(), addr(t, x+"@example.jp")); got.Result != NotNow {
			t.Errorf("%s: %s", x, got.Result)
		}
	}
	if got := d.Find(t.Context(), addr(t, "taro@example.jp")); got.Result != Known {
		t.Errorf("taro: %s (%s)", got.Result, got.Why)
	}
}

// TestCalloutRefused: a backend that refuses even to be asked tells nothing.
func TestCalloutRefused(t *testing.T) {
	b := &fakeBackend{say: only(mail.Permanent(550, 7, 1, "relaying denied"))}
	var warned string
	d := directory(t, Options{Asker: b, Warn: func(_, m string) { warned = m }}, config.Domain{Names: []string{"example.jp"}, Recipients: "callout"})
	if got := d.Find(t.Context(), addr(t, "x@example.jp")); got.Result != Known || !strings.Contains(warned, "refuses even to be asked") {
		t.Errorf("%s, %q", got.Result, warned)
	}
}

// TestCalloutBareRefusal: a bare 550 to the probe is believed only when postmaster is not refused as well.
func TestCalloutBareRefusal(t *testing.T) {
	bare := mail.Permanent(550, 0, 0, "no")
	for who, want := range map[string]Result{"postmaster taro": Unknown, "taro": Known} {
		b := &fakeBackend{say: only(bare, strings.Fields(who)...)}
		d := directory(t, Options{Asker: b}, config.Domain{Names: []string{"example.jp"}, Recipients: "callout"})
		if got := d.Find(t.Context(), addr(t, "nobody@example.jp")); got.Result != want {
			t.Errorf("%s exist: nobody is %s, want %s", who, got.Result, want)
		}
	}
}

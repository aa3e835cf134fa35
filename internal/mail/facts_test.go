package mail

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

func TestLinkHost(t *testing.T) {
	for url, want := range map[string]string{
		"https://Example.JP/a?b@c":           "example.jp",
		"http://login.example.jp@evil.test/": "evil.test",
		"http://evil.test\\@example.jp/":     "evil.test",
		"https://[2001:DB8::1]:8443/":        "2001:db8::1",
		"https://example.jp.:443":            "example.jp",
		"mailto:a@example.jp":                "",
		"https://":                           "",
	} {
		if got := linkHost(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func TestExtension(t *testing.T) {
	for name, want := range map[string]string{
		"請求書.PDF.exe ": "exe", "a.scr. .": "scr", "README": "", ".bashrc": "bashrc", "a.": "", "x.js\u3000": "js",
	} {
		if got := Extension(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// Every base fact that can be known at a stage has a value of its type from that stage on, and none before.
func TestBaseFactsAreComplete(t *testing.T) {
	types := map[FactType]reflect.Type{
		Bool: reflect.TypeFor[bool](), Int: reflect.TypeFor[int](), Float: reflect.TypeFor[float64](),
		String: reflect.TypeFor[string](), Strings: reflect.TypeFor[[]string](),
	}
	for stage := Connect; stage <= Conclude; stage++ {
		tx := &Transaction{Session: &Session{Client: netip.MustParseAddr("192.0.2.1")}, Stage: stage}
		if stage >= Data {
			tx.Message = &Message{}
		}
		facts := map[string]any{}
		AddBaseFacts(facts, tx)
		for _, f := range BaseFacts {
			v, ok := facts[f.Name]
			if want := f.Stage <= stage && !f.PerRcpt; ok != want {
				t.Errorf("%s at %s: known %v, want %v", f.Name, stage, ok, want)
			} else if ok && reflect.TypeOf(v) != types[f.Type] {
				t.Errorf("%s is a %T", f.Name, v)
			}
		}
	}
}

func TestTimeFacts(t *testing.T) {
	tokyo := time.FixedZone("JST", 9*3600)
	facts := map[string]any{}
	AddBaseFacts(facts, &Transaction{Session: &Session{}, Start: time.Date(2026, 11, 20, 15, 4, 0, 0, time.UTC).In(tokyo)})
	for name, want := range map[string]any{"time.date": "2026-11-21", "time.hour": 0, "time.minute": 4, "time.weekday": "sat"} {
		if facts[name] != want {
			t.Errorf("%s is %v, want %v", name, facts[name], want)
		}
	}
}

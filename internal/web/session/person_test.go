package session

import (
	"errors"
	"testing"

	"sekimori/internal/mail"
	"sekimori/internal/store"
)

// TestForget: a person's sessions are found and ended, whoever is signed in beside.
func TestForget(t *testing.T) {
	both(t, func(t *testing.T, a, b *Store, _ *store.Store, _ *clock) {
		who := []mail.Address{{Local: "Taro", Domain: "example.jp"}}
		mine := begin(t, a, Session{Kind: Person, Name: "taro@example.jp", Role: "person", Person: taro, Via: "link", Mails: []string{"m1"}, Peer: "192.0.2.1"})
		begin(t, b, Session{Kind: Person, Name: "taro@example.jp", Role: "person", Person: taro, Via: "oidc", All: true})
		other := begin(t, a, Session{Kind: Person, Name: "ito@example.jp", Role: "person", Person: mail.Address{Local: "ito", Domain: "example.jp"}})
		staff := begin(t, a, Session{Kind: Console, Name: "taro@example.jp", Role: "admin"})
		list, err := b.Of(t.Context(), who)
		if err != nil || len(list) != 2 || list[0].Via+list[1].Via != "linkoidc" && list[0].Via+list[1].Via != "oidclink" || list[0].Begun.IsZero() {
			t.Fatalf("%+v %v", list, err)
		}
		if n, err := b.Forget(t.Context(), who); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := b.Forget(t.Context(), who); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := a.Get(t.Context(), mine.ID); !errors.Is(err, ErrNone) {
			t.Errorf("it goes on: %v", err)
		}
		for _, n := range []Session{other, staff} {
			if _, err := a.Get(t.Context(), n.ID); err != nil {
				t.Errorf("%s: %v", n.Name, err)
			}
		}
	})
}

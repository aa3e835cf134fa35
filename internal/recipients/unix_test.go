package recipients

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/internal/config"
)

// TestUnix: a name service whose daemon is stopped says "not found" of everybody; that is not believed.
func TestUnix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := map[string]bool{"root": true, "aduser": true, "other": true}
		var broken error
		asked := 0
		d := directory(t, Options{Accounts: func(_ context.Context, name string) (*Account, error) {
			asked++
			if !service[name] || broken != nil {
				return nil, broken
			}
			return &Account{Name: name}, nil
		}}, config.Domain{Names: []string{"example.jp"}, Recipients: "unix"})
		d.places[0].(*unixPlace).local = func(name string) bool { return name == "root" }
		find := func(want string) {
			t.Helper()
			to, want, _ := strings.Cut(want, " ")
			if got := d.Find(t.Context(), addr(t, to+"@example.jp")); got.Result.String() != want {
				t.Errorf("%s: %s (%s), want %s", to, got.Result, got.Why, want)
			}
		}
		find("AdUser known")
		find("nobody-here unknown")
		n := asked
		find("aduser known")
		find("nobody-here unknown")
		if asked != n {
			t.Error("what was said is asked again")
		}
		time.Sleep(11 * time.Minute)
		delete(service, "aduser")
		delete(service, "other")
		find("root known")
		find("other not_now")
		find("nobody-here not_now")
		time.Sleep(time.Minute)
		service["aduser"], service["other"] = true, true
		find("other known")
		find("nobody-here unknown")
		time.Sleep(time.Hour)
		broken = errors.New("getent was killed")
		find("nobody-here not_now")
	})
}

// TestGetent asks this machine's own.
func TestGetent(t *testing.T) {
	realTool(t, "getent")
	for name, want := range map[string]bool{"root": true, "0": false, "no-such-user-here": false, "-s": false, "--help": false} {
		if got, err := getent(t.Context(), name); err != nil || (got != nil) != want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, err := getent(gone, "root"); err == nil {
		t.Error("one that was cut off says something")
	}
}

package front

import "testing"

func TestFamily(t *testing.T) {
	for addr, want := range map[string]string{"0.0.0.0:25": "tcp4", "[::]:25": "tcp6", ":25": "tcp", "localhost:25": "tcp", "192.0.2.1:25": "tcp4"} {
		if got := family(addr); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

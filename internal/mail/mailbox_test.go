package mail

import "testing"

func TestMailbox(t *testing.T) {
	for local, want := range map[string]string{"Sato": "Sato", "sato+news": "sato", "sato+a+b": "sato", "sato+": "sato", "+sato": "+sato", "": ""} {
		if got := (Address{Local: local, Domain: "example.jp"}).Mailbox(); got != (Address{Local: want, Domain: "example.jp"}) {
			t.Errorf("%q is the mailbox of %q", got, local)
		}
	}
}

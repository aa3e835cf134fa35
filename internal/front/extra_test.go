package front

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"testing"

	"sekimori/internal/mail"
)

// TestJournalCopy: either format names everybody, and the mail is in it with all its octets.
func TestJournalCopy(t *testing.T) {
	const octets = "Subject: \x93\xfa\r\nMessage-ID: <7@sender.example>\r\n\r\n.\r\nlast line\r\n"
	e := Envelope{ID: "d4j0", From: mail.Address{Local: "a", Domain: "sender.example"}, Content: mail.Content{[]byte(octets[:20]), []byte(octets[20:])}, EightBit: true}
	for _, r := range []string{"x", "y"} {
		e.Rcpts = append(e.Rcpts, mail.Address{Local: r, Domain: "example.jp"})
	}
	o := JournalOptions{Hostname: "mx.example.jp", To: "archive@vault.example", Format: "plain", MessageID: "<7@sender.example>\r\nX: y", ID: "d4j0"}
	got := JournalCopy(o, e)
	want := "X-Sekimori-Envelope-From: <a@sender.example>\r\nX-Sekimori-Envelope-To: <x@example.jp>\r\nX-Sekimori-Envelope-To: <y@example.jp>\r\n" + octets
	if s := string(got.Content.Bytes()); s != want || !got.From.IsNull() || got.Rcpts[0].String() != o.To || got.Lane != laneJournal || got.ID != "d4j0.j" {
		t.Errorf("%+v: %q", got, s)
	}
	o.Format = "envelope"
	raw := JournalCopy(o, e).Content.Bytes()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	mr := multipart.NewReader(m.Body, params["boundary"])
	var parts []string
	for {
		p, err := mr.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(p)
		parts = append(parts, string(b))
	}
	if len(parts) != 2 || parts[1] != octets || !strings.Contains(parts[0], "Sender: a@sender.example\r\n") ||
		!strings.Contains(parts[0], "Recipient: x@example.jp\r\nRecipient: y@example.jp\r\n") || strings.Contains(parts[0], "\nX: y") {
		t.Errorf("%q", parts)
	}
	if o, err := mail.ParseOrigin(got.Meta()); err != nil || o.Kind != mail.KindJournal {
		t.Error(o, err)
	}
}

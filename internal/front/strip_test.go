package front

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekimori/internal/mail"
	"sekimori/internal/mime"
)

// Whatever a mail looks like: what is taken out is gone, what is not stays octet by octet, and the mail has as many parts as before.
func TestStripKeepsTheRest(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/mail/*.eml")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	mails := [][]byte{
		[]byte(crlf("X-Sekimori-A: 1\nContent-Type: multipart/mixed; boundary=o\nX-Sekimori-B: 2\n\npreamble\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n" +
			"Content-Disposition: attachment; filename=1.bin\n\none\n--i\n\ntwo\n--i--\n\n--o\nContent-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/mixed; boundary=x\n\n" +
			"--x\nContent-Type: application/zip\n\nPK\n--x\nContent-Type: image/png; name=p.png\n\npng\n--o\nContent-Type: text/html\n\n<p>last\n")),
	}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		mails = append(mails, raw)
	}
	stripped := 0
	for n, raw := range mails {
		m := mime.Parse(raw)
		content := kept(m, "mx.example.jp")
		for i := 1; i < len(m.Parts); i++ {
			if strings.HasPrefix(m.Parts[i].Type, "multipart/") {
				continue
			}
			stripped++
			p := &m.Parts[i]
			out := strip(m, content, []int{i}).Bytes()
			whole := content.Bytes()
			head := len(whole) - len(raw) + p.Head // fields that are left out stand before it
			if !bytes.Equal(out[:head], whole[:head]) || !bytes.HasSuffix(out, raw[p.End:]) {
				t.Fatalf("mail %d part %d: the rest has changed\n%s", n, i, out)
			}
			again := mime.Parse(out)
			inner := 0
			for k := i + 1; k < len(m.Parts) && m.Parts[k].Depth > p.Depth; k++ {
				inner++
			}
			if len(again.Parts) != len(m.Parts)-inner {
				t.Fatalf("mail %d part %d: %d parts of %d\n%s", n, i, len(again.Parts), len(m.Parts), out)
			}
			if a := again.Parts[i]; a.Type != "text/plain" || a.Name != "" || !strings.Contains(a.Text, "taken out of this mail") {
				t.Errorf("mail %d part %d: %+v", n, i, a)
			}
		}
		// All at once, in any order, what lies within another included.
		all := []int{}
		for i := len(m.Parts) - 1; i > 0; i-- {
			if slices.Contains(m.Attachments(), &m.Parts[i]) {
				all = append(all, i)
			}
		}
		again := mime.Parse(strip(m, content, all).Bytes())
		for i := range again.Parts {
			if i > 0 && again.Parts[i].Name != "" {
				t.Errorf("mail %d: %s is still there", n, again.Parts[i].Name)
			}
		}
	}
	if stripped < 10 {
		t.Errorf("only %d parts were taken out", stripped)
	}
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// A part that is not there, or the mail itself, takes nothing out.
func TestStripNothing(t *testing.T) {
	m := mime.Parse([]byte("Subject: a\r\n\r\ntext\r\n"))
	content := kept(m, "mx.example.jp")
	for _, parts := range [][]int{{0}, {7}, {-1}, nil} {
		if got := strip(m, content, parts).Bytes(); !bytes.Equal(got, m.Raw) {
			t.Errorf("%v: %q", parts, got)
		}
	}
	if got := strip(&mail.Message{}, nil, []int{1}).Len(); got != 0 {
		t.Error(got)
	}
}
